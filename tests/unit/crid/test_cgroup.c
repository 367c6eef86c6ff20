/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel has; making and removing in the machine's own hierarchies as root. */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "cgroup.h"
#include "errors.h"

static struct cb_error error;

START_TEST(paths_of_records_are_checked_too)
{
	ck_assert_int_eq(cgroup_make("/a/../../x", &error), E_INVALID);
	ck_assert_int_eq(cgroup_make("relative", &error), E_INVALID);
	ck_assert_int_eq(cgroup_make("/", &error), E_INVALID);
	ck_assert_int_eq(cgroup_make("", &error), E_INVALID);
	ck_assert_int_eq(cgroup_remove("/..", &error), E_INVALID);
	ck_assert_int_eq(cgroup_remove("/", &error), E_INVALID);
	ck_assert_int_eq(cgroup_remove("//", &error), E_INVALID);
}
END_TEST

START_TEST(controllers_are_those_of_the_kernel)
{
	_cleanup_free_ char *list = NULL;

	ck_assert(!cgroup_has_controller("nosuch") && !cgroup_has_controller("") &&
		  !cgroup_has_controller("mem"));
	if (!cgroup_v2() && read_file("/proc/cgroups", 65536, &list, NULL) == 0 &&
	    strstr(list, "\nmemory\t"))
		ck_assert(cgroup_has_controller("memory"));
}
END_TEST

/* ---- as root ---- */

static char top[64], leaf[128];

/* Hierarchies that have the directory, by looking below every mount in /sys/fs/cgroup. */
static size_t present(const char *path)
{
	_cleanup_closedir_ DIR *d = opendir("/sys/fs/cgroup");
	struct dirent *e;
	struct stat st;
	size_t n = 0;

	while ((e = readdir(d))) {
		_cleanup_free_ char *at = strf("/sys/fs/cgroup/%s%s", e->d_name, path);

		if (!streq(e->d_name, "..") && e->d_type == DT_DIR && stat(at, &st) == 0 &&
		    S_ISDIR(st.st_mode))
			n++;
	}
	return n;
}

static char *some_hierarchy(const char *path)
{
	_cleanup_closedir_ DIR *d = opendir("/sys/fs/cgroup");
	struct dirent *e;

	while ((e = readdir(d))) {
		char *at = strf("/sys/fs/cgroup/%s%s", e->d_name, path);

		if (!streq(e->d_name, "..") && access(at, F_OK) == 0)
			return at;
		free(at);
	}
	return NULL;
}

#define OK(call)                                                                                   \
	do {                                                                                       \
		int r_ = (call);                                                                   \
                                                                                                   \
		ck_assert_msg(r_ == 0, #call " gave %d: %s", r_, error.message);                   \
	} while (0)

static void setup(void)
{
	snprintf(top, sizeof(top), "/crid-test-%d", (int)getpid());
	snprintf(leaf, sizeof(leaf), "%s/pod/crio-x", top);
}

START_TEST(make_is_in_every_hierarchy)
{
	size_t n;

	OK(cgroup_make(leaf, &error));
	n = present(leaf);
	ck_assert_uint_gt(n, 0);
	if (!cgroup_v2()) {
		_cleanup_free_ char *cpus = NULL,
				    *path = strf("/sys/fs/cgroup/cpuset%s/cpuset.cpus", leaf);

		ck_assert_uint_gt(n, 1);
		if (cgroup_has_controller("cpuset")) {
			ck_assert_int_eq(read_file(path, 4096, &cpus, NULL), 0);
			ck_assert_int_ne(cpus[0], '\n');
		}
	}
	OK(cgroup_make(leaf, &error));
	OK(cgroup_remove(leaf, &error));
	ck_assert_uint_eq(present(leaf), 0);
	ck_assert_uint_eq(present(top), n);
	OK(cgroup_remove(leaf, &error));
	OK(cgroup_remove(top, &error));
	ck_assert_uint_eq(present(top), 0);
}
END_TEST

START_TEST(remove_takes_what_is_nested)
{
	_cleanup_free_ char *at = NULL;
	char path[4096];

	OK(cgroup_make(leaf, &error));
	at = some_hierarchy(leaf);
	snprintf(path, sizeof(path), "%s", at);
	for (int i = 0; i < 100; i++) {
		size_t n = strlen(path);
		char side[4200];

		snprintf(side, sizeof(side), "%s/b%d", path, i);
		ck_assert_int_eq(mkdir(side, 0755), 0);
		snprintf(path + n, sizeof(path) - n, "/a%d", i);
		ck_assert_int_eq(mkdir(path, 0755), 0);
	}
	OK(cgroup_remove(leaf, &error));
	ck_assert_uint_eq(present(leaf), 0);
	OK(cgroup_remove(top, &error));
}
END_TEST

START_TEST(remove_of_a_used_cgroup_is_busy)
{
	_cleanup_free_ char *at = NULL, *procs = NULL, *number = NULL;
	_cleanup_close_ int fd = -1;
	pid_t pid;

	OK(cgroup_make(leaf, &error));
	at = some_hierarchy(leaf);
	procs = strf("%s/cgroup.procs", at);
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	fd = open(procs, O_WRONLY | O_CLOEXEC);
	number = strf("%d", (int)pid);
	ck_assert_int_eq(write_all(fd, number, strlen(number)), 0);
	ck_assert_int_eq(cgroup_remove(leaf, &error), -EBUSY);
	ck_assert_ptr_nonnull(strstr(error.message, "crio-x"));
	ck_assert_uint_eq(present(leaf), 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	OK(cgroup_remove(leaf, &error));
	OK(cgroup_remove(top, &error));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cgroup");
	TCase *t = tcase_create("paths"), *real = tcase_create("hierarchies");
	SRunner *run;
	int failed;

	tcase_add_test(t, paths_of_records_are_checked_too);
	tcase_add_test(t, controllers_are_those_of_the_kernel);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(real, setup, NULL);
	tcase_set_timeout(real, 60);
	tcase_add_test(real, make_is_in_every_hierarchy);
	tcase_add_test(real, remove_takes_what_is_nested);
	tcase_add_test(real, remove_of_a_used_cgroup_is_busy);
	if (getuid() == 0 && access("/sys/fs/cgroup", W_OK) == 0)
		suite_add_tcase(s, real);
	else
		printf("without hierarchies: needs root and a writable /sys/fs/cgroup\n");
	run = srunner_create(s);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? 1 : 0;
}
