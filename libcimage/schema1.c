/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docker's image manifest v2 schema 1: the oldest form, which old registries still have. It is read
 * and turned into a schema 2 config; nobody writes it.
 *
 * fsLayers and history run parallel, top layer first; each history entry has a JSON text in it. Some
 * entries ("throwaway") changed nothing but the config, their blob is an empty archive. Each signature
 * inside says how many bytes of the document were signed and what followed them: that is what the
 * digest of such a manifest is of.
 */
#include <cbase/digest.h>
#include <cbase/json.h>
#include "manifest.h"

#define V1_INVALID(err, ...) err_ctx(err, err_set(err, CIMAGE_E_INVALID, __VA_ARGS__), "manifest (schema 1)")

static int read_entry(struct manifest *m, const struct json *layer, const struct json *history,
		      struct descriptor *ret, struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	const char *text = json_get_string(history, "v1Compatibility");
	const char *digest = json_get_string(layer, "blobSum");

	if (!digest || !digest_valid(digest))
		return V1_INVALID(err, "bad blobSum");
	if (!text || json_parse(text, strlen(text), 0, &doc, NULL) ||
	    json_root(doc)->type != JSON_OBJECT)
		return V1_INVALID(err, "bad v1Compatibility");
	ret->digest = digest;
	ret->size = -1;
	ret->media_type = "application/vnd.docker.image.rootfs.diff.tar.gzip";
	ret->node = json_copy(m->doc, json_root(doc));
	ret->empty = json_get_bool(json_root(doc), "throwaway", false);
	return ret->node ? 0 : err_oom(err);
}

int schema1_read(struct manifest *m, struct cimage_error *err)
{
	const struct json *root = json_root(m->doc), *layers = json_get(root, "fsLayers"),
			  *history = json_get(root, "history"), *l, *h;
	size_t i;
	int r;

	if (!layers || !history || layers->type != JSON_ARRAY || history->type != JSON_ARRAY ||
	    layers->count != history->count || !layers->count)
		return V1_INVALID(err, "fsLayers and history do not fit together");
	if (layers->count > LAYERS_MAX)
		return err_set(err, CIMAGE_E_LIMIT, "manifest: %zu layers, more than %d",
			       layers->count, LAYERS_MAX);
	m->layers = calloc(layers->count, sizeof(*m->layers));
	if (!m->layers)
		return err_oom(err);
	i = m->layer_count = layers->count;
	for (l = layers->first, h = history->first; l; l = l->next, h = h->next) {
		r = read_entry(m, l, h, &m->layers[--i], err);
		if (r)
			return r;
	}
	return 0;
}

/* base64url without padding. */
static int decode_url64(const char *s, char **ret, size_t *ret_len)
{
	_cleanup_str_ struct str plain = STR_INIT;

	for (; *s; s++)
		str_append_char(&plain, *s == '-' ? '+' : *s == '_' ? '/' : *s);
	while (plain.len % 4)
		str_append_char(&plain, '=');
	if (str_failed(&plain))
		return -ENOMEM;
	return base64_decode(plain.data ? plain.data : "", plain.len, ret, ret_len);
}

/* The header of one signature: all of a document must say the same. */
static int read_protected(const struct json *signature, int64_t *ret_length, char **ret_tail,
			  size_t *ret_tail_len)
{
	const char *encoded = json_get_string(signature, "protected"), *tail;
	_cleanup_json_ struct json_doc *doc = NULL;
	_cleanup_free_ char *text = NULL;
	size_t n;

	if (!encoded || decode_url64(encoded, &text, &n) || json_parse(text, n, 0, &doc, NULL))
		return -EINVAL;
	tail = json_get_string(json_root(doc), "formatTail");
	*ret_length = json_get_int(json_root(doc), "formatLength", -1);
	return tail && *ret_length >= 0 ? decode_url64(tail, ret_tail, ret_tail_len) : -EINVAL;
}

