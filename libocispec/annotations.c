/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Annotations: a map of strings, printed sorted as Go prints maps. Entries whose value is null
 * count as absent.
 *
 * Some are no notes but orders: a runtime that finds them writes host files, loads another seccomp
 * filter or hands properties to systemd. They must never come from a pod, an image or a checkpoint,
 * so what is not on an exact list is dropped by its prefix, and the orders of the caller are set
 * after that.
 */
#include "private.h"

/* crun, systemd's cgroup driver of all runtimes, crun's libkrun and wasm handlers, kata, runc's CRIU, gVisor. */
static const char *const command_prefixes[] = {
	"run.oci.", "org.systemd.", "krun.", "module.wasm.", "io.katacontainers.", "org.criu.", "dev.gvisor.",
};

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

PUBLIC int ocispec_annotation_commands(const char *key)
{
	for (size_t i = 0; key && i < ARRAY_SIZE(command_prefixes); i++)
		if (str_starts(key, command_prefixes[i]))
			return 1;
	return 0;
}

/* potentiallyUnsafeConfigAnnotations of features.md: a name, or with a dot at its end a prefix. */
static bool unsafe_for(const struct ocispec *features, const char *key)
{
	json_foreach(e, path_get(features, "potentiallyUnsafeConfigAnnotations")) {
		const char *name = json_string(e);

		if (name && *name && (str_ends(name, ".") ? str_starts(key, name) : streq(key, name)))
			return true;
	}
	return false;
}

static bool listed(const char *const *list, const char *key)
{
	for (; list && *list; list++)
		if (streq(*list, key))
			return true;
	return false;
}

PUBLIC int ocispec_drop_commands(struct ocispec *s, const char *const *allowed, const struct ocispec *features)
{
	struct json *map, *next;

	if (!s)
		return -EINVAL;
	map = json_get(json_root(s->doc), "annotations");
	for (struct json *a = map ? map->first : NULL; a; a = next) {
		next = a->next;
		if (a->key && !listed(allowed, a->key) &&
		    (ocispec_annotation_commands(a->key) || unsafe_for(features, a->key)))
			json_remove_item(map, a);
	}
	if (map && map->type == JSON_OBJECT && map->count == 0)
		json_remove(json_root(s->doc), "annotations");
	return 0;
}
