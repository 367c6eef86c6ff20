/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several attachments at once, with real plugins: scripts that meet each other. A call that is not made
 * at the same time as the others waits for ever, up to its timeout.
 */
#include <sys/wait.h>
#include "unit.h"

/* Tells that it is here, and waits until as many are as the file says. ADD of "bad" fails. */
#define MEET                                                                                       \
	"#!/bin/sh\n[ \"$CNI_COMMAND\" = VERSION ] && echo '{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"1.0.0\"]}' && exit\n"  \
	"dir=${0%/*}\n: >\"$dir/../here/$CNI_COMMAND-$CNI_IFNAME\"\n"                                 \
	"while [ $(ls \"$dir/../here\" | grep -c \"^$CNI_COMMAND\") -lt $(cat \"$dir/../$CNI_COMMAND\") ]; do sleep 0.01; done\n" \
	"[ \"$CNI_COMMAND$CNI_IFNAME\" = ADDbad ] && echo '{\"code\":7,\"msg\":\"bad\"}' && exit 1\n" \
	"echo '{\"ips\":[{\"address\":\"10.0.0.'${CNI_IFNAME#e}'/24\"}]}'\n"

#define N 8

static struct cnic *c;
static struct cnic_error err;
static struct cnic_attachment a[N];
static const struct cnic_attachment *v[N];
static char names[N][8];

static void setup(void)
{
	scratch_setup();
	put("bin/meet", MEET);
	put("ADD", "8");
	put("DEL", "8");
	put("conf/10.conflist", "{\"name\":\"n\",\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"meet\"}]}");
	ck_assert_int_eq(mkdir(at("here"), 0700), 0);
	c = new_cnic(false, NULL);
	ck_assert_msg(cnic_reload(c, &err) == 0, "%s", err.message);
	for (size_t i = 0; i < N; i++) {
		snprintf(names[i], sizeof(names[i]), "e%zu", i + 1);
		a[i] = (struct cnic_attachment){
			.size = sizeof(a[i]),
			.network = "n",
			.container_id = "c1",
			.netns = "/n",
			.ifname = names[i],
			.timeout_ms = 20000,
		};
		v[i] = &a[i];
	}
}

static void teardown(void)
{
	c = cnic_free(c);
	scratch_teardown();
}

START_TEST(all_run_at_the_same_time_and_answer_in_order)
{
	struct cnic_result *results[N] = { NULL };
	char expected[16];

	ck_assert_msg(cnic_attach_all(c, v, N, results, &err) == 0, "%s", err.message);
	for (size_t i = 0; i < N; i++) {
		snprintf(expected, sizeof(expected), "10.0.0.%zu", i + 1);
		ck_assert_str_eq(cnic_result_ip(results[i], 0), expected);
		cnic_result_free(results[i]);
	}
	ck_assert_msg(cnic_detach_all(c, v, N, &err) == 0, "%s", err.message);
	ck_assert(!exists("cache/n-c1-e1"));
}
END_TEST

START_TEST(when_one_fails_none_is_left)
{
	a[3].ifname = "bad";
	put("DEL", "1"); /* its own comes before the others' */
	ck_assert_int_eq(cnic_attach_all(c, v, N, NULL, &err), CNIC_E_PLUGIN);
	ck_assert_str_eq(err.message,
			 "network \"n\": plugin type=\"meet\" failed (add): bad (code 7)");
	for (size_t i = 0; i < N; i++) {
		char *file = strf("cache/n-c1-%s", a[i].ifname), *seen = strf("here/DEL-%s", a[i].ifname);

		ck_assert(!exists(file));
		ck_assert(exists(seen));
		free(file);
		free(seen);
	}
}
END_TEST

START_TEST(every_detach_is_tried)
{
	put("ADD", "2");
	put("DEL", "1");
	ck_assert_int_eq(cnic_attach_all(c, v, 2, NULL, &err), 0);
	a[0].ifname = "a/b";
	ck_assert_int_eq(cnic_detach_all(c, v, 2, &err), CNIC_E_INVALID);
	ck_assert(exists("cache/n-c1-e1"));
	ck_assert(!exists("cache/n-c1-e2"));
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
	static const struct cnic_attachment *many[65];

	ck_assert_int_eq(cnic_attach_all(NULL, v, 1, NULL, &err), -EINVAL);
	ck_assert_int_eq(cnic_attach_all(c, NULL, 1, NULL, &err), -EINVAL);
	ck_assert_int_eq(cnic_attach_all(c, many, 65, NULL, &err), CNIC_E_INVALID);
	ck_assert_int_eq(cnic_attach_all(c, many, 2, NULL, &err), -EINVAL); /* NULL attachments */
	ck_assert_int_eq(cnic_attach_all(c, NULL, 0, NULL, &err), 0);
	ck_assert_int_eq(cnic_detach_all(c, NULL, 0, &err), 0);
}
END_TEST

RUN_TESTS_WITH("parallel", setup, teardown, all_run_at_the_same_time_and_answer_in_order,
	       when_one_fails_none_is_left, every_detach_is_tried, wrong_arguments_are_refused)
