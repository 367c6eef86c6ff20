/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the tar-split of a layer that has a file, a directory and a link: checking, mending and
 * exporting end with a result or an error, and touch nothing but the layer.
 *
 * Needs root; works in a directory below /dev/shm if there is one.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../fuzz.h"
#include "module.h"

extern const struct apply_module cstorage_apply_module;

static char base[64];
static int base_fd = -1;

static void setup(void)
{
	strcpy(base, access("/dev/shm", W_OK) == 0 ? "/dev/shm/fuzz-split-XXXXXX" : "/tmp/fuzz-split-XXXXXX");
	require(mkdtemp(base) != NULL);
	base_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	require(base_fd >= 0);
	require(write_file_at(base_fd, "canary", 0600, "untouched", 9, 0) == 0);
}

static int make_tree(void)
{
	int tree;

	require(mkdirat(base_fd, "tree", 0755) == 0);
	tree = openat(base_fd, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	require(tree >= 0 && write_file_at(tree, "f", 0644, "hello\n", 6, 0) == 0);
	require(mkdirat(tree, "d", 0755) == 0 && symlinkat("../canary", tree, "l") == 0);
	return tree;
}

static void on_problem(void *user, int kind, int mended, const char *name, const char *what)
{
	(void)kind, (void)mended;
	require(name && what);
	++*(size_t *)user;
}

static void check_canary(void)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t n;

	require(read_file_at(base_fd, "canary", 100, &text, &n) == 0 && n == 9 && memcmp(text, "untouched", 9) == 0);
	require(fstatat(base_fd, "canary", &st, 0) == 0 && st.st_nlink == 1 && (st.st_mode & 07777) == 0600 && st.st_uid == 0);
	require(fstat(base_fd, &st) == 0 && st.st_nlink <= 3);
}

static void verify(int tree, int split, int mend)
{
	struct verify_result result = { .size = 0 };
	struct cstore_error err = { 0 };
	size_t problems = 0;
	const struct verify_job job = { .diff_fd = tree, .tar_split_fd = split, .mend = mend, .report = on_problem, .user = &problems };
	int r;

	require(lseek(split, 0, SEEK_SET) == 0);
	r = cstorage_apply_module.verify(&job, &result, &err);
	require(r == 0 || err.message[0]);
	check_canary();
}

static void rebuild(int tree, int split)
{
	_cleanup_close_ int out = fuzz_file(NULL, 0);
	struct verify_result result = { .size = 0 };
	struct cstore_error err = { 0 };
	const struct rebuild_job job = { .dirs = &tree, .dir_count = 1, .tar_split_fd = split, .out_fd = out };
	int r;

	require(lseek(split, 0, SEEK_SET) == 0);
	r = cstorage_apply_module.rebuild(&job, &result, &err);
	require(r == 0 || err.message[0]);
	require(r || lseek(out, 0, SEEK_CUR) == (off_t)result.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_close_ int split = fuzz_file(data, size), tree = -1;

	if (geteuid() != 0) {
		puts("needs root: what is mended gets owners and devices");
		exit(77);
	}
	if (base_fd < 0)
		setup();
	tree = make_tree();
	rebuild(tree, split);
	verify(tree, split, 0);
	verify(tree, split, 1);
	verify(tree, split, 0);
	require(rm_rf_at(base_fd, "tree") == 0);
	return 0;
}

__attribute__((destructor)) static void clean_up(void)
{
	if (base_fd >= 0)
		rm_rf_at(AT_FDCWD, base);
	base_fd = close_fd(base_fd);
}
