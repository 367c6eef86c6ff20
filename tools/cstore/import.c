/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images into the store: from an OCI layout directory, or one made of a single archive. Layers are extracted
 * in parallel, each by a thread, and published in order; the name is the last thing that is written.
 *
 * The configuration has the digests of the uncompressed layers, which are compared; manifest and configuration
 * are compared with the digests that name them.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>
#include <cbase/digest.h>
#include <cbase/io.h>
#include "cstore_tool.h"

#define JSON_FILE_MAX (4u << 20) /* index, manifest, configuration */
#define LAYERS_MAX 500
#define THREADS_MAX 8
#define SHOW_INTERVAL_NS 100000000l /* of the bars; Ctrl-C is looked at as often */

static char **opt_names;

struct layer {
	const char *blob, *diff_id; /* digests, in the documents; of an archive NULL */
	char path[4096];
	char id[65];
	int64_t size;
	uint64_t done; /* by its thread; read for the bars */
	bool present;
	struct cstore_staged *staged;
};

struct import {
	struct tool *t;
	const char *dir;
	char *manifest, *config;
	size_t manifest_len, config_len;
	char manifest_digest[DIGEST_STR_MAX], config_digest[DIGEST_STR_MAX];
	struct json_doc *manifest_doc, *config_doc;
	char *ref; /* name in the layout, or NULL */
	struct layer *layers;
	size_t count, next; /* next: to be taken by a thread */
	struct cstore_staging *staging;
	struct work work;
	pthread_mutex_t mutex;
	pthread_cond_t ended; /* a thread */
	struct cstore_error err;
	int result;
	size_t running;
};

/* ---- documents ---- */

static bool blob_path(const char *dir, const char *digest, char out[4096])
{
	return digest && digest_valid(digest) &&
	       snprintf(out, 4096, "%s/blobs/%.*s/%s", dir,
			(int)(digest_hex(digest) - digest - 1), digest, digest_hex(digest)) < 4096;
}

static int load_json(const char *path, const char *digest, char **ret, size_t *ret_len,
		     struct json_doc **ret_doc)
{
	_cleanup_free_ char *text = NULL;
	struct cb_error why = { 0 };
	size_t len;
	int r = read_file(path, JSON_FILE_MAX, &text, &len);

	if (r) {
		complain("%s: %s", path, strerror(-r));
		return EXIT_FAILURE;
	}
	if (digest && !digest_matches(digest, text, len)) {
		complain("%s: the content does not have the digest of its name", path);
		return EXIT_FAILURE;
	}
	if (json_parse(text, len, JSON_REPAIR, ret_doc, &why)) {
		complain("%s: %s", path, why.message);
		return EXIT_FAILURE;
	}
	*ret = take(text);
	*ret_len = len;
	return 0;
}

static const char *machine(void)
{
#if defined(__x86_64__)
	return "amd64";
#elif defined(__aarch64__)
	return "arm64";
#elif defined(__s390x__)
	return "s390x";
#elif defined(__powerpc64__)
	return "ppc64le";
#else
	return "";
#endif
}

/* In an index: the one with this name, or for this machine, or the only one. */
static const struct json *choose(const struct json *index, const char *ref)
{
	const struct json *manifests = json_get(index, "manifests"), *only = NULL;

	json_foreach(m, manifests) {
		const char *name = json_string(json_path(m, "annotations",
							 "org.opencontainers.image.ref.name", NULL)),
			   *arch = json_string(json_path(m, "platform", "architecture", NULL)),
			   *os = json_string(json_path(m, "platform", "os", NULL));

		if (ref ? name && streq(name, ref)
			: arch && os && streq(arch, machine()) && streq(os, "linux"))
			return m;
		only = manifests->count == 1 ? m : NULL;
	}
	return ref ? NULL : only;
}

static int load_manifest(struct import *im, const char *digest, int depth)
{
	const struct json *chosen;
	char path[4096];
	int r;

	if (depth > 3 || !blob_path(im->dir, digest, path)) {
		complain("%s: an entry has no valid digest", im->dir);
		return EXIT_FAILURE;
	}
	free(take(im->manifest));
	im->manifest_doc = json_doc_free(im->manifest_doc);
	r = load_json(path, digest, &im->manifest, &im->manifest_len, &im->manifest_doc);
	if (r)
		return r;
	if (!json_get(json_root(im->manifest_doc), "manifests")) {
		snprintf(im->manifest_digest, sizeof(im->manifest_digest), "%s", digest);
		return 0;
	}
	chosen = choose(json_root(im->manifest_doc), NULL);
	if (!chosen) {
		complain("%s: no image for linux/%s", im->dir, machine());
		return EXIT_FAILURE;
	}
	_cleanup_free_ char *next = strdup(json_get_string(chosen, "digest") ?: "");

	return next ? load_manifest(im, next, depth + 1) : EXIT_FAILURE;
}

