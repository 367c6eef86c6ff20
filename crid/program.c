/* SPDX-License-Identifier: Apache-2.0 */
/* See program.h. */
#include <limits.h>
#include <cbase/str.h>
#include "errors.h"
#include "program.h"

static int try(char *path, char **ret)
{
	if (!path)
		return -ENOMEM;
	if (access(path, X_OK) < 0) {
		free(path);
		return -ENOENT;
	}
	*ret = path;
	return 0;
}

static int beside_self(const char *name, const char *subdir, char **ret)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n < 0)
		return -errno;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	return try(strf("%s/%s", self, name), ret) ? try(strf("%s/%s/%s", self, subdir, name), ret) : 0;
}

static int in_path(const char *name, char **ret)
{
	const char *path = getenv("PATH");
	_cleanup_strv_ char **dirs = NULL;
	size_t i;

	if (!path || strv_split(path, ':', &dirs))
		return -ENOENT;
	for (i = 0; i < strv_len(dirs); i++)
		if (*dirs[i] == '/' && !try(strf("%s/%s", dirs[i], name), ret))
			return 0;
	return -ENOENT;
}

int program_find(const char *configured, const char *name, const char *subdir, char **ret, struct cb_error *err)
{
	if (*configured && !try(strdup(configured), ret))
		return 0;
	if (*configured)
		return err_set(err, E_NOT_FOUND, "%s is not an executable file", configured);
	if (!beside_self(name, subdir, ret) || !in_path(name, ret))
		return 0;
	return err_set(err, E_NOT_FOUND, "%s is neither beside crid nor in $PATH", name);
}
