/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two processes of a pull give up before they touch bytes of a registry. What an old
 * kernel does not have (Landlock) is left out; everything else must work.
 */
#ifndef WORKER_SANDBOX_H
#define WORKER_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <cbase/err.h>

enum root_access {
	ROOT_READ,	/* read-only */
	ROOT_WRITE,	/* no device is usable, no program can be started */
	ROOT_DEVICES,	/* read-only, devices usable */
};

struct root_path {
	const char *path;	/* absolute */
	enum root_access access;
};

/*
 * A mount namespace that has the file system of "/" read-only, and of other mounts only those that
 * the paths lie on; a path for writing is a mount of its own. Paths that do not exist are left
 * out. No mount of a container and no pin is in it.
 */
int sandbox_root(const struct root_path *paths, size_t n, struct cb_error *err);

/* No network but what is already open. */
int sandbox_no_network(struct cb_error *err);

/* Keeps the capabilities in the mask (bits 1 << CAP_X) and none in reserve. Needs CAP_SETPCAP. */
int sandbox_capabilities(unsigned long long keep, struct cb_error *err);
/*
 * An identity that owns nothing, without any capability. For a process that dies with its parent.
 */
int sandbox_nobody(struct cb_error *err);

/* Not a byte into any file. */
void sandbox_no_files(void);

/*
 * The calling thread and those it will start may write only below these paths (NULL-terminated),
 * and, unless read is NULL, read only below those, and unless programs is NULL, read and start
 * programs below those. Paths that do not exist are left out. Once more means both apply.
 */
int sandbox_paths(const char *const *write, const char *const *read, const char *const *programs,
		  struct cb_error *err);

enum sandbox_calls {
	SANDBOX_NETWORK,	/* connections, and no new program or process */
	SANDBOX_FILES,		/* neither */
	SANDBOX_PROGRAMS,	/* new programs, no connections */
};

/* Never: mounts, namespaces, signals to others, tracing, modules, ... */
int sandbox_syscalls(enum sandbox_calls calls, struct cb_error *err);

/*
 * Dumps no core, gains no privileges, and dies with the parent if that is given (0: none). The
 * kernel means the thread that forked: not for a child of a program whose threads come and go.
 */
int sandbox_begin(int parent, struct cb_error *err);

#endif
