/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Annotations: a map of strings, printed sorted as Go prints maps. Entries whose value is null
 * count as absent.
 */
#include "private.h"

static const struct json *annotations(const struct ocispec *s)
{
	return s ? json_get(json_root(s->doc), "annotations") : NULL;
}

PUBLIC int ocispec_set_annotation(struct ocispec *s, const char *key, const char *value)
{
	struct place map;

	if (!s || !key || !value)
		return -EINVAL;
	if (!*key || !text_valid(key) || !text_valid(value))
		return OCISPEC_E_INVALID;
	map = place_child(place_root(s), "annotations");
	place_put(map, key, json_new_string(s->doc, value));
	return place_result(s);
}

PUBLIC int ocispec_remove_annotation(struct ocispec *s, const char *key)
{
	struct json *map;

	if (!s || !key)
		return -EINVAL;
	map = json_get(json_root(s->doc), "annotations");
	if (!json_get(map, key))
		return OCISPEC_E_NOT_FOUND;
	json_remove(map, key);
	if (map->count == 0)
		json_remove(json_root(s->doc), "annotations");
	return 0;
}

PUBLIC const char *ocispec_get_annotation(const struct ocispec *s, const char *key)
{
	return key ? json_get_string(annotations(s), key) : NULL;
}

PUBLIC size_t ocispec_annotation_count(const struct ocispec *s)
{
	size_t n = 0;

	json_foreach(a, annotations(s))
		n += json_string(a) != NULL;
	return n;
}

PUBLIC void ocispec_annotation_at(const struct ocispec *s, size_t i, const char **ret_key,
				  const char **ret_value)
{
	json_foreach(a, annotations(s)) {
		if (!json_string(a) || i-- > 0)
			continue;
		if (ret_key)
			*ret_key = a->key;
		if (ret_value)
			*ret_value = a->string;
		return;
	}
	if (ret_key)
		*ret_key = NULL;
	if (ret_value)
		*ret_value = NULL;
}
