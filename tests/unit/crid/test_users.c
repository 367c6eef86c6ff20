/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "errors.h"
#include "users.h"

static char root[64];
static int root_fd = -1;
static struct cb_error error;

static void put(const char *path, const char *text, size_t n)
{
	char buf[128];

	snprintf(buf, sizeof(buf), "%s/%s", root, path);
	ck_assert_int_eq(write_file(buf, 0644, text, n, 0), 0);
}

#define PUT(path, literal) put(path, literal, sizeof(literal) - 1)

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "www:x:33:34:web:/var/www:/bin/sh\n"
			     "1000:x:0:0:digits as a name:/evil:/bin/sh\n"
			     "+1000:x:0:0:sign as a name:/evil:/bin/sh\n"
			     "big:x:4294967296:0:overflow:/evil:/bin/sh\n"
			     "minus:x:-1:0:negative:/evil:/bin/sh\n"
			     "none:x::0:empty id:/evil:/bin/sh\n"
			     "short:x:77\n"
			     ":x:66:0:no name:/evil:/bin/sh\n"
			     "twice:x:50:51::/first:\r\n"
			     "twice:x:60:61::/second:\n"
			     "last:x:2000:2001:no newline:/last";
static const char group[] = "root:x:0:\n"
			    "www:x:34:\n"
			    "web:x:35:www,last\n"
			    "log:x:36:a,www\n"
			    "wwwx:x:37:wwww,ww\n"
			    "over:x:4294967297:www\n"
			    "4000:x:0:\n"
			    "named:x:4001:";

