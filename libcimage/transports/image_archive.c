/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives of images. The members are listed once; to read one, the archive is opened again and gone
 * through up to it, which is only skipping, since it is not compressed (any more). Of each name the
 * last member counts, as for tar.
 */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <cbase/io.h>
#include "image_archive.h"

#define BLOCK (64u << 10)
#define LINKS_MAX 8

static int fail(struct archive *a, const char *what, struct cimage_error *err)
{
	const char *why = archive_error_string(a);

	return err_set(err, CIMAGE_E_INVALID, "%s: %s", what, SHOW(why ? why : "damaged archive"));
}

/* ---- opening ---- */

static bool is_compressed(int fd)
{
	unsigned char p[6] = { 0 };

	return pread(fd, p, sizeof(p), 0) == (ssize_t)sizeof(p) &&
	       ((p[0] == 0x1f && p[1] == 0x8b) || !memcmp(p, "\x28\xb5\x2f\xfd", 4) ||
		!memcmp(p, "BZh", 3) || !memcmp(p, "\xfd" "7zXZ", 5));
}

static int unpack_to(int fd, int to, struct cimage_error *err)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	int r = 0;

	if (!a)
		return err_oom(err);
	archive_read_support_filter_all(a);
	archive_read_support_format_raw(a);
	if (archive_read_open_fd(a, fd, BLOCK) || archive_read_next_header(a, &e) ||
	    archive_read_data_into_fd(a, to))
		r = fail(a, "decompress the archive", err);
	archive_read_free(a);
	return r;
}

int archive_temporary(int *ret, struct cimage_error *err)
{
	const char *tmp = secure_getenv("TMPDIR");

	*ret = open(tmp && *tmp == '/' ? tmp : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return *ret < 0 ? err_sys(err, "make a file for the archive") : 0;
}

static int uncompressed(int *fd, struct cimage_error *err)
{
	int to, r;

	if (!is_compressed(*fd))
		return 0;
	r = archive_temporary(&to, err);
	if (r)
		return r;
	r = unpack_to(*fd, to, err);
	if (r) {
		close_fd(to);
		return r;
	}
	close_fd(*fd);
	*fd = to;
	return 0;
}

/* A descriptor of its own for each reader: they have positions. */
static int open_again(int fd, struct archive **ret, int *ret_fd, struct cimage_error *err)
{
	char path[64];
	struct archive *a;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*ret_fd < 0)
		return err_sys(err, "open the archive");
	a = archive_read_new();
	if (!a) {
		close_fd(*ret_fd);
		return err_oom(err);
	}
	archive_read_support_format_tar(a);
	if (archive_read_open_fd(a, *ret_fd, BLOCK)) {
		int r = fail(a, "open the archive", err);

		archive_read_free(a);
		close_fd(*ret_fd);
		return r;
	}
	*ret = a;
	return 0;
}

static const char *clean_name(const char *name)
{
	while (str_starts(name, "./"))
		name += 2;
	return name;
}

static int add_member(struct archive_index *x, struct archive_entry *e, struct cimage_error *err)
{
	const char *name = archive_entry_pathname(e), *target = archive_entry_symlink(e);
	struct archive_member *grown;

	if (!target)
		target = archive_entry_hardlink(e);
	if (!name || strlen(name) > ARCHIVE_NAME_MAX ||
	    (!target && archive_entry_filetype(e) != AE_IFREG))
		return 0;
	if (x->count == ARCHIVE_MEMBERS_MAX)
		return err_set(err, CIMAGE_E_LIMIT, "the archive has more than %d members",
			       ARCHIVE_MEMBERS_MAX);
	grown = realloc(x->members, (x->count + 1) * sizeof(*grown));
	if (!grown)
		return err_oom(err);
	x->members = grown;
	grown += x->count++;
	*grown = (struct archive_member){ strdup(clean_name(name)), target ? strdup(target) : NULL,
					  archive_entry_size(e) };
	return grown->name && (!target || grown->target) ? 0 : err_oom(err);
}

