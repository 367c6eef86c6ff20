/* SPDX-License-Identifier: Apache-2.0 */
/* Containers and mounts. */
#include "cstore_tool.h"

static bool opt_read_only, opt_force, opt_volatile;
static char **opt_names, **opt_mount_options, **opt_uid_map, **opt_gid_map;
static const char *opt_size;

/* ---- create ---- */

static int parse_ranges(char *const *texts, struct cstore_id_range **ret, size_t *ret_count)
{
	struct cstore_id_range *r = calloc(strv_len(texts) + 1, sizeof(*r));
	size_t n = 0;
	char end;

	for (; r && n < strv_len(texts); n++)
		if (sscanf(texts[n], "%u:%u:%u%c", &r[n].container_id, &r[n].host_id, &r[n].count,
			   &end) != 3) {
			complain("%s is not CONTAINER-ID:HOST-ID:SIZE", texts[n]);
			free(r);
			return EXIT_USAGE;
		}
	*ret = r;
	*ret_count = n;
	return r ? 0 : EXIT_FAILURE;
}

static int parse_size(const char *text, uint64_t *ret)
{
	static const char units[] = "KMGT";
	unsigned long long n;
	const char *unit;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end & ~32) : NULL;
	if (errno || end == text || *text == '-' || (*end && (!unit || end[1])) ||
	    (unit && n > UINT64_MAX >> (10 * (unit - units + 1)))) {
		complain("%s is not a size such as 500M or 10G", text);
		return EXIT_USAGE;
	}
	*ret = unit ? (uint64_t)n << (10 * (unit - units + 1)) : n;
	return 0;
}

static int random_id(char out[65])
{
	do {
		if (random_hex(32, out))
			return EXIT_FAILURE;
	} while (strspn(out, "0123456789") >= 12);
	return 0;
}

static int create(struct tool *t, struct cstore_container_spec *spec)
{
	struct cstore_id_range *uids = NULL, *gids = NULL;
	struct cstore_error err = { 0 };
	int r = parse_ranges(opt_uid_map, &uids, &spec->uid_map_count);

	if (!r)
		r = parse_ranges(opt_gid_map ? opt_gid_map : opt_uid_map, &gids, &spec->gid_map_count);
	spec->uid_map = uids;
	spec->gid_map = gids;
	if (!r && opt_size)
		r = parse_size(opt_size, &spec->quota);
	if (!r) {
		r = cstore_container_create(t->store, spec, &err);
		if (r)
			r = failed(r, &err);
	}
	free(uids);
	free(gids);
	if (!r)
		puts(spec->id);
	return r;
}

static int run_create(void *user, int argc, char **argv)
{
	struct cstore_container_spec spec = { .size = sizeof(spec) };
	struct tool *t = user;
	struct object image;
	char id[65];
	int r;

	opt_image = true;
	r = object_find(t, argv[0], &image);
	if (!r)
		r = random_id(id);
	if (r)
		return r;
	spec.id = id;
	spec.image = image.id;
	spec.names = (const char *const *)opt_names;
	spec.is_volatile = opt_volatile;
	spec.mount_options = (const char *const *)opt_mount_options;
	return create(t, &spec);
}

/* ---- mount ---- */

static int list_mounts(struct tool *t)
{
	struct cstore_layer_list *list = NULL;
	struct cstore_error err = { 0 };
	int r = cstore_layer_list(t->store, &list, &err);

	for (size_t i = 0; !r && i < cstore_layer_list_count(list); i++) {
		const struct cstore_layer *l = cstore_layer_list_get(list, i);

		if (cstore_layer_mount_count(l))
			printf("%s %lld\n", cstore_layer_id(l), (long long)cstore_layer_mount_count(l));
	}
	cstore_layer_list_free(list);
	return r ? failed(r, &err) : 0;
}

static int run_mount(void *user, int argc, char **argv)
{
	struct cstore_mount_options mo = { .size = sizeof(mo) };
	struct cstore_error err = { 0 };
	_cleanup_free_ char *path = NULL;
	struct tool *t = user;
	struct object o;
	int r;

	if (!argc)
		return list_mounts(t);
	r = object_find(t, argv[0], &o);
	if (r)
		return r;
	if (!*o.layer) {
		complain("%s %s has no layer", kind_name(o.kind), argv[0]);
		return EXIT_FAILURE;
	}
	mo.read_only = opt_read_only || o.kind == KIND_IMAGE;
	mo.options = (const char *const *)opt_mount_options;
	r = o.kind == KIND_CONTAINER && !opt_read_only && !opt_mount_options
		    ? cstore_container_mount(t->store, o.id, &path, &err)
		    : cstore_layer_mount(t->store, o.layer, &mo, &path, &err);
	if (r)
		return failed(r, &err);
	puts(path);
	return 0;
}

static int run_umount(void *user, int argc, char **argv)
{
	struct cstore_error err = { 0 };
	struct tool *t = user;
	struct object o;
	int r = 0;

	for (int i = 0; i < argc && !r; i++) {
		r = object_find(t, argv[i], &o);
		if (!r && *o.layer) {
			r = cstore_layer_unmount(t->store, o.layer, opt_force, &err);
			r = r ? failed(r, &err) : 0;
		}
	}
	return r;
}

static const struct opt create_options[] = {
	{ 'n', "name", OPT_LIST, &opt_names, "NAME", "name of the container; may be repeated" },
	{ 0, "volatile", OPT_FLAG, &opt_volatile, NULL, "not kept over a power loss, never synced" },
	{ 0, "uidmap", OPT_LIST, &opt_uid_map, "C:H:N", "user namespace: N ids from C on are H and following" },
	{ 0, "gidmap", OPT_LIST, &opt_gid_map, "C:H:N", "the same for groups; else those of --uidmap" },
	{ 'o', "mount-opt", OPT_LIST, &opt_mount_options, "OPTION", "mount with these instead of the store's" },
	{ 0, "size", OPT_STRING, &opt_size, "BYTES", "what it may write, such as 10G; needs project quotas" },
	{ 0 },
};
static const struct opt mount_options[] = {
	{ 'r', "read-only", OPT_FLAG, &opt_read_only, NULL, "as an image always is" },
	{ 'o', "mount-opt", OPT_LIST, &opt_mount_options, "OPTION", "mount with these instead of the store's" },
	OBJECT_OPTIONS,
	{ 0 },
};
static const struct opt umount_options[] = {
	{ 'f', "force", OPT_FLAG, &opt_force, NULL, "whoever else uses it" },
	OBJECT_OPTIONS,
	{ 0 },
};

const struct command cmd_create = {
	.name = "create", .args = "IMAGE", .summary = "make a container: a writable layer on an image",
	.details = "Prints its id.", .options = create_options, .min_args = 1, .max_args = 1, .run = run_create,
};
const struct command cmd_mount = {
	.name = "mount", .args = "[CONTAINER|IMAGE|LAYER]", .summary = "mount a root file system, or list what is mounted",
	.details = "Prints the path. Every mount counts one user; \"cstore umount\" takes one away. Without argument: ids\n"
		   "of mounted layers and their number of users.",
	.options = mount_options, .min_args = 0, .max_args = 1, .run = run_mount,
};
const struct command cmd_umount = {
	.name = "umount", .args = "CONTAINER|IMAGE|LAYER...", .summary = "give a mount back; the last user unmounts",
	.options = umount_options, .min_args = 1, .max_args = -1, .run = run_umount,
};
