/* SPDX-License-Identifier: Apache-2.0 */
/* The whole way of a layer, through the module as it is loaded. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include "unit.h"

static struct cstore_staging *staging;
static char chain[ID_LEN + 1];

static void setup(void)
{
	store_setup();
	ok(cstore_staging_new(store, &staging, &err));
}

static void teardown(void)
{
	staging = cstore_staging_free(staging);
	store_teardown();
}

static int apply_with(struct str tar, const struct cstore_apply_options *o, struct cstore_staged **ret)
{
	_cleanup_close_ int fd = memory_fd(tar.data, tar.len);

	str_done(&tar);
	return cstore_staging_apply(staging, fd, o, ret, &err);
}

static struct cstore_staged *apply(struct str tar)
{
	struct cstore_staged *l = NULL;

	ok(apply_with(tar, NULL, &l));
	return l;
}

static struct str file(const char *name, const char *content)
{
	return TAR({ 0, name, .content = content });
}

START_TEST(a_published_layer_is_a_layer)
{
	struct cstore_staged *base = apply(file("a", "base")), *top = apply(file("b", "top"));
	char base_id[ID_LEN + 1];
	_cleanup_free_ char *a = NULL, *lower = NULL, *link = NULL, *want = NULL, *text = NULL;
	struct stat st;
	int there;

	ck_assert_uint_eq(cstore_staged_diff_size(base), 2048);
	ok(cstore_staging_sync(staging, &err));
	ok(cstore_layer_chain_id(NULL, cstore_staged_diff_id(base), base_id));
	ck_assert_str_eq(base_id, cstore_staged_diff_id(base) + 7);
	ok(cstore_layer_chain_id(base_id, cstore_staged_diff_id(top), chain));
	ok(cstore_staging_publish(staging, base, base_id, NULL, &err));
	ok(cstore_staging_publish(staging, top, chain, base_id, &err));
	ok(cstore_layer_exists(store, chain, &there, &err));
	ck_assert_int_eq(there, 1);
	a = get(at("G/overlay/%s/diff/a", base_id));
	ck_assert_str_eq(a, "base");
	ck_assert_int_eq(stat(at("G/overlay/%s/diff", base_id), &st), 0);
	ck_assert_int_eq(st.st_mode, S_IFDIR | 0555);
	link = get(at("G/overlay/%s/link", base_id));
	lower = get(at("G/overlay/%s/lower", chain));
	want = strf("l/%s", link);
	ck_assert_str_eq(lower, want);
	ck_assert(exists(at("G/overlay/l/%s/a", link)));
	ck_assert(exists(at("G/overlay-layers/%s.tar-split.gz", chain)));
	text = get(at("G/overlay-layers/layers.json"));
	free(want);
	want = strf("\"parent\":\"%s\",\"created\":\"", base_id);
	ck_assert_ptr_nonnull(strstr(text, want));
	ck_assert_ptr_nonnull(strstr(text, "\"compressed-size\":2048,\"diff-digest\":\"sha256:"));
	ck_assert_ptr_nonnull(strstr(text, "\"diff-size\":2048,\"uidset\":[0],\"gidset\":[0]}"));
}
END_TEST

START_TEST(chain_ids_are_those_of_the_format)
{
	char out[65];

	/* sha256 of "<64 a>+<64 b>" */
	ok(cstore_layer_chain_id(ID_A, "sha256:" ID_B, out));
	ck_assert_str_eq(out, "76f79efda453922cda1cecb6ec9e7cf9d86ea968c6dd199d4030dd00078a1686");
	fails(cstore_layer_chain_id(ID_A, ID_B, out), -EINVAL);
	fails(cstore_layer_chain_id("x", "sha256:" ID_B, out), -EINVAL);
	fails(cstore_layer_chain_id(NULL, "sha256:../../../../../../../../../../../../../../../../../../../../../..", out), -EINVAL);
}
END_TEST

START_TEST(what_does_not_match_is_refused_and_leaves_nothing)
{
	struct cstore_apply_options o = { .size = sizeof(o), .blob_size = -1, .diff_id = "sha256:" ID_A };
	struct cstore_staged *l = NULL;

	fails(apply_with(file("a", "x"), &o, &l), CSTORE_E_DIGEST);
	says("diff id");
	o.diff_id = NULL;
	o.blob_size = 2047;
	fails(apply_with(file("a", "x"), &o, &l), CSTORE_E_DIGEST);
	o.blob_size = 2048;
	o.blob_digest = "md5:x";
	fails(apply_with(file("a", "x"), &o, &l), CSTORE_E_INVALID);
	o.blob_digest = "sha256:" ID_C;
	fails(apply_with(TAR({ 0, "../x" }), &o, &l), CSTORE_E_INVALID);
	says("layer sha256:" ID_C);
	ck_assert_uint_eq(count_entries(cstore_staging_paths(staging)[0]), 0);
	ck_assert_uint_eq(count_entries(cstore_staging_paths(staging)[1]), 0);
	ok(apply_with(file("a", "x"), &o, &l));
	cstore_staged_free(l);
	ck_assert_uint_eq(count_entries(cstore_staging_paths(staging)[0]), 0);
	ck_assert_uint_eq(count_entries(cstore_staging_paths(staging)[1]), 0);
	ck_assert_ptr_null(cstore_staging_paths(staging)[2]);
}
END_TEST

