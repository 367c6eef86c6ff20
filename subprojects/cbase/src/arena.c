/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks that double in size; an allocation larger than a block gets one of its own. */
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cbase/arena.h>

#define BLOCK_FIRST 1024
#define BLOCK_MAX (256u << 10)
#define ALIGN 16

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	_Alignas(ALIGN) char data[];
};

static struct arena_block *block_new(struct arena *a, size_t need)
{
	size_t size = a->blocks ? 2 * a->blocks->size : BLOCK_FIRST;
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
	b->next = a->blocks;
	b->used = 0;
	b->size = size;
	a->blocks = b;
	return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
	struct arena_block *b = a->blocks;
	size_t need;
	char *p;

	if (a->failed || __builtin_add_overflow(n, ALIGN - 1, &need))
		goto fail;
	need &= ~(size_t)(ALIGN - 1);
	if (!b || b->size - b->used < need)
		b = block_new(a, need);
	if (!b)
		goto fail;
	p = b->data + b->used;
	b->used += need;
	return memset(p, 0, n);
fail:
	a->failed = true;
	return NULL;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *p = arena_alloc(a, n + 1);

	if (p && n)
		memcpy(p, s, n);
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
