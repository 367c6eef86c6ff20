/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that a killed plugin leaves behind. Children of a plugin may have left its process group
 * and their parent may be dead, so they are known by a mark: a variable with a random value that
 * the plugin's environment alone holds and that what it starts inherits. Killing what has the mark
 * is repeated until a look through /proc finds nothing, because a process may start another one
 * while being looked for. Only what cleans its environment and leaves the group escapes.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include "private.h"

#define MARK_NAME "CNIC_CALL="
#define LOOKS_NS 5000000000LL	 /* in all: a fork bomb is left to others */
#define ENVIRON_MAX (8u << 20)	 /* above what the kernel gives a process */
#define DEATH_WAIT_MS 1000	 /* after SIGKILL */

PUBLIC int cnic_mark_make(char out[CNIC_MARK_MAX])
{
	_Static_assert(sizeof(MARK_NAME) + 32 == CNIC_MARK_MAX, "room for the digits");

	memcpy(out, MARK_NAME, sizeof(MARK_NAME) - 1);
	return random_hex(16, out + sizeof(MARK_NAME) - 1);
}

/* Through the descriptor, so that the process is the one that was read although numbers are reused. */
static bool kill_if_marked(int proc_fd, const char *pid, const char *mark)
{
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, atoi(pid), 0);
	_cleanup_free_ char *environment = NULL, *path = strf("%s/environ", pid);
	_cleanup_close_ int fd = -1;
	struct pollfd dead = { .fd = pidfd, .events = POLLIN };
	size_t len;

	if (pidfd < 0 || !path)
		return false;
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read_fd(fd, ENVIRON_MAX, &environment, &len) ||
	    !memmem(environment, len, mark, strlen(mark)))
		return false;
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0)
		return false;
	poll(&dead, 1, DEATH_WAIT_MS);
	return true;
}

/* One look through /proc: how many were killed. */
static size_t kill_marked_once(const char *mark, int64_t end)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc");
	struct dirent *e;
	size_t n = 0;

	while (dir && mono_ns() < end && (e = readdir(dir)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
			n += kill_if_marked(dirfd(dir), e->d_name, mark);
	return n;
}

PUBLIC void cnic_mark_kill(const char *mark)
{
	int64_t end = mono_ns() + LOOKS_NS;

	while (kill_marked_once(mark, end) > 0 && mono_ns() < end)
		;
}