START_TEST(a_layer_that_is_there_by_now_is_success)
{
	struct cstore_staged *one = apply(file("a", "1")), *two = apply(file("a", "2"));
	_cleanup_free_ char *a = NULL;

	ok(cstore_staging_publish(staging, one, ID_A, NULL, &err));
	ok(cstore_staging_publish(staging, two, ID_A, NULL, &err));
	a = get(at("G/overlay/" ID_A "/diff/a"));
	ck_assert_str_eq(a, "1");
	ck_assert_uint_eq(count_entries(at("G/overlay/l")), 1);
}
END_TEST

START_TEST(a_layer_without_its_parent_is_not_published)
{
	fails(cstore_staging_publish(staging, apply(file("a", "1")), ID_A, ID_B, &err), CSTORE_E_NOT_FOUND);
	ck_assert(!exists(at("G/overlay/" ID_A)));
	ck_assert_uint_eq(count_entries(at("G/overlay/l")), 0);
}
END_TEST

START_TEST(what_a_crash_left_under_the_id_makes_way)
{
	_cleanup_free_ char *a = NULL;

	ck_assert_int_eq(mkdir_p(at("G/overlay/" ID_A "/diff/old"), 0700), 0);
	put(at("G/overlay-layers/" ID_A ".tar-split.gz"), "old");
	ok(cstore_staging_publish(staging, apply(file("a", "1")), ID_A, NULL, &err));
	a = get(at("G/overlay/" ID_A "/diff/a"));
	ck_assert_str_eq(a, "1");
	ck_assert(!exists(at("G/overlay/" ID_A "/diff/old")));
}
END_TEST

START_TEST(ending_the_staging_removes_what_was_not_published)
{
	struct cstore_staged *l = apply(file("a", "1"));

	staging = cstore_staging_free(staging);
	cstore_staged_free(l);
	ck_assert_uint_eq(count_entries(at("G/overlay/tempdirs")), 0);
	ck_assert_uint_eq(count_entries(at("G/overlay-layers/tmp")), 0);
	ck_assert_uint_eq(count_entries(at("G/overlay")), 3);	/* l, tempdirs, .has-mount-program */
}
END_TEST

static void progress(void *user, uint64_t bytes)
{
	ck_assert_uint_gt(bytes, *(uint64_t *)user);
	*(uint64_t *)user = bytes;
}

START_TEST(progress_is_told)
{
	uint64_t seen = 0;
	const struct cstore_apply_options o = { .size = sizeof(o), .blob_size = -1, .progress = progress, .user = &seen };
	struct cstore_staged *l = NULL;

	ok(apply_with(file("a", "x"), &o, &l));
	cstore_staged_free(l);
	ck_assert_uint_eq(seen, 2048);
}
END_TEST

START_TEST(cancelling_leaves_nothing)
{
	const int cancel = 1;
	const struct cstore_apply_options o = { .size = sizeof(o), .blob_size = -1, .cancel = &cancel };
	struct cstore_staged *l = NULL;

	fails(apply_with(file("a", "x"), &o, &l), CSTORE_E_CANCELLED);
	ck_assert_ptr_null(l);
	staging = cstore_staging_free(staging);
	ck_assert_uint_eq(count_entries(at("G/overlay/tempdirs")), 0);
	ck_assert_uint_eq(count_entries(at("G/overlay-layers/tmp")), 0);
}
END_TEST

START_TEST(a_large_layer_is_being_written_while_it_is_read)
{
	const size_t len = 17u << 20;
	_cleanup_free_ char *content = calloc(1, len);
	size_t before = count_entries("/proc/self/task");

	cstore_staged_free(apply(file("small", "x")));
	ck_assert_uint_eq(count_entries("/proc/self/task"), before);
	ck_assert_ptr_nonnull(content);
	cstore_staged_free(apply(TAR({ 0, "large", .content = content, .len = len })));
	ck_assert_uint_eq(count_entries("/proc/self/task"), before + 1);
	staging = cstore_staging_free(staging);
	ck_assert_uint_eq(count_entries("/proc/self/task"), before);
}
END_TEST

struct pull {
	int pipe;
	int result;
	struct cstore_staged *staged;
	struct cstore_error e;
};

static void *pull_main(void *arg)
{
	struct pull *p = arg;

	p->result = cstore_staging_apply(staging, p->pipe, NULL, &p->staged, &p->e);
	close(p->pipe);
	return NULL;
}

