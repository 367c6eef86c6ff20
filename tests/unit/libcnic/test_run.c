/* SPDX-License-Identifier: Apache-2.0 */
/* The default runner with real programs, small shell scripts. */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include "unit.h"

static char *out, *errout;
static size_t out_len;
static int status;

static int run(const char *script, const char *input, int timeout_ms)
{
	static const char *const env[] = { "PATH=/usr/bin:/bin", "A=b c", NULL };
	char *text = strf("#!/bin/sh\n%s\n", script);

	put("bin/x", text);
	free(text);
	return run_default(NULL, at("bin/x"), env, input, strlen(input), timeout_ms, &out, &out_len,
			   &errout, &status);
}

static void done(void)
{
	free(out);
	free(errout);
	out = errout = NULL;
	scratch_teardown();
}

START_TEST(input_environment_output_and_status_pass)
{
	ck_assert_int_eq(run("cat; echo \"$A\" >&2; env | wc -l >&2; exit 3", "hello\n", -1), 0);
	ck_assert_str_eq(out, "hello\n");
	ck_assert_uint_eq(out_len, 6);
	ck_assert_ptr_nonnull(strstr(errout, "b c\n"));
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 3);
}
END_TEST

START_TEST(stdin_can_be_opened_again_by_name)
{
	ck_assert_int_eq(run("cat /dev/stdin", "abc", 10000), 0);
	ck_assert_str_eq(out, "abc");
}
END_TEST

START_TEST(a_program_that_ignores_its_input_is_fine)
{
	char *big = malloc(4 << 20);

	memset(big, 'x', (4 << 20) - 1);
	big[(4 << 20) - 1] = 0;
	ck_assert_int_eq(run("exit 0", big, 10000), 0);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	free(big);
}
END_TEST

START_TEST(the_child_inherits_nothing_else)
{
	int fd = open("/dev/null", O_RDONLY); /* not close-on-exec: another library's mistake */

	ck_assert_int_eq(run("ls /proc/self/fd | tr '\\n' ' '; cat /proc/self/status | grep -E "
			     "'SigBlk|SigIgn'",
			     "", -1),
			 0);
	ck_assert_msg(str_starts(out, "0 1 2 3 Sig"), "%s", out); /* 3 is ls' own */
	ck_assert_ptr_nonnull(strstr(out, "SigBlk:\t0000000000000000"));
	close(fd);
}
END_TEST

START_TEST(ignored_signals_are_not_inherited)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	ck_assert_int_eq(run("grep SigIgn /proc/self/status", "", -1), 0);
	ck_assert(str_starts(out, "SigIgn:\t"));
	/* posix_spawn() of glibc leaves its two internal signals ignored */
	ck_assert_uint_eq(strtoull(out + 8, NULL, 16) & ~0x180000000ull, 0);
}
END_TEST

