/* SPDX-License-Identifier: Apache-2.0 */
/* ocispec generate: a config.json from options, hooks, CDI devices and a seccomp profile. */
#include <cbase/io.h>
#include "spec_tool.h"

static struct generate_options o;

static int begin(struct ocispec **ret)
{
	if (o.template)
		return document_read(o.template, OCISPEC_CONFIG, ret, NULL);
	if (ocispec_new(ret)) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	return 0;
}

static int set_version(struct ocispec *s, const struct ocispec *features)
{
	char version[OCISPEC_VERSION_LEN];

	if (o.version) {
		snprintf(version, sizeof(version), "%s", o.version);
	} else if (!o.runtime) {
		return 0;
	} else if (ocispec_runtime_version(features, version)) {
		complain("%s takes no version of the runtime specification that is known here", o.runtime);
		return EXIT_FAILURE;
	}
	if (ocispec_set_version(s, version)) {
		complain("\"%s\" is not a version", version);
		return EXIT_USAGE;
	}
	return 0;
}

static int failed(int r, const struct ocispec_error *err)
{
	if (r)
		complain("%s", err->message);
	return r ? EXIT_FAILURE : 0;
}

static int set_seccomp(struct ocispec *s)
{
	struct ocispec *profile = NULL;
	struct ocispec_error err = { 0 };
	int r;

	if (!o.seccomp)
		return 0;
	if (streq(o.seccomp, "none"))
		return ocispec_clear_seccomp(s) ? EXIT_FAILURE : 0;
	if (streq(o.seccomp, "default")) {
		if (ocispec_set_default_seccomp(s, o.kernel) == 0)
			return 0;
		complain("\"%s\" is not a kernel version, as \"6.1\"", o.kernel ? o.kernel : "");
		return EXIT_USAGE;
	}
	r = document_read(o.seccomp, OCISPEC_PROFILE, &profile, NULL);
	if (!r)
		r = failed(ocispec_set_seccomp_profile(s, profile, o.kernel, &err), &err);
	ocispec_free(profile);
	return r;
}

static void tell(void *user, int severity, const char *path, const char *message)
{
	complain("%s (left out)", message);
}

/* "key=value" to key, value, ... */
static char **pairs_of(char *const *annotations)
{
	char **pairs = strv_copy(NULL);

	for (; pairs && annotations && *annotations; annotations++) {
		size_t n = strcspn(*annotations, "=");

		if (strv_pushf(&pairs, "%.*s", (int)n, *annotations) ||
		    strv_push(&pairs, *annotations + n + ((*annotations)[n] == '=')))
			return strv_free(pairs);
	}
	return pairs;
}

static int apply_hooks(struct ocispec *s, char **pairs)
{
	struct ocispec_error err = { 0 };
	struct ocispec_hooks *h = NULL;
	int r;

	if (!o.hooks_dirs)
		return 0;
	r = ocispec_hooks_new(&h);
	for (char **d = o.hooks_dirs; !r && *d; d++) {
		r = ocispec_hooks_load(h, *d, tell, NULL, &err);
		r = r == OCISPEC_E_INVALID ? 0 : r;
	}
	if (!r)
		r = ocispec_hooks_apply(h, s, (const char *const *)pairs, o.mounts != NULL, &err);
	ocispec_hooks_free(h);
	return failed(r, &err);
}

static int apply_cdi(struct ocispec *s, char **pairs)
{
	char etc[] = "/etc/cdi", run[] = "/var/run/cdi", *usual[] = { etc, run, NULL };
	struct ocispec_error err = { 0 };
	struct ocispec_cdi *c = NULL;
	int r;

	if (!o.devices && !o.cdi_dirs)
		return 0;
	r = ocispec_cdi_new(&c);
	for (char **d = o.cdi_dirs ? o.cdi_dirs : usual; !r && *d; d++) {
		r = ocispec_cdi_load(c, *d, tell, NULL, &err);
		r = r == OCISPEC_E_INVALID || (r == OCISPEC_E_NOT_FOUND && !o.cdi_dirs) ? 0 : r;
	}
	if (!r)
		r = ocispec_cdi_inject(c, s, (const char *const *)o.devices, (const char *const *)pairs, &err);
	ocispec_cdi_free(c);
	return failed(r, &err);
}

static int write_out(const struct ocispec *s)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = ocispec_format(s, o.compact ? 0 : OCISPEC_FORMAT_INDENT, &text, &len);

	if (r) {
		complain(r > 0 ? "the document is larger than 4 MiB" : "out of memory");
		return EXIT_FAILURE;
	}
	if (!o.output) {
		printf("%s\n", text);
		return 0;
	}
	r = write_file(o.output, 0644, text, len, 0);
	if (r)
		complain("write %s: %s", o.output, strerror(-r));
	return r ? EXIT_FAILURE : 0;
}

static int build(struct ocispec *s, const struct ocispec *features, int argc, char **argv)
{
	_cleanup_strv_ char **pairs = pairs_of(o.annotations);
	struct ocispec_error err = { 0 };
	int r = options_apply(s, &o);

	argv[argc] = NULL;	/* what the options left is at the beginning */
	if (!r && argc && ocispec_set_args(s, (const char *const *)argv)) {
		complain("the command is not UTF-8");
		r = EXIT_USAGE;
	}
	if (!r)
		r = set_seccomp(s);	/* after the capabilities */
	if (!r)
		r = apply_hooks(s, pairs);
	if (!r)
		r = apply_cdi(s, pairs);
	if (!r)
		r = set_version(s, features);
	if (!r && o.filter)
		r = failed(ocispec_hand_filter_to_crun(s, NULL, &err), &err);
	return r ? r : write_out(s);
}

