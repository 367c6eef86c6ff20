/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cgroups by directory: on a v1 host one directory in each mounted hierarchy, also those without
 * controllers (name=systemd); on a v2 host one. On a hybrid host (v1 with a v2 hierarchy beside
 * it) the v2 one is not used, but cleaned, because runtimes make theirs there too.
 *
 * A path is a list of components that is walked by descriptor, never following a symlink, below
 * the mount point of the hierarchy. The mounts are looked up once: they do not change under a
 * daemon.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "cgroup.h"
#include "errors.h"

#define ROOT "/sys/fs/cgroup"
#define CONTROL_MAX 65536 /* bytes of one control file */
#define DEPTH_MAX 1024	  /* of what a container made below its own */
#define REMOVALS_MAX 100000

struct hierarchy {
	struct hierarchy *next;
	char *dir;     /* mount point */
	char *options; /* "rw,cpu,cpuacct": super block options, with the controllers among them */
	char *device;  /* "0:29": names the hierarchy, which may be mounted at several places */
	bool v2;
};

static pthread_once_t hierarchies_once = PTHREAD_ONCE_INIT;
static struct hierarchy *hierarchies; /* in the order of the mounts */

/* ---- what is mounted ---- */

/* mountinfo writes blanks, newlines and backslashes as \040, \011, \012, \134. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++, to++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*to = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*to = *s;
		}
	}
	*to = '\0';
}

static bool known(const char *device)
{
	for (struct hierarchy *h = hierarchies; h; h = h->next)
		if (streq(h->device, device))
			return true;
	return false;
}

/* ID PARENT DEVICE ROOT MOUNTPOINT OPTIONS [FIELD..] - TYPE SOURCE SUPEROPTIONS */
static void parse_mount(char *line, struct hierarchy ***end)
{
	char *rest = strstr(line, " - "), *field[6], *tail[3], *save = NULL;
	struct hierarchy *h;
	size_t n;

	if (!rest)
		return;
	*rest = '\0';
	for (n = 0; n < 6 && (field[n] = strtok_r(n ? NULL : line, " ", &save)); n++)
		;
	if (n < 6)
		return;
	for (n = 0; n < 3 && (tail[n] = strtok_r(n ? NULL : rest + 3, " \n", &save)); n++)
		;
	if (n < 3 || (!streq(tail[0], "cgroup") && !streq(tail[0], "cgroup2")) || known(field[2]))
		return;
	h = calloc(1, sizeof(*h));
	if (!h)
		return;
	unescape(field[4]);
	h->dir = strdup(field[4]);
	h->options = strdup(tail[2]);
	h->device = strdup(field[2]);
	h->v2 = streq(tail[0], "cgroup2");
	if (!h->dir || !h->options || !h->device)
		return; /* out of memory at start: fails soon enough elsewhere */
	**end = h;
	*end = &h->next;
}

static void load_hierarchies(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	struct hierarchy **end = &hierarchies;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0)
		parse_mount(line, &end);
}

static struct hierarchy *all_hierarchies(void)
{
	pthread_once(&hierarchies_once, load_hierarchies);
	return hierarchies;
}

/* Is word one of the list's, which are separated by any of seps? */
static bool has_word(const char *list, const char *word, const char *seps)
{
	size_t n = strlen(word), k;

	for (; *list; list += k + !!list[k]) {
		k = strcspn(list, seps);
		if (k == n && memcmp(list, word, n) == 0)
			return true;
	}
	return false;
}

bool cgroup_v2(void)
{
	struct statfs st;

	return statfs(ROOT, &st) == 0 && (unsigned long)st.f_type == CGROUP2_SUPER_MAGIC;
}

static const struct hierarchy *v1_of(const char *controller)
{
	for (struct hierarchy *h = all_hierarchies(); h; h = h->next)
		if (!h->v2 && has_word(h->options, controller, ","))
			return h;
	return NULL;
}

