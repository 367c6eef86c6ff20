/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRI messages from and to bytes.
 *
 * Unpacking is two steps. First the bytes are checked (cri_wire.c). Only bytes that pass reach
 * protobuf-c, whose parser then never sees malformed input. It builds the message in an arena: a
 * chain of blocks with one owner, freed whole, and with a limit, because a few bytes on the wire can
 * stand for a large struct (an empty ContainerStatus is two bytes long).
 *
 * Packing is two steps, too: protobuf-c writes, and what it wrote is checked. One string that is not
 * UTF-8 would make a Go client refuse the whole message, so such a message is written anew.
 *
 * Invariant: the message is the first allocation in its arena, directly behind the arena's header.
 * crisvc_cri_free() finds the arena from the message by that.
 */
#include <errno.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cbase/cleanup.h>
#include <cbase/str.h>

#include "cri_wire.h"
#include "crisvc-cri.h"
#include "private.h"

/*
 * The largest message that is unpacked. As large as the transport lets through (80 MiB, CRI-O's
 * value): a second, own limit for those who get their bytes from elsewhere.
 */
#define CRI_MESSAGE_MAX ((size_t)80 << 20)
/*
 * Memory of one unpacked message. Real messages need three to eight times their wire size, and the
 * largest real ones (lists of some thousand containers) have a few MiB. The limit stops messages
 * made of empty submessages, which would need some hundred times their size.
 */
#define CRI_MEMORY_MAX ((size_t)256 << 20)

#define ARENA_BLOCK_MIN ((size_t)1 << 10)
#define ARENA_BLOCK_MAX ((size_t)1 << 20)

/* ---- arena ---- */

struct block {
	struct block *next;
	alignas(max_align_t) unsigned char data[];
};

struct arena {
	ProtobufCAllocator allocator;
	struct block *blocks; /* newest first; not the one that holds the arena itself */
	unsigned char *next;
	size_t left;	   /* bytes from next on */
	size_t block_size; /* of the next block */
	size_t total;	   /* handed out and reserved */
	bool over;	   /* CRI_MEMORY_MAX was reached */
	alignas(max_align_t) unsigned char first[];
};

static bool arena_add_block(struct arena *a, size_t need)
{
	size_t size = need > a->block_size ? need : a->block_size;
	struct block *b;

	if (size > CRI_MEMORY_MAX - a->total) {
		a->over = true;
		return false;
	}
	b = malloc(sizeof(*b) + size);
	if (!b)
		return false;
	b->next = a->blocks;
	a->blocks = b;
	a->next = b->data;
	a->left = size;
	a->total += size;
	if (a->block_size < ARENA_BLOCK_MAX)
		a->block_size *= 2;
	return true;
}

static void *arena_alloc(void *data, size_t size)
{
	struct arena *a = data;
	size_t mask = alignof(max_align_t) - 1;
	void *p;

	if (size > CRI_MEMORY_MAX) {
		a->over = true;
		return NULL;
	}
	size = (size + mask) & ~mask;
	if (size > a->left && !arena_add_block(a, size))
		return NULL;
	p = a->next;
	a->next += size;
	a->left -= size;
	return p;
}

static void arena_drop(void *data, void *p)
{
	/* freed with the arena */
}

static struct arena *arena_new(size_t hint)
{
	size_t size = hint < ARENA_BLOCK_MIN   ? ARENA_BLOCK_MIN
		      : hint > ARENA_BLOCK_MAX ? ARENA_BLOCK_MAX
					       : hint;
	struct arena *a;

	size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	a = malloc(sizeof(*a) + size);
	if (!a)
		return NULL;
	*a = (struct arena){
		.allocator = { arena_alloc, arena_drop, a },
		.next = a->first,
		.left = size,
		.block_size = size,
		.total = size,
	};
	return a;
}

static struct arena *arena_free(struct arena *a)
{
	struct block *b;

	if (!a)
		return NULL;
	while ((b = a->blocks)) {
		a->blocks = b->next;
		free(b);
	}
	free(a);
	return NULL;
}

/* ---- public ---- */

PUBLIC const struct crisvc_cri_method *crisvc_cri_method_by_name(const char *name)
{
	if (!name)
		return NULL;
	for (const struct crisvc_cri_method *m = crisvc_cri_methods; m->path; m++)
		if (streq(m->name, name))
			return m;
	return NULL;
}

PUBLIC int crisvc_cri_unpack(const ProtobufCMessageDescriptor *d, const void *p, size_t n,
			     ProtobufCMessage **ret, const char **ret_field)
{
	const char *field = NULL;
	ProtobufCMessage *m;
	struct arena *a;
	size_t hint;
	int r;

	if (!d || !ret || (!p && n))
		return -EINVAL;
	if (n > CRI_MESSAGE_MAX)
		return -EMSGSIZE;
	r = wire_check(d, p, n, &field);
	if (r) {
		if (ret_field)
			*ret_field = field;
		return r;
	}
	hint = d->sizeof_message + (n < ARENA_BLOCK_MAX / 4 ? 4 * n : ARENA_BLOCK_MAX);
	a = arena_new(hint);
	if (!a)
		return -ENOMEM;
	m = protobuf_c_message_unpack(d, &a->allocator, n, n ? p : (const void *)"");
	if (!m || (unsigned char *)m != a->first) {
		r = a->over ? -EMSGSIZE : -ENOMEM;
		arena_free(a);
		return r;
	}
	*ret = m;
	return 0;
}

PUBLIC void crisvc_cri_free(ProtobufCMessage *m)
{
	if (m)
		arena_free((struct arena *)(void *)((char *)m - offsetof(struct arena, first)));
}

/* Strings that are not UTF-8 were packed: replaces the bytes by those of a message without. */
static int repair(const ProtobufCMessageDescriptor *d, void **p, size_t *n)
{
	_cleanup_str_ struct str out = STR_INIT;
	int r = wire_repair(d, *p, *n, &out);
	char *repaired = r ? NULL : str_take(&out, n);

	if (!repaired)
		return r ? r : -ENOMEM;
	free(*p);
	*p = repaired;
	return 0;
}

PUBLIC int crisvc_cri_pack(const ProtobufCMessage *m, void **ret, size_t *ret_len)
{
	_cleanup_free_ void *p = NULL;
	const char *field = NULL;
	size_t n;

	if (!m || !ret || !ret_len)
		return -EINVAL;
	n = protobuf_c_message_get_packed_size(m);
	p = malloc(n ? n : 1);
	if (!p)
		return -ENOMEM;
	n = protobuf_c_message_pack(m, p);
	if (wire_check(m->descriptor, p, n, &field) == -EILSEQ && repair(m->descriptor, &p, &n))
		return -ENOMEM;
	*ret_len = n;
	*ret = take(p);
	return 0;
}

PUBLIC char *crisvc_cri_utf8(const char *s)
{
	_cleanup_str_ struct str out = STR_INIT;

	str_append_utf8(&out, s ? s : "", s ? strlen(s) : 0);
	return str_take(&out, NULL);
}
