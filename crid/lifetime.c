/* SPDX-License-Identifier: Apache-2.0 */
/* See lifetime.h. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <cbase/io.h>
#include <cbase/json.h>
#include "errors.h"
#include "lifetime.h"
#include "version.h"

#define VERSION_FILE_MAX 4096

int lifetime_lock(const char *dir, const char *option, struct cb_error *err)
{
	_cleanup_free_ char *path = strf("%s/crid.lock", dir);
	/* Of the process: a child that is about to become a runtime does not hold it when we were killed. */
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	_cleanup_close_ int fd = -1;

	if (!path)
		return err_oom(err);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, "open %s", path);
	if (fcntl(fd, F_SETLK, &lock) == 0) {
		fd = -1;	/* held as long as the process lives */
		return 0;
	}
	if (errno != EAGAIN && errno != EACCES)
		return err_sys(err, "lock %s", path);
	if (fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		lock.l_pid = 0;
	return err_set(err, E_EXISTS, "%s is in use by another crid, process %d: end that one, or give this one another --%s", dir,
		       (int)lock.l_pid, option);
}

/* "1.37.0+abc" and "1.37.9" are of one kind. */
static bool same_minor(const char *a, const char *b)
{
	unsigned a_major, a_minor, b_major, b_minor;

	return sscanf(a, "%u.%u.", &a_major, &a_minor) == 2 && sscanf(b, "%u.%u.", &b_major, &b_minor) == 2 &&
		a_major == b_major && a_minor == b_minor;
}

static bool other_version(const char *path)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ struct json_doc *doc = NULL;
	const char *version;
	size_t n;

	if (!*path)
		return false;
	if (read_file(path, VERSION_FILE_MAX, &text, &n) || json_parse(text, n, 0, &doc, NULL))
		return true;
	version = json_string(json_root(doc));
	return !version || !same_minor(version, CRIO_COMPAT_VERSION);
}

enum wipe lifetime_must_wipe(const struct config *c)
{
	if (!c->internal_wipe)
		return WIPE_NOTHING;
	if (other_version(c->version_file_persist))
		return WIPE_IMAGES;
	return other_version(c->version_file) ? WIPE_CONTAINERS : WIPE_NOTHING;
}

bool lifetime_was_cut_short(const struct config *c)
{
	_cleanup_free_ char *supported = strf("%s.supported", c->clean_shutdown_file);

	return *c->clean_shutdown_file && supported && access(supported, F_OK) == 0 && access(c->clean_shutdown_file, F_OK) < 0;
}

static int write_at(const char *path, const char *text, struct cb_error *err)
{
	_cleanup_free_ char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	int r;

	if (!*path)
		return 0;
	if (!slash)
		return err_sysr(err, dir ? -EINVAL : -ENOMEM, "write %s", path);
	*slash = '\0';
	r = mkdir_p(dir, 0755);
	if (!r)
		r = write_file(path, 0644, text, strlen(text), IO_DURABLE);
	return r ? err_sysr(err, r, "write %s", path) : 0;
}

int lifetime_begin(const struct config *c, struct cb_error *err)
{
	static const char version[] = "\"" CRIO_COMPAT_VERSION "\"";
	_cleanup_free_ char *supported = strf("%s.supported", c->clean_shutdown_file);
	int r;

	if (!supported)
		return err_oom(err);
	r = write_at(c->version_file, version, err);
	if (!r)
		r = write_at(c->version_file_persist, version, err);
	if (r || !*c->clean_shutdown_file)
		return r;
	unlink(c->clean_shutdown_file);
	return write_at(supported, "", err);
}

int lifetime_end(const struct config *c, const char *graph_root, struct cb_error *err)
{
	_cleanup_close_ int fd = open(graph_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* the file says that all of the store is on the disk */
	if (fd < 0 || syncfs(fd) < 0)
		return err_sys(err, "sync %s", graph_root);
	return write_at(c->clean_shutdown_file, "", err);
}
