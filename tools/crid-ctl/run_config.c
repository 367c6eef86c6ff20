/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `run` asks for: the pod and container that the kubelet would ask for given a manifest with
 * the same content, with its defaults for what a container may not see of /proc and /sys.
 */
#include <ctype.h>
#include <errno.h>
#include <sys/random.h>
#include "run.h"

/* Kubernetes' defaults for a container that is not privileged */
static const char *const masked_paths[] = {
	"/proc/asound",	    "/proc/acpi",	 "/proc/interrupts",
	"/proc/kcore",	    "/proc/keys",	 "/proc/latency_stats",
	"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
	"/proc/scsi",	    "/sys/firmware",	 "/sys/devices/virtual/powercap",
};
static const char *const readonly_paths[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
					      "/proc/sysrq-trigger" };

/* A random UUID (RFC 9562, version 4), and a name when none was given. */
static int make_names(struct run_config *c, const char *name)
{
	unsigned char b[16];
	size_t i;

	if (getrandom(b, sizeof(b), 0) != sizeof(b)) {
		complain("random numbers: %s", strerror(errno));
		return EXIT_NOT_RUN;
	}
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(c->uid, sizeof(c->uid),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
	if (!name) {
		snprintf(c->name, sizeof(c->name), "run-%.8s", c->uid);
		return 0;
	}
	for (i = 0; name[i]; i++)
		if (!isalnum((unsigned char)name[i]) && (!i || !strchr("-_.", name[i])))
			break;
	if (!i || name[i] || i >= sizeof(c->name)) {
		complain("--name is a letter or digit, and up to 62 of A-Z a-z 0-9 - _ .");
		return EXIT_USAGE;
	}
	snprintf(c->name, sizeof(c->name), "%s", name);
	return 0;
}

static int fill_env(struct run_config *c, char *const *env)
{
	size_t i, n = strv_len(env);

	c->envs = calloc(n + 1, sizeof(*c->envs));
	c->env_list = calloc(n + 1, sizeof(*c->env_list));
	if (!c->envs || !c->env_list)
		goto no_memory;
	for (i = 0; i < n; i++) {
		size_t len = strcspn(env[i], "=");
		const char *value = env[i][len] ? env[i] + len + 1 : getenv(env[i]);

		if (!len || !value) {
			complain("--env %s: %s", env[i],
				 len ? "is not in the environment" : "has no name");
			return EXIT_USAGE;
		}
		runtime__v1__key_value__init(&c->envs[i]);
		c->envs[i].key = strndup(env[i], len);
		c->envs[i].value = (ProtobufCBinaryData){ strlen(value), (uint8_t *)pb(value) };
		if (!c->envs[i].key)
			goto no_memory;
		c->env_list[i] = &c->envs[i];
	}
	c->container.envs = c->env_list;
	c->container.n_envs = n;
	return 0;
no_memory:
	complain("out of memory");
	return EXIT_NOT_RUN;
}

/* SRC:DST[:ro|:rw] */
static int parse_mount(CRI(Mount) * m, const char *text)
{
	_cleanup_strv_ char **part = NULL;

	if (strv_split(text, ':', &part)) {
		complain("out of memory");
		return EXIT_NOT_RUN;
	}
	runtime__v1__mount__init(m);
	if (strv_len(part) < 2 || strv_len(part) > 3 || part[0][0] != '/' || part[1][0] != '/' ||
	    (part[2] && !streq(part[2], "ro") && !streq(part[2], "rw"))) {
		complain("--mount is SRC:DST or SRC:DST:ro with absolute paths, not \"%s\"", text);
		return EXIT_USAGE;
	}
	m->readonly = part[2] && streq(part[2], "ro");
	m->host_path = strdup(part[0]);
	m->container_path = strdup(part[1]);
	if (m->host_path && m->container_path)
		return 0;
	complain("out of memory");
	return EXIT_NOT_RUN;
}

static int fill_mounts(struct run_config *c, char *const *mounts)
{
	size_t i, n = strv_len(mounts);
	int r;

	c->mounts = calloc(n + 1, sizeof(*c->mounts));
	c->mount_list = calloc(n + 1, sizeof(*c->mount_list));
	if (!c->mounts || !c->mount_list) {
		complain("out of memory");
		return EXIT_NOT_RUN;
	}
	for (i = 0; i < n; i++) {
		r = parse_mount(&c->mounts[i], mounts[i]);
		if (r)
			return r;
		c->mount_list[i] = &c->mounts[i];
	}
	c->container.mounts = c->mount_list;
	c->container.n_mounts = n;
	return 0;
}

static void fill_pod(struct run_config *c, const struct run_options *o, const char *log_dir)
{
	c->pod_metadata.name = c->name;
	c->pod_metadata.uid = c->uid;
	c->pod_metadata.namespace_ = pb("default");
	c->pod.metadata = &c->pod_metadata;
	if (!o->host_network) {
		snprintf(c->hostname, sizeof(c->hostname), "%s",
			 o->hostname ? o->hostname : c->name);
		c->pod.hostname = c->hostname;
	}
	c->pod.log_directory = pb(log_dir);
	if (o->dns) {
		c->dns.servers = o->dns;
		c->dns.n_servers = strv_len(o->dns);
		c->pod.dns_config = &c->dns;
	}
	c->namespaces.network = o->host_network ? RUNTIME__V1__NAMESPACE_MODE__NODE
						: RUNTIME__V1__NAMESPACE_MODE__POD;
	c->namespaces.pid = RUNTIME__V1__NAMESPACE_MODE__CONTAINER;
	c->namespaces.ipc = RUNTIME__V1__NAMESPACE_MODE__POD;
	c->pod_security.namespace_options = &c->namespaces;
	c->pod_linux.security_context = &c->pod_security;
	c->pod.linux = &c->pod_linux;
}

static void fill_container(struct run_config *c, const struct run_options *o, const char *image_id,
			   const char *image, int argc, char **argv)
{
	c->container_metadata.name = c->name;
	c->container.metadata = &c->container_metadata;
	c->image.image = pb(image_id);
	c->image.user_specified_image = pb(image);
	c->container.image = &c->image;
	c->container.args = argv;
	c->container.n_args = (size_t)argc;
	c->container.tty = o->tty;
	snprintf(c->log_path, sizeof(c->log_path), "%s.log", c->name);
	c->container.log_path = c->log_path;
	c->container_security.namespace_options = &c->namespaces;
	c->container_security.masked_paths = (char **)(uintptr_t)masked_paths;
	c->container_security.n_masked_paths = ARRAY_SIZE(masked_paths);
	c->container_security.readonly_paths = (char **)(uintptr_t)readonly_paths;
	c->container_security.n_readonly_paths = ARRAY_SIZE(readonly_paths);
	c->container_linux.security_context = &c->container_security;
	c->container.linux = &c->container_linux;
}

int run_config_fill(struct run_config *c, const struct run_options *o, const char *image_id,
		    const char *image, const char *log_dir, int argc, char **argv)
{
	int r;

	memset(c, 0, sizeof(*c));
	runtime__v1__pod_sandbox_config__init(&c->pod);
	runtime__v1__pod_sandbox_metadata__init(&c->pod_metadata);
	runtime__v1__dnsconfig__init(&c->dns);
	runtime__v1__linux_pod_sandbox_config__init(&c->pod_linux);
	runtime__v1__linux_sandbox_security_context__init(&c->pod_security);
	runtime__v1__namespace_option__init(&c->namespaces);
	runtime__v1__container_config__init(&c->container);
	runtime__v1__container_metadata__init(&c->container_metadata);
	runtime__v1__image_spec__init(&c->image);
	runtime__v1__linux_container_config__init(&c->container_linux);
	runtime__v1__linux_container_security_context__init(&c->container_security);
	if (o->hostname && strlen(o->hostname) >= sizeof(c->hostname)) {
		complain("--hostname has at most %zu characters", sizeof(c->hostname) - 1);
		return EXIT_USAGE;
	}
	r = make_names(c, o->name);
	if (r)
		return r;
	fill_pod(c, o, log_dir);
	fill_container(c, o, image_id, image, argc, argv);
	r = fill_env(c, o->env);
	return r ? r : fill_mounts(c, o->mounts);
}

void run_config_done(struct run_config *c)
{
	size_t i;

	for (i = 0; c->env_list && c->env_list[i]; i++)
		free(c->envs[i].key);
	for (i = 0; c->mount_list && c->mount_list[i]; i++) {
		free(c->mounts[i].host_path);
		free(c->mounts[i].container_path);
	}
	free(c->envs);
	free(c->env_list);
	free(c->mounts);
	free(c->mount_list);
}
