/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCI image layouts: blobs/ALGORITHM/HEX, oci-layout, and index.json, which names the images.
 *
 * Writers share a layout: blobs have their content's names and are complete when they have them, and
 * index.json is replaced as a whole, under a lock on the directory. So what is not in index.json is not
 * there, whatever blobs there are.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <cbase/digest.h>
#include <cbase/io.h>
#include <cbase/json.h>
#include "oci_layout.h"

#define REF_NAME "org.opencontainers.image.ref.name"
#define OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define LAYOUT "{\"imageLayoutVersion\":\"1.0.0\"}"
#define INDEX_MAX (4u << 20)

const char *const layout_types[] = { OCI_MANIFEST, OCI_INDEX, NULL };

int oci_parse(struct cimage_context *c, const char *text, struct cimage_place_parts *ret,
	      struct cimage_error *err)
{
	const char *colon = strchr(text, ':');
	_cleanup_free_ char *path = colon ? strndup(text, (size_t)(colon - text)) : strdup(text);
	const char *p;
	int r;

	if (!path)
		return err_oom(err);
	if (colon && colon[1]) {
		for (p = colon + 1; *p; p++)
			if (*p <= 0x20 || *p >= 0x7f)
				return err_set(err, CIMAGE_E_INVALID, "\"%s\" is no name of an image",
					       SHOW(colon + 1));
		ret->name = strdup(colon + 1);
		if (!ret->name)
			return err_oom(err);
	}
	r = local_path(path, &ret->path, err);
	return r ? r : local_scopes(ret->path, &ret->scopes, err);
}

/* "blobs/sha256/HEX" */
static char *blob_path(const char *digest)
{
	const char *hex = digest_hex(digest);

	return strf("blobs/%.*s/%s", (int)(hex - digest - 1), digest, hex);
}

static int read_index(int fd, struct json_doc **ret, struct cimage_error *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ struct json_doc *doc = NULL;
	const struct json *list;
	size_t n;
	int r = read_file_at(fd, "index.json", INDEX_MAX, &text, &n);

	if (r)
		return r == -ENOENT ? r : err_sysr(err, r, "read index.json");
	r = json_parse(text, n, 0, &doc, NULL);
	list = r ? NULL : json_get(json_root(doc), "manifests");
	if (!list || list->type != JSON_ARRAY)
		return err_set(err, CIMAGE_E_INVALID, "index.json is not an OCI image index");
	*ret = take(doc);
	return 0;
}

static const char *name_of(const struct json *entry)
{
	return json_get_string(json_get(entry, "annotations"), REF_NAME);
}

static int find_entry(const struct json_doc *doc, const char *name, struct json **ret,
		      struct cimage_error *err)
{
	const struct json *list = json_get(json_root((struct json_doc *)(uintptr_t)doc), "manifests");
	long long wanted = -1, at = 0;

	if (!name && list->count != 1)
		return err_set(err, list->count ? CIMAGE_E_INVALID : CIMAGE_E_NOT_FOUND,
			       "there are %zu images in the layout: say which, with \":NAME\"",
			       list->count);
	if (name && *name == '@' && str_to_i64(name + 1, &wanted))
		wanted = -1;
	json_foreach(item, list) {
		const char *own = name_of(item);

		if (!name || (own && streq(own, name)) || at++ == wanted) {
			*ret = item;
			return 0;
		}
	}
	return err_set(err, CIMAGE_E_NOT_FOUND, "there is no image %s in the layout", SHOW(name));
}

/* ---- reading ---- */

int layout_open(struct cimage_context *c, int fd, const char *name, struct layout *ret,
		struct cimage_error *err)
{
	*ret = (struct layout){ .ctx = c, .fd = fd };
	if (name && !(ret->name = strdup(name))) {
		layout_done(ret);
		return err_oom(err);
	}
	return 0;
}

void layout_done(struct layout *l)
{
	l->fd = close_fd(l->fd);
	free(take(l->name));
}

