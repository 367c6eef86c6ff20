/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcnic: network configurations and plugin calls of the Container Network Interface (CNI
 * specification 0.1.0 to 1.1.0), with libcni's cache files.
 *
 * A struct cnic knows the networks of one configuration directory. An attachment is one container's
 * interface on one network: cnic_attach() runs the network's plugins with ADD and remembers in the
 * cache what they said and what they were told, cnic_detach() runs them with DEL from that. Nothing
 * is kept in memory between the two.
 *
 * Return values: 0 done; > 0 one of CNIC_E_*; < 0 a negative errno. On failure err (NULL is fine)
 * says what was being done, to which network and plugin, and why it failed; ret_* arguments are
 * untouched.
 *
 * Threads: a struct cnic may be used from several threads; calls for one container must not
 * overlap. Calls block for as long as the plugins take. The environment that plugins get is this
 * process's at cnic_new().
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
	CNIC_E_INVALID = 2,		/* malformed configuration, argument, result; no plugin */
	CNIC_E_PLUGIN = 3,		/* a plugin reported an error: see plugin_code */
	CNIC_E_TIMEOUT = 4,
	CNIC_E_NOT_CACHED = 5,		/* no cached result of this attachment */
	CNIC_E_UNSUPPORTED = 6,		/* the configuration's version has no such operation */
	CNIC_E_CANCELLED = 7,
};

struct cnic_error {
	int code;			/* CNIC_E_*, or 0 */
	int sys_errno;
	char message[CNIC_ERROR_MESSAGE_MAX];	/* UTF-8, one line */
	unsigned plugin_code;		/* of CNIC_E_PLUGIN: CNI code, e.g. 11 try again; 0: none */
};

struct cnic;
struct cnic_options;

/* Options copy what they are given: 0, -EINVAL (a path that is not absolute), -ENOMEM. */
int cnic_options_new(struct cnic_options **ret);
struct cnic_options *cnic_options_free(struct cnic_options *o);
/* Default /etc/cni/net.d. */
int cnic_options_set_conf_dir(struct cnic_options *o, const char *path);
/* May be called several times; the first directory that has a plugin wins. Default /opt/cni/bin. */
int cnic_options_add_plugin_dir(struct cnic_options *o, const char *path);
/* Where the cache files are themselves; made when missing. Default /var/lib/cni/results. */
int cnic_options_set_cache_dir(struct cnic_options *o, const char *path);
/* NULL or "": the first one loaded. Also CNIC_E_INVALID. */
int cnic_options_set_default_network(struct cnic_options *o, const char *name);

/*
 * Runs one program to its end: env NULL-terminated and complete, input on stdin. Gives what it
 * wrote ([owned] by the caller, who calls free(); limited to CNIC_OUTPUT_MAX each; ret_errout ends
 * in NUL) and its wait status. timeout_ms -1: none; past it the program is killed and the result is
 * CNIC_E_TIMEOUT. Return 0, CNIC_E_TIMEOUT, CNIC_E_CANCELLED, or a negative errno: -EFBIG when it
 * wrote too much to stdout, -EBUSY when it ended but its output did not (a child holds it open),
 * -ETXTBSY to be called again. With these it may give ret_errout all the same. May be called from
 * several threads at once.
 */
#define CNIC_OUTPUT_MAX (1u << 20)
typedef int (*cnic_run_fn)(void *user, const char *path, const char *const *env, const char *input,
			   size_t input_len, int timeout_ms, char **ret_out, size_t *ret_out_len,
			   char **ret_errout, int *ret_status);
/*
 * Default (also for run NULL): a runner of the library's own. It starts the program as leader of a
 * process group with nothing inherited but its input and two pipes, and reaps it itself: a program
 * that reaps all its children by wait(-1), or ignores SIGCHLD, must bring its own. A call that
 * reaches its deadline, floods, is cancelled or killed, or whose output is still open 5 s after its
 * end, leaves no process: the group is killed, and what left it is found by the variable CNIC_CALL
 * (random) in its environment. A daemon that closed its output and was started by a call that went
 * well is left alone.
 */
int cnic_options_set_runner(struct cnic_options *o, cnic_run_fn run, void *user);
/*
 * For the default runner: while this descriptor (borrowed; -1: none) polls readable, what runs is
 * killed and calls end in CNIC_E_CANCELLED. What undoes a cancelled ADD runs nevertheless.
 */
int cnic_options_set_cancel_fd(struct cnic_options *o, int fd);

/* o is copied; NULL for defaults. Loads nothing: see cnic_reload(). */
int cnic_new(const struct cnic_options *o, struct cnic **ret);
/* No call may be running. NULL is fine; returns NULL. */
struct cnic *cnic_free(struct cnic *c);

/**
 * cnic_reload() - read the configuration directory (again)
 * @err: [optional]; on success its message is "", or names the files that were skipped and why
 *
 * To be called at start and whenever the configuration or plugin directories change. Files
 * *.conflist hold a list; *.conf and *.json one plugin. They are read in lexical order, up to 1 MiB
 * each; of two networks with one name the first counts; the first network is the default one unless
 * the options name another. A list without loadOnlyInlinedPlugins also takes the plugins of the
 * folder of its name. Only files whose plugins all exist and answer VERSION with the list's version
 * are taken; the answers are remembered while the program files do not change.
 *
 * Context: runs plugins the first time, 10 s at most for each.
 * Return: 0; CNIC_E_NO_NETWORK no default network, which @err explains; a negative errno when the
 *         directory cannot be read: then what was loaded before stays. A missing directory is an
 *         empty one.
 */
