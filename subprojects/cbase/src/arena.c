/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A first block, then blocks that make it half as large again: what is kept for long wastes little, and
 * what grows large needs few. An allocation larger than a block gets one of its own.
 */
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cbase/arena.h>

#define BLOCK_FIRST 1024
#define BLOCK_MAX (256u << 10)
#define ALIGN 8

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	size_t sum;		/* of the sizes up to this block */
	_Alignas(ALIGN) char data[];
};

static struct arena_block *block_new(struct arena *a, size_t need)
{
	size_t sum = a->blocks ? a->blocks->sum : 0;
	size_t size = sum ? sum / 2 : BLOCK_FIRST;
	struct arena_block *b;

	if (size > BLOCK_MAX)
		size = BLOCK_MAX;
	if (size < need)
		size = need;
	if (__builtin_add_overflow(size, sizeof(*b), &need))
		return NULL;
	b = malloc(need);
	if (!b)
		return NULL;
	*b = (struct arena_block){ .next = a->blocks, .size = size, .sum = sum + size };
	a->blocks = b;
	return b;
}

static char *arena_take(struct arena *a, size_t n, size_t align)
{
	struct arena_block *b = a->blocks;
	size_t skip = b ? -b->used & (align - 1) : 0;

	if (a->failed)
		return NULL;
	if (!b || b->size - b->used < skip || b->size - b->used - skip < n) {
		b = block_new(a, n);
		skip = 0;
	}
	if (!b) {
		a->failed = true;
		return NULL;
	}
	b->used += skip + n;
	return b->data + b->used - n;
}

void *arena_alloc(struct arena *a, size_t n)
{
	char *p = arena_take(a, n, ALIGN);

	return p ? memset(p, 0, n) : NULL;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *p = n < SIZE_MAX ? arena_take(a, n + 1, 1) : NULL;

	if (!p) {
		a->failed = true;
		return NULL;
	}
	if (n)
		memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	char *p = NULL;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n >= 0)
		p = arena_alloc(a, (size_t)n + 1);
	if (p)
		vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	va_end(ap);
	return p;
}

void arena_done(struct arena *a)
{
	struct arena_block *b, *next;

	for (b = a->blocks; b; b = next) {
		next = b->next;
		free(b);
	}
	*a = (struct arena)ARENA_INIT;
}
