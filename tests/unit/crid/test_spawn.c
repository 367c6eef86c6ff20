/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cbase/cleanup.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "errors.h"
#include "optime.h"
#include "spawn.h"

/* Check runs each case in a fork: the thread is made there. */
static void setup(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(spawn_init(), 0);
}

static size_t open_fds(void)
{
	_cleanup_closedir_ DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(d))
		n++;
	return n;
}

/* Not even a zombie: the reaper collects it, if not at once. */
static void no_child_is_left(void)
{
	siginfo_t info;
	int r = 0;

	for (int i = 0; i < 5000 && r == 0; i++) {
		r = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
		if (r == 0)
			usleep(1000);
	}
	ck_assert_int_eq(r, -1);
	ck_assert_int_eq(errno, ECHILD);
}

static const char *const sh_env[] = { "PATH=/usr/bin:/bin", NULL };

static int shell(const char *script, int timeout_ms, char **out, char **errout, int *status,
		 struct cb_error *err)
{
	const char *argv[] = { "sh", "-c", script, NULL };
	struct spawn s = SPAWN_INIT;

	s.path = "/bin/sh";
	s.argv = argv;
	s.env = sh_env;
	return spawn_run(&s, NULL, 0, 65536, timeout_ms, out, NULL, errout, NULL, status, err);
}

START_TEST(status_and_output_of_a_program_are_returned)
{
	_cleanup_free_ char *out = NULL, *errout = NULL;
	int status = -1;
	size_t fds = open_fds();

	ck_assert_int_eq(
		shell("echo hello; echo oops >&2; exit 7", -1, &out, &errout, &status, NULL), 0);
	ck_assert_str_eq(out, "hello\n");
	ck_assert_str_eq(errout, "oops\n");
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	ck_assert_uint_eq(open_fds(), fds);
}
END_TEST

START_TEST(failed_exec_is_its_errno)
{
	const char *argv[] = { "x", NULL };
	struct spawn s = SPAWN_INIT;
	struct cb_error err = { 0 };
	struct child *c = NULL;
	size_t fds = open_fds();

	s.path = "/nonexistent/program";
	s.argv = argv;
	ck_assert_int_eq(spawn_start(&s, &c, &err), -ENOENT);
	ck_assert_ptr_null(c);
	ck_assert_str_eq(err.message, "start /nonexistent/program: No such file or directory");
	s.path = "/";
	ck_assert_int_eq(spawn_start(&s, &c, &err), -EACCES);
	s.path = "/bin/true";
	s.cwd = "/nonexistent";
	ck_assert_int_eq(spawn_start(&s, &c, &err), -ENOENT);
	ck_assert_str_eq(err.message, "start /bin/true: /nonexistent: No such file or directory");
	s.cwd = NULL;
	s.path = "bin/true";
	ck_assert_int_eq(spawn_start(&s, &c, &err), -EINVAL);
	ck_assert_uint_eq(open_fds(), fds);
	no_child_is_left();
}
END_TEST

START_TEST(child_has_exactly_the_descriptors_named)
{
	int leak = open("/etc/passwd", O_RDONLY);	/* on purpose without close-on-exec */
	int other = open("/etc/group", O_RDONLY | O_CLOEXEC);
	const int fds[] = { other, -1, leak };
	const char *argv[] = { "sh", "-c",
			       "ls -l /proc/self/fd | sed -n 's/.* \\([0-9]*\\) -> /\\1 /p'",
			       NULL };
	_cleanup_free_ char *out = NULL;
	struct spawn s = SPAWN_INIT;

	ck_assert_int_ge(leak, 0);
	s.path = "/bin/sh";
	s.argv = argv;
	s.env = sh_env;
	s.fds = fds;
	s.n_fds = 3;
	ck_assert_int_eq(spawn_run(&s, NULL, 0, 65536, -1, &out, NULL, NULL, NULL, NULL, NULL), 0);
	ck_assert_ptr_nonnull(strstr(out, "0 /dev/null\n"));
	ck_assert_ptr_nonnull(strstr(out, "2 /dev/null\n"));
	ck_assert_ptr_nonnull(strstr(out, "3 /etc/group\n"));
	ck_assert_ptr_nonnull(strstr(out, "4 /dev/null\n"));
	ck_assert_ptr_nonnull(strstr(out, "5 /etc/passwd\n"));
	ck_assert_ptr_nonnull(strstr(out, "6 /proc/"));	/* ls's own */
	ck_assert_ptr_null(strstr(out, "\n7 "));
	close(leak);
	close(other);
}
END_TEST

