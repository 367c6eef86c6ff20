/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See cgroup_path.h. All of it is text: what exists is nobody's business here. A slice's name holds its parents'
 * names, so its path follows from it: a-b.slice is in a.slice. Its parts are not empty, else two names
 * would mean one slice.
 */
#include <limits.h>
#include <string.h>
#include <cbase/str.h>
#include "cgroup_path.h"
#include "errors.h"

#define PATH_LEN_MAX 2048
#define SLICE ".slice"
#define SCOPE ".scope"
#define PREFIX "crio"
#define NAME_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\" /* of a unit */

int cgroup_split(const char *path, char ***ret, struct cb_error *err)
{
	_cleanup_strv_ char **v = NULL;

	if (*path != '/' || strlen(path) > PATH_LEN_MAX)
		return err_set(err, E_INVALID, "cgroup path \"%s\" is not absolute, or too long",
			       path);
	for (const char *p = path; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return err_set(err, E_INVALID, "cgroup path holds control characters");
	if (strv_split(path, '/', &v))
		return err_oom(err);
	for (char **c = v; c && *c; c++)
		if (streq(*c, ".") || streq(*c, "..") || strlen(*c) > NAME_MAX)
			return err_set(err, E_INVALID,
				       "cgroup path \"%s\" has a component that is \".\", \"..\" "
				       "or too long",
				       path);
	*ret = take(v);
	return 0;
}

/* ---- slices ---- */

bool slice_is_valid(const char *name)
{
	size_t n = strlen(name), stem = n - strlen(SLICE);

	if (!str_ends(name, SLICE) || n > NAME_MAX || !stem)
		return false;
	if (streq(name, "-" SLICE))
		return true;
	for (size_t i = 0; i < stem; i++) {
		char c = name[i];
		bool edge = i == 0 || i + 1 == stem || name[i - 1] == '-';

		if ((c == '-' && edge) || !strchr(NAME_BYTES, c))
			return false;
	}
	return true;
}

/* [owned] "a-b.slice" -> "/a.slice/a-b.slice"; "-.slice" -> ""; NULL: out of memory. */
static char *slice_path(const char *name)
{
	size_t n = strlen(name) - strlen(SLICE);
	struct str s = STR_INIT;

	str_append(&s, "");
	for (size_t i = 1; i <= n && !streq(name, "-" SLICE); i++)
		if (i == n || name[i] == '-')
			str_appendf(&s, "/%.*s" SLICE, (int)i, name);
	return str_take(&s, NULL);
}

/* ---- paths ---- */

int cgroup_parent_path(bool systemd, const char *parent, char **ret, struct cb_error *err)
{
	_cleanup_free_ char *text = NULL, *joined = NULL;
	_cleanup_strv_ char **v = NULL;
	const char *last;
	int r;

	/* the kubelet gives a slice's name, critest one with a slash before it */
	text = systemd ? strf("/%s", *parent ? parent : "system" SLICE) : strdup(*parent ? parent : "/" PREFIX);
	if (!text)
		return err_oom(err);
	r = cgroup_split(text, &v, err);
	if (r)
		return r;
	last = strv_len(v) ? v[strv_len(v) - 1] : "";
	if (systemd && !slice_is_valid(last))
		return err_set(err, E_INVALID,
			       "cgroup parent %s is no systemd slice; with the systemd manager it ends with one, as in "
			       "\"kubepods-x.slice\"", parent);
	if (!systemd && str_ends(last, SLICE))
		return err_set(err, E_INVALID,
			       "cgroup parent %s is a systemd slice; with the cgroupfs manager it is a path", parent);
	joined = systemd ? NULL : strv_join(v, "/");
	*ret = systemd ? slice_path(last) : joined ? strf("%s%s", *joined ? "/" : "", joined) : NULL;
	return *ret ? 0 : err_oom(err);
}

int cgroup_path(bool systemd, const char *parent, const char *id, char **ret, struct cb_error *err)
{
	_cleanup_free_ char *dir = NULL, *path = NULL;
	_cleanup_strv_ char **v = NULL;
	int r = cgroup_parent_path(systemd, parent, &dir, err);

	if (r)
		return r;
	path = strf("%s/" PREFIX "-%s%s", dir, id, systemd ? SCOPE : "");
	if (!path)
		return err_oom(err);
	r = cgroup_split(path, &v, err); /* with the id it may be too long */
	if (!r)
		*ret = take(path);
	return r;
}

bool cgroup_is_scope(const char *path)
{
	return str_ends(path, SCOPE);
}

char *cgroup_above(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strndup(path, slash ? (size_t)(slash - path) : 0);
}

char *cgroup_slice(const char *path)
{
	_cleanup_free_ char *above = cgroup_above(path);
	const char *slash = above ? strrchr(above, '/') : NULL;

	return !above ? NULL : strdup(slash ? slash + 1 : "-" SLICE);
}

char *cgroup_to_spec(const char *path)
{
	const char *name = strrchr(path, '/'), *dash = name ? strchr(name, '-') : NULL;
	_cleanup_free_ char *slice = NULL;

	if (!cgroup_is_scope(path) || !dash)
		return strdup(path);
	slice = cgroup_slice(path);
	return slice ? strf("%s:%.*s:%.*s", slice, (int)(dash - name - 1), name + 1,
			    (int)(strlen(dash + 1) - strlen(SCOPE)), dash + 1) : NULL;
}

char *cgroup_from_spec(const char *text)
{
	const char *prefix = strchr(text, ':'), *id = prefix ? strchr(prefix + 1, ':') : NULL;
	_cleanup_free_ char *slice = NULL, *dir = NULL;

	if (*text == '/' || !id)
		return strdup(text);
	slice = strndup(text, (size_t)(prefix - text));
	if (slice && !slice_is_valid(slice))
		return strdup(text);
	dir = slice ? slice_path(slice) : NULL;
	return dir ? strf("%s/%.*s-%s" SCOPE, dir, (int)(id - prefix - 1), prefix + 1, id + 1) : NULL;
}
