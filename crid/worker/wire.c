/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct header {
	uint32_t type, len;
};

/* ---- writing ---- */

static int send_all(int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n > 0) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

int wire_send(int fd, enum wire_type type, const void *p, size_t n)
{
	struct header h = { type, (uint32_t)n };
	int r;

	if (n > WIRE_FRAME_MAX)
		return -EMSGSIZE;
	r = send_all(fd, &h, sizeof(h));
	return r ? r : send_all(fd, p, n);
}

int wire_send_u32(int fd, enum wire_type type, uint32_t v)
{
	return wire_send(fd, type, &v, sizeof(v));
}

static void append_u32(struct str *s, uint32_t v)
{
	str_append_mem(s, &v, sizeof(v));
}

static void append_bytes(struct str *s, const struct wire_bytes *b)
{
	append_u32(s, (uint32_t)b->len);
	if (b->len)
		str_append_mem(s, b->p, b->len);
}

int wire_send_image(int fd, const struct wire_image *i)
{
	_cleanup_str_ struct str s = STR_INIT;

	append_u32(&s, i->candidate);
	append_bytes(&s, &i->manifest);
	append_bytes(&s, &i->manifest_digest);
	append_bytes(&s, &i->list);
	append_bytes(&s, &i->list_digest);
	append_bytes(&s, &i->config);
	append_bytes(&s, &i->signatures);
	append_bytes(&s, &i->signature_sizes);
	return str_failed(&s) ? -ENOMEM : wire_send(fd, WIRE_IMAGE, s.data, s.len);
}

int wire_send_error(int fd, int r, const struct cb_error *err)
{
	_cleanup_str_ struct str s = STR_INIT;

	append_u32(&s, (uint32_t)(r > 0 ? r : 0));
	append_u32(&s, (uint32_t)(r < 0 ? -r : err->sys_errno));
	str_append(&s, err->message);
	return str_failed(&s) ? -ENOMEM : wire_send(fd, WIRE_ERROR, s.data, s.len);
}

struct pipe_message {
	struct header h;
	uint32_t layer;
};

int wire_send_pipe(int fd, uint32_t layer, int pipe)
{
	struct pipe_message m = { { WIRE_PIPE, sizeof(layer) }, layer };
	struct iovec iov = { &m, sizeof(m) };
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	ssize_t n;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &pipe, sizeof(pipe));
	do {
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == (ssize_t)sizeof(m) ? 0 : -EPIPE;
}

/* ---- reading ---- */

void wire_reader_done(struct wire_reader *r)
{
	str_done(&r->buf);
}

/* Frames already returned leave the buffer. */
static void compact(struct wire_reader *r)
{
	if (r->used == 0)
		return;
	memmove(r->buf.data, r->buf.data + r->used, r->buf.len - r->used);
	r->buf.len -= r->used;
	r->used = 0;
}

int wire_fill(struct wire_reader *r)
{
	compact(r);
	for (;;) {
		char *p;
		ssize_t n;

		/* One frame and the start of the next is enough to go on. */
		if (r->buf.len > WIRE_FRAME_MAX + sizeof(struct header))
			return 0;
		p = str_reserve(&r->buf, 65536);
		if (!p)
			return -ENOMEM;
		n = recv(r->fd, p, 65536, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0 && errno != ECONNRESET)
			return -errno;
		if (n <= 0) {
			r->eof = true;
			return 0;
		}
		r->buf.len += (size_t)n;
	}
}

int wire_next(struct wire_reader *r, struct wire_frame *ret)
{
	size_t left = r->buf.len - r->used;
	struct header h;

	if (left < sizeof(h))
		return 0;
	memcpy(&h, r->buf.data + r->used, sizeof(h));
	if (h.type < WIRE_IMAGE || h.type > WIRE_ERROR || h.len > WIRE_FRAME_MAX)
		return -EPROTO;
	if (left - sizeof(h) < h.len)
		return 0;
	ret->type = (enum wire_type)h.type;
	ret->p = r->buf.data + r->used + sizeof(h);
	ret->len = h.len;
	r->used += sizeof(h) + h.len;
	return 1;
}

