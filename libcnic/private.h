/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside libcnic, from the bottom: names and versions, results, networks (parsed configurations),
 * plans (the environment and stdin document of a call), plugins (running a plan and reading the
 * answer), the cache, and the operations on top.
 */
#ifndef CNIC_PRIVATE_H
#define CNIC_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <cbase/cleanup.h>
#include <cbase/err.h>
#include <cbase/io.h>
#include <cbase/json.h>
#include <cbase/str.h>
#include "cnic.h"

#define PUBLIC __attribute__((visibility("default")))

#define CONF_FILE_MAX (1u << 20)    /* one configuration file */
#define CONF_FILES_MAX 1024	    /* files looked at in the configuration directory */
#define PLUGINS_MAX 64		    /* plugins in one list, inlined and from its folder */
#define CAPABILITIES_MAX (1u << 20) /* capability arguments of an attachment */
#define ARGS_MAX 64		    /* pairs in CNI_ARGS */
#define CACHE_FILE_MAX                                                                             \
	(8u << 20)	       /* config in base64, capabilities and result: above what we write */
#define PROBE_TIMEOUT_MS 10000 /* VERSION */
#define PROBES_MAX 256	       /* remembered VERSION answers */
#define PARALLEL_MAX 64	       /* attachments of one call, each with a thread */
/* DEL after a failed ADD, all plugins together: as long as the ADD had, but within these. */
#define UNDO_MIN_MS 5000
#define UNDO_MAX_MS 60000

#define CNI_VERSION_CURRENT "1.1.0"
#define CNI_VERSION_UNSET "0.1.0" /* what a configuration without cniVersion means */

/* ---- name.c ---- */
bool name_valid(const char *s); /* container ids and network names */
bool ifname_valid(const char *s);
bool plugin_type_valid(const char *s);
/* Bytes for an error message: valid UTF-8, one line, shortened. */
void text_append_clean(struct str *out, const char *p, size_t n);
/* The same in quotes, with escapes as Go's %q writes them: nothing is lost but what is too long. */
void text_append_quoted(struct str *out, const char *p, size_t n);
/* As json_parse(), of bytes that must be UTF-8 throughout. */
int text_parse_json(const char *p, size_t n, int flags, struct json_doc **ret,
		    struct cb_error *why);

/* ---- version.c ---- */
bool version_valid(const char *v);
int version_compare(const char *a, const char *b); /* <0, 0, >0; both valid */
static inline bool version_at_least(const char *v, const char *min)
{
	return version_compare(v, min) >= 0;
}
bool version_known(const char *v); /* one of those whose formats we know */

/* ---- result.c: kept in the form of CNI 1.1.0 ---- */
struct cnic_result {
	char *version; /* in which it was given */
	struct json_doc *doc;
	char **ips;
	char *text;
};
CB_DEFINE_CLEANUP(struct cnic_result *, cnic_result_free)
#define _cleanup_result_ _cleanup_(cnic_result_freep)

/* Any version's; one that names no version has config_version. 0, CNIC_E_INVALID, -ENOMEM. */
int result_parse(const struct json *v, const char *config_version, struct cnic_result **ret,
		 struct cnic_error *err);
/* A new tree in doc in the form of that version. NULL when out of memory. */
struct json *result_as(const struct cnic_result *r, const char *version, struct json_doc *doc);

/* ---- network.c ---- */
struct plugin {
	const char *type;
	const struct json *conf;
};

/* A parsed list; never changes, shared by reference. */
struct cnic_network {
	atomic_uint refs;
	char *name;
	char *version;
	bool disable_check, disable_gc;
	char **capabilities; /* of any plugin, in order of appearance */
	char *file;	     /* it was loaded from; NULL */
	char *bytes; /* what goes into the cache */
	size_t len;
	struct json_doc *doc;
	struct json_doc *folder; /* plugins from <dir>/<name>/, or NULL */
	struct plugin *plugins;
	size_t n_plugins;
};
struct cnic_network *network_ref(struct cnic_network *n);
struct cnic_network *network_unref(struct cnic_network *n);
CB_DEFINE_CLEANUP(struct cnic_network *, network_unref)
#define _cleanup_network_ _cleanup_(network_unrefp)

/* dir_fd: where to look for the list's folder; -1 when there is none (cached lists). */
int network_parse_list(const char *p, size_t len, int dir_fd, struct cnic_network **ret,
		       struct cnic_error *err);
/* One plugin's configuration, wrapped into a list of one. */
int network_parse_single(const char *p, size_t len, struct cnic_network **ret, struct cnic_error *err);

/* ---- load.c ---- */
struct network_set {
	atomic_uint refs;
	struct cnic_network **networks; /* in order, unique names */
	size_t n;
	struct cnic_network *standard; /* [borrowed] the default network, or NULL */
	char *trouble;		  /* why there is none and which files were skipped; never NULL */
};
struct network_set *network_set_ref(struct network_set *s);
struct network_set *network_set_unref(struct network_set *s);
CB_DEFINE_CLEANUP(struct network_set *, network_set_unref)
#define _cleanup_network_set_ _cleanup_(network_set_unrefp)
struct cnic_network *network_set_find(const struct network_set *s, const char *name);
int load_networks(struct cnic *c, struct network_set **ret, struct cnic_error *err);
/* Names of files in a directory that end in one of the suffixes, sorted. -E2BIG: more than max. */
int list_names(int dir_fd, const char *const *suffixes, size_t max, char ***ret);

