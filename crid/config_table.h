/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of options, shared by the files that read, check and print the configuration.
 */
#ifndef CRID_CONFIG_TABLE_H
#define CRID_CONFIG_TABLE_H

#include <cbase/json.h>
#include "config.h"

enum option_type {
	OPTION_STRING,
	OPTION_LIST, /* char **; as text: separated by commas */
	OPTION_BOOL,
	OPTION_INT,
	OPTION_SIZE,	 /* int64_t bytes; as text: "12MiB" */
	OPTION_RUNTIMES, /* name:path:root:type: a flag only, adds to the table of handlers */
};

enum {
	OPTION_SOURCE = 1, /* says where to read the others from, so it is read before them */
	OPTION_RELOAD = 2, /* a running daemon takes a new value */
};

/*
 * Checks the final value and may correct it; where is "file: key" or "flag --x", for the messages.
 * 0, E_INVALID, negative errno.
 */
typedef int option_check(void *value, const char *where, char ***warnings, struct cb_error *err);

struct option {
	const char *table; /* "crio.runtime"; NULL: only a flag */
	const char *key;
	const char *flag, *env; /* NULL: none */
	char letter;		/* short flag, or 0 */
	enum option_type type;
	size_t offset;	      /* in struct config or struct runtime_handler */
	const char *fallback; /* the default, as text */
	option_check *check;
	const char *doc;
	int hints;
};

/* An option of CRI-O that is not there yet; flag and env are derived from key when NULL. */
struct missing_option {
	const char *table, *key, *flag, *env;
	bool boolean;
};

extern const struct option config_options[];
extern const size_t config_n_options;
extern const struct option handler_options[];
extern const size_t handler_n_options;
extern const struct missing_option missing_options[];
extern const size_t n_missing_options;

static inline void *option_value(const struct option *o, void *object)
{
	return (char *)object + o->offset;
}

/* What reading needs besides the result. */
struct loader {
	struct config *c;
	char **origins; /* per option of the table: "file: key" or "flag --x"; NULL: default */
	char **warnings;
	size_t n_files;
	int argc;
	char **argv;
	bool sources; /* this pass sets the options marked OPTION_SOURCE, else all others */
	bool quiet;   /* the warnings of this pass will come again */
};

/* config.c. 0 or -ENOMEM */
int config_warn(struct loader *l, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* With the defaults; NULL when out of memory. */
struct runtime_handler *handler_new(const char *name, struct cb_error *err);
void handler_done(struct runtime_handler *h);
struct runtime_handler *handler_free(struct runtime_handler *h);
CB_DEFINE_CLEANUP(struct runtime_handler *, handler_free)
int handler_check_name(const char *name, const char *where, struct cb_error *err);
/* Moves the content of h into the configuration, in place of the handler of that name. */
int handler_put(struct config *c, struct runtime_handler *h, struct cb_error *err);

/* config_value.c */
int option_set_text(const struct option *o, void *object, const char *text, bool append,
		    const char *where, struct cb_error *err);
int option_set_json(const struct option *o, void *object, const struct json *v, const char *where,
		    struct cb_error *err);
int options_default(const struct option *table, size_t n, void *object, struct cb_error *err);
void options_done(const struct option *table, size_t n, void *object);
int set_string(char **p, const char *text, const char *where, struct cb_error *err);
int wrong_type(const char *where, const char *wanted, const struct json *v, struct cb_error *err);

/* config_print.c. "key = value" and a newline */
void option_print(struct str *out, const struct option *o, const void *object);

/* config_file.c. file is the name for messages; a missing one is -ENOENT */
int config_apply_file(struct loader *l, int dirfd, const char *name, const char *file,
		      struct cb_error *err);
int config_apply_dir(struct loader *l, int dirfd, const char *path, int depth,
		     struct cb_error *err);

/* config_args.c */
int config_apply_env(struct loader *l, struct cb_error *err);
int config_apply_flags(struct loader *l, struct cb_error *err);

/* config_check.c */
int config_check(struct config *c, char *const *origins, char ***warnings, struct cb_error *err);
option_check check_absolute, check_absolute_list, check_listen, check_message_size, check_log_level,
	check_cgroup_manager, check_monitor_cgroup, check_stop_timeout, check_create_timeout,
	check_log_size, check_log_format, check_regex, check_capabilities, check_ulimits, check_sysctls, check_env,
	check_short_name_mode, check_stream_address, check_stream_port, check_duration,
	check_tls_version, check_cipher_suites, check_not_empty, check_runtime_type, check_devices,
	check_period,
	check_pod_metrics;

#endif
