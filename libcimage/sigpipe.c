/* SPDX-License-Identifier: Apache-2.0 */
/* See sigpipe.h. */
#include <errno.h>
#include <pthread.h>
#include "sigpipe.h"

void sigpipe_hold(struct sigpipe *s)
{
	sigset_t set;

	sigpending(&set);
	s->was_pending = sigismember(&set, SIGPIPE);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, &s->old);
}

void sigpipe_release(const struct sigpipe *s)
{
	const struct timespec none = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	if (!s->was_pending)
		while (sigtimedwait(&set, NULL, &none) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &s->old, NULL);
}
