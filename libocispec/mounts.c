/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mounts: an ordered list with at most one entry per destination, where "/dev/" and "/dev" are
 * the same destination.
 */
#include "private.h"

static struct json *mounts_get(const struct ocispec *s)
{
	return json_get(json_root(s->doc), "mounts");
}

static struct json *find(const struct ocispec *s, const char *destination)
{
	json_foreach(m, mounts_get(s)) {
		const char *d = json_get_string(m, "destination");

		if (d && path_equal(d, destination))
			return m;
	}
	return NULL;
}

static void fill(struct place mount, const char *destination, const char *type, const char *source,
		 const char *const *options)
{
	place_put_string(mount, "destination", destination);
	place_put_string(mount, "type", type);
	place_put_string(mount, "source", source);
	place_put_strings(mount, "options", options);
}

PUBLIC int ocispec_set_mount(struct ocispec *s, const char *destination, const char *type,
			     const char *source, const char *const *options)
{
	struct place mount;
	struct json *old;

	if (!s || !destination)
		return -EINVAL;
	if (!path_absolute(destination) || (type && !text_printable(type)) ||
	    (source && !text_valid(source)) || !text_list_valid(options))
		return OCISPEC_E_INVALID;
	mount = place_element(place_root(s), "mounts");
	fill(mount, destination, type, source, options);
	if (!mount.obj)
		return -ENOMEM;
	old = find(s, destination);
	if (old) {
		old->first = mount.obj->first;
		old->last = mount.obj->last;
		old->count = mount.obj->count;
	} else {
		json_append(s->doc, place_array(place_root(s), "mounts"), mount.obj);
	}
	return place_result(s);
}

PUBLIC int ocispec_remove_mount(struct ocispec *s, const char *destination)
{
	struct json *old;

	if (!s || !destination)
		return -EINVAL;
	old = find(s, destination);
	if (!old)
		return OCISPEC_E_NOT_FOUND;
	do
		json_remove_item(mounts_get(s), old);
	while ((old = find(s, destination)));
	return 0;
}

PUBLIC int ocispec_has_mount(const struct ocispec *s, const char *destination)
{
	return s && destination && find(s, destination);
}

struct by_depth {
	struct json *mount;
	size_t depth, index;
};

static int compare(const void *a, const void *b)
{
	const struct by_depth *x = a, *y = b;

	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

PUBLIC int ocispec_sort_mounts(struct ocispec *s)
{
	_cleanup_free_ struct by_depth *order = NULL;
	struct json *mounts;
	size_t n = 0;

	if (!s)
		return -EINVAL;
	mounts = mounts_get(s);
	if (!mounts || mounts->count < 2)
		return 0;
	order = calloc(mounts->count, sizeof(*order));
	if (!order)
		return -ENOMEM;
	json_foreach(m, mounts) {
		const char *d = json_get_string(m, "destination");

		order[n] = (struct by_depth){ m, d ? path_depth(d) : 0, n };
		n++;
	}
	qsort(order, n, sizeof(*order), compare);
	for (size_t i = 0; i < n; i++)
		order[i].mount->next = i + 1 < n ? order[i + 1].mount : NULL;
	mounts->first = order[0].mount;
	mounts->last = order[n - 1].mount;
	return 0;
}

PUBLIC int ocispec_mounts_writable(struct ocispec *s)
{
	const struct json *rw;

	if (!s)
		return -EINVAL;
	rw = json_new_string(s->doc, "rw");
	if (!rw)
		return -ENOMEM;
	json_foreach(m, mounts_get(s)) {
		json_foreach(o, json_get(m, "options")) {
			if (!json_string(o) || !streq(o->string, "ro"))
				continue;
			o->string = rw->string;
			o->len = rw->len;
		}
	}
	return 0;
}

PUBLIC int ocispec_set_rootfs_propagation(struct ocispec *s, const char *mode)
{
	static const char *const modes[] = {
		"shared",  "slave",  "private",	 "unbindable",
		"rshared", "rslave", "rprivate", "runbindable",
	};
	bool known = !mode || !*mode;

	if (!s)
		return -EINVAL;
	for (size_t i = 0; !known && i < ARRAY_SIZE(modes); i++)
		known = streq(mode, modes[i]);
	if (!known)
		return OCISPEC_E_INVALID;
	place_put_string(place_child(place_root(s), "linux"), "rootfsPropagation", mode);
	return place_result(s);
}

PUBLIC int ocispec_set_mount_label(struct ocispec *s, const char *label)
{
	if (!s)
		return -EINVAL;
	if (label && !text_printable(label))
		return OCISPEC_E_INVALID;
	place_put_string(place_child(place_root(s), "linux"), "mountLabel", label);
	return place_result(s);
}