START_TEST(descriptors_may_be_swapped)
{
	/* The sources are the very numbers that are targets of others. */
	int a = open("/etc/passwd", O_RDONLY | O_CLOEXEC),
	    b = open("/etc/group", O_RDONLY | O_CLOEXEC);
	const char *argv[] = { "sh", "-c", "readlink /proc/$$/fd/3 /proc/$$/fd/4 /proc/$$/fd/0",
			       NULL };
	_cleanup_free_ char *out = NULL;
	struct spawn s = SPAWN_INIT;
	int fds[2];

	ck_assert_int_eq(dup3(a, 104, O_CLOEXEC), 104);
	ck_assert_int_eq(dup3(b, 103, O_CLOEXEC), 103);
	ck_assert_int_ge(dup2(104, 4), 0);
	ck_assert_int_ge(dup2(103, 3), 0);
	fds[0] = 4;
	fds[1] = 3;
	s.path = "/bin/sh";
	s.argv = argv;
	s.env = sh_env;
	s.fds = fds;
	s.n_fds = 2;
	ck_assert_int_eq(spawn_run(&s, "", 0, 65536, -1, &out, NULL, NULL, NULL, NULL, NULL), 0);
	ck_assert_str_eq(out, "/etc/passwd\n/etc/group\n/dev/null\n");
}
END_TEST

START_TEST(signals_are_default_and_open_in_the_child)
{
	const char *argv[] = { "grep", "Sig", "/proc/self/status", NULL };
	_cleanup_free_ char *out = NULL;
	struct spawn s = SPAWN_INIT;

	/* SIGPIPE is ignored and SIGCHLD blocked here. */
	s.path = "/bin/grep";
	s.argv = argv;
	ck_assert_int_eq(spawn_run(&s, NULL, 0, 65536, -1, &out, NULL, NULL, NULL, NULL, NULL), 0);
	ck_assert_ptr_nonnull(strstr(out, "SigBlk:\t0000000000000000\n"));
	ck_assert_ptr_nonnull(strstr(out, "SigIgn:\t0000000000000000\n"));
}
END_TEST

START_TEST(environment_is_only_what_was_given)
{
	const char *argv[] = { "env", NULL };
	const char *env[] = { "A=1", "B=x y", NULL };
	_cleanup_free_ char *out = NULL, *none = NULL;
	struct spawn s = SPAWN_INIT;

	setenv("LEAK", "1", 1);
	s.path = "/usr/bin/env";
	s.argv = argv;
	s.env = env;
	ck_assert_int_eq(spawn_run(&s, NULL, 0, 65536, -1, &out, NULL, NULL, NULL, NULL, NULL), 0);
	ck_assert_str_eq(out, "A=1\nB=x y\n");
	s.env = NULL;
	ck_assert_int_eq(spawn_run(&s, NULL, 0, 65536, -1, &none, NULL, NULL, NULL, NULL, NULL), 0);
	ck_assert_str_eq(none, "");
}
END_TEST

START_TEST(cgroup_files_are_written_before_exec)
{
	char path[] = "/tmp/test-spawn-XXXXXX";
	int fd = mkstemp(path);
	const char *procs[] = { path, NULL };
	const char *argv[] = { "cat", path, NULL };
	_cleanup_free_ char *out = NULL;
	struct spawn s = SPAWN_INIT;
	struct cb_error err = { 0 };

	ck_assert_int_ge(fd, 0);
	s.path = "/bin/cat";
	s.argv = argv;
	s.cgroup_procs = procs;
	ck_assert_int_eq(spawn_run(&s, NULL, 0, 65536, -1, &out, NULL, NULL, NULL, NULL, &err), 0);
	ck_assert_str_eq(out, "0");
	unlink(path);
	close(fd);
	ck_assert_int_eq(spawn_run(&s, NULL, 0, 65536, -1, &out, NULL, NULL, NULL, NULL, &err),
			 -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.message, path));
}
END_TEST

