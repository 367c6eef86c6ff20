/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client makes of an answer: headers, messages, trailers; or trailers only; or a reset; or
 * something that is no gRPC at all. A unary call wants one message, others any number.
 */
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cbase/cleanup.h>
#include <cbase/err.h>
#include <cbase/io.h>

#include "exchange.h"
#include "limit.h"
#include "text.h"

/* ---- life ---- */

int exchange_init(struct exchange *x, const void *request, size_t len, int timeout_ms,
		  size_t max_send, size_t max_recv, struct crisvc_error *err)
{
	*x = (struct exchange){ .status = -1, .budget.max = SIZE_MAX };
	framer_init(&x->framer, &x->budget, max_recv);
	STAILQ_INIT(&x->replies);
	if (timeout_ms >= 0)
		x->deadline = mono_ns() + timeout_ms * (SECOND_NS / 1000);
	if (len > max_send)
		return err_set(err, CRISVC_E_LIMIT,
			       "the request is larger than the limit for messages");
	x->request = message_new(request, len);
	return x->request ? 0 : err_oom(err);
}

void exchange_done(struct exchange *x)
{
	void *data;
	size_t len;

	while (exchange_take(x, &data, &len))
		free(data);
	framer_done(&x->framer);
	str_done(&x->message);
	free(take(x->request));
}

void exchange_again(struct exchange *x)
{
	x->id = 0;
	x->done = false;
	x->h2_error = 0;
	x->request->sent = 0;
}

/* ---- what comes ---- */

static void broken(struct exchange *x, int code, const char *why)
{
	if (x->code)
		return;
	x->code = code;
	x->why = why;
}

static bool named(const uint8_t *name, size_t n, const char *s)
{
	return n == strlen(s) && memcmp(name, s, n) == 0;
}

static int number(const uint8_t *p, size_t n)
{
	int v = 0;

	if (n == 0 || n > 3)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		v = v * 10 + (p[i] - '0');
	}
	return v;
}

bool exchange_on_header(struct exchange *x, const uint8_t *name, size_t name_len,
			const uint8_t *value, size_t value_len)
{
	x->header_size += name_len + value_len + 32;
	if (x->header_size > LIMIT_HEADER_BYTES) {
		broken(x, CRISVC_E_LIMIT, "the headers of the answer are too large");
		return false;
	}
	if (named(name, name_len, ":status")) {
		x->http_status = number(value, value_len);
	} else if (named(name, name_len, "content-type")) {
		x->grpc = text_is_grpc((const char *)value, value_len);
	} else if (named(name, name_len, "grpc-status")) {
		x->status = number(value, value_len);
	} else if (named(name, name_len, "grpc-message")) {
		str_reset(&x->message);
		text_decode_message(&x->message, (const char *)value, value_len);
	}
	return true;
}

static void framer_failed(struct exchange *x, int r)
{
	if (r == FRAMER_E_TOO_LARGE)
		broken(x, CRISVC_E_LIMIT, "the answer is larger than the limit for messages");
	else if (r == -ENOMEM)
		broken(x, -ENOMEM, "allocate memory");
	else
		broken(x, CRISVC_E_PROTOCOL, "the answer has a malformed message");
}

/* The framer has a whole message. */
static void add_reply(struct exchange *x)
{
	struct reply *m = calloc(1, sizeof(*m));
	size_t charged;

	if (x->unary && !STAILQ_EMPTY(&x->replies)) {
		broken(x, CRISVC_E_PROTOCOL, "the answer has more than one message");
		free(m);
		return;
	}
	if (m) {
		m->data = framer_take(&x->framer, &m->len, &charged);
		budget_give(&x->budget, charged);
		if (!m->data)
			m->data = calloc(1, 1);
	}
	if (!m || !m->data) {
		broken(x, -ENOMEM, "allocate memory");
		free(m);
		return;
	}
	STAILQ_INSERT_TAIL(&x->replies, m, link);
}

