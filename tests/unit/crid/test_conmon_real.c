/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's life with the real conmon and each real runtime: created, started, executed in, timed
 * out, killed, deleted. Needs root, conmon, runc or crun, and a static busybox; skipped otherwise.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "conmon.h"
#include "errors.h"
#include "proctree.h"
#include "reaper.h"
#include "runtime.h"

static char runc[] = "/usr/bin/runc", crun[] = "/usr/bin/crun", conmon[] = "/usr/bin/conmon";
static char *const runtimes[] = { runc, crun };
static char env_path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
static char *monitor_env[] = { env_path, NULL };

static char dir[64], id[65], root[128], bundle[128], persist[128], exits[128], log_path[128];
static struct runtime_handler handler;
static struct config config;
static struct cb_error error;
static struct process_id init_id, monitor_id;

static const char *path_of(const char *file)
{
	static char path[4][256];
	static int i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "%s/%s", dir, file);
	return path[i];
}

#define OK(call)                                                                                   \
	do {                                                                                       \
		int r_ = (call);                                                                   \
                                                                                                   \
		ck_assert_msg(r_ == 0, #call " gave %d: %s", r_, error.message);                   \
	} while (0)

static void write_config(const char *args, const char *hooks, bool tty)
{
	_cleanup_free_ char *text = strf(
		"{\"ociVersion\":\"1.0.2\",\"process\":{\"terminal\":%s,\"user\":{\"uid\":0,"
		"\"gid\":0},\"args\":%s,"
		"\"env\":[\"PATH=/bin\"],\"cwd\":\"/"
		"\"},\"root\":{\"path\":\"rootfs\"},\"hostname\":\"test\",%s"
		"\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
		"{\"destination\":\"/"
		"dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":[\"mode=755\"]},"
		"{\"destination\":\"/dev/"
		"pts\",\"type\":\"devpts\",\"source\":\"devpts\",\"options\":[\"newinstance\","
		"\"ptmxmode=0666\"]}],"
		"\"linux\":{\"cgroupsPath\":\"/"
		"crid-test-%s\",\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},"
		"{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"network\"}]}}",
		tty ? "true" : "false", args, hooks, id);

	ck_assert_int_eq(write_file(path_of("bundle/config.json"), 0600, text, strlen(text), 0), 0);
}

static void make_rootfs(void)
{
	static const char *const dirs[] = {
		"bundle",
		"bundle/rootfs",
		"bundle/rootfs/bin",
		"bundle/rootfs/proc",
		"bundle/rootfs/dev",
		"bundle/rootfs/tmp",
		"persist",
		"exits",
		"attach",
		"root",
	};
	static const char *const applets[] = { "sh", "sleep", "cat", "echo", "head",
					       "tr", "true",  "seq", "yes" };
	_cleanup_free_ char *busybox = NULL;
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		ck_assert_int_eq(mkdir(path_of(dirs[i]), 0755), 0);
	ck_assert_int_eq(read_file("/bin/busybox", 64u << 20, &busybox, &n), 0);
	ck_assert_int_eq(write_file(path_of("bundle/rootfs/bin/busybox"), 0755, busybox, n, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(applets); i++) {
		_cleanup_free_ char *to = strf("%s/bundle/rootfs/bin/%s", dir, applets[i]);

		ck_assert_int_eq(symlink("busybox", to), 0);
	}
}

/* crun 1.8 takes a hybrid host for one with cgroup v2 and fails; in our own mount namespace it is not hybrid. */
static void hide_unified(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	umount2("/sys/fs/cgroup/unified", MNT_DETACH);
}

static void prepare(int i)
{
	hide_unified();
	reaper_start();
	strcpy(dir, "/tmp/crid-real-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	chmod(dir, 0711);
	ck_assert_int_eq(random_hex(32, id), 0);
	make_rootfs();
	strcpy(bundle, path_of("bundle"));
	strcpy(persist, path_of("persist"));
	strcpy(exits, path_of("exits"));
	strcpy(log_path, path_of("log"));
	strcpy(root, path_of("root"));
	handler = (struct runtime_handler){
		.name = strrchr(runtimes[i], '/') + 1,
		.runtime_path = runtimes[i],
		.runtime_root = root,
		.monitor_path = conmon,
		.monitor_env = monitor_env,
		.container_create_timeout = 60,
	};
	config = (struct config){
		.container_exits_dir = exits,
		.container_attach_socket_dir = strdup(path_of("attach")),
		.log_size_max = -1,
	};
}

static int create(bool tty)
{
	struct conmon_create c = {
		.config = &config,
		.handler = &handler,
		.id = id,
		.name = "k8s_test",
		.bundle = bundle,
		.persist_dir = persist,
		.log_path = log_path,
		.tty = tty,
	};

	return conmon_create(&c, &init_id, &monitor_id, &error);
}

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

static void wait_gone(const struct process_id *p)
{
	_cleanup_close_ int fd = process_open(p->pid, p->start_time);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	if (fd >= 0)
		ck_assert_int_eq(poll(&pfd, 1, 60000), 1);
}

static void cleanup(void)
{
	static const char *const hierarchies[] = {
		"cpu",	   "cpuacct", "cpuset",	  "memory",	      "devices",    "freezer",
		"blkio",   "pids",    "systemd",  "unified",	      ".",	    "cpu,cpuacct",
		"hugetlb", "net_cls", "net_prio", "net_cls,net_prio", "perf_event", "rdma",
		"misc",
	};

	OK(runtime_delete(&config, &handler, id, &error));
	wait_gone(&monitor_id);
	for (size_t i = 0; i < ARRAY_SIZE(hierarchies); i++) {
		_cleanup_free_ char *path =
			strf("/sys/fs/cgroup/%s/crid-test-%s", hierarchies[i], id);

		rmdir(path);
	}
	/* no process of the container, its runtime or monitor */
	ck_assert_int_eq(count_of(id), 0);
	ck_assert_int_eq(rm_rf_at(AT_FDCWD, dir), 0);
	free(config.container_attach_socket_dir);
}

START_TEST(container_runs_and_its_exit_is_noted)
{
	_cleanup_free_ char *log = NULL, *exit_text = NULL, *state = NULL;
	int code = -1;
	int64_t when, before = now_ns();
	size_t n, fds;

	prepare(_i);
	fds = open_fds();
	write_config("[\"sh\",\"-c\",\"echo out; echo err >&2; exit 42\"]", "", false);
	OK(create(false));
	OK(runtime_state(&config, &handler, id, &state, &n, &error));
	ck_assert_ptr_nonnull(strstr(state, "\"status\": \"created\""));
	ck_assert_int_eq(conmon_exit_code(persist, &code, &when, &error), E_NOT_FOUND);
	OK(runtime_start(&config, &handler, id, &error));
	wait_gone(&init_id);
	wait_gone(&monitor_id);
	OK(conmon_exit_code(persist, &code, &when, &error));
	ck_assert_int_eq(code, 42);
	ck_assert(when >= before && when <= now_ns() + 1000000000);
	ck_assert_int_eq(read_file(path_of("log"), 4096, &log, &n), 0);
	ck_assert_ptr_nonnull(strstr(log, " stdout F out\n"));
	ck_assert_ptr_nonnull(strstr(log, " stderr F err\n"));
	{
		_cleanup_free_ char *path = strf("%s/%s", exits, id);

		ck_assert_int_eq(read_file(path, 64, &exit_text, NULL), 0);
		ck_assert_str_eq(exit_text, "42");
	}
	ck_assert(!conmon_oom(bundle, persist));
	ck_assert_uint_eq(open_fds(), fds);
	/* the dead cannot be killed, and that is told apart */
	ck_assert_int_eq(runtime_kill(&config, &handler, id, SIGTERM, false, &error), E_NOT_FOUND);
	OK(runtime_delete(&config, &handler, id, &error));
	ck_assert_int_eq(runtime_start(&config, &handler, id, &error), E_NOT_FOUND);
	ck_assert_int_eq(runtime_kill(&config, &handler, id, SIGTERM, false, &error), E_NOT_FOUND);
	free(take(state));
	ck_assert_int_eq(runtime_state(&config, &handler, id, &state, &n, &error), E_NOT_FOUND);
	cleanup();
}
END_TEST

START_TEST(kill_ends_it)
{
	int code = -1;
	int64_t when;

	prepare(_i);
	write_config("[\"sleep\",\"1000\"]", "", false);
	OK(create(false));
	OK(runtime_start(&config, &handler, id, &error));
	OK(runtime_kill(&config, &handler, id, SIGKILL, false, &error));
	wait_gone(&init_id);
	wait_gone(&monitor_id);
	OK(conmon_exit_code(persist, &code, &when, &error));
	ck_assert_int_eq(code, 137);
	OK(runtime_kill(&config, &handler, id, SIGKILL, true, &error));
	cleanup();
}
END_TEST

START_TEST(failed_create_says_why_and_leaves_nothing)
{
	prepare(_i);
	write_config("[\"no-such-program\"]", "", false);
	ck_assert_int_eq(create(false), E_FAILED);
	ck_assert_ptr_nonnull(strstr(error.message, "container create failed: "));
	ck_assert_ptr_nonnull(strstr(error.message, "no-such-program"));
	ck_assert_ptr_nonnull(strstr(error.message, "not found in $PATH"));
	ck_assert_ptr_null(strstr(error.message, "level="));
	ck_assert_int_ne(access(log_path, F_OK), 0);
	ck_assert_int_eq(count_of(id), 0);
	ck_assert_int_eq(write_file(path_of("bundle/config.json"), 0600, "{", 1, 0), 0);
	ck_assert_int_eq(create(false), E_FAILED);
	strcpy(log_path, path_of("nodir/log"));
	ck_assert_int_eq(create(false), E_FAILED);
	ck_assert_ptr_nonnull(strstr(error.message, "conmon"));
	ck_assert_ptr_nonnull(strstr(error.message, "No such file or directory"));
	cleanup();
}
END_TEST

START_TEST(create_past_its_deadline_leaves_nothing)
{
	prepare(_i);
	handler.container_create_timeout = 2;
	/* the runtime waits for its hook, the container's init for the runtime */
	write_config("[\"true\"]",
		     "\"hooks\":{\"createRuntime\":[{\"path\":\"/bin/"
		     "sleep\",\"args\":[\"sleep\",\"4712.1\"]}]},",
		     false);
	ck_assert_int_eq(create(false), E_DEADLINE);
	ck_assert_int_eq(count_of("4712.1"), 0);
	ck_assert_int_eq(count_of(id), 0);
	ck_assert_int_ne(access(log_path, F_OK), 0);
	cleanup();
}
END_TEST

static struct conmon_exec_run *exec_start(const char *script, int64_t timeout)
{
	_cleanup_free_ char *process =
		strf("{\"terminal\":false,\"user\":{\"uid\":0,\"gid\":0},\"args\":%s,"
		     "\"env\":[\"PATH=/bin\"],\"cwd\":\"/\"}",
		     script);
	struct conmon_exec c = {
		.config = &config,
		.handler = &handler,
		.id = id,
		.name = "k8s_test",
		.process = process,
		.process_len = strlen(process),
		.timeout = timeout,
		.bundle = bundle,
	};
	struct conmon_exec_run *run = NULL;

	OK(conmon_exec_start(&c, &run, &error));
	return run;
}

static int exec(const char *script, int64_t timeout, struct exec_result *ret)
{
	struct conmon_exec_run *run = exec_start(script, timeout);
	struct pollfd p = { .fd = child_pidfd(conmon_exec_child(run)), .events = POLLIN };

	ck_assert_int_eq(poll(&p, 1, 120000), 1);
	return conmon_exec_finish(run, ret, &error);
}

START_TEST(exec_runs_inside)
{
	struct exec_result res;

	prepare(_i);
	write_config("[\"sleep\",\"1000\"]", "", false);
	OK(create(false));
	OK(runtime_start(&config, &handler, id, &error));
	OK(exec("[\"sh\",\"-c\",\"echo a; echo b >&2; echo -n c; exit 7\"]", 60, &res));
	ck_assert_int_eq(res.exit_code, 7);
	ck_assert_str_eq(res.out, "a\nc");
	ck_assert_str_eq(res.errout, "b\n");
	exec_result_done(&res);
	/* bytes are bytes, and long lines are joined again */
	OK(exec("[\"sh\",\"-c\",\"head -c 100000 /dev/zero\"]", 60, &res));
	ck_assert_int_eq(res.exit_code, 0);
	ck_assert_uint_eq(res.out_len, 100000);
	for (size_t i = 0; i < res.out_len; i++)
		ck_assert_int_eq(res.out[i], 0);
	exec_result_done(&res);
	OK(exec("[\"seq\",\"20000\"]", 60, &res));
	ck_assert_uint_eq(res.out_len, 108894);
	ck_assert(str_starts(res.out, "1\n2\n") && str_ends(res.out, "\n19999\n20000\n"));
	exec_result_done(&res);
	ck_assert_int_eq(exec("[\"no-such-program\"]", 60, &res), E_FAILED);
	ck_assert_ptr_nonnull(strstr(error.message, "no-such-program"));
	cleanup();
}
END_TEST

START_TEST(exec_output_is_limited)
{
	struct exec_result res;

	prepare(_i);
	write_config("[\"sleep\",\"1000\"]", "", false);
	OK(create(false));
	OK(runtime_start(&config, &handler, id, &error));
	OK(exec("[\"sh\",\"-c\",\"yes 0123456789012345678901234567890123456789 | head -c "
		"20000000\"]",
		120, &res));
	ck_assert_int_eq(res.exit_code, 0);
	ck_assert_uint_le(res.out_len, EXEC_OUTPUT_MAX);
	ck_assert_uint_gt(res.out_len, EXEC_OUTPUT_MAX / 4);
	exec_result_done(&res);
	cleanup();
}
END_TEST

START_TEST(exec_times_out)
{
	struct exec_result res;

	prepare(_i);
	write_config("[\"sleep\",\"1000\"]", "", false);
	OK(create(false));
	OK(runtime_start(&config, &handler, id, &error));
	OK(exec("[\"sh\",\"-c\",\"echo early; sleep 4712.2\"]", 1, &res));
	ck_assert_int_eq(res.exit_code, -1);
	ck_assert_str_eq(res.errout, "command timed out");
	exec_result_done(&res);
	ck_assert_int_eq(count_of("4712.2"), 0);
	cleanup();
}
END_TEST

START_TEST(killed_exec_leaves_nothing_in_the_container)
{
	struct conmon_exec_run *run;
	struct exec_result res;

	prepare(_i);
	write_config("[\"sleep\",\"1000\"]", "", false);
	OK(create(false));
	OK(runtime_start(&config, &handler, id, &error));
	/* one of them a child of the container's init by now, and both in the group of the command */
	run = exec_start("[\"sh\",\"-c\",\"(sleep 4712.3 & exit); exec sleep 4712.3\"]", 0);
	while (count_of("4712.3") < 2 || count_of("sleep 4712.3 ") > 0)
		ck_assert_int_eq(poll(NULL, 0, 1), 0);
	conmon_exec_kill(run);
	ck_assert_int_eq(count_of("4712.3"), 0);
	ck_assert_int_eq(conmon_exec_finish(run, &res, &error), E_FAILED);
	ck_assert_int_eq(process_open(init_id.pid, init_id.start_time) >= 0, 1);
	cleanup();
}
END_TEST

START_TEST(terminal_can_be_attached)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char buf[8193];
	ssize_t n;
	int fd;

	prepare(_i);
	write_config("[\"sh\",\"-c\",\"read x; echo got $x\"]", "", true);
	OK(create(true));
	OK(runtime_start(&config, &handler, id, &error));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%.64s/attach",
		 config.container_attach_socket_dir, id);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(write_all(fd, "hello\n", 6), 0);
	for (;;) {
		n = recv(fd, buf, sizeof(buf) - 1, 0);
		ck_assert_int_gt(n, 0);
		buf[n] = '\0';
		ck_assert_int_eq(buf[0], 2);
		if (strstr(buf, "got hello"))
			break;
	}
	close(fd);
	wait_gone(&monitor_id);
	cleanup();
}
END_TEST

/* What a failed case left: containers and monitors, which are our children now. */
static void kill_leftovers(void)
{
	_cleanup_closedir_ DIR *d = opendir("/proc");
	struct dirent *e;

	while ((e = readdir(d)))
		proctree_kill_child(atoi(e->d_name));
}

int main(void)
{
	Suite *s = suite_create("conmon_real");
	TCase *t = tcase_create("conmon_real");
	SRunner *run;
	int failed, from = access(runc, X_OK) == 0 ? 0 : 1, to = access(crun, X_OK) == 0 ? 2 : 1;

	if (getuid() != 0 || access(conmon, X_OK) || access("/bin/busybox", X_OK) || from >= to) {
		printf("SKIP: needs root, conmon, busybox and runc or crun\n");
		return 77;
	}
	tcase_set_timeout(t, 240);
	tcase_add_loop_test(t, container_runs_and_its_exit_is_noted, from, to);
	tcase_add_loop_test(t, kill_ends_it, from, to);
	tcase_add_loop_test(t, failed_create_says_why_and_leaves_nothing, from, to);
	tcase_add_loop_test(t, create_past_its_deadline_leaves_nothing, from, to);
	tcase_add_loop_test(t, exec_runs_inside, from, to);
	tcase_add_loop_test(t, exec_output_is_limited, from, to);
	tcase_add_loop_test(t, exec_times_out, from, to);
	tcase_add_loop_test(t, killed_exec_leaves_nothing_in_the_container, from, to);
	tcase_add_loop_test(t, terminal_can_be_attached, from, to);
	suite_add_tcase(s, t);
	run = srunner_create(s);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	srunner_run_all(run, CK_ENV);
	kill_leftovers();
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? 1 : 0;
}
