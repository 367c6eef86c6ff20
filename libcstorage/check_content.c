/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in layers and images. A layer is read through its tar-split, without locks: one that is deleted
 * meanwhile looks damaged, so nothing is said about a layer that has no record any more.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "problem.h"
#include "image.h"
#include "layer.h"

struct layer_check {
	struct check *check;
	const char *id;
	size_t lost; /* contents that are gone */
};

static int open_layer(struct cstore *s, const char *id, int *ret_diff, int *ret_split)
{
	_cleanup_free_ char *diff = layer_content(s, id);
	_cleanup_free_ char *split = strf("%s/%s" TAR_SPLIT, s->layers_dir, id);

	if (!diff || !split)
		return -ENOMEM;
	*ret_diff = open(diff, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	*ret_split = *ret_diff < 0 ? -1 : open(split, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_split < 0 ? -errno : 0;
}

int check_layer_digest(struct cstore *s, const char *id, char diff_id[MODULE_DIGEST_MAX], uint64_t *ret_size)
{
	_cleanup_close_ int diff = -1, split = -1;
	struct verify_result result = { .size = 0 };
	const struct apply_module *module;
	struct verify_job job = { 0 };
	int r = module_get(&module, NULL);

	if (!r)
		r = open_layer(s, id, &diff, &split);
	job.diff_fd = diff;
	job.tar_split_fd = split;
	if (!r)
		r = module->verify(&job, &result, NULL);
	if (r)
		return r;
	memcpy(diff_id, result.diff_id, MODULE_DIGEST_MAX);
	*ret_size = result.size;
	return 0;
}

static void on_difference(void *user, int kind, int mended, const char *name, const char *what)
{
	struct layer_check *l = user;
	char object[ID_LEN + 16];

	snprintf(object, sizeof(object), "layer %s", l->id);
	check_report(l->check, kind, mended, object, "%s: %s", name, what);
	if (!mended && kind == CSTORE_PROBLEM_CONTENT)
		l->lost++;
}

struct layer_ref {
	char id[ID_LEN + 1];
	char diff_id[MODULE_DIGEST_MAX];
};

/* The layers whose content is known: those with a diff id. */
static int list_layers(struct cstore *s, struct layer_ref **ret, size_t *ret_count, struct cstore_error *err)
{
	_cleanup_unlock_ struct records *held = NULL;
	struct record *all;
	size_t n, count = 0;
	int r = layers_lock(s, LOCK_SHARED, err);

	if (r)
		return r;
	held = &s->layers;
	if (records_all(&s->layers, &all, &n))
		return err_oom(err);
	*ret = calloc(n + 1, sizeof(**ret));
	if (!*ret)
		return err_oom(err);
	for (size_t i = 0; i < n; i++) {
		const char *diff = json_get_string(all[i].json, "diff-digest");

		if (!diff || strlen(diff) >= MODULE_DIGEST_MAX ||
		    record_read_only(&s->layers, &all[i]))
			continue;
		strcpy((*ret)[count].id, all[i].id);
		strcpy((*ret)[count++].diff_id, diff);
	}
	*ret_count = count;
	return 0;
}

static int verify(struct check *c, const struct apply_module *module, const struct layer_ref *layer,
		  struct cstore_error *err)
{
	_cleanup_close_ int diff = -1, split = -1;
	struct layer_check l = { .check = c, .id = layer->id };
	struct verify_job job = { .mend = c->mend, .report = on_difference, .user = &l, .cancel = c->options->cancel };
	struct verify_result result = { .size = 0 };
	struct cstore_error why = { .message = "" };
	int r = open_layer(c->store, layer->id, &diff, &split);

	if (r == -ENOMEM)
		return err_oom(err);
	if (r) {
		if (diff >= 0) /* without diff it was said already */
			on_difference(&l, CSTORE_PROBLEM_CONTENT, false, TAR_SPLIT, "it cannot be opened");
		return 0;
	}
	job.diff_fd = diff;
	job.tar_split_fd = split;
	r = module->verify(&job, &result, &why);
	if (r == CSTORE_E_CANCELLED || r == -ENOMEM)
		err_copy(err, &why);
	if (r == CSTORE_E_CANCELLED || r == -ENOMEM)
		return r;
	if (r)
		on_difference(&l, CSTORE_PROBLEM_CONTENT, false, TAR_SPLIT, why.message);
	else if (!l.lost && !streq(result.diff_id, layer->diff_id))
		on_difference(&l, CSTORE_PROBLEM_CONTENT, false, "the whole",
			      "it does not give the recorded diff id");
	if (l.lost)
		check_broken(c, layer->id);
	return 0;
}

/*
 * Where a layer's directory has more than the layer (vfs), or other owners and modes (force_mask), only the
 * archive that it makes can be looked at.
 */
static int verify_archive(struct check *c, const struct layer_ref *layer, struct cstore_error *err)
{
	const struct cstore_diff_options o = { .size = sizeof(o), .cancel = c->options->cancel };
	_cleanup_close_ int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct layer_check l = { .check = c, .id = layer->id };
	struct cstore_error why = { .message = "" };
	int r;

	if (nowhere < 0)
		return err_sys(err, "open /dev/null");
	r = cstore_layer_diff(c->store, layer->id, &o, nowhere, &why);
	if (r == CSTORE_E_CANCELLED || r == -ENOMEM)
		err_copy(err, &why);
	if (r == CSTORE_E_CANCELLED || r == -ENOMEM)
		return r;
	if (r) {
		on_difference(&l, CSTORE_PROBLEM_CONTENT, false, "its archive", why.message);
		check_broken(c, layer->id);
	}
	return 0;
}

/* One layer; what was said about it is taken back when it is gone. */
static int check_layer(struct check *c, const struct apply_module *module, const struct layer_ref *layer,
		       struct cstore_error *err)
{
	size_t before = cstore_report_count(c->report);
	bool plain = c->store->driver == &driver_overlay && !c->store->force_mask;
	int there = 1, r = plain ? verify(c, module, layer, err) : verify_archive(c, layer, err);

	if (!r && cstore_report_count(c->report) > before)
		r = cstore_layer_exists(c->store, layer->id, &there, err);
	if (!there)
		check_take_back(c, before, layer->id);
	return r;
}

int check_content(struct check *c, struct cstore_error *err)
{
	_cleanup_free_ struct layer_ref *layers = NULL;
	const struct apply_module *module;
	size_t n = 0;
	int r;

	if (c->options->quick)
		return 0;
	r = module_get(&module, err);
	if (!r)
		r = list_layers(c->store, &layers, &n, err);
	for (size_t i = 0; i < n && !r; i++) {
		r = check_cancelled(c, err);
		if (!r)
			r = check_layer(c, module, &layers[i], err);
		if (!r && c->options->progress)
			c->options->progress(c->options->user, i + 1, n);
	}
	return r;
}

/* ---- data of images ---- */

static int check_blob(struct check *c, const struct record *image, const char *key, struct cstore_error *err)
{
	const struct json *sizes = json_get(image->json, "big-data-sizes");
	const char *digest = json_get_string(json_get(image->json, "big-data-digests"), key), *what = NULL;
	_cleanup_free_ char *name = NULL, *path = NULL, *data = NULL;
	char object[ID_LEN + 16], found[MODULE_DIGEST_MAX];
	size_t len = 0;
	int r;

	if (image_data_name(key, &name, NULL))
		return 0; /* no program could have written it */
	path = strf("%s/%s/%s", c->store->places[record_place(&c->store->images, image)].images_dir,
		    image->id, name);
	if (!path)
		return err_oom(err);
	r = read_file(path, INT32_MAX, &data, &len);
	if (r == -ENOMEM)
		return err_oom(err);
	if (r)
		what = "it cannot be read";
	else if ((int64_t)len != json_get_int(sizes, key, (int64_t)len))
		what = "it has another size";
	else if (digest && str_starts(digest, "sha256:") && !str_starts(key, "manifest")) {
		/* a manifest's recorded digest is of its content without signatures */
		r = module_sha256(data, len, found, err);
		if (r)
			return r;
		what = streq(found, digest) ? NULL : "it has another digest";
	}
	if (!what)
		return 0;
	snprintf(object, sizeof(object), "image %s", image->id);
	check_report(c, CSTORE_PROBLEM_DATA, false, object, "data %s: %s", key, what);
	return strv_has(c->spoilt, image->id) || !strv_push(&c->spoilt, image->id) ? 0 : err_oom(err);
}

int check_data(struct check *c, struct cstore_error *err)
{
	_cleanup_unlock_ struct records *held = NULL;
	struct record *all;
	size_t n;
	int r = records_lock(&c->store->images, LOCK_SHARED, err);

	if (r)
		return r;
	held = &c->store->images;
	if (records_all(&c->store->images, &all, &n))
		return err_oom(err);
	for (size_t i = 0; i < n; i++)
		json_foreach(key, record_read_only(&c->store->images, &all[i])
					  ? NULL
					  : json_get(all[i].json, "big-data-names")) {
			r = json_string(key) ? check_blob(c, &all[i], json_string(key), err) : 0;
			if (r)
				return r;
		}
	return 0;
}