int cnic_reload(struct cnic *c, struct cnic_error *err);

/**
 * cnic_status() - is the default network usable?
 * @timeout_ms: for all plugins together; -1: none
 *
 * Its plugins must exist; from CNI 1.1.0 on they are asked by STATUS.
 *
 * Return: 0; CNIC_E_NO_NETWORK as cnic_reload() found it; CNIC_E_INVALID plugin missing;
 *         CNIC_E_PLUGIN (codes 50 and 51: not available, for new containers or at all);
 *         CNIC_E_TIMEOUT; negative errno.
 */
int cnic_status(struct cnic *c, int timeout_ms, struct cnic_error *err);
/* [owned] name of the default network, free(); CNIC_E_NO_NETWORK, -ENOMEM. */
int cnic_default_network(struct cnic *c, char **ret);

struct cnic_attachment {
	size_t size;			/* sizeof(struct cnic_attachment) */
	/* NULL: the default one for ADD; otherwise all it is cached on, or else the default one */
	const char *network;
	const char *container_id;	/* letters, digits, "_.-", the first a letter or digit */
	const char *netns;		/* absolute; NULL or "" when gone (not for ADD, CHECK) */
	const char *ifname;		/* up to 15 bytes; NULL: "eth0" */
	/* CNI_ARGS: key, value ..., NULL; up to 64 pairs, without ';' '=' and control characters */
	const char *const *args;
	/*
	 * JSON object of capability arguments, up to 1 MiB, or NULL. The cache sorts its members;
	 * what they hold is kept in the order given, which for libcni's bytes is that of its
	 * caller's structs.
	 */
	const char *capabilities;
	int timeout_ms;			/* per operation, all plugins together; -1: none */
};

/* The result of ADD in CNI 1.x terms. */
struct cnic_result;
struct cnic_result *cnic_result_free(struct cnic_result *r);
size_t cnic_result_ip_count(const struct cnic_result *r);
/* [borrowed] address without prefix length, "10.88.0.2", in the plugin's order; or NULL. */
const char *cnic_result_ip(const struct cnic_result *r, size_t i);
/* [borrowed] converted to 1.1.0, compact, members in the order of libcni. */
const char *cnic_result_json(const struct cnic_result *r);

/**
 * cnic_attach() - ADD of every plugin, in order
 * @ret: [owned, optional] result of the last plugin; cnic_result_free()
 *
 * Each plugin gets the result of the one before, in the list's version. The result is cached,
 * power-safe, before this returns. On failure the plugins that ran get DEL in reverse, with the
 * last good result and a minute of their own; what goes wrong in that is added to the message.
 *
 * Return: 0; CNIC_E_NO_NETWORK no such network; CNIC_E_INVALID argument, plugin or result;
 *         CNIC_E_PLUGIN; CNIC_E_TIMEOUT; CNIC_E_CANCELLED the runner's word; negative errno.
 */
int cnic_attach(struct cnic *c, const struct cnic_attachment *a, struct cnic_result **ret,
		struct cnic_error *err);

/**
 * cnic_detach() - DEL of every plugin, in reverse; then the cache file goes
 *
 * Configuration, CNI_ARGS and capability arguments are those of the ADD where they are cached, else
 * the loaded configuration and @a's. A damaged cache file counts as none. Stops at the first plugin
 * that fails and keeps the cache file, so that it can be tried again. Doing it twice, or without a
 * namespace, is fine.
 *
 * Return: 0; CNIC_E_NO_NETWORK neither cached nor configured; others as cnic_attach().
 */
int cnic_detach(struct cnic *c, const struct cnic_attachment *a, struct cnic_error *err);

/**
 * cnic_check() - CHECK of every plugin, with the cached configuration and result
 *
 * Return: 0, also when the list has disableCheck; CNIC_E_NOT_CACHED; CNIC_E_UNSUPPORTED version
 *         below 0.4.0; others as cnic_attach().
 */
int cnic_check(struct cnic *c, const struct cnic_attachment *a, struct cnic_error *err);
/* Result in the cache, [owned]; no plugin is run. CNIC_E_NOT_CACHED; CNIC_E_INVALID damaged. */
int cnic_cached(struct cnic *c, const struct cnic_attachment *a, struct cnic_result **ret,
		struct cnic_error *err);
/* Removes the cache file whatever the plugins would say; none is fine. */
int cnic_forget(struct cnic *c, const struct cnic_attachment *a, struct cnic_error *err);
/*
 * [owned] container ids that have cached attachments; NULL-terminated, freed by cnic_strv_free().
 * Damaged files are passed over.
 */
int cnic_cached_containers(struct cnic *c, char ***ret, struct cnic_error *err);
char **cnic_strv_free(char **v);
/*
 * Unlinks what writers that were killed left half written in the cache directory. Only for the one owner
 * of that directory, at its start: nobody else may be attaching.
 */
int cnic_sweep(struct cnic *c, struct cnic_error *err);

#ifdef __cplusplus
}
#endif
#endif
