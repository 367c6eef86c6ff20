/* SPDX-License-Identifier: Apache-2.0 */
/* Every case with openat2() and, in a child whose seccomp filter denies it, without. */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "main.h"

static char dir[64];
static int top;

static void put(const char *path, const char *text)
{
	ck_assert_int_eq(write_file_at(top, path, 0600, text, strlen(text), 0), 0);
}

/* top/: a/b/c/f, links of all kinds; beside it, in dir: "out", which nobody may reach */
static void setup(void)
{
	int up;

	strcpy(dir, "/tmp/cbase-resolve-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put("out", "outside");
	ck_assert_int_eq(mkdirat(top, "top", 0700) | mkdirat(top, "top/a", 0700) | mkdirat(top, "top/a/b", 0700) |
			 mkdirat(top, "top/a/b/c", 0700), 0);
	up = top;
	top = openat(up, "top", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(up);
	ck_assert_int_ge(top, 0);
	put("f", "top f");
	put("a/f", "a f");
	put("a/b/c/f", "deep f");
	put("out", "inside");
	const char *const links[][2] = {
		{ "/f", "abs" }, { "../../../../f", "a/b/up" }, { "b", "a/rel" }, { "loop", "loop" }, { "/", "root" },
		{ "a/", "slash" }, { "nowhere", "dangling" }, { "../out", "escape" }, { "/a/rel/c/../../f", "mixed" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		ck_assert_int_eq(symlinkat(links[i][0], top, links[i][1]), 0);
}

static void teardown(void)
{
	close(top);
	rm_rf_at(AT_FDCWD, dir);
}

static void deny_openat2(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { ARRAY_SIZE(code), code };
	const struct open_how how = { .flags = O_PATH };

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
	ck_assert_int_eq(syscall(SYS_openat2, top, ".", &how, sizeof(how)), -1);
	ck_assert_int_eq(errno, ENOSYS);
}

/* Cases come in pairs; libcheck runs each in a process of its own. */
static void choose(int without)
{
	if (without)
		deny_openat2();
}

static void reads(int fd, const char *want)
{
	_cleanup_free_ char *text = NULL;

	ck_assert_msg(fd >= 0, "%s: %s", want, strerror(-fd));
	ck_assert_int_eq(read_fd(fd, 100, &text, NULL), 0);
	ck_assert_str_eq(text, want);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

static int in(const char *path)
{
	return open_in_root(top, path, O_RDONLY, 0);
}

static int below(const char *path)
{
	return open_beneath(top, path, O_RDONLY, 0);
}

START_TEST(links_are_resolved_within_the_root)
{
	choose(_i);
	reads(in("f"), "top f");
	reads(in("/f"), "top f");
	reads(in("abs"), "top f");
	reads(in("a/b/up"), "top f");
	reads(in("a/rel/c/f"), "deep f");
	reads(in("mixed"), "a f");
	reads(in("root/root/a//./b/../f"), "a f");
	reads(in("slash/f"), "a f");
	reads(in("escape"), "inside");
	reads(in("../../../out"), "inside");
	reads(in("a/b/c/../../../../../../a/../out"), "inside");
}
END_TEST

START_TEST(what_is_not_there_is_an_error)
{
	char longest[4200];

	choose(_i);
	memset(longest, 'x', sizeof(longest));
	longest[300] = '\0';
	ck_assert_int_eq(in(longest), -ENAMETOOLONG);
	longest[300] = 'x';
	longest[4199] = '\0';
	ck_assert_int_eq(in(longest), -ENAMETOOLONG);
	ck_assert_int_eq(in(""), -ENOENT);
	ck_assert_int_eq(in("loop"), -ELOOP);
	ck_assert_int_eq(in("dangling"), -ENOENT);
	ck_assert_int_eq(in("a/f/x"), -ENOTDIR);
	ck_assert_int_eq(in("f/"), -ENOTDIR);
	ck_assert_int_eq(in("abs/"), -ENOTDIR);
	ck_assert_int_eq(open_in_root(top, "f", O_PATH | O_DIRECTORY, 0), -ENOTDIR);
	ck_assert_int_eq(open_in_root(top, "abs", O_RDONLY | O_NOFOLLOW, 0), -ELOOP);
}
END_TEST

START_TEST(beneath_refuses_to_leave)
{
	choose(_i);
	reads(below("a/f"), "a f");
	reads(below("a/rel/c/f"), "deep f");
	reads(below("a/../f"), "top f");
	ck_assert_int_eq(below("/f"), -EXDEV);
	ck_assert_int_eq(below("abs"), -EXDEV);
	ck_assert_int_eq(below("../top/f"), -EXDEV);
	ck_assert_int_eq(below("a/../../out"), -EXDEV);
	ck_assert_int_eq(below("escape"), -EXDEV);
}
END_TEST

START_TEST(flags_keep_their_meaning)
{
	struct stat st;
	int fd;

	choose(_i);
	fd = open_in_root(top, "root", O_PATH | O_NOFOLLOW, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	close(fd);
	for (int i = 0; i < 3; i++) {
		fd = open_in_root(top, ((const char *[]){ ".", "/", "slash/" })[i], O_PATH | O_DIRECTORY, 0);
		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(fcntl(fd, F_GETFL) & O_PATH, O_PATH);
		close(fd);
	}
	fd = open_in_root(top, "root/a/rel/new", O_WRONLY | O_CREAT | O_EXCL, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(faccessat(top, "a/b/new", F_OK, 0), 0);
	ck_assert_int_eq(open_in_root(top, "a/b/new", O_WRONLY | O_CREAT | O_EXCL, 0600), -EEXIST);
}
END_TEST

START_TEST(magic_links_are_refused)
{
	char root[64], cwd[64];
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	choose(_i);
	ck_assert_int_ge(proc, 0);
	snprintf(root, sizeof(root), "%d/root/etc/passwd", (int)getpid());
	snprintf(cwd, sizeof(cwd), "%d/cwd", (int)getpid());
	ck_assert_int_eq(open_in_root(proc, root, O_RDONLY, 0), -ELOOP);
	ck_assert_int_eq(open_beneath(proc, cwd, O_PATH | O_DIRECTORY, 0), -ELOOP);
	close(proc);
}
END_TEST

static void *swap(void *stop)
{
	while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED)) {
		renameat2(top, "a", top, "swap", RENAME_EXCHANGE);
		renameat(top, "b", top, "a/b");
		renameat(top, "a/b", top, "b");
	}
	return NULL;
}

START_TEST(a_racing_rename_never_leads_out)
{
	pthread_t thread;
	int stop = 0, fd;
	char *text;

	choose(_i);
	ck_assert_int_eq(symlinkat("..", top, "swap"), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, swap, &stop), 0);
	for (int i = 0; i < 20000; i++) {
		fd = in(i & 1 ? "a/out" : "a/b/c/../../../out");
		if (fd < 0)
			continue;
		ck_assert_int_eq(read_fd(fd, 100, &text, NULL), 0);
		ck_assert_str_eq(text, "inside");
		free(text);
		close(fd);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, links_are_resolved_within_the_root, 0, 2);
	tcase_add_loop_test(t, what_is_not_there_is_an_error, 0, 2);
	tcase_add_loop_test(t, beneath_refuses_to_leave, 0, 2);
	tcase_add_loop_test(t, flags_keep_their_meaning, 0, 2);
	tcase_add_loop_test(t, magic_links_are_refused, 0, 2);
	tcase_add_loop_test(t, a_racing_rename_never_leads_out, 0, 2);
}

int main(void)
{
	return run_case("resolve", add);
}
