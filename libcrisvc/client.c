/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public client: blocking calls over one channel. Everything happens inside the functions here;
 * between them nobody reads the socket.
 *
 * A call is repeated on a new connection only when the server has said that it did not process it
 * (REFUSED_STREAM, or a GOAWAY that leaves it out): most CRI calls change something, so a
 * connection that breaks later is an error. A stream of messages is never repeated.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cbase/cleanup.h>
#include <cbase/err.h>
#include <cbase/io.h>
#include <cbase/str.h>

#include "channel.h"
#include "crisvc.h"
#include "limit.h"
#include "private.h"

struct crisvc_client {
	struct channel channel;
	size_t max_send, max_recv;
	LIST_HEAD(, crisvc_stream) streams;
};

/*
 *	OPEN	in the list of its client
 *	OVER	r and err tell how it ended; also when the client was freed first
 */
struct crisvc_stream {
	struct crisvc_client *client; /* NULL when OVER */
	LIST_ENTRY(crisvc_stream) link;
	struct exchange x;
	int r;
	struct crisvc_error err;
};

/* ---- unary calls ---- */

static int try_call(struct crisvc_client *c, struct exchange *x, const char *path,
		    struct crisvc_error *err)
{
	int r = channel_submit(&c->channel, x, path, err);

	if (!r)
		r = channel_run(&c->channel, x, 0, err);
	if (!r && x->code)
		r = x->code < 0 ? err_oom(err) : err_set(err, x->code, "%s: %s", path, x->why);
	if (r == CRISVC_E_DISCONNECTED || r == CRISVC_E_PROTOCOL || r < 0)
		channel_disconnect(&c->channel);
	channel_drop(&c->channel, x);
	return r;
}

static bool is_call(const struct crisvc_client *c, const char *path, const void *request,
		    size_t len)
{
	return c && path && path[0] == '/' && (request || !len);
}

PUBLIC int crisvc_client_call(struct crisvc_client *c, const char *path, const void *request,
			      size_t len, int timeout_ms, void **ret_reply, size_t *ret_len,
			      struct crisvc_error *err)
{
	struct exchange x;
	int r;

	if (!is_call(c, path, request, len) || !ret_reply || !ret_len)
		return err_sysr(err, -EINVAL, "call %s", path ? path : "(null)");
	if (err)
		err->grpc_status = 0;
	r = exchange_init(&x, request, len, timeout_ms, c->max_send, c->max_recv, err);
	x.unary = true;
	if (!r)
		r = try_call(c, &x, path, err);
	if (!r && exchange_refused(&x)) {
		channel_disconnect(&c->channel);
		exchange_again(&x);
		r = try_call(c, &x, path, err);
	}
	if (!r)
		r = exchange_conclude(&x, err);
	if (!r)
		exchange_take(&x, ret_reply, ret_len);
	exchange_done(&x);
	return r;
}

/* ---- streams of messages ---- */

static int stream_over(struct crisvc_stream *st, int r)
{
	channel_drop(&st->client->channel, &st->x);
	LIST_REMOVE(st, link);
	st->client = NULL;
	return st->r = r;
}

PUBLIC int crisvc_client_stream(struct crisvc_client *c, const char *path, const void *request,
				size_t len, int timeout_ms, struct crisvc_stream **ret,
				struct crisvc_error *err)
{
	struct crisvc_stream *st;
	int r;

	if (!is_call(c, path, request, len) || !ret)
		return err_sysr(err, -EINVAL, "call %s", path ? path : "(null)");
	if (err)
		err->grpc_status = 0;
	st = calloc(1, sizeof(*st));
	if (!st)
		return err_oom(err);
	r = exchange_init(&st->x, request, len, timeout_ms, c->max_send, c->max_recv, err);
	if (!r)
		r = channel_submit(&c->channel, &st->x, path, err);
	if (r) {
		exchange_done(&st->x);
		free(st);
		return r;
	}
	st->client = c;
	LIST_INSERT_HEAD(&c->streams, st, link);
	*ret = st;
	return 0;
}