int archive_index_fd(int fd, struct archive_index *ret, struct cimage_error *err)
{
	struct archive_index x = { .fd = fd };
	struct archive_entry *e;
	struct archive *a;
	int again, r, k = 0;

	r = uncompressed(&x.fd, err);
	if (!r)
		r = open_again(x.fd, &a, &again, err);
	if (!r) {
		while (!r && (k = archive_read_next_header(a, &e)) == ARCHIVE_OK)
			r = add_member(&x, e, err);
		if (!r && k != ARCHIVE_EOF)
			r = fail(a, "read the archive", err);
		archive_read_free(a);
		close_fd(again);
	}
	if (r)
		archive_index_done(&x);
	else
		*ret = x;
	return r;
}

int archive_open(const char *path, int *ret, struct cimage_error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return err_set(err, CIMAGE_E_NOT_FOUND, "there is no %s", path);
	if (fd < 0 || fstat(fd, &st))
		return err_sys(err, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, CIMAGE_E_INVALID, "%s is not a file", path);
	*ret = take_fd(fd);
	return 0;
}

int archive_index_open(const char *path, struct archive_index *ret, struct cimage_error *err)
{
	int fd, r = archive_open(path, &fd, err);

	return r ? r : archive_index_fd(fd, ret, err);
}

void archive_index_done(struct archive_index *a)
{
	while (a->count--) {
		free(a->members[a->count].name);
		free(a->members[a->count].target);
	}
	free(a->members);
	close_fd(a->fd);
	*a = (struct archive_index){ .fd = -1 };
}

/* ---- members ---- */

/* "a/layer.tar" and "../b/layer.tar" as "b/layer.tar"; what leads out is nothing. */
static char *link_target(const char *name, const char *target)
{
	const char *slash = strrchr(name, '/');
	size_t n = slash ? (size_t)(slash - name) : 0;

	while (str_starts(target, "../")) {
		if (!n)
			return NULL;
		while (n && name[n - 1] != '/')
			n--;
		n -= n > 0;
		target += 3;
	}
	return n ? strf("%.*s/%s", (int)n, name, target) : strdup(target);
}

const struct archive_member *archive_find(const struct archive_index *a, const char *name)
{
	_cleanup_free_ char *at = strdup(name);
	int links;
	size_t i;

	for (links = 0; at && links < LINKS_MAX; links++) {
		const struct archive_member *m = NULL;
		char *next;

		for (i = a->count; i-- && !m;)
			if (streq(a->members[i].name, at))
				m = &a->members[i];
		if (!m || !m->target)
			return m;
		next = link_target(m->name, m->target);
		free(at);
		at = next;
	}
	return NULL;
}

struct member_stream {
	struct cimage_stream base;
	struct archive *archive;
	int fd;
};

static int member_read(struct cimage_stream *s, void *p, size_t n, size_t *ret_n,
		       struct cimage_error *err)
{
	struct member_stream *m = (struct member_stream *)s;
	la_ssize_t k = archive_read_data(m->archive, p, n);

	if (k < 0)
		return fail(m->archive, "read the archive", err);
	*ret_n = (size_t)k;
	return 0;
}

static void member_close(struct cimage_stream *s)
{
	struct member_stream *m = (struct member_stream *)s;

	archive_read_free(m->archive);
	close_fd(m->fd);
	free(m);
}

int archive_stream(const struct archive_index *a, const char *name, struct cimage_stream **ret,
		   struct cimage_error *err)
{
	const struct archive_member *m = archive_find(a, name);
	struct member_stream *s;
	struct archive_entry *e;
	size_t at = 0, wanted;
	int r;

