/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock: which paths may be written, and read. It holds whatever the identity and the
 * capabilities say, and, other than the private root, per thread: a thread that extracts an
 * archive is held in the staging directories while the one that publishes needs the whole store.
 *
 * A kernel without Landlock, or with the first version of it (which cannot allow renames between
 * directories), leaves the process with what the other parts of the sandbox give.
 */
#include "sandbox.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cbase/cleanup.h>

/* Later than this C library's kernel headers. */
#define ACCESS_TRUNCATE (UINT64_C(1) << 14)	/* version 3 */
#define ACCESS_IOCTL_DEV (UINT64_C(1) << 15)	/* version 5 */
#define SCOPE_ALL UINT64_C(3)			/* version 6: abstract sockets, signals */
#define ABI_WANTED 2				/* the first with LANDLOCK_ACCESS_FS_REFER */

struct ruleset_attr {
	uint64_t handled_access_fs, handled_access_net, scoped;
};

#define READS \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define MAKES \
	(LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | \
	 LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define WRITES \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | MAKES | LANDLOCK_ACCESS_FS_REFER | ACCESS_TRUNCATE)
/* What a rule on a file, not a directory, may allow. */
#define FILE_ACCESS \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | \
	 LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE | ACCESS_IOCTL_DEV)

static int add_rules(int ruleset, const char *const *paths, uint64_t access, struct cb_error *err)
{
	for (; *paths; paths++) {
		struct landlock_path_beneath_attr rule = { .allowed_access = access };
		_cleanup_close_ int fd = open(*paths, O_PATH | O_CLOEXEC);
		struct stat st;

		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
			continue;
		if (fd < 0 || fstat(fd, &st) < 0)
			return err_sys(err, "sandbox: %s", *paths);
		if (!S_ISDIR(st.st_mode))
			rule.allowed_access &= FILE_ACCESS;
		rule.parent_fd = fd;
		if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
			return err_sys(err, "sandbox: allow %s", *paths);
	}
	return 0;
}

static int make_ruleset(long abi, bool reads, uint64_t *ret_handled)
{
	struct ruleset_attr a = { .handled_access_fs = WRITES };
	size_t size = abi >= 6 ? sizeof(a) : sizeof(a.handled_access_fs);

	if (abi < 3)
		a.handled_access_fs &= ~ACCESS_TRUNCATE;
	if (abi >= 5)
		a.handled_access_fs |= ACCESS_IOCTL_DEV;
	if (abi >= 6)
		a.scoped = SCOPE_ALL;
	if (reads)
		a.handled_access_fs |= READS;
	*ret_handled = a.handled_access_fs;
	return (int)syscall(SYS_landlock_create_ruleset, &a, size, 0);
}

int sandbox_paths(const char *const *write, const char *const *read, const char *const *programs,
		  struct cb_error *err)
{
	_cleanup_close_ int ruleset = -1;
	uint64_t handled;
	long abi;
	int r;

	abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < ABI_WANTED)
		return 0;
	ruleset = make_ruleset(abi, read != NULL, &handled);
	if (ruleset < 0)
		return err_sys(err, "sandbox: make a ruleset");
	/* Devices are for nobody: no rule allows their ioctls. */
	r = add_rules(ruleset, write, handled & (WRITES | READS), err);
	if (!r && read)
		r = add_rules(ruleset, read, READS & ~LANDLOCK_ACCESS_FS_EXECUTE, err);
	if (!r && programs)
		r = add_rules(ruleset, programs, READS, err);
	if (r)
		return r;
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return err_sys(err, "sandbox: restrict paths");
	return 0;
}
