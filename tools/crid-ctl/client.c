/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRI calls by name, and what a user can do about a failed one.
 */
#include <errno.h>
#include <limits.h>
#include "ctl.h"

/* Fills err as the library does for its own failures. */
static void *failed(struct crisvc_error *err, int code, int sys, const char *text)
{
	err->code = code;
	err->sys_errno = sys;
	snprintf(err->message, sizeof(err->message), "%s", text);
	return NULL;
}

static int milliseconds(const struct ctl *c, long long timeout)
{
	if (c->timeout)
		timeout = c->timeout;
	return timeout < 0 ? -1 : timeout > INT_MAX / 1000 ? INT_MAX : (int)(timeout * 1000);
}

static void *unpack(const struct crisvc_cri_method *m, const void *p, size_t n,
		    struct crisvc_error *err)
{
	ProtobufCMessage *reply;
	const char *field = NULL;
	char text[200];
	int r = crisvc_cri_unpack(m->response, p, n, &reply, &field);

	if (!r)
		return reply;
	snprintf(text, sizeof(text), "the answer to %s is malformed%s%s", m->name,
		 field ? " in field " : "", field ? field : "");
	return failed(err, CRISVC_E_PROTOCOL, -r, text);
}

void *ctl_call(struct ctl *c, const char *method, const ProtobufCMessage *request,
	       long long timeout, struct crisvc_error *err)
{
	const struct crisvc_cri_method *m = crisvc_cri_method_by_name(method);
	_cleanup_free_ void *bytes = NULL, *answer = NULL;
	const char *bad = message_bad_string(request);
	size_t len, answer_len;
	char text[200];
	int r;

	memset(err, 0, sizeof(*err));
	if (bad) {
		snprintf(text, sizeof(text), "an argument (%s) is not valid UTF-8", bad);
		return failed(err, 0, EINVAL, text);
	}
	if (!c->client && crisvc_client_new(c->endpoint, &c->client, err))
		return NULL;
	if (crisvc_cri_pack(request, &bytes, &len))
		return failed(err, 0, ENOMEM, "out of memory");
	r = crisvc_client_call(c->client, m->path, bytes, len, milliseconds(c, timeout), &answer,
			       &answer_len, err);
	return r ? NULL : unpack(m, answer, answer_len, err);
}

static const char *what_to_do(const struct crisvc_error *err)
{
	switch (err->sys_errno) {
	case ENOENT:
	case ECONNREFUSED:
		return "Is crid running, and is this its socket? Another one is chosen with "
		       "--endpoint PATH or the variable CRID_ENDPOINT.";
	case EACCES:
	case EPERM:
		return "The socket belongs to root: use sudo.";
	default:
		return NULL;
	}
}

void ctl_complain(struct ctl *c, const char *method, const struct crisvc_error *err)
{
	const char *hint = err->code == CRISVC_E_STATUS ? NULL : what_to_do(err);

	if (err->code == CRISVC_E_STATUS && err->grpc_status == CRISVC_UNIMPLEMENTED)
		complain("%s: the server at %s does not have this call", method, c->endpoint);
	else if (err->code == CRISVC_E_STATUS)
		complain("%s: %s", method,
			 *err->message ? err->message : "failed without a reason");
	else if (err->code == CRISVC_E_DEADLINE)
		complain("%s: no answer in time; --timeout SECONDS allows more", method);
	else
		complain("%s: %s%s%s", method, err->message, hint ? "\n" : "", hint ? hint : "");
}

void *ctl_ask(struct ctl *c, const char *method, const ProtobufCMessage *request, long long timeout)
{
	struct crisvc_error err;
	void *reply = ctl_call(c, method, request, timeout, &err);

	if (!reply)
		ctl_complain(c, method, &err);
	return reply;
}

int ctl_tell(struct ctl *c, const char *method, const ProtobufCMessage *request, long long timeout)
{
	_cleanup_reply_ ProtobufCMessage *reply = ctl_ask(c, method, request, timeout);

	return reply ? EXIT_SUCCESS : EXIT_FAILURE;
}
