/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcimage: image references, registries, credentials, trust policy, manifests, and fetching images
 * through transports that are loaded on first use.
 *
 * Return values: 0 done; > 0 one of CIMAGE_E_*; < 0 a negative errno, unexpected. Out-parameters are
 * untouched on failure.
 *
 * Threads: a reference is immutable. A context is set up by one thread, then may be used by many.
 */
#ifndef CIMAGE_H
#define CIMAGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CIMAGE_ERROR_MESSAGE_MAX 1024

enum {
	CIMAGE_E_NOT_FOUND = 1,		/* the registry says there is no such image or blob */
	CIMAGE_E_DENIED = 2,		/* 401/403 after authentication */
	CIMAGE_E_POLICY = 3,		/* refused by policy.json */
	CIMAGE_E_DIGEST = 4,		/* content does not match its digest or size */
	CIMAGE_E_INVALID = 5,		/* reference, manifest, config or configuration file is malformed */
	CIMAGE_E_UNAVAILABLE = 6,	/* connection refused, name not resolved, no route, 5xx */
	CIMAGE_E_TLS = 7,		/* certificate or handshake */
	CIMAGE_E_BLOCKED = 8,		/* registries.conf blocks it */
	CIMAGE_E_PLATFORM = 9,		/* the index has no image for this platform */
	CIMAGE_E_UNSUPPORTED = 10,	/* a transport or media type this build does not have */
	CIMAGE_E_LIMIT = 11,		/* a documented limit was exceeded */
	CIMAGE_E_CANCELLED = 12,
	CIMAGE_E_AMBIGUOUS = 13,	/* a short name has several candidates and the mode is enforcing */
	CIMAGE_E_ARTIFACT = 14,		/* the manifest is not a container image */
	CIMAGE_E_BUSY = 15,		/* 429 after all retries */
};

struct cimage_error {
	int code;			/* CIMAGE_E_*, or 0 */
	int sys_errno;
	char message[CIMAGE_ERROR_MESSAGE_MAX];
};

/* ---- docker references ---- */

struct cimage_ref;

/* Normalised as docker does: "busybox" is docker.io/library/busybox:latest when default_tag is set. */
int cimage_ref_parse(const char *text, int default_tag, struct cimage_ref **ret, struct cimage_error *err);
struct cimage_ref *cimage_ref_free(struct cimage_ref *r);
const char *cimage_ref_string(const struct cimage_ref *r);	/* domain/path[:tag][@digest] */
const char *cimage_ref_name(const struct cimage_ref *r);	/* domain/path */
const char *cimage_ref_domain(const struct cimage_ref *r);
const char *cimage_ref_path(const struct cimage_ref *r);
const char *cimage_ref_tag(const struct cimage_ref *r);	/* NULL when none */
const char *cimage_ref_digest(const struct cimage_ref *r);	/* NULL when none */
/* Has the text a domain ("localhost/x", "example.com/x", "h:5000/x")? If not, it is a short name. */
int cimage_ref_is_short(const char *text);

/* ---- context: where configuration, credentials and policy come from ---- */

struct cimage_context;

int cimage_context_new(struct cimage_context **ret);
struct cimage_context *cimage_context_free(struct cimage_context *c);
/* NULL path: the usual places (containers-registries.conf(5), -auth.json(5), -policy.json(5), -certs.d(5)). */
int cimage_context_set_registries_conf(struct cimage_context *c, const char *path);
int cimage_context_set_registries_conf_dir(struct cimage_context *c, const char *path);
int cimage_context_set_policy(struct cimage_context *c, const char *path);
int cimage_context_set_auth_file(struct cimage_context *c, const char *path);
int cimage_context_set_certs_dir(struct cimage_context *c, const char *path);
/* Credentials of the caller: for the registry of the reference only, never for another host. */
int cimage_context_set_credentials(struct cimage_context *c, const char *user, const char *password);
/* NULL: this machine. "linux", "amd64", "". */
int cimage_context_set_platform(struct cimage_context *c, const char *os, const char *arch, const char *variant);
int cimage_context_set_user_agent(struct cimage_context *c, const char *text);
/* "enforcing" (default), "permissive" or "disabled": how a short name with several candidates is treated. */
int cimage_context_set_short_name_mode(struct cimage_context *c, const char *mode);
/* Becomes non-zero: what runs ends with CIMAGE_E_CANCELLED. */
int cimage_context_set_cancel(struct cimage_context *c, const int *cancel);
/* Directory of the transport modules; NULL: the installed one, or $CIMAGE_TRANSPORT_DIR. */
int cimage_context_set_transport_dir(struct cimage_context *c, const char *path);
/*
 * Reads configuration, policy, certificates and credentials now and opens the transport module, so
 * that fetching needs no further files: to be called before a process enters a sandbox.
 */
int cimage_context_prepare(struct cimage_context *c, const struct cimage_ref *r, struct cimage_error *err);

/*
 * What a short or full name may mean, by aliases and unqualified-search-registries of registries.conf:
 * [owned] NULL-terminated vector of full references, each and the vector free()d by cimage_strv_free().
 */
int cimage_resolve(struct cimage_context *c, const char *name, char ***ret, struct cimage_error *err);
char **cimage_strv_free(char **v);

/* ---- manifests ---- */