/* ---- plan.c ---- */
struct call {
	const char *command;	  /* "ADD" ... */
	const char *container_id; /* these three NULL where the command has none */
	const char *netns;
	const char *ifname;
	char *const *args; /* key, value, ... or NULL */
	const struct json *capabilities;
	const struct cnic_result *previous;
	const char *const *valid; /* of GC: container id, interface, ... */
	bool finish; /* an undo: a cancelled operation runs it, too */
};
struct plan {
	char **env;
	char *input;
	size_t input_len;
	bool finish; /* not to be cancelled */
};
void plan_done(struct plan *p);
#define _cleanup_plan_ _cleanup_(plan_done)
/* The base environment without the variables that a plan sets. */
int plan_base_env(char *const *environment, char ***ret);
int plan_plugin(const struct cnic *c, const struct cnic_network *n, size_t i, const struct call *call,
		struct plan *ret);
int plan_probe(const struct cnic *c, struct plan *ret);

/* ---- run.c ---- */
/* user: NULL, or int *: a descriptor that is readable when the call is to be given up, or -1. */
int run_default(void *user, const char *path, const char *const *env, const char *input,
		size_t input_len, int timeout_ms, char **ret_out, size_t *ret_out_len,
		char **ret_errout, int *ret_status);

/* ---- plugin.c ---- */
int64_t deadline_after(int timeout_ms);
int plugin_find(const struct cnic *c, const char *type, char **ret, struct stat *ret_st,
		struct cnic_error *err);
/* ret_result: of ADD only. */
int plugin_call(struct cnic *c, const struct cnic_network *n, size_t i, const struct call *call,
		int64_t deadline, struct cnic_result **ret_result, struct cnic_error *err);
/* Runs a plan; 0 with its stdout, or CNIC_E_*. */
int plugin_run(struct cnic *c, const char *path, const struct plan *plan, int64_t deadline,
	       struct json_doc **ret, struct cnic_error *err);

/* ---- probe.c ---- */
struct probe;
void probes_free(struct probe *list);
/* Does this plugin exist and list exactly that version? */
int probe_supports(struct cnic *c, const char *type, const char *version, struct cnic_error *err);

/* ---- cache.c ---- */
struct record {
	struct json_doc *doc;
	char *name;   /* of the file */
	char *config; /* list bytes, or NULL (a bare result, as old libcni wrote) */
	size_t config_len;
	const char *network, *container_id, *ifname; /* [of doc] NULL in a bare result */
	char **args;
	const struct json *capabilities;
	const struct json *result;
};
struct record *record_free(struct record *r);
CB_DEFINE_CLEANUP(struct record *, record_free)
#define _cleanup_record_ _cleanup_(record_freep)

int cache_save(const struct cnic *c, const struct cnic_network *n, const struct call *call,
	       const struct cnic_result *result, struct cnic_error *err);
/* 0, CNIC_E_NOT_CACHED, CNIC_E_INVALID when damaged. */
int cache_load(const struct cnic *c, const char *network, const char *container_id,
	       const char *ifname, struct record **ret, struct cnic_error *err);
int cache_remove(const struct cnic *c, const char *network, const char *container_id,
		 const char *ifname, struct cnic_error *err);
/* Takes away what killed writers left half written. */
int cache_sweep(const struct cnic *c, struct cnic_error *err);
/*
 * One call per file that holds a well-formed record of such a name's end (NULL: any), by name.
 * Others are passed over, as in libcni. fn returns 0 or -ENOMEM, and may remove the file.
 */
int cache_each(const struct cnic *c, const char *suffix,
	       int (*fn)(const struct record *, void *), void *arg, struct cnic_error *err);
/* Network names that this container and interface have records of, other than bare results. */
int cache_networks(const struct cnic *c, const char *container_id, const char *ifname, char ***ret,
		   struct cnic_error *err);

/* ---- request.c ---- */
/* A checked struct cnic_attachment, and what its JSON argument was parsed into. */
struct request {
	const char *network, *container_id, *netns, *ifname;
	char **args;
	struct json_doc *capabilities;
	int timeout_ms;
	int64_t deadline;
};
void request_done(struct request *q);
#define _cleanup_request_ _cleanup_(request_done)
int request_read(struct request *q, const struct cnic *c, const struct cnic_attachment *a,
		 bool need_netns, struct cnic_error *err);
/* [owned reference] name NULL: the default one. CNIC_E_NO_NETWORK. */
int network_find(struct cnic *c, const char *name, struct cnic_network **ret,
		 struct cnic_error *err);

/* ---- attached.c ---- */
/* DEL on that network and the end of the cache file. all: not only up to the first that fails. */
int detach(struct cnic *c, const struct request *q, const char *name, bool all,
	   struct cnic_error *err);

/* ---- cnic.c ---- */
struct cnic_options {
	char *conf_dir, *cache_dir, *default_network;
	char **plugin_dirs;
	cnic_run_fn run;
	void *user;
	int cancel_fd; /* -1: none */
};

struct cnic {
	struct cnic_options o;
	char **base_env;
	pthread_mutex_t lock;	   /* set and probes */
	pthread_mutex_t reloading; /* one reload at a time */
	struct network_set *set;
	struct probe *probes;
};

/* Appends to the message as much as fits; err may be NULL. */
void err_add(struct cnic_error *err, const char *before, const char *text);
/* [owned reference] the networks as of now. */
struct network_set *networks_now(struct cnic *c);
static inline void err_start(struct cnic_error *err)
{
	if (err) {
		err->code = err->sys_errno = 0;
		err->message[0] = 0;
		err->plugin_code = 0;
	}
}

#endif
