/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRI messages from and to bytes.
 *
 * Unpacking is two steps. First the bytes are walked against the descriptor: tags, wire types,
 * lengths, nesting, and the text of every string field. Only bytes that pass reach protobuf-c,
 * whose parser then never sees malformed input. It builds the message in an arena: a chain of
 * blocks with one owner, freed whole, and with a limit, because a few bytes on the wire can stand
 * for a large struct (an empty ContainerStatus is two bytes long).
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
/* Nesting. CRI's own messages nest 8 deep at most; the limit holds whatever descriptor is given. */
#define CRI_DEPTH_MAX 32

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

/* ---- check of the wire bytes ---- */

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5 };

struct bytes {
	const uint8_t *p;
	size_t n;
};

static int take_varint(struct bytes *in, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 10 && i < in->n; i++) {
		if (i == 9 && in->p[i] > 1)
			return -EBADMSG; /* does not fit 64 bits */
		v |= (uint64_t)(in->p[i] & 0x7f) << (7 * i);
		if (!(in->p[i] & 0x80)) {
			in->p += i + 1;
			in->n -= i + 1;
			*ret = v;
			return 0;
		}
	}
	return -EBADMSG;
}

static int take_bytes(struct bytes *in, uint64_t n, struct bytes *ret)
{
	if (n > in->n)
		return -EBADMSG;
	*ret = (struct bytes){ in->p, n };
	in->p += n;
	in->n -= n;
	return 0;
}

static unsigned wire_type_of(ProtobufCType t)
{
	switch (t) {
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return WIRE_32;
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return WIRE_64;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return WIRE_LEN;
	default:
		return WIRE_VARINT;
	}
}

static int check_packed(unsigned wire, struct bytes in)
{
	uint64_t v;
	int r = 0;

	if (wire == WIRE_32 || wire == WIRE_64)
		return in.n % (wire == WIRE_32 ? 4 : 8) ? -EBADMSG : 0;
	while (!r && in.n)
		r = take_varint(&in, &v);
	return r;
}

static int check_message(const ProtobufCMessageDescriptor *d, struct bytes in, unsigned depth,
			 const char **ret_field);

/* Is f a map (an entry message that the compiler made up)? Then "key" would say little. */
static bool is_map(const ProtobufCFieldDescriptor *f)
{
	const ProtobufCMessageDescriptor *d = f->descriptor;

	return f->label == PROTOBUF_C_LABEL_REPEATED && d->n_fields == 2 &&
	       str_ends(d->short_name, "Entry") && streq(d->fields[0].name, "key") &&
	       streq(d->fields[1].name, "value");
}

static int check_len_field(const ProtobufCFieldDescriptor *f, struct bytes v, unsigned depth,
			   const char **ret_field)
{
	int r = 0;

	if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
		r = check_message(f->descriptor, v, depth + 1, ret_field);
		if (r && is_map(f))
			*ret_field = NULL;
	} else if (f->type == PROTOBUF_C_TYPE_STRING && !utf8_valid((const char *)v.p, v.n)) {
		r = -EILSEQ;
	}
	return r;
}

/* One field after its tag; f is NULL when the descriptor does not know it. */
static int check_field(const ProtobufCFieldDescriptor *f, unsigned wire, struct bytes *in,
		       unsigned depth, const char **ret_field)
{
	unsigned expected = f ? wire_type_of(f->type) : wire;
	struct bytes v;
	uint64_t n;
	int r;

	switch (wire) {
	case WIRE_VARINT:
		r = take_varint(in, &n);
		break;
	case WIRE_64:
		r = take_bytes(in, 8, &v);
		break;
	case WIRE_32:
		r = take_bytes(in, 4, &v);
		break;
	case WIRE_LEN:
		r = take_varint(in, &n);
		if (!r)
			r = take_bytes(in, n, &v);
		if (r || !f)
			return r;
		if (expected == WIRE_LEN)
			return check_len_field(f, v, depth, ret_field);
		if (f->label != PROTOBUF_C_LABEL_REPEATED)
			return -EBADMSG;
		return check_packed(expected, v);
	default: /* groups went away with proto2 */
		return -EBADMSG;
	}
	return r ? r : wire == expected ? 0 : -EBADMSG;
}

static int check_message(const ProtobufCMessageDescriptor *d, struct bytes in, unsigned depth,
			 const char **ret_field)
{
	const ProtobufCFieldDescriptor *f;
	uint64_t tag;
	int r;

	if (depth > CRI_DEPTH_MAX)
		return -EBADMSG;
	while (in.n) {
		r = take_varint(&in, &tag);
		if (r)
			return r;
		if (tag > UINT32_MAX || tag >> 3 == 0)
			return -EBADMSG;
		f = protobuf_c_message_descriptor_get_field(d, tag >> 3);
		r = check_field(f, tag & 7, &in, depth, ret_field);
		if (r) {
			if (!*ret_field && f)
				*ret_field = f->name;
			return r;
		}
	}
	return 0;
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
	r = check_message(d, (struct bytes){ p, n }, 0, &field);
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

PUBLIC int crisvc_cri_pack(const ProtobufCMessage *m, void **ret, size_t *ret_len)
{
	size_t n;
	void *p;

	if (!m || !ret || !ret_len)
		return -EINVAL;
	n = protobuf_c_message_get_packed_size(m);
	p = malloc(n ? n : 1);
	if (!p)
		return -ENOMEM;
	*ret_len = protobuf_c_message_pack(m, p);
	*ret = p;
	return 0;
}

PUBLIC char *crisvc_cri_utf8(const char *s)
{
	_cleanup_str_ struct str out = STR_INIT;

	str_append_utf8(&out, s ? s : "", s ? strlen(s) : 0);
	return str_take(&out, NULL);
}
