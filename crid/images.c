/* SPDX-License-Identifier: Apache-2.0 */
/* See images.h. */
#include <fnmatch.h>
#include <cbase/json.h>
#include <cimage.h>
#include "errors.h"
#include "images.h"
#include "log.h"

#define ID_PREFIX_MIN 3

struct image_table *image_table_ref(struct image_table *t)
{
	t->refs++;
	return t;
}

struct image_table *image_table_unref(struct image_table *t)
{
	if (t && --t->refs == 0) {
		arena_done(&t->arena);
		free(t);
	}
	return NULL;
}

char *images_dir(const struct cstore *store)
{
	const char *root = cstore_image_store(store);

	return strf("%s/%s-images", root ? root : cstore_graph_root(store), cstore_driver(store));
}

/* ---- loading ---- */

/* "exact", "prefix*" or "*keyword*", without regard to case */
static bool pattern_matches(const char *pattern, const char *name)
{
	return fnmatch(pattern, name, FNM_CASEFOLD) == 0;
}

static bool is_pinned(const struct config *c, char *const *names, const char *id)
{
	char *const *p, *const *n;
	struct cimage_ref *pause = NULL;
	bool pinned = false;

	if (!cimage_ref_parse(c->pause_image, 1, &pause, NULL)) {
		pinned = strv_has(names, cimage_ref_string(pause));
		cimage_ref_free(pause);
	}
	for (p = c->pinned_images; p && *p && !pinned; p++) {
		pinned = streq(*p, id);
		for (n = names; *n && !pinned; n++)
			pinned = pattern_matches(*p, *n);
	}
	return pinned;
}

static char **copy_strings(struct arena *a, const char *const *v)
{
	size_t i, n = 0;
	char **copy;

	while (v[n])
		n++;
	copy = arena_alloc(a, (n + 1) * sizeof(*copy));
	for (i = 0; copy && i < n; i++)
		copy[i] = arena_strdup(a, v[i]);
	return copy;
}

static void add_unique(char **v, size_t *n, char *s)
{
	size_t i;

	for (i = 0; i < *n; i++)
		if (!s || streq(v[i], s))
			return;
	v[(*n)++] = s;
}

/* tags and repository digests from names and digests */
static void derive_names(struct arena *a, struct image *i)
{
	size_t n_names = strv_len(i->names), n_digests = strv_len(i->digests), tags = 0, repos = 0, n, d;

	i->tags = arena_alloc(a, (n_names + 1) * sizeof(*i->tags));
	i->repo_digests = arena_alloc(a, (n_names * (n_digests + 1) + 1) * sizeof(*i->repo_digests));
	for (n = 0; i->tags && i->repo_digests && n < n_names; n++) {
		struct cimage_ref *ref = NULL;

		if (cimage_ref_parse(i->names[n], 0, &ref, NULL))
			continue;
		if (cimage_ref_tag(ref) && !cimage_ref_digest(ref))
			i->tags[tags++] = i->names[n];
		for (d = 0; d < n_digests; d++)
			add_unique(i->repo_digests, &repos,
				   arena_printf(a, "%s@%s", cimage_ref_name(ref), i->digests[d]));
		cimage_ref_free(ref);
	}
}

static void set_user(struct arena *a, struct image *i, const char *user)
{
	size_t n = strcspn(user, ":");
	char *name = arena_strndup(a, user, n);
	long long uid;

	i->uid = -1;
	i->username = "";
	if (!name || !n)
		return;
	if (!str_to_i64(name, &uid) && uid >= 0)
		i->uid = uid;
	else
		i->username = name;
}

/* Size and user never change for an id: it is the digest of the config. */
static void load_content(const struct services *sv, struct arena *a, struct image *i)
{
	_cleanup_free_ char *key = strf("sha256:%s", i->id), *text = NULL;
	struct cimage_config *c = NULL;
	size_t len;

	i->uid = -1;
	i->username = "";
	cstore_image_size(sv->store, i->id, &i->size, NULL);
	if (!key || cstore_image_data(sv->store, i->id, key, CIMAGE_MANIFEST_MAX, &text, &len, NULL) ||
	    cimage_config_parse(text, len, &c, NULL))
		return;
	set_user(a, i, cimage_config_user(c));
	cimage_config_free(c);
}

static const struct image *find_id(const struct image_table *t, const char *id)
{
	size_t n;

	for (n = 0; t && n < t->n; n++)
		if (streq(t->images[n].id, id))
			return &t->images[n];
	return NULL;
}

