/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRI calls with their types: what <crisvc.h> serves as bytes, and <crisvc-cri.h> makes messages of.
 * Functions of this header are compiled into the program that uses it; link both libraries.
 *
 *	static void version(struct crisvc_call *call, const Runtime__V1__VersionRequest *q, void *user);
 *
 *	static const struct crisvc_cri_service service = {
 *		.Version = version,	each RPC is one line; those without are UNIMPLEMENTED
 *	};
 */
#ifndef CRISVC_SERVICE_H
#define CRISVC_SERVICE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "crisvc.h"
#include "crisvc-cri.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A typed function for each of the 43 RPCs, with its name in cri.proto. It owns the call, and answers
 * it now or later; the request is gone when it returns.
 */
struct crisvc_cri_service {
#define CRISVC_CRI_FN_(name, request, response, streaming)                                         \
	void (*name)(struct crisvc_call * call, const request *q, void *user);
	CRISVC_CRI_RPCS(CRISVC_CRI_FN_)
#undef CRISVC_CRI_FN_
};

/* CRISVC_CRI_Version is the place of Version in crisvc_cri_methods[]. */
enum {
#define CRISVC_CRI_ID_(name, request, response, streaming) CRISVC_CRI_##name,
	CRISVC_CRI_RPCS(CRISVC_CRI_ID_)
#undef CRISVC_CRI_ID_
	CRISVC_CRI_N_RPCS
};

static inline int crisvc_cri_service_has(const struct crisvc_cri_service *s, size_t rpc)
{
	switch (rpc) {
#define CRISVC_CRI_HAS_(name, request, response, streaming)                                        \
	case CRISVC_CRI_##name:                                                                    \
		return s->name != NULL;
		CRISVC_CRI_RPCS(CRISVC_CRI_HAS_)
#undef CRISVC_CRI_HAS_
	}
	return 0;
}

/* Tells the server which RPCs there are. 0, or as crisvc_server_add_method(). */
static inline int crisvc_cri_service_add(struct crisvc_server *server,
					 const struct crisvc_cri_service *s)
{
	int r = 0;

	for (size_t i = 0; !r && i < CRISVC_CRI_N_RPCS; i++)
		if (crisvc_cri_service_has(s, i))
			r = crisvc_server_add_method(server, crisvc_cri_methods[i].path,
						     (void *)(uintptr_t)&crisvc_cri_methods[i]);
	return r;
}

/*
 * Gives a popped call to its function. A request that is malformed, or has text that is not UTF-8, is
 * answered INVALID_ARGUMENT with the name of the field.
 */
static inline void crisvc_cri_service_call(const struct crisvc_cri_service *s,
					   struct crisvc_call *call, void *user)
{
	const struct crisvc_cri_method *m =
		(const struct crisvc_cri_method *)crisvc_call_method_user(call);
	const char *field = NULL;
	ProtobufCMessage *q = NULL;
	const void *bytes;
	char text[160];
	size_t len;
	int r;

	bytes = crisvc_call_request(call, &len);
	r = crisvc_cri_unpack(m->request, bytes, len, &q, &field);
	if (r == -EILSEQ || r == -EBADMSG) {
		snprintf(text, sizeof(text), "%s: field %s %s", m->name, field ? field : "?",
			 r == -EILSEQ ? "is not valid UTF-8 or has a NUL" : "is malformed");
		crisvc_call_fail(call, CRISVC_INVALID_ARGUMENT, text);
		return;
	}
	if (r) {
		crisvc_call_fail(call, CRISVC_RESOURCE_EXHAUSTED, "the request needs too much memory");
		return;
	}
	switch (m - crisvc_cri_methods) {
#define CRISVC_CRI_CALL_(name, request, response, streaming)                                       \
	case CRISVC_CRI_##name:                                                                    \
		s->name(call, (const request *)(const void *)q, user);                             \
		break;
		CRISVC_CRI_RPCS(CRISVC_CRI_CALL_)
#undef CRISVC_CRI_CALL_
	}
	crisvc_cri_free(q);
}

/* Answers with a message, &response.base. As crisvc_call_reply(). */
static inline int crisvc_cri_reply(struct crisvc_call *call, const ProtobufCMessage *m)
{
	void *bytes = NULL;
	size_t len = 0;
	int r = crisvc_cri_pack(m, &bytes, &len);

	if (r)
		crisvc_call_fail(call, CRISVC_RESOURCE_EXHAUSTED, "out of memory");
	else
		r = crisvc_call_reply(call, bytes, len);
	free(bytes);
	return r;
}

/* One message of an answer that has several. As crisvc_call_send(). */
static inline int crisvc_cri_send(struct crisvc_call *call, const ProtobufCMessage *m)
{
	void *bytes = NULL;
	size_t len = 0;
	int r = crisvc_cri_pack(m, &bytes, &len);

	if (!r)
		r = crisvc_call_send(call, bytes, len);
	free(bytes);
	return r;
}

#ifdef __cplusplus
}
#endif
#endif
