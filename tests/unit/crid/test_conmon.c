/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handshake and the parsers against monitors that are shell scripts: slow, silent, talkative and
 * dying ones. test_conmon_real.c has the real one.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "conmon_private.h"
#include "errors.h"
#include "reaper.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char dir[64], monitor[128], bundle[128], persist[128], log_path[128];
static char exits[] = "/exits", runtime[] = "/usr/bin/runtime", root[] = "/root", name[] = "fake";
static struct runtime_handler handler;
static struct config config;
static struct cb_error error;

static const char *path_of(const char *file)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return path;
}

static void put(const char *file, const char *text, mode_t mode)
{
	ck_assert_int_eq(write_file(path_of(file), mode, text, strlen(text), 0), 0);
}

static void setup(void)
{
	strcpy(dir, "/tmp/crid-conmon-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	strcpy(monitor, path_of("conmon"));
	strcpy(bundle, path_of("bundle"));
	strcpy(persist, path_of("persist"));
	strcpy(log_path, path_of("log"));
	ck_assert_int_eq(mkdir(bundle, 0700), 0);
	ck_assert_int_eq(mkdir(persist, 0700), 0);
	handler = (struct runtime_handler){
		.name = name,
		.runtime_path = runtime,
		.runtime_root = root,
		.monitor_path = monitor,
		.container_create_timeout = 60,
	};
	config = (struct config){
		.container_exits_dir = exits,
		.container_attach_socket_dir = dir,
		.log_size_max = -1,
	};
	reaper_start();
}

static void teardown(void)
{
	ck_assert_int_eq(rm_rf_at(AT_FDCWD, dir), 0);
}

/* The monitor: notes its arguments and environment, waits for the start byte, then does this. */
static void monitor_does(const char *script)
{
	_cleanup_free_ char *text = strf("#!/bin/bash\n"
					 "printf '%%s\\n' \"$*\" >%s/args\n"
					 "env | sort | grep -v -e ^_= -e ^PWD= -e ^SHLVL= >%s/env\n"
					 "[[ $1 == --help ]] && { echo '  --sync  x'; echo '  "
					 "--log-global-size-max  x'; exit; }\n"
					 "while (( $# )); do case $1 in -P) P=$2;; -p) p=$2;; -l) "
					 "l=$2;; --exec-process-spec) s=$2;; esac; shift; done\n"
					 "head -c 1 <&4 >/dev/null\n"
					 "%s\n",
					 dir, dir, script);

	put("conmon", text, 0755);
}

static struct conmon_create creation(void)
{
	return (struct conmon_create){
		.config = &config,
		.handler = &handler,
		.id = ID,
		.name = "k8s_name",
		.bundle = bundle,
		.persist_dir = persist,
		.log_path = log_path,
	};
}

static struct process_id init_id, monitor_id;

static int create(void)
{
	struct conmon_create c = creation();

	return conmon_create(&c, &init_id, &monitor_id, &error);
}

/* Processes with the word in their command line. */
static int count_of(const char *word)
{
	_cleanup_closedir_ DIR *d = opendir("/proc");
	struct dirent *e;
	int n = 0;

	while ((e = readdir(d))) {
		_cleanup_free_ char *text = NULL, *path = strf("/proc/%s/cmdline", e->d_name);
		size_t len;

		if (e->d_name[0] < '0' || e->d_name[0] > '9' || read_file(path, 65536, &text, &len))
			continue;
		n += memmem(text, len, word, strlen(word)) != NULL;
	}
	return n;
}

START_TEST(create_gives_both_processes)
{
	_cleanup_free_ char *args = NULL, *env = NULL, *want = NULL;
	uint64_t now;

	setenv("PATH", "/usr/bin:/bin", 1);
	setenv("SECRET", "x", 1);
	unsetenv("XDG_RUNTIME_DIR");
	monitor_does("sleep 1000 & i=$!; (echo $BASHPID >$P; echo \"{\\\"pid\\\": $i}\" >&3; exec "
		     "sleep 1000) &\n"
		     "while ! [ -s $P ]; do :; done; exit 0");
	put("bundle/conmon-pidfile", "1", 0644);
	ck_assert_msg(create() == 0, "%s", error.message);
	ck_assert_int_eq(process_start_time(init_id.pid, &now), 0);
	ck_assert_uint_eq(now, init_id.start_time);
	ck_assert_int_eq(process_start_time(monitor_id.pid, &now), 0);
	ck_assert_uint_eq(now, monitor_id.start_time);
	ck_assert_int_ne(monitor_id.pid, init_id.pid);
	kill(init_id.pid, SIGKILL);
	kill(monitor_id.pid, SIGKILL);
	ck_assert_int_eq(read_file(path_of("args"), 4096, &args, NULL), 0);
	want = strf("-b %s -c " ID
		    " --exit-dir /exits -l %s --log-level info -n k8s_name -P %s/conmon-pidfile "
		    "-p %s/pidfile --persist-dir %s -r /usr/bin/runtime --runtime-arg --root=/root "
		    "--socket-dir-path %s --syslog -u " ID "\n",
		    bundle, log_path, bundle, bundle, persist, dir);
	ck_assert_str_eq(args, want);
	ck_assert_int_eq(read_file(path_of("env"), 4096, &env, NULL), 0);
	ck_assert_str_eq(
		env, "CRI_O_EXTERNAL=1\nPATH=/usr/bin:/bin\n_OCI_STARTPIPE=4\n_OCI_SYNCPIPE=3\n");
}
END_TEST

static void args_end_with(const char *want)
{
	_cleanup_free_ char *args = NULL;

	create();
	ck_assert_int_eq(read_file(path_of("args"), 4096, &args, NULL), 0);
	args[strcspn(args, "\n")] = '\0';
	ck_assert_msg(str_ends(args, want), "%s", args);
}

START_TEST(options_become_arguments)
{
	struct conmon_create c = creation();
	_cleanup_free_ char *args = NULL;

	monitor_does("exit 1");
	config.log_size_max = 65536;
	config.no_pivot = true;
	args_end_with(" -u " ID " --log-size-max 65536 --no-pivot");
	c.stdin = true;
	ck_assert_int_eq(conmon_create(&c, &init_id, &monitor_id, &error), E_FAILED);
	ck_assert_int_eq(read_file(path_of("args"), 4096, &args, NULL), 0);
	ck_assert(str_ends(args, " --no-pivot --leave-stdin-open -i\n"));
	free(take(args));
	c.stdin_once = true;
	conmon_create(&c, &init_id, &monitor_id, &error);
	ck_assert_int_eq(read_file(path_of("args"), 4096, &args, NULL), 0);
	ck_assert(str_ends(args, " --no-pivot -i\n"));
	free(take(args));
	c.tty = true;
	conmon_create(&c, &init_id, &monitor_id, &error);
	ck_assert_int_eq(read_file(path_of("args"), 4096, &args, NULL), 0);
	ck_assert(str_ends(args, " --no-pivot -t\n"));
}
END_TEST

START_TEST(runtime_message_is_reported)
{
	monitor_does("echo $BASHPID >$P; touch $l\n"
		     "echo '{\"pid\": -1, \"message\": \"time=\\\"x\\\" level=error msg=\\\"no "
		     "such file\\\"\\n\"}' >&3; exit 0");
	ck_assert_int_eq(create(), E_FAILED);
	ck_assert_str_eq(error.message, "container create failed: no such file");
	ck_assert_int_ne(access(log_path, F_OK), 0);
	monitor_does("echo 'not json' >&3; exit 0");
	ck_assert_int_eq(create(), E_FAILED);
	ck_assert_str_eq(error.message, "container create failed: not json");
}
END_TEST

START_TEST(dying_monitor_is_reported_with_its_stderr)
{
	monitor_does("echo '[conmon:e]: Failed to open log' >&2; exit 1");
	ck_assert_int_eq(create(), E_FAILED);
	ck_assert_str_eq(
		error.message,
		"container create failed: conmon: exit status 1: [conmon:e]: Failed to open log");
	monitor_does("echo 'gave up' >&2; exit 0");
	ck_assert_int_eq(create(), E_FAILED);
	ck_assert_str_eq(error.message,
			 "container create failed: conmon: ended without a message: gave up");
	monitor_does("kill -9 $$");
	ck_assert_int_eq(create(), E_FAILED);
	ck_assert_str_eq(error.message,
			 "container create failed: conmon: killed by signal 9 (Killed)");
}
END_TEST

START_TEST(endless_message_is_refused)
{
	monitor_does("(echo $BASHPID >$P; exec tr '\\0' x </dev/zero >&3) & while ! [ -s $P ]; do "
		     ":; done; exit 0");
	ck_assert_int_eq(create(), E_FAILED);
	ck_assert_ptr_nonnull(strstr(error.message, "too long"));
}
END_TEST

START_TEST(impossible_pids_are_refused)
{
	static const char *const bad[] = {
		"0", "1", "-5", "99999999999", "1e3", "\\\"5\\\"", "null"
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_free_ char *script =
			strf("echo $BASHPID >$P; echo \"{\\\"pid\\\": %s}\" >&3; exit 0", bad[i]);

		monitor_does(script);
		ck_assert_msg(create() == E_FAILED, "%s", bad[i]);
	}
	/* a process that does not exist */
	monitor_does("echo $$ >$P; echo '{\"pid\": 4194304}' >&3; exit 0");
	ck_assert_int_eq(create(), -ESRCH);
}
END_TEST

START_TEST(nothing_lives_after_the_deadline)
{
	/* conmon before its fork, with children in groups of their own */
	handler.container_create_timeout = 1;
	monitor_does("set -m; sleep 4711.1 & (sleep 4711.1 & sleep 4711.1 & wait) & sleep 4711.1");
	ck_assert_int_eq(create(), E_DEADLINE);
	ck_assert_int_eq(count_of("4711.1"), 0);
	ck_assert_int_eq(count_of(monitor), 0);
}
END_TEST

START_TEST(nothing_lives_after_the_deadline_in_the_background)
{
	/* conmon after its fork, with a runtime that does not end */
	handler.container_create_timeout = 1;
	monitor_does("(echo $BASHPID >$P; setsid sleep 4711.2 & wait) & while ! [ -s $P ]; do :; "
		     "done; exit 0");
	ck_assert_int_eq(create(), E_DEADLINE);
	ck_assert_int_eq(count_of("4711.2"), 0);
	ck_assert_int_eq(count_of(monitor), 0);
}
END_TEST

START_TEST(orphans_of_a_dead_monitor_are_killed)
{
	/* the monitor dies and leaves the container, known from its pid file */
	monitor_does("(echo $BASHPID >$P; setsid sleep 4711.3 3>&- & echo $! >$p; kill -9 "
		     "$BASHPID) & exec 3>&-; wait; exit 0");
	ck_assert_int_eq(create(), E_FAILED);
	ck_assert_int_eq(count_of("4711.3"), 0);
}
END_TEST

START_TEST(pid_files_of_others_kill_nobody)
{
	_cleanup_free_ char *script =
		strf("echo %d >$P; echo %d >$p; exit 1", (int)getppid(), (int)getppid());

	monitor_does(script);
	ck_assert_int_eq(create(), E_FAILED);
	ck_assert_int_eq(kill(getppid(), 0), 0);
}
END_TEST

START_TEST(log_path_with_a_colon_is_invalid)
{
	struct conmon_create c = creation();

	monitor_does("exit 1");
	c.log_path = "/tmp/a:b";
	ck_assert_int_eq(conmon_create(&c, &init_id, &monitor_id, &error), E_INVALID);
	c.log_path = "journald:";
	ck_assert_int_eq(conmon_create(&c, &init_id, &monitor_id, &error), E_INVALID);
}
END_TEST

/* ---- exec ---- */

static struct conmon_exec_run *exec_start(int64_t timeout)
{
	struct conmon_exec c = {
		.config = &config,
		.handler = &handler,
		.id = ID,
		.name = "k8s_name",
		.process = "{\"args\":[]}",
		.process_len = 11,
		.timeout = timeout,
		.bundle = bundle,
	};
	struct conmon_exec_run *run = NULL;
	int r = conmon_exec_start(&c, &run, &error);

	ck_assert_msg(r == 0, "%s", error.message);
	return run;
}

static int exec_result(const char *script, struct exec_result *ret)
{
	struct conmon_exec_run *run;
	struct pollfd p = { .events = POLLIN };

	monitor_does(script);
	run = exec_start(0);
	p.fd = child_pidfd(conmon_exec_child(run));
	while (poll(&p, 1, -1) < 0)
		;
	return conmon_exec_finish(run, ret, &error);
}

static size_t entries(const char *path)
{
	_cleanup_closedir_ DIR *d = opendir(path);
	size_t n = 0;

	while (readdir(d))
		n++;
	return n;
}

START_TEST(exec_gives_code_and_output)
{
	struct exec_result res;

	ck_assert_int_eq(exec_result("t=2026-11-23T21:05:05.123456789+00:00\n"
				     "{ echo \"$t stdout P a\"; echo \"$t stderr F oops\"; echo "
				     "\"$t stdout F b\";\n"
				     "  echo \"$t stdout P end\"; } >$l\n"
				     "[ \"$(cat $s)\" = '{\"args\":[]}' ] && echo '{\"exit_code\": "
				     "3, \"message\": \"\"}' >&3\n"
				     "exit 3",
				     &res),
			 0);
	ck_assert_int_eq(res.exit_code, 3);
	ck_assert_str_eq(res.out, "ab\nend");
	ck_assert_uint_eq(res.out_len, 6);
	ck_assert_str_eq(res.errout, "oops\n");
	exec_result_done(&res);
	ck_assert_uint_eq(entries(bundle), 2);
}
END_TEST

START_TEST(exec_has_crio_arguments)
{
	_cleanup_free_ char *args = NULL, *want = NULL, *d = NULL;
	struct exec_result res;
	const char *at;

	ck_assert_int_eq(exec_result("echo '{\"exit_code\": 0}' >&3; stat -c %a ${l%/*} >&2", &res),
			 0);
	exec_result_done(&res);
	ck_assert_int_eq(read_file(path_of("args"), 4096, &args, NULL), 0);
	at = strstr(args, "/exec-");
	ck_assert_ptr_nonnull(at);
	d = strf("%s/exec-%.6s", bundle, at + 6);
	want = strf(
		"-c " ID
		" -n k8s_name -r /usr/bin/runtime -p %s/pidfile -e -l %s/log --socket-dir-path %s "
		"--log-level info --sync --log-global-size-max 16777216 --exec-process-spec "
		"%s/process.json "
		"--runtime-arg --root=/root\n",
		d, d, dir, d);
	ck_assert_str_eq(args, want);
}
END_TEST

START_TEST(exec_timeout_is_a_result)
{
	struct exec_result res;

	ck_assert_int_eq(exec_result("echo '{\"exit_code\": -1, \"message\": \"command timed "
				     "out\"}' >&3; exit 255",
				     &res),
			 0);
	ck_assert_int_eq(res.exit_code, -1);
	ck_assert_str_eq(res.errout, "command timed out");
	ck_assert_uint_eq(res.out_len, 0);
	exec_result_done(&res);
}
END_TEST

START_TEST(exec_failure_has_the_reason)
{
	struct exec_result res;

	ck_assert_int_eq(exec_result("echo '{\"exit_code\": -1, \"message\": \"exec failed: no "
				     "sh\\n\"}' >&3; exit 255",
				     &res),
			 E_FAILED);
	ck_assert_str_eq(error.message, "exec: exec failed: no sh");
	ck_assert_int_eq(exec_result("exit 7", &res), E_FAILED);
	ck_assert_str_eq(error.message, "exec: conmon ended without a result: exit status 7");
	ck_assert_int_eq(exec_result("echo '{\"exit_code\": 256}' >&3", &res), E_FAILED);
}
END_TEST

START_TEST(exec_result_does_not_wait_for_orphans)
{
	struct exec_result res;

	/* someone else keeps the socket open */
	ck_assert_int_eq(exec_result("sleep 1000 & echo $! >${l%/bundle*}/orphan; exit 0", &res),
			 E_FAILED);
	{
		_cleanup_free_ char *pid = NULL;

		ck_assert_int_eq(read_file(path_of("orphan"), 64, &pid, NULL), 0);
		kill(atoi(pid), SIGKILL);
	}
}
END_TEST

START_TEST(killed_exec_leaves_nothing)
{
	struct exec_result res;
	struct conmon_exec_run *run;
	size_t before = open_fds();

	monitor_does("setsid sleep 4711.4 & echo $! >$p; wait");
	run = exec_start(0);
	while (count_of("4711.4") == 0)
		;
	conmon_exec_kill(run);
	ck_assert_int_eq(count_of("4711.4"), 0);
	conmon_exec_kill(run);
	ck_assert_int_eq(conmon_exec_finish(run, &res, &error), E_FAILED);
	ck_assert_str_eq(error.message,
			 "exec: conmon ended without a result: killed by signal 9 (Killed)");
	ck_assert_uint_eq(entries(bundle), 2);
	ck_assert_uint_eq(open_fds(), before);
}
END_TEST

START_TEST(finish_of_a_living_exec_kills_it)
{
	struct exec_result res;
	struct conmon_exec_run *run;

	monitor_does("exec sleep 4711.5");
	run = exec_start(0);
	ck_assert_int_eq(conmon_exec_finish(run, &res, &error), E_FAILED);
	ck_assert_int_eq(count_of("4711.5"), 0);
}
END_TEST

/* ---- parsers ---- */

static int split(const char *text, size_t n, size_t limit, struct str *out, struct str *errout)
{
	int fd, r;

	put("split", "", 0600);
	fd = open(path_of("split"), O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(write_all(fd, text, n), 0);
	lseek(fd, 0, SEEK_SET);
	r = conmon_log_split(fd, limit, out, errout);
	close_fd(fd);
	return r;
}

START_TEST(log_is_split_byte_exactly)
{
	static const char text[] = "t stdout F a b  c\n"
				   "t stderr P:x e\n"
				   "t stdout P \0nul\n"
				   "t stdout F \n"
				   "garbage\n"
				   "t stdout\n"
				   "t stdin F no\n"
				   "t stdout X no\n"
				   "t stdout Fx no\n"
				   "\n"
				   "t stderr F:tag \xff\n"
				   "t stdout P last";
	_cleanup_str_ struct str out = STR_INIT, errout = STR_INIT;
	static const char want[] = "a b  c\n\0nul\nlast";

	ck_assert_int_eq(split(text, sizeof(text) - 1, 1 << 20, &out, &errout), 0);
	ck_assert_uint_eq(out.len, sizeof(want) - 1);
	ck_assert_mem_eq(out.data, want, sizeof(want) - 1);
	ck_assert_str_eq(errout.data, "e\xff\n");
}
END_TEST

START_TEST(log_is_read_up_to_the_limit)
{
	_cleanup_str_ struct str out = STR_INIT, errout = STR_INIT;

	ck_assert_int_eq(split("t stdout F abc\nt stdout F def\n", 30, 28, &out, &errout), 0);
	ck_assert_str_eq(out.data, "abc\nde");
	str_reset(&out);
	ck_assert_int_eq(split("t stdout F abc\nt stdout F def\n", 30, 20, &out, &errout), 0);
	ck_assert_str_eq(out.data, "abc\n");
}
END_TEST

START_TEST(message_comes_in_pieces)
{
	_cleanup_str_ struct str text = STR_INIT;
	int p[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
	ck_assert_int_eq(write_all(p[1], "{\"pid\"", 6), 0);
	ck_assert_int_eq(conmon_message_read(p[0], 0, &text), E_DEADLINE);
	ck_assert_int_eq(conmon_message_read(p[0], mono_ns() + 10000000, &text), E_DEADLINE);
	ck_assert_int_eq(write_all(p[1], ":7}\n", 4), 0);
	ck_assert_int_eq(conmon_message_read(p[0], 0, &text), 0);
	ck_assert_str_eq(text.data, "{\"pid\":7}\n");
	close(p[0]);
	close(p[1]);
}
END_TEST

static int exit_of(const char *text)
{
	int code = -1;
	int64_t when;
	int r;

	put("persist/exit", text, 0644);
	r = conmon_exit_code(persist, &code, &when, &error);
	return r ? -1000 - r : code;
}

START_TEST(exit_code_is_read_strictly)
{
	int64_t when = 0, now = now_ns();
	int code;

	ck_assert_int_eq(conmon_exit_code(persist, &code, &when, &error), E_NOT_FOUND);
	ck_assert_int_eq(exit_of("0"), 0);
	ck_assert_int_eq(exit_of("137"), 137);
	ck_assert_int_eq(exit_of("137\n"), 137);
	ck_assert_int_eq(exit_of(""), -1000 - E_INVALID);
	ck_assert_int_eq(exit_of("256"), -1000 - E_INVALID);
	ck_assert_int_eq(exit_of("-1"), -1000 - E_INVALID);
	ck_assert_int_eq(exit_of("1x"), -1000 - E_INVALID);
	put("persist/exit", "1", 0644);
	ck_assert_int_eq(conmon_exit_code(persist, &code, &when, &error), 0);
	ck_assert(when > now - 60000000000 && when < now + 60000000000);
}
END_TEST

START_TEST(oom_is_seen_in_either_directory)
{
	ck_assert(!conmon_oom(bundle, persist));
	put("persist/oom", "", 0644);
	ck_assert(conmon_oom(bundle, persist));
	unlink(path_of("persist/oom"));
	put("bundle/oom", "", 0644);
	ck_assert(conmon_oom(bundle, persist));
}
END_TEST

START_TEST(descriptors_are_not_leaked)
{
	size_t before = open_fds();

	monitor_does("exit 1");
	for (int i = 0; i < 3; i++)
		create();
	handler.monitor_path = runtime;
	ck_assert_int_lt(create(), 0);
	ck_assert_uint_eq(open_fds(), before);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conmon");
	TCase *t = tcase_create("conmon");
	SRunner *run;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, create_gives_both_processes);
	tcase_add_test(t, options_become_arguments);
	tcase_add_test(t, runtime_message_is_reported);
	tcase_add_test(t, dying_monitor_is_reported_with_its_stderr);
	tcase_add_test(t, endless_message_is_refused);
	tcase_add_test(t, impossible_pids_are_refused);
	tcase_add_test(t, nothing_lives_after_the_deadline);
	tcase_add_test(t, nothing_lives_after_the_deadline_in_the_background);
	tcase_add_test(t, orphans_of_a_dead_monitor_are_killed);
	tcase_add_test(t, pid_files_of_others_kill_nobody);
	tcase_add_test(t, log_path_with_a_colon_is_invalid);
	tcase_add_test(t, exec_gives_code_and_output);
	tcase_add_test(t, exec_has_crio_arguments);
	tcase_add_test(t, exec_timeout_is_a_result);
	tcase_add_test(t, exec_failure_has_the_reason);
	tcase_add_test(t, exec_result_does_not_wait_for_orphans);
	tcase_add_test(t, killed_exec_leaves_nothing);
	tcase_add_test(t, finish_of_a_living_exec_kills_it);
	tcase_add_test(t, log_is_split_byte_exactly);
	tcase_add_test(t, log_is_read_up_to_the_limit);
	tcase_add_test(t, message_comes_in_pieces);
	tcase_add_test(t, exit_code_is_read_strictly);
	tcase_add_test(t, oom_is_seen_in_either_directory);
	tcase_add_test(t, descriptors_are_not_leaked);
	suite_add_tcase(s, t);
	run = srunner_create(s);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? 1 : 0;
}
