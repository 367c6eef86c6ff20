/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cimage sync: all tags of a repository, or all images of a directory, from one to the other. A
 * directory has a dir: image for each, at NAME:TAG (with --scoped below the registry's host and path), as skopeo
 * lays them out.
 */
#include <dirent.h>
#include <fcntl.h>
#include <errno.h>
#include <sys/stat.h>
#include <cbase/io.h>
#include "sync.h"

static struct side from_side, to_side;
static struct {
	const char *src, *dest, *format;
	bool all, scoped, keep_going, preserve, remove_signatures, dry_run;
	long long retries;
} options;

int sync_add(struct items *l, struct cimage_context *from, char *place, char *name)
{
	struct item *grown = realloc(l->v, (l->n + 1) * sizeof(*grown));

	if (grown)
		l->v = grown;
	if (!grown || !place || !name) {
		complain("out of memory");
		free(place);
		free(name);
		return EXIT_FAILURE;
	}
	grown[l->n++] = (struct item){ from, place, name };
	return 0;
}

static void items_done(struct items *l)
{
	while (l->n--) {
		free(l->v[l->n].place);
		free(l->v[l->n].name);
	}
	free(l->v);
	while (l->contexts_n)
		cimage_context_free(l->contexts[--l->contexts_n]);
	free(l->contexts);
}

int sync_context(struct items *l, const struct side *side, struct cimage_context **ret)
{
	struct cimage_context **grown = realloc(l->contexts, (l->contexts_n + 1) * sizeof(*grown));
	int r = EXIT_FAILURE;

	if (grown) {
		l->contexts = grown;
		r = setup_context(side, &grown[l->contexts_n]);
	}
	if (!r)
		*ret = grown[l->contexts_n++];
	return r;
}

/* "example.com/a/b" as "b", or all of it. */
static const char *shown_name(const char *name)
{
	const char *slash = strrchr(name, '/');

	return options.scoped || !slash ? name : slash + 1;
}

int sync_find(struct cimage_context *c, const char *text, bool (*matching)(void *user, const char *tag), void *user,
	      struct items *l)
{
	_cleanup_free_ char *place_text = strf("docker://%s", text);
	_cleanup_(cimage_place_freep) struct cimage_place *p = NULL;
	_cleanup_(cimage_ref_freep) struct cimage_ref *ref = NULL;
	struct cimage_error err = { 0 };
	const char *name;
	char **tags, **t;
	int r;

	r = cimage_ref_parse(text, 0, &ref, &err);
	if (r)
		return complain_error(r, &err);
	name = cimage_ref_name(ref);
	if (cimage_ref_tag(ref) || cimage_ref_digest(ref)) {
		const char *digest = cimage_ref_digest(ref), *tag = cimage_ref_tag(ref);

		return sync_add(l, c, strdup(place_text ? place_text : ""),
				digest ? strf("%s@%s", shown_name(name), digest)
				       : strf("%s:%s", shown_name(name), tag));
	}
	r = place_text ? setup_place(c, place_text, &p) : EXIT_FAILURE;
	if (r)
		return r;
	r = cimage_list_tags(c, p, &tags, &err);
	if (r)
		return complain_error(r, &err);
	for (t = tags; *t && !r; t++)
		if (!matching || matching(user, *t))
			r = sync_add(l, c, strf("docker://%s:%s", name, *t),
				     strf("%s:%s", shown_name(name), *t));
	cimage_strv_free(tags);
	return r;
}

/* Directories with a manifest.json, at any depth. */
static int find_in_directory(struct cimage_context *c, const char *top, const char *below, struct items *l)
{
	_cleanup_free_ char *path = strf("%s%s%s", top, *below ? "/" : "", below);
	_cleanup_free_ char *manifest = path ? strf("%s/manifest.json", path) : NULL;
	_cleanup_closedir_ DIR *d = NULL;
	const struct dirent *e;
	int r = 0;

	if (manifest && !access(manifest, F_OK))
		return sync_add(l, c, strf("dir:%s", path),
				strdup(*below ? below : strrchr(path, '/') ? strrchr(path, '/') + 1 : path));
	d = path ? opendir(path) : NULL;
	if (!d) {
		complain("open %s: %s", path ? path : top, strerror(errno));
		return EXIT_FAILURE;
	}
	while (!r && (e = readdir(d))) {
		_cleanup_free_ char *next = strf("%s%s%s", below, *below ? "/" : "", e->d_name);
		struct stat st;

		if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
		    !S_ISDIR(st.st_mode))
			continue;
		r = next ? find_in_directory(c, top, next, l) : EXIT_FAILURE;
	}
	return r;
}

static char *destination(const char *where, const struct item *i)
{
	const char *slash;

	if (streq(options.dest, "dir"))
		return strf("dir:%s/%s", where, i->name);
	slash = strrchr(i->name, '/');
	return strf("docker://%s/%s", where, options.scoped || !slash ? i->name : slash + 1);
}

