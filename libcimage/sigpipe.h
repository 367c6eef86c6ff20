/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader that closes its end of a pipe must give EPIPE here, not a signal to the program: SIGPIPE is
 * blocked in this thread (and those it starts), and one that came meanwhile is taken back.
 */
#ifndef CIMAGE_SIGPIPE_H
#define CIMAGE_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

struct sigpipe {
	sigset_t old;
	bool was_pending;
};
void sigpipe_hold(struct sigpipe *s);
void sigpipe_release(const struct sigpipe *s);

#endif
