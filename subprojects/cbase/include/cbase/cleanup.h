/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership by scope: a variable marked _cleanup_free_ or _cleanup_close_ is released when its scope
 * ends, unless take() or take_fd() moved it out. So functions return early without labels.
 */
#ifndef CBASE_CLEANUP_H
#define CBASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>
#include <errno.h>
#include <stdio.h>
#include <dirent.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Defines f##p(), which calls f(*p): the form that _cleanup_() wants. */
#define CB_DEFINE_CLEANUP(type, f) \
	static inline __attribute__((unused)) void f##p(type *p) { if (*p) f(*p); }

static inline void cb_freep(void *p)
{
	int saved = errno;

	free(*(void **)p);
	errno = saved;
}

/* Closes without touching errno; always returns -1, so "fd = close_fd(fd)" resets the variable. */
static inline int close_fd(int fd)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
	return -1;
}

static inline void cb_closep(int *fd)
{
	close_fd(*fd);
}

static inline void cb_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void cb_closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define _cleanup_free_ _cleanup_(cb_freep)
#define _cleanup_close_ _cleanup_(cb_closep)
#define _cleanup_fclose_ _cleanup_(cb_fclosep)
#define _cleanup_closedir_ _cleanup_(cb_closedirp)

/* Moves a pointer (or descriptor) out of a variable that would release it. */
#define take(p) __extension__({ __typeof__(p) cb_take_ = (p); (p) = NULL; cb_take_; })
#define take_fd(fd) __extension__({ int cb_take_ = (fd); (fd) = -1; cb_take_; })

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

#endif
