/* SPDX-License-Identifier: Apache-2.0 */
/* Loading modules and fetching through a transport of the program: the engine without a network. */
#include <cbase/digest.h>
#include "context.h"
#include "digest_module.h"
#include "module.h"
#include "unit.h"

static struct cimage_context *c;
static struct scratch s;

static void begin(void)
{
	char *path;

	scratch_make(&s);
	setenv("CIMAGE_TRANSPORT_DIR", MODULES, 1);
	ck_assert_int_eq(cimage_context_new(&c), 0);
	path = scratch_write(&s, "policy.json", "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}");
	ck_assert_int_eq(cimage_context_set_policy(c, path), 0);
	free(path);
}

static void end(void)
{
	cimage_context_free(c);
	scratch_remove(&s);
}

START_TEST(digest_module_is_loaded)
{
	const struct digest_module *d = NULL;
	char text[DIGEST_STR_MAX];

	begin();
	ck_assert_int_eq(module_digest(c, &d, NULL), 0);
	d->sha256("abc", 3, text);
	ck_assert_str_eq(text, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	end();
}
END_TEST

START_TEST(missing_and_odd_modules_are_unsupported)
{
	static const char *const names[] = { "nosuch", "", "../docker", "a/b", "DOCKER", "digest" };
	const struct cimage_transport *t = NULL;
	struct cimage_error err = { 0 };

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		ck_assert_int_eq(module_transport(c, names[i], &t, &err), CIMAGE_E_UNSUPPORTED);
		ck_assert_str_ne(err.message, "");
	}
	free(scratch_write(&s, "nosuch.so", "not an ELF file"));
	ck_assert_int_eq(cimage_context_set_transport_dir(c, s.path), 0);
	ck_assert_int_eq(module_transport(c, "nosuch", &t, &err), CIMAGE_E_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(err.message, s.path));
	ck_assert_ptr_null(t);
	end();
}
END_TEST

/* ---- a transport that serves from memory ---- */

#define LAYER "some layer"

struct cimage_source {
	int unused;
};

static char layer_digest[DIGEST_STR_MAX], config_digest[DIGEST_STR_MAX], config_text[300], manifest_text[800];
static const char *served_layer = LAYER;
static size_t piece = 3;
static int resumed;

static int mem_open(struct cimage_context *ctx, const struct cimage_ref *ref, struct cimage_source **ret,
		    struct cimage_error *err)
{
	*ret = calloc(1, sizeof(**ret));
	return 0;
}

static void mem_close(struct cimage_source *source)
{
	free(source);
}

static int mem_manifest(struct cimage_source *source, const char *digest, char **ret, size_t *ret_len, char **ret_type,
			struct cimage_error *err)
{
	*ret = strdup(manifest_text);
	*ret_len = strlen(manifest_text);
	return 0;
}

/* Offers the bytes piece by piece, after a pause again and cut differently. */
static int mem_blob(struct cimage_blob_request *r, const char *text)
{
	size_t at = 0, len = strlen(text), n;
	int k;

	while (at < len) {
		n = piece < len - at ? piece : len - at;
		k = r->data(r->user, text + at, n);
		if (k == CIMAGE_PAUSE) {
			char buf[2];

			ck_assert_int_ge(resumed, 0);
			ck_assert_int_gt(read(resumed, buf, sizeof(buf)), 0);
			piece = piece % 3 + 1;
			continue;
		}
		if (k)
			return k;
		at += n;
	}
	return r->done(r->user, 0);
}

static int mem_blobs(struct cimage_source *source, struct cimage_blob_request *r, size_t n, struct cimage_error *err)
{
	for (size_t i = 0; i < n; i++) {
		int k = mem_blob(&r[i], streq(r[i].digest, config_digest) ? config_text : served_layer);

		if (k)
			return k;
	}
	return 0;
}

static const struct cimage_transport mem = {
	.abi = CIMAGE_TRANSPORT_ABI, .name = "docker", .open = mem_open, .close = mem_close,
	.manifest = mem_manifest, .blobs = mem_blobs,
};

static void make_image(void)
{
	const struct digest_module *d;

	ck_assert_int_eq(module_digest(c, &d, NULL), 0);
	d->sha256(LAYER, strlen(LAYER), layer_digest);
	snprintf(config_text, sizeof(config_text), "{\"rootfs\":{\"diff_ids\":[\"%s\"]}}", layer_digest);
	d->sha256(config_text, strlen(config_text), config_digest);
	snprintf(manifest_text, sizeof(manifest_text), "{\"schemaVersion\":2,\"config\":{\"mediaType\":"
		 "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":"
		 "\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}]}", config_digest, strlen(config_text),
		 layer_digest, strlen(LAYER));
	ck_assert_int_eq(cimage_transport_register(&mem), 0);
}

struct seen {
	int fd, image_result, done_result;
	int images, done;
	uint64_t progress;
};

static int on_image(void *user, const struct cimage_image *image, int *fds, struct cimage_error *err)
{
	struct seen *seen = user;

	seen->images++;
	ck_assert_int_eq(fds[0], -1);
	ck_assert_str_eq(cimage_image_layer(image, 0)->digest, layer_digest);
	if (!seen->image_result)
		fds[0] = seen->fd;
	return seen->image_result;
}

static int on_done(void *user, size_t n, struct cimage_error *err)
{
	struct seen *seen = user;

	seen->done++;
	ck_assert_int_ge(fcntl(seen->fd, F_GETFD), 0);	/* still open */
	return seen->done_result;
}

