/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the kernel's log, as a Linux 6.1 with systemd wrote them. */
#include <check.h>
#include <stdlib.h>
#include "oom_log.h"

#define ID "68dd17c8cc493a5506e73ef049f7325a766f9022ae597c7b6100dfc560cbfce0"
#define OTHER "036a1cbaca3d0b2cc2bcf4cd720c220f8e99f221b728dbc7f49351f3f4f9fd87"

START_TEST(the_cgroup_of_the_process_that_was_killed_counts)
{
	ck_assert(oom_log_names("6,812,109445271,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=container,mems_allowed=0,"
				"oom_memcg=/system.slice/crio-" ID ".scope/container,task_memcg=/system.slice/crio-" ID ".scope/container,"
				"task=tail,pid=291,uid=0\n", ID));
	/* of the whole pod, or of the machine */
	ck_assert(oom_log_names("6,1,2,-;oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/pod.slice,task_memcg=/pod.slice/crio-" ID ".scope,task=a\n", ID));
	ck_assert(oom_log_names("6,1,2,-;oom-kill:constraint=CONSTRAINT_NONE,global_oom,task_memcg=/pod.slice/crio-" ID ".scope,task=a\n", ID));
	ck_assert(oom_log_names("6,1,2,c;,task_memcg=/pod.slice/crio-" ID ".scope,task=a\n", ID));
}
END_TEST

START_TEST(other_records_do_not)
{
	ck_assert(!oom_log_names("6,1,2,-;oom-kill:oom_memcg=/pod.slice,task_memcg=/pod.slice/crio-" OTHER ".scope,task=a\n", ID));
	ck_assert(!oom_log_names("6,1,2,-;Memory cgroup stats for /system.slice/crio-" ID ".scope/container:\n", ID));
	ck_assert(!oom_log_names("4,1,2,-;Memory cgroup out of memory: Killed process 291 (tail) total-vm:22408kB\n", ID));
	ck_assert(!oom_log_names("", ID));
}
END_TEST

START_TEST(a_container_that_the_log_does_not_know)
{
	ck_assert(!oom_log_has(ID));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("oom_log");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, the_cgroup_of_the_process_that_was_killed_counts);
	tcase_add_test(t, other_records_do_not);
	tcase_add_test(t, a_container_that_the_log_does_not_know);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