static int load_index(struct import *im, const char *ref)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	_cleanup_free_ char *text = NULL;
	const struct json *chosen;
	const char *name;
	char path[4096];
	size_t len;
	int r;

	snprintf(path, sizeof(path), "%s/index.json", im->dir);
	r = load_json(path, NULL, &text, &len, &doc);
	if (r)
		return r;
	chosen = choose(json_root(doc), ref);
	if (!chosen) {
		complain("%s: %s; name it as DIRECTORY:REFERENCE", im->dir,
			 ref ? "no image has that reference" : "more than one image, or none for this machine");
		return EXIT_FAILURE;
	}
	name = json_string(json_path(chosen, "annotations", "org.opencontainers.image.ref.name", NULL));
	im->ref = name ? strdup(name) : NULL;
	return load_manifest(im, json_get_string(chosen, "digest"), 0);
}

static int load_config(struct import *im)
{
	const char *digest = json_string(json_path(json_root(im->manifest_doc), "config", "digest", NULL));
	char path[4096];

	if (!blob_path(im->dir, digest, path)) {
		complain("%s: the manifest names no configuration", im->dir);
		return EXIT_FAILURE;
	}
	snprintf(im->config_digest, sizeof(im->config_digest), "%s", digest);
	return load_json(path, digest, &im->config, &im->config_len, &im->config_doc);
}

static int set_layers(struct import *im)
{
	const struct json *blobs = json_get(json_root(im->manifest_doc), "layers"),
			  *diff_ids = json_path(json_root(im->config_doc), "rootfs", "diff_ids", NULL);
	const struct json *diff_id = diff_ids ? diff_ids->first : NULL;

	if (!blobs || !diff_ids || blobs->count != diff_ids->count || blobs->count > LAYERS_MAX) {
		complain("%s: manifest and configuration do not list the same layers", im->dir);
		return EXIT_FAILURE;
	}
	im->layers = calloc(blobs->count + 1, sizeof(*im->layers));
	if (!im->layers) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	json_foreach(blob, blobs) {
		struct layer *l = &im->layers[im->count];

		l->blob = json_get_string(blob, "digest");
		l->diff_id = json_string(diff_id);
		l->size = json_get_int(blob, "size", -1);
		if (!blob_path(im->dir, l->blob, l->path) || !l->diff_id ||
		    cstore_layer_chain_id(im->count ? l[-1].id : NULL, l->diff_id, l->id)) {
			complain("%s: layer %zu has no valid digest", im->dir, im->count + 1);
			return EXIT_FAILURE;
		}
		im->count++;
		diff_id = diff_id->next;
	}
	return 0;
}

/* ---- layers ---- */

static void layer_progress(void *user, uint64_t bytes)
{
	__atomic_store_n((uint64_t *)user, bytes, __ATOMIC_RELAXED);
}

static int apply(struct import *im, struct layer *l, struct cstore_error *err)
{
	const struct cstore_apply_options o = {
		.size = sizeof(o),
		.blob_size = l->blob ? l->size : -1,
		.diff_id = l->diff_id,
		.progress = layer_progress,
		.user = &l->done,
		.cancel = &im->work.cancel,
	};
	bool from_stdin = streq(l->path, "-");
	int fd = from_stdin ? STDIN_FILENO : open(l->path, O_RDONLY | O_CLOEXEC), r;

	if (fd < 0) {
		snprintf(err->message, sizeof(err->message), "%.900s: %s", l->path, strerror(errno));
		return -errno;
	}
	r = cstore_staging_apply(im->staging, fd, &o, &l->staged, err);
	if (!from_stdin)
		close(fd);
	return r;
}

static void *work_layers(void *user)
{
	struct import *im = user;

	pthread_mutex_lock(&im->mutex);
	while (!im->result && im->next < im->count) {
		struct layer *l = &im->layers[im->next++];
		struct cstore_error err = { 0 };
		int r;

		if (l->present)
			continue;
		pthread_mutex_unlock(&im->mutex);
		r = apply(im, l, &err);
		pthread_mutex_lock(&im->mutex);
		if (r && !im->result) {
			im->result = r;
			im->err = err;
			im->work.cancel = 1; /* the others need not go on */
		}
	}
	im->running--;
	pthread_cond_signal(&im->ended);
	pthread_mutex_unlock(&im->mutex);
	return NULL;
}