static void on_progress(void *user, size_t n, uint64_t bytes)
{
	struct seen *seen = user;

	ck_assert_uint_gt(bytes, seen->progress);
	seen->progress = bytes;
}

static int fetch(struct seen *seen, struct cimage_error *err)
{
	const struct cimage_sink sink = { sizeof(sink), seen, on_image, on_done, on_progress };
	struct cimage_ref *ref = ref_of("h.io/x");
	int r = cimage_fetch(c, ref, &sink, err);

	cimage_ref_free(ref);
	return r;
}

static bool is_closed(int fd)
{
	return fcntl(fd, F_GETFD) < 0 && errno == EBADF;
}

static int scratch_file(void)
{
	char *path = scratch_write(&s, "layer", "");
	int fd = open(path, O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	free(path);
	return fd;
}

START_TEST(a_layer_arrives_and_its_descriptor_is_closed)
{
	struct seen seen = { 0 };
	struct cimage_error err = { 0 };
	char *text, *path;

	begin();
	make_image();
	seen.fd = scratch_file();
	ck_assert_msg(fetch(&seen, &err) == 0, "%s", err.message);
	ck_assert_int_eq(seen.images, 1);
	ck_assert_int_eq(seen.done, 1);
	ck_assert_uint_eq(seen.progress, strlen(LAYER));
	ck_assert(is_closed(seen.fd));
	path = strf("%s/layer", s.path);
	ck_assert_int_eq(read_file(path, 100, &text, NULL), 0);
	ck_assert_str_eq(text, LAYER);
	free(text);
	free(path);
	seen = (struct seen){ .fd = -1 };	/* not wanted */
	ck_assert_int_eq(fetch(&seen, &err), 0);
	ck_assert_int_eq(seen.done, 0);
	end();
}
END_TEST

START_TEST(a_full_pipe_pauses_and_loses_nothing)
{
	struct seen seen = { 0 };
	struct cimage_error err = { 0 };
	char fill[4096] = { 0 };
	int ends[2];

	begin();
	make_image();
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	ck_assert_int_ge(fcntl(ends[1], F_SETPIPE_SZ, 4096), 0);
	while (write(ends[1], fill, sizeof(fill)) > 0)
		;
	seen.fd = ends[1];
	resumed = ends[0];
	/* the transport reads 2 bytes per pause; a page of the pipe becomes free only when all of it is read */
	ck_assert_msg(fetch(&seen, &err) == 0, "%s", err.message);
	ck_assert_int_eq(seen.done, 1);
	ssize_t k = read(ends[0], fill, sizeof(fill));

	ck_assert_int_ge(k, (ssize_t)strlen(LAYER));
	ck_assert_mem_eq(fill + k - strlen(LAYER), LAYER, strlen(LAYER));
	close(ends[0]);
	end();
}
END_TEST

START_TEST(wrong_bytes_are_digest_errors)
{
	static const char *const wrong[] = { "some leyer", "some laye", "some layer!", "" };
	struct cimage_error err = { 0 };

	begin();
	make_image();
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct seen seen = { .fd = scratch_file() };

		served_layer = wrong[i];
		ck_assert_int_eq(fetch(&seen, &err), CIMAGE_E_DIGEST);
		ck_assert_ptr_nonnull(strstr(err.message, layer_digest));
		ck_assert_int_eq(seen.done, 0);
		ck_assert(is_closed(seen.fd));
	}
	end();
}
END_TEST

START_TEST(the_sink_may_end_the_fetch)
{
	struct cimage_error err = { 0 };
	struct seen seen = { .image_result = 77 };

	begin();
	make_image();
	seen.fd = scratch_file();
	ck_assert_int_eq(fetch(&seen, &err), 77);
	ck_assert_int_eq(close(seen.fd), 0);	/* stayed the sink's */
	seen = (struct seen){ .fd = scratch_file(), .done_result = -ENOSPC };
	ck_assert_int_eq(fetch(&seen, &err), -ENOSPC);
	ck_assert(is_closed(seen.fd));
	end();
}
END_TEST

START_TEST(a_cancelled_context_fetches_nothing)
{
	struct cimage_error err = { 0 };
	struct seen seen = { .fd = -1 };
	int cancel = 1;

	begin();
	make_image();
	ck_assert_int_eq(cimage_context_set_cancel(c, &cancel), 0);
	ck_assert_int_eq(fetch(&seen, &err), CIMAGE_E_CANCELLED);
	ck_assert_int_eq(seen.images, 0);
	end();
}
END_TEST

START_TEST(bad_transports_are_not_registered)
{
	struct cimage_transport t = mem;

	begin();
	make_image();
	ck_assert_int_eq(cimage_transport_register(&mem), -EEXIST);
	t.abi = 99;
	ck_assert_int_eq(cimage_transport_register(&t), -EINVAL);
	t = mem;
	t.name = "a/b";
	ck_assert_int_eq(cimage_transport_register(&t), -EINVAL);
	t = mem;
	t.name = "other";
	t.blobs = NULL;
	ck_assert_int_eq(cimage_transport_register(&t), -EINVAL);
	ck_assert_int_eq(cimage_transport_register(NULL), -EINVAL);
	end();
}
END_TEST

RUN_TESTS("module", digest_module_is_loaded, missing_and_odd_modules_are_unsupported,
	  a_layer_arrives_and_its_descriptor_is_closed, a_full_pipe_pauses_and_loses_nothing, wrong_bytes_are_digest_errors,
	  the_sink_may_end_the_fetch, a_cancelled_context_fetches_nothing, bad_transports_are_not_registered)
