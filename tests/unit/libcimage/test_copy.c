/* SPDX-License-Identifier: Apache-2.0 */
/* The copy engine between two transports of the program, which count what it does. */
#include <cbase/digest.h>
#include <pthread.h>
#include "common.h"
#include "unit.h"

#define LAYER "application/vnd.oci.image.layer.v1.tar"
#define LAYERS 3

static struct cimage_context *c;
static struct scratch s;

/* ---- an image ---- */

static struct {
	char text[32], digest[DIGEST_STR_MAX];
} layers[LAYERS];
static char config[512], config_digest[DIGEST_STR_MAX], manifest[2048], manifest_digest[DIGEST_STR_MAX];

static void make_image(const char *layer_type)
{
	int n = snprintf(config, sizeof(config), "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":["), m;

	for (int i = 0; i < LAYERS; i++) {
		snprintf(layers[i].text, sizeof(layers[i].text), "layer %d", i % 2); /* the last one is the first again */
		digest_sha256(layers[i].text, strlen(layers[i].text), layers[i].digest);
		n += snprintf(config + n, sizeof(config) - (size_t)n, "%s\"%s\"", i ? "," : "", layers[i].digest);
	}
	snprintf(config + n, sizeof(config) - (size_t)n, "]}}");
	digest_sha256(config, strlen(config), config_digest);
	m = snprintf(manifest, sizeof(manifest), "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":"
		     "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[", config_digest, strlen(config));
	for (int i = 0; i < LAYERS; i++)
		m += snprintf(manifest + m, sizeof(manifest) - (size_t)m, "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu}", i ? "," : "",
			      layer_type, layers[i].digest, strlen(layers[i].text));
	snprintf(manifest + m, sizeof(manifest) - (size_t)m, "]}");
	digest_sha256(manifest, strlen(manifest), manifest_digest);
}

/* ---- the source ---- */

struct cimage_source {
	int unused;
};

static const char *lie;		/* instead of the second layer */
static bool is_signed;
static int source_result;	/* of the transfer of layers */

static int from_open(struct cimage_context *ctx, const struct cimage_place *place, struct cimage_source **ret, struct cimage_error *err)
{
	*ret = calloc(1, sizeof(**ret));
	return 0;
}

static void from_close(struct cimage_source *source)
{
	free(source);
}

static int from_manifest(struct cimage_source *source, const char *digest, char **ret, size_t *ret_len, char **ret_type,
			 struct cimage_error *err)
{
	*ret = strdup(manifest);
	*ret_len = strlen(manifest);
	*ret_type = NULL;
	return 0;
}

static int from_blobs(struct cimage_source *source, struct cimage_blob_request *r, size_t n, struct cimage_error *err)
{
	for (size_t i = 0; i < n; i++) {
		const char *text = streq(r[i].digest, config_digest) ? config : NULL;
		int k = 0;

		for (int l = 0; !text && l < LAYERS; l++)
			if (streq(r[i].digest, layers[l].digest))
				text = l == 1 && lie ? lie : layers[l].text;
		ck_assert_ptr_nonnull(text);
		if (text != config && source_result)
			return err_set(err, source_result, "the source broke");
		for (size_t at = 0; !k && at < strlen(text); at++)
			k = r[i].data(r[i].user, text + at, 1);
		if (!k)
			k = r[i].done(r[i].user, 0);
		if (k)
			return k;
	}
	return 0;
}

static int from_signatures(struct cimage_source *source, const char *digest, struct cimage_signatures *ret, struct cimage_error *err)
{
	return is_signed ? cimage_signatures_add(ret, "\x89sig", 4) : 0;
}

/* ---- the destination ---- */

struct cimage_destination {
	int unused;
};

static struct {
	int flags, fail_put, opened, closed, puts, configs, manifests, signatures, commits;
	bool has_all;
	char digest[DIGEST_STR_MAX];	/* of the manifest */
} to;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int to_open(struct cimage_context *ctx, const struct cimage_place *place, struct cimage_destination **ret, struct cimage_error *err)
{
	to.opened++;
	*ret = calloc(1, sizeof(**ret));
	return 0;
}

static void to_close(struct cimage_destination *d)
{
	to.closed++;
	free(d);
}

static int to_flags(const struct cimage_destination *d)
{
	return to.flags;
}

static const char *const *to_types(const struct cimage_destination *d)
{
	return NULL;
}

static int to_has(struct cimage_destination *d, const struct cimage_put *b, int *ret, struct cimage_error *err)
{
	*ret = to.has_all;
	return 0;
}

static int to_put(struct cimage_destination *d, const struct cimage_put *b, struct cimage_stream *stream, struct cimage_error *err)
{
	char buf[64];
	size_t n = 1;
	int r = 0;

	pthread_mutex_lock(&lock);
	r = b->kind == CIMAGE_BLOB_LAYER ? to.fail_put : 0;
	to.puts += b->kind == CIMAGE_BLOB_LAYER;
	to.configs += b->kind == CIMAGE_BLOB_CONFIG;
	pthread_mutex_unlock(&lock);
	if (r)
		return err_set(err, r, "the destination broke");
	while (!r && n)
		r = stream->read(stream, buf, sizeof(buf), &n, err);
	ck_assert(r || (b->digest && b->size >= 0));
	return r;
}

static int to_manifest(struct cimage_destination *d, const char *bytes, size_t n, const char *media_type, const char *instance,
		       struct cimage_error *err)
{
	ck_assert_int_eq(to.commits, 0);
	to.manifests++;
	digest_sha256(bytes, n, to.digest);
	return 0;
}

static int to_signatures(struct cimage_destination *d, const struct cimage_signatures *l, const char *instance, struct cimage_error *err)
{
	to.signatures += (int)l->count;
	return 0;
}

static int to_commit(struct cimage_destination *d, const char *list, size_t n, struct cimage_error *err)
{
	ck_assert_int_eq(to.manifests, 1);
	to.commits++;
	return 0;
}

static const struct cimage_destination_ops to_ops = {
	to_open, to_close, to_flags, to_types, to_has, to_put, to_manifest, to_signatures, to_commit,
};
static const struct cimage_transport transport = {
	.abi = CIMAGE_TRANSPORT_ABI,
	.name = "memory",
	.close = from_close,
	.manifest = from_manifest,
	.blobs = from_blobs,
	.open_place = from_open,
	.signatures = from_signatures,
	.destination = &to_ops,
};

/* ---- copying ---- */

static int events[5], cancelled, cancel_at;

static void on_progress(void *user, const struct cimage_progress *p)
{
	events[p->event]++;
	if (cancel_at && p->event == cancel_at)
		cancelled = 1;
}

static void begin(void)
{
	char *path;

	scratch_make(&s);
	setenv("CIMAGE_TRANSPORT_DIR", MODULES, 1);
	ck_assert_int_eq(cimage_context_new(&c), 0);
	path = scratch_write(&s, "policy.json", "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}");
	ck_assert_int_eq(cimage_context_set_policy(c, path), 0);
	ck_assert_int_eq(cimage_context_set_blob_cache(c, ""), 0);
	ck_assert_int_eq(cimage_context_set_cancel(c, &cancelled), 0);
	free(path);
	(void)cimage_transport_register(&transport);
	make_image(LAYER);
	memset(&to, 0, sizeof(to));
	to.flags = CIMAGE_DEST_KEEPS_FORM;
}

static void end(void)
{
	ck_assert_int_eq(to.opened, to.closed);
	cimage_context_free(c);
	scratch_remove(&s);
}

static int copy(struct cimage_copy_options *o, char **ret_digest, const char *said)
{
	struct cimage_place *from, *where;
	struct cimage_error err = { 0 };
	int r;

	ck_assert_int_eq(cimage_place_parse(c, "memory:a", &from, NULL), 0);
	ck_assert_int_eq(cimage_place_parse(c, "memory:b", &where, NULL), 0);
	ck_assert_int_eq(cimage_copy_options_set_progress(o, on_progress, NULL), 0);
	r = cimage_copy(c, from, c, where, o, ret_digest, &err);
	if (said)
		ck_assert_msg(strstr(err.message, said), "%s", err.message);
	ck_assert_int_eq(to.commits, r ? 0 : 1);
	cimage_place_free(from);
	cimage_place_free(where);
	cimage_copy_options_free(o);
	return r;
}

static struct cimage_copy_options *options(void)
{
	struct cimage_copy_options *o;

	ck_assert_int_eq(cimage_copy_options_new(&o), 0);
	return o;
}

START_TEST(each_blob_is_put_once_and_then_committed)
{
	char *digest = NULL;

	begin();
	ck_assert_int_eq(copy(options(), &digest, NULL), 0);
	ck_assert_str_eq(digest, manifest_digest);
	ck_assert_str_eq(to.digest, manifest_digest);
	ck_assert_int_eq(to.puts, 2);
	ck_assert_int_eq(to.configs, 1);
	ck_assert_int_eq(events[CIMAGE_PROGRESS_START], 2);
	ck_assert_int_eq(events[CIMAGE_PROGRESS_DONE], 3);
	free(digest);
	end();
}
END_TEST

START_TEST(what_is_there_is_not_put)
{
	begin();
	to.has_all = true;
	ck_assert_int_eq(copy(options(), NULL, NULL), 0);
	ck_assert_int_eq(to.puts + to.configs, 0);
	ck_assert_int_eq(events[CIMAGE_PROGRESS_REUSED], 3);
	end();
}
END_TEST

START_TEST(other_content_is_a_digest_error)
{
	static const char *const lies[] = { "layer X", "layer 1 and more", "lay", "" };

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		begin();
		lie = lies[i];
		ck_assert_int_eq(copy(options(), NULL, layers[1].digest), CIMAGE_E_DIGEST);
		end();
	}
}
END_TEST

START_TEST(who_broke_is_said)
{
	begin();
	to.fail_put = -ENOSPC;
	ck_assert_int_eq(copy(options(), NULL, "the destination broke"), -ENOSPC);
	end();
	begin();
	source_result = CIMAGE_E_UNAVAILABLE;
	ck_assert_int_eq(copy(options(), NULL, "the source broke"), CIMAGE_E_UNAVAILABLE);
	end();
}
END_TEST

START_TEST(a_cancelled_copy_leaves_no_image)
{
	begin();
	cancel_at = CIMAGE_PROGRESS_START;
	ck_assert_int_eq(copy(options(), NULL, "cancelled"), CIMAGE_E_CANCELLED);
	end();
}
END_TEST

START_TEST(signatures_are_not_lost_silently)
{
	struct cimage_copy_options *o;

	begin();
	is_signed = true;
	ck_assert_int_eq(copy(options(), NULL, "signatures"), CIMAGE_E_UNSUPPORTED);
	o = options();
	ck_assert_int_eq(cimage_copy_options_set_remove_signatures(o, 1), 0);
	ck_assert_int_eq(copy(o, NULL, NULL), 0);
	ck_assert_int_eq(to.signatures, 0);
	end();
	begin();
	to.flags |= CIMAGE_DEST_SIGNATURES;
	ck_assert_int_eq(copy(options(), NULL, NULL), 0);
	ck_assert_int_eq(to.signatures, 1);
	end();
}
END_TEST

START_TEST(what_is_fixed_does_not_change)
{
	static const char *const why[] = { "digests are to be preserved", "names a digest", "it is signed" };

	for (int i = 0; i < 3; i++) {
		struct cimage_copy_options *o = options();

		begin();
		to.flags |= CIMAGE_DEST_SIGNATURES | (i == 1 ? CIMAGE_DEST_DIGESTED : 0);
		is_signed = i == 2;
		ck_assert_int_eq(cimage_copy_options_set_preserve_digests(o, i == 0), 0);
		ck_assert_int_eq(cimage_copy_options_set_compression(o, "gzip", 0), 0);
		ck_assert_int_eq(copy(o, NULL, why[i]), CIMAGE_E_UNSUPPORTED);
		ck_assert_int_eq(to.puts, 0);
		end();
	}
}
END_TEST

START_TEST(compressed_layers_have_another_manifest)
{
	struct cimage_copy_options *o = options();
	char *digest = NULL;

	begin();
	ck_assert_int_eq(cimage_copy_options_set_compression(o, "gzip", 9), 0);
	ck_assert_int_eq(copy(o, &digest, NULL), 0);
	ck_assert_str_ne(digest, manifest_digest);
	ck_assert_str_eq(digest, to.digest);
	ck_assert_int_eq(to.puts, 2);
	free(digest);
	end();
}
END_TEST

START_TEST(options_are_checked)
{
	struct cimage_copy_options *o = options();

	ck_assert_int_eq(cimage_copy_options_set_format(o, "v1"), -EINVAL);
	ck_assert_int_eq(cimage_copy_options_set_compression(o, "lzma", 0), -EINVAL);
	ck_assert_int_eq(cimage_copy_options_set_compression(o, "gzip", 10), -EINVAL);
	ck_assert_int_eq(cimage_copy_options_set_parallel(o, 0), -EINVAL);
	ck_assert_int_eq(cimage_copy_options_set_parallel(o, 33), -EINVAL);
	ck_assert_int_eq(cimage_copy_options_add_instance(o, "sha256:x"), -EINVAL);
	ck_assert_ptr_null(cimage_copy_options_free(o));
	ck_assert_ptr_null(cimage_copy_options_free(NULL));
	ck_assert_int_eq(cimage_copy(NULL, NULL, NULL, NULL, NULL, NULL, NULL), -EINVAL);
}
END_TEST

RUN_TESTS("copy", each_blob_is_put_once_and_then_committed, what_is_there_is_not_put, other_content_is_a_digest_error, who_broke_is_said,
	  a_cancelled_copy_leaves_no_image, signatures_are_not_lost_silently, what_is_fixed_does_not_change,
	  compressed_layers_have_another_manifest, options_are_checked)