START_TEST(input_reaches_the_program_and_may_be_ignored)
{
	const char *argv[] = { "cat", NULL }, *deaf[] = { "true", NULL };
	_cleanup_free_ char *big = malloc(300000), *out = NULL;
	struct spawn s = SPAWN_INIT;
	size_t len = 0;
	int status = -1;

	memset(big, 'x', 300000);
	s.path = "/bin/cat";
	s.argv = argv;
	ck_assert_int_eq(spawn_run(&s, big, 300000, 400000, -1, &out, &len, NULL, NULL, NULL, NULL),
			 0);
	ck_assert_uint_eq(len, 300000);
	ck_assert_mem_eq(out, big, 300000);
	/* Even with SIGPIPE at its default. */
	signal(SIGPIPE, SIG_DFL);
	s.path = "/bin/true";
	s.argv = deaf;
	ck_assert_int_eq(spawn_run(&s, big, 300000, 10, -1, NULL, NULL, NULL, NULL, &status, NULL),
			 0);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(output_is_cut_at_the_limit_and_the_program_still_ends)
{
	const char *argv[] = { "sh", "-c", "head -c 5000000 /dev/zero; echo end >&2", NULL };
	_cleanup_free_ char *out = NULL, *errout = NULL;
	struct spawn s = SPAWN_INIT;
	size_t len = 0;
	int status = -1;

	s.path = "/bin/sh";
	s.argv = argv;
	s.env = sh_env;
	ck_assert_int_eq(spawn_run(&s, NULL, 0, 1000, -1, &out, &len, &errout, NULL, &status, NULL),
			 0);
	ck_assert_uint_eq(len, 1000);
	ck_assert_int_eq(status, 0);
	ck_assert_str_eq(errout, "end\n");
}
END_TEST

START_TEST(status_of_a_killed_program_names_its_signal)
{
	int status = 0;

	ck_assert_int_eq(shell("kill -9 $$", -1, NULL, NULL, &status, NULL), 0);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !WCOREDUMP(status));
	ck_assert_int_eq(shell("kill -SEGV $$", -1, NULL, NULL, &status, NULL), 0);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	ck_assert_int_eq(shell("exit 255", -1, NULL, NULL, &status, NULL), 0);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 255);
}
END_TEST

START_TEST(deadline_kills_the_whole_group)
{
	char path[] = "/tmp/test-spawn-XXXXXX", script[256];
	int fd = mkstemp(path);
	_cleanup_free_ char *text = NULL;
	struct cb_error err = { 0 };
	int64_t before = mono_ns();

	snprintf(script, sizeof(script), "sleep 1000 & echo $! > %s; echo x; wait", path);
	ck_assert_int_eq(shell(script, 300, NULL, NULL, NULL, &err), E_DEADLINE);
	ck_assert_int_lt(mono_ns() - before, INT64_C(5000000000));
	ck_assert_str_eq(err.message, "/bin/sh did not finish within 300 ms and was killed");
	ck_assert_int_eq(read_fd(fd, 100, &text, NULL), 0);
	/*
	 * Killed; and, being our orphan, collected by the reaper: wait for its pidfd if it is
	 * still there.
	 */
	fd = (int)syscall(SYS_pidfd_open, atoi(text), 0);
	if (fd >= 0)
		ck_assert_int_eq(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 5000), 1);
	unlink(path);
}
END_TEST

START_TEST(endless_output_does_not_escape_the_deadline)
{
	_cleanup_free_ char *out = NULL;

	ck_assert_int_eq(shell("exec yes", 200, &out, NULL, NULL, NULL), E_DEADLINE);
	ck_assert_ptr_null(out);
}
END_TEST

START_TEST(background_process_holding_stdout_does_not_block)
{
	_cleanup_free_ char *out = NULL;
	int64_t before = mono_ns();
	int status = -1;

	ck_assert_int_eq(shell("sleep 1000 & echo $!", 60000, &out, NULL, &status, NULL), 0);
	ck_assert_int_lt(mono_ns() - before, INT64_C(30000000000));
	ck_assert_int_eq(status, 0);
	ck_assert_int_gt(atoi(out), 1);
	kill(atoi(out), SIGKILL);
}
END_TEST

START_TEST(endless_background_writer_does_not_block)
{
	_cleanup_free_ char *out = NULL, *errout = NULL;

	ck_assert_int_eq(shell("yes & echo $! >&2", 60000, &out, &errout, NULL, NULL), 0);
	ck_assert_int_gt(atoi(errout), 1);
	kill(atoi(errout), SIGKILL);
}
END_TEST

START_TEST(wait_times_out_and_then_finds_the_status)
{
	const char *argv[] = { "sleep", "1000", NULL };
	struct spawn s = SPAWN_INIT;
	struct child *c;
	int status = 0;
	char text[64];

	s.path = "/bin/sleep";
	s.argv = argv;
	ck_assert_int_eq(spawn_start(&s, &c, NULL), 0);
	ck_assert_int_gt(child_pid(c), 1);
	ck_assert_int_eq(child_wait(c, 50, &status), E_DEADLINE);
	ck_assert_int_eq(child_kill(c, SIGTERM), 0);
	ck_assert_int_eq(poll(&(struct pollfd){ .fd = child_pidfd(c), .events = POLLIN }, 1, 10000),
			 1);
	ck_assert_int_eq(child_wait(c, 10000, &status), 0);
	ck_assert_str_eq(wait_status_text(status, text), "killed by signal 15 (Terminated)");
	no_child_is_left();
	/* The number is free now: nothing is sent to whoever has it. */
	child_kill_group(c, SIGKILL);
	ck_assert_int_eq(child_kill(c, 0), -ESRCH);
	ck_assert_int_eq(child_wait(c, 0, &status), 0);
	ck_assert_int_eq(status, SIGTERM);
	child_free(c);
}
END_TEST