void exchange_on_data(struct exchange *x, const uint8_t *p, size_t n)
{
	size_t taken;
	int r;

	for (; n && !x->code; p += taken, n -= taken) {
		r = framer_push(&x->framer, p, n, &taken);
		if (r) {
			framer_failed(x, r);
			return;
		}
		if (framer_complete(&x->framer))
			add_reply(x);
	}
}

bool exchange_take(struct exchange *x, void **ret, size_t *ret_len)
{
	struct reply *m = STAILQ_FIRST(&x->replies);

	if (!m)
		return false;
	STAILQ_REMOVE_HEAD(&x->replies, link);
	*ret = m->data;
	*ret_len = m->len;
	free(m);
	return true;
}

/* ---- the outcome ---- */

/* What a gRPC client makes of the codes of HTTP ("HTTP to gRPC Status Code Mapping"). */
static int status_of_http(int http)
{
	switch (http) {
	case 400:
		return CRISVC_INTERNAL;
	case 401:
		return CRISVC_UNAUTHENTICATED;
	case 403:
		return CRISVC_PERMISSION_DENIED;
	case 404:
		return CRISVC_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return CRISVC_UNAVAILABLE;
	default:
		return CRISVC_UNKNOWN;
	}
}

/* ... and of the codes of RST_STREAM ("gRPC over HTTP2", section Errors). */
static int status_of_reset(uint32_t code)
{
	switch (code) {
	case NGHTTP2_REFUSED_STREAM:
		return CRISVC_UNAVAILABLE;
	case NGHTTP2_CANCEL:
		return CRISVC_CANCELLED;
	case NGHTTP2_ENHANCE_YOUR_CALM:
		return CRISVC_RESOURCE_EXHAUSTED;
	case NGHTTP2_INADEQUATE_SECURITY:
		return CRISVC_PERMISSION_DENIED;
	default:
		return CRISVC_INTERNAL;
	}
}

int exchange_expired(struct crisvc_error *err)
{
	err_set(err, CRISVC_E_DEADLINE, "the deadline passed");
	if (err)
		err->grpc_status = CRISVC_DEADLINE_EXCEEDED;
	return CRISVC_E_DEADLINE;
}

static int status_error(const struct exchange *x, int status, const char *message,
			struct crisvc_error *err)
{
	/* the server's clock of our deadline: the same event, seen there first */
	if (status == CRISVC_DEADLINE_EXCEEDED && x->deadline && mono_ns() >= x->deadline)
		return exchange_expired(err);
	err_set(err, CRISVC_E_STATUS, "%s", message);
	if (err)
		err->grpc_status = status;
	return CRISVC_E_STATUS;
}

bool exchange_refused(const struct exchange *x)
{
	return x->done && x->status < 0 && !x->http_status && x->h2_error == NGHTTP2_REFUSED_STREAM;
}

int exchange_conclude(const struct exchange *x, struct crisvc_error *err)
{
	char text[64];

	if (x->status > 0)
		return status_error(
			x, x->status,
			str_failed(&x->message) || !x->message.data ? "" : x->message.data, err);
	if (x->status < 0 && x->h2_error != NGHTTP2_NO_ERROR) {
		snprintf(text, sizeof(text), "the server reset the call (HTTP/2 error %u)",
			 x->h2_error);
		return status_error(x, status_of_reset(x->h2_error), text, err);
	}
	if (x->status < 0 && x->http_status != 200) {
		snprintf(text, sizeof(text), "the server answered with HTTP status %d",
			 x->http_status);
		return status_error(x, status_of_http(x->http_status), text, err);
	}
	if (x->status < 0 || !x->grpc)
		return err_set(err, CRISVC_E_PROTOCOL, "the answer is not gRPC");
	if (!framer_empty(&x->framer))
		return err_set(err, CRISVC_E_PROTOCOL, "the answer ends within a message");
	if (x->unary && STAILQ_EMPTY(&x->replies))
		return err_set(err, CRISVC_E_PROTOCOL, "the answer has no message");
	return 0;
}