static int read_blob_file(int fd, const char *digest, char **ret, size_t *ret_len,
			  struct cimage_error *err)
{
	_cleanup_free_ char *path = blob_path(digest);
	int r = path ? read_file_at(fd, path, CIMAGE_MANIFEST_MAX, ret, ret_len) : -ENOMEM;

	if (r == -ENOENT)
		return err_set(err, CIMAGE_E_NOT_FOUND, "there is no %s", path);
	return r ? err_sysr(err, r, "read manifest %s", digest) : 0;
}

int layout_manifest(struct layout *l, const char *digest, char **ret, size_t *ret_len, char **ret_type,
		    struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	_cleanup_free_ char *type = NULL, *bytes = NULL;
	struct json *entry;
	size_t len;
	int r;

	if (digest) {
		*ret_type = NULL;
		return read_blob_file(l->fd, digest, ret, ret_len, err);
	}
	r = read_index(l->fd, &doc, err);
	if (r == -ENOENT)
		return err_set(err, CIMAGE_E_NOT_FOUND, "there is no OCI layout (no index.json)");
	if (!r)
		r = find_entry(doc, l->name, &entry, err);
	if (r)
		return r;
	digest = json_get_string(entry, "digest");
	if (!digest || !digest_valid(digest))
		return err_set(err, CIMAGE_E_INVALID, "index.json: bad or unsupported digest");
	r = read_blob_file(l->fd, digest, &bytes, &len, err);
	if (r)
		return r;
	if (!digest_matches(digest, bytes, len))
		return err_set(err, CIMAGE_E_DIGEST,
			       "manifest: the content does not match the digest %s", digest);
	if (json_get_string(entry, "mediaType") &&
	    !(type = strdup(json_get_string(entry, "mediaType"))))
		return err_oom(err);
	*ret = take(bytes);
	*ret_len = len;
	*ret_type = take(type);
	return 0;
}

static int open_blob(void *user, const char *digest, struct cimage_stream **ret,
		     struct cimage_error *err)
{
	struct layout *l = user;
	_cleanup_free_ char *path = blob_path(digest);

	return path ? local_stream(l->fd, path, ret, err) : err_oom(err);
}

int layout_blobs(struct layout *l, struct cimage_blob_request *r, size_t n, struct cimage_error *err)
{
	return local_blobs(l->ctx, r, n, open_blob, l, err);
}

int layout_names(int fd, char ***ret, struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	_cleanup_strv_ char **v = NULL;
	int r = read_index(fd, &doc, err);

	if (r == -ENOENT)
		return err_set(err, CIMAGE_E_NOT_FOUND, "there is no OCI layout (no index.json)");
	if (r)
		return r;
	json_foreach(item, json_get(json_root(doc), "manifests"))
		if (name_of(item) && !r)
			r = strv_push(&v, name_of(item));
	if (!v && !r)
		r = (v = calloc(1, sizeof(*v))) ? 0 : -ENOMEM;
	if (r)
		return err_oom(err);
	*ret = take(v);
	return 0;
}

/* ---- writing ---- */

static int lock_layout(int dirfd, int *ret, struct cimage_error *err)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, "open the layout");
	while (flock(fd, LOCK_EX))
		if (errno != EINTR) {
			int r = err_sys(err, "lock the layout");

			close_fd(fd);
			return r;
		}
	*ret = fd;
	return 0;
}

static int make_dir(int dirfd, const char *name, struct cimage_error *err)
{
	return mkdirat(dirfd, name, 0755) && errno != EEXIST ? err_sys(err, "make %s", name) : 0;
}

int layout_writer_init(int dirfd, const char *name, struct layout_writer *ret,
		       struct cimage_error *err)
{
	struct layout_writer w = { .fd = dirfd, .name = name };
	pthread_mutex_t *lock;
	int r;

	if ((r = make_dir(dirfd, "blobs", err)) || (r = make_dir(dirfd, "blobs/sha256", err)))
		return r;
	lock = malloc(sizeof(*lock));
	if (!lock)
		return err_oom(err);
	pthread_mutex_init(lock, NULL);
	w.lock = lock;
	*ret = w;
	return 0;
}

