/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCI content digests ("sha256:" + 64 lower-case hex, also sha384 and sha512) over OpenSSL's EVP.
 * digest_valid() and digest_hex() are in core_dep already, without OpenSSL.
 */
#ifndef CBASE_DIGEST_H
#define CBASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include "cleanup.h"

#define DIGEST_STR_MAX 136	/* "sha512:" + 128 digits + NUL, rounded up */

/* One of the three algorithms, exact length, lower-case hex. */
bool digest_valid(const char *s);
const char *digest_hex(const char *digest);	/* behind the colon */

struct digest_stream;
int digest_stream_new(const char *algorithm, struct digest_stream **ret);	/* 0, -EINVAL, -ENOMEM */
struct digest_stream *digest_stream_free(struct digest_stream *d);		/* returns NULL */
CB_DEFINE_CLEANUP(struct digest_stream *, digest_stream_free)
void digest_stream_update(struct digest_stream *d, const void *p, size_t n);
void digest_stream_final(struct digest_stream *d, char out[DIGEST_STR_MAX]);	/* once */

void digest_sha256(const void *p, size_t n, char out[DIGEST_STR_MAX]);
/* Are these bytes what the digest names? false also for an invalid digest. */
bool digest_matches(const char *digest, const void *p, size_t n);

#endif