static int make_parent(const char *place)
{
	_cleanup_free_ char *path = strdup(place + strlen("dir:"));
	char *slash = path ? strrchr(path, '/') : NULL;
	int r;

	if (!slash)
		return EXIT_FAILURE;
	*slash = '\0';
	r = mkdir_p(path, 0755);
	if (r)
		complain("make %s: %s", path, strerror(-r));
	return r ? EXIT_FAILURE : 0;
}

static int sync_one(const struct copy_job *j, const struct item *i, const char *where)
{
	_cleanup_free_ char *text = destination(where, i), *digest = NULL;
	struct copy_job job = *j;
	_cleanup_(cimage_place_freep) struct cimage_place *from = NULL, *to = NULL;
	int r;

	if (!text)
		return EXIT_FAILURE;
	if (!j->quiet || options.dry_run)
		fprintf(stderr, "%s -> %s\n", i->place, text);
	if (options.dry_run)
		return 0;
	if (streq(options.dest, "dir") && make_parent(text))
		return EXIT_FAILURE;
	if ((r = setup_place(i->from, i->place, &from)) ||
	    (r = setup_place(j->to_context, text, &to)))
		return r;
	job.from_context = i->from;
	return copy_with_bars(&job, from, to, &digest);
}

static int check_options(void)
{
	bool from_dir = options.src && streq(options.src, "dir"),
	     to_dir = options.dest && streq(options.dest, "dir");

	if (options.src && options.dest && (from_dir || streq(options.src, "docker") || streq(options.src, "yaml")) &&
	    (to_dir || streq(options.dest, "docker")) && !(from_dir && to_dir))
		return 0;
	complain("say --src docker, dir or yaml, and --dest docker or dir, not dir twice");
	return EXIT_USAGE;
}

static int find(const char *where, struct items *l)
{
	struct cimage_context *c;
	int r;

	if (streq(options.src, "yaml"))
		return sync_find_yaml(where, l);
	r = sync_context(l, &from_side, &c);
	if (r)
		return r;
	return streq(options.src, "dir") ? find_in_directory(c, where, "", l) : sync_find(c, where, NULL, NULL, l);
}

static int run_sync(void *unused, int argc, char **argv)
{
	_cleanup_(cimage_copy_options_freep) struct cimage_copy_options *o = NULL;
	_cleanup_(cimage_context_freep) struct cimage_context *tc = NULL;
	struct items l = { 0 };
	struct copy_job job;
	size_t i, failed = 0;
	int r = check_options();

	if (!r && (cimage_copy_options_new(&o) || cimage_copy_options_set_all(o, options.all) ||
		   cimage_copy_options_set_preserve_digests(o, options.preserve) ||
		   cimage_copy_options_set_remove_signatures(o, options.remove_signatures)))
		return EXIT_FAILURE;
	if (!r && cimage_copy_options_set_format(o, options.format)) {
		complain("--format is oci or v2s2, not \"%s\"", options.format);
		return EXIT_USAGE;
	}
	if (r || (r = setup_context(&to_side, &tc)) || (r = watch_interrupt()))
		return r;
	r = find(argv[0], &l);
	job = (struct copy_job){ NULL, tc, o, options.retries, settings.quiet };
	for (i = 0; !r && i < l.n && !cancelled; i++) {
		int one = sync_one(&job, &l.v[i], argv[1]);

		failed += one != 0;
		if (one && !options.keep_going)
			r = one;
	}
	if (!r && failed) {
		complain("%zu of %zu images were not copied", failed, l.n);
		r = EXIT_FAILURE;
	}
	items_done(&l);
	return r;
}

static const struct opt sync_options[] = {
	{ 's', "src", OPT_STRING, &options.src, "docker|dir|yaml", "where images come from" },
	{ 'd', "dest", OPT_STRING, &options.dest, "docker|dir", "where they go" },
	{ 'a', "all", OPT_FLAG, &options.all, NULL, "of lists, all images" },
	{ 'f', "format", OPT_STRING, &options.format, "oci|v2s2", "of the manifests" },
	{ 0, "scoped", OPT_FLAG, &options.scoped, NULL, "keep the source's registry and path in the names" },
	{ 0, "keep-going", OPT_FLAG, &options.keep_going, NULL, "also when one fails" },
	{ 0, "dry-run", OPT_FLAG, &options.dry_run, NULL, "only say what would be copied" },
	{ 0, "preserve-digests", OPT_FLAG, &options.preserve, NULL, "fail if one had to change" },
	{ 0, "remove-signatures", OPT_FLAG, &options.remove_signatures, NULL, "leave them behind" },
	{ 0, "retry-times", OPT_INT, &options.retries, "N", "when a registry cannot be reached" },
	SIDE_OPTIONS(from_side, "src-", ", for the source"),
	SIDE_OPTIONS(to_side, "dest-", ", for the destination"),
	{ 0 },
};

const struct command cmd_sync = {
	.name = "sync",
	.args = "SOURCE DESTINATION",
	.summary = "copy all images of a repository or directory",
	.options = sync_options,
	.min_args = 2,
	.max_args = 2,
	.run = run_sync,
};
