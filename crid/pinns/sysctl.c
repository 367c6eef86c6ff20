/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sysctl reaches this program as one argument of its own, is taken apart once, and is written to
 * the one file it names. Nothing separates one sysctl from the next but the argument vector, so no
 * value can smuggle in a second one.
 *
 * The name is checked twice: its form here (so that "net/../kernel/core_pattern" is not a path),
 * and its resolution by the kernel (openat2, nothing above /proc/sys).
 */
#include "sysctl.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <cbase/io.h>
#include <cbase/str.h>

static bool key_char_ok(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
	       c == '-' || c == '/';
}

/* No empty, "." or ".." component. */
static bool path_ok(const char *p)
{
	for (;;) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		if (p[n] == '\0')
			return true;
		p += n + 1;
	}
}

static int key_to_path(const char *key, size_t len, char *path)
{
	bool dotted = false, decided = false;
	size_t i;

	if (len == 0 || len >= SYSCTL_PATH_MAX)
		return -EINVAL;
	for (i = 0; i < len; i++) {
		char c = key[i];

		if (!key_char_ok(c))
			return -EINVAL;
		if (!decided && (c == '.' || c == '/')) {
			decided = true;
			dotted = c == '.';
		}
		if (dotted && (c == '.' || c == '/'))
			c = c == '.' ? '/' : '.';
		path[i] = c;
	}
	path[len] = '\0';
	return path_ok(path) ? 0 : -EINVAL;
}

static bool value_ok(const char *v)
{
	size_t n;

	for (n = 0; v[n]; n++) {
		unsigned char c = (unsigned char)v[n];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return n > 0 && n <= SYSCTL_VALUE_MAX;
}

int sysctl_parse(const char *text, struct sysctl *ret, struct cb_error *err)
{
	const char *eq = strchr(text, '=');
	struct sysctl s;

	if (!eq) {
		err_set(err, 0, "sysctl is not of the form key=value");
		return -EINVAL;
	}
	if (key_to_path(text, (size_t)(eq - text), s.path)) {
		err_set(err, 0, "sysctl has a malformed name");
		return -EINVAL;
	}
	s.value = eq + 1;
	if (!value_ok(s.value)) {
		err_set(err, 0, "sysctl %s has an empty, too long or malformed value", s.path);
		return -EINVAL;
	}
	*ret = s;
	return 0;
}

bool sysctl_is_namespaced(const struct sysctl *s, bool net, bool ipc)
{
	static const char *const ipc_prefixes[] = { "kernel/shm", "kernel/msg", "fs/mqueue/" };

	if (net && str_starts(s->path, "net/"))
		return true;
	if (!ipc)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(ipc_prefixes); i++) {
		if (str_starts(s->path, ipc_prefixes[i]))
			return true;
	}
	return streq(s->path, "kernel/sem");
}

static int write_one(int proc_sys, const struct sysctl *s, struct cb_error *err)
{
	_cleanup_close_ int fd =
		open_beneath(proc_sys, s->path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	size_t len = strlen(s->value);
	ssize_t n;

	if (fd < 0)
		return err_sysr(err, fd, "open sysctl %s", s->path);
	/* One write: a second one would be another value. */
	n = write(fd, s->value, len);
	if (n < 0)
		return err_sys(err, "write \"%s\" to sysctl %s", s->value, s->path);
	if ((size_t)n != len)
		return err_sysr(err, -EIO, "write \"%s\" to sysctl %s", s->value, s->path);
	return 0;
}

int sysctl_write(const struct sysctl *s, size_t n, struct cb_error *err)
{
	_cleanup_close_ int dir = -1;
	struct statfs fs;
	int r;

	if (n == 0)
		return 0;
	dir = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return err_sys(err, "open /proc/sys");
	if (fstatfs(dir, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
		return err_sysr(err, -EINVAL, "/proc is not the proc file system");
	for (size_t i = 0; i < n; i++) {
		r = write_one(dir, &s[i], err);
		if (r)
			return r;
	}
	return 0;
}
