/* SPDX-License-Identifier: Apache-2.0 */
/* Talking to one registry endpoint: the distribution protocol. */
#ifndef CIMAGE_CLIENT_H
#define CIMAGE_CLIENT_H

#include "challenge.h"
#include "http.h"
#include "url.h"

#define PARALLEL_MAX 6			/* blobs at once */
#define REDIRECTS_MAX 10
#define BUSY_ATTEMPTS 5			/* all together, when the answer is 429 */
#define FAILED_ATTEMPTS 3		/* when it is 408 or 5xx, or breaks off and is no blob */
#define BUSY_DELAY_MAX 60		/* s */
#define TOKEN_BODY_MAX (1u << 20)
#define TOKEN_MAX (64u << 10)
#define ERROR_BODY_MAX (1u << 20)
#define RECONNECT_PROGRESS (1u << 20)	/* bytes since the last break that earn another try */
#define RECONNECT_SECONDS 60		/* or this long */

/* A Bearer token for one scope. */
struct token {
	char *scope, *value;		/* value is the header's: "Bearer ..." */
	int64_t expires;		/* mono_ns() */
};

struct json;

struct client {
	struct cimage_context *ctx;
	const struct cimage_endpoint *endpoint;
	struct http *http;
	struct url base;		/* https://host[:port]/v2/ */
	struct challenge *challenges;
	size_t challenge_count;
	bool has_extension;		/* the registry keeps simple signatures itself */
	bool no_repository;		/* only /v2/ is asked for: tokens are for no scope */
	char *basic;			/* "Basic ..." of the endpoint's credentials, or NULL */
	const char *actions;		/* in the scope of tokens: "pull", "pull,push", "*" */
	struct token tokens[2];		/* for pulling; for an additional scope it asked for */
};

enum call_state { CALL_READY, CALL_RUNNING, CALL_DONE };
enum call_auth { AUTH_REGISTRY, AUTH_TOKEN_SERVICE, AUTH_NONE };

/*
 * One request with all it takes: authorization, redirects, waiting, going on
 * after a break. READY until not_before has come and a place is free, RUNNING while x runs, and READY
 * again for the next attempt.
 */
struct call {
	enum call_state state;
	enum call_auth auth;
	struct url first, now;		/* now: after redirects; text NULL: as first */
	const char *const *accept;
	char *form;
	const char *method;		/* NULL: GET, or POST of the form */
	const void *body;		/* borrowed; sent again when the request is repeated */
	size_t body_len;
	const char *content_type;
	char content_range[64];
	bool any_status;		/* what the registry says is an answer, whatever it is; not 401, 429 */
	size_t limit;			/* of a collected body */
	struct cimage_blob_request *blob;	/* NULL: the body is collected in x */
	bool any_401;			/* ping: 401 is an answer */
	bool once;			/* never repeated: who sends it knows how to go on */
	int64_t not_before;
	int redirects, attempts;
	bool authorized_again;
	char *extra_scope;
	uint64_t delivered, discard;
	bool placed;			/* the position of this attempt's body is checked */
	int reconnects;
	uint64_t mark_bytes;		/* at the last break */
	int64_t mark_time;
	struct exchange x;
};

#define ACTIONS_PULL "pull"
#define ACTIONS_PUSH "pull,push"
#define ACTIONS_DELETE "*"

/* Pings the registry, over https or, where allowed, http. actions: a constant, of what will be done. */
int client_new(struct cimage_context *c, const struct cimage_endpoint *e, const char *actions, struct client **ret,
	       struct cimage_error *err);
/* Another one for the same, for another thread: without a ping. */
int client_clone(const struct client *cl, struct client **ret, struct cimage_error *err);
struct client *client_free(struct client *cl);
/* Does /v2/ accept the endpoint's credentials? CIMAGE_E_DENIED. */
int client_login(struct cimage_context *c, const struct cimage_endpoint *e, struct cimage_error *err);
/* reference: tag or digest. */
int client_manifest(struct client *cl, const char *reference, char **ret, size_t *ret_len, char **ret_type,
		    struct cimage_error *err);
/* A whole answer, [owned]. AUTH_NONE: from anywhere, also over plain HTTP, without credentials and client certificate. */
int client_get(struct client *cl, enum call_auth auth, const char *url, size_t limit, char **ret, size_t *ret_len,
	       struct cimage_error *err);
/* signatures.c: of the manifest with this digest; [owned], may be empty. */
int client_signatures(struct client *cl, const char *digest, struct cimage_signatures *ret, struct cimage_error *err);
char *client_extension_url(struct client *cl, const char *digest);	/* [owned] */
char *signatures_tag(const char *digest);	/* [owned] of the attachments */
/* A blob of at most SIGNATURE_BYTES_MAX by its descriptor, verified; [owned]. */
int client_small_blob(struct client *cl, const struct json *descriptor, char **ret, size_t *ret_len,
		      struct cimage_error *err);
/* signatures_put.c: adds them to where registries.d and the registry want them. */
int client_put_signatures(struct client *cl, const struct cimage_signatures *l, const char *digest,
			  struct cimage_error *err);
int client_blobs(struct client *cl, struct cimage_blob_request *r, size_t n, struct cimage_error *err);

int client_tags(struct client *cl, char ***ret, struct cimage_error *err);
int client_delete_manifest(struct client *cl, const char *reference, struct cimage_error *err);

/* upload.c */
#define UPLOAD_CHUNK (4u << 20)		/* bytes of one PATCH; kept until the registry has them */
#define UPLOAD_CHUNK_MAX (16u << 20)	/* of what a registry may ask for */
#define UPLOAD_ATTEMPTS 5		/* for a chunk that breaks */
int client_has_blob(struct client *cl, const char *digest, bool *ret, struct cimage_error *err);
/* Of another repository of the same registry; *ret: did it work? */
int client_mount(struct client *cl, const char *digest, const char *from, bool *ret, struct cimage_error *err);
int client_put_blob(struct client *cl, const struct cimage_put *b, struct cimage_stream *s, struct cimage_error *err);
int client_put_manifest(struct client *cl, const char *reference, const char *bytes, size_t n, const char *media_type,
			struct cimage_error *err);

/* ---- between the files of the client ---- */

/* BASE/PATH/what, or what itself if it is a URL or begins with a slash. */
int call_init_in_repository(struct client *cl, struct call *c, const char *what, struct cimage_error *err);

int call_init(struct call *c, const struct url *base, const char *text, struct cimage_error *err);
void call_done(struct client *cl, struct call *c);
/* Until all are done, or one failed. */
int client_drive(struct client *cl, struct call *calls, size_t n, struct cimage_error *err);
/* retry.c: what an ended exchange means for its call. */
int call_ended(struct client *cl, struct call *c, struct cimage_error *err);
/* token.c: [borrowed] the Authorization value for a call to the registry; NULL for none. */
int client_authorization(struct client *cl, const char *extra_scope, const char **ret, struct cimage_error *err);
void client_forget_token(struct client *cl, const char *extra_scope);
/* Is TLS without verification, or none, fine with this place? */
int client_tolerates(struct client *cl, const struct url *u, bool *ret, struct cimage_error *err);

#endif
