/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON text to tree: yajl's callbacks append to the innermost open container. yajl checks syntax and
 * UTF-8; depth, repeated keys and NUL in keys are checked here.
 *
 * yajl does not look at what its allocator returns. Ours never returns NULL: it jumps out of yajl, and
 * what yajl had allocated, which is in a list, is freed.
 */
#include <setjmp.h>
#include <yajl/yajl_parse.h>
#include "json_internal.h"

struct parser {
	struct json_doc *doc;
	struct json *open[JSON_DEPTH_MAX];
	int depth;
	size_t nodes;
	const char *key;	/* waiting for its value */
	int flags;
	const char *problem;
};

static const char no_memory[] = "out of memory";

static int refuse(struct parser *p, const char *problem)
{
	p->problem = problem;
	return 0;
}

/* Non-zero: go on. */
static int add(struct parser *p, struct json *v)
{
	if (!v)
		return refuse(p, no_memory);
	if (++p->nodes > JSON_NODES_MAX && !(p->flags & JSON_NO_NODES_MAX))
		return refuse(p, "too many values");
	if (!p->depth) {
		json_set_root(p->doc, v);
		return 1;
	}
	v->key = take(p->key);
	json_append(p->doc, p->open[p->depth - 1], v);
	return 1;
}

static int open_container(struct parser *p, enum json_type type)
{
	struct json *v = json_node(p->doc, type);

	if (p->depth == JSON_DEPTH_MAX)
		return refuse(p, "nested too deeply");
	if (!add(p, v))
		return 0;
	p->open[p->depth++] = v;
	return 1;
}

static int on_null(void *c)
{
	struct parser *p = c;

	return add(p, json_new_null(p->doc));
}

static int on_boolean(void *c, int b)
{
	struct parser *p = c;

	return add(p, json_new_bool(p->doc, b));
}

static int on_number(void *c, const char *s, size_t n)
{
	struct parser *p = c;
	struct json *v = json_new_string_n(p->doc, s, n);

	if (v)
		v->type = JSON_NUMBER;
	return add(p, v);
}

/* yajl turns half a surrogate pair ("\\udc00") into bytes that are no UTF-8; Go reads U+FFFD there. */
static struct json *string_node(struct parser *p, const char *s, size_t n)
{
	_cleanup_str_ struct str fixed = STR_INIT;
	size_t at, len;

	for (at = 0; at < n; at += len + 1) {
		len = strnlen(s + at, n - at);
		if (!utf8_valid(s + at, len))
			break;
	}
	if (at >= n && !(p->flags & JSON_REPAIR && memchr(s, '\0', n)))
		return json_new_string_n(p->doc, s, n);
	str_append_utf8(&fixed, s, n);
	return fixed.failed ? NULL : json_new_string_n(p->doc, fixed.data, fixed.len);
}

static int on_string(void *c, const unsigned char *s, size_t n)
{
	struct parser *p = c;

	return add(p, string_node(p, (const char *)s, n));
}

static int on_key(void *c, const unsigned char *s, size_t n)
{
	struct parser *p = c;

	_cleanup_str_ struct str fixed = STR_INIT;

	if (!utf8_valid((const char *)s, n)) {
		if (!(p->flags & JSON_REPAIR))
			return refuse(p, "member name with a NUL or half a surrogate pair");
		str_append_utf8(&fixed, (const char *)s, n);
		if (str_failed(&fixed))
			return refuse(p, no_memory);
		s = (const unsigned char *)fixed.data;
		n = fixed.len;
	}
	p->key = json_strndup(p->doc, (const char *)s, n);
	if (!p->key)
		return refuse(p, no_memory);
	if (!(p->flags & JSON_UNIQUE_KEYS))
		return 1;
	/* the search is linear: a limit keeps a hostile document from making it quadratic */
	if (p->open[p->depth - 1]->count >= JSON_UNIQUE_KEYS_MAX)
		return refuse(p, "too many members in one object");
	if (json_get(p->open[p->depth - 1], p->key))
		return refuse(p, "repeated member name");
	return 1;
}

static int on_start_map(void *c) { return open_container(c, JSON_OBJECT); }
static int on_start_array(void *c) { return open_container(c, JSON_ARRAY); }

