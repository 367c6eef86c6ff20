/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which sysctls a pod may set, and pins made by the real crid-pinns (named by $CRID_PINNS). The latter
 * needs root and is left out without.
 */
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "errors.h"
#include "namespaces.h"
#include "reaper.h"

static struct cb_error error;

START_TEST(sysctls_of_a_pod_are_allowed)
{
	static const char *const good[][2] = {
		{ "net.ipv4.ip_forward", "1" },
		{ "net/ipv4/ip_forward", "1" },
		{ "net.ipv4.ip_local_port_range", "1024 65535" },
		{ "kernel.sem", "1\t2\t3\t4" },
		{ "kernel.shm_rmid_forced", "0" },
		{ "kernel.msgmax", "65536" },
		{ "fs.mqueue.msg_max", "10" },
		{ "net/ipv4/conf/eth0.1/forwarding", "1" },
		{ "net.ipv4.conf.eth0/1.forwarding", "1" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		ck_assert_msg(!sysctl_check(good[i][0], good[i][1], false, false, &error), "%s",
			      error.message);
}
END_TEST

START_TEST(sysctls_that_reach_the_host_are_invalid)
{
	static const char *const bad[] = {
		"kernel.core_pattern",
		"kernel/core_pattern",
		"vm.swappiness",
		"kernel.semx",
		"kernel.hostname",
		"fs.mqueue",
		"net",
		"kernel.shm/../core_pattern",
		"net/../kernel/core_pattern",
		"net.//.kernel.core_pattern",
		"net..ipv4",
		"/net/ipv4",
		"net/",
		"net.",
		".",
		"/",
		"..",
		"",
		"net/./x",
		"net./.x",
		"netx.y",
		"NET.ipv4.x",
		"net.ipv4 ",
		"net.ipv4.x=1",
		"net.ipv4+kernel.core_pattern",
		"net.\xc3\xa9",
		"net.ipv4\nkernel.core_pattern",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(sysctl_check(bad[i], "1", false, false, &error) == E_INVALID, "%s",
			      bad[i]);
}
END_TEST

START_TEST(values_are_one_line_of_text)
{
	static char big[5000];

	ck_assert_int_eq(
		sysctl_check("net.a", "1+kernel.core_pattern=|/bin/sh", false, false, &error), 0);
	ck_assert_int_eq(sysctl_check("net.a", "", false, false, &error), E_INVALID);
	ck_assert_int_eq(sysctl_check("net.a", "1\n2", false, false, &error), E_INVALID);
	ck_assert_int_eq(sysctl_check("net.a", "\x01", false, false, &error), E_INVALID);
	ck_assert_int_eq(sysctl_check("net.a", "\x7f", false, false, &error), E_INVALID);
	memset(big, '1', sizeof(big) - 1);
	ck_assert_int_eq(sysctl_check("net.a", big, false, false, &error), E_INVALID);
	memset(big, 'a', sizeof(big) - 1);
	ck_assert_int_eq(sysctl_check(big, "1", false, false, &error), E_INVALID);
}
END_TEST

START_TEST(host_namespaces_take_no_sysctls)
{
	ck_assert_int_eq(sysctl_check("net.a", "1", true, false, &error), E_INVALID);
	ck_assert_int_eq(sysctl_check("net.a", "1", false, true, &error), 0);
	ck_assert_int_eq(sysctl_check("kernel.sem", "1", false, true, &error), E_INVALID);
	ck_assert_int_eq(sysctl_check("fs.mqueue.a", "1", false, true, &error), E_INVALID);
	ck_assert_int_eq(sysctl_check("kernel.sem", "1", true, false, &error), 0);
}
END_TEST

/* ---- with crid-pinns ---- */

static char dir[64];
static struct config config;
static struct pins pins;

static void setup(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	strcpy(dir, "/tmp/crid-pins-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	config.namespaces_dir = dir;
	config.pinns_path = getenv("CRID_PINNS");
	reaper_start();
}

static void teardown(void)
{
	pins_done(&pins);
	ck_assert_int_eq(rm_rf_at(AT_FDCWD, dir), 0);
}

static ino_t ino_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_ino : 0;
}

#define OK(call)                                                                                   \
	do {                                                                                       \
		int r_ = (call);                                                                   \
                                                                                                   \
		ck_assert_msg(r_ == 0, #call " gave %d: %s", r_, error.message);                   \
	} while (0)

START_TEST(plan_names_what_make_makes)
{
	struct stat st;
	size_t fds = open_fds();

	OK(pins_plan(&config, NULL, &pins, &error));
	ck_assert_uint_eq(strlen(pins.uuid), 36);
	ck_assert_int_eq(pins.uuid[14], '4');
	ck_assert(str_starts(pins.net, dir) && str_ends(pins.net, pins.uuid));
	ck_assert(!pin_exists(pins.net));
	OK(pins_make(&config, &pins, false, false, NULL, &error));
	ck_assert(pin_exists(pins.net) && pin_exists(pins.ipc) && pin_exists(pins.uts));
	ck_assert_uint_ne(ino_of(pins.net), ino_of("/proc/self/ns/net"));
	ck_assert_uint_ne(ino_of(pins.ipc), ino_of("/proc/self/ns/ipc"));
	ck_assert_uint_ne(ino_of(pins.uts), ino_of("/proc/self/ns/uts"));
	OK(pins_remove(&config, &pins, &error));
	ck_assert_int_eq(stat(pins.net, &st), -1);
	ck_assert_int_eq(stat(pins.ipc, &st), -1);
	ck_assert_int_eq(stat(pins.uts, &st), -1);
	OK(pins_remove(&config, &pins, &error));
	ck_assert_uint_eq(open_fds(), fds);
}
END_TEST

START_TEST(host_namespaces_are_pinned_and_removed)
{
	struct pins named = { .uuid = "" };

	OK(pins_plan(&config, NULL, &pins, &error));
	OK(pins_make(&config, &pins, true, true, NULL, &error));
	ck_assert_uint_eq(ino_of(pins.net), ino_of("/proc/self/ns/net"));
	ck_assert_uint_eq(ino_of(pins.ipc), ino_of("/proc/self/ns/ipc"));
	ck_assert_uint_ne(ino_of(pins.uts), ino_of("/proc/self/ns/uts"));
	/* the record of a pod with the host's IPC namespace does not name its pin */
	OK(pins_set(&named, pins.net, NULL, NULL, NULL));
	OK(pins_remove(&config, &named, &error));
	ck_assert(!pin_exists(pins.ipc) && !pin_exists(pins.uts));
	pins_done(&named);
}
END_TEST

START_TEST(user_namespace_owns_the_others)
{
	struct cstore_id_range range[] = { { 0, 100000, 65536 } };
	struct id_maps maps = { range, range, 1, 1 };
	_cleanup_close_ int net = -1, owner = -1;
	struct stat st, want;

	OK(pins_plan(&config, &maps, &pins, &error));
	ck_assert(str_ends(pins.user, pins.uuid));
	OK(pins_make(&config, &pins, false, false, NULL, &error));
	net = open(pins.net, O_RDONLY | O_CLOEXEC);
	owner = ioctl(net, NS_GET_USERNS);
	ck_assert_int_ge(owner, 0);
	fstat(owner, &st);
	ck_assert_int_eq(stat(pins.user, &want), 0);
	ck_assert_uint_eq(st.st_ino, want.st_ino);
	ck_assert_uint_ne(st.st_ino, ino_of("/proc/self/ns/user"));
	OK(pins_remove(&config, &pins, &error));
	ck_assert_int_eq(stat(pins.user, &st), -1);
}
END_TEST

START_TEST(sysctls_are_set_inside)
{
	char *const sysctls[] = { (char[]){ "net.ipv4.ip_forward=1" },
				  (char[]){ "kernel.shm_rmid_forced=1" }, NULL };
	_cleanup_close_ int ns = -1;
	_cleanup_free_ char *text = NULL;

	OK(pins_plan(&config, NULL, &pins, &error));
	OK(pins_make(&config, &pins, false, false, sysctls, &error));
	ns = open(pins.net, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(setns(ns, CLONE_NEWNET), 0);
	ck_assert_int_eq(read_file("/proc/sys/net/ipv4/ip_forward", 64, &text, NULL), 0);
	ck_assert_str_eq(text, "1\n");
	OK(pins_remove(&config, &pins, &error));
}
END_TEST

START_TEST(failed_make_leaves_nothing)
{
	char *const unknown[] = { (char[]){ "net.ipv4.no_such_thing=1" }, NULL };
	char *const hostile[] = { (char[]){ "kernel.core_pattern=|/x" }, NULL };
	_cleanup_free_ char *before = NULL, *after = NULL;

	ck_assert_int_eq(read_file("/proc/sys/kernel/core_pattern", 4096, &before, NULL), 0);
	OK(pins_plan(&config, NULL, &pins, &error));
	ck_assert_int_eq(pins_make(&config, &pins, false, false, unknown, &error), E_FAILED);
	ck_assert_ptr_nonnull(strstr(error.message, "no_such_thing"));
	ck_assert_int_eq(access(pins.net, F_OK), -1);
	ck_assert_int_eq(access(pins.uts, F_OK), -1);
	ck_assert_int_eq(pins_make(&config, &pins, false, false, hostile, &error), E_INVALID);
	ck_assert_int_eq(read_file("/proc/sys/kernel/core_pattern", 4096, &after, NULL), 0);
	ck_assert_str_eq(before, after);
}
END_TEST

START_TEST(only_pins_are_removed)
{
	_cleanup_free_ char *victim = strf("%s/victim", dir),
			    *nested = strf("%s/other/netns/x", dir), *up = strf("%s/netns/..", dir),
			    *deep = strf("%s/netns/a/b", dir), *link = strf("%s/link", dir),
			    *linked = NULL;
	const char *const bad[] = { victim, nested, up, deep, "/etc/hostname", "relative", "" };
	struct pins p;

	OK(pins_plan(&config, NULL, &pins, &error));
	OK(pins_make(&config, &pins, false, false, NULL, &error));
	ck_assert_int_eq(write_file(victim, 0600, "", 0, 0), 0);
	ck_assert_int_eq(mkdir_p(nested, 0700), 0);
	ck_assert_int_eq(mkdir_p(deep, 0700), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(pins_set(&p, bad[i], NULL, NULL, NULL), 0);
		ck_assert_msg(pins_remove(&config, &p, &error) == E_INVALID, "%s", bad[i]);
		pins_done(&p);
	}
	ck_assert_int_eq(access(victim, F_OK), 0);
	ck_assert_int_eq(access(nested, F_OK), 0);
	/* another spelling of the same directory is fine: /run and /var/run */
	ck_assert_int_eq(symlink(dir, link), 0);
	linked = strf("%s/netns/%s", link, pins.uuid);
	ck_assert_int_eq(pins_set(&p, linked, NULL, NULL, NULL), 0);
	OK(pins_remove(&config, &p, &error));
	ck_assert(!pin_exists(pins.net) && !pin_exists(pins.uts));
	pins_done(&p);
}
END_TEST

START_TEST(missing_program_is_reported)
{
	config.pinns_path = (char[]){ "/nonexistent/crid-pinns" };
	OK(pins_plan(&config, NULL, &pins, &error));
	ck_assert_int_lt(pins_make(&config, &pins, false, false, NULL, &error), 0);
	ck_assert_ptr_nonnull(strstr(error.message, "/nonexistent/crid-pinns"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("namespaces");
	TCase *t = tcase_create("sysctls"), *real = tcase_create("pins");
	SRunner *run;
	int failed;

	tcase_add_test(t, sysctls_of_a_pod_are_allowed);
	tcase_add_test(t, sysctls_that_reach_the_host_are_invalid);
	tcase_add_test(t, values_are_one_line_of_text);
	tcase_add_test(t, host_namespaces_take_no_sysctls);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(real, setup, teardown);
	tcase_set_timeout(real, 120);
	tcase_add_test(real, plan_names_what_make_makes);
	tcase_add_test(real, host_namespaces_are_pinned_and_removed);
	tcase_add_test(real, user_namespace_owns_the_others);
	tcase_add_test(real, sysctls_are_set_inside);
	tcase_add_test(real, failed_make_leaves_nothing);
	tcase_add_test(real, only_pins_are_removed);
	tcase_add_test(real, missing_program_is_reported);
	if (getuid() == 0 && getenv("CRID_PINNS"))
		suite_add_tcase(s, real);
	else
		printf("without pins: needs root and $CRID_PINNS\n");
	run = srunner_create(s);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? 1 : 0;
}
