/* SPDX-License-Identifier: Apache-2.0 */
/* What conmon.c (containers) and conmon_exec.c (execs) share, and what their tests look at. */
#ifndef CRID_CONMON_PRIVATE_H
#define CRID_CONMON_PRIVATE_H

#include <stddef.h>
#include <stdint.h>
#include <cbase/err.h>
#include <cbase/str.h>
#include "conmon.h"

/* Two stream socketpairs: sync carries conmon's one message to us, start our one byte to conmon. */
struct conmon_pipes {
	int sync, start; /* our ends */
	int theirs[2];	 /* conmon's: its descriptors 3 and 4 */
};
#define CONMON_PIPES_INIT                                                                          \
	{                                                                                          \
		-1, -1,                                                                            \
		{                                                                                  \
			-1, -1                                                                     \
		}                                                                                  \
	}

int conmon_pipes_open(struct conmon_pipes *p, struct cb_error *err);
void conmon_pipes_close_theirs(struct conmon_pipes *p);
void conmon_pipes_done(struct conmon_pipes *p);
/* Lets conmon go on. That it is dead already shows later, in its missing message. */
void conmon_pipes_release(struct conmon_pipes *p);

/* runtime_env() and the numbers of the two descriptors; [owned]. */
int conmon_env(const struct runtime_handler *h, char ***ret);

#define CONMON_MESSAGE_MAX (64u << 10)

/*
 * Adds what can be read to text, until a newline (the message is whole) or the end. 0;
 * E_DEADLINE past the deadline (CLOCK_MONOTONIC ns; 0: take what is there and do not wait);
 * E_LIMIT; negative errno.
 */
int conmon_message_read(int fd, int64_t deadline, struct str *text);
/*
 * {"pid": N} or {"exit_code": N, "message": "..."}: the number of that key, and the message,
 * empty when there is none. Text that is no JSON is all message, with number -1. E_NOT_FOUND
 * when it has neither.
 */
int conmon_message_parse(const char *text, size_t n, const char *key, int64_t *ret_number,
			 struct str *ret_message);

/*
 * Splits a log in CRI format into the two streams: "P" lines without their newline, "F" lines
 * with it. At most limit bytes of the file count; lines that are not in the format are left out.
 * 0, -ENOMEM, -EIO.
 */
int conmon_log_split(int fd, size_t limit, struct str *out, struct str *errout);

#endif
