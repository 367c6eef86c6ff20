/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into a program: the N-th call of one kind fails.
 *
 *	FAIL_CALL={malloc|write|fsync|rename|mount} FAIL_AT=N LD_PRELOAD=failnth.so PROGRAM ...
 *
 * Counting begins when the program calls failnth_arm(), which it declares weak. FAIL_AT=0 only counts. FAIL_LOG is a file that gets the number of calls when the program ends.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#pragma GCC visibility push(default)

enum kind { NONE, MALLOC, WRITE, FSYNC, RENAME, MOUNT };

static enum kind wanted, asked;
static unsigned long fail_at;
static atomic_ulong seen;

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);

__attribute__((constructor)) static void start(void)
{
	static const char *const names[] = { "", "malloc", "write", "fsync", "rename", "mount" };
	const char *call = getenv("FAIL_CALL"), *at = getenv("FAIL_AT");

	fail_at = at ? strtoul(at, NULL, 10) : 0;
	for (int i = 1; call && i < 6; i++)
		if (strcmp(call, names[i]) == 0)
			asked = (enum kind)i;
}

void failnth_arm(void);

void failnth_arm(void)
{
	wanted = asked;
}

__attribute__((destructor)) static void stop(void)
{
	const char *log = getenv("FAIL_LOG");
	char text[24];
	int n = snprintf(text, sizeof(text), "%lu\n", atomic_load(&seen)), fd;

	wanted = NONE;
	fd = log ? open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	if (fd >= 0 && syscall(SYS_write, fd, text, n) == n)
		close(fd);
}

static bool fails(enum kind kind, int error)
{
	if (kind != wanted || atomic_fetch_add(&seen, 1) + 1 != fail_at)
		return false;
	errno = error;
	return true;
}

#define REAL(name) ((__typeof__(&name))(dlsym(RTLD_NEXT, #name)))

void *malloc(size_t n)
{
	return fails(MALLOC, ENOMEM) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fails(MALLOC, ENOMEM) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return fails(MALLOC, ENOMEM) ? NULL : __libc_realloc(p, n);
}

ssize_t write(int fd, const void *p, size_t n)
{
	return fd > 2 && fails(WRITE, ENOSPC) ? -1 : syscall(SYS_write, fd, p, n);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	return fails(WRITE, ENOSPC) ? -1 : syscall(SYS_pwrite64, fd, p, n, at);
}

int fsync(int fd)
{
	return fails(FSYNC, EIO) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return fails(FSYNC, EIO) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int syncfs(int fd)
{
	return fails(FSYNC, EIO) ? -1 : (int)syscall(SYS_syncfs, fd);
}

int rename(const char *from, const char *to)
{
	return fails(RENAME, EIO) ? -1 : REAL(rename)(from, to);
}

int renameat(int fromfd, const char *from, int tofd, const char *to)
{
	return fails(RENAME, EIO) ? -1 : REAL(renameat)(fromfd, from, tofd, to);
}

int renameat2(int fromfd, const char *from, int tofd, const char *to, unsigned flags)
{
	return fails(RENAME, EIO) ? -1 : REAL(renameat2)(fromfd, from, tofd, to, flags);
}

int mount(const char *what, const char *where, const char *type, unsigned long flags, const void *data)
{
	return fails(MOUNT, EIO) ? -1 : REAL(mount)(what, where, type, flags, data);
}

int umount2(const char *where, int flags)
{
	return fails(MOUNT, EIO) ? -1 : REAL(umount2)(where, flags);
}

int fsmount(int fd, unsigned flags, unsigned attr)
{
	return fails(MOUNT, EIO) ? -1 : (int)syscall(SYS_fsmount, fd, flags, attr);
}

int fsconfig(int fd, unsigned cmd, const char *key, const void *value, int aux)
{
	return fails(MOUNT, EIO) ? -1 : (int)syscall(SYS_fsconfig, fd, cmd, key, value, aux);
}

int move_mount(int fromfd, const char *from, int tofd, const char *to, unsigned flags)
{
	return fails(MOUNT, EIO) ? -1 : (int)syscall(SYS_move_mount, fromfd, from, tofd, to, flags);
}
