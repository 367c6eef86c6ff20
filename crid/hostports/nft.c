/* SPDX-License-Identifier: Apache-2.0 */
/* See nft.h. Scripts and messages are files in memory, so that no pipe can fill up while nobody reads. */
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "nft.h"

#define OUTPUT_MAX (64u << 20)
#define MESSAGE_MAX 4096u

extern char **environ;

static int memory_file(const char *text, size_t n)
{
	int fd = memfd_create("nft", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write_all(fd, text, n) || lseek(fd, 0, SEEK_SET) < 0) {
		close(fd);
		return -EIO;
	}
	return fd;
}

static int start(char *const *args, int in, int out, int err, pid_t *ret)
{
	posix_spawn_file_actions_t fa;
	int r;

	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, in, 0);
	posix_spawn_file_actions_adddup2(&fa, out, 1);
	posix_spawn_file_actions_adddup2(&fa, err, 2);
	r = posix_spawnp(ret, args[0], &fa, NULL, args, environ);
	posix_spawn_file_actions_destroy(&fa);
	return r;
}

static int read_back(int fd, size_t limit, char **ret, size_t *ret_len)
{
	return lseek(fd, 0, SEEK_SET) < 0 ? -errno : read_fd(fd, limit, ret, ret_len);
}

int nft_run(char *const *args, const char *script, size_t n, char **ret_out, size_t *ret_len, struct cb_error *err)
{
	_cleanup_close_ int in = memory_file(script, n), out = memory_file("", 0), errout = memory_file("", 0);
	_cleanup_free_ char *text = NULL;
	size_t len;
	int status, r;
	pid_t pid;

	if (in < 0 || out < 0 || errout < 0)
		return err_sysr(err, -ENOMEM, "run nft");
	r = start(args, in, out, errout, &pid);
	if (r == ENOENT)
		return err_set(err, 1, "nft is not installed: host ports need it (Debian's package nftables)");
	if (r)
		return err_sysr(err, -r, "run nft");
	if (waitpid(pid, &status, 0) < 0)
		return err_sys(err, "wait for nft");
	if (status) {
		if (read_back(errout, MESSAGE_MAX, &text, &len))
			text = NULL;
		return err_set(err, 1, "nft: %.*s", text ? (int)strcspn(text, "\n") : 0, text ? text : "");
	}
	r = ret_out ? read_back(out, OUTPUT_MAX, ret_out, ret_len) : 0;
	return r ? err_sysr(err, r, "read what nft printed") : 0;
}