START_TEST(several_layers_at_once_and_no_lock_while_waiting_for_bytes)
{
	struct str tar = file("a", "x");
	struct cstore_image_list *list = NULL;
	const struct cstore_image_spec image = { .size = sizeof(image), .id = ID_A };
	struct pull pulls[4];
	pthread_t threads[4];
	int ends[4][2];

	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(pipe2(ends[i], O_CLOEXEC), 0);
		pulls[i] = (struct pull){ .pipe = ends[i][0] };
		ck_assert_int_eq(pthread_create(&threads[i], NULL, pull_main, &pulls[i]), 0);
		ck_assert_int_eq(write_all(ends[i][1], tar.data, 700), 0);
	}
	/* all four hang in the middle of a layer; the store works */
	ok(cstore_image_put(store, &image, &err));
	ok(cstore_image_list(store, &list, &err));
	cstore_image_list_free(list);
	ok(cstore_collect_garbage(store, &err));	/* and takes nothing away from them */
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(write_all(ends[i][1], tar.data + 700, tar.len - 700), 0);
		close(ends[i][1]);
		pthread_join(threads[i], NULL);
		ck_assert_msg(pulls[i].result == 0, "%s", pulls[i].e.message);
		cstore_staged_free(pulls[i].staged);
	}
	str_done(&tar);
}
END_TEST

START_TEST(a_pipe_that_breaks_off_is_refused_and_the_next_layer_works)
{
	int ends[2];
	struct cstore_staged *l = NULL;
	struct str tar = file("a", "x");

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_eq(write_all(ends[1], tar.data, 700), 0);
	close(ends[1]);
	fails(cstore_staging_apply(staging, ends[0], NULL, &l, &err), CSTORE_E_INVALID);
	close(ends[0]);
	l = apply(tar);
	ok(cstore_staging_publish(staging, l, ID_A, NULL, &err));
}
END_TEST

/* Stages in a child and kills it at the n-th step. */
static void die_at(int step)
{
	int ready[2];
	pid_t pid;
	char c;

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct cstore *s = store_open(false);
		struct cstore_staging *st = NULL;
		struct cstore_staged *l = NULL;
		struct str tar = file("dir/a", "x");
		int ends[2];

		if (step > 0)
			ok(cstore_staging_new(s, &st, &err));
		if (step > 1) {
			int fd = memory_fd(tar.data, tar.len);

			ok(cstore_staging_apply(st, fd, NULL, &l, &err));
		}
		if (step > 2)
			ok(cstore_staging_publish(st, l, ID_B, NULL, &err));
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		if (step == 1 && pipe(ends) == 0 && write(ends[1], tar.data, 700) == 700)
			cstore_staging_apply(st, ends[0], NULL, &l, &err);	/* waits for ever */
		pause();
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	close(ready[0]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

START_TEST(a_killed_process_leaves_nothing_after_the_next_collection)
{
	int there;

	for (int step = 0; step < 4; step++) {
		die_at(step);
		ok(cstore_collect_garbage(store, &err));
		ok(cstore_layer_exists(store, ID_B, &there, &err));
		ck_assert_int_eq(there, step == 3);
		/* our own staging is alive and stays */
		ck_assert_uint_eq(count_entries(at("G/overlay/tempdirs")), 2);
		ck_assert_uint_eq(count_entries(at("G/overlay-layers/tmp")), 2);
		ck_assert(exists(cstore_staging_paths(staging)[0]));
		ck_assert_uint_eq(count_entries(at("G/overlay/l")), step == 3);
	}
}
END_TEST

START_TEST(the_module_is_reported_when_it_is_missing)
{
	struct cstore_staging *st = NULL;
	char *old = strdup(getenv("CSTORE_MODULE_DIR"));

	setenv("CSTORE_MODULE_DIR", scratch, 1);
	put(at("cstorage-apply.so"), "no library");
	ck_assert_int_lt(cstore_staging_new(store, &st, &err), 0);
	says("cstorage-apply.so");
	setenv("CSTORE_MODULE_DIR", old, 1);
	free(old);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("staging"), *all[] = { t };

	need_root("extracting sets owners");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_published_layer_is_a_layer);
	tcase_add_test(t, chain_ids_are_those_of_the_format);
	tcase_add_test(t, what_does_not_match_is_refused_and_leaves_nothing);
	tcase_add_test(t, a_layer_that_is_there_by_now_is_success);
	tcase_add_test(t, a_layer_without_its_parent_is_not_published);
	tcase_add_test(t, what_a_crash_left_under_the_id_makes_way);
	tcase_add_test(t, ending_the_staging_removes_what_was_not_published);
	tcase_add_test(t, progress_is_told);
	tcase_add_test(t, cancelling_leaves_nothing);
	tcase_add_test(t, a_large_layer_is_being_written_while_it_is_read);
	tcase_add_test(t, several_layers_at_once_and_no_lock_while_waiting_for_bytes);
	tcase_add_test(t, a_pipe_that_breaks_off_is_refused_and_the_next_layer_works);
	tcase_add_test(t, a_killed_process_leaves_nothing_after_the_next_collection);
	tcase_add_test(t, the_module_is_reported_when_it_is_missing);
	return run_suite("staging", all, 1);
}
