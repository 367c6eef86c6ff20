/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a tar-split file: what, with the extracted files, makes the tar again bit for bit. */
#ifndef CSTORAGE_TARSPLIT_H
#define CSTORAGE_TARSPLIT_H

#include <cbase/str.h>
#include "codec.h"

#define TARSPLIT_SEGMENT_MAX (1u << 20) /* raw bytes in one entry */

struct tarsplit {
	struct gzip_out *out;
	struct str segment, line;
	uint64_t position;
	uint64_t crc; /* of the file being added */
};

int tarsplit_init(struct tarsplit *t, int fd); /* 0 or -errno, as all */
void tarsplit_done(struct tarsplit *t);
/* Bytes of the archive that are not content of a file. */
int tarsplit_raw(struct tarsplit *t, const void *p, size_t n);
/* Content of the member whose header was the last raw bytes. */
void tarsplit_content(struct tarsplit *t, const void *p, size_t n);
/* The member is complete. name is as in the archive; size 0: it has no content. */
int tarsplit_member(struct tarsplit *t, const char *name, uint64_t size);
int tarsplit_finish(struct tarsplit *t);

#endif
