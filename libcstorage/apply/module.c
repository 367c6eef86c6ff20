/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module's table, and the loop that turns a blob into a tree and a tar-split in one pass with constant
 * memory but for names and directories; libarchive looks over its shoulder (agree.c).
 */
#include <errno.h>
#include <string.h>
#include <cbase/err.h>
#include <cbase/io.h>
#include "agree.h"
#include "tree.h"
#include "rebuild.h"
#include "verify.h"

static int copy_content(struct stream *s, struct tarsplit *split, const struct tar_member *m,
			int fd, struct cstore_error *err)
{
	uint64_t left = m->size;
	const uint8_t *p;
	size_t n;
	int r;

	while (left) {
		r = stream_peek(s, &p, &n, err);
		if (r)
			return r;
		if (!n)
			return err_set(err, CSTORE_E_INVALID, "layer tar: %.300s: it is cut off", m->name);
		n = left < n ? (size_t)left : n;
		r = write_all(fd, p, n);
		if (r)
			return err_sysr(err, r, "write %.300s", m->name);
		tarsplit_content(split, p, n);
		stream_consume(s, n);
		left -= n;
	}
	return 0;
}

static int extract_one(struct tar *tar, struct tree *tree, struct cstore_error *err)
{
	const struct tar_member *m = &tar->member;
	_cleanup_close_ int fd = -1;
	int r;

	r = tree_add(tree, m, &fd, err);
	if (!r && fd >= 0)
		r = copy_content(tar->stream, tar->split, m, fd, err);
	if (!r && fd >= 0)
		r = tree_finish_file(tree, m, fd, err);
	if (r)
		return r;
	r = tarsplit_member(tar->split, m->name, m->size);
	return r ? err_sysr(err, r, "write tar-split") : 0;
}

static int extract(struct tar *tar, struct tree *tree, const int *cancel, struct cstore_error *err)
{
	bool end = false;
	int r;

	for (;;) {
		if (cancel && *(const volatile int *)cancel)
			return err_set(err, CSTORE_E_CANCELLED, "cancelled");
		r = tar_next(tar, &end, err);
		if (r)
			return r;
		if (end || agree_failed(tar->agree))
			break;
		r = extract_one(tar, tree, err);
		if (r)
			return r;
	}
	r = agree_finish(tar->agree, err);
	if (!r)
		r = tar_finish(tar, err);
	if (r)
		return r;
	r = tarsplit_finish(tar->split);
	if (r)
		return err_sysr(err, r, "write tar-split");
	return tree_finish(tree, err);
}

static int run(const struct apply_job *job, struct tar *tar, struct apply_result *result,
	       struct cstore_error *err)
{
	struct tarsplit split;
	struct stream stream;
	struct tree tree;
	int r;

	r = tree_init(&tree, job->diff_fd, err);
	if (!r)
		r = stream_init(&stream, job, err);
	if (r) {
		tree_done(&tree);
		return r;
	}
	r = tarsplit_init(&split, job->tar_split_fd);
	if (r)
		r = err_sysr(err, r, "start tar-split");
	tar_init(tar, &stream, &split);
	if (!r)
		r = agree_new(&tar->agree, err);
	if (!r)
		r = extract(tar, &tree, job->cancel, err);
	if (!r) {
		stream_result(&stream, result);
		tree_ids(&tree, result);
	}
	agree_free(tar->agree);
	tar_done(tar);
	tarsplit_done(&split);
	stream_done(&stream);
	tree_done(&tree);
	return r;
}

/* Names of members are in the messages, and messages go to whoever asked for the image. */
static void clean_message(struct cstore_error *err)
{
	bool valid = utf8_valid(err->message, strlen(err->message));

	for (char *p = err->message; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f || (!valid && (unsigned char)*p >= 0x80))
			*p = '?';
}

static int apply(const struct apply_job *job, struct apply_result *result, struct cstore_error *err)
{
	struct tar *tar = malloc(sizeof(*tar)); /* large for a thread's stack */
	int r = tar ? run(job, tar, result, err) : err_oom(err);

	free(tar);
	if (r && err)
		clean_message(err);
	return r;
}

static void sha256(const void *p, size_t n, char out[MODULE_DIGEST_MAX])
{
	digest_sha256(p, n, out);
}

extern const struct apply_module cstorage_apply_module;
__attribute__((visibility("default"))) const struct apply_module cstorage_apply_module = {
	.abi = MODULE_ABI,
	.apply = apply,
	.verify = verify_layer,
	.rebuild = rebuild_layer,
	.sha256 = sha256,
};
