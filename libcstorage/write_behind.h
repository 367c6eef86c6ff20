/* SPDX-License-Identifier: Apache-2.0 */
/* Writing begins while layers are still being extracted. */
#ifndef CSTORAGE_WRITE_BEHIND_H
#define CSTORAGE_WRITE_BEHIND_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct write_behind {
	int dir_fd; /* on the file system that is written to: set it before the first bytes; [borrowed] */
	pthread_mutex_t mutex;
	pthread_cond_t enough;
	pthread_t thread;
	uint64_t pending; /* bytes of blobs read since the last syncfs() began */
	bool started, stop;
};

void write_behind_init(struct write_behind *w);
/* Waits for a syncfs() that is under way. */
void write_behind_done(struct write_behind *w);
/* That many more bytes of a blob have been read, and soon extracted. Any thread may say so. */
void write_behind_add(struct write_behind *w, uint64_t bytes);

#endif