static void show_layers(struct import *im)
{
	for (size_t i = 0; i < im->count; i++) {
		const struct layer *l = &im->layers[i];
		const char *name = l->diff_id ? l->diff_id : "archive";

		if (!l->present && l->size > 0)
			work_show(&im->work, name, __atomic_load_n(&l->done, __ATOMIC_RELAXED),
				  (uint64_t)l->size);
	}
	if (interrupted())
		im->work.cancel = 1;
}

/* Until no thread works any more, or it is time to show how far they are: false. */
static bool wait_for_work(struct import *im)
{
	struct timespec until;
	bool ended;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += SHOW_INTERVAL_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&im->mutex);
	while (im->running && !pthread_cond_clockwait(&im->ended, &im->mutex, CLOCK_MONOTONIC, &until))
		;
	ended = !im->running;
	pthread_mutex_unlock(&im->mutex);
	return ended;
}

static int apply_layers(struct import *im)
{
	size_t want = (size_t)get_nprocs() > THREADS_MAX ? THREADS_MAX : (size_t)get_nprocs();
	pthread_t threads[THREADS_MAX];
	size_t n = 0;

	want = want < im->count ? want : im->count;
	im->running = want;
	for (; n < want && !pthread_create(&threads[n], NULL, work_layers, im); n++)
		;
	if (n < want) {
		pthread_mutex_lock(&im->mutex);
		im->running -= want - n;
		pthread_mutex_unlock(&im->mutex);
	}
	if (!n && im->count) {
		im->running = 1;
		work_layers(im);
	}
	while (!wait_for_work(im))
		show_layers(im);
	show_layers(im);
	for (size_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	return im->result;
}

static int publish_layers(struct import *im)
{
	int r = cstore_staging_sync(im->staging, &im->err);

	for (size_t i = 0; i < im->count && !r; i++) {
		struct layer *l = &im->layers[i];
		const char *parent = i ? l[-1].id : NULL;

		if (!l->present)
			r = cstore_staging_publish(im->staging, take(l->staged), l->id, parent, &im->err);
	}
	return r;
}

static int find_present(struct import *im)
{
	int r = 0, exists = 0;

	for (size_t i = 0; i < im->count && !r; i++) {
		r = cstore_layer_exists(im->t->store, im->layers[i].id, &exists, &im->err);
		im->layers[i].present = exists;
	}
	return r;
}

static int import_layers(struct import *im)
{
	int r = cstore_staging_new(im->t->store, &im->staging, &im->err);

	if (!r)
		r = apply_layers(im);
	work_done(&im->work);
	return r;
}

/* ---- the image ---- */

static int put_image(struct import *im)
{
	char key[DIGEST_STR_MAX + 16];
	const char *created = json_get_string(json_root(im->config_doc), "created");
	const struct cstore_blob data[] = {
		{ im->config_digest, im->config, im->config_len, im->config_digest },
		{ key, im->manifest, im->manifest_len, im->manifest_digest },
		{ "manifest", im->manifest, im->manifest_len, im->manifest_digest },
	};
	struct cstore_image_spec spec = {
		.size = sizeof(spec),
		.id = digest_hex(im->config_digest),
		.top_layer = im->count ? im->layers[im->count - 1].id : NULL,
		.digest = im->manifest_digest,
		.names = (const char *const *)opt_names,
		.data = data,
		.data_count = ARRAY_SIZE(data),
	};
	int r;

	snprintf(key, sizeof(key), "manifest-%s", im->manifest_digest);
	if (!created || time_parse(created, &spec.created))
		spec.created = now_ns();
	r = cstore_image_put(im->t->store, &spec, &im->err);
	if (!r)
		puts(spec.id);
	return r;
}

/* A layout's reference is a name when it looks like one. */
static int default_name(struct import *im)
{
	if (opt_names || !im->ref || !strchr(im->ref, '/') || !strchr(strrchr(im->ref, '/'), ':'))
		return 0;
	return strv_push(&opt_names, im->ref);
}

static int import_layout(struct import *im, const char *ref)
{
	int r = load_index(im, ref);

	if (!r)
		r = load_config(im);
	if (!r)
		r = set_layers(im);
	if (!r && default_name(im))
		r = EXIT_FAILURE;
	if (r)
		return r;
	r = find_present(im);
	if (!r)
		r = import_layers(im);
	if (!r)
		r = publish_layers(im);
	if (!r)
		r = put_image(im);
	return r ? failed(r, &im->err) : 0;
}

/* ---- one archive ---- */

/* What is needed to say "an image of this one layer". */
static int make_documents(struct import *im, const char *diff_id, uint64_t size)
{
	_cleanup_str_ struct str config = STR_INIT, manifest = STR_INIT;
	char created[TIME_MAX_LEN];

	time_format(now_ns(), created);
	str_appendf(&config, "{\"created\":\"%s\",\"architecture\":\"%s\",\"os\":\"linux\",\"config\":{},"
		    "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}", created, machine(), diff_id);
	if (str_failed(&config))
		return EXIT_FAILURE;
	digest_sha256(config.data, config.len, im->config_digest);
	str_appendf(&manifest, "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		    "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},"
		    "\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%llu}]}",
		    im->config_digest, config.len, diff_id, (unsigned long long)size);
	im->config = str_take(&config, &im->config_len);
	im->manifest = str_take(&manifest, &im->manifest_len);
	if (!im->config || !im->manifest || json_parse(im->config, im->config_len, JSON_REPAIR, &im->config_doc, NULL))
		return EXIT_FAILURE;
	digest_sha256(im->manifest, im->manifest_len, im->manifest_digest);
	return 0;
}

