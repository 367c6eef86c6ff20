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
struct cnic_network;
struct cnic_watch;

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
 * For runners: a random variable for the environment of one call ("CNIC_CALL=...", 0 or a negative
 * errno), and the end of every process that has it there. What the program started inherits it, so
 * that it is found wherever it went.
 */
#define CNIC_MARK_MAX 43
int cnic_mark_make(char out[CNIC_MARK_MAX]);
void cnic_mark_kill(const char *mark);
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
 * cnic_network_status() - is a network usable?
 * @network:    name; NULL: the default network
 * @timeout_ms: for all plugins together; -1: none
 *
 * Its plugins must exist; from CNI 1.1.0 on they are asked by STATUS, in order, up to the first
 * that fails.
 *
 * Return: 0; CNIC_E_NO_NETWORK as cnic_reload() found it; CNIC_E_INVALID plugin missing;
 *         CNIC_E_PLUGIN (codes 50 and 51: not available, for new containers or at all);
 *         CNIC_E_TIMEOUT; negative errno.
 */
int cnic_network_status(struct cnic *c, const char *network, int timeout_ms, struct cnic_error *err);
int cnic_status(struct cnic *c, int timeout_ms, struct cnic_error *err); /* of the default one */
/* [owned] name of the default network, free(); CNIC_E_NO_NETWORK, -ENOMEM. */
int cnic_default_network(struct cnic *c, char **ret);

/*
 * [owned] the networks loaded now, in the order of their files; NULL-terminated, freed by
 * cnic_networks_free(), which accepts NULL. They stay what they are when others are loaded. 0,
 * -EINVAL, -ENOMEM.
 */
int cnic_networks(struct cnic *c, struct cnic_network ***ret);
struct cnic_network **cnic_networks_free(struct cnic_network **v);
/* [borrowed] */
const char *cnic_network_name(const struct cnic_network *n);
const char *cnic_network_version(const struct cnic_network *n);	/* that is spoken: "1.0.0" */
const char *cnic_network_file(const struct cnic_network *n);	/* in the configuration directory */
/* [borrowed] type of plugin i, capability argument i that some plugin understands; NULL: no more. */
const char *cnic_network_plugin(const struct cnic_network *n, size_t i);
const char *cnic_network_capability(const struct cnic_network *n, size_t i);
/* [owned] the configuration of plugin i as the list has it, a JSON object. 0, -EINVAL no such plugin, -ENOMEM. */
int cnic_network_config(const struct cnic_network *n, size_t i, char **ret);

/**
 * cnic_watch_new() - be told when cnic_reload() may give something else
 * @ret: [owned] cnic_watch_free(), before cnic_free()
 *
 * Uses one inotify instance. Watches the configuration directory, the plugin directories, the
 * folders of loaded networks, and the directories above all of them: what is missing now, or is
 * replaced later, is noticed when it comes. The caller polls cnic_watch_fd() for input and then
 * calls cnic_watch_dispatch(), which does not block and sets *ret_changed to 1 when he is to call
 * cnic_reload(), else to 0. To be called after a reload, too, when lists have plugins in folders.
 * One thread at a time.
 *
 * Return: 0; negative errno: -EMFILE or -ENOSPC when the system has no more instances or watches;
 *         then cnic_reload() now and then does as well, it costs little when nothing changed.
 */
int cnic_watch_new(struct cnic *c, struct cnic_watch **ret, struct cnic_error *err);
int cnic_watch_fd(const struct cnic_watch *w);
int cnic_watch_dispatch(struct cnic_watch *w, int *ret_changed, struct cnic_error *err);
struct cnic_watch *cnic_watch_free(struct cnic_watch *w);

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
/* [borrowed] converted to 1.1.0, compact, as libcni 1.3 prints it: members sorted, no empty dns. */
const char *cnic_result_json(const struct cnic_result *r);

/**
 * cnic_attach() - ADD of every plugin, in order
 * @ret: [owned, optional] result of the last plugin; cnic_result_free()
 *
 * Each plugin gets the result of the one before, in the list's version. The result is cached,
 * power-safe, before this returns. On failure the plugins that ran get DEL in reverse, with the
 * last good result and as much time again (5 to 60 s together); what goes wrong in that is added to
 * the message.
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
 * that fails and keeps the cache file, so that it can be tried again; other networks of an
 * attachment that names none are detached all the same. Doing it twice, or without a namespace, is
 * fine.
 *
 * Return: 0; CNIC_E_NO_NETWORK neither cached nor configured; others as cnic_attach().
 */
int cnic_detach(struct cnic *c, const struct cnic_attachment *a, struct cnic_error *err);

/*
 * As cnic_detach(), but every plugin gets its DEL whatever the others say, so that one that is broken
 * or missing does not keep the rest from releasing what they have. The cache file goes only when
 * none failed; the errors are joined.
 */
int cnic_release(struct cnic *c, const struct cnic_attachment *a, struct cnic_error *err);

/**
 * cnic_attach_all() - ADD to several networks at once
 * @v:   n of them, with different network or interface; up to 64
 * @ret: [owned, optional] n results, in that order
 *
 * Each has a thread of its own for the time of the call, with all signals blocked. All or nothing:
 * when one fails the others are detached, and the error is that of the first one in @v that failed.
 */
int cnic_attach_all(struct cnic *c, const struct cnic_attachment *const *v, size_t n,
		    struct cnic_result **ret, struct cnic_error *err);
/* DEL of several at once; all are tried, the error is the first one's that failed. */
int cnic_detach_all(struct cnic *c, const struct cnic_attachment *const *v, size_t n,
		    struct cnic_error *err);

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
/**
 * cnic_gc() - release what belongs to nobody
 * @network:    name; NULL: the default network
 * @valid:      container id, interface, ... NULL: all attachments that are to stay
 * @timeout_ms: for everything together; -1: none
 *
 * Every cached attachment of the network that is not in @valid gets DEL, as cnic_detach() does it,
 * without its namespace unless that is still there; then, from CNI 1.1.0 on, each plugin gets GC
 * with @valid. All is tried; the errors are joined. Nothing is done for a list with disableGC. No
 * attachment that is missing in @valid may be in the making.
 *
 * Return: 0; CNIC_E_NO_NETWORK; CNIC_E_INVALID @valid; the first failure, as cnic_detach().
 */
int cnic_gc(struct cnic *c, const char *network, const char *const *valid, int timeout_ms,
	    struct cnic_error *err);

/*
 * Calls fn for every cached attachment of this container (NULL: of all), by file name, until it
 * returns other than 0; that is then the result. What it is given is [borrowed] for the call;
 * result is NULL when it is damaged. Files that are no cached attachments are passed over.
 */
typedef int (*cnic_visit_fn)(void *user, const struct cnic_attachment *a,
			     const struct cnic_result *result);
int cnic_cached_each(struct cnic *c, const char *container_id, cnic_visit_fn fn, void *user,
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
