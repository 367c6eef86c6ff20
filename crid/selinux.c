/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See selinux.h. Of libselinux three functions are used: is it on, where is the file with the labels of
 * containers, does the policy know a label. Files get their label through a descriptor that was opened
 * without following a link, so what is exchanged meanwhile in a volume leads nowhere.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <crisvc-cri.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "errors.h"
#include "selinux.h"

#define SELINUXFS "/sys/fs/selinux"
#define SELINUXFS_MAGIC 0xf97cff8c
#define CONTEXTS_MAX 65536
#define CATEGORIES 1024
#define DEPTH_MAX 256			/* of directories of a volume; each has a descriptor open */

struct selinux {
	void *library;
	int (*check_context)(const char *);
	char *process, *file;
};

/* ---- texts ---- */

/* The n-th part; the last one may have ':' in it. */
static const char *part(const char *label, int n, size_t *ret_len)
{
	for (int i = 0; i < n; i++) {
		label = strchrnul(label, ':');
		label += *label == ':';
	}
	*ret_len = n == 3 ? strlen(label) : strcspn(label, ":");
	return label;
}

const char *selinux_level_of(const char *label)
{
	size_t n;

	return part(label, 3, &n);
}

static bool part_valid(const char *s, bool level)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f || (*s == ':' && !level))
			return false;
	return true;
}

static const char *join(struct arena *a, const char *base, const char *const parts[4])
{
	_cleanup_str_ struct str s = STR_INIT;

	for (int i = 0; i < 4; i++) {
		size_t n;
		const char *own = part(base, i, &n);

		if (*parts[i])
			str_append(&s, parts[i]);
		else
			str_append_mem(&s, own, n);
		if (i < 3)
			str_append_char(&s, ':');
	}
	return str_failed(&s) ? NULL : arena_strdup(a, s.data);
}

int selinux_process_make(struct arena *a, const char *base, const struct Runtime__V1__SELinuxOption *o, const char *level,
			 const char **ret, struct cb_error *err)
{
	const char *const parts[] = { o ? o->user : "", o ? o->role : "", o ? o->type : "", *level ? level : o ? o->level : "" };

	for (int i = 0; i < 4; i++)
		if (!part_valid(parts[i], i == 3))
			return err_set(err, E_INVALID, "SELinux option \"%.100s\" has a blank, a control byte or a ':'", parts[i]);
	*ret = join(a, base, parts);
	return *ret ? 0 : err_oom(err);
}

int selinux_file_make(struct arena *a, const char *base, const char *process, const char **ret, struct cb_error *err)
{
	size_t n;
	const char *user = part(process, 0, &n);
	_cleanup_free_ char *copy = strndup(user, n);
	const char *const parts[] = { copy, "", "", selinux_level_of(process) };

	*ret = copy ? join(a, base, parts) : NULL;
	return *ret ? 0 : err_oom(err);
}

int selinux_level_make(char ret[SELINUX_LEVEL_LEN])
{
	uint16_t c[2];

	do {
		if (getrandom(c, sizeof(c), 0) != (ssize_t)sizeof(c))
			return -errno;
		c[0] %= CATEGORIES;
		c[1] %= CATEGORIES;
	} while (c[0] == c[1]);
	snprintf(ret, SELINUX_LEVEL_LEN, "s0:c%u,c%u", c[0] < c[1] ? c[0] : c[1], c[0] < c[1] ? c[1] : c[0]);
	return 0;
}

/* The value of a line `key = "value"`. */
static char *contexts_value(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (; *text; text = *text ? text + 1 : text) {
		const char *p = text + strspn(text, " \t"), *end;

		text = strchrnul(text, '\n');
		if (strncmp(p, key, n))
			continue;
		p += n + strspn(p + n, " \t");
		if (*p++ != '=')
			continue;
		p += strspn(p, " \t");
		end = *p == '"' ? strchr(p + 1, '"') : NULL;
		if (end && end < text)
			return strndup(p + 1, (size_t)(end - p - 1));
	}
	return NULL;
}

int selinux_contexts_parse(const char *text, char **ret_process, char **ret_file, struct cb_error *err)
{
	_cleanup_free_ char *process = contexts_value(text, "process"), *file = contexts_value(text, "file");

	if (!process || !file || !*selinux_level_of(process) || !*selinux_level_of(file))
		return err_set(err, E_INVALID, "lxc_contexts names no labels with a level for process and file");
	*ret_process = take(process);
	*ret_file = take(file);
	return 0;
}

