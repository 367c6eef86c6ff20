/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP exchanges with libcurl.
 *
 * An exchange is IDLE, RUNNING while it is in the multi handle, then ENDED with a result; only
 * http_pump() runs callbacks and moves states. A paused exchange keeps its connection unread, so the
 * sender is slowed down by TCP and nothing piles up here; for that every exchange has a connection of
 * its own (HTTP/2 where it is offered, but never two streams in one connection, where one paused
 * stream would stop its neighbours or fill memory). Connections are reused one after the other.
 *
 * TLS trusts what struct http_tls says and nothing else: libcurl's own paths are switched off, and
 * one certificate store, built on first use, serves all connections.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <strings.h>
#include "http.h"

#define RUNNING_MAX 16
#define CONNECTIONS_KEPT 8

struct http {
	const struct cimage_context *ctx;
	CURLM *multi;
	struct http_tls tls;
	X509_STORE *store;
	struct exchange *running[RUNNING_MAX];
	size_t count;
};

/* ---- set-up ---- */

static CURLcode init_result;

static void init_once(void)
{
	SSL_CTX *ctx;

	init_result = curl_global_init(CURL_GLOBAL_DEFAULT);
	/* makes OpenSSL read its configuration and load its providers now, not in the sandbox */
	ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_free(ctx);
}

int http_global_init(struct cimage_error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const curl_version_info_data *v;

	pthread_once(&once, init_once);
	if (init_result)
		return err_set(err, CIMAGE_E_UNSUPPORTED, "libcurl: %s",
			       curl_easy_strerror(init_result));
	v = curl_version_info(CURLVERSION_NOW);
	if (!v->ssl_version || !str_starts(v->ssl_version, "OpenSSL/"))
		return err_set(err, CIMAGE_E_UNSUPPORTED, "this libcurl does not use OpenSSL");
	return 0;
}

int http_new(const struct cimage_context *c, const struct http_tls *tls, struct http **ret,
	     struct cimage_error *err)
{
	struct http *h = calloc(1, sizeof(*h));

	if (h)
		h->multi = curl_multi_init();
	if (!h || !h->multi) {
		free(h);
		return err_oom(err);
	}
	h->ctx = c;
	h->tls = *tls;
	curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
	*ret = h;
	return 0;
}

struct http *http_free(struct http *h)
{
	if (!h)
		return NULL;
	curl_multi_cleanup(h->multi);
	X509_STORE_free(h->store);
	free(h);
	return NULL;
}

/* ---- trust ---- */

static int add_pem(X509_STORE *store, const char *pem, size_t *ret_n)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert;
	bool good;

	if (!bio)
		return -ENOMEM;
	for (*ret_n = 0; (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)); ++*ret_n) {
		X509_STORE_add_cert(store, cert);
		X509_free(cert);
	}
	good = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	BIO_free(bio);
	return good ? 0 : -EINVAL;
}

static int build_store(struct http *h, struct cimage_error *err)
{
	X509_STORE *store;
	size_t n = 0;
	int r = 0;

	if (h->store)
		return 0;
	store = X509_STORE_new();
	if (!store)
		return err_oom(err);
	/* one bad certificate among the machine's hundred is no reason to refuse the others */
	if (h->tls.bundle && *h->tls.bundle && add_pem(store, h->tls.bundle, &n) == -ENOMEM)
		r = err_oom(err);
	if (!r && h->tls.ca && (add_pem(store, h->tls.ca, &n) || !n))
		r = err_set(err, CIMAGE_E_TLS,
			    "a *.crt file of this registry's directory in certs.d is not a PEM "
			    "certificate");
	if (r)
		X509_STORE_free(store);
	else
		h->store = store;
	return r;
}

static CURLcode on_ssl_ctx(CURL *easy, void *ssl_ctx, void *user)
{
	struct http *h = user;

	SSL_CTX_set1_cert_store(ssl_ctx, h->store);
	return CURLE_OK;
}

static int set_blob(CURL *easy, CURLoption option, const char *pem)
{
	struct curl_blob blob = { .data = (void *)(uintptr_t)pem,
				  .len = strlen(pem),
				  .flags = CURL_BLOB_COPY };

	return curl_easy_setopt(easy, option, &blob);
}

static int set_tls(struct http *h, CURL *easy, const struct http_request *req,
		   struct cimage_error *err)
{
	int bad = 0, r;

