/* SPDX-License-Identifier: Apache-2.0 */
/* Each case runs in a process of its own (Check forks), which is sandboxed and then tries. */
#include <check.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cbase/cleanup.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "sandbox.h"

static char base[] = "/tmp/test-sandbox-XXXXXX";

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(base));
	ck_assert_int_eq(chdir(base), 0);
	ck_assert_int_eq(mkdir("in", 0777), 0);
	ck_assert_int_eq(mkdir("in/deep", 0777), 0);
	ck_assert_int_eq(mkdir("out", 0777), 0);
	close(open("out/file", O_CREAT | O_WRONLY, 0666));
}

static void teardown(void)
{
	rm_rf_at(AT_FDCWD, base);
}

static bool have_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 2;
}

/* In a child, so that the fixture can clean up without the sandbox. */
static void run_confined(int (*attempt)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(attempt());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "status %#x", (unsigned)status);
	ck_assert_msg(WEXITSTATUS(status) == 0, "line %d", WEXITSTATUS(status) + 0);
}

/* The exit status is the line, modulo 200, that did not hold. */
#define HOLDS(x) do { if (!(x)) return __LINE__ % 200 + 1; } while (0)
#define REFUSED(x, e) HOLDS((errno = 0, (x)) == -1 && errno == (e))

static int begin(void)
{
	return sandbox_begin(0, NULL);
}

