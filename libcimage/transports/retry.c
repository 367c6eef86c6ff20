/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the end of an exchange means for its call: done, failed, or READY again because of a redirect,
 * a missing authorization, a registry that asks to wait, or a transfer that broke.
 */
#include <cbase/io.h>
#include <cbase/json.h>
#include <time.h>
#include "client.h"

#define SECOND INT64_C(1000000000)

static void again(struct call *c, int64_t delay_ns)
{
	c->not_before = delay_ns ? mono_ns() + delay_ns : 0;
	c->state = CALL_READY;
}

static const char *verb(const struct call *c)
{
	return c->method ? c->method : c->form ? "POST" : "GET";
}

/* ---- failures ---- */

/* "code: message" of the registry's own words, RFC-free JSON of the distribution specification. */
static void registry_words(const struct str *body, char *out, size_t size)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	const char *message, *code;
	const struct json *first;

	out[0] = '\0';
	if (!body->len || json_parse(body->data, body->len, 0, &doc, NULL))
		return;
	first = json_get(json_root(doc), "errors");
	first = first && first->type == JSON_ARRAY ? first->first : NULL;
	message = json_get_string(first, "message");
	code = json_get_string(first, "code");
	if (!message) /* token services have forms of their own */
		message = json_get_string(json_root(doc), "details");
	if (!message)
		message = json_get_string(json_root(doc), "message");
	if (message && *message)
		snprintf(out, size, ": %s", SHOW(message));
	else if (code && *code)
		snprintf(out, size, ": %s", SHOW(code));
}

static int code_of_status(long status)
{
	switch (status) {
	case 401:
	case 403:
		return CIMAGE_E_DENIED;
	case 404:
	case 410:
		return CIMAGE_E_NOT_FOUND;
	case 429:
		return CIMAGE_E_BUSY;
	}
	return CIMAGE_E_UNAVAILABLE;
}

static int fail_status(const struct call *c, struct cimage_error *err)
{
	char words[SHOW_MAX + 4];

	registry_words(&c->x.body, words, sizeof(words));
	return err_set(err, code_of_status(c->x.res.status), "%s %s: HTTP status %ld%s", verb(c),
		       c->first.shown, c->x.res.status, words);
}

static int code_of_result(CURLcode result)
{
	switch (result) {
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return CIMAGE_E_TLS;
	case CURLE_URL_MALFORMAT:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return CIMAGE_E_INVALID;
	default:
		return CIMAGE_E_UNAVAILABLE;
	}
}

static int fail_transfer(const struct call *c, struct cimage_error *err)
{
	const struct exchange *x = &c->x;
	int r;

	if (x->result == CURLE_OUT_OF_MEMORY)
		return err_oom(err);
	r = err_set(err, code_of_result(x->result), "%s %s: %s", verb(c), c->first.shown,
		    x->detail[0] ? SHOW(x->detail) : curl_easy_strerror(x->result));
	if (err)
		err->sys_errno = x->os_errno;
	return r;
}

static int fail_stop(const struct call *c, struct cimage_error *err)
{
	const struct exchange *x = &c->x;

	if (c->blob && c->placed)
		return x->stop; /* the receiver of the blob ended it, and said why */
	if (x->stop == -ENOMEM)
		return err_oom(err);
	if (x->stop == CIMAGE_E_INVALID)
		return err_set(err, CIMAGE_E_INVALID,
			       "%s %s: the server sent another part than the one asked for",
			       verb(c), c->first.shown);
	if (x->res.header_bytes > HTTP_HEADERS_MAX)
		return err_set(err, CIMAGE_E_LIMIT, "%s %s: more than %u bytes of headers", verb(c),
			       c->first.shown, HTTP_HEADERS_MAX);
	return err_set(err, CIMAGE_E_LIMIT, "%s %s: the answer is larger than %zu bytes", verb(c),
		       c->first.shown, c->limit);
}

/* ---- another attempt ---- */

/* 307 and 308 keep method and body; the others make a GET of it. */
static bool may_follow(const struct call *c)
{
	if (c->form)
		return false;
	return !c->method || streq(c->method, "HEAD") || c->x.res.status == 307 ||
	       c->x.res.status == 308;
}

static int follow(struct call *c, struct cimage_error *err)
{
	struct url next = { 0 };
	int r;

	if (!c->x.res.location || !may_follow(c) || ++c->redirects > REDIRECTS_MAX)
		return err_set(err, CIMAGE_E_UNAVAILABLE,
			       "%s %s: HTTP status %ld that cannot be followed", verb(c),
			       c->first.shown, c->x.res.status);
	r = url_parse(c->now.text ? &c->now : &c->first, c->x.res.location, &next, err);
	if (r)
		return err_ctx(err, r, "GET %s: redirected", c->first.shown);
	url_done(&c->now);
	c->now = next;
	again(c, 0);
	return 0;
}

static bool at_registry(const struct client *cl, const struct call *c)
{
	const struct url *u = c->now.text ? &c->now : &c->first;

	return c->auth == AUTH_REGISTRY && url_same_origin(u, &cl->base);
}

/* The challenge that another attempt could meet. Basic credentials that were refused stay refused. */
static const struct challenge *find_usable(const struct client *cl, const struct call *c,
					   const struct challenge *list, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (list[i].scheme == CHALLENGE_BEARER && list[i].realm)
			return &list[i];
		if (list[i].scheme == CHALLENGE_BASIC && cl->basic && !c->x.req.authorization)
			return &list[i];
	}
	return NULL;
}

