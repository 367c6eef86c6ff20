/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounting a layer. With the new mount calls every directory is a parameter of its own ("lowerdir+",
 * Linux 6.5): no limit of a page, nothing to quote, and the kernel says what it does not like. Where
 * they are missing, mount(2) gets a string; when that does not fit into a page the lower directories
 * are opened and named by descriptor number, relative to /proc/self/fd as working directory, in
 * a thread that has a working directory of its own, so that the process keeps its.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "mount.h"

#define OPTIONS_MAX 4095 /* a page, with its NUL */

/* clang-format off */
/* Words of "mountopt" that are flags of mount(2), not options of overlay. */
static const struct mount_flag {
	const char *word;
	unsigned long set, clear;
} mount_flags[] = {
	{ "ro", MS_RDONLY, 0 }, { "rw", 0, MS_RDONLY },
	{ "nodev", MS_NODEV, 0 }, { "dev", 0, MS_NODEV },
	{ "nosuid", MS_NOSUID, 0 }, { "suid", 0, MS_NOSUID },
	{ "noexec", MS_NOEXEC, 0 }, { "exec", 0, MS_NOEXEC },
	{ "noatime", MS_NOATIME, 0 }, { "atime", 0, MS_NOATIME },
	{ "nodiratime", MS_NODIRATIME, 0 }, { "diratime", 0, MS_NODIRATIME },
	{ "relatime", MS_RELATIME, 0 }, { "strictatime", MS_STRICTATIME, 0 },
	{ "sync", MS_SYNCHRONOUS, 0 }, { "async", 0, MS_SYNCHRONOUS }, { "defaults", 0, 0 },
};

/* The same flags for fsmount(2). */
static const struct { unsigned long flag; unsigned attr; } mount_attrs[] = {
	{ MS_RDONLY, MOUNT_ATTR_RDONLY }, { MS_NODEV, MOUNT_ATTR_NODEV },
	{ MS_NOSUID, MOUNT_ATTR_NOSUID }, { MS_NOEXEC, MOUNT_ATTR_NOEXEC },
	{ MS_NOATIME, MOUNT_ATTR_NOATIME }, { MS_NODIRATIME, MOUNT_ATTR_NODIRATIME },
	{ MS_STRICTATIME, MOUNT_ATTR_STRICTATIME },
};
/* clang-format on */

bool is_mount_point(const char *path)
{
	struct statx sx;
	struct stat here, above;
	_cleanup_free_ char *parent = NULL;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, &sx) < 0)
		return false;
	if (sx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT)
		return sx.stx_attributes & STATX_ATTR_MOUNT_ROOT;
	parent = strf("%s/..", path); /* Linux before 5.8 */
	return parent && stat(path, &here) == 0 && stat(parent, &above) == 0 &&
	       here.st_dev != above.st_dev;
}

static const struct mount_flag *find_flag(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(mount_flags); i++)
		if (streq(mount_flags[i].word, word))
			return &mount_flags[i];
	return NULL;
}

int mount_plan_option(struct mount_plan *p, const char *word)
{
	const struct mount_flag *f = find_flag(word);

	if (!f)
		return strv_push(&p->options, word);
	p->flags = (p->flags & ~f->clear) | f->set;
	return 0;
}

void mount_plan_done(struct mount_plan *p)
{
	strv_free(p->lowers);
	strv_free(p->options);
	free(p->upper);
	free(p->work);
}

/* ---- the new mount calls ---- */

/* What the kernel had to say; the last line. */
static void read_reason(int fs, char *buf, size_t size)
{
	char line[256];
	ssize_t n;

	while ((n = read(fs, line, sizeof(line) - 1)) > 0) {
		line[n] = '\0';
		snprintf(buf, size, ": %s", n > 2 && line[1] == ' ' ? line + 2 : line);
	}
}

static int configure(int fs, unsigned cmd, const char *key, const char *value)
{
	return fsconfig(fs, cmd, key, value, 0) < 0 ? -errno : 0;
}

static int configure_option(int fs, const char *option)
{
	const char *equals = strchr(option, '=');
	_cleanup_free_ char *key = equals ? strndup(option, (size_t)(equals - option)) : NULL;

	if (!equals)
		return configure(fs, FSCONFIG_SET_FLAG, option, NULL);
	return key ? configure(fs, FSCONFIG_SET_STRING, key, equals + 1) : -ENOMEM;
}

static int configure_all(int fs, const struct mount_plan *p)
{
	int r = configure(fs, FSCONFIG_SET_STRING, "source", "overlay");

	for (size_t i = 0; i < strv_len(p->lowers) && !r; i++)
		r = configure(fs, FSCONFIG_SET_STRING, "lowerdir+", p->lowers[i]);
	if (!r && p->upper)
		r = configure(fs, FSCONFIG_SET_STRING, "upperdir", p->upper);
	if (!r && p->work)
		r = configure(fs, FSCONFIG_SET_STRING, "workdir", p->work);
	for (size_t i = 0; i < strv_len(p->options) && !r; i++)
		r = configure_option(fs, p->options[i]);
	if (!r && p->label && *p->label)
		r = configure(fs, FSCONFIG_SET_STRING, "context", p->label);
	if (!r && p->flags & MS_SYNCHRONOUS)
		r = configure(fs, FSCONFIG_SET_FLAG, "sync", NULL);
	return r ? r : configure(fs, FSCONFIG_CMD_CREATE, NULL, NULL);
}

