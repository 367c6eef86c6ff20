/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protobuf bytes, walked against a descriptor: tags, wire types, lengths, nesting, and the text of
 * every string field. Nothing is built, so the cost of a hostile message is its length.
 */
#include <errno.h>
#include <stdbool.h>

#include <cbase/cleanup.h>

#include "cri_wire.h"

/* Nesting. CRI's own messages nest 8 deep at most; the limit holds whatever descriptor is given. */
#define CRI_DEPTH_MAX 32

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5 };

struct bytes {
	const uint8_t *p;
	size_t n;
};

static int take_varint(struct bytes *in, uint64_t *ret)
{
	uint64_t v = 0;

	if (in->n && !(in->p[0] & 0x80)) { /* nearly all */
		in->n--;
		*ret = *in->p++;
		return 0;
	}
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

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *d,
						  uint64_t number)
{
	uint64_t i;

	if (d->n_field_ranges != 1) /* there are gaps in the numbers */
		return protobuf_c_message_descriptor_get_field(d, (unsigned)number);
	i = number - (unsigned)d->field_ranges[0].start_value;
	return i < d->n_fields ? &d->fields[i] : NULL;
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
		f = find_field(d, tag >> 3);
		r = check_field(f, tag & 7, &in, depth, ret_field);
		if (r) {
			if (!*ret_field && f)
				*ret_field = f->name;
			return r;
		}
	}
	return 0;
}

int wire_check(const ProtobufCMessageDescriptor *d, const void *p, size_t n, const char **ret_field)
{
	return check_message(d, (struct bytes){ p, n }, 0, ret_field);
}

/* ---- repair ---- */

static void put_varint(struct str *out, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		str_append_char(out, (char)(v | 0x80));
	str_append_char(out, (char)v);
}

/* The value of a length-delimited field. */
static int repair_value(const ProtobufCFieldDescriptor *f, struct bytes v, struct str *out)
{
	_cleanup_str_ struct str value = STR_INIT;
	int r = 0;

	if (f && f->type == PROTOBUF_C_TYPE_MESSAGE)
		r = wire_repair(f->descriptor, v.p, v.n, &value);
	else if (f && f->type == PROTOBUF_C_TYPE_STRING)
		str_append_utf8(&value, (const char *)v.p, v.n);
	else
		str_append_mem(&value, v.p, v.n);
	if (!r && str_failed(&value))
		r = -ENOMEM;
	put_varint(out, value.len);
	str_append_mem(out, value.data, value.len);
	return r;
}

int wire_repair(const ProtobufCMessageDescriptor *d, const void *p, size_t n, struct str *out)
{
	struct bytes in = { p, n }, v;
	const char *field = NULL;
	uint64_t tag, len;
	int r = 0;

	while (!r && in.n) {
		r = take_varint(&in, &tag);
		if (r)
			break;
		put_varint(out, tag);
		if ((tag & 7) == WIRE_LEN) {
			r = take_varint(&in, &len);
			if (!r)
				r = take_bytes(&in, len, &v);
			if (!r)
				r = repair_value(find_field(d, tag >> 3), v, out);
		} else {
			v.p = in.p;
			r = check_field(NULL, tag & 7, &in, 0, &field);
			str_append_mem(out, v.p, (size_t)(in.p - v.p));
		}
	}
	return r ? r : str_failed(out) ? -ENOMEM : 0;
}
