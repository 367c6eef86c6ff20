/* SPDX-License-Identifier: Apache-2.0 */
/* SELinux labels as texts, and on files: the attribute can be set by root also where no SELinux looks at it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <crisvc-cri.h>
#include <cbase/str.h>
#include "errors.h"
#include "selinux.h"
#include "unit.h"

#define PROCESS "system_u:system_r:container_t:s0"
#define FILES "system_u:object_r:container_file_t:s0"

static struct cb_error error;
static struct arena arena;

static Runtime__V1__SELinuxOption option(const char *user, const char *role, const char *type, const char *level)
{
	Runtime__V1__SELinuxOption o = RUNTIME__V1__SELINUX_OPTION__INIT;

	o.user = (char *)(uintptr_t)user;
	o.role = (char *)(uintptr_t)role;
	o.type = (char *)(uintptr_t)type;
	o.level = (char *)(uintptr_t)level;
	return o;
}

START_TEST(parts_take_the_place_of_parts)
{
	Runtime__V1__SELinuxOption o = option("", "", "svirt_lxc_net_t", "s0:c4,c5"), all = option("u", "r", "t", "s1");
	const char *label = NULL, *file = NULL;

	ck_assert_int_eq(selinux_process_make(&arena, PROCESS, NULL, "s0:c1,c2", &label, &error), 0);
	ck_assert_str_eq(label, "system_u:system_r:container_t:s0:c1,c2");
	ck_assert_str_eq(selinux_level_of(label), "s0:c1,c2");
	ck_assert_int_eq(selinux_process_make(&arena, label, &o, "", &label, &error), 0);
	ck_assert_str_eq(label, "system_u:system_r:svirt_lxc_net_t:s0:c4,c5");
	ck_assert_int_eq(selinux_file_make(&arena, FILES, label, &file, &error), 0);
	ck_assert_str_eq(file, "system_u:object_r:container_file_t:s0:c4,c5");
	ck_assert_int_eq(selinux_process_make(&arena, PROCESS, &all, "", &label, &error), 0);
	ck_assert_str_eq(label, "u:r:t:s1");
	ck_assert_int_eq(selinux_file_make(&arena, FILES, label, &file, &error), 0);
	ck_assert_str_eq(file, "u:object_r:container_file_t:s1");
	ck_assert_str_eq(selinux_level_of(""), "");
	ck_assert_str_eq(selinux_level_of("a:b:c"), "");
}
END_TEST

START_TEST(parts_cannot_be_more_than_one)
{
	static const char *const bad[] = { "a:b", "a b", "a\nb", "a\tb", "\x7f" };
	const char *label = "untouched";

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		Runtime__V1__SELinuxOption o = option(bad[i], "", "", "");

		ck_assert_int_eq(selinux_process_make(&arena, PROCESS, &o, "", &label, &error), E_INVALID);
		o = option("", "", "", bad[i]);
		ck_assert_int_eq(selinux_process_make(&arena, PROCESS, &o, "", &label, &error), i ? E_INVALID : 0);
	}
}
END_TEST

START_TEST(levels_have_two_categories)
{
	char level[SELINUX_LEVEL_LEN];
	unsigned a, b;

	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(selinux_level_make(level), 0);
		ck_assert_int_eq(sscanf(level, "s0:c%u,c%u", &a, &b), 2);
		ck_assert(a < b && b < 1024);
	}
}
END_TEST

START_TEST(labels_of_containers_are_read)
{
	static const char text[] = "# comment\nprocess_x = \"no\"\n process\t= \"" PROCESS "\"\ncontent = \"x\"\nfile=\"" FILES "\"\nro_file = \"y\"\n";
	char *process = NULL, *file = NULL;

	ck_assert_int_eq(selinux_contexts_parse(text, &process, &file, &error), 0);
	ck_assert_str_eq(process, PROCESS);
	ck_assert_str_eq(file, FILES);
	free(process);
	free(file);
	ck_assert_int_eq(selinux_contexts_parse("", &process, &file, &error), E_INVALID);
	ck_assert_int_eq(selinux_contexts_parse("process = \"" PROCESS "\"\nfile = \"" FILES, &process, &file, &error), E_INVALID);
	ck_assert_int_eq(selinux_contexts_parse("process = \"a:b\"\nfile = \"" FILES "\"", &process, &file, &error), E_INVALID);
}
END_TEST

static bool has_label(const char *path, const char *want)
{
	char value[128];
	ssize_t n = lgetxattr(path, "security.selinux", value, sizeof(value));

	return want ? n == (ssize_t)strlen(want) + 1 && !strcmp(value, want) : n < 0;
}

START_TEST(trees_are_labelled_without_following_links)
{
	char base[] = "/var/tmp/crid-selinux-XXXXXX", path[4][80];

	ck_assert_ptr_nonnull(mkdtemp(base));
	snprintf(path[0], 80, "%s/v", base);
	snprintf(path[1], 80, "%s/v/d", base);
	snprintf(path[2], 80, "%s/v/d/link", base);
	snprintf(path[3], 80, "%s/outside", base);
	mkdir(path[0], 0700);
	mkdir(path[1], 0700);
	close(open(path[3], O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	ck_assert_int_eq(symlink(path[3], path[2]), 0);
	if (!lsetxattr(path[3], "security.selinux", "x", 2, 0) && !removexattr(path[3], "security.selinux")) {
		ck_assert_msg(!selinux_relabel(path[0], FILES, &error), "%s", error.message);
		ck_assert(has_label(path[0], FILES) && has_label(path[1], FILES) && has_label(path[2], FILES));
		ck_assert(has_label(path[3], NULL) && has_label(base, NULL));
		/* a link that is named is followed, as mounts do */
		ck_assert_int_eq(selinux_relabel(path[2], FILES, &error), 0);
		ck_assert(has_label(path[3], FILES));
	}
	ck_assert_int_eq(selinux_relabel("/none/such", FILES, &error), -ENOENT);
	unlink(path[2]);
	unlink(path[3]);
	rmdir(path[1]);
	rmdir(path[0]);
	rmdir(base);
}
END_TEST

START_TEST(directories_of_the_system_are_left_alone)
{
	static const char *const never[] = { "/", "/etc", "/etc/", "/usr", "/usr/bin", "/tmp/..", "/proc/self", "/var/lib", "/sys" };

	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		ck_assert_msg(selinux_relabel(never[i], FILES, &error) == E_INVALID, "%s", never[i]);
}
END_TEST

START_TEST(without_selinux_there_are_no_labels)
{
	struct selinux *s = NULL;

	if (!access("/sys/fs/selinux/enforce", F_OK))
		return;
	ck_assert_int_eq(selinux_open(&s, &error), 0);
	ck_assert_ptr_null(s);
	ck_assert_int_eq(selinux_check(s, "nonsense", &error), 0);
	ck_assert_ptr_null(selinux_close(s));
}
END_TEST

UNIT_MAIN("selinux", parts_take_the_place_of_parts, parts_cannot_be_more_than_one, levels_have_two_categories,
	  labels_of_containers_are_read, trees_are_labelled_without_following_links, directories_of_the_system_are_left_alone,
	  without_selinux_there_are_no_labels)