START_TEST(life_of_a_child_is_time_of_its_operation)
{
	_cleanup_free_ char *out = NULL;
	int64_t begun = mono_ns(), covered, elapsed;
	int status;

	optime_begin();
	/* the shell says when it was there, and again before it goes */
	ck_assert_int_eq(shell("date +%s%N; date +%s%N", 10000, &out, NULL, &status, NULL), 0);
	covered = optime_end();
	elapsed = mono_ns() - begun;
	ck_assert_int_ge(covered, strtoll(strchr(out, '\n'), NULL, 10) - strtoll(out, NULL, 10));
	ck_assert_int_gt(covered, 0);
	ck_assert_int_lt(covered, elapsed);
}
END_TEST

START_TEST(freed_child_is_still_collected)
{
	const char *argv[] = { "sleep", "1000", NULL };
	struct spawn s = SPAWN_INIT;
	struct child *c;
	int fd;

	s.path = "/bin/sleep";
	s.argv = argv;
	ck_assert_int_eq(spawn_start(&s, &c, NULL), 0);
	fd = dup(child_pidfd(c));
	child_kill(c, SIGKILL);
	child_free(c);
	/* Collected: not even a zombie can be signalled. */
	for (int i = 0; i < 1000 && syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == 0; i++)
		usleep(1000);
	ck_assert_int_eq(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), -1);
	ck_assert_int_eq(errno, ESRCH);
}
END_TEST

static void *start_many(void *arg)
{
	const char *argv[] = { "true", NULL };
	struct spawn s = SPAWN_INIT;
	long bad = 0;

	s.path = "/bin/true";
	s.argv = argv;
	for (int i = 0; i < 100; i++) {
		struct child *c;
		int status = -1;

		if (spawn_start(&s, &c, NULL))
			return (void *)1000L;
		/* No status may be lost, however fast it dies. */
		if (child_wait(c, 20000, &status) || status != 0)
			bad++;
		child_free(c);
	}
	return (void *)bad;
}

START_TEST(many_threads_lose_no_status)
{
	pthread_t t[8];
	size_t fds = open_fds();

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, start_many, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		void *bad;

		pthread_join(t[i], &bad);
		ck_assert_ptr_null(bad);
	}
	ck_assert_uint_eq(open_fds(), fds);
}
END_TEST

START_TEST(orphans_are_collected)
{
	_cleanup_free_ char *out = NULL;
	char text[64];
	pid_t pid;

	/* The grandchild becomes ours (subreaper) and ends when its input does. */
	ck_assert_int_eq(shell("sleep 0.05 & echo $!", -1, &out, NULL, NULL, NULL), 0);
	pid = atoi(out);
	for (int i = 0; i < 5000 && kill(pid, 0) == 0; i++)
		usleep(1000);
	ck_assert_int_eq(kill(pid, 0), -1);
	ck_assert_str_eq(wait_status_text(0, text), "exit status 0");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("spawn");
	TCase *t = tcase_create("spawn");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, status_and_output_of_a_program_are_returned);
	tcase_add_test(t, failed_exec_is_its_errno);
	tcase_add_test(t, child_has_exactly_the_descriptors_named);
	tcase_add_test(t, descriptors_may_be_swapped);
	tcase_add_test(t, signals_are_default_and_open_in_the_child);
	tcase_add_test(t, environment_is_only_what_was_given);
	tcase_add_test(t, cgroup_files_are_written_before_exec);
	tcase_add_test(t, input_reaches_the_program_and_may_be_ignored);
	tcase_add_test(t, output_is_cut_at_the_limit_and_the_program_still_ends);
	tcase_add_test(t, status_of_a_killed_program_names_its_signal);
	tcase_add_test(t, deadline_kills_the_whole_group);
	tcase_add_test(t, endless_output_does_not_escape_the_deadline);
	tcase_add_test(t, background_process_holding_stdout_does_not_block);
	tcase_add_test(t, endless_background_writer_does_not_block);
	tcase_add_test(t, wait_times_out_and_then_finds_the_status);
	tcase_add_test(t, life_of_a_child_is_time_of_its_operation);
	tcase_add_test(t, freed_child_is_still_collected);
	tcase_add_test(t, many_threads_lose_no_status);
	tcase_add_test(t, orphans_are_collected);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
