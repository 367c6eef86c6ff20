/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any CRI message as JSON, by walking the descriptors of protobuf-c: the JSON mapping of proto3
 * with every field given (names in lowerCamelCase, 64-bit integers as strings, enums by name, bytes
 * as base64, maps as objects, unset messages as null). Depth is bounded by the message types, none
 * of which contains itself.
 */
#include <ctype.h>
#include "ctl.h"

static void json_name(const char *field, char *out, size_t size)
{
	size_t o = 0;
	bool up = false;

	for (; *field && o + 1 < size; field++) {
		if (*field == '_') {
			up = true;
			continue;
		}
		out[o++] = up ? (char)toupper((unsigned char)*field) : *field;
		up = false;
	}
	out[o] = '\0';
}

/* protobuf-c keeps no mark of map fields; their entries are the only messages named so. */
static bool is_map(const ProtobufCFieldDescriptor *f)
{
	const ProtobufCMessageDescriptor *d;

	if (f->type != PROTOBUF_C_TYPE_MESSAGE || f->label != PROTOBUF_C_LABEL_REPEATED)
		return false;
	d = f->descriptor;
	return str_ends(d->short_name, "Entry") && d->n_fields == 2 &&
	       streq(d->fields[0].name, "key") && streq(d->fields[1].name, "value") &&
	       d->fields[0].type == PROTOBUF_C_TYPE_STRING;
}

static struct json *enum_json(struct json_doc *doc, const ProtobufCEnumDescriptor *d, int value)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, value);

	return v ? json_new_string(doc, v->name) : json_new_int(doc, value);
}

static struct json *decimal(struct json_doc *doc, const char *fmt, long long i,
			    unsigned long long u)
{
	char text[24];

	if (fmt[1] == 'd')
		snprintf(text, sizeof(text), "%lld", i);
	else
		snprintf(text, sizeof(text), "%llu", u);
	return json_new_string(doc, text);
}

static struct json *bytes_json(struct json_doc *doc, const ProtobufCBinaryData *b)
{
	_cleanup_str_ struct str s = STR_INIT;

	str_append_base64(&s, b->data, b->len);
	return json_new_string_n(doc, s.data ? s.data : "", s.len);
}

static struct json *float_json(struct json_doc *doc, double v)
{
	char text[40];

	if (v != v || v - v != 0)
		return json_new_string(doc, v != v ? "NaN" : v > 0 ? "Infinity" : "-Infinity");
	snprintf(text, sizeof(text), "%.17g", v);
	return json_new_number(doc, text);
}

/* One value at p: a field that is not repeated, or one element of one that is. */
static struct json *value_json(struct json_doc *doc, const ProtobufCFieldDescriptor *f,
			       const void *p, int flags)
{
	const char *s;
	const ProtobufCMessage *m;

	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		return json_new_int(doc, *(const int32_t *)p);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return json_new_int(doc, *(const uint32_t *)p);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return decimal(doc, "%d", *(const int64_t *)p, 0);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return decimal(doc, "%u", 0, *(const uint64_t *)p);
	case PROTOBUF_C_TYPE_FLOAT:
		return float_json(doc, (double)*(const float *)p);
	case PROTOBUF_C_TYPE_DOUBLE:
		return float_json(doc, *(const double *)p);
	case PROTOBUF_C_TYPE_BOOL:
		return json_new_bool(doc, *(const protobuf_c_boolean *)p);
	case PROTOBUF_C_TYPE_ENUM:
		return enum_json(doc, f->descriptor, *(const int *)p);
	case PROTOBUF_C_TYPE_STRING:
		s = *(char *const *)p;
		return json_new_string(doc, s ? s : "");
	case PROTOBUF_C_TYPE_BYTES:
		return bytes_json(doc, p);
	case PROTOBUF_C_TYPE_MESSAGE:
		m = *(ProtobufCMessage *const *)p;
		return m ? message_to_json(doc, m, flags) : json_new_null(doc);
	}
	return json_new_null(doc);
}

static size_t element_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return 4;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_ENUM:
		return sizeof(int);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		break;
	}
	return sizeof(void *);
}

static const void *member(const ProtobufCMessage *m, size_t offset)
{
	return (const char *)m + offset;
}

