/* SPDX-License-Identifier: Apache-2.0 */
/* The pure parts of crid-pinns: sysctl names and id maps. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "idmap.h"
#include "sysctl.h"

static const struct {
	const char *text;
	const char *path;	/* NULL: refused */
} names[] = {
	{ "net.ipv4.ip_forward=1", "net/ipv4/ip_forward" },
	{ "net/ipv4/ip_forward=1", "net/ipv4/ip_forward" },
	{ "net.ipv4.conf.eth0/100.rp_filter=1", "net/ipv4/conf/eth0.100/rp_filter" },
	{ "net/ipv4/conf/eth0.100/rp_filter=1", "net/ipv4/conf/eth0.100/rp_filter" },
	{ "kernel.sem=250 32000\t32 128", "kernel/sem" },
	{ "net.x=a=b", "net/x" },
	/* the ways to another file */
	{ "net/../kernel/core_pattern=|/x", NULL },
	{ "net.//.kernel.core_pattern=|/x", NULL },
	{ "net/./ipv4=1", NULL },
	{ "/net/ipv4/ip_forward=1", NULL },
	{ ".net.ipv4=1", NULL },
	{ "net..ipv4=1", NULL },
	{ "net.ipv4.=1", NULL },
	{ "..=1", NULL },
	{ "=1", NULL },
	{ "net.ipv4.ip_forward", NULL },
	{ "net.ipv4.ip_forward=", NULL },
	{ "net.ipv4.ip_forward=1\n", NULL },
	{ "net.ipv4.ip_forward=1\r", NULL },
	{ "net.ipv4.ip_forward=\x01", NULL },
	{ "net.ipv4.ip_forward=\x7f", NULL },
	{ "net.ipv4.ip_forward\n=1", NULL },
	{ "net.ipv4.ip_forward+kernel.core_pattern=1", NULL },
	{ "NET.ipv4=1", NULL },
	{ "net.ipv4.ip forward=1", NULL },
};

START_TEST(names_become_paths_or_are_refused)
{
	struct cb_error err = { 0 };
	struct sysctl s;

	if (!names[_i].path) {
		ck_assert_int_eq(sysctl_parse(names[_i].text, &s, &err), -EINVAL);
		ck_assert_str_ne(err.message, "");
		return;
	}
	ck_assert_int_eq(sysctl_parse(names[_i].text, &s, &err), 0);
	ck_assert_str_eq(s.path, names[_i].path);
	ck_assert_ptr_eq(s.value, strchr(names[_i].text, '=') + 1);
}
END_TEST

START_TEST(long_names_and_values_are_refused)
{
	char text[SYSCTL_VALUE_MAX + 100];
	struct sysctl s;

	memset(text, 'a', sizeof(text));
	text[SYSCTL_PATH_MAX] = '=';
	text[SYSCTL_PATH_MAX + 5] = '\0';
	ck_assert_int_eq(sysctl_parse(text, &s, NULL), -EINVAL);
	memset(text, 'a', sizeof(text));
	text[1] = '=';
	text[2 + SYSCTL_VALUE_MAX + 1] = '\0';
	ck_assert_int_eq(sysctl_parse(text, &s, NULL), -EINVAL);
	text[2 + SYSCTL_VALUE_MAX] = '\0';
	ck_assert_int_eq(sysctl_parse(text, &s, NULL), 0);
}
END_TEST

START_TEST(only_sysctls_of_new_namespaces_are_allowed)
{
	static const struct {
		const char *text;
		bool net, ipc, allowed;
	} t[] = {
		{ "net.ipv4.ip_forward=1", true, false, true },
		{ "net.ipv4.ip_forward=1", false, true, false },
		{ "kernel.shm_rmid_forced=1", false, true, true },
		{ "kernel.shm_rmid_forced=1", true, false, false },
		{ "kernel.msgmax=1", false, true, true },
		{ "kernel.sem=1", false, true, true },
		{ "kernel.sem=1", true, false, false },
		{ "kernel.semaphore=1", true, true, false },
		{ "fs.mqueue.msg_max=1", false, true, true },
		{ "fs.mqueuex=1", true, true, false },
		{ "fs.file-max=1", true, true, false },
		{ "kernel.core_pattern=1", true, true, false },
		{ "kernel.hostname=x", true, true, false },
		{ "network.x=1", true, true, false },
		{ "vm.overcommit_memory=1", true, true, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct sysctl s;

		ck_assert_int_eq(sysctl_parse(t[i].text, &s, NULL), 0);
		ck_assert_msg(sysctl_is_namespaced(&s, t[i].net, t[i].ipc) == t[i].allowed, "%s",
			      t[i].text);
	}
}
END_TEST

START_TEST(id_maps_have_the_kernels_form)
{
	static const struct {
		const char *text, *lines;	/* NULL: refused */
	} t[] = {
		{ "0-200000-65536", "0 200000 65536\n" },
		{ "0-200000-65536@", "0 200000 65536\n" },
		{ "0-1000-1@1-200000-65535@", "0 1000 1\n1 200000 65535\n" },
		{ "0-0-4294967295", "0 0 4294967295\n" },
		{ "", NULL },
		{ "@", NULL },
		{ "0", NULL },
		{ "0-1", NULL },
		{ "0-1-", NULL },
		{ "0-1-0", NULL },
		{ "0-1-1-1", NULL },
		{ "0-1-1@@", NULL },
		{ "-1-1-1", NULL },
		{ "0-1-4294967296", NULL },
		{ "1-1-4294967295", NULL },
		{ "0-4294967295-2", NULL },
		{ " 0-1-1", NULL },
		{ "0-1-1\n0 0 1", NULL },
		{ "0-1-18446744073709551617", NULL },
		{ "0 1 1", NULL },
		{ "+0-1-1", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct str s = STR_INIT;
		int r = idmap_format(t[i].text, &s);

		if (t[i].lines) {
			ck_assert_int_eq(r, 0);
			ck_assert_str_eq(s.data, t[i].lines);
		} else {
			ck_assert_msg(r == -EINVAL, "%s", t[i].text);
		}
		str_done(&s);
	}
}
END_TEST

START_TEST(too_many_id_maps_are_refused)
{
	struct str s = STR_INIT, out = STR_INIT;

	for (int i = 0; i < IDMAP_LINES_MAX + 1; i++)
		str_appendf(&s, "%d-%d-1@", i, i);
	ck_assert_int_eq(idmap_format(s.data, &out), -EINVAL);
	str_done(&s);
	str_done(&out);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pinns");
	TCase *t = tcase_create("pinns");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, names_become_paths_or_are_refused, 0, (int)ARRAY_SIZE(names));
	tcase_add_test(t, long_names_and_values_are_refused);
	tcase_add_test(t, only_sysctls_of_new_namespaces_are_allowed);
	tcase_add_test(t, id_maps_have_the_kernels_form);
	tcase_add_test(t, too_many_id_maps_are_refused);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