START_TEST(a_signal_shows_in_the_status)
{
	ck_assert_int_eq(run("kill -KILL $$", "", -1), 0);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
END_TEST

START_TEST(the_deadline_takes_the_whole_process_group)
{
	int64_t begin = mono_ns();
	char *pid = NULL;

	/* the parent of a background child that holds the pipes open */
	put("bin/child", "#!/bin/sh\nexec sleep 1000\n");
	ck_assert_int_eq(run("\"${0%/*}/child\" & echo $! >\"${0%/*}/pid\"; wait", "", 300),
			 CNIC_E_TIMEOUT);
	ck_assert_int_lt((mono_ns() - begin) / 1000000, 20000);
	pid = get("bin/pid");
	for (int i = 0; kill(atoi(pid), 0) == 0 && i < 1000; i++) /* until init has reaped it */
		poll(NULL, 0, 10);
	ck_assert_int_eq(kill(atoi(pid), 0), -1);
	free(pid);
}
END_TEST

/* The process whose id a script wrote down is gone, or only init has still to reap it. */
static void ck_dead(const char *file)
{
	char *pid = get(file), *path = strf("/proc/%d/stat", atoi(pid)), *stat = NULL;

	ck_assert_int_gt(atoi(pid), 1);
	for (int i = 0; i < 1000; i++) { /* the killed are waited for, so once is enough */
		if (read_file(path, 4096, &stat, NULL) || strstr(stat, ") Z "))
			break;
		free(take(stat));
		ck_assert_msg(i == 0, "%s is alive", file);
	}
	free(stat);
	free(path);
	free(pid);
}

START_TEST(a_child_that_keeps_the_output_open_is_killed)
{
	int64_t begin = mono_ns();

	ck_assert_int_eq(run("echo done; echo why >&2; sleep 1000 & echo $! >\"${0%/*}/pid\"", "", 500),
			 -EBUSY);
	ck_assert_int_lt((mono_ns() - begin) / 1000000, 5000);
	ck_assert_str_eq(errout, "why\n"); /* what it said is told nevertheless */
	ck_assert_ptr_null(out);
	ck_dead("bin/pid");
}
END_TEST

START_TEST(without_a_deadline_it_is_given_a_few_seconds)
{
	int64_t begin = mono_ns();

	ck_assert_int_eq(run("sleep 1000 & echo $! >\"${0%/*}/pid\"", "", -1), -EBUSY);
	ck_assert_int_ge((mono_ns() - begin) / 1000000, 5000);
	ck_dead("bin/pid");
}
END_TEST

START_TEST(a_child_may_finish_the_answer)
{
	ck_assert_int_eq(run("(sleep 0.2; echo later) & echo now", "", 30000), 0);
	ck_assert_str_eq(out, "now\nlater\n");
}
END_TEST

START_TEST(grandchildren_of_other_sessions_are_found)
{
	put("bin/gone", "#!/bin/sh\nsetsid \"${0%/*}/deep\" &\nexit 0\n");
	put("bin/deep", "#!/bin/sh\n(setsid sleep 1000 >/dev/null 2>&1 & echo $! >\"${0%/*}/deepest\")\n"
			"echo $$ >\"${0%/*}/pid\"\nexec sleep 1000\n");
	ck_assert_int_eq(run("\"${0%/*}/gone\"; while [ ! -s \"${0%/*}/pid\" ]; do :; done; exec sleep 1000",
			     "", 500),
			 CNIC_E_TIMEOUT);
	ck_dead("bin/pid");
	ck_dead("bin/deepest");
}
END_TEST

START_TEST(the_children_of_a_program_killed_by_a_signal_die_and_the_signal_is_told)
{
	int64_t begin = mono_ns();

	ck_assert_int_eq(run("setsid sleep 1000 & echo $! >\"${0%/*}/pid\"; kill -SEGV $$", "", 30000), 0);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	ck_assert_int_lt((mono_ns() - begin) / 1000000, 4000);
	ck_dead("bin/pid");
}
END_TEST

START_TEST(a_daemon_of_a_call_that_went_well_stays)
{
	char *pid;

	ck_assert_int_eq(run("setsid sleep 1000 <&- >/dev/null 2>&1 & echo $! >\"${0%/*}/pid\"; echo fine", "",
			     30000),
			 0);
	ck_assert_str_eq(out, "fine\n");
	pid = get("bin/pid");
	ck_assert_int_eq(kill(atoi(pid), SIGKILL), 0);
	free(pid);
}
END_TEST

START_TEST(a_readable_descriptor_cancels)
{
	static const char *const env[] = { "PATH=/usr/bin:/bin", NULL };
	int p[2];

	ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
	put("bin/x", "#!/bin/sh\nexec sleep 1000\n");
	ck_assert_int_eq(write_all(p[1], "x", 1), 0);
	ck_assert_int_eq(run_default(&p[0], at("bin/x"), env, "", 0, -1, &out, &out_len, &errout, &status),
			 CNIC_E_CANCELLED);
	close(p[0]);
	close(p[1]);
}
END_TEST

START_TEST(a_flood_on_stdout_is_an_error)
{
	ck_assert_int_eq(run("exec cat /dev/zero", "", 30000), -EFBIG);
	ck_assert_ptr_null(out);
}
END_TEST

START_TEST(a_flood_on_stderr_is_cut_and_ends_with_the_deadline)
{
	ck_assert_int_eq(run("head -c 3000000 /dev/zero >&2; echo ok", "", 30000), 0);
	ck_assert_str_eq(out, "ok\n");
	free(out);
	free(errout);
	out = errout = NULL;
	ck_assert_int_eq(run("exec cat /dev/zero >&2", "", 300), CNIC_E_TIMEOUT);
}
END_TEST

START_TEST(what_cannot_be_started_says_why)
{
	static const char *const env[] = { NULL };

	ck_assert_int_eq(
		run_default(NULL, at("bin/none"), env, "", 0, -1, &out, &out_len, &errout, &status),
		-ENOENT);
	put("bin/plain", "x");
	ck_assert_int_eq(chmod(at("bin/plain"), 0644), 0);
	ck_assert_int_eq(run_default(NULL, at("bin/plain"), env, "", 0, -1, &out, &out_len, &errout,
				     &status),
			 -EACCES);
}
END_TEST

START_TEST(closed_standard_descriptors_do_no_harm)
{
	int saved[3];

	for (int fd = 0; fd < 3; fd++) {
		saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 100);
		close(fd);
	}
	status = run("cat; echo e >&2", "in", -1);
	for (int fd = 0; fd < 3; fd++) {
		dup2(saved[fd], fd);
		close(saved[fd]);
	}
	ck_assert_int_eq(status, 0);
	ck_assert_str_eq(out, "in");
	ck_assert_str_eq(errout, "e\n");
}
END_TEST

RUN_TESTS_WITH("run", scratch_setup, done, input_environment_output_and_status_pass,
	       stdin_can_be_opened_again_by_name, a_program_that_ignores_its_input_is_fine,
	       the_child_inherits_nothing_else, ignored_signals_are_not_inherited,
	       a_signal_shows_in_the_status, the_deadline_takes_the_whole_process_group,
	       a_child_that_keeps_the_output_open_is_killed, without_a_deadline_it_is_given_a_few_seconds,
	       a_child_may_finish_the_answer, grandchildren_of_other_sessions_are_found,
	       the_children_of_a_program_killed_by_a_signal_die_and_the_signal_is_told,
	       a_daemon_of_a_call_that_went_well_stays, a_readable_descriptor_cancels,
	       a_flood_on_stdout_is_an_error,
	       a_flood_on_stderr_is_cut_and_ends_with_the_deadline, what_cannot_be_started_says_why,
	       closed_standard_descriptors_do_no_harm)
