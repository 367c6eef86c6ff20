/* SPDX-License-Identifier: Apache-2.0 */
/* cimage copy, and the copying with bars that sync does as well. */
#include <errno.h>
#include <poll.h>
#include <cbase/io.h>
#include "cimage_tool.h"
#include "trust.h"

static struct side from_side, to_side, both;
static struct key_options keys;
static struct {
	bool all, preserve, remove_signatures, no_compress, compress;
	const char *format, *multi_arch, *compress_format, *digestfile, *sign_identity;
	char **instances;
	long long level, retries, parallel;
} options = { .parallel = 6 };

/* ---- bars ---- */

#define REDRAW_NS INT64_C(100000000)

struct shown {
	struct bars bars;
	int64_t next;
};

static void on_progress(void *user, const struct cimage_progress *p)
{
	struct shown *s = user;
	int64_t now = mono_ns();
	bool whole = p->event == CIMAGE_PROGRESS_DONE || p->event == CIMAGE_PROGRESS_REUSED;
	int64_t done = whole && p->size >= 0 ? p->size : (int64_t)p->done;

	bars_set(&s->bars, p->digest, done, p->size >= done ? p->size : done + !whole);
	if (!whole && now < s->next)
		return;
	s->next = now + REDRAW_NS;
	bars_show(&s->bars, false);
}

static bool is_passing(int r)
{
	return r == CIMAGE_E_UNAVAILABLE || r == CIMAGE_E_BUSY;
}

/* 1, 2, 4 ... seconds, unless interrupted. */
static void pause_before(long long attempt)
{
	int64_t end = mono_ns() + (INT64_C(1000000000) << (attempt < 6 ? attempt : 6));

	while (mono_ns() < end && !cancelled)
		poll(NULL, 0, 100);
}

int copy_with_bars(const struct copy_job *j, const struct cimage_place *from,
		   const struct cimage_place *to, char **ret_digest)
{
	struct shown shown = { 0 };
	struct cimage_error err = { 0 };
	long long attempt;
	int r;

	if (!j->quiet && cimage_copy_options_set_progress(j->options, on_progress, &shown))
		return EXIT_FAILURE;
	for (attempt = 0;; attempt++) {
		r = cimage_copy(j->from_context, from, j->to_context, to, j->options, ret_digest, &err);
		if (!is_passing(r) || attempt >= j->retries || cancelled)
			break;
		complain("%s; trying again", err.message);
		pause_before(attempt);
	}
	if (!r && !j->quiet)
		bars_show(&shown.bars, true);
	bars_done(&shown.bars);
	return r ? complain_error(r, &err) : 0;
}

/* ---- the command ---- */

static int set_options(struct cimage_copy_options *o)
{
	bool all = options.all || (options.multi_arch && streq(options.multi_arch, "all"));
	char **p;

	if (options.multi_arch && !all && !streq(options.multi_arch, "system")) {
		complain("--multi-arch is system or all, not \"%s\"", options.multi_arch);
		return EXIT_USAGE;
	}
	if (cimage_copy_options_set_format(o, options.format)) {
		complain("--format is oci or v2s2, not \"%s\"", options.format);
		return EXIT_USAGE;
	}
	if (options.compress && !options.compress_format)
		options.compress_format = "gzip";
	if (options.no_compress)
		options.compress_format = "none";
	if (options.level < 0 || options.level > 22 ||
	    cimage_copy_options_set_compression(o, options.compress_format, (int)options.level)) {
		complain("layers can be gzip with a level up to 9, or zstd up to 22");
		return EXIT_USAGE;
	}
	for (p = options.instances; p && *p; p++)
		if (cimage_copy_options_add_instance(o, *p)) {
			complain("--instance: \"%s\" is not a digest", *p);
			return EXIT_USAGE;
		}
	if (options.parallel < 1 || options.parallel > 32 ||
	    cimage_copy_options_set_parallel(o, (int)options.parallel)) {
		complain("--image-parallel-copies is 1 to 32");
		return EXIT_USAGE;
	}
	return cimage_copy_options_set_all(o, all) ||
			       cimage_copy_options_set_preserve_digests(o, options.preserve) ||
			       cimage_copy_options_set_remove_signatures(o, options.remove_signatures) ||
			       cimage_copy_options_set_sign_identity(o, options.sign_identity)
		       ? EXIT_FAILURE
		       : 0;
}

