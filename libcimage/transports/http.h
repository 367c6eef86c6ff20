/* SPDX-License-Identifier: Apache-2.0 */
/* Single HTTP exchanges, by GET or any other method, over one libcurl multi handle. No redirects, no retries, no authentication. */
#ifndef CIMAGE_HTTP_H
#define CIMAGE_HTTP_H

#include <curl/curl.h>
#include "common.h"

#define HTTP_HEADERS_MAX (64u << 10)
#define HTTP_CONNECT_TIMEOUT 30		/* s, TCP and TLS */
#define HTTP_STALL_RATE 16L		/* bytes a second: slower, for as long as the context says, is stalled */
#define HTTP_SMALL_TIMEOUT 180		/* s for a whole answer that is not a blob */

struct http;
struct http_response {
	long status;			/* 0: none yet */
	size_t header_bytes;
	char *content_type, *location, *retry_after, *content_range, *extension;
	char *range, *link, *digest, *chunk_min;
	char **challenges;		/* values of WWW-Authenticate */
};

enum exchange_state { EXCHANGE_IDLE, EXCHANGE_RUNNING, EXCHANGE_ENDED };

/* In: what to ask for. Strings are borrowed while the exchange runs. */
struct http_request {
	const char *url;
	const char *authorization;	/* header value, or NULL */
	const char *form;		/* POST body, or NULL */
	const char *method;		/* NULL: GET, or POST for a form; else with body, which may be empty */
	const void *body;
	size_t body_len;
	const char *content_type, *content_range;	/* of the body, or NULL */
	const char *const *accept;	/* NULL-terminated, or NULL */
	uint64_t offset;		/* Range: bytes=offset- */
	bool verify;			/* TLS */
	bool client_cert;		/* may the server see the client certificate? */
	size_t limit;			/* of a body that is collected */
	/* Bodies of 200 and 206 go here when set; as struct cimage_blob_request has it. No total timeout then. */
	int (*data)(void *user, const void *p, size_t n);
	void *user;
	int resume_fd;
};

struct exchange {
	enum exchange_state state;
	struct http_request req;
	struct http_response res;
	struct str body;
	CURL *easy;
	struct curl_slist *headers;
	bool paused;
	/* when ended: */
	CURLcode result;
	int stop;			/* data()'s value, CIMAGE_E_LIMIT or -ENOMEM when one of these ended it */
	int os_errno;
	char detail[CURL_ERROR_SIZE];
};

/* PEM: the trusted authorities, more of them, client certificate and key; NULL or "" each for none. Borrowed. */
struct http_tls {
	const char *bundle, *ca, *cert, *key;
};

int http_global_init(struct cimage_error *err);
int http_new(const struct cimage_context *c, const struct http_tls *tls, struct http **ret, struct cimage_error *err);
struct http *http_free(struct http *h);
int http_start(struct http *h, struct exchange *x, const struct http_request *req, struct cimage_error *err);
/* Moves all running exchanges on; waits up to timeout_ms for something to happen. */
int http_pump(struct http *h, int timeout_ms, struct cimage_error *err);
/* Ends it if it runs, and forgets everything. */
void exchange_done(struct http *h, struct exchange *x);

#endif