static int write_inside_only(void)
{
	char in[64];
	const char *paths[] = { in, "/nonexistent", NULL };

	snprintf(in, sizeof(in), "%s/in", base);
	HOLDS(begin() == 0 && sandbox_paths(paths, NULL, NULL, NULL) == 0);
	HOLDS(close(open("in/new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600)) == 0);
	HOLDS(mkdir("in/dir", 0700) == 0 && symlink("/etc", "in/link") == 0 &&
	      mkfifo("in/fifo", 0600) == 0);
	HOLDS(rename("in/new", "in/deep/new") == 0);		/* between directories */
	HOLDS(link("in/deep/new", "in/hard") == 0);
	REFUSED(open("out/file", O_WRONLY | O_CLOEXEC), EACCES);
	REFUSED(open("out/new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600), EACCES);
	REFUSED(open("in/../out/file", O_WRONLY | O_CLOEXEC), EACCES);
	REFUSED(open("in/link/passwd", O_WRONLY | O_CLOEXEC), EACCES);
	REFUSED(mkdir("out/dir", 0700), EACCES);
	REFUSED(unlink("out/file"), EACCES);
	REFUSED(truncate("out/file", 0), EACCES);
	HOLDS(rename("in/hard", "out/hard") == -1);
	HOLDS(rename("out/file", "in/file") == -1);
	HOLDS(link("out/file", "in/file") == -1);
	/* reading was not restricted */
	HOLDS(close(open("out/file", O_RDONLY | O_CLOEXEC)) == 0);
	return 0;
}

START_TEST(only_the_named_directories_can_be_written)
{
	if (have_landlock())
		run_confined(write_inside_only);
}
END_TEST

static int read_named_only(void)
{
	char in[64];
	const char *write[] = { NULL }, *read[] = { in, "/usr", "/lib", "/lib64", NULL };

	snprintf(in, sizeof(in), "%s/in", base);
	HOLDS(begin() == 0 && sandbox_paths(write, read, NULL, NULL) == 0);
	HOLDS(close(open("in/deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == 0);
	REFUSED(open("out/file", O_RDONLY | O_CLOEXEC), EACCES);
	REFUSED(open("/etc/passwd", O_RDONLY | O_CLOEXEC), EACCES);
	REFUSED(open("in/new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600), EACCES);
	return 0;
}

START_TEST(only_the_named_directories_can_be_read)
{
	if (have_landlock())
		run_confined(read_named_only);
}
END_TEST

static void *confine_thread(void *arg)
{
	char in[64];
	const char *paths[] = { in, NULL };

	snprintf(in, sizeof(in), "%s/in", base);
	if (sandbox_paths(paths, NULL, NULL, NULL))
		return (void *)1L;
	return (void *)(long)(open("out/new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600) >= 0);
}

static int confine_one_thread(void)
{
	pthread_t t;
	void *wrote;

	HOLDS(begin() == 0);
	HOLDS(pthread_create(&t, NULL, confine_thread, NULL) == 0);
	HOLDS(pthread_join(t, &wrote) == 0 && !wrote);
	HOLDS(close(open("out/new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600)) == 0);
	return 0;
}

START_TEST(a_thread_can_be_confined_alone)
{
	if (have_landlock())
		run_confined(confine_one_thread);
}
END_TEST

static void *no_op(void *arg)
{
	return arg;
}

static int try_calls(bool network)
{
	char *argv[] = { (char[]){ "true" }, NULL };
	pthread_t t;

	HOLDS(begin() == 0 && sandbox_syscalls(network ? SANDBOX_NETWORK : SANDBOX_FILES, NULL) == 0);
	REFUSED(execve("/bin/true", argv, NULL), EPERM);
	REFUSED(fork(), EPERM);
	REFUSED(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL), EPERM);
	REFUSED(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL), EPERM);
	REFUSED(syscall(SYS_clone3, NULL, 0), ENOSYS);
	REFUSED(unshare(CLONE_NEWUSER), EPERM);
	REFUSED(unshare(CLONE_NEWNS), EPERM);
	REFUSED(setns(0, 0), EPERM);
	REFUSED(mount("none", "in", "tmpfs", 0, NULL), EPERM);
	REFUSED(umount2("/proc", MNT_DETACH), EPERM);
	REFUSED(chroot("in"), EPERM);
	REFUSED(syscall(SYS_open_tree, AT_FDCWD, "/", 0), EPERM);
	REFUSED(ptrace(PTRACE_TRACEME, 0, NULL, NULL), EPERM);
	REFUSED(kill(getppid(), 0), EPERM);
	REFUSED(syscall(SYS_tgkill, getppid(), getppid(), 0), EPERM);
	REFUSED(syscall(SYS_bpf, 0, NULL, 0), EPERM);
	REFUSED(syscall(SYS_io_uring_setup, 1, NULL), EPERM);
	REFUSED(syscall(SYS_keyctl, 0, 0, 0, 0, 0), EPERM);
	REFUSED(syscall(SYS_userfaultfd, 0), EPERM);
	HOLDS(syscall(SYS_tgkill, getpid(), gettid(), 0) == 0);		/* what abort() needs */
	HOLDS(pthread_create(&t, NULL, no_op, NULL) == 0 && pthread_join(t, NULL) == 0);
	REFUSED(socket(AF_PACKET, SOCK_RAW, 0), EPERM);
	REFUSED(socket(AF_VSOCK, SOCK_STREAM, 0), EPERM);
	REFUSED(socket(AF_ALG, SOCK_SEQPACKET, 0), EPERM);
	REFUSED(socket(1000, SOCK_STREAM, 0), EPERM);
	if (network) {
		HOLDS(close(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) == 0);
		HOLDS(close(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)) == 0 ||
		      errno == EAFNOSUPPORT);
		HOLDS(close(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == 0);
		HOLDS(close(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0)) == 0);
	} else {
		REFUSED(socket(AF_INET, SOCK_STREAM, 0), EPERM);
		REFUSED(socket(AF_UNIX, SOCK_STREAM, 0), EPERM);
	}
	return 0;
}

static int try_calls_with_network(void)
{
	return try_calls(true);
}

static int try_calls_without_network(void)
{
	return try_calls(false);
}

START_TEST(calls_that_lead_out_are_refused)
{
	run_confined(try_calls_with_network);
	run_confined(try_calls_without_network);
}
END_TEST

static unsigned long long capabilities(const char *field)
{
	_cleanup_free_ char *status = NULL;
	const char *line;

	if (read_file("/proc/self/status", 65536, &status, NULL))
		return ~0ull;
	line = strstr(status, field);
	return line ? strtoull(line + strlen(field), NULL, 16) : ~0ull;
}

static int keep_one(void)
{
	HOLDS(begin() == 0 && sandbox_capabilities(1ull << CAP_CHOWN, NULL) == 0);
	HOLDS(capabilities("CapEff:") == 1ull << CAP_CHOWN &&
	      capabilities("CapPrm:") == 1ull << CAP_CHOWN);
	HOLDS(capabilities("CapBnd:") == 1ull << CAP_CHOWN);
	HOLDS(chown("out/file", 12, 34) == 0);
	REFUSED(setresuid(1, 1, 1), EPERM);
	REFUSED(mknod("in/dev", S_IFCHR | 0600, makedev(1, 3)), EPERM);
	return 0;
}

static int become_nobody(void)
{
	HOLDS(begin() == 0 && sandbox_nobody(NULL) == 0);
	HOLDS(getuid() == 65534 && geteuid() == 65534 && getgid() == 65534 &&
	      getgroups(0, NULL) == 0);
	HOLDS(capabilities("CapEff:") == 0 && capabilities("CapPrm:") == 0 &&
	      capabilities("CapBnd:") == 0);
	REFUSED(setuid(0), EPERM);
	REFUSED(open("/etc/shadow", O_RDONLY | O_CLOEXEC), EACCES);
	return 0;
}

START_TEST(capabilities_and_identity_are_gone)
{
	run_confined(keep_one);
	run_confined(become_nobody);
}
END_TEST

static int private_root(void)
{
	char in[64], device[64], *target;
	struct root_path paths[] = { { in, ROOT_WRITE },
				     { "/nonexistent", ROOT_READ },
				     { "/dev", ROOT_DEVICES } };

	snprintf(in, sizeof(in), "%s/in", base);
	snprintf(device, sizeof(device), "%s/in/null", base);
	/* A mount that is not named must not come along, one on the way must. */
	HOLDS(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	HOLDS(mount("none", "out", "tmpfs", 0, NULL) == 0);
	close(open("out/seen", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	HOLDS(mount("none", "in", "tmpfs", 0, NULL) == 0);
	HOLDS(mkdir("in/deep", 0700) == 0 && mknod("in/null", S_IFCHR | 0666, makedev(1, 3)) == 0);
	HOLDS(sandbox_root(paths, ARRAY_SIZE(paths), NULL) == 0);
	HOLDS(chdir(base) == 0);
	REFUSED(access("out/seen", F_OK), ENOENT);
	HOLDS(access("out/file", F_OK) == 0);			/* what the mount had covered */
	HOLDS(access("in/deep", F_OK) == 0);
	HOLDS(close(open("in/new", O_CREAT | O_WRONLY | O_CLOEXEC, 0700)) == 0);
	REFUSED(open("out/new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600), EROFS);
	REFUSED(open(device, O_RDONLY | O_CLOEXEC), EACCES);	/* a device, but dead */
	HOLDS(close(open("/dev/null", O_RDWR | O_CLOEXEC)) == 0);
	REFUSED(access("/proc/self", F_OK), ENOENT);		/* was not named */
	target = realpath("..", NULL);
	HOLDS(target && streq(target, "/tmp"));
	free(target);
	return 0;
}

START_TEST(root_has_only_what_was_named)
{
	run_confined(private_root);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker sandbox");
	TCase *t = tcase_create("worker sandbox");
	SRunner *r;
	int failed;

	if (geteuid() != 0) {
		puts("SKIP: needs root");
		return 77;
	}
	if (!have_landlock())
		puts("this kernel has no Landlock: the cases about paths do nothing");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, only_the_named_directories_can_be_written);
	tcase_add_test(t, only_the_named_directories_can_be_read);
	tcase_add_test(t, a_thread_can_be_confined_alone);
	tcase_add_test(t, calls_that_lead_out_are_refused);
	tcase_add_test(t, capabilities_and_identity_are_gone);
	tcase_add_test(t, root_has_only_what_was_named);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