static void merge(struct side *to, const struct side *from)
{
	if (!to->authfile)
		to->authfile = from->authfile;
	if (!to->tls_verify)
		to->tls_verify = from->tls_verify;
}

static int report(const char *from, const char *to, const char *digest)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	int r;

	if (options.digestfile) {
		r = write_file(options.digestfile, 0644, digest, strlen(digest), 0);
		if (r) {
			complain("write %s: %s", options.digestfile, strerror(-r));
			return EXIT_FAILURE;
		}
	}
	if (!settings.json)
		return 0;
	doc = json_doc_new();
	if (doc) {
		json_set_string(doc, json_root(doc), "source", from);
		json_set_string(doc, json_root(doc), "destination", to);
		json_set_string(doc, json_root(doc), "digest", digest);
	}
	return json_print(doc);
}

static int run_copy(void *unused, int argc, char **argv)
{
	_cleanup_(cimage_copy_options_freep) struct cimage_copy_options *o = NULL;
	_cleanup_(cimage_context_freep) struct cimage_context *fc = NULL, *tc = NULL;
	_cleanup_(cimage_place_freep) struct cimage_place *from = NULL, *to = NULL;
	_cleanup_free_ char *digest = NULL;
	struct copy_job job;
	int r;

	merge(&from_side, &both);
	merge(&to_side, &both);
	if (cimage_copy_options_new(&o))
		return EXIT_FAILURE;
	if ((r = set_options(o)) || (r = setup_context(&from_side, &fc)) ||
	    (r = setup_context(&to_side, &tc)) || (r = setup_keys(&keys, fc, tc)) ||
	    (r = setup_place(fc, argv[0], &from)) ||
	    (r = setup_place(tc, argv[1], &to)) || (r = watch_interrupt()))
		return r;
	job = (struct copy_job){ fc, tc, o, options.retries, settings.quiet };
	r = copy_with_bars(&job, from, to, &digest);
	return r ? r : report(cimage_place_string(from), cimage_place_string(to), digest);
}

static const struct opt copy_options[] = {
	{ 'a', "all", OPT_FLAG, &options.all, NULL, "of a list, all images" },
	{ 0, "multi-arch", OPT_STRING, &options.multi_arch, "system|all", "which images of a list" },
	{ 0, "instance", OPT_LIST, &options.instances, "DIGEST", "of a list, only these images" },
	{ 'f', "format", OPT_STRING, &options.format, "oci|v2s2", "of the manifest" },
	{ 0, "dest-compress", OPT_FLAG, &options.compress, NULL, "compress layers" },
	{ 0, "dest-compress-format", OPT_STRING, &options.compress_format, "gzip|zstd", "how" },
	{ 0, "dest-compress-level", OPT_INT, &options.level, "LEVEL", "1 to 9, or 22 with zstd" },
	{ 0, "dest-decompress", OPT_FLAG, &options.no_compress, NULL, "store layers uncompressed" },
	{ 0, "preserve-digests", OPT_FLAG, &options.preserve, NULL, "fail if one had to change" },
	{ 0, "remove-signatures", OPT_FLAG, &options.remove_signatures, NULL, "leave them behind" },
	{ 0, "sign-identity", OPT_STRING, &options.sign_identity, "NAME", "what signatures call it" },
	KEY_OPTIONS(keys),
	{ 0, "digestfile", OPT_STRING, &options.digestfile, "FILE", "gets the manifest's digest" },
	{ 0, "retry-times", OPT_INT, &options.retries, "N", "when a registry cannot be reached" },
	{ 0, "image-parallel-copies", OPT_INT, &options.parallel, "N", "layers at once (6)" },
	{ 0, "authfile", OPT_STRING, &both.authfile, "FILE", "with credentials, for both" },
	{ 0, "tls-verify", OPT_STRING, &both.tls_verify, "BOOL", "for both" },
	SIDE_OPTIONS(from_side, "src-", ", for the source"),
	SIDE_OPTIONS(to_side, "dest-", ", for the destination"),
	{ 0 },
};

const struct command cmd_copy = {
	.name = "copy",
	.args = "SOURCE DESTINATION",
	.summary = "copy an image",
	.details = "Both are TRANSPORT:WHAT, such as docker://NAME, oci:DIRECTORY:NAME,\n"
		   "docker-archive:FILE, docker-daemon:NAME, dir:DIRECTORY, ostree:NAME[@/REPOSITORY],\n"
		   "containers-storage:NAME.",
	.options = copy_options,
	.min_args = 2,
	.max_args = 2,
	.run = run_copy,
};
