/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcnic: network configurations and plugin calls of the Container Network Interface (CNI 0.3.0 to
 * 1.1.0), with libcni's cache files.
 *
 * Return values: 0 done; > 0 one of CNIC_E_*; < 0 a negative errno. Threads: a struct cnic may be used
 * from several threads; calls for one container must not overlap.
 */
#ifndef CNIC_H
#define CNIC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CNIC_ERROR_MESSAGE_MAX 1024

enum {
	CNIC_E_NO_NETWORK = 1,		/* no usable network configuration */
	CNIC_E_INVALID = 2,		/* configuration, argument or result malformed */
	CNIC_E_PLUGIN = 3,		/* a plugin reported an error: plugin_code tells its number */
	CNIC_E_TIMEOUT = 4,
	CNIC_E_NOT_CACHED = 5,		/* no cached result of this attachment */
	CNIC_E_UNSUPPORTED = 6,		/* the configuration's version has no such operation */
	CNIC_E_CANCELLED = 7,
};

struct cnic_error {
	int code;			/* CNIC_E_*, or 0 */
	int sys_errno;
	char message[CNIC_ERROR_MESSAGE_MAX];
	unsigned plugin_code;		/* CNI error code of CNIC_E_PLUGIN, e.g. 11 try again later */
};

struct cnic;
struct cnic_options;

int cnic_options_new(struct cnic_options **ret);
struct cnic_options *cnic_options_free(struct cnic_options *o);
int cnic_options_set_conf_dir(struct cnic_options *o, const char *path);		/* default /etc/cni/net.d */
int cnic_options_add_plugin_dir(struct cnic_options *o, const char *path);	/* default /opt/cni/bin when none */
int cnic_options_set_cache_dir(struct cnic_options *o, const char *path);		/* results dir; default /var/lib/cni/results */
int cnic_options_set_default_network(struct cnic_options *o, const char *name);	/* default: the first one */

/*
 * Runs one program to its end: env NULL-terminated and complete, input on stdin. Gives what it wrote
 * ([owned], limited to CNIC_OUTPUT_MAX each) and its wait status. timeout_ms -1: none; past it the
 * program is killed and the result is CNIC_E_TIMEOUT. Return 0, CNIC_E_*, negative errno.
 */
#define CNIC_OUTPUT_MAX (1u << 20)
typedef int (*cnic_run_fn)(void *user, const char *path, const char *const *env, const char *input,
			   size_t input_len, int timeout_ms, char **ret_out, size_t *ret_out_len,
			   char **ret_errout, int *ret_status);
/* Default: a runner of the library's own. */
int cnic_options_set_runner(struct cnic_options *o, cnic_run_fn run, void *user);

int cnic_new(const struct cnic_options *o, struct cnic **ret);
struct cnic *cnic_free(struct cnic *c);

/*
 * Reads the configurations again; to be called at start and when the directories change. CNIC_E_NO_NETWORK
 * with the reason when there is none usable; files that are malformed are named in the error.
 */
int cnic_reload(struct cnic *c, struct cnic_error *err);
/* Is the default network usable (files, plugins, STATUS where the version has it)? Runs plugins. */
int cnic_status(struct cnic *c, int timeout_ms, struct cnic_error *err);
/* [owned] name of the default network. */
int cnic_default_network(struct cnic *c, char **ret);

struct cnic_attachment {
	size_t size;			/* sizeof(struct cnic_attachment) */
	const char *network;		/* NULL: the default one */
	const char *container_id;
	const char *netns;		/* path; NULL or "" when it is gone (only DEL) */
	const char *ifname;		/* NULL: "eth0" */
	const char *const *args;	/* CNI_ARGS: key, value, key, value ..., NULL */
	const char *capabilities;	/* JSON object of capability arguments, or NULL */
	int timeout_ms;			/* per operation; -1: none */
};

/* The result of ADD in CNI 1.x terms. */
struct cnic_result;
struct cnic_result *cnic_result_free(struct cnic_result *r);
size_t cnic_result_ip_count(const struct cnic_result *r);
const char *cnic_result_ip(const struct cnic_result *r, size_t i);	/* address without prefix length, "10.88.0.2" */
const char *cnic_result_json(const struct cnic_result *r);		/* converted to 1.1.0, compact */

/* ADD of every plugin; on failure what was done is undone by DEL before returning. Caches the result. */
int cnic_attach(struct cnic *c, const struct cnic_attachment *a, struct cnic_result **ret, struct cnic_error *err);
/* DEL of every plugin in reverse, with the cached configuration and result; then the cache file goes. Idempotent. */
int cnic_detach(struct cnic *c, const struct cnic_attachment *a, struct cnic_error *err);
int cnic_check(struct cnic *c, const struct cnic_attachment *a, struct cnic_error *err);
/* Result in the cache; no plugin is run. CNIC_E_NOT_CACHED. */
int cnic_cached(struct cnic *c, const struct cnic_attachment *a, struct cnic_result **ret, struct cnic_error *err);
/* Removes the cache file whatever the plugins would say. */
int cnic_forget(struct cnic *c, const struct cnic_attachment *a, struct cnic_error *err);
/* [owned] container ids that have cached attachments; NULL-terminated, freed by cnic_strv_free(). */
int cnic_cached_containers(struct cnic *c, char ***ret, struct cnic_error *err);
char **cnic_strv_free(char **v);

#ifdef __cplusplus
}
#endif
#endif
