/* SPDX-License-Identifier: Apache-2.0 */
/* What harnesses have in common. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cbase/io.h>
#include <cbase/str.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(condition) do { \
	if (!(condition)) { \
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
		abort(); \
	} } while (0)

struct input {
	const uint8_t *p;
	size_t n;
};

/* [owned] what is before the next NUL of the input, NUL added; the last piece is all that is left, with its NULs if rest. */
static inline char *fuzz_piece(struct input *in, bool rest, size_t *ret_len)
{
	const uint8_t *end = rest || !in->n ? NULL : memchr(in->p, 0, in->n);
	size_t len = end ? (size_t)(end - in->p) : in->n;
	char *piece = malloc(len + 1);

	require(piece);
	if (len)
		memcpy(piece, in->p, len);
	piece[len] = '\0';
	in->p += len + !!end;
	in->n -= len + !!end;
	if (ret_len)
		*ret_len = len;
	return piece;
}

static inline int fuzz_file(const void *p, size_t n)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	require(fd >= 0 && write_all(fd, p, n) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

/* What fails says why, in UTF-8. Of all libraries' errors. */
#define fuzz_said(r, err) require(!(r) || ((err)->message[0] && utf8_valid((err)->message, strlen((err)->message))))

#endif
