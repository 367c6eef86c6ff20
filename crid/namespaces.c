/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pin is a file with a namespace mounted on it, NAMESPACES_DIR/KINDns/UUID. The paths are
 * chosen and written to disk first, then crid-pinns makes them: a pod that was begun and not
 * finished can be taken down by its record alone.
 *
 * Paths to be removed come from config.json of restored pods, also of CRI-O's. They are only
 * obeyed when their directory is, by device and inode, one of the directories of pins below
 * namespaces_dir; the name in it is then unmounted and unlinked without another look-up of the
 * path.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "errors.h"
#include "namespaces.h"
#include "runtime.h"
#include "spawn.h"

#ifndef NSFS_MAGIC
#define NSFS_MAGIC 0x6e736673
#endif

#define PINNS_OUTPUT_MAX 4096
#define PINNS_TIMEOUT_MS 60000
#define STACKED_MAX 16 /* mounts on one pin; there is one */
#define SYSCTL_KEY_MAX 256
#define SYSCTL_VALUE_MAX 4096 /* what the kernel reads in one write */

static const char *const pin_dirs[] = { "netns", "ipcns", "utsns", "userns", "pidns", "cgroupns" };
static const char *const pod_dirs[] = { "netns", "ipcns", "utsns", "userns" };

/* ---- names ---- */

/* A random (version 4) UUID. */
static int uuid_make(char out[37])
{
	unsigned char b[16];
	char hex[33];

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		return -errno;
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	hex_encode(b, sizeof(b), hex);
	snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
	return 0;
}

static bool uuid_valid(const char *s)
{
	for (size_t i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-' : !strchr("0123456789abcdef", s[i]) || !s[i])
			return false;
	}
	return !s[36];
}

static const char *base_of(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : "";
}

int pins_plan(const struct config *c, const struct id_maps *maps, struct pins *ret, struct cb_error *err)
{
	struct pins p = { .uuid = "", .maps = maps };
	bool user = maps && id_maps_used(maps);
	int r = uuid_make(p.uuid);

	if (r)
		return err_sysr(err, r, "choose a name for the namespaces");
	p.net = strf("%s/netns/%s", c->namespaces_dir, p.uuid);
	p.ipc = strf("%s/ipcns/%s", c->namespaces_dir, p.uuid);
	p.uts = strf("%s/utsns/%s", c->namespaces_dir, p.uuid);
	p.user = user ? strf("%s/userns/%s", c->namespaces_dir, p.uuid) : NULL;
	if (!p.net || !p.ipc || !p.uts || (user && !p.user)) {
		pins_done(&p);
		return err_oom(err);
	}
	*ret = p;
	return 0;
}

int pins_set(struct pins *p, const char *net, const char *ipc, const char *uts, const char *user)
{
	const char *const paths[] = { net, ipc, uts, user };
	struct pins s = { .uuid = "" };

	s.net = net ? strdup(net) : NULL;
	s.ipc = ipc ? strdup(ipc) : NULL;
	s.uts = uts ? strdup(uts) : NULL;
	s.user = user ? strdup(user) : NULL;
	if ((net && !s.net) || (ipc && !s.ipc) || (uts && !s.uts) || (user && !s.user)) {
		pins_done(&s);
		return -ENOMEM;
	}
	for (size_t i = 0; i < ARRAY_SIZE(paths) && !*s.uuid; i++)
		if (uuid_valid(base_of(paths[i])))
			memcpy(s.uuid, base_of(paths[i]), sizeof(s.uuid));
	*p = s;
	return 0;
}

void pins_done(struct pins *p)
{
	free(p->net);
	free(p->ipc);
	free(p->uts);
	free(p->user);
	*p = (struct pins){ .uuid = "" };
}

/* ---- making ---- */

static int split_sysctl(const char *entry, bool host_net, bool host_ipc, struct cb_error *err)
{
	_cleanup_free_ char *key = NULL;
	const char *eq = strchr(entry, '=');

	if (!eq)
		return err_set(err, E_INVALID, "sysctl %s is not key=value", entry);
	key = strndup(entry, (size_t)(eq - entry));
	return key ? sysctl_check(key, eq + 1, host_net, host_ipc, err) : err_oom(err);
}

