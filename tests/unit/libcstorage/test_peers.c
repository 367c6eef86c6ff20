/* SPDX-License-Identifier: Apache-2.0 */
/* The same store used by podman and skopeo, in a mount namespace of the test's own. */
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include "unit.h"

#define LAYERS 2

static struct cstore *s;

struct built {
	struct str tar[LAYERS];
	char diff_id[LAYERS][DIGEST_STR_MAX];
	char config[1024], manifest[2048];
	char config_digest[DIGEST_STR_MAX], manifest_digest[DIGEST_STR_MAX];
};

static struct built image;

static int shell(const char *fmt, ...) PRINTF_LIKE(1, 2);
static int shell(const char *fmt, ...)
{
	char command[8192];
	va_list ap;
	int n, status;

	va_start(ap, fmt);
	n = vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	snprintf(command + n, sizeof(command) - (size_t)n, " >%s/out 2>%s/errors", scratch, scratch);
	status = system(command);
	if (status) {
		_cleanup_free_ char *why = get(at("errors"));

		printf("%s: %s\n", command, why);
	}
	return status;
}

#define PODMAN "podman --root '%s/G' --runroot '%s/R' --storage-driver overlay --tmpdir '%s/podman' "
#define podman(command) shell(PODMAN command, scratch, scratch, scratch)
#define SKOPEO "skopeo --insecure-policy copy "
#define IN_STORE "'containers-storage:[overlay@%s/G+%s/R]localhost/unit:1'"

/* Two layers with what is hard to reproduce: names, links, whiteouts, attributes, padding. */
static void build(struct built *b)
{
	char name[260];

	memset(b, 0, sizeof(*b));
	memset(name, 'n', sizeof(name));
	name[120] = '/';
	name[259] = '\0';
	tar_put(&b->tar[0], &(struct entry){ '5', "./", .mode = 0755 });
	tar_put(&b->tar[0], &(struct entry){ '5', "./etc/", .mode = 0755 });
	tar_put(&b->tar[0], &(struct entry){ 0, "./etc/passwd", .content = "root:x:0:0::/:/bin/sh\n", .mtime = 1600000000 });
	tar_put(&b->tar[0], &(struct entry){ '1', "./etc/hard", "./etc/passwd" });
	tar_put(&b->tar[0], &(struct entry){ '2', "./etc/soft", "passwd" });
	tar_put(&b->tar[0], &(struct entry){ 0, name, .content = "long", .uid = 1000, .gid = 7 });
	tar_put(&b->tar[0], &(struct entry){ 0, "caf\xe9 <&>", .content = "not UTF-8" });
	tar_put(&b->tar[0], &(struct entry){ '5', "gone/", .mode = 0755 });
	tar_put(&b->tar[0], &(struct entry){ 0, "gone/file", .content = "lower" });
	tar_end(&b->tar[0]);
	tar_pax(&b->tar[1], "mtime=1600000000.123456789", "SCHILY.xattr.user.u=value", NULL);
	tar_put(&b->tar[1], &(struct entry){ 0, "pax", .content = "pax" });
	tar_put(&b->tar[1], &(struct entry){ 0, "etc/.wh.soft" });
	tar_put(&b->tar[1], &(struct entry){ '5', "gone/", .mode = 0700 });
	tar_put(&b->tar[1], &(struct entry){ 0, "gone/.wh..wh..opq" });
	tar_put(&b->tar[1], &(struct entry){ 0, "gone/new", .content = "upper" });
	tar_end(&b->tar[1]);
	for (int i = 0; i < LAYERS; i++)
		digest_sha256(b->tar[i].data, b->tar[i].len, b->diff_id[i]);
	snprintf(b->config, sizeof(b->config), "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Cmd\":[\"sh\"]},\"rootfs\":{\"type\":\"layers\","
		 "\"diff_ids\":[\"%s\",\"%s\"]}}", b->diff_id[0], b->diff_id[1]);
	digest_sha256(b->config, strlen(b->config), b->config_digest);
#define LAYER "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}"
	snprintf(b->manifest, sizeof(b->manifest), "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":"
		 "{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[" LAYER "," LAYER "]}",
		 b->config_digest, strlen(b->config), b->diff_id[0], b->tar[0].len, b->diff_id[1], b->tar[1].len);
	digest_sha256(b->manifest, strlen(b->manifest), b->manifest_digest);
}

static const char *const names[] = { "localhost/unit:1", NULL };

