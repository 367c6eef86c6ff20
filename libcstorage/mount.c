/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounting a layer: the strings that mount(2) wants, and counting of users in mountpoints.json.
 *
 * The option string is limited to one page. When the paths do not fit, the lower directories are
 * opened and named by descriptor number, relative to /proc/self/fd as working directory; a thread of
 * its own, with a working directory of its own, does that mount, so that the process keeps its.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "overlay.h"

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

/* Splits a comma list into flags and the rest, which starts with a comma when not empty. */
static int split_options(const char *list, unsigned long *ret_flags, struct str *rest)
{
	_cleanup_strv_ char **words = NULL;
	const struct mount_flag *f;

	if (list && strv_split(list, ',', &words))
		return -ENOMEM;
	for (size_t i = 0; i < strv_len(words); i++) {
		f = find_flag(words[i]);
		if (f)
			*ret_flags = (*ret_flags & ~f->clear) | f->set;
		else
			str_appendf(rest, ",%s", words[i]);
	}
	return str_failed(rest) ? -ENOMEM : 0;
}

struct overlay_job {
	const char *target;
	unsigned long flags;
	char *const *lowers;
	const char *upper_work; /* ",upperdir=...,workdir=..." and the options */
	const char *data;	/* all of it, when it fits */
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

static int mount_by_numbers(struct overlay_job *j)
{
	_cleanup_str_ struct str data = STR_INIT;
	size_t n = strv_len(j->lowers), opened = 0;
	pthread_t thread;
	int *fds = calloc(n, sizeof(*fds));

	if (!fds)
		return -ENOMEM;
	str_append(&data, "lowerdir=");
	for (; opened < n; opened++) {
		fds[opened] = open(j->lowers[opened], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fds[opened] < 0) {
			j->result = -errno;
			break;
		}
		str_appendf(&data, "%s%d", opened ? ":" : "", fds[opened]);
	}
	str_append(&data, j->upper_work);
	if (!j->result && str_failed(&data))
		j->result = -ENOMEM;
	if (!j->result && data.len > OPTIONS_MAX)
		j->result = -E2BIG;
	if (!j->result) {
		j->data = data.data;
		j->result = -pthread_create(&thread, NULL, mount_in_own_cwd, j);
		if (!j->result)
			pthread_join(thread, NULL);
	}
	close_all(fds, opened);
	return j->result;
}

static int mount_once(struct overlay_job *j)
{
	_cleanup_str_ struct str data = STR_INIT;
	_cleanup_free_ char *lowers = strv_join(j->lowers, ":");

	j->result = 0;
	str_appendf(&data, "lowerdir=%s%s", lowers ? lowers : "", j->upper_work);
	if (!lowers || str_failed(&data))
		return -ENOMEM;
	if (data.len > OPTIONS_MAX)
		return mount_by_numbers(j);
	return mount("overlay", j->target, "overlay", j->flags, data.data) < 0 ? -errno : 0;
}

/* overlayfs separates with these, and has no way to quote all of them */
static bool path_mountable(const char *path)
{
	return !strpbrk(path, ",:\\\"");
}

/* After an unclean shutdown the kernel refuses a volatile layer as long as this mark is there. */
static int clear_volatile_mark(struct cstore *s, const char *id)
{
	_cleanup_free_ char *path = strf("%s/%s/work/work/incompat/volatile", s->home, id);

	return path ? rm_rf_at(AT_FDCWD, path) : -ENOMEM;
}

static int do_mount(struct cstore *s, const char *id, char *const *lowers, const char *label,
		    bool is_volatile, const char *target)
{
	_cleanup_str_ struct str options = STR_INIT;
	struct overlay_job j = { .target = target, .lowers = lowers };

	str_appendf(&options, ",upperdir=%s/%s/diff,workdir=%s/%s/work", s->home, id, s->home, id);
	if (split_options(s->mountopt, &j.flags, &options))
		return -ENOMEM;
	if (is_volatile)
		str_append(&options, ",volatile");
	if (label && *label)
		str_appendf(&options, ",context=\"%s\"", label);
	if (str_failed(&options))
		return -ENOMEM;
	j.upper_work = options.data;
	return mount_once(&j);
}

int overlay_mount(struct cstore *s, const char *id, const char *label, bool is_volatile,
		  struct cstore_error *err)
{
	_cleanup_free_ char *target = strf("%s/%s/merged", s->home, id);
	_cleanup_strv_ char **lowers = NULL;
	int r;

	if (!target)
		return err_oom(err);
	if (!path_mountable(s->home) || (label && strchr(label, '"')))
		return err_set(err, CSTORE_E_INVALID,
			       "%s cannot be written as an option of an overlay mount", s->home);
	r = overlay_lowers(s, id, &lowers, err);
	if (r)
		return r;
	if (mkdir(target, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "make directory %s", target);
	r = clear_volatile_mark(s, id);
	if (r)
		return err_sysr(err, r, "clear the volatile mark of layer %s", id);
	r = do_mount(s, id, lowers, label, is_volatile, target);
	if (r == -EINVAL && is_volatile) /* Linux before 5.10 */
		r = do_mount(s, id, lowers, label, false, target);
	return r ? err_sysr(err, r, "mount layer %s on %s", id, target) : 0;
}

int overlay_unmount(struct cstore *s, const char *id, struct cstore_error *err)
{
	_cleanup_free_ char *target = strf("%s/%s/merged", s->home, id),
			    *fresh = strf("%s/%s/merged.1", s->home, id);

	if (!target || !fresh)
		return err_oom(err);
	if (umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
		return err_sys(err, "unmount %s", target);
	/* a copy of the mount in another mount namespace would keep the old directory busy */
	if (mkdir(fresh, 0700) == 0 && rename(fresh, target) < 0)
		rmdir(fresh);
	return 0;
}