static void setup(void)
{
	strcpy(root, "/tmp/crid-users-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(root_fd, 0);
	ck_assert_int_eq(mkdirat(root_fd, "etc", 0755), 0);
	put("etc/passwd", passwd, strlen(passwd));
	put("etc/group", group, strlen(group));
}

static void teardown(void)
{
	close_fd(root_fd);
	ck_assert_int_eq(rm_rf_at(AT_FDCWD, root), 0);
}

static struct user_request request(const char *image_user)
{
	return (struct user_request){
		.root_fd = root_fd,
		.image_user = image_user,
		.run_as_username = "",
		.run_as_user = -1,
		.run_as_group = -1,
	};
}

/* "uid:gid:home:groups", or the code as "E2". */
static const char *resolved(const struct user_request *q)
{
	static char out[512];
	struct user u;
	int r = user_resolve(q, &u, &error);
	int n;

	if (r) {
		snprintf(out, sizeof(out), "E%d", r);
		return out;
	}
	n = snprintf(out, sizeof(out), "%u:%u:%s:", u.uid, u.gid, u.home);
	for (size_t i = 0; i < u.n_groups && n < 400; i++)
		n += snprintf(out + n, sizeof(out) - (size_t)n, "%s%u", i ? "," : "", u.groups[i]);
	user_done(&u);
	return out;
}

static const char *image(const char *user)
{
	struct user_request q = request(user);

	return resolved(&q);
}

START_TEST(nothing_asked_for_is_root)
{
	ck_assert_str_eq(image(""), "0:0:/root:0");
}
END_TEST

START_TEST(names_are_found_with_their_groups)
{
	ck_assert_str_eq(image("www"), "33:34:/var/www:34,35,36");
	ck_assert_str_eq(image("33"), "33:34:/var/www:34,35,36");
	ck_assert_str_eq(image("last"), "2000:2001:/last:2001,35");
	ck_assert_str_eq(image("twice"), "50:51:/first:51");
}
END_TEST

START_TEST(explicit_group_stops_the_search_for_more)
{
	ck_assert_str_eq(image("www:log"), "33:36:/var/www:36");
	ck_assert_str_eq(image("www:99"), "33:99:/var/www:99");
	ck_assert_str_eq(image("1234:named"), "1234:4001::4001");
	ck_assert_str_eq(image(":log"), "0:36:/root:36");
	ck_assert_str_eq(image("www:log:ignored"), "33:36:/var/www:36");
	ck_assert_str_eq(image("www:nosuch"), "E2");
	ck_assert_str_eq(error.message,
			 "unable to find group nosuch: no matching entries in group file");
}
END_TEST

START_TEST(ids_need_no_entry_and_names_do)
{
	ck_assert_str_eq(image("1234"), "1234:0::0");
	ck_assert_str_eq(image("2147483647"), "2147483647:0::0");
	ck_assert_str_eq(image("nosuch"), "E2");
	ck_assert_str_eq(error.message,
			 "unable to find user nosuch: no matching entries in passwd file");
	ck_assert_str_eq(image("root "), "E2");
	ck_assert_str_eq(image("0x0"), "E2");
}
END_TEST

START_TEST(digits_are_never_a_name)
{
	ck_assert_str_eq(image("1000"), "1000:0::0");
	ck_assert_str_eq(image("+1000"), "1000:0::0");
	ck_assert_str_eq(image("01000"), "1000:0::0");
	ck_assert_str_eq(image("www:4000"), "33:4000:/var/www:4000");
}
END_TEST

START_TEST(ids_out_of_range_are_invalid)
{
	static const char *const bad[] = {
		"-1",
		"2147483648",
		"4294967295",
		"4294967296",
		"18446744073709551616",
		"-0000000001",
		"99999999999999999999999999999999999999",
		"www:-1",
		"www:4294967296",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(streq(image(bad[i]), "E2"), "%s gave %s", bad[i], image(bad[i]));
}
END_TEST

START_TEST(malformed_lines_do_not_exist)
{
	/* each would be root if the id was read carelessly */
	static const char *const names[] = { "big", "minus", "none", "short" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		ck_assert_msg(streq(image(names[i]), "E2"), "%s gave %s", names[i],
			      image(names[i]));
	ck_assert_str_eq(image("66"), "66:0::0");
	PUT("etc/passwd", "nul\0:x:0:0:::\nnul:x:5:\0"
			  "0:::\nend:x:6:7::/h");
	ck_assert_str_eq(image("nul"), "E2");
	ck_assert_str_eq(image("end"), "6:7:/h:7");
}
END_TEST

START_TEST(home_that_is_no_text_is_left_out)
{
	PUT("etc/passwd", "j:x:1:2::/\xff/x:\nk:x:3:4::/a\tb:\n");
	ck_assert_str_eq(image("j"), "1:2::2");
	ck_assert_str_eq(image("k"), "3:4::4");
}
END_TEST

START_TEST(request_comes_before_the_image)
{
	struct user_request q = request("www");

	q.run_as_user = 2000;
	ck_assert_str_eq(resolved(&q), "2000:2001:/last:2001,35");
	q.run_as_username = "twice";
	ck_assert_str_eq(resolved(&q), "50:51:/first:51");
	q.run_as_group = 5;
	ck_assert_str_eq(resolved(&q), "50:5:/first:5");
	q = request("www");
	q.run_as_user = 0;
	ck_assert_str_eq(resolved(&q), "0:0:/root:0");
}
END_TEST

START_TEST(group_without_user_is_invalid)
{
	struct user_request q = request("www");

	q.run_as_group = 5;
	ck_assert_str_eq(resolved(&q), "E2");
	q = request("");
	q.run_as_user = -2;
	ck_assert_str_eq(resolved(&q), "E2");
	q.run_as_user = 1LL << 32;
	ck_assert_str_eq(resolved(&q), "E2");
	q.run_as_user = 1;
	q.run_as_group = 1LL << 32;
	ck_assert_str_eq(resolved(&q), "E2");
}
END_TEST

START_TEST(supplemental_groups_are_merged_or_alone)
{
	static const int64_t more[] = { 70, 35, 34, 70 }, bad[] = { -1 }, wrap[] = { 1LL << 32 };
	struct user_request q = request("www");

	q.supplemental = more;
	q.n_supplemental = ARRAY_SIZE(more);
	ck_assert_str_eq(resolved(&q), "33:34:/var/www:34,35,36,70");
	q.strict = true;
	ck_assert_str_eq(resolved(&q), "33:34:/var/www:34,70,35");
	q.n_supplemental = 1;
	q.supplemental = bad;
	ck_assert_str_eq(resolved(&q), "E2");
	q.supplemental = wrap;
	ck_assert_str_eq(resolved(&q), "E2");
}
END_TEST

START_TEST(files_stay_inside_the_root)
{
	char outside[] = "/tmp/crid-outside-XXXXXX", up[64];
	int fd = mkstemp(outside);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write_all(fd, "evil:x:0:0:::\n", 14), 0);
	close_fd(fd);
	snprintf(up, sizeof(up), "../../../../..%s", outside);
	unlinkat(root_fd, "etc/passwd", 0);
	ck_assert_int_eq(symlinkat(outside, root_fd, "etc/passwd"), 0);
	ck_assert_str_eq(image("evil"), "E2");
	ck_assert_str_eq(image("5"), "5:0::0");
	unlinkat(root_fd, "etc/passwd", 0);
	ck_assert_int_eq(symlinkat(up, root_fd, "etc/passwd"), 0);
	ck_assert_str_eq(image("evil"), "E2");
	unlink(outside);
	/* a link that stays inside is followed */
	PUT("real", "in:x:7:8::/in:\n");
	unlinkat(root_fd, "etc/passwd", 0);
	ck_assert_int_eq(symlinkat("/../../real", root_fd, "etc/passwd"), 0);
	ck_assert_str_eq(image("in"), "7:8:/in:8");
	/* and etc itself may be one */
	ck_assert_int_eq(renameat(root_fd, "etc", root_fd, "etc2"), 0);
	ck_assert_int_eq(symlinkat("/etc", root_fd, "etc"), 0);
	ck_assert_str_eq(image("root"), "E2");
}
END_TEST

START_TEST(only_regular_files_are_read)
{
	unlinkat(root_fd, "etc/passwd", 0);
	ck_assert_int_eq(mkfifoat(root_fd, "etc/passwd", 0644), 0);
	ck_assert_str_eq(image("9"), "9:0::0");
	ck_assert_str_eq(image("root"), "E2");
	unlinkat(root_fd, "etc/passwd", 0);
	ck_assert_int_eq(mkdirat(root_fd, "etc/passwd", 0755), 0);
	ck_assert_str_eq(image("9"), "9:0::0");
	unlinkat(root_fd, "etc/passwd", AT_REMOVEDIR);
	if (mknodat(root_fd, "etc/passwd", S_IFCHR | 0666, makedev(1, 5)) == 0) {
		ck_assert_str_eq(image("9"), "9:0::0");
		unlinkat(root_fd, "etc/passwd", 0);
	}
	ck_assert_int_eq(symlinkat("passwd", root_fd, "etc/passwd"), 0);
	ck_assert_str_eq(image("9"), "9:0::0");
	unlinkat(root_fd, "etc/passwd", 0);
	unlinkat(root_fd, "etc/group", 0);
	ck_assert_str_eq(image("9:1"), "9:1::1");
}
END_TEST

START_TEST(huge_files_are_refused)
{
	_cleanup_close_ int fd = openat(root_fd, "etc/passwd", O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(ftruncate(fd, USERS_FILE_MAX), 0);
	ck_assert_str_eq(image("33"), "33:34:/var/www:34,35,36");
	ck_assert_int_eq(ftruncate(fd, 1LL << 31), 0);
	ck_assert_str_eq(image("33"), "E6");
	ck_assert_int_eq(ftruncate(fd, USERS_FILE_MAX + 1), 0);
	ck_assert_str_eq(image("33"), "E6");
}
END_TEST

START_TEST(too_many_groups_are_refused_quickly)
{
	_cleanup_str_ struct str s = STR_INIT;
	struct user u;
	struct user_request q = request("u");

	PUT("etc/passwd", "u:x:1:1:::\n");
	for (unsigned i = 0; i < USERS_GROUPS_MAX + 1; i++)
		str_appendf(&s, "g::%u:u\n", i);
	put("etc/group", s.data, s.len);
	ck_assert_str_eq(image("u"), "E6");
	/* the same group again and again is one */
	str_reset(&s);
	while (s.len < USERS_FILE_MAX - 16)
		str_append(&s, "g::5:u\n");
	put("etc/group", s.data, s.len);
	ck_assert_int_eq(user_resolve(&q, &u, &error), 0);
	ck_assert_uint_eq(u.n_groups, 2);
	user_done(&u);
}
END_TEST

static struct user looked_up(const char *who)
{
	struct user_request q = request(who);
	struct user u;

	ck_assert_int_eq(user_resolve(&q, &u, &error), 0);
	return u;
}

START_TEST(missing_entries_are_appended)
{
	struct user u = looked_up("1234:4321");
	char *text;
	size_t n;

	ck_assert(!u.in_passwd && !u.in_group);
	ck_assert_int_eq(user_passwd_text(root_fd, &u, "/home/x", &text, &n, &error), 0);
	ck_assert_uint_eq(n, strlen(text));
	ck_assert_int_eq(strncmp(text, passwd, strlen(passwd)), 0);
	ck_assert_str_eq(text + strlen(passwd),
			 "\n1234:x:1234:4321:1234 user:/home/x:/sbin/nologin\n");
	free(text);
	ck_assert_int_eq(user_group_text(root_fd, &u, &text, &n, &error), 0);
	ck_assert_str_eq(text + strlen(group), "\n4321:x:4321:\n");
	free(text);
	user_done(&u);
}
END_TEST

START_TEST(present_entries_need_nothing)
{
	struct user u = looked_up("www");
	char *text;
	size_t n;

	ck_assert(u.in_passwd && u.in_group);
	ck_assert_int_eq(user_passwd_text(root_fd, &u, "/", &text, &n, &error), E_NOT_FOUND);
	ck_assert_int_eq(user_group_text(root_fd, &u, &text, &n, &error), E_NOT_FOUND);
	user_done(&u);
}
END_TEST

START_TEST(home_cannot_add_a_line)
{
	/* the byte 0x0a, not backslash and n */
	static const char *const bad[] = { "/x\nroot2:x:0:0::/:/bin/sh", "/x:/bin/sh", "/x\r",
					   "/\x01", "/\x7f" };
	struct user u = looked_up("1234");
	char *text;
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(user_passwd_text(root_fd, &u, bad[i], &text, &n, &error),
				 E_INVALID);
	ck_assert_int_eq(user_passwd_text(root_fd, &u, "/a\\nb", &text, &n, &error), 0);
	free(text);
	user_done(&u);
}
END_TEST

START_TEST(ids_of_a_user_namespace_are_those_it_maps)
{
	struct cstore_id_range range[] = { { 0, 100000, 2000 } };
	struct id_maps none = { 0 }, maps = { range, range, 1, 1 };
	struct user u = looked_up("1234:1999");

	ck_assert_uint_eq(u.owner_uid, 1234);
	ck_assert_int_eq(user_map(&u, &maps, &error), 0);
	ck_assert_uint_eq(u.owner_uid, 101234);
	ck_assert_uint_eq(u.owner_gid, 101999);
	ck_assert_uint_eq(u.uid, 1234);
	ck_assert_int_eq(user_map(&u, &none, &error), 0);
	ck_assert_uint_eq(u.owner_gid, 1999);
	range[0].count = 1999;
	ck_assert_int_eq(user_map(&u, &maps, &error), E_INVALID);
	u.gid = 0;
	ck_assert_int_eq(user_map(&u, &maps, &error), E_INVALID);	/* still in its groups */
	user_done(&u);
}
END_TEST

START_TEST(editable_or_missing_files_are_left_alone)
{
	struct user u = looked_up("1234");
	char *text;
	size_t n;

	ck_assert_int_eq(fchmodat(root_fd, "etc/passwd", 0664, 0), 0);
	ck_assert_int_eq(user_passwd_text(root_fd, &u, "/", &text, &n, &error), E_NOT_FOUND);
	ck_assert_int_eq(fchmodat(root_fd, "etc/passwd", 0644, 0), 0);
	u.owner_uid = getuid();
	ck_assert_int_eq(user_passwd_text(root_fd, &u, "/", &text, &n, &error), E_NOT_FOUND);
	ck_assert_int_eq(fchmodat(root_fd, "etc/passwd", 0444, 0), 0);
	ck_assert_int_eq(user_passwd_text(root_fd, &u, "/", &text, &n, &error), 0);
	free(text);
	unlinkat(root_fd, "etc/passwd", 0);
	ck_assert_int_eq(user_passwd_text(root_fd, &u, "/", &text, &n, &error), E_NOT_FOUND);
	user_done(&u);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("users");
	TCase *t = tcase_create("users");
	SRunner *run;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, nothing_asked_for_is_root);
	tcase_add_test(t, names_are_found_with_their_groups);
	tcase_add_test(t, explicit_group_stops_the_search_for_more);
	tcase_add_test(t, ids_need_no_entry_and_names_do);
	tcase_add_test(t, digits_are_never_a_name);
	tcase_add_test(t, ids_out_of_range_are_invalid);
	tcase_add_test(t, malformed_lines_do_not_exist);
	tcase_add_test(t, home_that_is_no_text_is_left_out);
	tcase_add_test(t, request_comes_before_the_image);
	tcase_add_test(t, group_without_user_is_invalid);
	tcase_add_test(t, supplemental_groups_are_merged_or_alone);
	tcase_add_test(t, files_stay_inside_the_root);
	tcase_add_test(t, only_regular_files_are_read);
	tcase_add_test(t, huge_files_are_refused);
	tcase_add_test(t, too_many_groups_are_refused_quickly);
	tcase_add_test(t, missing_entries_are_appended);
	tcase_add_test(t, present_entries_need_nothing);
	tcase_add_test(t, home_cannot_add_a_line);
	tcase_add_test(t, editable_or_missing_files_are_left_alone);
	tcase_add_test(t, ids_of_a_user_namespace_are_those_it_maps);
	suite_add_tcase(s, t);
	run = srunner_create(s);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? 1 : 0;
}