static void put_image(void)
{
	const struct cstore_blob data[] = {
		{ image.config_digest, image.config, strlen(image.config), NULL },
		{ "manifest", image.manifest, strlen(image.manifest), NULL },
	};
	struct cstore_image_spec spec = {
		.size = sizeof(spec), .id = image.config_digest + 7, .digest = image.manifest_digest, .names = names, .data = data, .data_count = 2,
	};
	struct cstore_staging *staging = NULL;
	struct cstore_staged *staged[LAYERS];
	char id[LAYERS][ID_LEN + 1];

	ok(cstore_staging_new(s, &staging, &err));
	for (int i = 0; i < LAYERS; i++) {
		_cleanup_close_ int fd = memory_fd(image.tar[i].data, image.tar[i].len);
		const struct cstore_apply_options o = { .size = sizeof(o), .blob_size = -1, .diff_id = image.diff_id[i] };

		ok(cstore_staging_apply(staging, fd, &o, &staged[i], &err));
	}
	ok(cstore_staging_sync(staging, &err));
	for (int i = 0; i < LAYERS; i++) {
		ok(cstore_layer_chain_id(i ? id[i - 1] : NULL, image.diff_id[i], id[i]));
		ok(cstore_staging_publish(staging, staged[i], id[i], i ? id[i - 1] : NULL, &err));
	}
	cstore_staging_free(staging);
	spec.top_layer = id[LAYERS - 1];
	ok(cstore_image_put(s, &spec, &err));
}

/* The image as "dir:" transport has it. */
static void write_dir(void)
{
	ck_assert_int_eq(mkdir(at("dir"), 0700), 0);
	put(at("dir/version"), "Directory Transport Version: 1.1\n");
	put(at("dir/manifest.json"), image.manifest);
	put(at("dir/%s", image.config_digest + 7), image.config);
	for (int i = 0; i < LAYERS; i++)
		ok(write_file(at("dir/%s", image.diff_id[i] + 7), 0600, image.tar[i].data, image.tar[i].len, 0));
}

static void setup(void)
{
	scratch_setup();
	s = store_open(true);
	build(&image);
}

static void teardown(void)
{
	s = cstore_free(s);
	for (int i = 0; i < LAYERS; i++)
		str_done(&image.tar[i]);
	if (is_mount_point(at("G/overlay")))
		ck_assert_int_eq(umount2(at("G/overlay"), MNT_DETACH), 0);
	scratch_teardown();
}

static bool known(const char *key)
{
	struct cstore_image *i = NULL;
	int r = cstore_image_lookup(s, key, &i, &err);

	ck_assert_msg(r == 0 || r == CSTORE_E_NOT_FOUND, "%s", err.message);
	if (r == 0)
		ck_assert_str_eq(cstore_image_id(i), image.config_digest + 7);
	cstore_image_free(i);
	return r == 0;
}

static void has_layers(bool yes)
{
	char id[ID_LEN + 1];
	int there;

	ok(cstore_layer_chain_id(image.diff_id[0] + 7, image.diff_id[1], id));
	ok(cstore_layer_exists(s, id, &there, &err));
	ck_assert_int_eq(there, yes);
	ok(cstore_layer_exists(s, image.diff_id[0] + 7, &there, &err));
	ck_assert_int_eq(there, yes);
}

START_TEST(podman_lists_and_inspects_what_we_put)
{
	_cleanup_free_ char *list = NULL, *layers = NULL;

	put_image();
	ok(podman("images --no-trunc --format '{{.ID}} {{.Repository}}:{{.Tag}} {{.Digest}}'"));
	list = get(at("out"));
	ck_assert_ptr_nonnull(strstr(list, image.config_digest));
	ck_assert_ptr_nonnull(strstr(list, "localhost/unit:1"));
	ck_assert_ptr_nonnull(strstr(list, image.manifest_digest));
	ok(podman("image inspect --format '{{range .RootFS.Layers}}{{.}} {{end}}' localhost/unit:1"));
	layers = get(at("out"));
	ck_assert_ptr_nonnull(strstr(layers, image.diff_id[0]));
	ck_assert_ptr_nonnull(strstr(layers, image.diff_id[1]));
}
END_TEST

START_TEST(skopeo_copies_out_the_very_bytes)
{
	put_image();
	ok(shell(SKOPEO IN_STORE " 'dir:%s/copy'", scratch, scratch, scratch));
	for (int i = 0; i < LAYERS; i++) {
		_cleanup_free_ char *data = NULL;
		size_t n;

		ok(read_file(at("copy/%s", image.diff_id[i] + 7), 1 << 20, &data, &n));
		ck_assert_uint_eq(n, image.tar[i].len);
		ck_assert_mem_eq(data, image.tar[i].data, n);
	}
}
END_TEST

