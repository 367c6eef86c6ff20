/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcrisvc-cri: the messages of CRI v1 (generated from cri.proto by protobuf-c, see cri.pb-c.h) and
 * the table of its 43 RPCs. The soname changes with the minor version of CRI.
 */
#ifndef CRISVC_CRI_H
#define CRISVC_CRI_H

#include <stddef.h>
#include <protobuf-c/protobuf-c.h>
#include "cri.pb-c.h"

#ifdef __cplusplus
extern "C" {
#endif

struct crisvc_cri_method {
	const char *service;		/* "runtime.v1.RuntimeService" */
	const char *name;		/* "RunPodSandbox" */
	const char *path;		/* "/runtime.v1.RuntimeService/RunPodSandbox" */
	const ProtobufCMessageDescriptor *request, *response;
	int server_streaming;
};

/* All RPCs in the order of cri.proto, ended by an entry with path NULL. */
extern const struct crisvc_cri_method crisvc_cri_methods[];
const struct crisvc_cri_method *crisvc_cri_method_by_name(const char *name);	/* "Version"; NULL when unknown */

/*
 * Unpacks into one arena: crisvc_cri_free() frees it whole. -EBADMSG malformed; -EILSEQ a string that
 * is not UTF-8 or has a NUL (bytes fields are untouched); both with the innermost field's name in
 * ret_field ([borrowed], may be NULL; NULL is stored when the damage is not in a known field);
 * -EMSGSIZE more than 80 MiB, or more than 256 MiB of memory when unpacked; -ENOMEM.
 *
 * Of the result: strings are never NULL (unset is ""), messages are NULL when unset, enums may have
 * values that the enum does not know, maps are arrays of entries in which a key may occur twice (the
 * last one counts). Do not use the generated ..__unpack()/..__free_unpacked() on it.
 */
int crisvc_cri_unpack(const ProtobufCMessageDescriptor *d, const void *p, size_t n, ProtobufCMessage **ret,
		      const char **ret_field);
void crisvc_cri_free(ProtobufCMessage *m);
/* [owned] bytes. Strings must be valid UTF-8 (see crisvc_cri_utf8()). 0 or -ENOMEM. */
int crisvc_cri_pack(const ProtobufCMessage *m, void **ret, size_t *ret_len);
/* [owned] copy of s with invalid bytes replaced by U+FFFD; NULL when out of memory. */
char *crisvc_cri_utf8(const char *s);

#ifdef __cplusplus
}
#endif
#endif
