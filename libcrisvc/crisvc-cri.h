/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcrisvc-cri: the messages of CRI v1 (generated from cri.proto by protobuf-c, see cri.pb-c.h)
 * and the table of its 43 RPCs. The soname changes with the minor version of CRI.
 *
 * Names in C are protobuf-c's: fields in small letters (uidMappings is uidmappings, CDI_devices is
 * cdi_devices, PsiStats.Full is full); namespace is namespace_. Fields named linux are usable: this
 * header takes away the macro of that name which GNU C predefines.
 *
 * Everything here is pure: no I/O, no state, any thread.
 */
#ifndef CRISVC_CRI_H
#define CRISVC_CRI_H

#include <stddef.h>
#include <protobuf-c/protobuf-c.h>
#include "cri.pb-c.h"
#include "cri_rpcs.h"

#ifdef __cplusplus
extern "C" {
#endif

struct crisvc_cri_method {
	const char *service; /* "runtime.v1.RuntimeService" */
	const char *name;    /* "RunPodSandbox" */
	const char *path;    /* "/runtime.v1.RuntimeService/RunPodSandbox" */
	const ProtobufCMessageDescriptor *request, *response;
	int server_streaming;
};

/*
 * All RPCs in the order of cri.proto, ended by an entry with path NULL. Their C types are in
 * CRISVC_CRI_RPCS (cri_rpcs.h); <crisvc-service.h> makes typed functions of both.
 */
extern const struct crisvc_cri_method crisvc_cri_methods[];
/* "Version"; NULL when unknown. No two services have a method of the same name. */
const struct crisvc_cri_method *crisvc_cri_method_by_name(const char *name);

/**
 * crisvc_cri_unpack() - make a message of untrusted bytes
 * @d: descriptor of the message, as in crisvc_cri_methods[]
 * @ret: [owned] the message in one arena; crisvc_cri_free() frees it whole
 * @ret_field: [optional] with -EBADMSG and -EILSEQ the name of the innermost field ([borrowed], of
 *             the descriptor; of a map its own name), or NULL when the damage is in no known field
 *
 * Of the result: strings are never NULL (unset is ""), messages are NULL when unset, enums may have
 * values that the enum does not know, maps are arrays of entries in which a key may occur twice
 * (the last one counts). Do not use the generated ..__free_unpacked() on it.
 *
 * Return: 0; -EBADMSG malformed, or nested deeper than 32; -EILSEQ a string that is not UTF-8
 *         or has a NUL (bytes fields are untouched); -EMSGSIZE more than 80 MiB, or more than
 *         256 MiB of memory when unpacked; -ENOMEM; -EINVAL.
 * Since: 0.1
 */
int crisvc_cri_unpack(const ProtobufCMessageDescriptor *d, const void *p, size_t n,
		      ProtobufCMessage **ret, const char **ret_field);
/* Only for messages of crisvc_cri_unpack(); NULL is fine. */
void crisvc_cri_free(ProtobufCMessage *m);

/**
 * crisvc_cri_pack() - make bytes of a message
 * @ret: [owned] free(); not NULL, also when @ret_len is 0
 *
 * In strings, bytes that are not UTF-8 become U+FFFD, because Go clients refuse a whole list for one
 * bad byte; bytes fields are untouched. A NULL string is unset.
 *
 * Return: 0; -ENOMEM; -EINVAL.
 * Since: 0.1
 */
int crisvc_cri_pack(const ProtobufCMessage *m, void **ret, size_t *ret_len);
/* [owned] copy of s with invalid bytes replaced by U+FFFD; NULL when out of memory. */
char *crisvc_cri_utf8(const char *s);

#ifdef __cplusplus
}
#endif
#endif
