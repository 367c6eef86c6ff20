/* SPDX-License-Identifier: Apache-2.0 */
/* A root file system beside a canary directory that no path may reach. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "rootfs.h"
#include "unit.h"

static char top[] = "/tmp/crid-rootfs-XXXXXX";
static int top_fd, root;
static struct cb_error err;

static void begin(void)
{
	ck_assert_ptr_nonnull(mkdtemp(top));
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(mkdirat(top_fd, "canary", 0755), 0);
	ck_assert_int_eq(mkdirat(top_fd, "root", 0755), 0);
	root = openat(top_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void end(void)
{
	/* nothing was made in the canary: it is empty, so this works */
	ck_assert_int_eq(unlinkat(top_fd, "canary", AT_REMOVEDIR), 0);
	ck_assert_int_eq(rm_rf_at(AT_FDCWD, top), 0);
	close(root);
	close(top_fd);
}

static int make(const char *path)
{
	return rootfs_mkdir_p(root, path, getuid(), getgid(), &err);
}

static bool is_dir(const char *path)
{
	struct stat st;

	return fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

START_TEST(parents_are_made_and_what_exists_is_left_alone)
{
	struct stat st;

	begin();
	ck_assert_int_eq(mkdirat(root, "a", 0700), 0);
	ck_assert_int_eq(make("/a/b//c/"), 0);
	ck_assert_int_eq(make("/a/b/c"), 0);
	ck_assert_int_eq(make("/"), 0);
	ck_assert_int_eq(make("a/./b/../d"), 0);
	ck_assert(is_dir("a/b/c"));
	ck_assert(is_dir("a/d"));
	ck_assert_int_eq(fstatat(root, "a", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(fstatat(root, "a/b", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777 & ~022u, 0755);
	end();
}
END_TEST

START_TEST(links_stay_inside)
{
	begin();
	ck_assert_int_eq(mkdirat(root, "inside", 0755), 0);
	ck_assert_int_eq(symlinkat("/inside", root, "absolute"), 0);
	ck_assert_int_eq(symlinkat("../../../inside", root, "up"), 0);
	ck_assert_int_eq(make("/absolute/x"), 0);
	ck_assert_int_eq(make("/up/y"), 0);
	ck_assert(is_dir("inside/x"));
	ck_assert(is_dir("inside/y"));
	end();
}
END_TEST

START_TEST(links_to_the_outside_do_not_lead_there)
{
	char canary[PATH_MAX];

	begin();
	snprintf(canary, sizeof(canary), "%s/canary", top);
	ck_assert_int_eq(symlinkat(canary, root, "absolute"), 0);
	ck_assert_int_eq(symlinkat("../canary", root, "relative"), 0);
	ck_assert_int_eq(symlinkat("/proc/self/cwd", root, "magic"), 0);
	ck_assert_int_eq(symlinkat("loop", root, "loop"), 0);
	ck_assert_int_ne(make("/absolute/x"), 0);
	ck_assert_int_ne(make("/relative/x"), 0);
	ck_assert_int_ne(make("/magic/x"), 0);
	ck_assert_int_ne(make("/loop/x"), 0);
	/* above the root is the root */
	ck_assert_int_eq(make("/../../../x"), 0);
	ck_assert_int_eq(make("../canary/x"), 0);
	ck_assert(is_dir("x"));
	ck_assert(is_dir("canary/x"));
	end();
}
END_TEST

START_TEST(file_in_the_way_is_an_error)
{
	char *too_long = malloc(2 * PATH_MAX);

	begin();
	close(openat(root, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	ck_assert_int_eq(make("/file/x"), -ENOTDIR);
	ck_assert_int_eq(make("/file"), -ENOTDIR);
	ck_assert_int_eq(mkfifoat(root, "fifo", 0644), 0);
	ck_assert_int_eq(make("/fifo"), -ENOTDIR);
	memset(too_long, '/', 2 * PATH_MAX);
	too_long[2 * PATH_MAX - 1] = '\0';
	ck_assert_int_eq(make(too_long), -ENAMETOOLONG);
	free(too_long);
	end();
}
END_TEST

START_TEST(mtab_is_linked_once_and_never_through_a_link)
{
	char target[64] = "", canary[PATH_MAX];

	begin();
	ck_assert_int_eq(rootfs_link_mtab(root, 0, 0, &err), 0);	/* no /etc */
	ck_assert_int_eq(mkdirat(root, "etc", 0755), 0);
	ck_assert_int_eq(rootfs_link_mtab(root, 0, 0, &err), 0);
	ck_assert_int_eq(rootfs_link_mtab(root, 0, 0, &err), 0);
	ck_assert_int_eq(readlinkat(root, "etc/mtab", target, sizeof(target) - 1), (ssize_t)strlen("/proc/mounts"));
	ck_assert_str_eq(target, "/proc/mounts");
	ck_assert_int_eq(unlinkat(root, "etc/mtab", 0), 0);
	ck_assert_int_eq(unlinkat(root, "etc", AT_REMOVEDIR), 0);
	snprintf(canary, sizeof(canary), "%s/canary", top);
	ck_assert_int_eq(symlinkat(canary, root, "etc"), 0);
	ck_assert_int_eq(rootfs_link_mtab(root, 0, 0, &err), 0);
	end();
}
END_TEST

UNIT_MAIN("rootfs", parents_are_made_and_what_exists_is_left_alone, links_stay_inside, links_to_the_outside_do_not_lead_there,
	  file_in_the_way_is_an_error, mtab_is_linked_once_and_never_through_a_link)
