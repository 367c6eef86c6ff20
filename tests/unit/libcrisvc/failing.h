/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocations that fail, in one file of a program that is linked with --wrap for malloc, calloc, realloc and strdup: those
 * of the code under test, not those inside of other libraries.
 */
#ifndef FAILING_H
#define FAILING_H

#include <stdlib.h>
#include <cbase/str.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);

static long until_failure = -1;

static int fails(void)
{
	return until_failure >= 0 && until_failure-- == 0;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}

/* libcheck allocates, too */
#define must(x) ((x) ? (void)0 : abort())

/* Returns how many allocations there were. */
static long count_failures(void (*fn)(const struct str *a, const struct str *b), const struct str *a, const struct str *b)
{
	long n;

	for (n = 0; n < 10000; n++) {
		until_failure = n;
		fn(a, b);
		if (until_failure >= 0)
			break;
	}
	until_failure = -1;
	return n;
}

#endif
