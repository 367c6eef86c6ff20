/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cbase/cleanup.h>
#include "spawn.h"

START_TEST(own_process_is_found_by_its_start_time)
{
	uint64_t t = 0;
	int fd;

	ck_assert_int_eq(process_start_time(getpid(), &t), 0);
	ck_assert_uint_gt(t, 0);
	fd = process_open(getpid(), t);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(process_open(getpid(), t + 1), -ESRCH);
}
END_TEST

START_TEST(hostile_process_name_does_not_confuse)
{
	uint64_t before = 0, after = 0;

	ck_assert_int_eq(process_start_time(getpid(), &before), 0);
	prctl(PR_SET_NAME, ") Z 1 (x) 9 9", 0, 0, 0);
	ck_assert_int_eq(process_start_time(getpid(), &after), 0);
	ck_assert_uint_eq(before, after);
}
END_TEST

START_TEST(zombie_and_gone_are_no_process)
{
	uint64_t t = 0, start = 0;
	siginfo_t info;
	int p[2];
	pid_t pid;
	char c;

	ck_assert_int_eq(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		close(p[1]);
		_exit(read(p[0], &c, 1) != 0);
	}
	ck_assert_int_eq(process_start_time(pid, &start), 0);
	close(p[1]);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	ck_assert_int_eq(process_start_time(pid, &t), -ESRCH);
	ck_assert_int_eq(process_open(pid, start), -ESRCH);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(process_start_time(pid, &t), -ESRCH);
	ck_assert_int_eq(process_open(pid, start), -ESRCH);
	ck_assert_int_eq(process_open(0, 1), -ESRCH);
	ck_assert_int_eq(process_open(-1, 1), -ESRCH);
	ck_assert_uint_eq(t, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("process");
	TCase *t = tcase_create("process");
	SRunner *r;
	int failed;

	tcase_add_test(t, own_process_is_found_by_its_start_time);
	tcase_add_test(t, hostile_process_name_does_not_confuse);
	tcase_add_test(t, zombie_and_gone_are_no_process);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