void layout_writer_done(struct layout_writer *w)
{
	char **p;

	for (p = w->added; !w->committed && p && *p; p++)
		unlinkat(w->fd, *p, 0);
	w->added = strv_free(w->added);
	free(take(w->type));
	if (w->lock)
		pthread_mutex_destroy(w->lock);
	free(take(w->lock));
}

int layout_has(struct layout_writer *w, const struct cimage_put *b, int *ret, struct cimage_error *err)
{
	_cleanup_free_ char *path = blob_path(b->digest);

	if (!path)
		return err_oom(err);
	*ret = !faccessat(w->fd, path, F_OK, 0);
	return 0;
}

/* What came only with this image goes with it. */
static int remember(struct layout_writer *w, const char *digest, struct cimage_error *err)
{
	_cleanup_free_ char *path = blob_path(digest);
	int r;

	if (!path)
		return err_oom(err);
	pthread_mutex_lock(w->lock);
	r = faccessat(w->fd, path, F_OK, 0) ? strv_push(&w->added, path) : 0;
	pthread_mutex_unlock(w->lock);
	return r ? err_oom(err) : 0;
}

struct remembering {
	struct cimage_stream base;
	struct cimage_stream *below;
	struct layout_writer *w;
	const struct cimage_put *b;
};

static int remembering_read(struct cimage_stream *s, void *p, size_t n, size_t *ret_n,
			    struct cimage_error *err)
{
	struct remembering *m = (struct remembering *)s;
	int r = m->below->read(m->below, p, n, ret_n, err);

	return r || *ret_n ? r : remember(m->w, m->b->digest, err);
}

static void remembering_close(struct cimage_stream *s)
{
}

int layout_put(struct layout_writer *w, const struct cimage_put *b, struct cimage_stream *s,
	       struct cimage_error *err)
{
	struct remembering m = { { remembering_read, remembering_close }, s, w, b };
	_cleanup_close_ int dir = -1;