/* Calls for each element of a repeated field, or for the one value of another. */
struct elements {
	const char *first;
	size_t n, size;
};

static struct elements elements_of(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	struct elements e = { member(m, f->offset), 1, element_size(f->type) };

	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		e.n = *(const size_t *)member(m, f->quantifier_offset);
		e.first = *(const char *const *)member(m, f->offset);
	}
	return e;
}

/* The text of a JSON document becomes part of this one; anything else stays a string. */
static struct json *embedded(struct json_doc *doc, const char *text)
{
	_cleanup_json_ struct json_doc *inner = NULL;

	if ((*text == '{' || *text == '[') && !json_parse(text, strlen(text), 0, &inner, NULL))
		return json_copy(doc, json_root(inner));
	return json_new_string(doc, text);
}

static struct json *map_json(struct json_doc *doc, const ProtobufCFieldDescriptor *f,
			     struct elements e, int flags)
{
	struct json *obj = json_new_object(doc);
	bool parse = (flags & MESSAGE_PARSE_INFO) && streq(f->name, "info");
	size_t i;

	for (i = 0; i < e.n; i++) {
		const ProtobufCMessage *entry = *(ProtobufCMessage *const *)(e.first + i * e.size);
		const ProtobufCFieldDescriptor *fields = entry->descriptor->fields;
		const char *key = *(char *const *)member(entry, fields[0].offset);
		struct json *v =
			value_json(doc, &fields[1], member(entry, fields[1].offset), flags);

		if (parse && v && v->type == JSON_STRING)
			v = embedded(doc, v->string);
		json_set(doc, obj, key ? key : "", v);
	}
	return obj;
}

static struct json *list_json(struct json_doc *doc, const ProtobufCFieldDescriptor *f,
			      struct elements e, int flags)
{
	struct json *arr = json_new_array(doc);
	size_t i;

	for (i = 0; i < e.n; i++)
		json_append(doc, arr, value_json(doc, f, e.first + i * e.size, flags));
	return arr;
}

struct json *message_to_json(struct json_doc *doc, const ProtobufCMessage *m, int flags)
{
	struct json *obj = json_new_object(doc);
	unsigned i;

	for (i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		struct elements e = elements_of(m, f);
		char name[80];

		json_name(f->name, name, sizeof(name));
		if (is_map(f))
			json_set(doc, obj, name, map_json(doc, f, e, flags));
		else if (f->label == PROTOBUF_C_LABEL_REPEATED)
			json_set(doc, obj, name, list_json(doc, f, e, flags));
		else
			json_set(doc, obj, name, value_json(doc, f, e.first, flags));
	}
	return obj;
}

/* CONTAINER_RUNNING becomes Running, SANDBOX_NOTREADY becomes Notready */
void text_state(const ProtobufCEnumDescriptor *d, int value, struct str *out)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, value);
	const char *p = v ? strrchr(v->name, '_') : NULL;

	if (!v) {
		str_appendf(out, "%d", value);
		return;
	}
	p = p ? p + 1 : v->name;
	if (streq(p, "NOTREADY")) {
		str_append(out, "NotReady");
		return;
	}
	str_append_char(out, *p);
	for (p++; *p; p++)
		str_append_char(out, (char)tolower((unsigned char)*p));
}

int message_print(const void *m, int flags)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();

	if (doc)
		json_set_root(doc, message_to_json(doc, m, flags));
	return json_print(doc);
}

const char *message_bad_string(const ProtobufCMessage *m)
{
	const char *bad = NULL;
	size_t j;
	unsigned i;

	for (i = 0; i < m->descriptor->n_fields && !bad; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		struct elements e = elements_of(m, f);

		for (j = 0; j < e.n && !bad; j++) {
			const void *p = e.first + j * e.size;

			if (f->type == PROTOBUF_C_TYPE_STRING) {
				const char *s = *(char *const *)p;

				bad = s && !utf8_valid(s, strlen(s)) ? f->name : NULL;
			} else if (f->type == PROTOBUF_C_TYPE_MESSAGE &&
				   *(ProtobufCMessage *const *)p) {
				bad = message_bad_string(*(ProtobufCMessage *const *)p);
			}
		}
	}
	return bad;
}