bool cgroup_has_controller(const char *name)
{
	_cleanup_free_ char *list = NULL;

	if (!cgroup_v2())
		return v1_of(name) != NULL;
	if (read_file(ROOT "/cgroup.controllers", CONTROL_MAX, &list, NULL))
		return false;
	return has_word(list, name, " \n");
}

/* On v2 the root has no memory.swap.max; any cgroup below it tells. */
static bool v2_has_swap(void)
{
	_cleanup_closedir_ DIR *d = opendir(ROOT);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char path[NAME_MAX + 32];

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/memory.swap.max", e->d_name);
		if (faccessat(dirfd(d), path, F_OK, 0) == 0)
			return true;
	}
	return false;
}

bool cgroup_has_swap(void)
{
	_cleanup_free_ char *path = NULL;
	const struct hierarchy *h;

	if (cgroup_v2())
		return v2_has_swap();
	h = v1_of("memory");
	path = h ? strf("%s/memory.memsw.limit_in_bytes", h->dir) : NULL;
	return path && access(path, F_OK) == 0;
}

/* ---- making ---- */

/* A v1 cpuset without processors takes no process: give it its parent's. */
static int inherit_cpuset(int parent, int dir, const char *file, struct cb_error *err)
{
	_cleanup_free_ char *own = NULL, *theirs = NULL;
	_cleanup_close_ int fd = -1;
	size_t n;
	int r = read_file_at(dir, file, CONTROL_MAX, &own, NULL);

	if (r == -ENOENT || (!r && own[strspn(own, "\n ")]))
		return 0;
	if (!r)
		r = read_file_at(parent, file, CONTROL_MAX, &theirs, &n);
	if (r)
		return err_sysr(err, r, "read %s", file);
	fd = openat(dir, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_sys(err, "open %s", file);
	r = write_all(fd, theirs, n);
	return r ? err_sysr(err, r, "write %s", file) : 0;
}

/*
 * Every controller for the children of dir. Best effort: the kernel refuses in a cgroup with
 * processes of its own, and the runtime sees to its container's anyway.
 */
static void enable_controllers(int dir)
{
	_cleanup_free_ char *list = NULL;
	char *save = NULL, *word;

	if (read_file_at(dir, "cgroup.controllers", CONTROL_MAX, &list, NULL))
		return;
	for (word = strtok_r(list, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		_cleanup_close_ int fd =
			openat(dir, "cgroup.subtree_control", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
		_cleanup_free_ char *line = strf("+%s", word);

		if (fd >= 0 && line)
			(void)!write_all(fd, line, strlen(line));
	}
}

static int make_in(const struct hierarchy *h, char *const *components, bool delegate, struct cb_error *err)
{
	_cleanup_close_ int dir = open(h->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool cpuset = !h->v2 && has_word(h->options, "cpuset", ",");

	if (dir < 0)
		return err_sys(err, "open %s", h->dir);
	for (char *const *c = components; *c; c++) {
		_cleanup_close_ int parent = take_fd(dir);
		int r;

		if (h->v2 && delegate)
			enable_controllers(parent);
		if (mkdirat(parent, *c, 0755) < 0 && errno != EEXIST)
			return err_sys(err, "make cgroup %s in %s", *c, h->dir);
		dir = openat(parent, *c, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (dir < 0)
			return err_sys(err, "open cgroup %s in %s", *c, h->dir);
		r = cpuset ? inherit_cpuset(parent, dir, "cpuset.cpus", err) : 0;
		if (!r && cpuset)
			r = inherit_cpuset(parent, dir, "cpuset.mems", err);
		if (r)
			return err_ctx(err, r, "make cgroup %s in %s", *c, h->dir);
	}
	return 0;
}

int cgroup_make(const char *path, struct cb_error *err)
{
	_cleanup_strv_ char **components = NULL;
	bool v2 = cgroup_v2();
	size_t n = 0;
	int r = cgroup_split(path, &components, err);

	if (!r && !strv_len(components))
		r = err_set(err, E_INVALID, "cgroup path \"%s\" is the root", path);
	if (r)
		return r;
	for (const struct hierarchy *h = all_hierarchies(); !r && h; h = h->next) {
		if (h->v2 != v2)
			continue;
		r = make_in(h, components, !cgroup_is_scope(path), err);
		n++;
	}
	if (!r && !n)
		r = err_set(err, E_FAILED, "make cgroup %s: no cgroup hierarchy is mounted", path);
	if (r)
		cgroup_remove(path, NULL);
	return r;
}

/* ---- removing ---- */

/* [owned] name of some directory in it, NULL when there is none. 0 or negative errno. */
static int some_child(int dir, char **ret)
{
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *e;
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*ret = NULL;
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		close_fd(fd);
		return -errno;
	}
	while ((errno = 0, e = readdir(d))) {
		if (e->d_type != DT_DIR || streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		*ret = strdup(e->d_name);
		return *ret ? 0 : -ENOMEM;
	}
	return -errno;
}

/*
 * Depth first, with one descriptor however deep a container nested: cur is the directory that
 * holds stack's last name. Nothing is ever renamed to another parent in a cgroup file system, so
 * ".." is the way back.
 */
static int remove_tree(int parent, const char *name)
{
	_cleanup_close_ int cur = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_strv_ char **stack = NULL;
	size_t depth = 1;
	int r, next;

	if (cur < 0)
		return -errno;
	if (strv_push(&stack, name))
		return -ENOMEM;
	for (int steps = 0; depth; steps++) {
		char *child, *top = stack[depth - 1];

		if (steps > REMOVALS_MAX || depth > DEPTH_MAX)
			return -ELOOP;
		if (unlinkat(cur, top, AT_REMOVEDIR) == 0 || errno == ENOENT) {
			free(top);
			stack[--depth] = NULL;
			next = depth ? openat(cur, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
			if (depth && next < 0)
				return -errno;
		} else if (errno != EBUSY && errno != ENOTEMPTY) {
			return -errno;
		} else {
			next = openat(cur, top, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			r = next < 0 ? -errno : some_child(next, &child);
			if (!r && !child)
				r = -EBUSY;
			if (!r)
				r = strv_take(&stack, child);
			if (r) {
				close_fd(next);
				return r;
			}
			depth++;
		}
		close_fd(cur);
		cur = next;
	}
	return 0;
}

static int remove_in(const struct hierarchy *h, char *const *components, struct cb_error *err)
{
	_cleanup_close_ int dir = open(h->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir < 0)
		return errno == ENOENT ? 0 : err_sys(err, "open %s", h->dir);
	for (; components[1]; components++) {
		int next =
			openat(dir, components[0], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (next < 0)
			return errno == ENOENT ? 0
					       : err_sys(err, "open cgroup %s in %s", components[0],
							 h->dir);
		close_fd(dir);
		dir = next;
	}
	r = remove_tree(dir, components[0]);
	return r ? err_sysr(err, r, "remove cgroup %s in %s", components[0], h->dir) : 0;
}

/* Goes on after a failure: the first one is reported. */
int cgroup_remove(const char *path, struct cb_error *err)
{
	_cleanup_strv_ char **components = NULL;
	int first = 0, r = cgroup_split(path, &components, err);

	if (r)
		return r;
	if (!strv_len(components))
		return err_set(err, E_INVALID, "cgroup path \"%s\" is the root", path);
	for (const struct hierarchy *h = all_hierarchies(); h; h = h->next) {
		r = remove_in(h, components, first ? NULL : err);
		first = first ? first : r;
	}
	return first;
}

/* ---- reading ---- */

int cgroup_open(const char *path, const char *controller)
{
	const struct hierarchy *h = all_hierarchies();
	_cleanup_close_ int root = -1;

	if (*controller)
		h = v1_of(controller);
	while (!*controller && h && !h->v2)
		h = h->next;
	if (!h)
		return -ENOENT;
	root = open(h->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	return open_beneath(root, path + strspn(path, "/"), O_RDONLY | O_DIRECTORY, 0);
}