	if (b->digest && !str_starts(b->digest, "sha256:")) {
		_cleanup_free_ char *path = blob_path(b->digest);
		char *slash = path ? strrchr(path, '/') : NULL;
		int r;

		if (!slash)
			return err_oom(err);
		*slash = '\0';
		r = make_dir(w->fd, path, err);
		if (r)
			return r;
		dir = openat(w->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	} else {
		dir = openat(w->fd, "blobs/sha256", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (dir < 0)
		return err_sys(err, "open the layout's blobs");
	return local_put(dir, "", b, &m.base, err);
}

int layout_put_manifest(struct layout_writer *w, const char *bytes, size_t n, const char *media_type,
			const char *instance, struct cimage_error *err)
{
	_cleanup_free_ char *path = NULL;
	char digest[DIGEST_STR_MAX];
	int r;

	digest_sha256(bytes, n, digest);
	path = blob_path(digest);
	r = remember(w, digest, err);
	if (r)
		return r;
	r = path ? write_file_at(w->fd, path, 0644, bytes, n, 0) : -ENOMEM;
	if (r)
		return err_sysr(err, r, "write manifest %s", digest);
	if (instance)
		return 0;
	strcpy(w->digest, digest);
	w->size = n;
	free(take(w->type));
	w->type = strdup(media_type);
	return w->type ? 0 : err_oom(err);
}

static void add_entry(struct layout_writer *w, struct json_doc *doc)
{
	struct json *root = json_root(doc), *list = json_child_array(doc, root, "manifests");
	struct json *entry = json_new_object(doc), *item, *next;

	for (item = list->first; item; item = next) {
		const char *own = name_of(item), *digest = json_get_string(item, "digest");
		bool same = digest && streq(digest, w->digest);

		next = item->next;
		/* the name moves; what has no name is there once */
		if (w->name ? own && streq(own, w->name) : !own && same)
			json_remove_item(list, item);
	}
	json_set_int(doc, root, "schemaVersion", 2);
	json_set_string(doc, entry, "mediaType", w->type);
	json_set_string(doc, entry, "digest", w->digest);
	json_set_int(doc, entry, "size", (int64_t)w->size);
	if (w->name)
		json_set_string(doc, json_set_object(doc, entry, "annotations"), REF_NAME, w->name);
	json_append(doc, list, entry);
}

static int write_index(int fd, struct json_doc *doc, struct cimage_error *err)
{
	_cleanup_str_ struct str text = STR_INIT;
	int r;

	if (json_failed(doc) || json_format(doc, json_root(doc), 0, &text))
		return err_oom(err);
	r = write_file_at(fd, "index.json", 0644, text.data, text.len, IO_DURABLE);
	return r ? err_sysr(err, r, "write index.json") : 0;
}

int layout_commit(struct layout_writer *w, struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	_cleanup_close_ int lock = -1;
	int r;

	if (!w->type)
		return -EINVAL;
	if (syncfs(w->fd))
		return err_sys(err, "write the layout");
	r = lock_layout(w->fd, &lock, err);
	if (r)
		return r;
	r = read_index(w->fd, &doc, err);
	if (r == -ENOENT)
		r = (doc = json_doc_new()) ? 0 : err_oom(err);
	if (r)
		return r;
	add_entry(w, doc);
	r = write_file_at(w->fd, "oci-layout", 0644, LAYOUT, strlen(LAYOUT), 0);
	if (r)
		return err_sysr(err, r, "write oci-layout");
	r = write_index(w->fd, doc, err);
	if (!r)
		w->committed = true;
	return r;
}

/* ---- removing ---- */

/* Adds what the manifest with that digest needs, itself included, and what those of a list need. */
static int add_needed(int fd, const char *digest, int depth, char ***needed, struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	_cleanup_free_ char *text = NULL;
	const struct json *root;
	const char *config;
	size_t n;
	int r = 0;

	if (!digest || !digest_valid(digest) || strv_has(*needed, digest))
		return 0;
	if (strv_push(needed, digest))
		return err_oom(err);
	if (depth > 4 || read_blob_file(fd, digest, &text, &n, NULL) ||
	    json_parse(text, n, 0, &doc, NULL))
		return 0; /* names nothing */
	root = json_root(doc);
	config = json_get_string(json_get(root, "config"), "digest");
	if (config && !strv_has(*needed, config))
		r = strv_push(needed, config);
	json_foreach(item, json_get(root, "layers"))
		if (!r && json_get_string(item, "digest"))
			r = strv_push(needed, json_get_string(item, "digest"));
	if (r)
		return err_oom(err);
	json_foreach(item, json_get(root, "manifests"))
		if (!r)
			r = add_needed(fd, json_get_string(item, "digest"), depth + 1, needed, err);
	return r;
}

int layout_remove(int fd, const char *name, struct cimage_error *err)
{
	_cleanup_strv_ char **gone = NULL, **needed = NULL;
	_cleanup_json_ struct json_doc *doc = NULL;
	_cleanup_close_ int lock = -1;
	struct json *entry = NULL;
	char **p;
	int r;

	r = lock_layout(fd, &lock, err);
	if (!r)
		r = read_index(fd, &doc, err);
	if (r == -ENOENT)
		return err_set(err, CIMAGE_E_NOT_FOUND, "there is no OCI layout (no index.json)");
	if (!r)
		r = find_entry(doc, name, &entry, err);
	if (!r)
		r = add_needed(fd, json_get_string(entry, "digest"), 0, &gone, err);
	if (r)
		return r;
	json_remove_item(json_get(json_root(doc), "manifests"), entry);
	json_foreach(item, json_get(json_root(doc), "manifests"))
		if (!r)
			r = add_needed(fd, json_get_string(item, "digest"), 0, &needed, err);
	if (!r)
		r = write_index(fd, doc, err);
	for (p = gone; !r && p && *p; p++) {
		_cleanup_free_ char *path = digest_valid(*p) ? blob_path(*p) : NULL;

		if (path && !strv_has(needed, *p))
			unlinkat(fd, path, 0);
	}
	return r;
}