/*
 * A token that the registry no longer likes, or that lacks a scope it names, is replaced once; and a
 * registry whose /v2/ was open may still want authorization for a repository.
 */
static int authorize_again(struct client *cl, struct call *c, struct cimage_error *err)
{
	const struct challenge *usable;
	struct challenge *list;
	size_t count;
	int r = 0;

	if (!at_registry(cl, c) || c->authorized_again)
		return fail_status(c, err);
	if (challenges_parse(c->x.res.challenges, &list, &count))
		return err_oom(err);
	usable = find_usable(cl, c, list, count);
	if (!usable) {
		challenges_free(list, count);
		return fail_status(c, err);
	}
	c->authorized_again = true;
	if (usable->error && streq(usable->error, "insufficient_scope") && usable->scope) {
		free(c->extra_scope);
		c->extra_scope = strdup(usable->scope);
		r = c->extra_scope ? 0 : err_oom(err);
	}
	client_forget_token(cl, c->extra_scope);
	challenges_free(cl->challenges, cl->challenge_count);
	cl->challenges = list;
	cl->challenge_count = count;
	if (!r)
		again(c, 0);
	return r;
}

/* Retry-After: seconds or a date; else the delay doubles with each attempt. */
static int64_t delay_of(const struct call *c, long long first)
{
	const char *text = c->x.res.retry_after;
	long long seconds = first << (c->attempts - 1);
	time_t at;

	if (text && *text && str_to_i64(text, &seconds)) {
		at = curl_getdate(text, NULL);
		seconds = at == -1 ? first << (c->attempts - 1) : (long long)(at - time(NULL));
	}
	if (seconds < 1)
		seconds = 1;
	if (seconds > BUSY_DELAY_MAX)
		seconds = BUSY_DELAY_MAX;
	return seconds * SECOND;
}

/* Repeats the request later, at most so many times in all; false: no more, or it may be sent only once. */
static bool repeat(struct call *c, int attempts, long long first_delay)
{
	if (c->form || c->once || c->attempts + 1 >= attempts)
		return false;
	c->attempts++;
	again(c, delay_of(c, first_delay));
	return true;
}

static bool is_break(CURLcode result)
{
	switch (result) {
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return true;
	default:
		return false;
	}
}

/* Continues a blob where it broke, from the registry's own address: a signed one may have run out. */
static bool reconnect(struct call *c)
{
	int64_t now = mono_ns();

	if (c->reconnects && c->delivered - c->mark_bytes < RECONNECT_PROGRESS &&
	    now - c->mark_time < RECONNECT_SECONDS * SECOND)
		return false;
	c->reconnects++;
	c->mark_bytes = c->delivered;
	c->mark_time = now;
	c->redirects = c->attempts = 0;
	c->authorized_again = false;
	url_done(&c->now);
	again(c, SECOND + (now % 100) * 1000000); /* not all clients at once */
	return true;
}

static bool go_on(struct call *c)
{
	return c->blob ? reconnect(c) : repeat(c, FAILED_ATTEMPTS, 1);
}

/* ---- the end ---- */

static int complete(struct call *c)
{
	int r = 0;

	if (c->blob)
		r = c->blob->done(c->blob->user, 0);
	if (!r)
		c->state = CALL_DONE;
	return r;
}

static bool is_short(const struct call *c)
{
	return c->blob && c->blob->size >= 0 && c->delivered < (uint64_t)c->blob->size;
}

static int body_ended(struct call *c, struct cimage_error *err)
{
	CURLcode result = c->x.result;
	bool broken = result ? is_break(result) : is_short(c);

	if (c->x.stop)
		return fail_stop(c, err);
	if (broken && go_on(c))
		return 0;
	if (result)
		return fail_transfer(c, err);
	if (broken)
		return err_set(err, CIMAGE_E_UNAVAILABLE, "%s %s: ended after %llu of %lld bytes",
			       verb(c), c->first.shown, (unsigned long long)c->delivered,
			       (long long)c->blob->size);
	return complete(c);
}

int call_ended(struct client *cl, struct call *c, struct cimage_error *err)
{
	const struct exchange *x = &c->x;

	if (cimage_context_cancelled(cl->ctx))
		return err_set(err, CIMAGE_E_CANCELLED, "cancelled");
	switch (x->res.status) {
	case 200:
	case 206:
		return body_ended(c, err);
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		return follow(c, err);
	case 401:
		return c->any_401 ? complete(c) : authorize_again(cl, c, err);
	case 429:
		return repeat(c, BUSY_ATTEMPTS, 2) ? 0 : fail_status(c, err);
	case 408:
	case 500:
	case 502:
	case 503:
	case 504:
		if (!x->stop && !c->any_status && repeat(c, FAILED_ATTEMPTS, 1))
			return 0;
	}
	if (x->res.header_bytes > HTTP_HEADERS_MAX)
		return fail_stop(c, err);
	if (!x->result && (c->any_status || (c->method && x->res.status / 100 == 2))) {
		c->state = CALL_DONE;
		return 0;
	}
	if (x->res.status >= 300)
		return fail_status(c, err);
	if (x->result)
		return is_break(x->result) && go_on(c) ? 0 : fail_transfer(c, err);
	return err_set(err, CIMAGE_E_INVALID, "%s %s: HTTP status %ld", verb(c), c->first.shown,
		       x->res.status);
}