/* ---- the policy ---- */

static bool kernel_has_it(void)
{
	struct statfs st;

	return statfs(SELINUXFS, &st) == 0 && (unsigned long)st.f_type == SELINUXFS_MAGIC;
}

static int load(struct selinux *s, struct cb_error *err)
{
	const char *(*contexts_path)(void);
	_cleanup_free_ char *text = NULL;
	int r;

	s->library = dlopen("libselinux.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!s->library)
		return err_set(err, E_UNSUPPORTED, "%s", dlerror());
	*(void **)&contexts_path = dlsym(s->library, "selinux_lxc_contexts_path");
	*(void **)&s->check_context = dlsym(s->library, "security_check_context");
	if (!contexts_path || !s->check_context)
		return err_set(err, E_UNSUPPORTED, "libselinux.so.1 lacks a function");
	r = read_file(contexts_path(), CONTEXTS_MAX, &text, NULL);
	if (r)
		return err_sysr(err, r, "read %s", contexts_path());
	return selinux_contexts_parse(text, &s->process, &s->file, err);
}

int selinux_open(struct selinux **ret, struct cb_error *err)
{
	struct selinux *s;
	int r;

	if (!kernel_has_it())
		return 0;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_oom(err);
	r = load(s, err);
	if (r) {
		selinux_close(s);
		return err_ctx(err, r, "SELinux");
	}
	*ret = s;
	return 0;
}

struct selinux *selinux_close(struct selinux *s)
{
	if (!s)
		return NULL;
	if (s->library)
		dlclose(s->library);
	free(s->process);
	free(s->file);
	free(s);
	return NULL;
}

const char *selinux_process_label(const struct selinux *s)
{
	return s->process;
}

const char *selinux_file_label(const struct selinux *s)
{
	return s->file;
}

int selinux_check(const struct selinux *s, const char *label, struct cb_error *err)
{
	if (!s || !*label || !s->check_context(label))
		return 0;
	return err_set(err, E_INVALID, "SELinux label %s is not one of the policy", label);
}

/* ---- files ---- */

static bool is_of_the_system(const char *path)
{
	static const char *const never[] = {
		"/", "/bin", "/boot", "/dev", "/etc", "/etc/passwd", "/etc/pki", "/etc/shadow", "/home", "/lib", "/lib64", "/media",
		"/opt", "/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/log",
	};

	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		if (streq(path, never[i]))
			return true;
	return str_starts(path, "/usr/") || str_starts(path, "/proc/") || str_starts(path, "/sys/");
}

/* at: of O_PATH, also of a symlink. File systems that have no labels are left as they are. */
static int label_one(int at, const char *label)
{
	char link[40];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", at);
	if (setxattr(link, "security.selinux", label, strlen(label) + 1, 0) < 0 && errno != EOPNOTSUPP)
		return -errno;
	return 0;
}

static int label_tree(int at, const char *label, int depth)
{
	struct dirent *e;
	struct stat st;
	int r = label_one(at, label), fd;
	DIR *dir;

	if (r || fstat(at, &st) < 0 || !S_ISDIR(st.st_mode))
		return r;
	if (depth == DEPTH_MAX)
		return -ELOOP;
	fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		r = -errno;
		close_fd(fd);
		return r;
	}
	while (!r && (e = readdir(dir))) {
		_cleanup_close_ int child = -1;

		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		child = openat(dirfd(dir), e->d_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (child >= 0)
			r = label_tree(child, label, depth + 1);
	}
	closedir(dir);
	return r;
}

int selinux_relabel(const char *path, const char *label, struct cb_error *err)
{
	_cleanup_free_ char *real = realpath(path, NULL);
	_cleanup_close_ int at = -1;
	int r;

	if (!real)
		return err_sys(err, "relabel %s", path);
	if (is_of_the_system(real))
		return err_set(err, E_INVALID, "relabel %s: it is a directory of the system", real);
	at = open(real, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (at < 0)
		return err_sys(err, "relabel %s", real);
	r = label_tree(at, label, 0);
	return r ? err_sysr(err, r, "relabel %s", real) : 0;
}