int manifest_signed_part(const char *bytes, size_t n, char **ret, size_t *ret_len)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	const struct json *signatures;
	_cleanup_str_ struct str out = STR_INIT;

	*ret = NULL;
	if (json_parse(bytes, n, 0, &doc, NULL) ||
	    json_get_int(json_root(doc), "schemaVersion", -1) != 1)
		return 0;
	signatures = json_get(json_root(doc), "signatures");
	json_foreach(item, signatures) {
		_cleanup_free_ char *tail = NULL;
		struct str one = STR_INIT;
		int64_t length;
		size_t tail_len;
		bool differs;

		if (read_protected(item, &length, &tail, &tail_len) || (uint64_t)length > n)
			return -EINVAL;
		str_append_mem(&one, bytes, (size_t)length);
		str_append_mem(&one, tail, tail_len);
		differs = out.data && (one.len != out.len || memcmp(one.data, out.data, one.len) != 0);
		str_done(&out);
		out = one;
		if (differs)
			return -EINVAL;
	}
	if (!out.data)
		return 0;
	*ret = str_take(&out, ret_len);
	return *ret ? 0 : -ENOMEM;
}

/* ---- as schema 2 ---- */

static void add_history(struct json_doc *doc, struct json *list, const struct descriptor *d)
{
	static const char *const copied[] = { "author", "comment" };
	struct json *entry = json_new_object(doc);
	const struct json *cmd = json_path(d->node, "container_config", "Cmd", NULL);
	const char *created = json_get_string(d->node, "created"), *text;
	_cleanup_strv_ char **words = NULL;
	_cleanup_free_ char *by = NULL;
	size_t i;

	json_set_string(doc, entry, "created", created ? created : "0001-01-01T00:00:00Z");
	if (!json_strv(cmd, &words) && words)
		by = strv_join(words, " ");
	for (i = 0; i < ARRAY_SIZE(copied); i++) {
		text = json_get_string(d->node, copied[i]);
		if (i == 1 && by && *by)
			json_set_string(doc, entry, "created_by", by);
		if (text && *text)
			json_set_string(doc, entry, copied[i], text);
	}
	if (d->empty)
		json_set_bool(doc, entry, "empty_layer", true);
	json_append(doc, list, entry);
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp((*(struct json *const *)a)->key, (*(struct json *const *)b)->key);
}

/* As Go prints a map: its own members sorted, what is in them as it was. */
static int format_sorted(const struct json_doc *doc, const struct json *obj, struct str *out)
{
	_cleanup_free_ struct json **members = calloc(obj->count + 1, sizeof(*members));
	size_t n = 0, i;

	if (!members)
		return -ENOMEM;
	json_foreach(item, obj)
		members[n++] = item;
	qsort(members, n, sizeof(*members), compare_keys);
	for (i = 0; i < n; i++) {
		str_append_char(out, i ? ',' : '{');
		json_quote(out, members[i]->key, strlen(members[i]->key), 0);
		str_append_char(out, ':');
		if (json_format(doc, members[i], 0, out))
			return -ENOMEM;
	}
	str_append(out, n ? "}" : "{}");
	return str_failed(out) ? -ENOMEM : 0;
}

int schema1_config(const struct manifest *m, const char *const *diff_ids, char **ret,
		   size_t *ret_len, struct cimage_error *err)
{
	static const char *const dropped[] = { "id", "parent", "parent_id", "layer_id", "throwaway",
					       "Size" };
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	_cleanup_str_ struct str out = STR_INIT;
	struct json *root, *rootfs, *list;
	size_t i;

	if (!doc)
		return err_oom(err);
	json_set_root(doc, json_copy(doc, m->layers[m->layer_count - 1].node));
	root = json_root(doc);
	for (i = 0; i < ARRAY_SIZE(dropped); i++)
		json_remove(root, dropped[i]);
	list = json_set_array(doc, root, "history");
	for (i = 0; i < m->layer_count; i++)
		add_history(doc, list, &m->layers[i]);
	rootfs = json_set_object(doc, root, "rootfs");
	json_set_string(doc, rootfs, "type", "layers");
	list = json_set_array(doc, rootfs, "diff_ids");
	for (i = 0; diff_ids[i]; i++)
		json_append_string(doc, list, diff_ids[i]);
	if (json_failed(doc) || format_sorted(doc, root, &out))
		return err_oom(err);
	*ret = str_take(&out, ret_len);
	return *ret ? 0 : err_oom(err);
}
