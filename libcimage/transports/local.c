/* SPDX-License-Identifier: Apache-2.0 */
/* See local.h. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <cbase/digest.h>
#include <cbase/io.h>
#include "local.h"

#define BUFFER (64u << 10)
#define OPEN_MAX_AT_ONCE 6
#define TICK_MS 200

/* ---- paths ---- */

int local_path(const char *path, char **ret_path, struct cimage_error *err)
{
	_cleanup_free_ char *parent = NULL, *resolved = NULL;
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	if (!*path)
		return err_set(err, CIMAGE_E_INVALID, "the path is missing");
	resolved = realpath(path, NULL);
	if (!resolved && errno == ENOENT && *name && !streq(name, ".") && !streq(name, "..")) {
		parent = !slash ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
		free(resolved);
		resolved = parent ? realpath(parent, NULL) : NULL;
		if (resolved) {
			char *joined = strf("%s/%s", streq(resolved, "/") ? "" : resolved, name);

			free(resolved);
			resolved = joined;
		}
	}
	if (!resolved)
		return err_sys(err, "%s", path);
	*ret_path = take(resolved);
	return 0;
}

int local_scopes(const char *path, char ***ret, struct cimage_error *err)
{
	_cleanup_free_ char *p = strdup(path);
	_cleanup_strv_ char **v = NULL;
	char *slash;
	int r = p ? 0 : -ENOMEM;

	while (!r && *p) {
		r = strv_push(&v, p);
		slash = strrchr(p, '/');
		*(slash ? slash : p) = '\0';
	}
	if (r)
		return err_oom(err);
	*ret = take(v);
	return 0;
}

/* ---- reading ---- */

struct file_stream {
	struct cimage_stream base;
	int fd;
};

static int file_read(struct cimage_stream *s, void *p, size_t n, size_t *ret_n,
		     struct cimage_error *err)
{
	ssize_t k;

	do
		k = read(((struct file_stream *)s)->fd, p, n);
	while (k < 0 && errno == EINTR);
	if (k < 0)
		return err_sys(err, "read");
	*ret_n = (size_t)k;
	return 0;
}

static void file_close(struct cimage_stream *s)
{
	close_fd(((struct file_stream *)s)->fd);
	free(s);
}

int local_stream(int dirfd, const char *name, struct cimage_stream **ret, struct cimage_error *err)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct file_stream *f;
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return err_set(err, CIMAGE_E_NOT_FOUND, "there is no %s", name);
	if (fd < 0 || fstat(fd, &st))
		return err_sys(err, "open %s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, CIMAGE_E_INVALID, "%s is not a file", name);
	f = malloc(sizeof(*f));
	if (!f)
		return err_oom(err);
	*f = (struct file_stream){ { file_read, file_close }, take_fd(fd) };
	*ret = &f->base;
	return 0;
}

struct source {
	struct cimage_blob_request *r;
	struct cimage_stream *stream; /* NULL: not open */
	char *buffer;
	size_t at, len; /* what was read and not taken */
	bool paused;
};

static void source_done(struct source *s)
{
	if (s->stream)
		s->stream->close(s->stream);
	s->stream = NULL;
	free(take(s->buffer));
}

/* *ret_ended: this blob is done. */
static int advance(struct source *s, bool *ret_ended, struct cimage_error *err)
{
	int r;

	if (s->at == s->len) {
		s->at = 0;
		r = s->stream->read(s->stream, s->buffer, BUFFER, &s->len, err);
		if (r)
			return err_ctx(err, r, "blob %s", s->r->digest);
		if (!s->len) {
			*ret_ended = true;
			return s->r->done(s->r->user, 0);
		}
	}
	/* a paused receiver has been offered all of it, and wants all of it again */
	r = s->r->data(s->r->user, s->buffer, s->len);
	s->paused = r == CIMAGE_PAUSE;
	if (!r)
		s->at = s->len;
	return s->paused ? 0 : r;
}

static void wait_for_any(struct source *active, size_t n)
{
	struct pollfd fds[OPEN_MAX_AT_ONCE];
	size_t i, k = 0;

	for (i = 0; i < n; i++) {
		if (!active[i].paused)
			return;
		fds[k++] = (struct pollfd){ .fd = active[i].r->resume_fd, .events = POLLOUT };
	}
	poll(fds, k, TICK_MS);
	for (i = 0; i < n; i++)
		if (fds[i].revents || fds[i].fd < 0)
			active[i].paused = false;
}

static int start(struct source *s, struct cimage_blob_request *r, local_open_fn *open, void *user,
		 struct cimage_error *err)
{
	int k;

	*s = (struct source){ .r = r };
	s->buffer = malloc(BUFFER);
	k = s->buffer ? open(user, r->digest, &s->stream, err) : err_oom(err);
	if (k)
		source_done(s);
	return k;
}