	bad |= curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
	bad |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	bad |= curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT,
				0L); /* it would take our store for everybody's */
	bad |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, req->verify ? 1L : 0L);
	bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, req->verify ? 2L : 0L);
	if (req->verify && str_starts(req->url, "https:")) {
		r = build_store(h, err);
		if (r)
			return r;
		bad |= curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, h);
		bad |= curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
	}
	if (req->client_cert && h->tls.cert) {
		bad |= curl_easy_setopt(easy, CURLOPT_SSLCERTTYPE, "PEM");
		bad |= set_blob(easy, CURLOPT_SSLCERT_BLOB, h->tls.cert);
		bad |= set_blob(easy, CURLOPT_SSLKEY_BLOB, h->tls.key);
	}
	return bad ? err_set(err, CIMAGE_E_TLS, "this libcurl cannot do what TLS needs") : 0;
}

/* ---- callbacks ---- */

static size_t stop(struct exchange *x, int why)
{
	x->stop = why;
	return 0; /* libcurl ends the transfer: not all bytes were taken */
}

static void response_reset(struct http_response *res)
{
	size_t bytes = res->header_bytes;

	free(res->content_type);
	free(res->location);
	free(res->retry_after);
	free(res->content_range);
	free(res->range);
	free(res->link);
	free(res->digest);
	free(res->chunk_min);
	free(res->extension);
	strv_free(res->challenges);
	*res = (struct http_response){ .header_bytes = bytes };
}

/* The value of the header if the line is this header; [owned], "" is possible. */
static char *value_of(const char *line, size_t n, const char *name)
{
	size_t len = strlen(name);

	if (n <= len || strncasecmp(line, name, len) != 0 || line[len] != ':')
		return NULL;
	line += len + 1;
	n -= len + 1;
	while (n && (*line == ' ' || *line == '\t'))
		line++, n--;
	while (n && strchr(" \t\r\n", line[n - 1]))
		n--;
	return memchr(line, '\0', n) ? NULL : strndup(line, n);
}

static void read_status(struct http_response *res, const char *line, size_t n)
{
	const char *space = memchr(line, ' ', n);
	size_t i;

	response_reset(res);
	for (i = 1; space && i <= 3 && space + i < line + n && space[i] >= '0' && space[i] <= '9';
	     i++)
		res->status = res->status * 10 + (space[i] - '0');
}

static size_t on_header(char *line, size_t size, size_t n, void *user)
{
	struct exchange *x = user;
	struct http_response *res = &x->res;
	const struct {
		const char *name;
		char **where;
	} known[] = {
		{ "Content-Type", &res->content_type },
		{ "Location", &res->location },
		{ "Retry-After", &res->retry_after },
		{ "Content-Range", &res->content_range },
		{ "Range", &res->range },
		{ "Link", &res->link },
		{ "Docker-Content-Digest", &res->digest },
		{ "OCI-Chunk-Min-Length", &res->chunk_min },
		{ "X-Registry-Supports-Signatures", &res->extension },
	};
	char *value;
	size_t i;

	res->header_bytes += n;
	if (res->header_bytes > HTTP_HEADERS_MAX)
		return stop(x, CIMAGE_E_LIMIT);
	if (n >= 5 && !strncmp(line, "HTTP/", 5)) {
		read_status(res, line, n);
		return n;
	}
	for (i = 0; i < ARRAY_SIZE(known); i++) {
		value = value_of(line, n, known[i].name);
		if (value) {
			free(*known[i].where);
			*known[i].where = value;
		}
	}
	value = value_of(line, n, "WWW-Authenticate");
	if (value && strv_take(&res->challenges, value))
		return stop(x, -ENOMEM);
	return n;
}

static size_t on_body(char *p, size_t size, size_t n, void *user)
{
	struct exchange *x = user;
	int r;

	if (x->req.data && (x->res.status == 200 || x->res.status == 206)) {
		r = x->req.data(x->req.user, p, n);
		if (r == CIMAGE_PAUSE) {
			x->paused = true;
			return CURL_WRITEFUNC_PAUSE;
		}
		return r ? stop(x, r) : n;
	}
	if (n > x->req.limit - x->body.len)
		return stop(x, CIMAGE_E_LIMIT);
	str_append_mem(&x->body, p, n);
	return str_failed(&x->body) ? stop(x, -ENOMEM) : n;
}

static int on_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct http *h = user;

	return cimage_context_cancelled(h->ctx);
}

