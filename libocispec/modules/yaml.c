/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module with libyaml: one YAML document as JSON text. Plain scalars become what the core schema
 * makes of them: null, booleans, integers (0x and 0o too) and everything else a string; quoted ones
 * are strings. What JSON has not is refused: aliases (a few of them make gigabytes), tags, several
 * documents, keys that are no scalars.
 */
#include <inttypes.h>
#include <yaml.h>
#include "../module.h"

#define EVENTS_MAX (2 * JSON_NODES_MAX)

struct reader {
	yaml_parser_t parser;
	struct str out;
	char open[JSON_DEPTH_MAX];	/* '{' or '[' */
	bool more[JSON_DEPTH_MAX];	/* there is an element before */
	bool value_next[JSON_DEPTH_MAX];	/* of a mapping: the key has been read */
	size_t depth, events;
	bool done;			/* the root is complete */
};

static bool one_of(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (streq(s, *words))
			return true;
	return false;
}

static bool is_decimal(const char *s)
{
	s += *s == '-';
	return *s && (s[0] != '0' || !s[1]) && strspn(s, "0123456789") == strlen(s);
}

/* Octal as YAML 1.2 ("0o660") and 1.1 ("0660") write it, and hexadecimal. */
static bool other_base(const char *s, unsigned long long *ret)
{
	const char *digits = s[0] == '0' ? s + 1 : NULL;
	int base = 8;

	if (!digits || !*digits)
		return false;
	if (*digits == 'o' || *digits == 'x') {
		base = *digits == 'x' ? 16 : 8;
		digits++;
	}
	if (!*digits || strlen(digits) > 16 ||
	    strspn(digits, base == 16 ? "0123456789abcdefABCDEF" : "01234567") != strlen(digits))
		return false;
	*ret = strtoull(digits, NULL, base);
	return true;
}

static void put_plain(struct str *out, const char *s, size_t len)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const trues[] = { "true", "True", "TRUE", NULL };
	static const char *const falses[] = { "false", "False", "FALSE", NULL };
	unsigned long long number;

	if (strlen(s) != len)
		json_quote(out, s, len, 0);
	else if (one_of(s, nulls))
		str_append(out, "null");
	else if (one_of(s, trues) || one_of(s, falses))
		str_append(out, one_of(s, trues) ? "true" : "false");
	else if (is_decimal(s))
		str_append(out, s);
	else if (other_base(s, &number))
		str_appendf(out, "%llu", number);
	else
		json_quote(out, s, len, 0);
}

static int wrong(const struct reader *r, const char *what, struct ocispec_error *err)
{
	return err_set(err, OCISPEC_E_INVALID, "not a YAML document: line %zu: %s",
		       r->parser.mark.line + 1, what);
}

/* What stands before a value or key: nothing, "," or ":". */
static int begin_value(struct reader *r, bool is_scalar, struct ocispec_error *err)
{
	size_t d = r->depth - 1;

	if (r->depth == 0)
		return r->done ? wrong(r, "more than one document", err) : 0;
	if (r->open[d] == '{' && r->value_next[d]) {
		str_append_char(&r->out, ':');
		r->value_next[d] = false;
		return 0;
	}
	if (r->open[d] == '{' && !is_scalar)
		return wrong(r, "a key that is not a scalar", err);
	if (r->more[d])
		str_append_char(&r->out, ',');
	r->more[d] = true;
	r->value_next[d] = r->open[d] == '{';
	return 0;
}

static int on_scalar(struct reader *r, const yaml_event_t *e, struct ocispec_error *err)
{
	const char *s = (const char *)e->data.scalar.value;
	size_t len = e->data.scalar.length;
	bool is_key;
	int x;

	if (e->data.scalar.tag)
		return wrong(r, "tags are not supported", err);
	x = begin_value(r, true, err);
	if (x)
		return x;
	is_key = r->depth && r->open[r->depth - 1] == '{' && r->value_next[r->depth - 1];
	if (is_key || e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		json_quote(&r->out, s, len, 0);
	else
		put_plain(&r->out, s, len);
	r->done |= r->depth == 0;
	return 0;
}

static int on_start(struct reader *r, char bracket, const void *tag, struct ocispec_error *err)
{
	int x;

	if (tag)
		return wrong(r, "tags are not supported", err);
	x = begin_value(r, false, err);
	if (x)
		return x;
	if (r->depth == JSON_DEPTH_MAX)
		return wrong(r, "nested too deeply", err);
	r->open[r->depth] = bracket;
	r->more[r->depth] = r->value_next[r->depth] = false;
	r->depth++;
	str_append_char(&r->out, bracket);
	return 0;
}

static int on_end(struct reader *r)
{
	str_append_char(&r->out, r->open[--r->depth] == '{' ? '}' : ']');
	r->done |= r->depth == 0;
	return 0;
}

static int on_event(struct reader *r, const yaml_event_t *e, struct ocispec_error *err)
{
	if (++r->events > EVENTS_MAX || r->out.len > OCISPEC_DOCUMENT_MAX)
		return err_set(err, OCISPEC_E_LIMIT, "YAML document is too large");
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return on_scalar(r, e, err);
	case YAML_MAPPING_START_EVENT:
		return on_start(r, '{', e->data.mapping_start.tag, err);
	case YAML_SEQUENCE_START_EVENT:
		return on_start(r, '[', e->data.sequence_start.tag, err);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		return on_end(r);
	case YAML_ALIAS_EVENT:
		return wrong(r, "aliases are not supported", err);
	default:
		return 0;
	}
}

static int read_events(struct reader *r, struct ocispec_error *err)
{
	yaml_event_t e;
	bool end;
	int x;

	do {
		if (!yaml_parser_parse(&r->parser, &e))
			return r->parser.error == YAML_MEMORY_ERROR ? err_oom(err) :
				wrong(r, r->parser.problem ? r->parser.problem : "?", err);
		end = e.type == YAML_STREAM_END_EVENT;
		x = on_event(r, &e, err);
		yaml_event_delete(&e);
	} while (!x && !end);
	if (!x && !r->done)
		return err_set(err, OCISPEC_E_INVALID, "not a YAML document: it is empty");
	return x;
}

static int to_json(const char *bytes, size_t len, char **ret, struct ocispec_error *err)
{
	struct reader r = { .out = STR_INIT };
	int x;

	if (len > OCISPEC_DOCUMENT_MAX)
		return err_set(err, OCISPEC_E_LIMIT, "document is larger than %u bytes", OCISPEC_DOCUMENT_MAX);
	if (!utf8_valid(bytes, len))
		return err_set(err, OCISPEC_E_INVALID, "not UTF-8");
	if (!yaml_parser_initialize(&r.parser))
		return err_oom(err);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)bytes, len);
	x = read_events(&r, err);
	yaml_parser_delete(&r.parser);
	if (!x) {
		*ret = str_take(&r.out, NULL);
		if (!*ret)
			x = err_oom(err);
	}
	str_done(&r.out);
	return x;
}

PUBLIC extern const struct yaml_module ocispec_yaml_module;
const struct yaml_module ocispec_yaml_module = { MODULE_ABI, to_json };
