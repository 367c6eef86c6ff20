/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel keeps what was written in memory for seconds. The one syncfs() before layers are
 * published would then find all of it, and the processors would wait for a disk that had nothing to
 * do while they were busy. So a thread starts a syncfs() after every step of blobs read: the last
 * one finds little, and a pull never owns more than a few steps of dirty memory.
 *
 * It is for speed alone. Errors of writing are told per open file description, and the thread has one
 * of its own, so the staging's syncfs() sees them all. Where no thread can be had, nothing is lost.
 */
#include "write_behind.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include <cbase/cleanup.h>

/* Of the blob, mostly compressed. Smaller: the journal is committed too often for large directories. */
#define STEP (UINT64_C(16) << 20)

static void *run(void *arg)
{
	struct write_behind *w = arg;
	_cleanup_close_ int fd = openat(w->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	pthread_mutex_lock(&w->mutex);
	while (fd >= 0 && !w->stop) {
		if (w->pending < STEP) {
			pthread_cond_wait(&w->enough, &w->mutex);
			continue;
		}
		w->pending = 0;
		pthread_mutex_unlock(&w->mutex);
		syncfs(fd);
		pthread_mutex_lock(&w->mutex);
	}
	pthread_mutex_unlock(&w->mutex);
	return NULL;
}

/* With all signals blocked: they are the program's business. */
static bool start_locked(struct write_behind *w)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	r = pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r == 0;
}

void write_behind_init(struct write_behind *w)
{
	*w = (struct write_behind){ .dir_fd = -1 };
	pthread_mutex_init(&w->mutex, NULL);
	pthread_cond_init(&w->enough, NULL);
}

void write_behind_done(struct write_behind *w)
{
	pthread_mutex_lock(&w->mutex);
	w->stop = true;
	pthread_cond_signal(&w->enough);
	pthread_mutex_unlock(&w->mutex);
	if (w->started)
		pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->enough);
	pthread_mutex_destroy(&w->mutex);
}

void write_behind_add(struct write_behind *w, uint64_t bytes)
{
	pthread_mutex_lock(&w->mutex);
	w->pending += bytes;
	if (w->pending >= STEP) {
		if (!w->started)
			w->started = start_locked(w);
		pthread_cond_signal(&w->enough);
	}
	pthread_mutex_unlock(&w->mutex);
}
