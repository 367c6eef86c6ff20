/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of rtnetlink, and the kernel's own about this namespace. */
#include <check.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include "netns_usage.h"

/* One message: a link with a name and counters. */
struct answer {
	union {
		struct { struct nlmsghdr h; struct ifinfomsg i; };
		char bytes[1024];
	};
	size_t n;
};

static void add_attribute(struct answer *a, unsigned short type, const void *p, size_t n)
{
	const struct rtattr r = { .rta_len = (unsigned short)RTA_LENGTH(n), .rta_type = type };

	memcpy(a->bytes + a->n, &r, sizeof(r));
	memcpy(a->bytes + a->n + RTA_LENGTH(0), p, n);
	a->n += RTA_ALIGN(r.rta_len);
	a->h.nlmsg_len = (unsigned)a->n;
}

static struct answer link_answer(const char *name, unsigned flags, size_t stats_len)
{
	struct answer a = { .n = NLMSG_SPACE(sizeof(struct ifinfomsg)) };
	struct rtnl_link_stats64 s = { .rx_bytes = 1, .tx_bytes = 2, .rx_packets = 3, .tx_packets = 4, .rx_errors = 5, .tx_errors = 6,
		.rx_dropped = 7, .tx_dropped = 8 };

	a.h.nlmsg_type = RTM_NEWLINK;
	a.i.ifi_flags = flags;
	add_attribute(&a, IFLA_IFNAME, name, strlen(name) + 1);
	add_attribute(&a, IFLA_STATS64, &s, stats_len);
	return a;
}

static struct interface_usage v[NETNS_INTERFACES_MAX];

START_TEST(counters_of_a_link)
{
	struct answer a = link_answer("eth0", 0, sizeof(struct rtnl_link_stats64));
	size_t n = 0;

	ck_assert_int_eq(netns_usage_parse(a.bytes, a.n, v, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(v[0].name, "eth0");
	ck_assert_uint_eq(v[0].rx_bytes, 1);
	ck_assert_uint_eq(v[0].tx_bytes, 2);
	ck_assert_uint_eq(v[0].rx_packets, 3);
	ck_assert_uint_eq(v[0].tx_packets, 4);
	ck_assert_uint_eq(v[0].rx_errors, 5);
	ck_assert_uint_eq(v[0].tx_errors, 6);
	ck_assert_uint_eq(v[0].rx_dropped, 7);
	ck_assert_uint_eq(v[0].tx_dropped, 8);
}
END_TEST

START_TEST(older_kernels_have_fewer_counters)
{
	struct answer a = link_answer("eth0", 0, 4 * sizeof(__u64));
	size_t n = 0;

	ck_assert_int_eq(netns_usage_parse(a.bytes, a.n, v, &n), 0);
	ck_assert_uint_eq(v[0].tx_bytes, 2);
	ck_assert_uint_eq(v[0].rx_errors, 0);
}
END_TEST

START_TEST(loopback_is_left_out)
{
	struct answer a = link_answer("lo", IFF_LOOPBACK, 8);
	size_t n = 0;

	ck_assert_int_eq(netns_usage_parse(a.bytes, a.n, v, &n), 0);
	ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(end_and_error)
{
	struct nlmsghdr done = { .nlmsg_len = sizeof(done), .nlmsg_type = NLMSG_DONE };
	struct { struct nlmsghdr h; struct nlmsgerr e; } error = {
		{ .nlmsg_len = NLMSG_LENGTH(sizeof(struct nlmsgerr)), .nlmsg_type = NLMSG_ERROR }, { .error = -EPERM } };
	size_t n = 0;

	ck_assert_int_eq(netns_usage_parse(&done, sizeof(done), v, &n), 1);
	ck_assert_int_eq(netns_usage_parse(&error, sizeof(error), v, &n), -EPERM);
	error.h.nlmsg_len = sizeof(error.h);
	ck_assert_int_eq(netns_usage_parse(&error, sizeof(error.h), v, &n), -EBADMSG);
}
END_TEST

START_TEST(cut_answers_are_harmless)
{
	struct answer a = link_answer("eth0", 0, sizeof(struct rtnl_link_stats64));

	for (size_t cut = 0; cut < a.n; cut++) {
		char *exact = malloc(cut ? cut : 1);
		size_t n = 0;

		memcpy(exact, a.bytes, cut);
		netns_usage_parse(exact, cut, v, &n);
		ck_assert_uint_eq(n, 0);
		free(exact);
	}
}
END_TEST

START_TEST(name_without_end_is_cut)
{
	struct answer a = link_answer("a-name-that-is-longer-than-any-interface-may-have", 0, 8);
	size_t n = 0;

	ck_assert_int_eq(netns_usage_parse(a.bytes, a.n, v, &n), 0);
	ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(own_namespace_answers)
{
	struct interface_usage *found = NULL;
	struct cb_error err = { 0 };
	size_t n = 0;
	int r = netns_usage_read("/proc/self/ns/net", &found, &n, &err);

	/* entering even the own one takes a capability */
	if (r != -EPERM)
		ck_assert_msg(r == 0, "%s", err.message);
	for (size_t i = 0; i < n; i++)
		ck_assert_str_ne(found[i].name, "lo");
	free(found);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("netns_usage");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, counters_of_a_link);
	tcase_add_test(t, older_kernels_have_fewer_counters);
	tcase_add_test(t, loopback_is_left_out);
	tcase_add_test(t, end_and_error);
	tcase_add_test(t, cut_answers_are_harmless);
	tcase_add_test(t, name_without_end_is_cut);
	tcase_add_test(t, own_namespace_answers);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