static int import_archive(struct import *im, const char *path)
{
	const char *diff_id;
	struct stat st;
	int r;

	im->layers = calloc(1, sizeof(*im->layers));
	if (!im->layers)
		return EXIT_FAILURE;
	im->count = 1;
	snprintf(im->layers[0].path, sizeof(im->layers[0].path), "%s", path);
	im->layers[0].size = !streq(path, "-") && stat(path, &st) == 0 ? st.st_size : 0;
	r = import_layers(im);
	if (r)
		return failed(r, &im->err);
	diff_id = cstore_staged_diff_id(im->layers[0].staged);
	snprintf(im->layers[0].id, sizeof(im->layers[0].id), "%s", digest_hex(diff_id));
	r = make_documents(im, diff_id, cstore_staged_diff_size(im->layers[0].staged));
	if (r) {
		complain("out of memory");
		return r;
	}
	r = publish_layers(im);
	if (!r)
		r = put_image(im);
	return r ? failed(r, &im->err) : 0;
}

/* ---- the command ---- */

static void import_done(struct import *im)
{
	for (size_t i = 0; i < im->count; i++)
		cstore_staged_free(im->layers[i].staged);
	free(im->layers);
	cstore_staging_free(im->staging);
	json_doc_free(im->manifest_doc);
	json_doc_free(im->config_doc);
	free(im->manifest);
	free(im->config);
	free(im->ref);
	pthread_cond_destroy(&im->ended);
	pthread_mutex_destroy(&im->mutex);
}

static bool is_layout(const char *dir)
{
	_cleanup_free_ char *path = strf("%s/oci-layout", dir);

	return path && access(path, F_OK) == 0;
}

static int run_import(void *user, int argc, char **argv)
{
	_cleanup_(import_done) struct import im = {
		.t = user,
		.mutex = PTHREAD_MUTEX_INITIALIZER,
		.ended = PTHREAD_COND_INITIALIZER,
	};
	char *colon;
	int r = work_start(&im.work, "\"cstore gc\" removes what was extracted");

	if (r)
		return r;
	im.dir = argv[0];
	if (is_layout(argv[0]))
		return import_layout(&im, NULL);
	/* a reference may have colons itself: the first one behind which a layout ends counts */
	for (colon = strchr(argv[0], ':'); colon; colon = strchr(colon + 1, ':')) {
		*colon = '\0';
		if (is_layout(argv[0]))
			return import_layout(&im, colon + 1);
		*colon = ':';
	}
	return import_archive(&im, argv[0]);
}

static const struct opt import_options[] = {
	{ 'n', "name", OPT_LIST, &opt_names, "NAME", "name of the image, such as localhost/x:1; may be repeated" },
	{ 0 },
};

const struct command cmd_import = {
	.name = "import", .args = "LAYOUT[:REFERENCE]|ARCHIVE|-", .summary = "put an image into the store",
	.details = "LAYOUT is an OCI image layout directory. ARCHIVE is a tar, plain or compressed with gzip, zstd, xz or\n"
		   "bzip2, that becomes an image of one layer; - is standard input. Prints the id of the image.",
	.options = import_options, .min_args = 1, .max_args = 1, .run = run_import,
};
