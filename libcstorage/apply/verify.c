/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer against its tar-split. The archive is made again from both and read as when it was extracted;
 * every member is compared with what is in the directory. What its header says completely can be made
 * again: everything but the content of files.
 *
 * What is in the directory and in no member is found by inode, because links of the layer give one thing
 * several paths: all things that members name are noted, and a walk looks for others.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cbase/err.h>
#include <cbase/io.h>
#include "replay.h"
#include "tree.h"
#include "verify.h"

struct verify {
	const struct verify_job *job;
	struct replay replay;
	struct tree tree; /* for what is made again */
	struct u64set known;
	bool lost;
	int failed;
};

static void tell(struct verify *v, int kind, bool mended, const char *name, const char *what)
{
	if (v->job->report)
		v->job->report(v->job->user, kind, mended, name, what);
}

static void on_damaged(void *user, const char *name, const char *what)
{
	struct verify *v = user;

	v->lost = true;
	tell(v, CSTORE_PROBLEM_CONTENT, false, name, what);
}

static int open_content(void *user, const char *name, uint64_t size)
{
	struct verify *v = user;
	char path[TAR_NAME_MAX + 1];
	struct stat st;
	int fd;

	(void)size;
	if (!tree_clean(name, path))
		return -EINVAL;
	fd = open_in_root(v->job->diff_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

static int read_archive(void *user, void *p, size_t n, size_t *ret_got, struct cstore_error *err)
{
	return replay_read(user, p, n, ret_got, err);
}

/* ---- one member ---- */

static mode_t type_of(const struct tar_member *m)
{
	switch (m->type) {
	case TAR_FILE:
	case TAR_HARDLINK: /* any; see same_inode() */
		return S_IFREG;
	case TAR_SYMLINK:
		return S_IFLNK;
	case TAR_CHAR:
		return S_IFCHR;
	case TAR_BLOCKDEV:
		return S_IFBLK;
	case TAR_DIR:
		return S_IFDIR;
	case TAR_FIFO:
		return S_IFIFO;
	}
	return 0;
}

/* Opens the directory of path, and cuts it; *ret_base is what is left. */
static int open_dir_of(struct verify *v, char *path, const char **ret_base)
{
	char *slash = strrchr(path, '/');

	*ret_base = slash ? slash + 1 : path;
	if (slash)
		*slash = '\0';
	return open_in_root(v->job->diff_fd, slash ? path : ".", O_RDONLY | O_DIRECTORY, 0);
}

static bool same_inode(struct verify *v, const char *target, const struct stat *st)
{
	_cleanup_close_ int dir = -1;
	char path[TAR_NAME_MAX + 1];
	const char *base;
	struct stat other;

	if (!tree_clean(target, path))
		return false;
	dir = open_dir_of(v, path, &base);
	return dir >= 0 && fstatat(dir, base, &other, AT_SYMLINK_NOFOLLOW) == 0 &&
	       other.st_ino == st->st_ino && other.st_dev == st->st_dev;
}

static bool link_differs(int dir, const char *base, const char *want)
{
	char text[TAR_NAME_MAX + 1];
	ssize_t n = readlinkat(dir, base, text, sizeof(text));

	return n < 0 || (size_t)n != strlen(want) || memcmp(text, want, (size_t)n) != 0;
}

/* Is it another kind of thing than the header says, so that it has to be made again? */
static bool differs(struct verify *v, const struct tar_member *m, int dir, const char *base,
		    const struct stat *st)
{
	if (m->type == TAR_HARDLINK)
		return !same_inode(v, m->link, st);
	if ((st->st_mode & S_IFMT) != type_of(m))
		return true;
	if (m->type == TAR_SYMLINK)
		return link_differs(dir, base, m->link);
	if (m->type == TAR_CHAR || m->type == TAR_BLOCKDEV)
		return st->st_rdev != makedev(m->major, m->minor);
	return m->type == TAR_FILE && !m->size && st->st_size;
}

static bool xattrs_differ(const struct verify *v, const struct tar_member *m, int dir, const char *base)
{
	_cleanup_free_ char *path = m->xattr_count ? strf("/proc/self/fd/%d/%s", dir, base) : NULL;
	_cleanup_free_ char *value = path ? malloc(TAR_XATTR_MAX) : NULL;
	ssize_t n;

	for (size_t i = 0; value && i < m->xattr_count; i++) {
		const struct tar_xattr *x = &m->xattrs[i];

		if (!attr_wanted(x->name, v->tree.userns) || (m->type != TAR_FILE && m->type != TAR_DIR && str_starts(x->name, "user.")))
			continue;
		n = lgetxattr(path, x->name, value, TAR_XATTR_MAX);
		if (n < 0 && errno == ENOTSUP)
			continue;
		if (n < 0 || (size_t)n != x->len || memcmp(value, x->value, x->len) != 0)
			return true;
	}
	return false;
}

/* A directory's time changes with every mend in it, and says nothing about its content. */
static const char *attributes_differ(const struct verify *v, const struct tar_member *m, int dir, const char *base,
				     const struct stat *st)
{
	if (st->st_uid != m->uid || st->st_gid != m->gid)
		return "its owner is another";
	if (m->type != TAR_SYMLINK && (st->st_mode & 07777) != m->mode)
		return "its mode is another";
	if (m->type != TAR_DIR && st->st_mtim.tv_sec != m->mtime.tv_sec)
		return "its time is another";
	return xattrs_differ(v, m, dir, base) ? "its attributes are others" : NULL;
}

static int mend_attributes(struct verify *v, const struct tar_member *m, int dir, const char *base)
{
	_cleanup_close_ int fd = -1;
	struct timespec times[2];
	int r;

	if (m->type != TAR_FILE)
		return attr_set_at(m, dir, base, v->tree.userns, NULL);
	fd = openat(dir, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	attr_times(m, times);
	r = attr_set_fd(m, fd, v->tree.userns, NULL);
	return r ? r : futimens(fd, times) < 0 ? -errno : 0;
}

static void note(struct verify *v, const struct stat *st)
{
	bool is_new;

	if (u64set_add(&v->known, st->st_ino, &is_new))
		v->failed = -ENOMEM;
}

/* Makes the member again; content is beyond us. */
static bool make_again(struct verify *v, const struct tar_member *m)
{
	int fd, r;

	if (!v->job->mend || m->size)
		return false;
	r = tree_add(&v->tree, m, &fd, NULL);
	if (!r && fd >= 0) {
		r = tree_finish_file(&v->tree, m, fd, NULL);
		close_fd(fd);
	}
	return r == 0;
}

static void check_member(struct verify *v, const struct tar_member *m, char *path)
{
	_cleanup_close_ int dir = -1;
	const char *base, *what;
	struct stat st, st_dir;
	bool there, mended;

	if (tree_leaves_out(&v->tree, m))
		return;
	dir = open_dir_of(v, path, &base);
	if (dir >= 0 && fstat(dir, &st_dir) == 0)
		note(v, &st_dir);
	there = dir >= 0 && fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!there || differs(v, m, dir, base, &st)) {
		if (m->size && there && S_ISREG(st.st_mode))
			goto known; /* said by the replay */
		mended = make_again(v, m);
		if (mended || !m->size)
			tell(v, CSTORE_PROBLEM_CONTENT, mended, m->name,
			     there ? "it is something else" : "it is missing");
		v->lost |= !mended;
		if (mended) {
			close_fd(dir);
			memset(&st, 0, sizeof(st));
			tree_clean(m->name, path);
			dir = open_dir_of(v, path, &base);
			there = dir >= 0 && fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) == 0;
		}
		if (there)
			note(v, &st);
		return;
	}
	what = m->type == TAR_HARDLINK ? NULL : attributes_differ(v, m, dir, base, &st);
	if (what)
		tell(v, CSTORE_PROBLEM_ATTRIBUTES, v->job->mend && mend_attributes(v, m, dir, base) == 0,
		     m->name, what);
known:
	note(v, &st);
}

/* ---- whiteouts ---- */

static bool whiteout_there(const struct verify *v, int dir, const char *base, struct stat *st)
{
	char value[1];

	if (streq(base, WHITEOUT_OPAQUE))
		return fgetxattr(dir, OPAQUE_XATTR(v->tree.userns), value, 1) == 1 && *value == 'y';
	/* hides what is below; where this layer has the name as well, that is what is there */
	return fstatat(dir, base + strlen(WHITEOUT), st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void check_whiteout(struct verify *v, const struct tar_member *m, char *path)
{
	_cleanup_close_ int dir = -1;
	const char *base;
	struct stat st = { .st_ino = 0 };
	bool mended;

	dir = open_dir_of(v, path, &base);
	if (dir < 0 || (str_starts(base, WHITEOUT_META) && !streq(base, WHITEOUT_OPAQUE)))
		return; /* it is below something that is hidden itself, or means nothing */
	if (!whiteout_there(v, dir, base, &st)) {
		mended = make_again(v, m);
		v->lost |= !mended;
		tell(v, CSTORE_PROBLEM_CONTENT, mended, m->name, "the whiteout is missing");
		if (mended)
			whiteout_there(v, dir, base, &st);
	}
	if (st.st_ino)
		note(v, &st);
}

static void check_any(struct verify *v, const struct tar_member *m)
{
	char path[TAR_NAME_MAX + 1];
	const char *base;

	if (!v->job->report || !tree_clean(m->name, path) || streq(path, "."))
		return;
	base = strrchr(path, '/');
	if (str_starts(base ? base + 1 : path, WHITEOUT))
		check_whiteout(v, m, path);
	else
		check_member(v, m, path);
}

/* ---- what is too much ---- */

static void check_extra(struct verify *v, int dir, const char *where, const char *name)
{
	_cleanup_free_ char *path = strf("%s%s", where, name);
	struct stat st;

	if (!path)
		v->failed = -ENOMEM;
	if (!path || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || u64set_has(&v->known, st.st_ino))
		return;
	tell(v, CSTORE_PROBLEM_CONTENT, v->job->mend && rm_rf_at(dir, name) == 0, path, "no member of the layer");
}

static int walk(struct verify *v, int dir, const char *where, int depth)
{
	_cleanup_closedir_ DIR *d = fdopendir(dir);
	struct dirent *e;

	if (!d) {
		close(dir);
		return -ENOMEM;
	}
	while ((e = readdir(d)) && !v->failed) {
		_cleanup_free_ char *below = NULL;
		int fd = -1;

		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		if (e->d_type == DT_DIR && depth < VERIFY_DEPTH_MAX)
			fd = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0) {
			below = strf("%s%s/", where, e->d_name);
			if (!below || walk(v, fd, below, depth + 1))
				v->failed = -ENOMEM;
		} else if (e->d_type != DT_DIR) {
			check_extra(v, dirfd(d), where, e->d_name);
		}
	}
	return v->failed;
}

/* ---- all ---- */

static int read_content(struct stream *s, uint64_t left, struct cstore_error *err)
{
	const uint8_t *p;
	size_t n;
	int r = 0;

	while (left && !r) {
		r = stream_peek(s, &p, &n, err);
		if (!r && !n)
			return err_set(err, CSTORE_E_DAMAGED, "tar-split: it is cut off");
		n = left < n ? (size_t)left : n;
		if (!r)
			stream_consume(s, n);
		left -= n;
	}
	return r;
}

static int read_members(struct verify *v, struct tar *tar, struct cstore_error *err)
{
	bool end = false;
	int r;

	for (;;) {
		if (v->job->cancel && *(const volatile int *)v->job->cancel)
			return err_set(err, CSTORE_E_CANCELLED, "cancelled");
		r = tar_next(tar, &end, err);
		if (r || end)
			return r ? r : tar_finish(tar, err);
		check_any(v, &tar->member);
		r = read_content(tar->stream, tar->member.size, err);
		if (r)
			return r;
	}
}

static int run(struct verify *v, struct tar *tar, struct verify_result *result, struct cstore_error *err)
{
	struct apply_job job = { .blob_fd = -1 };
	struct apply_result sums = { .uids = NULL };
	struct stream stream;
	int r = stream_init(&stream, &job, err), dir;

	if (r)
		return r;
	stream_from(&stream, read_archive, &v->replay);
	tar_init(tar, &stream, NULL);
	r = read_members(v, tar, err);
	if (!r && v->job->report) {
		dir = openat(v->job->diff_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir >= 0)
			walk(v, dir, "", 0);
		r = tree_finish(&v->tree, err);
	}
	if (!r && v->failed)
		r = err_sysr(err, v->failed, "verify layer");
	stream_result(&stream, &sums);
	result->size = sums.diff_size;
	memcpy(result->diff_id, v->lost ? "" : sums.diff_id, v->lost ? 1 : sizeof(result->diff_id));
	tar_done(tar);
	stream_done(&stream);
	return r;
}

int verify_layer(const struct verify_job *job, struct verify_result *result, struct cstore_error *err)
{
	struct verify *v = calloc(1, sizeof(*v));
	struct tar *tar = malloc(sizeof(*tar));
	int r = v && tar ? 0 : err_oom(err);

	if (!r) {
		v->job = job;
		r = replay_init(&v->replay, job->tar_split_fd, err);
		v->replay.open = open_content;
		v->replay.damaged = on_damaged;
		v->replay.user = v;
	}
	if (!r)
		r = tree_init(&v->tree, job->diff_fd, err);
	if (!r)
		r = u64set_init(&v->known) ? err_oom(err) : run(v, tar, result, err);
	if (v) {
		replay_done(&v->replay);
		tree_done(&v->tree);
		u64set_done(&v->known);
	}
	free(v);
	free(tar);
	return r;
}