/* No message is there and none will come. */
static int conclude(struct crisvc_stream *st)
{
	struct exchange *x = &st->x;
	int r;

	if (x->code)
		r = x->code < 0 ? err_oom(&st->err) : err_set(&st->err, x->code, "%s", x->why);
	else
		r = exchange_conclude(x, &st->err);
	if (!r)
		r = err_set(&st->err, CRISVC_E_END, "the server has sent all");
	return stream_over(st, r);
}

/* 0 when a message is there. */
static int next(struct crisvc_stream *st, int timeout_ms, struct crisvc_error *err)
{
	struct channel *ch = &st->client->channel;
	int64_t until = timeout_ms < 0 ? 0 : mono_ns() + timeout_ms * (SECOND_NS / 1000);
	int r;

	if (!STAILQ_EMPTY(&st->x.replies))
		return 0;
	channel_resume(ch, &st->x);
	r = channel_run(ch, &st->x, until, &st->err);
	if (r == CRISVC_E_AGAIN) {
		if (err)
			*err = st->err;
		return r;
	}
	if (r == CRISVC_E_DISCONNECTED || r == CRISVC_E_PROTOCOL || r < 0)
		channel_disconnect(ch);
	if (r)
		return stream_over(st, r);
	return STAILQ_EMPTY(&st->x.replies) ? conclude(st) : 0;
}

PUBLIC int crisvc_stream_next(struct crisvc_stream *st, int timeout_ms, void **ret_message,
			      size_t *ret_len, struct crisvc_error *err)
{
	int r;

	if (!st || !ret_message || !ret_len)
		return err_sysr(err, -EINVAL, "take a message of a stream");
	r = st->client ? next(st, timeout_ms, err) : st->r;
	if (r && r != CRISVC_E_AGAIN && err)
		*err = st->err;
	if (!r)
		exchange_take(&st->x, ret_message, ret_len);
	return r;
}

PUBLIC struct crisvc_stream *crisvc_stream_free(struct crisvc_stream *st)
{
	if (!st)
		return NULL;
	if (st->client)
		stream_over(st, 0);
	exchange_done(&st->x);
	free(st);
	return NULL;
}

/* ---- life ---- */

PUBLIC int crisvc_client_new(const char *path, struct crisvc_client **ret, struct crisvc_error *err)
{
	struct crisvc_client *c;

	if (!path || !ret)
		return err_sysr(err, -EINVAL, "make a client");
	if (str_starts(path, "unix://"))
		path += strlen("unix://");
	if (path[0] != '/')
		return err_sysr(err, -EINVAL, "\"%s\" is not the absolute path of a socket", path);
	if (strlen(path) >= sizeof(c->channel.addr.sun_path))
		return err_sysr(err, -ENAMETOOLONG, "socket %s", path);
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_oom(err);
	channel_init(&c->channel, path);
	c->max_send = c->max_recv = CRISVC_MESSAGE_MAX_DEFAULT;
	LIST_INIT(&c->streams);
	*ret = c;
	return 0;
}

PUBLIC int crisvc_client_set_max_message(struct crisvc_client *c, size_t recv, size_t send)
{
	if (!c || recv > UINT32_MAX || send > UINT32_MAX)
		return -EINVAL;
	c->max_recv = recv;
	c->max_send = send;
	return 0;
}

PUBLIC int crisvc_client_add_metadata(struct crisvc_client *c, const char *name, const char *value)
{
	struct metadata *m = c ? &c->channel.metadata : NULL;

	if (!m || !name || !value || !metadata_valid(name, value))
		return -EINVAL;
	if (m->n >= LIMIT_TRAILERS || strlen(name) + strlen(value) > LIMIT_STATUS_MESSAGE)
		return -E2BIG;
	return metadata_add(m, name, strlen(name), value, strlen(value));
}

PUBLIC struct crisvc_client *crisvc_client_free(struct crisvc_client *c)
{
	struct crisvc_stream *st;

	if (!c)
		return NULL;
	channel_done(&c->channel);
	while ((st = LIST_FIRST(&c->streams))) {
		err_set(&st->err, CRISVC_E_DISCONNECTED, "the client was freed");
		stream_over(st, CRISVC_E_DISCONNECTED);
	}
	free(c);
	return NULL;
}
