/* SPDX-License-Identifier: Apache-2.0 */
/* See cri.h. */
#include <cbase/io.h>
#include "cri.h"
#include "errors.h"
#include "list_stream.h"
#include "log.h"

static const struct cri_rpc *const tables[] = { cri_pod_rpcs, cri_container_rpcs, cri_image_rpcs, cri_runtime_rpcs,
	cri_streaming_rpcs, cri_stats_rpcs, cri_metrics_rpcs };

struct method {
	const struct cri_rpc *rpc;
	const struct crisvc_cri_method *cri;
};

int cri_register(struct daemon *d)
{
	const struct cri_rpc *rpc;
	struct method *m;
	size_t t;
	int r;

	for (t = 0; t < ARRAY_SIZE(tables); t++) {
		for (rpc = tables[t]; rpc->name; rpc++) {
			m = arena_alloc(&d->arena, sizeof(*m));
			if (!m)
				return -ENOMEM;
			*m = (struct method){ .rpc = rpc, .cri = crisvc_cri_method_by_name(rpc->name) };
			r = crisvc_server_add_method(d->server, m->cri->path, m);
			if (r)
				return r < 0 ? r : -EINVAL;
		}
	}
	return 0;
}

void cri_dispatch(struct daemon *d, struct crisvc_call *call)
{
	const struct method *m = crisvc_call_method_user(call);
	struct cb_error err = { 0 };
	const char *field = NULL;
	ProtobufCMessage *q = NULL;
	const void *bytes;
	size_t n;
	struct log_request request = log_request_new(m->cri->path);
	int r;

	log_request_set(&request);
	log_debug("request");
	if (d->ending) {
		call_fail(call, err_set(&err, E_UNAVAILABLE, "crid is stopping"), &err);
		return;
	}
	bytes = crisvc_call_request(call, &n);
	r = crisvc_cri_unpack(m->cri->request, bytes, n, &q, &field);
	if (r == -EILSEQ)
		r = err_set(&err, E_INVALID, "%s: field %s is not valid UTF-8 or has a NUL", m->rpc->name, field ? field : "?");
	else if (r == -ENOMEM)
		r = err_oom(&err);
	else if (r == -EMSGSIZE)
		r = err_set(&err, E_LIMIT, "%s: message too large", m->rpc->name);
	else if (r)
		r = err_set(&err, E_INVALID, "%s: malformed message", m->rpc->name);
	if (r) {
		call_fail(call, r, &err);
		return;
	}
	m->rpc->fn(d, call, q);
}

void *cri_request_copy(const struct crisvc_call *call, size_t *ret_len)
{
	const void *bytes = crisvc_call_request(call, ret_len);
	void *copy = malloc(*ret_len + 1);

	return copy ? memcpy(copy, bytes, *ret_len) : NULL;
}

const void *cri_filter(const ProtobufCMessage *q)
{
	return *(const void *const *)(const void *)((const char *)q + q->descriptor->fields[0].offset);
}

void cri_reply(struct crisvc_call *call, const ProtobufCMessage *m, const struct arena *a)
{
	if (arena_failed(a))
		call_fail(call, -ENOMEM, &(struct cb_error){ .message = "out of memory" });
	else
		call_reply(call, m);
}

void cri_reply_list(struct crisvc_call *call, ProtobufCMessage *m, const struct arena *a)
{
	const struct method *method = crisvc_call_method_user(call);

	if (method->cri->server_streaming && !arena_failed(a))
		list_stream(call, m);
	else
		cri_reply(call, m, a);
}

void cri_not_found(struct crisvc_call *call, const char *what, const char *id)
{
	struct cb_error err = { 0 };

	call_fail(call, err_set(&err, E_NOT_FOUND, "%s %s does not exist", what, *id ? id : "\"\""), &err);
}

int64_t cri_time_left(const struct crisvc_call *call, int64_t otherwise)
{
	int64_t deadline = crisvc_call_deadline(call), left;

	if (!deadline)
		return otherwise;
	left = deadline - mono_ns();
	return left < 0 ? 0 : left;
}