static int generate(void *user, int argc, char **argv)
{
	struct ocispec *s = NULL, *features = NULL;
	int r = begin(&s);

	if (!r && o.runtime)
		r = runtime_features(o.runtime, &features);
	if (!r)
		r = build(s, features, argc, argv);
	ocispec_free(features);
	ocispec_free(s);
	return r;
}

static const struct opt options[] = {
	{ 't', "template", OPT_STRING, &o.template, "FILE", "begin with this document, not with the defaults" },
	{ 'o', "output", OPT_STRING, &o.output, "FILE", "write there (standard output)" },
	{ 0, "compact", OPT_FLAG, &o.compact, NULL, "on one line" },
	{ 0, "runtime", OPT_STRING, &o.runtime, "PROGRAM", "write the ociVersion that this runtime takes" },
	{ 0, "oci-version", OPT_STRING, &o.version, "VERSION", "write this ociVersion" },
	{ 0, "rootfs", OPT_STRING, &o.rootfs, "PATH", "root file system (rootfs)" },
	{ 0, "read-only", OPT_FLAG, &o.readonly, NULL, "mount it read-only" },
	{ 0, "hostname", OPT_STRING, &o.hostname, "NAME", "host name" },
	{ 0, "domainname", OPT_STRING, &o.domainname, "NAME", "NIS domain name" },
	{ 0, "cwd", OPT_STRING, &o.cwd, "PATH", "working directory" },
	{ 0, "tty", OPT_FLAG, &o.tty, NULL, "with a terminal" },
	{ 'u', "user", OPT_STRING, &o.user, "UID[:GID[:GID,...]]", "user, group, more groups" },
	{ 'e', "env", OPT_LIST, &o.env, "NAME=VALUE", "environment variable (repeatable)" },
	{ 0, "clear-env", OPT_FLAG, &o.clear_env, NULL, "without the variables of the template" },
	{ 'm', "mount", OPT_LIST, &o.mounts, "SOURCE:PATH[:OPTION,...]", "bind mount (repeatable)" },
	{ 0, "tmpfs", OPT_LIST, &o.tmpfs, "PATH[:OPTION,...]", "tmpfs (repeatable)" },
	{ 0, "clear-mounts", OPT_FLAG, &o.clear_mounts, NULL, "without the mounts of the template" },
	{ 0, "cap-add", OPT_LIST, &o.cap_add, "NAME", "add a capability, or ALL (repeatable)" },
	{ 0, "cap-drop", OPT_LIST, &o.cap_drop, "NAME", "drop a capability, or ALL; before --cap-add (repeatable)" },
	{ 0, "no-new-privileges", OPT_FLAG, &o.no_new_privileges, NULL, "setuid programs give nothing" },
	{ 0, "namespace", OPT_LIST, &o.namespaces, "TYPE[=PATH]", "a namespace, new or joined (repeatable)" },
	{ 0, "no-namespace", OPT_LIST, &o.no_namespaces, "TYPE", "the runtime's own namespace (repeatable)" },
	{ 0, "rlimit", OPT_LIST, &o.rlimits, "TYPE=SOFT[:HARD]", "as NOFILE=1024:4096 (repeatable)" },
	{ 0, "sysctl", OPT_LIST, &o.sysctls, "NAME=VALUE", "kernel parameter (repeatable)" },
	{ 0, "mask", OPT_LIST, &o.masked, "PATH", "hide a path (repeatable)" },
	{ 0, "readonly-path", OPT_LIST, &o.readonly_paths, "PATH", "make a path read-only (repeatable)" },
	{ 0, "propagation", OPT_STRING, &o.propagation, "MODE", "of the root file system's mounts, as rslave" },
	{ 0, "cgroup", OPT_STRING, &o.cgroup, "PATH", "path of the cgroup, or SLICE:PREFIX:NAME" },
	{ 0, "memory", OPT_STRING, &o.memory, "BYTES", "memory limit; that of swap is the same" },
	{ 0, "cpu-shares", OPT_INT, &o.cpu_shares, "N", "share of the CPU" },
	{ 0, "cpu-quota", OPT_INT, &o.cpu_quota, "MICROSECONDS", "of CPU time in a period" },
	{ 0, "cpu-period", OPT_INT, &o.cpu_period, "MICROSECONDS", "length of the period" },
	{ 0, "pids-limit", OPT_INT, &o.pids_limit, "N", "number of processes" },
	{ 'a', "annotation", OPT_LIST, &o.annotations, "NAME=VALUE", "annotation (repeatable)" },
	{ 0, "seccomp", OPT_STRING, &o.seccomp, "FILE", "profile in Docker's format, or \"default\" or \"none\"" },
	{ 0, "kernel", OPT_STRING, &o.kernel, "VERSION", "for rules with a minimum (newest)" },
	{ 0, "filter", OPT_FLAG, &o.filter, NULL, "hand the compiled filter to crun" },
	{ 0, "hooks-dir", OPT_LIST, &o.hooks_dirs, "DIR", "OCI hooks that apply (repeatable)" },
	{ 0, "cdi-dir", OPT_LIST, &o.cdi_dirs, "DIR", "CDI specifications (/etc/cdi, /var/run/cdi; repeatable)" },
	{ 'd', "device", OPT_LIST, &o.devices, "VENDOR/CLASS=NAME", "inject a CDI device (repeatable)" },
	{ 's', "set", OPT_LIST, &o.sets, "MEMBER=VALUE", "any member by its path; the value is JSON, or text (repeatable)" },
	{ 0 },
};

const struct command cmd_generate = {
	.name = "generate",
	.args = "[--] [COMMAND [ARGUMENT...]]",
	.summary = "print a config.json",
	.options = options,
	.stop_at_first = true,
	.max_args = -1,
	.run = generate,
};
