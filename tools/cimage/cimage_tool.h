/* SPDX-License-Identifier: Apache-2.0 */
/* cimage: what its commands share. */
#ifndef CIMAGE_TOOL_H
#define CIMAGE_TOOL_H

#include <cimage.h>
#include <tool.h>

/* Options of one registry: with a command for one place, or of the source or destination of a copy. */
struct side {
	const char *tls_verify, *creds, *cert_dir, *authfile;
	bool no_creds;
};

/* Options of all commands. */
struct settings {
	const char *policy, *registries_conf, *registries_d, *blob_cache, *os, *arch, *variant;
	bool insecure_policy, json, quiet;
	long long stall_timeout;
};
extern struct settings settings;

#define SIDE_OPTIONS(side, prefix, of)                                                                        \
	{ 0, prefix "tls-verify", OPT_STRING, &(side).tls_verify, "BOOL",                                     \
	  "false: plain HTTP and unverified TLS are fine" of },                                               \
	{ 0, prefix "creds", OPT_STRING, &(side).creds, "USER[:PASSWORD]", "credentials" of },                \
	{ 0, prefix "no-creds", OPT_FLAG, &(side).no_creds, NULL, "use no credentials" of },                  \
	{ 0, prefix "cert-dir", OPT_STRING, &(side).cert_dir, "DIRECTORY", "has *.crt, *.cert and *.key" of },  \
	{ 0, prefix "authfile", OPT_STRING, &(side).authfile, "FILE", "with credentials" of }

/* A context with all that was asked for; exit status, after complaining. */
int setup_context(const struct side *side, struct cimage_context **ret);
int setup_place(struct cimage_context *c, const char *text, struct cimage_place **ret);
/* "true" or "false"; exit status. */
int parse_bool(const char *option, const char *text, bool *ret);
/* Says what went wrong, and what could help; returns EXIT_FAILURE. */
int complain_error(int r, const struct cimage_error *err);
/* Becomes non-zero at the first Ctrl-C. */
extern int cancelled;
int watch_interrupt(void);

CB_DEFINE_CLEANUP(struct cimage_context *, cimage_context_free)
CB_DEFINE_CLEANUP(struct cimage_place *, cimage_place_free)
CB_DEFINE_CLEANUP(struct cimage_copy_options *, cimage_copy_options_free)
CB_DEFINE_CLEANUP(struct cimage_ref *, cimage_ref_free)

/* One copy with bars, repeated when the network fails. */
struct copy_job {
	struct cimage_context *from_context, *to_context;
	struct cimage_copy_options *options;
	long long retries;
	bool quiet;
};
int copy_with_bars(const struct copy_job *j, const struct cimage_place *from, const struct cimage_place *to,
		   char **ret_digest);

extern const struct command cmd_copy, cmd_delete, cmd_inspect, cmd_list_tags, cmd_manifest_digest, cmd_sync;

#endif