START_TEST(what_skopeo_copied_in_is_known_at_once)
{
	_cleanup_free_ char *path = NULL, *config = NULL, *text = NULL;
	const struct cstore_container_spec c = { .size = sizeof(c), .id = ID_C, .image = image.config_digest + 7, .is_volatile = 1 };
	uint64_t size;
	size_t n;

	ck_assert(!known("localhost/unit:1"));
	write_dir();
	ok(shell(SKOPEO "'dir:%s/dir' " IN_STORE, scratch, scratch, scratch));
	ck_assert(known("localhost/unit:1"));
	has_layers(true);
	ok(cstore_image_data(s, image.config_digest + 7, image.config_digest, 1 << 20, &config, &n, &err));
	ck_assert_str_eq(config, image.config);
	ok(cstore_image_size(s, image.config_digest + 7, &size, &err));
	ck_assert_uint_ge(size, image.tar[0].len + image.tar[1].len);
	ok(cstore_container_create(s, &c, &err));
	ok(cstore_container_mount(s, ID_C, &path, &err));
	text = get(at("%s/gone/new", path + strlen(scratch) + 1));
	ck_assert_str_eq(text, "upper");
	ck_assert(!exists(at("%s/gone/file", path + strlen(scratch) + 1)));
	ck_assert(!exists(at("%s/etc/soft", path + strlen(scratch) + 1)));
	ok(cstore_container_delete(s, ID_C, &err));
}
END_TEST

START_TEST(both_extract_the_same_tree)
{
	/* a second store, filled by skopeo */
	static const char compare[] = "cd '%s' && find . -mindepth 1 -printf '%%P %%m %%U %%G %%s %%y %%l %%n\\n' | sort";
	_cleanup_free_ char *ours = NULL, *theirs = NULL, *id = malloc(ID_LEN + 1);

	put_image();
	write_dir();
	ok(shell(SKOPEO "'dir:%s/dir' 'containers-storage:[overlay@%s/G2+%s/R2]localhost/unit:1'", scratch, scratch, scratch));
	ok(cstore_layer_chain_id(image.diff_id[0] + 7, image.diff_id[1], id));
	for (int i = 0; i < LAYERS; i++) {
		const char *layer = i ? id : image.diff_id[0] + 7;

		ok(shell(compare, at("G/overlay/%s/diff", layer)));
		ours = get(at("out"));
		ok(shell(compare, at("G2/overlay/%s/diff", layer)));
		theirs = get(at("out"));
		ck_assert_str_eq(ours, theirs);
		free(take(ours));
		free(take(theirs));
	}
	if (is_mount_point(at("G2/overlay")))
		ck_assert_int_eq(umount2(at("G2/overlay"), MNT_DETACH), 0);
}
END_TEST

START_TEST(what_podman_removes_and_tags_is_seen_at_once)
{
	put_image();
	ck_assert(known("localhost/unit:1"));
	ok(podman("tag localhost/unit:1 localhost/other:2"));
	ck_assert(known("localhost/other:2"));
	ok(podman("rmi localhost/unit:1"));
	ck_assert(!known("localhost/unit:1"));
	has_layers(true);
	ok(podman("rmi localhost/other:2"));
	ck_assert(!known("localhost/other:2"));
	has_layers(false);
}
END_TEST

START_TEST(what_we_remove_is_gone_for_podman)
{
	_cleanup_free_ char *list = NULL;

	put_image();
	ok(podman("images -q"));
	ok(cstore_image_delete(s, image.config_digest + 7, &err));
	has_layers(false);
	ok(podman("images -q --no-trunc"));
	list = get(at("out"));
	ck_assert_str_eq(list, "");
}
END_TEST

START_TEST(an_image_that_podmans_container_uses_stays)
{
	put_image();
	ok(podman("create --name unit --network none localhost/unit:1"));
	fails(cstore_image_delete(s, image.config_digest + 7, &err), CSTORE_E_IN_USE);
	ok(podman("rm unit"));
	ok(cstore_image_delete(s, image.config_digest + 7, &err));
}
END_TEST

START_TEST(podman_mounts_what_we_put_and_we_see_its_count)
{
	_cleanup_free_ char *where = NULL, *text = NULL;

	put_image();
	ok(podman("create --name unit --network none localhost/unit:1"));
	ok(podman("mount unit"));
	where = get(at("out"));
	where[strcspn(where, "\n")] = '\0';
	text = get(at("%s/etc/hard", where + strlen(scratch) + 1));
	ck_assert_str_eq(text, "root:x:0:0::/:/bin/sh\n");
	fails(cstore_shutdown(s, &err), CSTORE_E_IN_USE);
	ok(podman("umount unit"));
	ok(podman("rm unit"));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("peers"), *all[] = { t };

	need_root("podman and skopeo with a private store");
	if (system("podman --version >/dev/null 2>&1") || system("skopeo --version >/dev/null 2>&1")) {
		puts("needs podman and skopeo");
		return 77;
	}
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) {
		puts("needs a mount namespace");
		return 77;
	}
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, podman_lists_and_inspects_what_we_put);
	tcase_add_test(t, skopeo_copies_out_the_very_bytes);
	tcase_add_test(t, what_skopeo_copied_in_is_known_at_once);
	tcase_add_test(t, both_extract_the_same_tree);
	tcase_add_test(t, what_podman_removes_and_tags_is_seen_at_once);
	tcase_add_test(t, what_we_remove_is_gone_for_podman);
	tcase_add_test(t, an_image_that_podmans_container_uses_stays);
	tcase_add_test(t, podman_mounts_what_we_put_and_we_see_its_count);
	return run_suite("peers", all, 1);
}