int wire_parse_u32(const struct wire_frame *f, uint32_t *ret)
{
	if (f->len != sizeof(*ret))
		return -EPROTO;
	memcpy(ret, f->p, sizeof(*ret));
	return 0;
}

static int take_u32(const char **p, size_t *left, uint32_t *ret)
{
	if (*left < sizeof(*ret))
		return -EPROTO;
	memcpy(ret, *p, sizeof(*ret));
	*p += sizeof(*ret);
	*left -= sizeof(*ret);
	return 0;
}

static int take_bytes(const char **p, size_t *left, size_t max, struct wire_bytes *ret)
{
	uint32_t n;

	if (take_u32(p, left, &n) || n > *left || n > max)
		return -EPROTO;
	*ret = (struct wire_bytes){ *p, n };
	*p += n;
	*left -= n;
	return 0;
}

int wire_parse_image(const struct wire_frame *f, struct wire_image *ret)
{
	struct wire_image i;
	const char *p = f->p;
	size_t left = f->len;

	if (take_u32(&p, &left, &i.candidate) ||
	    take_bytes(&p, &left, WIRE_DOCUMENT_MAX, &i.manifest) ||
	    take_bytes(&p, &left, 256, &i.manifest_digest) ||
	    take_bytes(&p, &left, WIRE_DOCUMENT_MAX, &i.list) ||
	    take_bytes(&p, &left, 256, &i.list_digest) ||
	    take_bytes(&p, &left, WIRE_DOCUMENT_MAX, &i.config) ||
	    take_bytes(&p, &left, WIRE_DOCUMENT_MAX, &i.signatures) ||
	    take_bytes(&p, &left, WIRE_SIGNATURES_MAX * sizeof(uint32_t), &i.signature_sizes) ||
	    left > 0)
		return -EPROTO;
	*ret = i;
	return 0;
}

int wire_parse_error(const struct wire_frame *f, int *ret_r, struct cb_error *err)
{
	_cleanup_str_ struct str text = STR_INIT;
	const char *p = f->p;
	size_t left = f->len;
	uint32_t code, sys;

	if (take_u32(&p, &left, &code) || take_u32(&p, &left, &sys) || code > 1000 || sys > 4095 ||
	    (!code && !sys) || left >= CB_ERROR_MESSAGE_MAX)
		return -EPROTO;
	/* It becomes part of a JSON message. */
	str_append_utf8(&text, p, left);
	if (str_failed(&text))
		return -ENOMEM;
	err_set(err, (int)code, "%s", text.data ? text.data : "");
	err->sys_errno = (int)sys;
	*ret_r = code ? (int)code : -(int)sys;
	return 0;
}

/* Exactly n bytes, so that a descriptor belongs to the message read. */
static int receive(int fd, void *p, size_t n, int *ret_fd)
{
	struct iovec iov = { p, n };
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	ssize_t k;

	do {
		k = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_WAITALL);
	} while (k < 0 && errno == EINTR);
	if (k < 0)
		return -errno;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	return (size_t)k == n ? 0 : -EPIPE;
}

int wire_receive_pipe(int fd, uint32_t *ret_layer, int *ret_pipe)
{
	_cleanup_close_ int got = -1;
	struct header h;
	uint32_t layer;
	int r;

	r = receive(fd, &h, sizeof(h), &got);
	if (r)
		return r;
	if (h.type == WIRE_GO && h.len == 0)
		return 1;
	if (h.type != WIRE_PIPE || h.len != sizeof(layer))
		return -EPROTO;
	r = receive(fd, &layer, sizeof(layer), &got);
	if (r)
		return r;
	if (got < 0)
		return -EPROTO;
	*ret_layer = layer;
	*ret_pipe = take_fd(got);
	return 0;
}