#define CIMAGE_MANIFEST_MAX (4u << 20)	/* bytes; also for configs */

struct cimage_layer {
	const char *digest;		/* of the blob */
	const char *media_type;
	int64_t size;			/* bytes of the blob */
	const char *diff_id;		/* of the uncompressed tar, from the config */
};

/* One image as it will be pulled: immutable, borrowed from the fetch. */
struct cimage_image;
const char *cimage_image_id(const struct cimage_image *i);		/* hex of the config digest */
const char *cimage_image_manifest(const struct cimage_image *i, size_t *ret_len);
const char *cimage_image_manifest_digest(const struct cimage_image *i);
const char *cimage_image_list(const struct cimage_image *i, size_t *ret_len);	/* the index it was chosen from, or NULL */
const char *cimage_image_list_digest(const struct cimage_image *i);			/* or NULL */
const char *cimage_image_config(const struct cimage_image *i, size_t *ret_len);
const char *cimage_image_config_digest(const struct cimage_image *i);
int64_t cimage_image_created(const struct cimage_image *i);				/* ns since 1970; 0 unknown */
size_t cimage_image_layer_count(const struct cimage_image *i);
const struct cimage_layer *cimage_image_layer(const struct cimage_image *i, size_t n);	/* base layer first */

/* What a stored config says: for a daemon that starts containers. [owned] handle. */
struct cimage_config;
int cimage_config_parse(const char *bytes, size_t len, struct cimage_config **ret, struct cimage_error *err);
struct cimage_config *cimage_config_free(struct cimage_config *c);
const char *cimage_config_user(const struct cimage_config *c);		/* "" when none; so below */
const char *cimage_config_working_dir(const struct cimage_config *c);
const char *cimage_config_stop_signal(const struct cimage_config *c);
const char *cimage_config_os(const struct cimage_config *c);
const char *cimage_config_architecture(const struct cimage_config *c);
const char *const *cimage_config_entrypoint(const struct cimage_config *c);	/* NULL-terminated; so below */
const char *const *cimage_config_cmd(const struct cimage_config *c);
const char *const *cimage_config_env(const struct cimage_config *c);
const char *const *cimage_config_volumes(const struct cimage_config *c);		/* container paths */
const char *const *cimage_config_labels(const struct cimage_config *c);		/* key, value, key, value ... */
int64_t cimage_config_created(const struct cimage_config *c);

/* ---- fetching ---- */

/*
 * Where fetched layers go. image() is called once, when manifest, policy and config are verified; it
 * fills fds[i] for each layer: a descriptor to write the blob to (owned by the fetch from then on,
 * closed at the end of the blob; may be a pipe) or -1 for a layer that is not needed. layer_done() is
 * called when layer n's bytes are all written and its digest and size are right, before its
 * descriptor is closed. progress() tells bytes received of layer n. Non-zero from image() or
 * layer_done() ends the fetch with that value. All are called from the thread of cimage_fetch().
 */
struct cimage_sink {
	size_t size;		/* sizeof(struct cimage_sink) */
	void *user;
	int (*image)(void *user, const struct cimage_image *image, int *fds, struct cimage_error *err);
	int (*layer_done)(void *user, size_t n, struct cimage_error *err);
	void (*progress)(void *user, size_t n, uint64_t bytes);
};

/*
 * Fetches ref through the docker transport: registries.conf (mirrors, rewriting), authentication,
 * manifest, platform, policy, config, then the layers the sink wants, in parallel.
 */
int cimage_fetch(struct cimage_context *c, const struct cimage_ref *ref, const struct cimage_sink *sink,
		 struct cimage_error *err);

/* ---- transports: modules register themselves through this ---- */

/*
 * A source of one image. manifest() returns [owned] bytes and media type of the manifest with that
 * digest, or the one the reference names (digest NULL). blobs() fetches all blobs of the set at once:
 * each goes through data() in order and in one thread; data() returning non-zero pauses that blob
 * (CIMAGE_PAUSE) until *resume_fd of the blob polls writable, or ends the transfer (any other value).
 */
#define CIMAGE_TRANSPORT_ABI 1
#define CIMAGE_PAUSE 1000
struct cimage_source;
struct cimage_blob_request {
	const char *digest;
	int64_t size;		/* -1 unknown */
	const char *const *urls;	/* foreign layers; NULL-terminated or NULL */
	void *user;
	int resume_fd;		/* waited on for writability while paused; -1: never pauses */
	int (*data)(void *user, const void *p, size_t n);
	int (*done)(void *user, int result);	/* 0 complete; non-zero return ends all */
};
struct cimage_transport {
	int abi;		/* CIMAGE_TRANSPORT_ABI */
	const char *name;	/* "docker" */
	int (*open)(struct cimage_context *c, const struct cimage_ref *ref, struct cimage_source **ret,
		    struct cimage_error *err);
	void (*close)(struct cimage_source *s);
	int (*manifest)(struct cimage_source *s, const char *digest, char **ret, size_t *ret_len,
			char **ret_type, struct cimage_error *err);
	int (*blobs)(struct cimage_source *s, struct cimage_blob_request *r, size_t n,
		     struct cimage_error *err);
};
/* A module exports: const struct cimage_transport cimage_transport_module; programs may add their own. */
int cimage_transport_register(const struct cimage_transport *t);

#ifdef __cplusplus
}
#endif
#endif