/* ---- exchanges ---- */

static int add_header(struct exchange *x, const char *name, const char *value)
{
	char *line = strf("%s:%s%s", name, *value ? " " : "", value);
	struct curl_slist *next = line ? curl_slist_append(x->headers, line) : NULL;

	if (line)
		explicit_bzero(line, strlen(line));
	free(line);
	if (!next)
		return -ENOMEM;
	x->headers = next;
	return 0;
}

static int set_headers(struct exchange *x, const struct http_request *req)
{
	const char *const *a;
	int r = 0;

	for (a = req->accept; !r && a && *a; a++)
		r = add_header(x, "Accept", *a);
	if (!r && req->authorization)
		r = add_header(x, "Authorization", req->authorization);
	if (!r && req->method)
		r = add_header(x, "Expect", ""); /* it would cost a round trip, or a second */
	if (!r && req->content_type)
		r = add_header(x, "Content-Type", req->content_type);
	if (!r && req->content_range)
		r = add_header(x, "Content-Range", req->content_range);
	if (r)
		return r;
	return curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers) ? -ENOMEM : 0;
}

static int set_method(CURL *easy, const struct http_request *req)
{
	int bad = 0;

	if (req->form)
		return curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, req->form);
	if (!req->method)
		return 0;
	if (streq(req->method, "HEAD"))
		return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	if (!streq(req->method, "DELETE")) {
		bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_len);
		bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, req->body ? req->body : "");
	}
	return bad | (int)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, req->method);
}

static bool is_loopback(const char *url)
{
	const char *host = strstr(url, "://");

	host = host ? host + 3 : url;
	return str_starts(host, "127.") || str_starts(host, "[::1]") ||
	       (str_starts(host, "localhost") && strchr(":/", host[9]));
}

/* libcurl knows the variables of the environment, but HTTP_PROXY only in lower case. */
static int set_proxy(CURL *easy, const char *url)
{
	const char *lower = secure_getenv("http_proxy"), *upper = secure_getenv("HTTP_PROXY");

	if (is_loopback(url))
		return curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	if (str_starts(url, "http:") && !(lower && *lower) && upper && *upper)
		return curl_easy_setopt(easy, CURLOPT_PROXY, upper);
	return 0;
}

