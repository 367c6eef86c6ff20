/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of layers against records and each other: diff, link, the link in l/ that leads back, lower,
 * and the directories a mount needs. All but diff follow from what is left of the others: a link file from
 * the link that leads to the layer, a lower file from the links of its parents.
 */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include "problem.h"
#include "layer.h"

static void report(struct check *c, bool mended, const char *id, const char *what)
{
	char object[ID_LEN + 16];

	snprintf(object, sizeof(object), "layer %s", id);
	check_report(c, CSTORE_PROBLEM_DIRECTORY, mended, object, "%s", what);
	if (!mended)
		check_broken(c, id);
}

static bool is_dir(int fd, const char *name)
{
	struct stat st;

	return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int check_dir(struct check *c, const char *id, int fd, const char *name)
{
	if (is_dir(fd, name))
		return 0;
	/* older podman removes it with the mount; whoever mounts makes it */
	if (streq(name, "merged") && faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return 0;
	if (c->mend && (unlinkat(fd, name, 0) == 0 || errno == ENOENT) && mkdirat(fd, name, 0700) < 0)
		return -errno;
	report(c, c->mend, id, "a directory that mounts need is missing");
	return 0;
}

/* The name of the link in l/ that leads to the layer; "" when none does. */
static int find_link(struct cstore *s, const char *id, char out[LINK_LEN + 1])
{
	_cleanup_free_ char *links = strf("%s/l", layer_place(s, id)->home), *want = strf("../%s/diff", id);
	_cleanup_closedir_ DIR *d = links ? opendir(links) : NULL;
	char target[PATH_MAX];
	struct dirent *e;
	ssize_t n;

	*out = '\0';
	if (!want || !d)
		return want && links ? -errno : -ENOMEM;
	while ((e = readdir(d))) {
		n = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);
		if (n < 0 || !overlay_link_valid(e->d_name))
			continue;
		target[n] = '\0';
		if (streq(target, want))
			memcpy(out, e->d_name, LINK_LEN + 1);
	}
	return 0;
}

/* The link file; what it says is what lower files of the layers above say. */
static int check_link_file(struct check *c, const char *id, int fd, char out[LINK_LEN + 1])
{
	_cleanup_free_ char *text = NULL;
	int r = read_file_at(fd, "link", 64, &text, NULL);

	if (!r && overlay_link_valid(text)) {
		memcpy(out, text, LINK_LEN + 1);
		return 0;
	}
	if (r == -ENOMEM)
		return r;
	*out = '\0';
	if (c->mend) {
		r = find_link(c->store, id, out);
		if (!r && !*out)
			r = overlay_new_link(out);
		if (!r)
			r = write_file_at(fd, "link", 0644, out, LINK_LEN, IO_DURABLE);
		if (r)
			return r;
	}
	report(c, c->mend, id, "its link file is missing or damaged");
	return 0;
}

static int check_link(struct check *c, const char *id, const char *link)
{
	_cleanup_free_ char *path = strf("%s/l/%s", layer_place(c->store, id)->home, link),
			    *want = strf("../%s/diff", id);
	char target[PATH_MAX];
	ssize_t n;

	if (!path || !want)
		return -ENOMEM;
	n = readlink(path, target, sizeof(target) - 1);
	if (n >= 0) {
		target[n] = '\0';
		if (streq(target, want))
			return 0;
	}
	if (c->mend) {
		unlink(path);
		if (symlink(want, path) < 0)
			return -errno;
	}
	report(c, c->mend, id, "the link to it is missing or leads elsewhere");
	return 0;
}

/* Everything but lower, which needs the links of all others. */
static int check_one(struct check *c, const struct record *layer)
{
	_cleanup_free_ char *dir = c->store->driver->layer_dir(layer_place(c->store, layer->id), layer->id);
	_cleanup_close_ int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
	char link[LINK_LEN + 1];
	int r;

	if (!dir)
		return -ENOMEM;
	if (fd < 0 || (c->store->driver == &driver_overlay && !is_dir(fd, "diff"))) {
		report(c, false, layer->id, "its directory is missing");
		return 0;
	}
	if (c->store->driver != &driver_overlay)
		return 0;
	r = check_link_file(c, layer->id, fd, link);
	if (!r && *link)
		r = check_link(c, layer->id, link);
	if (!r)
		r = check_dir(c, layer->id, fd, "work");
	if (!r)
		r = check_dir(c, layer->id, fd, "merged");
	if (!r && !json_get_string(layer->json, "parent"))
		r = check_dir(c, layer->id, fd, "empty");
	return r;
}

/* "l/PARENT:l/ITS PARENT...", from the records. -ENOENT: one of them has no link, or no record. */
static int wanted_lower(struct check *c, const struct record *layer, struct str *out)
{
	const char *id = json_get_string(layer->json, "parent");
	struct json *parent;

	for (int i = 0; id && i < LOWERS_MAX; i++) {
		_cleanup_free_ char *path = strf("%s/%s/link", layer_place(c->store, id)->home, id), *link = NULL;

		if (layer_get(c->store, id, &parent, NULL) || !path ||
		    read_file(path, 64, &link, NULL) || !overlay_link_valid(link))
			return -ENOENT;
		str_appendf(out, "%sl/%s", out->len ? ":" : "", link);
		id = json_get_string(parent, "parent");
	}
	return str_failed(out) ? -ENOMEM : 0;
}

static int check_lower(struct check *c, const struct record *layer)
{
	_cleanup_free_ char *path = strf("%s/%s/lower", layer_place(c->store, layer->id)->home, layer->id),
			    *text = NULL;
	_cleanup_str_ struct str want = STR_INIT;
	int r = path ? wanted_lower(c, layer, &want) : -ENOMEM;

	if (r)
		return r == -ENOENT ? 0 : r;
	r = read_file(path, LOWER_FILE_MAX, &text, NULL);
	if (r == -ENOMEM || streq(text ? text : "", want.len ? want.data : ""))
		return r == -ENOMEM ? r : 0;
	r = 0;
	if (c->mend && want.len)
		r = write_file(path, 0644, want.data, want.len, IO_DURABLE);
	else if (c->mend)
		unlink(path);
	if (!r || r == -ENOENT)
		report(c, c->mend && !r, layer->id, "its lower file does not name its parents");
	return r == -ENOENT ? 0 : r;
}

int check_directories(struct check *c, struct cstore_error *err)
{
	static int (*const parts[])(struct check *, const struct record *) = { check_one, check_lower };
	_cleanup_unlock_ struct records *held = NULL;
	struct record *all;
	size_t n;
	int r = layers_lock(c->store, c->mend ? LOCK_EXCLUSIVE : LOCK_SHARED, err);

	if (r)
		return r;
	held = &c->store->layers;
	if (records_all(&c->store->layers, &all, &n))
		return err_oom(err);
	for (size_t p = 0; p < (c->store->driver == &driver_overlay ? ARRAY_SIZE(parts) : 1); p++)
		for (size_t i = 0; i < n; i++) {
			/* what another store has is its owner's to check */
			r = record_read_only(&c->store->layers, &all[i]) ? 0 : parts[p](c, &all[i]);
			if (r)
				return err_sysr(err, r, "check the directory of layer %s", all[i].id);
		}
	return 0;
}
