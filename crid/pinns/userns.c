/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three steps over a socket: the child says that the user namespace exists, the parent that the
 * maps are written, the child how the rest went. A child that dies early is an end of file. The
 * kernel kills it when the parent dies, so nothing is left behind.
 */
#include "userns.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct report {
	int result;
	struct cb_error error;
};

static int child_become_root(void)
{
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return -errno;
	return 0;
}

static int child_setup(int sock, int flags, int (*setup)(void *user, struct cb_error *err),
		       void *user, struct cb_error *err)
{
	char go;
	int r;

	if (unshare(CLONE_NEWUSER) < 0)
		return err_sys(err, "unshare the user namespace");
	if (write(sock, "u", 1) != 1 || read(sock, &go, 1) != 1)
		return err_sysr(err, -EPIPE, "wait for the id maps");
	r = child_become_root();
	if (r)
		return err_sysr(err, r, "become root of the user namespace");
	/* Another identity cleared it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return err_sys(err, "prctl");
	if (unshare(flags) < 0)
		return err_sys(err, "unshare namespaces");
	return setup(user, err);
}

static void __attribute__((noreturn))
child_run(int sock, pid_t parent, int flags, int (*setup)(void *user, struct cb_error *err),
	  void *user)
{
	struct report rep = { 0 };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
		_exit(1);
	rep.result = child_setup(sock, flags, setup, user, &rep.error);
	if (write(sock, &rep, sizeof(rep)) != (ssize_t)sizeof(rep))
		_exit(1);
	/* The parent never writes again; its death or userns_done() ends this. */
	for (;;)
		pause();
}

static int write_map(pid_t pid, const char *name, const struct str *map, struct cb_error *err)
{
	_cleanup_close_ int fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open %s", path);
	if (write(fd, map->data, map->len) != (ssize_t)map->len)
		return err_sys(err, "write %s", path);
	return 0;
}

static int parent_run(pid_t pid, int sock, const struct str *uid_map, const struct str *gid_map,
		      struct cb_error *err)
{
	struct report rep = { 0 };
	ssize_t n = recv(sock, &rep, sizeof(rep), 0);
	int r;

	/* One byte: it is there. A report: it failed. */
	if (n == (ssize_t)sizeof(rep)) {
		err_copy(err, &rep.error);
		return rep.result ? rep.result : -EPROTO;
	}
	if (n != 1)
		return err_sysr(err, -EPIPE, "wait for the user namespace");
	r = write_map(pid, "gid_map", gid_map, err);
	if (!r)
		r = write_map(pid, "uid_map", uid_map, err);
	if (r)
		return r;
	if (write(sock, "m", 1) != 1 || recv(sock, &rep, sizeof(rep), 0) != (ssize_t)sizeof(rep))
		return err_sysr(err, -EPIPE, "wait for the namespaces");
	if (rep.result)
		err_copy(err, &rep.error);
	return rep.result;
}

int userns_start(struct userns_holder *h, int flags, const struct str *uid_map,
		 const struct str *gid_map, int (*setup)(void *user, struct cb_error *err),
		 void *user, struct cb_error *err)
{
	pid_t parent = getpid(), pid;
	int sock[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0)
		return err_sys(err, "make a socket");
	pid = fork();
	if (pid == 0) {
		close(sock[0]);
		child_run(sock[1], parent, flags, setup, user);
	}
	close(sock[1]);
	if (pid < 0) {
		r = err_sys(err, "fork");
		close(sock[0]);
		return r;
	}
	h->pid = pid;
	r = parent_run(pid, sock[0], uid_map, gid_map, err);
	close(sock[0]);
	return r;
}

void userns_done(struct userns_holder *h)
{
	if (h->pid <= 0)
		return;
	kill(h->pid, SIGKILL);
	waitpid(h->pid, NULL, 0);
	h->pid = 0;
}
