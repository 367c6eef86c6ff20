/* SPDX-License-Identifier: Apache-2.0 */
/* The wire format of protobuf, as far as it can be judged without building messages. */
#ifndef CRISVC_CRI_WIRE_H
#define CRISVC_CRI_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <protobuf-c/protobuf-c.h>
#include <cbase/str.h>

/* 0; -EBADMSG malformed; -EILSEQ a string that is not UTF-8 or has a NUL, and its name. */
int wire_check(const ProtobufCMessageDescriptor *d, const void *p, size_t n,
	       const char **ret_field);
/* Appends the message with every byte replaced that makes a string invalid. 0, -EBADMSG, -ENOMEM. */
int wire_repair(const ProtobufCMessageDescriptor *d, const void *p, size_t n, struct str *out);

#endif