static int mount_by_calls(const struct mount_plan *p, const char *target, char *reason, size_t size)
{
	_cleanup_close_ int fs = fsopen("overlay", FSOPEN_CLOEXEC), mnt = -1;
	unsigned attrs = 0;
	int r;

	if (fs < 0)
		return errno == EPERM ? -EPERM : -ENOSYS;
	r = configure_all(fs, p);
	if (r) {
		read_reason(fs, reason, size);
		return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(mount_attrs); i++)
		if (p->flags & mount_attrs[i].flag)
			attrs |= mount_attrs[i].attr;
	mnt = fsmount(fs, FSMOUNT_CLOEXEC, attrs);
	if (mnt < 0)
		return -errno;
	return move_mount(mnt, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

/* ---- mount(2) ---- */

struct overlay_job {
	const char *target, *data;
	unsigned long flags;
	int result;
};

static void *mount_in_own_cwd(void *arg)
{
	struct overlay_job *j = arg;

	if (unshare(CLONE_FS) < 0 || chdir("/proc/self/fd") < 0 ||
	    mount("overlay", j->target, "overlay", j->flags, j->data) < 0)
		j->result = -errno;
	return NULL;
}

static void close_all(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close_fd(fds[i]);
	free(fds);
}

static int mount_by_numbers(const struct mount_plan *p, const char *tail, const char *target)
{
	struct overlay_job j = { .target = target, .flags = p->flags };
	_cleanup_str_ struct str data = STR_INIT;
	size_t n = strv_len(p->lowers), opened = 0;
	pthread_t thread;
	int *fds = calloc(n, sizeof(*fds));

	if (!fds)
		return -ENOMEM;
	str_append(&data, "lowerdir=");
	for (; opened < n; opened++) {
		fds[opened] = open(p->lowers[opened], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fds[opened] < 0) {
			j.result = -errno;
			break;
		}
		str_appendf(&data, "%s%d", opened ? ":" : "", fds[opened]);
	}
	str_append(&data, tail);
	if (!j.result && str_failed(&data))
		j.result = -ENOMEM;
	if (!j.result && data.len > OPTIONS_MAX)
		j.result = -E2BIG;
	if (!j.result) {
		j.data = data.data;
		j.result = -pthread_create(&thread, NULL, mount_in_own_cwd, &j);
		if (!j.result)
			pthread_join(thread, NULL);
	}
	close_all(fds, opened);
	return j.result;
}

/* overlayfs separates with these, and has no way to quote all of them */
static bool path_mountable(const char *path)
{
	return !path || !strpbrk(path, ",:\\\"");
}

static int options_text(const struct mount_plan *p, struct str *out)
{
	if (p->upper)
		str_appendf(out, ",upperdir=%s", p->upper);
	if (p->work)
		str_appendf(out, ",workdir=%s", p->work);
	for (size_t i = 0; i < strv_len(p->options); i++)
		str_appendf(out, ",%s", p->options[i]);
	if (p->label && *p->label)
		str_appendf(out, ",context=\"%s\"", p->label);
	str_append(out, "");
	return str_failed(out) ? -ENOMEM : 0;
}

int mount_by_string(const struct mount_plan *p, const char *target)
{
	_cleanup_str_ struct str tail = STR_INIT, data = STR_INIT;
	_cleanup_free_ char *lowers = strv_join(p->lowers, ":");

	if (!lowers || options_text(p, &tail))
		return -ENOMEM;
	for (size_t i = 0; i < strv_len(p->lowers); i++)
		if (!path_mountable(p->lowers[i]))
			return -EINVAL;
	if (!path_mountable(p->upper) || !path_mountable(p->work) ||
	    (p->label && strchr(p->label, '"')))
		return -EINVAL;
	str_appendf(&data, "lowerdir=%s%s", lowers, tail.data);
	if (str_failed(&data))
		return -ENOMEM;
	if (data.len > OPTIONS_MAX)
		return mount_by_numbers(p, tail.data, target);
	return mount("overlay", target, "overlay", p->flags, data.data) < 0 ? -errno : 0;
}

/* One directory, and nothing to write on: overlayfs does not take that. */
static int bind_read_only(const struct mount_plan *p, const char *target)
{
	if (mount(p->lowers[0], target, NULL, MS_BIND, NULL) < 0)
		return -errno;
	if (mount(NULL, target, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | p->flags, NULL) == 0)
		return 0;
	int r = -errno;

	umount2(target, MNT_DETACH);
	return r;
}

int mount_plan_run(const struct mount_plan *p, const char *target, char *reason, size_t size)
{
	int r;

	if (!p->upper && strv_len(p->lowers) == 1)
		return bind_read_only(p, target);
	r = mount_by_calls(p, target, reason, size);
	/* Linux before 6.5 takes every parameter and finds out in the end that it has no "lowerdir+" */
	return r == -ENOSYS || r == -EINVAL ? mount_by_string(p, target) : r;
}
