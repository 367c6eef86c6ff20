/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the final values make sense, and where the programs are. A value is put into its one
 * normal form here ("warning" becomes warn, "cap_chown" CHOWN), so that nobody else needs to know
 * the others.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <limits.h>
#include <regex.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <cbase/io.h>
#include "cgroup_path.h"
#include "config_table.h"
#include "errors.h"

#define STOP_TIMEOUT_MIN 30 /* seconds */
#define CREATE_TIMEOUT_MIN 30
#define PERIOD_MAX 86400
#define LOG_SIZE_MIN 8192 /* bytes: what conmon reads at once */
#define MESSAGE_SIZE_DEFAULT (80 << 20)
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* ---- single values ---- */

static int replace(char **p, char *owned, struct cb_error *err)
{
	if (!owned)
		return err_oom(err);
	free(*p);
	*p = owned;
	return 0;
}

int check_not_empty(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	return **(char **)value ? 0 : err_set(err, E_INVALID, "%s: must not be empty", where);
}

static int absolute(const char *path, const char *where, struct cb_error *err)
{
	if (*path && *path != '/')
		return err_set(err, E_INVALID, "%s: \"%s\" is not an absolute path", where, path);
	if (strlen(path) >= PATH_MAX)
		return err_set(err, E_INVALID, "%s: path is too long", where);
	return 0;
}

int check_absolute(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	return absolute(*(char **)value, where, err);
}

int check_absolute_list(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	char **p;
	int r = 0;

	for (p = *(char ***)value; p && *p && !r; p++)
		r = **p ? absolute(*p, where, err)
			: err_set(err, E_INVALID, "%s: has an empty path", where);
	return r;
}