/* "--uid-mapping=0-100000-65536@..." */
static int push_mappings(char ***v, const char *flag, const struct cstore_id_range *r, size_t n)
{
	_cleanup_str_ struct str s = STR_INIT;

	str_append(&s, flag);
	for (size_t i = 0; i < n; i++)
		str_appendf(&s, "%s%u-%u-%u", i ? "@" : "=", r[i].container_id, r[i].host_id, r[i].count);
	return str_failed(&s) ? -ENOMEM : strv_push(v, s.data);
}

static int push_user(char ***v, const struct id_maps *m)
{
	int r = strv_push(v, "--user");

	if (!r)
		r = push_mappings(v, "--uid-mapping", m->uids, m->n_uids);
	return r ? r : push_mappings(v, "--gid-mapping", m->gids, m->n_gids);
}

static int build_args(const struct config *c, const struct pins *p, bool host_net, bool host_ipc,
		      char *const *sysctls, char ***ret, struct cb_error *err)
{
	_cleanup_strv_ char **v = NULL;
	int r = strv_push(&v, c->pinns_path);

	if (!r)
		r = strv_push(&v, "-d");
	if (!r)
		r = strv_push(&v, c->namespaces_dir);
	if (!r)
		r = strv_push(&v, "-f");
	if (!r)
		r = strv_push(&v, p->uuid);
	for (; !r && sysctls && *sysctls; sysctls++) {
		r = split_sysctl(*sysctls, host_net, host_ipc, err);
		if (r)
			return r;
		r = strv_push(&v, "-s");
		if (!r)
			r = strv_push(&v, *sysctls);
	}
	if (!r)
		r = strv_push(&v, host_ipc ? "--ipc=host" : "--ipc");
	if (!r)
		r = strv_push(&v, host_net ? "--net=host" : "--net");
	if (!r)
		r = strv_push(&v, "--uts");
	if (!r && p->user)
		r = push_user(&v, p->maps);
	if (r)
		return err_oom(err);
	*ret = take(v);
	return 0;
}

static int check_made(const struct pins *p, struct cb_error *err)
{
	const char *const paths[] = { p->net, p->ipc, p->uts, p->user };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (paths[i] && !pin_exists(paths[i]))
			return err_set(err, E_FAILED, "make namespaces: %s is not there", paths[i]);
	return 0;
}

static int run_pinns(const struct config *c, char **argv, struct cb_error *err)
{
	static const char *const env[] = { NULL };
	_cleanup_free_ char *errout = NULL;
	_cleanup_str_ struct str text = STR_INIT;
	struct spawn s = SPAWN_INIT;
	size_t n = 0;
	char buf[64];
	int status, r;

	s.path = c->pinns_path;
	s.argv = (const char *const *)argv;
	s.env = env;
	r = spawn_run(&s, NULL, 0, PINNS_OUTPUT_MAX, PINNS_TIMEOUT_MS, NULL, NULL, &errout, &n,
		      &status, err);
	if (r)
		return err_ctx(err, r, "make namespaces");
	if (status == 0)
		return 0;
	runtime_message(&text, errout, n);
	return err_set(err, E_FAILED, "make namespaces: %s",
		       text.len ? text.data : wait_status_text(status, buf));
}

int pins_make(const struct config *c, const struct pins *p, bool host_net, bool host_ipc,
	      char *const *sysctls, struct cb_error *err)
{
	_cleanup_strv_ char **argv = NULL;
	int r = build_args(c, p, host_net, host_ipc, sysctls, &argv, err);

	if (r)
		return r;
	r = run_pinns(c, argv, err);
	if (!r)
		r = check_made(p, err);
	if (r)
		pins_remove(c, p, NULL);
	return r;
}

/* ---- removing ---- */

bool pin_exists(const char *path)
{
	struct statfs st;

	return path && statfs(path, &st) == 0 && (unsigned long)st.f_type == NSFS_MAGIC;
}

/*
 * The directory of the path, if it is one of those that hold pins. 0 with -1: there is none any
 * more.
 */
static int open_pin_dir(const struct config *c, const char *path, int *ret, struct cb_error *err)
{
	const char *base = base_of(path);
	_cleanup_free_ char *dir = *base ? strndup(path, (size_t)(base - path)) : NULL;
	_cleanup_close_ int fd = -1;
	struct stat st, want;

	*ret = -1;
	if (!dir || streq(base, ".") || streq(base, ".."))
		return err_set(err, E_INVALID, "%s is not a pinned namespace", path);
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "open %s", dir);
	for (size_t i = 0; i < ARRAY_SIZE(pin_dirs); i++) {
		_cleanup_free_ char *known = strf("%s/%s", c->namespaces_dir, pin_dirs[i]);

		if (known && stat(known, &want) == 0 && st.st_dev == want.st_dev &&
		    st.st_ino == want.st_ino) {
			*ret = take_fd(fd);
			return 0;
		}
	}
	return err_set(err, E_INVALID, "%s is not below %s", path, c->namespaces_dir);
}