static int set_options(struct http *h, struct exchange *x, const struct http_request *req)
{
	char range[32];
	int bad = 0;

	bad |= curl_easy_setopt(x->easy, CURLOPT_URL, req->url);
	bad |= curl_easy_setopt(x->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	bad |= curl_easy_setopt(x->easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	bad |= curl_easy_setopt(x->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	bad |= curl_easy_setopt(x->easy, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(x->easy, CURLOPT_USERAGENT, cimage_context_user_agent(h->ctx));
	bad |= curl_easy_setopt(x->easy, CURLOPT_CONNECTTIMEOUT, (long)HTTP_CONNECT_TIMEOUT);
	bad |= curl_easy_setopt(x->easy, CURLOPT_LOW_SPEED_LIMIT, HTTP_STALL_RATE);
	bad |= curl_easy_setopt(x->easy, CURLOPT_LOW_SPEED_TIME,
				(long)cimage_context_stall_timeout(h->ctx));
	if (!req->data && !req->body_len)
		bad |= curl_easy_setopt(x->easy, CURLOPT_TIMEOUT, (long)HTTP_SMALL_TIMEOUT);
	bad |= curl_easy_setopt(x->easy, CURLOPT_ERRORBUFFER, x->detail);
	bad |= curl_easy_setopt(x->easy, CURLOPT_PRIVATE, x);
	bad |= curl_easy_setopt(x->easy, CURLOPT_HEADERFUNCTION, on_header);
	bad |= curl_easy_setopt(x->easy, CURLOPT_HEADERDATA, x);
	bad |= curl_easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, on_body);
	bad |= curl_easy_setopt(x->easy, CURLOPT_WRITEDATA, x);
	bad |= curl_easy_setopt(x->easy, CURLOPT_NOPROGRESS, 0L);
	bad |= curl_easy_setopt(x->easy, CURLOPT_XFERINFODATA, h);
	bad |= curl_easy_setopt(x->easy, CURLOPT_XFERINFOFUNCTION, on_progress);
	/* the proxy's answer to CONNECT is not the server's */
	bad |= curl_easy_setopt(x->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	bad |= set_proxy(x->easy, req->url);
	bad |= set_method(x->easy, req);
	if (req->offset) {
		snprintf(range, sizeof(range), "%llu-", (unsigned long long)req->offset);
		bad |= curl_easy_setopt(x->easy, CURLOPT_RANGE, range);
	}
	return bad ? -ENOMEM : set_headers(x, req);
}

int http_start(struct http *h, struct exchange *x, const struct http_request *req,
	       struct cimage_error *err)
{
	int r;

	exchange_done(h, x);
	if (h->count == RUNNING_MAX)
		return err_sysr(err, -EBUSY, "too many transfers");
	x->req = *req;
	x->easy = curl_easy_init();
	if (!x->easy || set_options(h, x, req))
		return err_oom(err);
	r = set_tls(h, x->easy, req, err);
	if (r)
		return r;
	if (curl_multi_add_handle(h->multi, x->easy))
		return err_oom(err);
	h->running[h->count++] = x;
	x->state = EXCHANGE_RUNNING;
	return 0;
}

static void leave(struct http *h, struct exchange *x)
{
	size_t i;

	if (x->state != EXCHANGE_RUNNING)
		return;
	curl_multi_remove_handle(h->multi, x->easy);
	for (i = 0; h->running[i] != x; i++)
		;
	h->running[i] = h->running[--h->count];
	x->state = EXCHANGE_ENDED;
	x->paused = false;
}

static void end(struct http *h, struct exchange *x, CURLcode result)
{
	long os_errno = 0;

	curl_easy_getinfo(x->easy, CURLINFO_OS_ERRNO, &os_errno);
	x->os_errno = (int)os_errno;
	x->result = result;
	leave(h, x);
}

void exchange_done(struct http *h, struct exchange *x)
{
	leave(h, x);
	if (x->easy)
		curl_easy_cleanup(x->easy);
	curl_slist_free_all(x->headers);
	response_reset(&x->res);
	str_done(&x->body);
	*x = (struct exchange){ .state = EXCHANGE_IDLE };
}

static size_t paused_fds(struct http *h, struct pollfd *fds, struct curl_waitfd *wait,
			 struct exchange **who)
{
	size_t i, n = 0;

	for (i = 0; i < h->count; i++) {
		struct exchange *x = h->running[i];

		if (!x->paused || x->req.resume_fd < 0)
			continue;
		fds[n] = (struct pollfd){ .fd = x->req.resume_fd, .events = POLLOUT };
		wait[n] =
			(struct curl_waitfd){ .fd = x->req.resume_fd, .events = CURL_WAIT_POLLOUT };
		who[n++] = x;
	}
	return n;
}

/* A descriptor whose reader is gone polls as broken, which also is a reason to go on: to see EPIPE. */
static void resume(struct http *h, struct pollfd *fds, struct exchange **who, size_t n)
{
	CURLcode result;
	size_t i;

	if (poll(fds, n, 0) <= 0)
		return;
	for (i = 0; i < n; i++) {
		if (!fds[i].revents || who[i]->state != EXCHANGE_RUNNING)
			continue;
		who[i]->paused = false;
		result = curl_easy_pause(who[i]->easy, CURLPAUSE_CONT); /* may call on_body() */
		if (result)
			end(h, who[i], result);
	}
}

static bool collect_ended(struct http *h)
{
	bool any = false;
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(h->multi, &left))) {
		CURLcode result = msg->data.result;
		struct exchange *x = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &x);
		end(h, x, result);
		any = true;
	}
	return any;
}

int http_pump(struct http *h, int timeout_ms, struct cimage_error *err)
{
	struct curl_waitfd wait[RUNNING_MAX];
	struct pollfd fds[RUNNING_MAX];
	struct exchange *who[RUNNING_MAX];
	CURLMcode result;
	int running;
	size_t n;

	result = curl_multi_perform(h->multi, &running);
	if (result)
		return err_set(err, CIMAGE_E_UNAVAILABLE, "libcurl: %s",
			       curl_multi_strerror(result));
	if (collect_ended(h))
		return 0;
	n = paused_fds(h, fds, wait, who);
	result = curl_multi_poll(h->multi, wait, (unsigned int)n, timeout_ms, NULL);
	if (result)
		return err_set(err, CIMAGE_E_UNAVAILABLE, "libcurl: %s",
			       curl_multi_strerror(result));
	if (n)
		resume(h, fds, who, n);
	return 0;
}
