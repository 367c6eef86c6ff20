/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only file of the library that reads files: all of a directory whose names have one of the
 * endings, in the order of their names, each handed over as bytes. One that is refused is reported and
 * passed over, so that a vendor's broken file does not take away everybody else's.
 */
#include <fcntl.h>
#include <cbase/io.h>
#include "private.h"

#define DIRECTORY_FILES_MAX 4096

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool wanted(const char *name, const char *const *endings)
{
	for (; *endings; endings++)
		if (str_ends(name, *endings))
			return true;
	return false;
}

static int list(DIR *d, const char *const *endings, char ***ret)
{
	_cleanup_strv_ char **names = strv_copy(NULL);
	const struct dirent *e;
	size_t n = 0;

	while (names && (e = readdir(d))) {
		if (!wanted(e->d_name, endings))
			continue;
		if (++n > DIRECTORY_FILES_MAX)
			return -EFBIG;
		if (strv_push(&names, e->d_name))
			return -ENOMEM;
	}
	if (!names)
		return -ENOMEM;
	qsort(names, n, sizeof(*names), compare);
	*ret = take(names);
	return 0;
}

static int load_file(int fd, const char *dir, const char *name, directory_file_fn each, void *arg,
		     struct ocispec_error *err)
{
	_cleanup_free_ char *text = NULL, *path = strf("%s/%s", dir, name);
	size_t len;
	int r;

	if (!path)
		return err_oom(err);
	r = read_file_at(fd, name, OCISPEC_DOCUMENT_MAX, &text, &len);
	if (r == -ENOENT || r == -EISDIR)	/* gone again; a directory */
		return 0;
	if (r == -ENOMEM)
		return err_oom(err);
	if (r)
		return err_set(err, OCISPEC_E_INVALID, "read: %s", strerror(-r));
	return each(arg, path, name, text, len, err);
}

int directory_load(const char *dir, const char *const *endings, directory_file_fn each, void *arg,
		   ocispec_finding_fn report, void *user, struct ocispec_error *err)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	_cleanup_strv_ char **names = NULL;
	struct ocispec_error why;
	int r, bad = 0;

	if (!d && errno == ENOENT)
		return err_set(err, OCISPEC_E_NOT_FOUND, "%s does not exist", dir);
	if (!d)
		return err_sys(err, "open %s", dir);
	r = list(d, endings, &names);
	if (r)
		return err_sysr(err, r, "list %s", dir);
	for (char **n = names; *n; n++) {
		why = (struct ocispec_error){ 0 };
		r = load_file(dirfd(d), dir, *n, each, arg, &why);
		if (!r)
			continue;
		err_ctx(&why, r, "%s/%s", dir, *n);
		if (!bad && err)
			*err = why;
		if (r < 0)
			return r;
		bad = OCISPEC_E_INVALID;
		if (report)
			report(user, OCISPEC_FINDING_ERROR, *n, why.message);
	}
	return bad;
}