static int pin_remove(const struct config *c, const char *path, struct cb_error *err)
{
	_cleanup_free_ char *at = NULL;
	_cleanup_close_ int dir = -1;
	int r = open_pin_dir(c, path, &dir, err);

	if (r || dir < 0)
		return r;
	at = strf("/proc/self/fd/%d/%s", dir, base_of(path));
	if (!at)
		return err_oom(err);
	for (int i = 0; i < STACKED_MAX && umount2(at, MNT_DETACH | UMOUNT_NOFOLLOW) == 0; i++)
		;
	if (unlinkat(dir, base_of(path), 0) < 0 && errno != ENOENT)
		return err_sys(err, "remove the pin %s", path);
	return 0;
}

/* Goes on after a failure: the first one is reported. */
int pins_remove(const struct config *c, const struct pins *p, struct cb_error *err)
{
	const char *const paths[] = { p->net, p->ipc, p->uts, p->user };
	int first = 0, r;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		r = paths[i] ? pin_remove(c, paths[i], first ? NULL : err) : 0;
		first = first ? first : r;
	}
	/* of the same pod: pins of the host's namespaces, which config.json does not name */
	for (size_t i = 0; *p->uuid && i < ARRAY_SIZE(pod_dirs); i++) {
		_cleanup_free_ char *path =
			strf("%s/%s/%s", c->namespaces_dir, pod_dirs[i], p->uuid);

		r = path ? pin_remove(c, path, first ? NULL : err) : -ENOMEM;
		first = first ? first : r;
	}
	return first;
}

/* ---- sysctls ---- */

static bool key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       strchr("_.-/", c);
}

/*
 * The path below /proc/sys, as sysctl(8) makes it: the separator is whichever of '.' and '/'
 * comes first, the other one stands for a '.' in a component. false when it is malformed, also
 * by ".." that only the exchange makes ("net.//.kernel").
 */
static bool key_path(const char *key, char path[SYSCTL_KEY_MAX])
{
	size_t n = strlen(key), first = strcspn(key, "./"), start = 0;
	bool dots = key[first] == '.';

	if (!n || n >= SYSCTL_KEY_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!key_char(key[i]))
			return false;
		path[i] = !dots || !strchr("./", key[i]) ? key[i] : key[i] == '.' ? '/' : '.';
	}
	path[n] = '\0';
	for (size_t i = 0; i <= n; i++) {
		if (path[i] != '/' && path[i])
			continue;
		if (i == start || (path[start] == '.' &&
				   (i == start + 1 || (i == start + 2 && path[start + 1] == '.'))))
			return false;
		start = i + 1;
	}
	return true;
}

static bool value_valid(const char *v)
{
	size_t n = 0;

	for (; v[n]; n++)
		if (((unsigned char)v[n] < 0x20 && v[n] != '\t') || v[n] == 0x7f)
			return false;
	return n > 0 && n < SYSCTL_VALUE_MAX;
}

int sysctl_check(const char *key, const char *value, bool host_net, bool host_ipc,
		 struct cb_error *err)
{
	char path[SYSCTL_KEY_MAX];
	bool net, ipc;

	if (!key_path(key, path))
		return err_set(err, E_INVALID, "sysctl \"%s\" has a malformed name", key);
	if (!value_valid(value))
		return err_set(err, E_INVALID,
			       "sysctl %s has an empty, too long or malformed value", path);
	net = str_starts(path, "net/");
	ipc = str_starts(path, "kernel/shm") || str_starts(path, "kernel/msg") ||
	      streq(path, "kernel/sem") || str_starts(path, "fs/mqueue/");
	if (!net && !ipc)
		return err_set(err, E_INVALID, "sysctl %s does not belong to a pod's namespaces",
			       path);
	if (net && host_net)
		return err_set(err, E_INVALID,
			       "sysctl %s cannot be set in a pod with the host's network", path);
	if (ipc && host_ipc)
		return err_set(err, E_INVALID,
			       "sysctl %s cannot be set in a pod with the host's IPC namespace",
			       path);
	return 0;
}