int check_listen(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	char **p = value;
	int r = 0;

	if (str_starts(*p, "unix://"))
		r = replace(p, strdup(*p + strlen("unix://")), err);
	if (!r)
		r = check_not_empty(p, where, warnings, err);
	if (!r)
		r = absolute(*p, where, err);
	if (!r && strlen(*p) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return err_set(err, E_INVALID,
			       "%s: the path of a socket has at most %zu bytes, this one %zu: %s",
			       where, sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1,
			       strlen(*p), *p);
	return r;
}

int check_message_size(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	int64_t *p = value;

	if (*p > INT32_MAX)
		return err_set(err, E_INVALID, "%s: must be at most %d", where, INT32_MAX);
	if (*p <= 0)
		*p = MESSAGE_SIZE_DEFAULT;
	return 0;
}

static int one_of(const char *value, const char *const *choices, const char *where,
		  struct cb_error *err)
{
	_cleanup_str_ struct str s = STR_INIT;
	size_t i;

	for (i = 0; choices[i]; i++) {
		if (streq(value, choices[i]))
			return 0;
		str_appendf(&s, "%s%s", i ? ", " : "", choices[i]);
	}
	return err_set(err, E_INVALID, "%s: \"%s\" is none of %s", where, value,
		       s.data ? s.data : "");
}

int check_log_level(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	static const char *const levels[] = { "fatal", "panic", "error", "warn",
					      "info",  "debug", "trace", NULL };
	char **p = value, *c;

	for (c = *p; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (streq(*p, "warning"))
		(*p)[strlen("warn")] = '\0';
	return one_of(*p, levels, where, err);
}

int check_cgroup_manager(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	static const char *const managers[] = { "cgroupfs", "systemd", NULL };
	const char *name = *(char **)value;

	return *name ? one_of(name, managers, where, err) : 0;
}

int check_monitor_cgroup(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	const char *name = *(char **)value;

	if (!*name || streq(name, "pod") || slice_is_valid(name))
		return 0;
	return err_set(err, E_INVALID, "%s: \"%s\" is neither \"pod\" nor a slice nor empty", where, name);
}

/* As container_devices.c reads them. */
int check_devices(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	for (char **v = *(char ***)value; v && *v; v++)
		if (**v != '/')
			return err_set(err, E_INVALID, "%s: \"%s\" is not HOST[:CONTAINER[:PERMISSIONS]]", where, *v);
	return 0;
}

int check_runtime_type(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	static const char *const types[] = { "oci", "vm", "pod", NULL };
	char **p = value;

	if (!**p)
		return replace(p, strdup("oci"), err);
	return one_of(*p, types, where, err); /* config_resolve() tells what is not there yet */
}

int check_stream_address(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	const char *text = *(char **)value;
	unsigned char bytes[sizeof(struct in6_addr)];

	if (!*text || inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1)
		return 0;
	return err_set(err, E_INVALID, "%s: \"%s\" is no IP address", where, text);
}

int check_stream_port(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	const char *text = *(char **)value;
	long long port;

	if (str_to_i64(text, &port) || port < 0 || port > UINT16_MAX)
		return err_set(err, E_INVALID, "%s: \"%s\" is not a port, 0 to 65535", where, text);
	return 0;
}

int check_duration(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	const char *text = *(char **)value;
	int64_t ns;

	if (*text && (duration_parse(text, &ns) || ns < 0))
		return err_set(err, E_INVALID, "%s: \"%s\" is not a duration like 90s, 30m or 1h30m", where,
			       text);
	return 0;
}

int check_tls_version(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	static const char *const versions[] = { "VersionTLS12", "VersionTLS13", NULL };

	return one_of(*(char **)value, versions, where, err);
}

/* What CRI-O accepts: those that Go's TLS counts as secure. */
int check_cipher_suites(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	static const char *const known[] = {
		"TLS_AES_128_GCM_SHA256",
		"TLS_AES_256_GCM_SHA384",
		"TLS_CHACHA20_POLY1305_SHA256",
		"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
		"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
		"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
		"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
		"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
		"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
		"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
		"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
		"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
		"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
		NULL,
	};
	char **names = *(char ***)value;
	int r = 0;

	for (size_t i = 0; !r && names && names[i]; i++)
		r = one_of(names[i], known, where, err);
	return r;
}

int check_log_format(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	static const char *const formats[] = { "text", "json", NULL };

	return one_of(*(char **)value, formats, where, err);
}

int check_regex(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	const char *text = *(char **)value;
	char why[128];
	regex_t re;
	int r = *text ? regcomp(&re, text, REG_EXTENDED | REG_NOSUB) : 0;

	if (r) {
		regerror(r, &re, why, sizeof(why));
		return err_set(err, E_INVALID, "%s: \"%s\" is no regular expression: %s", where, text, why);
	}
	if (*text)
		regfree(&re);
	return 0;
}

int check_short_name_mode(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	static const char *const modes[] = { "enforcing", "disabled", NULL };

	return one_of(*(char **)value, modes, where, err);
}

static int at_least(int64_t *p, int64_t min, const char *where, char ***warnings,
		    struct cb_error *err)
{
	if (*p >= min)
		return 0;
	if (strv_pushf(warnings, "%s: raised from %lld to %lld seconds, the least there is", where,
		       (long long)*p, (long long)min))
		return err_oom(err);
	*p = min;
	return 0;
}

int check_stop_timeout(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	return at_least(value, STOP_TIMEOUT_MIN, where, warnings, err);
}

int check_create_timeout(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	return at_least(value, CREATE_TIMEOUT_MIN, where, warnings, err);
}

int check_log_size(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	int64_t size = *(int64_t *)value;

	if (size >= 0 && size < LOG_SIZE_MIN)
		return err_set(err, E_INVALID,
			       "%s: must be negative (no limit) or at least %d, not %lld", where,
			       LOG_SIZE_MIN, (long long)size);
	return 0;
}

int check_period(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	int64_t seconds = *(int64_t *)value;

	return seconds < 0 || seconds > PERIOD_MAX ?
		err_set(err, E_INVALID, "%s: must be 0 to %d seconds, not %lld", where, PERIOD_MAX, (long long)seconds) : 0;
}

int check_pod_metrics(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	static const char *const families[] = { "all", "cpu", "disk", "diskIO", "hugetlb", "memory", "network", "oom", "process",
		"spec", "pressure" };
	char **p;
	size_t i;

	for (p = *(char ***)value; p && *p; p++) {
		for (i = 0; i < ARRAY_SIZE(families) && !streq(*p, families[i]); i++)
			;
		if (i == ARRAY_SIZE(families))
			return err_set(err, E_INVALID, "%s: there is no family \"%s\"", where, *p);
	}
	return 0;
}

int check_env(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	char **p;

	for (p = *(char ***)value; p && *p; p++)
		if (**p == '=' || !strchr(*p, '='))
			return err_set(err, E_INVALID, "%s: \"%s\" is not NAME=VALUE", where, *p);
	return 0;
}

int check_sysctls(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	static const char name[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";
	char **p;
	size_t n;

	for (p = *(char ***)value; p && *p; p++) {
		n = strspn(*p, name);
		if (!n || (*p)[n] != '=' || strstr(*p, "..") || (*p)[0] == '/')
			return err_set(err, E_INVALID,
				       "%s: \"%s\" is not NAME=VALUE with the name of a sysctl",
				       where, *p);
	}
	return 0;
}

/* soft[:hard], -1 being no limit, to both numbers */
static int parse_limits(const char *text, long long *soft, long long *hard)
{
	const char *colon = strchr(text, ':');
	_cleanup_free_ char *first = colon ? strndup(text, (size_t)(colon - text)) : strdup(text);

	if (!first)
		return -ENOMEM;
	if (str_to_i64(first, soft) || str_to_i64(colon ? colon + 1 : first, hard) || *soft < -1 ||
	    *hard < -1)
		return -EINVAL;
	return *hard != -1 && (*soft == -1 || *soft > *hard) ? -ERANGE : 0;
}

int check_ulimits(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	static const char *const names[] = {
		"as",	   "core",     "cpu",	     "data",   "fsize", "locks",
		"memlock", "msgqueue", "nice",	     "nofile", "nproc", "rss",
		"rtprio",  "rttime",   "sigpending", "stack",  NULL,
	};
	long long soft, hard;
	char **p;
	int r;

	for (p = *(char ***)value; p && *p; p++) {
		const char *equals = strchr(*p, '=');
		_cleanup_free_ char *name = equals ? strndup(*p, (size_t)(equals - *p)) : NULL;

		if (!equals)
			return err_set(err, E_INVALID, "%s: \"%s\" is not NAME=SOFT:HARD", where,
				       *p);
		if (!name)
			return err_oom(err);
		r = one_of(name, names, where, err);
		if (r)
			return r;
		r = parse_limits(equals + 1, &soft, &hard);
		if (r == -ENOMEM)
			return err_oom(err);
		if (r == -ERANGE)
			return err_set(err, E_INVALID,
				       "%s: \"%s\": the soft limit is above the hard one", where,
				       *p);
		if (r)
			return err_set(err, E_INVALID,
				       "%s: \"%s\" is not NAME=SOFT:HARD with two numbers", where,
				       *p);
		r = replace(p, strf("%s=%lld:%lld", name, soft, hard), err);
		if (r)
			return r;
	}
	return 0;
}

int check_capabilities(void *value, const char *where, char ***warnings, struct cb_error *err)
{
	static const char *const names[] = {
		"AUDIT_CONTROL",   "AUDIT_READ",   "AUDIT_WRITE",
		"BLOCK_SUSPEND",   "BPF",	   "CHECKPOINT_RESTORE",
		"CHOWN",	   "DAC_OVERRIDE", "DAC_READ_SEARCH",
		"FOWNER",	   "FSETID",	   "IPC_LOCK",
		"IPC_OWNER",	   "KILL",	   "LEASE",
		"LINUX_IMMUTABLE", "MAC_ADMIN",	   "MAC_OVERRIDE",
		"MKNOD",	   "NET_ADMIN",	   "NET_BIND_SERVICE",
		"NET_BROADCAST",   "NET_RAW",	   "PERFMON",
		"SETFCAP",	   "SETGID",	   "SETPCAP",
		"SETUID",	   "SYSLOG",	   "SYS_ADMIN",
		"SYS_BOOT",	   "SYS_CHROOT",   "SYS_MODULE",
		"SYS_NICE",	   "SYS_PACCT",	   "SYS_PTRACE",
		"SYS_RAWIO",	   "SYS_RESOURCE", "SYS_TIME",
		"SYS_TTY_CONFIG",  "WAKE_ALARM",   NULL,
	};
	char **p, *c;
	size_t i;

	for (p = *(char ***)value; p && *p; p++) {
		for (c = *p; *c; c++)
			*c = (char)toupper((unsigned char)*c);
		if (str_starts(*p, "CAP_"))
			memmove(*p, *p + 4, strlen(*p + 4) + 1);
		for (i = 0; names[i] && !streq(names[i], *p); i++)
			;
		if (!names[i])
			return err_set(err, E_INVALID, "%s: \"%s\" is no capability", where, *p);
	}
	return 0;
}

/* ---- all of them ---- */

static int check_handler(struct runtime_handler *h, char ***warnings, struct cb_error *err)
{
	size_t i;
	int r = 0;

	for (i = 0; i < handler_n_options && !r; i++) {
		const struct option *o = &handler_options[i];
		_cleanup_free_ char *where = strf("%s.%s", h->origin ? h->origin : h->name, o->key);

		if (!where)
			return err_oom(err);
		if (o->check)
			r = o->check(option_value(o, h), where, warnings, err);
	}
	if (!r && !*h->runtime_root)
		r = replace(&h->runtime_root, strf("/run/%s", h->name), err);
	return r;
}

int config_check(struct config *c, char *const *origins, char ***warnings, struct cb_error *err)
{
	const char *default_from = "crio.runtime.default_runtime";
	size_t i;
	int r = 0;

	for (i = 0; i < config_n_options && !r; i++) {
		const struct option *o = &config_options[i];

		if (o->check)
			r = o->check(option_value(o, c), origins[i] ? origins[i] : o->key, warnings,
				     err);
		if (o->offset == offsetof(struct config, default_runtime) && origins[i])
			default_from = origins[i];
	}
	for (i = 0; i < c->n_runtimes && !r; i++)
		r = check_handler(&c->runtimes[i], warnings, err);
	if (r)
		return r;
	if (c->stream_enable_tls && (!*c->stream_tls_cert || !*c->stream_tls_key))
		return err_set(err, E_INVALID,
			       "stream_enable_tls: stream_tls_cert and stream_tls_key are needed, too");
	if (!c->collection_period)
		c->collection_period = c->stats_collection_period;
	if (!config_runtime(c, c->default_runtime))
		return err_set(err, E_INVALID, "%s: there is no table [crio.runtime.runtimes.%s]",
			       default_from, c->default_runtime);
	return 0;
}

/* ---- programs ---- */

static bool is_program(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

/* [owned] path of the program in $PATH; relative parts of that are passed over. -ENOENT when there
 * is none. */
static int find_in_path(const char *name, char **ret)
{
	_cleanup_strv_ char **dirs = NULL;
	const char *path = getenv("PATH");
	char **dir;

	if (strv_split(path && *path ? path : DEFAULT_PATH, ':', &dirs))
		return -ENOMEM;
	for (dir = dirs; dir && *dir; dir++) {
		_cleanup_free_ char *file = **dir == '/' ? strf("%s/%s", *dir, name) : NULL;

		if (file && is_program(file)) {
			*ret = take(file);
			return 0;
		}
	}
	return -ENOENT;
}

/* The same, looking first where this program is: beside it, or as in the build tree. */
static int find_beside(const char *name, char **ret)
{
	char self[PATH_MAX], *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	size_t i;

	self[n < 0 ? 0 : n] = '\0';
	slash = strrchr(self, '/');
	for (i = 0; slash && i < 2; i++) {
		_cleanup_free_ char *file =
			i ? strf("%.*s/%s/%s", (int)(slash - self), self, name + strlen("crid-"), name) :
			    strf("%.*s/%s", (int)(slash - self), self, name);

		if (file && is_program(file)) {
			*ret = take(file);
			return 0;
		}
	}
	return find_in_path(name, ret);
}

/* Fills an empty path by looking for name, refuses one that is no program. */
static int resolve_program(char **path, const char *name, int (*find)(const char *, char **),
			   const char *key, struct cb_error *err)
{
	char *found;
	int r;

	if (**path && !is_program(*path))
		return err_set(err, E_INVALID, "%s: %s is no program", key, *path);
	if (**path)
		return 0;
	r = find(name, &found);
	if (r == -ENOENT)
		return err_set(err, E_INVALID,
			       "there is no program %s%s in $PATH; install it or set %s", name,
			       find == find_beside ? " beside crid or" : "", key);
	return r ? err_oom(err) : replace(path, found, err);
}

static int resolve_monitor_cgroup(struct config *c, struct runtime_handler *h, struct cb_error *err)
{
	const char *name = *h->monitor_cgroup ? h->monitor_cgroup : c->conmon_cgroup;

	if (c->systemd_cgroups && !*name)
		name = "system.slice";
	if (!c->systemd_cgroups && *name && !streq(name, "pod"))
		return err_set(err, E_INVALID,
			       "crio.runtime.runtimes.%s.monitor_cgroup: \"%s\" needs the systemd cgroup manager; with "
			       "cgroupfs it is \"pod\" or empty", h->name, name);
	return replace(&h->monitor_cgroup, strdup(name), err);
}

static int resolve_monitor(struct config *c, struct runtime_handler *h, struct cb_error *err)
{
	int r;

	if (!*h->monitor_path && *c->conmon) {
		r = replace(&h->monitor_path, strdup(c->conmon), err);
		if (r)
			return r;
	}
	r = resolve_monitor_cgroup(c, h, err);
	if (r)
		return r;
	if (!strv_len(h->monitor_env)) {
		strv_free(h->monitor_env);
		h->monitor_env = strv_copy(c->conmon_env);
		if (!h->monitor_env)
			return err_oom(err);
	}
	return resolve_program(&h->monitor_path, "conmon", find_in_path, "crio.runtime.conmon",
			       err);
}

static int resolve_handler(struct config *c, struct runtime_handler *h, struct cb_error *err)
{
	_cleanup_free_ char *key = strf("crio.runtime.runtimes.%s.runtime_path", h->name);

	if (!key)
		return err_oom(err);
	if (!streq(h->runtime_type, "oci"))
		return err_set(
			err, E_INVALID,
			"crio.runtime.runtimes.%s.runtime_type: \"%s\" is not supported yet by "
			"this version",
			h->name, h->runtime_type);
	return resolve_program(&h->runtime_path, h->name, find_in_path, key, err);
}

/* A handler that cannot work is dropped, unless it is the default; the built-in one without a word.
 */
static int resolve_handlers(struct config *c, char ***warnings, struct cb_error *err)
{
	struct cb_error why = { 0 };
	size_t i, kept = 0;
	int r = 0, drop;

	for (i = 0; i < c->n_runtimes; i++) {
		struct runtime_handler h = c->runtimes[i];

		drop = r ? 0 : resolve_handler(c, &h, &why);
		if (drop && (drop < 0 || streq(h.name, c->default_runtime))) {
			if (err)
				*err = why;
			r = err_ctx(err, drop, "default runtime \"%s\"", h.name);
			drop = 0;
		}
		if (!drop) {
			if (!r)
				r = resolve_monitor(c, &h, err);
			c->runtimes[kept++] = h;
			continue;
		}
		if (h.origin && strv_pushf(warnings, "runtime handler \"%s\" is left out: %s",
					   h.name, why.message))
			r = err_oom(err);
		handler_done(&h);
	}
	c->n_runtimes = kept;
	return r;
}

static int resolve_cgroup_manager(struct config *c, struct cb_error *err)
{
	bool booted = access("/run/systemd/system", F_OK) == 0; /* as sd_booted(3) */
	int r = 0;

	if (!*c->cgroup_manager)
		r = replace(&c->cgroup_manager, strdup(booted ? "systemd" : "cgroupfs"), err);
	c->systemd_cgroups = streq(c->cgroup_manager, "systemd");
	if (!r && c->systemd_cgroups && !booted)
		r = err_set(err, E_INVALID,
			    "crio.runtime.cgroup_manager: \"systemd\", but this machine is not run by systemd; use "
			    "\"cgroupfs\", and cgroupDriver: cgroupfs in the kubelet");
	return r;
}

int config_resolve(struct config *c, char ***warnings, struct cb_error *err)
{
	int r;

	r = resolve_cgroup_manager(c, err);
	if (!r)
		r = resolve_handlers(c, warnings, err);
	if (!r)
		r = resolve_program(&c->pinns_path, "crid-pinns", find_beside,
				    "crio.runtime.pinns_path", err);
	if (!r)
		r = resolve_program(&c->worker_path, "crid-worker", find_beside,
				    "crio.runtime.worker_path", err);
	if (!r && !c->disable_hostport_mapping)
		r = resolve_program(&c->hostports_path, "crid-hostports", find_beside,
				    "crio.runtime.hostports_path", err);
	return r;
}
