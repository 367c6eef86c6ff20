/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blob info cache: where in registries blobs have been seen, so that they can be mounted from there, and
 * which compressed blobs are a layer of a known diff id, so that one that a destination has need not be made again.
 *
 * A text file of one fact in a line, oldest first:
 *
 *	at DIGEST REPOSITORY
 *	is DIFF-ID DIGEST SIZE FORM
 *
 * It is read whole, and written whole under a lock. containers/image has a database for this; its format
 * changed twice, no program relies on another's, and it would be a library more. Nothing here is believed: a
 * location is only tried, and a variant only used if the destination says that it has that digest.
 */
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <sys/file.h>
#include <cbase/io.h>
#include "blob_cache.h"

#define FILE_MAX (4u << 20)

struct blob_cache {
	char *path;
	pthread_mutex_t lock;
	char **lines;		/* under the lock, as all below */
	size_t known;		/* of them, from the file */
};

struct blob_cache *blob_cache_free(struct blob_cache *b)
{
	if (!b)
		return NULL;
	pthread_mutex_destroy(&b->lock);
	strv_free(b->lines);
	free(b->path);
	free(b);
	return NULL;
}

static int read_lines(const char *path, char ***ret)
{
	_cleanup_free_ char *text = NULL;

	if (read_file(path, FILE_MAX, &text, NULL))
		return 0;
	return strv_split(text, '\n', ret);
}

struct blob_cache *blob_cache_load(const char *path)
{
	struct blob_cache *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	pthread_mutex_init(&b->lock, NULL);
	b->path = strdup(path);
	if (!b->path || read_lines(path, &b->lines))
		return blob_cache_free(b);
	b->known = strv_len(b->lines);
	return b;
}

/* ---- facts ---- */

static void add(struct blob_cache *b, char *line)
{
	if (!line)
		return;
	pthread_mutex_lock(&b->lock);
	if (!strv_has(b->lines, line))
		(void)strv_push(&b->lines, line);
	pthread_mutex_unlock(&b->lock);
	free(line);
}

/* Calls found() with what follows the prefix, newest first, until it says that it has enough. */
static void search(struct blob_cache *b, const char *prefix, bool (*found)(void *user, const char *rest),
		   void *user)
{
	size_t i;

	pthread_mutex_lock(&b->lock);
	for (i = strv_len(b->lines); i--;)
		if (str_starts(b->lines[i], prefix) && found(user, b->lines[i] + strlen(prefix)))
			break;
	pthread_mutex_unlock(&b->lock);
}

void blob_cache_add_location(struct blob_cache *b, const char *digest, const char *repository)
{
	if (b)
		add(b, strf("at %s %s", digest, repository));
}

static bool on_location(void *user, const char *path)
{
	char ***v = user;

	/* it becomes part of a URL */
	if (*path && path[strspn(path, "abcdefghijklmnopqrstuvwxyz0123456789._/-")] == '\0')
		(void)strv_push(v, path);
	return strv_len(*v) == BLOB_CACHE_FOUND_MAX;
}

char **blob_cache_locations(struct blob_cache *b, const char *digest, const char *registry)
{
	_cleanup_free_ char *prefix = b ? strf("at %s %s/", digest, registry) : NULL;
	char **v = NULL;

	if (prefix)
		search(b, prefix, on_location, &v);
	return v;
}

void blob_cache_add_variant(struct blob_cache *b, const char *diff_id, const struct blob_variant *v)
{
	if (b)
		add(b, strf("is %s %s %lld %s", diff_id, v->digest, (long long)v->size, v->form));
}

struct variants {
	struct blob_variant *out;
	size_t n;
};

static bool on_variant(void *user, const char *rest)
{
	struct variants *found = user;
	struct blob_variant *v = &found->out[found->n];
	long long size;
	char form[8];

	_Static_assert(DIGEST_STR_MAX > 135, "what sscanf() takes");

	if (sscanf(rest, "%135s %lld %7s", v->digest, &size, form) != 3 || !digest_valid(v->digest) ||
	    size < 0 || (!streq(form, "gzip") && !streq(form, "zstd")))
		return false;
	v->size = size;
	v->form = streq(form, "gzip") ? "gzip" : "zstd";
	return ++found->n == BLOB_CACHE_FOUND_MAX;
}

size_t blob_cache_variants(struct blob_cache *b, const char *diff_id,
			   struct blob_variant out[BLOB_CACHE_FOUND_MAX])
{
	_cleanup_free_ char *prefix = b ? strf("is %s ", diff_id) : NULL;
	struct variants found = { out, 0 };

	if (prefix)
		search(b, prefix, on_variant, &found);
	return found.n;
}

/* ---- the file ---- */

/* What others wrote meanwhile, then what is new here. */
static char *merged(const struct blob_cache *b)
{
	_cleanup_strv_ char **all = NULL;
	struct str out = STR_INIT;
	size_t i, n;

	if (read_lines(b->path, &all))
		return NULL;
	for (i = b->known; b->lines && b->lines[i]; i++)
		if (!strv_has(all, b->lines[i]) && strv_push(&all, b->lines[i]))
			return NULL;
	n = strv_len(all);
	for (i = n > BLOB_CACHE_ENTRIES ? n - BLOB_CACHE_ENTRIES : 0; i < n; i++)
		if (*all[i])
			str_appendf(&out, "%s\n", all[i]);
	return str_take(&out, NULL);
}

void blob_cache_save(struct blob_cache *b)
{
	_cleanup_free_ char *dir = NULL, *text = NULL;
	_cleanup_close_ int fd = -1;

	if (!b || strv_len(b->lines) == b->known)
		return;
	dir = strdup(b->path);
	if (!dir || mkdir_p(dirname(dir), 0700))
		return;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX))
		return;
	text = merged(b);
	if (text)
		(void)write_file(b->path, 0600, text, strlen(text), 0);
}
