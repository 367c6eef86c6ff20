/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry point and five system calls. On x86_64 and arm64 without the C library; elsewhere through
 * it.
 */
#ifndef PAUSE_START_H
#define PAUSE_START_H

int pause_main(int argc, char **argv);

#if defined(__x86_64__) || defined(__aarch64__)

#if defined(__x86_64__)

enum {
	NR_WRITE = 1,
	NR_SIGPROCMASK = 14,
	NR_WAIT4 = 61,
	NR_SIGTIMEDWAIT = 128,
	NR_EXIT_GROUP = 231
};

static inline long sys4(long nr, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return ret;
}

/* The kernel starts here with argc at the top of the stack and argv above it. */
__asm__(".text\n.globl _start\n.type _start,@function\n_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov (%rsp), %edi\n"
	"	lea 8(%rsp), %rsi\n"
	"	and $-16, %rsp\n"
	"	call start_c\n");

#else

enum {
	NR_WRITE = 64,
	NR_EXIT_GROUP = 94,
	NR_SIGPROCMASK = 135,
	NR_SIGTIMEDWAIT = 137,
	NR_WAIT4 = 260
};

static inline long sys4(long nr, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}

__asm__(".text\n.globl _start\n.type _start,%function\n_start:\n"
	"	mov x29, #0\n"
	"	mov x30, #0\n"
	"	ldr w0, [sp]\n"
	"	add x1, sp, #8\n"
	"	bl start_c\n");

#endif

__attribute__((used, noreturn)) void start_c(int argc, char **argv);
void start_c(int argc, char **argv)
{
	sys4(NR_EXIT_GROUP, pause_main(argc, argv), 0, 0, 0);
	for (;;)
		;
}

#else

#include <sys/syscall.h>
#include <unistd.h>

#define NR_WRITE SYS_write
#define NR_SIGPROCMASK SYS_rt_sigprocmask
#define NR_SIGTIMEDWAIT SYS_rt_sigtimedwait
#define NR_WAIT4 SYS_wait4

static inline long sys4(long nr, long a, long b, long c, long d)
{
	return syscall(nr, a, b, c, d);
}

int main(int argc, char **argv)
{
	return pause_main(argc, argv);
}

#endif

static inline long sys_write(int fd, const char *p, unsigned long n)
{
	return sys4(NR_WRITE, fd, (long)p, (long)n, 0);
}

static inline long sys_sigblock(const unsigned long long *set)
{
	return sys4(NR_SIGPROCMASK, 0, (long)set, 0, sizeof(*set));
}

/* The number of the next signal of the set, or negative. */
static inline long sys_sigwait(const unsigned long long *set)
{
	return sys4(NR_SIGTIMEDWAIT, (long)set, 0, 0, sizeof(*set));
}

/* Collects one dead child: its pid, 0 when none is dead, negative when there are no children. */
static inline long sys_reap(void)
{
	return sys4(NR_WAIT4, -1, 0, 1 /* WNOHANG */, 0);
}

#endif