	if (!m)
		return err_set(err, CIMAGE_E_NOT_FOUND, "the archive has no %s", SHOW(name));
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->base = (struct cimage_stream){ member_read, member_close };
	r = open_again(a->fd, &s->archive, &s->fd, err);
	if (r) {
		free(s);
		return r;
	}
	wanted = (size_t)(m - a->members);
	while (!r) {
		const char *own;

		if (archive_read_next_header(s->archive, &e)) {
			r = fail(s->archive, "read the archive", err);
			break;
		}
		own = archive_entry_pathname(e);
		if (!own || strlen(own) > ARCHIVE_NAME_MAX ||
		    (!archive_entry_symlink(e) && !archive_entry_hardlink(e) &&
		     archive_entry_filetype(e) != AE_IFREG))
			continue;
		if (at++ == wanted)
			break;
	}
	if (r)
		member_close(&s->base);
	else
		*ret = &s->base;
	return r;
}

int archive_read_member(const struct archive_index *a, const char *name, size_t limit, char **ret,
			size_t *ret_len, struct cimage_error *err)
{
	struct str bytes = STR_INIT;
	struct cimage_stream *s;
	char buf[16384];
	size_t n = 1;
	int r = archive_stream(a, name, &s, err);

	if (r)
		return r;
	while (!r && n) {
		r = s->read(s, buf, sizeof(buf), &n, err);
		if (!r)
			str_append_mem(&bytes, buf, n);
		if (!r && bytes.len > limit)
			r = err_set(err, CIMAGE_E_LIMIT, "%s in the archive is larger than %zu bytes",
				    SHOW(name), limit);
	}
	s->close(s);
	if (!r && !(*ret = str_take(&bytes, ret_len)))
		r = err_oom(err);
	str_done(&bytes);
	return r;
}

/* ---- writing ---- */

struct archive_writer {
	struct archive *archive;
};

int archive_writer_new(int fd, struct archive_writer **ret, struct cimage_error *err)
{
	struct archive_writer *w = calloc(1, sizeof(*w));

	if (w)
		w->archive = archive_write_new();
	if (!w || !w->archive) {
		free(w);
		return err_oom(err);
	}
	archive_write_set_format_pax_restricted(w->archive);
	if (archive_write_open_fd(w->archive, fd)) {
		int r = fail(w->archive, "write the archive", err);

		archive_writer_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

struct archive_writer *archive_writer_free(struct archive_writer *w)
{
	if (w)
		archive_write_free(w->archive);
	free(w);
	return NULL;
}

static int begin(struct archive_writer *w, const char *name, int64_t size, struct cimage_error *err)
{
	struct archive_entry *e = archive_entry_new();
	int r = 0;

	if (!e)
		return err_oom(err);
	archive_entry_set_pathname(e, name);
	archive_entry_set_size(e, size);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0644);
	archive_entry_set_mtime(e, 0, 0);
	if (archive_write_header(w->archive, e))
		r = fail(w->archive, "write the archive", err);
	archive_entry_free(e);
	return r;
}

static int add_data(struct archive_writer *w, const void *p, size_t n, struct cimage_error *err)
{
	return archive_write_data(w->archive, p, n) == (la_ssize_t)n
		       ? 0
		       : fail(w->archive, "write the archive", err);
}

int archive_add_bytes(struct archive_writer *w, const char *name, const char *bytes, size_t n,
		      struct cimage_error *err)
{
	int r = begin(w, name, (int64_t)n, err);

	return r || !n ? r : add_data(w, bytes, n, err);
}

int archive_add_file(struct archive_writer *w, const char *name, int dirfd, const char *file,
		     struct cimage_error *err)
{
	_cleanup_close_ int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	char buf[65536];
	ssize_t n;
	int r;

	if (fd < 0 || fstat(fd, &st))
		return err_sys(err, "open %s", file);
	r = begin(w, name, st.st_size, err);
	while (!r && (n = read(fd, buf, sizeof(buf))) != 0)
		r = n < 0 ? err_sys(err, "read %s", file) : add_data(w, buf, (size_t)n, err);
	return r;
}

int archive_writer_finish(struct archive_writer *w, struct cimage_error *err)
{
	return archive_write_close(w->archive) ? fail(w->archive, "write the archive", err) : 0;
}
