/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mounts: an ordered list with at most one entry per destination, where "/dev/" and "/dev" are
 * the same destination. They are found through a hash table of the list's nodes, made when first
 * asked for and dropped by whatever takes nodes out of the list or puts others in behind our back.
 */
#include "private.h"

struct mount_index {
	size_t size, used;	/* a power of two, less than half of it used */
	struct json *slots[];
};

struct mount_index *mount_index_free(struct mount_index *x)
{
	free(x);
	return NULL;
}

/* The slot of the first mount at that destination, or the empty one where it belongs. */
static struct json **index_slot(struct mount_index *x, const char *destination)
{
	size_t i = path_hash(destination) & (x->size - 1);

	while (x->slots[i] &&
	       !path_equal(json_get_string(x->slots[i], "destination"), destination))
		i = (i + 1) & (x->size - 1);
	return &x->slots[i];
}

static void index_add(struct mount_index *x, struct json *mount)
{
	const char *d = json_get_string(mount, "destination");
	struct json **slot = d ? index_slot(x, d) : NULL;

	if (!slot || *slot)
		return;
	*slot = mount;
	x->used++;
}

static struct mount_index *index_make(const struct json *mounts)
{
	struct mount_index *x;
	size_t size = 64;

	while (size < 4 * (mounts ? mounts->count : 0))
		size *= 2;
	x = calloc(1, sizeof(*x) + size * sizeof(x->slots[0]));
	if (!x)
		return NULL;
	x->size = size;
	json_foreach(m, mounts)
		index_add(x, m);
	return x;
}

static struct json *mounts_get(const struct ocispec *s)
{
	return json_get(json_root(s->doc), "mounts");
}

/* Where the mount at that destination is, or would be, in the table. */
static int find(struct ocispec *s, const char *destination, struct json ***ret)
{
	if (!s->mounts)
		s->mounts = index_make(mounts_get(s));
	if (!s->mounts)
		return -ENOMEM;
	*ret = index_slot(s->mounts, destination);
	return 0;
}

static struct json *find_unindexed(const struct json *mounts, const char *destination)
{
	json_foreach(m, mounts) {
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
	struct json **slot;

	if (!s || !destination)
		return -EINVAL;
	if (!path_absolute(destination) || (type && !text_printable(type)) ||
	    (source && !text_valid(source)) || !text_list_valid(options))
		return OCISPEC_E_INVALID;
	mount = place_element(place_root(s), "mounts");
	fill(mount, destination, type, source, options);
	if (!mount.obj || find(s, destination, &slot))
		return -ENOMEM;
	if (*slot) {
		(*slot)->first = mount.obj->first;
		(*slot)->last = mount.obj->last;
		(*slot)->count = mount.obj->count;
		return place_result(s);
	}
	json_append(s->doc, place_array(place_root(s), "mounts"), mount.obj);
	*slot = mount.obj;
	if (2 * ++s->mounts->used > s->mounts->size || json_failed(s->doc))
		s->mounts = mount_index_free(s->mounts);
	return place_result(s);
}

PUBLIC int ocispec_remove_mount(struct ocispec *s, const char *destination)
{
	struct json *mounts, *old;

	if (!s || !destination)
		return -EINVAL;
	mounts = mounts_get(s);
	old = find_unindexed(mounts, destination);
	if (!old)
		return OCISPEC_E_NOT_FOUND;
	s->mounts = mount_index_free(s->mounts);
	do
		json_remove_item(mounts, old);
	while ((old = find_unindexed(mounts, destination)));
	return 0;
}

PUBLIC int ocispec_has_mount(const struct ocispec *s, const char *destination)
{
	if (!s || !destination)
		return 0;
	if (s->mounts)
		return *index_slot(s->mounts, destination) != NULL;
	return find_unindexed(mounts_get(s), destination) != NULL;
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

PUBLIC int ocispec_add_mount_id_mapping(struct ocispec *s, const char *destination, int group,
					uint32_t container_id, uint32_t host_id, uint32_t size)
{
	struct place root, mount;

	if (!s || !destination)
		return -EINVAL;
	root = place_root(s);
	mount = place_element(root, "mounts");
	mount.obj = find_unindexed(mounts_get(s), destination);
	if (!mount.obj)
		return OCISPEC_E_NOT_FOUND;
	return place_add_id_mapping(s, mount, group, container_id, host_id, size);
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
