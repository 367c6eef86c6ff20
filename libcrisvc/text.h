/* SPDX-License-Identifier: Apache-2.0 */
/* The header values of gRPC ("gRPC over HTTP2", section Requests and Responses). */
#ifndef CRISVC_TEXT_H
#define CRISVC_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cbase/str.h>

/* "application/grpc", alone or followed by "+format" or ";parameters". */
bool text_is_grpc(const char *p, size_t n);

/* 1 to 8 digits and one of H M S m u n; 0 and nanoseconds (at most INT64_MAX), or -EINVAL. */
int text_parse_timeout(const char *p, size_t n, int64_t *ret_ns);
#define TEXT_TIMEOUT_MAX 24
/* The finest unit that has room for ns in 8 digits, rounded up; ns <= 0 gives "0n". */
void text_format_timeout(int64_t ns, char out[TEXT_TIMEOUT_MAX]);

/*
 * Appends message with percent-encoding, at most max bytes of it: what does not fit is left out,
 * whole characters at a time. Bytes that are not UTF-8 are encoded as they are.
 */
void text_encode_message(struct str *out, const char *message, size_t max);
/* Appends the decoded bytes; an incomplete escape is taken literally. */
void text_decode_message(struct str *out, const char *p, size_t n);

#endif
