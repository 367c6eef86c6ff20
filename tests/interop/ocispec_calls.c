/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside a container: what its seccomp filter answers to every system call of every architecture that
 * this machine runs, without any of them being executed. A second filter hands each call to a
 * supervisor; it is asked only about calls that the first one allows, because a refusal outranks it,
 * and answers them with a number of its own. One line per answer:
 *
 *	ARCH NUMBER [ARG0 ARG1 ARG2] ANSWER
 *
 * ANSWER: "allow", or the errno with which the filter refuses.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALLOWED 4000		/* no errno of the kernel */
#define X32 0x40000000u
#define NOT_YET (-100)

static struct shared {
	volatile int done;
	volatile unsigned long count;
	char text[1 << 20];
	size_t len;
} *out;

static long call64(unsigned long nr, unsigned long a, unsigned long b, unsigned long c)
{
	register unsigned long r10 __asm__("r10") = 0, r8 __asm__("r8") = 0, r9 __asm__("r9") = 0;
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static long call32(unsigned long nr, unsigned long a, unsigned long b, unsigned long c)
{
	int ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"((int)nr), "b"(a), "c"(b), "d"(c), "S"(0), "D"(0) : "memory", "r8", "r9", "r10", "r11");
	return ret;
}

static void append(const char *arch, unsigned long nr, const unsigned long *args, long answer)
{
	char line[128];
	int n;

	n = args ? snprintf(line, sizeof(line), "%s %lu %lu %lu %lu ", arch, nr, args[0], args[1], args[2]) :
		   snprintf(line, sizeof(line), "%s %lu ", arch, nr);
	n += answer == -ALLOWED ? snprintf(line + n, sizeof(line) - n, "allow\n") :
				  snprintf(line + n, sizeof(line) - n, "%ld\n", -answer);
	if (out->len + n < sizeof(out->text)) {
		memcpy(out->text + out->len, line, n);
		out->len += n;
	}
}

static void ask(const char *arch, unsigned long nr, const unsigned long *args)
{
	static const unsigned long none[3];
	const unsigned long *a = args ? args : none;
	long r;

	if (arch[0] == 'i')
		r = call32(nr, a[0], a[1], a[2]);
	else
		r = call64(arch[0] == 'n' ? nr | X32 : nr, a[0], a[1], a[2]);
	out->count++;
	append(arch, nr, args, r);
}

/* The calls whose arguments the profiles look at. */
static void ask_with_arguments(void)
{
	static const unsigned long personalities[] = { 0, 1, 8, 0x20000, 0x20008, 0x20001, 0x40000, 0xffffffff };
	static const unsigned long flags[] = {
		0, 0x11, CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET,
		CLONE_NEWCGROUP, CLONE_VM | CLONE_FILES, CLONE_VM | CLONE_NEWUSER, 0x80, 0x100000000, 0x110000000,
	};
	unsigned long args[3];

	for (size_t i = 0; i < sizeof(personalities) / sizeof(personalities[0]); i++) {
		args[0] = personalities[i], args[1] = args[2] = 0;
		ask("x86_64", SYS_personality, args);
		ask("i386", 136, args);
		ask("n32", SYS_personality, args);
	}
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		args[0] = flags[i], args[1] = args[2] = 0;
		ask("x86_64", SYS_clone, args);
		ask("i386", 120, args);
		ask("n32", SYS_clone, args);
	}
	for (args[0] = 0; args[0] < 48; args[0]++)
		for (args[1] = 0; args[1] < 4; args[1]++)
			for (args[2] = 0; args[2] < 24; args[2]++) {
				ask("x86_64", SYS_socket, args);
				ask("i386", 359, args);
			}
}

static void ask_all(void)
{
	for (unsigned long nr = 0; nr < 1200; nr++) {
		if (nr != 335 && nr != 336)	/* uretprobe, uprobe: never filtered, and deadly from here */
			ask("x86_64", nr, NULL);
		ask("i386", nr, NULL);
		ask("n32", nr, NULL);
	}
	ask_with_arguments();
	out->done = 1;
	for (;;)
		;	/* no call is possible any more, not even _exit() */
}

static int install(void)
{
	struct sock_filter notify[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF) };
	struct sock_fprog program = { 1, notify };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

/* The listener reaches the supervisor because both share their descriptors. */
static volatile int *listener;

static int asker(void *unused)
{
	(void)unused;
	*listener = install();
	if (*listener >= 0)
		ask_all();
	_exit(1);
}

static int supervise(void)
{
	struct seccomp_notif q;
	struct seccomp_notif_resp a;
	struct pollfd p = { .events = POLLIN };

	while (*listener == NOT_YET)
		;
	if (*listener < 0)
		return 3;
	p.fd = *listener;
	while (!out->done) {
		if (poll(&p, 1, 20) <= 0)
			continue;
		if (p.revents & POLLHUP)
			return 4;
		memset(&q, 0, sizeof(q));
		if (ioctl(p.fd, SECCOMP_IOCTL_NOTIF_RECV, &q) < 0)
			continue;
		a = (struct seccomp_notif_resp){ .id = q.id, .error = -ALLOWED };
		ioctl(p.fd, SECCOMP_IOCTL_NOTIF_SEND, &a);
	}
	return 0;
}

int main(void)
{
	char *stack = malloc(65536);
	pid_t child;
	int r;

	out = mmap(NULL, sizeof(*out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	listener = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (out == MAP_FAILED || listener == MAP_FAILED || !stack)
		return 2;
	*listener = NOT_YET;
	child = clone(asker, stack + 65536, CLONE_FILES | SIGCHLD, NULL);
	if (child < 0)
		return 2;
	r = supervise();
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	if (r)
		return r;
	fwrite(out->text, 1, out->len, stdout);
	printf("%lu calls\n", out->count);
	return 0;
}