int local_blobs(const struct cimage_context *c, struct cimage_blob_request *r, size_t n,
		local_open_fn *open, void *user, struct cimage_error *err)
{
	struct source active[OPEN_MAX_AT_ONCE];
	size_t count = 0, next = 0, i;
	int result = 0;

	while (!result && (next < n || count)) {
		if (cimage_context_cancelled(c)) {
			result = err_set(err, CIMAGE_E_CANCELLED, "cancelled");
			break;
		}
		if (next < n && count < OPEN_MAX_AT_ONCE) {
			result = start(&active[count], &r[next++], open, user, err);
			count += !result;
			continue;
		}
		for (i = 0; i < count && !result; i++) {
			bool ended = false;

			if (active[i].paused)
				continue;
			result = advance(&active[i], &ended, err);
			if (ended) {
				source_done(&active[i]);
				active[i--] = active[--count];
			}
		}
		if (!result && count)
			wait_for_any(active, count);
	}
	while (count)
		source_done(&active[--count]);
	return result;
}

/* ---- writing ---- */

int local_write(int dirfd, const char *name, struct cimage_stream *s, struct cimage_error *err)
{
	_cleanup_free_ char *buf = malloc(BUFFER);
	_cleanup_close_ int fd = -1;
	size_t n = 1;
	int r = 0;

	if (!buf)
		return err_oom(err);
	fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(err, "make file %s", name);
	while (!r && n) {
		r = s->read(s, buf, BUFFER, &n, err);
		if (!r && n) {
			r = write_all(fd, buf, n);
			if (r)
				r = err_sysr(err, r, "write %s", name);
		}
	}
	return r;
}

int local_put(int dirfd, const char *prefix, const struct cimage_put *b, struct cimage_stream *s,
	      struct cimage_error *err)
{
	_cleanup_free_ char *name = NULL;
	char random[33], temp[64];
	int r;

	r = random_hex(16, random);
	if (r)
		return err_sysr(err, r, "random numbers");
	snprintf(temp, sizeof(temp), ".blob-%s", random);
	r = local_write(dirfd, temp, s, err);
	if (!r) {
		name = strf("%s%s", prefix, digest_hex(b->digest));
		r = !name ? err_oom(err)
		    : renameat(dirfd, temp, dirfd, name) ? err_sys(err, "name blob %s", b->digest)
							 : 0;
	}
	if (r)
		unlinkat(dirfd, temp, 0);
	return r;
}

int local_scratch_new(struct local_scratch *ret, struct cimage_error *err)
{
	const char *tmp = secure_getenv("TMPDIR");
	struct local_scratch s = { strf("%s/cimage-XXXXXX", tmp && *tmp == '/' ? tmp : "/var/tmp"), -1 };
	int r = 0;

	if (!s.path)
		return err_oom(err);
	if (!mkdtemp(s.path)) {
		r = err_sys(err, "make directory %s", s.path);
		free(take(s.path));
	} else if ((s.fd = open(s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		r = err_sys(err, "open %s", s.path);
	}
	if (r)
		local_scratch_done(&s);
	else
		*ret = s;
	return r;
}

void local_scratch_done(struct local_scratch *s)
{
	if (!s->path)
		return;
	close_fd(s->fd);
	rm_rf_at(AT_FDCWD, s->path);
	free(take(s->path));
}

int local_dir_new(const char *path, struct local_dir *ret, struct cimage_error *err)
{
	struct local_dir d = LOCAL_DIR_INIT;
	char random[17];
	int r = random_hex(8, random);

	if (r)
		return err_sysr(err, r, "random numbers");
	d.path = strdup(path);
	d.building = strf("%s.new-%s", path, random);
	if (!d.path || !d.building)
		r = err_oom(err);
	else if (mkdir(d.building, 0755) ||
		 (d.fd = open(d.building, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		r = err_sys(err, "make directory %s", d.building);
	if (r)
		local_dir_done(&d);
	else
		*ret = d;
	return r;
}

int local_dir_commit(struct local_dir *d, struct cimage_error *err)
{
	if (syncfs(d->fd))
		return err_sys(err, "write %s", d->path);
	if (!renameat2(AT_FDCWD, d->building, AT_FDCWD, d->path, RENAME_EXCHANGE))
		rm_rf_at(AT_FDCWD, d->building); /* what was there */
	else if (errno != ENOENT || rename(d->building, d->path))
		return err_sys(err, "put %s in its place", d->path);
	free(take(d->building));
	return 0;
}

void local_dir_done(struct local_dir *d)
{
	if (d->building)
		rm_rf_at(AT_FDCWD, d->building);
	free(d->building);
	free(d->path);
	close_fd(d->fd);
	*d = (struct local_dir)LOCAL_DIR_INIT;
}
