/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The archive of a layer, bit for bit: its tar-split says what was around the files, the directories of the
 * layer and of those below it have the files. The digest of what was written tells whether it is
 * the archive that once came in.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cbase/err.h>
#include <cbase/io.h>
#include "rebuild.h"
#include "replay.h"
#include "tree.h"

#define PIECE 131072

struct rebuild {
	const struct rebuild_job *job;
	struct replay replay;
	struct digest_stream *hash;
	char what[TAR_NAME_MAX + 64]; /* the first damage */
};

static int open_regular(int dir, const char *path)
{
	int fd = open_in_root(dir, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

static int open_content(void *user, const char *name, uint64_t size)
{
	struct rebuild *b = user;
	char path[TAR_NAME_MAX + 1];
	int fd = -ENOENT;

	(void)size;
	if (strlen(name) > TAR_NAME_MAX || !tree_clean(name, path))
		return -EINVAL;
	for (size_t i = 0; i < b->job->dir_count && fd == -ENOENT; i++)
		fd = open_regular(b->job->dirs[i], path);
	return fd;
}

static void on_damaged(void *user, const char *name, const char *what)
{
	struct rebuild *b = user;

	if (!*b->what)
		snprintf(b->what, sizeof(b->what), "%.4095s: %s", name, what);
}

static int copy(struct rebuild *b, uint64_t *ret_size, struct cstore_error *err)
{
	_cleanup_free_ char *buf = malloc(PIECE);
	uint64_t total = 0;
	size_t got;
	int r;

	if (!buf)
		return err_oom(err);
	for (;;) {
		if (b->job->cancel && *(const volatile int *)b->job->cancel)
			return err_set(err, CSTORE_E_CANCELLED, "cancelled");
		r = replay_read(&b->replay, buf, PIECE, &got, err);
		if (r)
			return r;
		if (*b->what)
			return err_set(err, CSTORE_E_DAMAGED, "%s", b->what);
		if (!got)
			break;
		digest_stream_update(b->hash, buf, got);
		r = write_all(b->job->out_fd, buf, got);
		if (r)
			return err_sysr(err, r, "write the archive");
		total += got;
		if (b->job->progress)
			b->job->progress(b->job->user, total);
	}
	*ret_size = total;
	return 0;
}

int rebuild_layer(const struct rebuild_job *job, struct verify_result *result,
		  struct cstore_error *err)
{
	struct rebuild b = { .job = job };
	int r;

	r = digest_stream_new("sha256", &b.hash);
	if (r)
		return err_sysr(err, r, "start a digest");
	r = replay_init(&b.replay, job->tar_split_fd, err);
	if (!r) {
		b.replay.open = open_content;
		b.replay.damaged = on_damaged;
		b.replay.user = &b;
		r = copy(&b, &result->size, err);
		replay_done(&b.replay);
	}
	if (!r)
		digest_stream_final(b.hash, result->diff_id);
	digest_stream_free(b.hash);
	return r;
}