static void load_one(const struct services *sv, struct image_table *t, const struct image_table *old,
		     const struct cstore_image *record)
{
	struct image *i = &t->images[t->n++];
	const struct image *known;

	i->id = arena_strdup(&t->arena, cstore_image_id(record));
	i->names = copy_strings(&t->arena, cstore_image_names(record));
	i->digests = copy_strings(&t->arena, cstore_image_digests(record));
	if (arena_failed(&t->arena))
		return;
	derive_names(&t->arena, i);
	i->pinned = is_pinned(sv->config, i->names, i->id);
	known = find_id(old, i->id);
	if (known) {
		i->size = known->size;
		i->uid = known->uid;
		i->username = arena_strdup(&t->arena, known->username);
	} else {
		load_content(sv, &t->arena, i);
	}
}

int image_table_load(const struct services *sv, const struct image_table *old, struct image_table **ret,
		     struct cb_error *err)
{
	struct cstore_image_list *list = NULL;
	struct cstore_error e = { 0 };
	struct image_table *t;
	size_t i, n;
	int r;

	r = cstore_image_list(sv->store, &list, &e);
	if (r)
		return err_from_cstore(err, r, &e);
	n = cstore_image_list_count(list);
	t = calloc(1, sizeof(*t));
	if (t) {
		t->refs = 1;
		t->images = arena_alloc(&t->arena, (n + 1) * sizeof(*t->images));
	}
	for (i = 0; t && t->images && i < n; i++)
		load_one(sv, t, old, cstore_image_list_get(list, i));
	cstore_image_list_free(list);
	if (!t || arena_failed(&t->arena)) {
		image_table_unref(t);
		return err_oom(err);
	}
	*ret = t;
	return 0;
}

/* ---- looking up ---- */

static const struct image *find_prefix(const struct image_table *t, const char *prefix)
{
	const struct image *found = NULL;
	size_t n, len = strlen(prefix);

	if (len < ID_PREFIX_MIN || len > 64 || strspn(prefix, "0123456789abcdef") != len)
		return NULL;
	for (n = 0; n < t->n; n++) {
		if (strncmp(t->images[n].id, prefix, len))
			continue;
		if (found)
			return NULL;
		found = &t->images[n];
	}
	return found;
}

static const struct image *find_ref(const struct image_table *t, const struct cimage_ref *ref)
{
	_cleanup_free_ char *by_digest = cimage_ref_digest(ref) ?
		strf("%s@%s", cimage_ref_name(ref), cimage_ref_digest(ref)) : NULL;
	size_t n;

	for (n = 0; n < t->n; n++)
		if (by_digest ? strv_has(t->images[n].repo_digests, by_digest) || strv_has(t->images[n].names, by_digest) :
		    strv_has(t->images[n].names, cimage_ref_string(ref)))
			return &t->images[n];
	return NULL;
}

const struct image *image_table_find(const struct image_table *t, const char *text)
{
	const struct image *found;
	struct cimage_ref *ref = NULL;

	if (str_starts(text, "sha256:"))
		return find_id(t, text + strlen("sha256:"));
	found = find_id(t, text);
	if (found || cimage_ref_parse(text, 1, &ref, NULL))
		return found ? found : find_prefix(t, text);
	found = find_ref(t, ref);
	cimage_ref_free(ref);
	return found ? found : find_prefix(t, text);
}

const char *image_ref(const struct image *i, struct arena *a)
{
	return arena_strdup(a, i->repo_digests[0] ? i->repo_digests[0] : i->id);
}

char *image_repo_digests_text(const struct image *i, struct arena *a)
{
	_cleanup_free_ char *text = strv_join(i->repo_digests, ",");

	return text ? arena_strdup(a, text) : NULL;
}

int image_describe(const struct services *sv, const char *id, struct str *out, struct cb_error *err)
{
	_cleanup_free_ char *key = strf("sha256:%s", id), *text = NULL;
	_cleanup_json_ struct json_doc *config = NULL, *doc = json_doc_new();
	struct cstore_error e = { 0 };
	const struct json *labels;
	size_t len;
	int r;

	if (!key || !doc)
		return err_oom(err);
	r = cstore_image_data(sv->store, id, key, CIMAGE_MANIFEST_MAX, &text, &len, &e);
	if (r)
		return err_from_cstore(err, r, &e);
	r = json_parse(text, len, 0, &config, err);
	if (r)
		return err_ctx(err, r, "configuration of image %s", id);
	labels = json_path(json_root(config), "config", "Labels", NULL);
	if (labels)
		json_set(doc, json_root(doc), "labels", json_copy(doc, labels));
	json_set(doc, json_root(doc), "imageSpec", json_copy(doc, json_root(config)));
	return json_format(doc, json_root(doc), 0, out) ? err_oom(err) : 0;
}