static int on_end(void *c)
{
	struct parser *p = c;

	p->depth--;
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_boolean,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_start_map,
	.yajl_map_key = on_key,
	.yajl_end_map = on_end,
	.yajl_start_array = on_start_array,
	.yajl_end_array = on_end,
};

static int report(struct parser *p, yajl_handle h, const char *text, size_t n, struct cb_error *err)
{
	unsigned char *why;
	char *newline;

	if (json_failed(p->doc) || p->problem == no_memory)
		return err_oom(err);
	if (p->problem)
		return err_sysr(err, -EINVAL, "parse JSON near byte %zu: %s", yajl_get_bytes_consumed(h), p->problem);
	why = yajl_get_error(h, 0, (const unsigned char *)text, n);
	newline = why ? strchr((char *)why, '\n') : NULL;
	if (newline)
		*newline = '\0';
	err_sysr(err, -EINVAL, "parse JSON near byte %zu: %s", yajl_get_bytes_consumed(h),
		 why ? (const char *)why : "malformed");
	if (why)
		yajl_free_error(h, why);
	return -EINVAL;
}

/* ---- memory for yajl ---- */

struct chunk {
	struct chunk *before, *after;
	max_align_t data[];
};

struct pool {
	jmp_buf out;
	struct chunk all; /* ends of the list; here for its flexible member */
};

static void pool_free(void *ctx, void *p)
{
	struct chunk *c = p ? (struct chunk *)((char *)p - offsetof(struct chunk, data)) : NULL;

	(void)ctx;
	if (!c)
		return;
	c->before->after = c->after;
	c->after->before = c->before;
	free(c);
}

/* Grows p, or makes it when it is NULL. */
static void *pool_realloc(void *ctx, void *p, size_t n)
{
	struct pool *pool = ctx;
	struct chunk *c = p ? (struct chunk *)((char *)p - offsetof(struct chunk, data)) : NULL;
	bool is_new = !c;

	c = n > SIZE_MAX - sizeof(*c) ? NULL : realloc(c, sizeof(*c) + n);
	if (!c)
		longjmp(pool->out, 1);
	if (is_new) {
		c->before = &pool->all;
		c->after = pool->all.after;
	}
	c->before->after = c->after->before = c;
	return c->data;
}

static void *pool_malloc(void *ctx, size_t n)
{
	return pool_realloc(ctx, NULL, n);
}

static int parse(struct parser *p, struct pool *pool, const char *text, size_t n, struct cb_error *err)
{
	yajl_alloc_funcs funcs = { pool_malloc, pool_realloc, pool_free, pool };
	yajl_handle h = yajl_alloc(&callbacks, &funcs, p);
	int r = 0;

	if (yajl_parse(h, (const unsigned char *)text, n) != yajl_status_ok ||
	    yajl_complete_parse(h) != yajl_status_ok || !json_root(p->doc))
		r = report(p, h, text, n, err);
	yajl_free(h);
	return r;
}

/* No local variable of its own: none is lost when yajl is jumped out of. */
__attribute__((noinline)) static int parse_or_jump(struct parser *p, struct pool *pool, const char *text,
						   size_t n, struct cb_error *err)
{
	return setjmp(pool->out) ? err_oom(err) : parse(p, pool, text, n, err);
}

int json_parse(const char *text, size_t n, int flags, struct json_doc **ret, struct cb_error *err)
{
	_cleanup_json_ struct json_doc *doc = json_doc_empty();
	struct parser p = { .doc = doc, .flags = flags };
	_cleanup_str_ struct str fixed = STR_INIT;
	struct pool pool;
	int r;

	/* yajl lets overlong forms pass */
	if (!utf8_valid(text, n)) {
		if (!(flags & JSON_REPAIR) || memchr(text, '\0', n))
			return err_sysr(err, -EINVAL, "parse JSON: not valid UTF-8 text");
		str_append_utf8(&fixed, text, n);
		if (str_failed(&fixed))
			return err_oom(err);
		text = fixed.data;
		n = fixed.len;
	}
	if (!doc)
		return err_oom(err);
	pool.all.before = pool.all.after = &pool.all;
	r = parse_or_jump(&p, &pool, text, n, err);
	while (pool.all.after != &pool.all)
		pool_free(&pool, pool.all.after->data);
	if (!r)
		*ret = take(doc);
	return r;
}
