/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order matters. The directories are made in the real tree; the store is opened in the private
 * one, so that no descriptor of it keeps a mount of the host busy, and devices in it are dead; its
 * modules are loaded (by starting the staging) before the process is held to the store's
 * directories.
 */
#include "store.h"

#include <dlfcn.h>
#include <linux/capability.h>
#include <string.h>
#include <cbase/io.h>
#include "errors.h"
#include "sandbox.h"

#define CAP_BIT(c) (1ull << (c))
/*
 * Owners, modes, devices and file capabilities of an image's files; SYS_ADMIN for trusted.*
 * attributes.
 */
#define STORE_CAPS \
	(CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_FOWNER) | \
	 CAP_BIT(CAP_FSETID) | CAP_BIT(CAP_MKNOD) | CAP_BIT(CAP_SETFCAP) | CAP_BIT(CAP_SYS_ADMIN))

/* Directories of the format below the graph root and the image store: the driver's name and these. */
static const char *const parts[] = { "", "-layers", "-images", "-containers" };

static int bad_option(struct cb_error *err, int r, const char *what, const char *value)
{
	if (r == -ENOMEM)
		return err_oom(err);
	return err_set(err, E_INVALID, "store: %s \"%s\" is not supported", what, value);
}

static int set_options(struct cstore_options *o, const struct job *j, struct cb_error *err)
{
	int r;

	if (cstore_options_set_graph_root(o, j->graph_root) ||
	    cstore_options_set_run_root(o, j->run_root) ||
	    (j->image_store && cstore_options_set_image_store(o, j->image_store)) ||
	    cstore_options_set_transient(o, j->transient) || cstore_options_set_no_mounts(o, 1))
		return err_oom(err);
	for (char **p = j->additional_stores; p && *p; p++) {
		r = cstore_options_add_image_store(o, *p);
		if (r)
			return bad_option(err, r, "additional store", *p);
	}
	if (j->driver && *j->driver) {
		r = cstore_options_set_driver(o, j->driver);
		if (r)
			return bad_option(err, r, "driver", j->driver);
	}
	for (char **p = j->driver_options; p && *p; p++) {
		r = cstore_options_add_driver_option(o, *p);
		if (r)
			return bad_option(err, r, "option", *p);
	}
	return 0;
}

static int open_store(const struct job *j, bool with_staging, struct store *s, struct cb_error *err)
{
	struct cstore_error se = { 0 };
	struct cstore_options *o;
	int r;

	if (cstore_options_new(&o))
		return err_oom(err);
	r = set_options(o, j, err);
	if (r) {
		cstore_options_free(o);
		return r;
	}
	r = cstore_open(o, &s->store, &se);
	cstore_options_free(o);
	if (!r && with_staging)
		r = cstore_staging_new(s->store, &s->staging, &se);
	return err_from_cstore(err, r, &se);
}

/* Where libcstorage lies: its module is loaded from there. */
static char *library_dir(void)
{
	char *path, *slash;
	Dl_info info;

	if (!dladdr((void *)(uintptr_t)cstore_open, &info) || !info.dli_fname)
		return NULL;
	path = realpath(info.dli_fname, NULL);
	slash = path ? strrchr(path, '/') : NULL;
	if (slash)
		*slash = '\0';
	return path;
}

static int store_paths(const struct job *j, char ***ret)
{
	const char *const roots[] = { j->graph_root, j->image_store };
	const char *driver = j->driver && *j->driver ? j->driver : "overlay";

	for (size_t i = 0; i < ARRAY_SIZE(roots) * ARRAY_SIZE(parts); i++) {
		const char *root = roots[i / ARRAY_SIZE(parts)];

		if (root && strv_pushf(ret, "%s/%s%s", root, driver, parts[i % ARRAY_SIZE(parts)]))
			return -ENOMEM;
	}
	return 0;
}

static int enter_root(const struct job *j, char *const *below, struct cb_error *err)
{
	const struct root_path fixed[] = {
		{ "/proc", ROOT_READ },	       { "/dev", ROOT_DEVICES },    { "/usr", ROOT_READ },
		{ "/lib", ROOT_READ },	       { "/lib64", ROOT_READ },	    { "/etc", ROOT_READ },
		{ j->graph_root, ROOT_WRITE }, { j->run_root, ROOT_WRITE }, { j->image_store, ROOT_WRITE },
	};
	size_t n = ARRAY_SIZE(fixed) - !j->image_store;
	_cleanup_free_ struct root_path *p =
		calloc(ARRAY_SIZE(fixed) + strv_len(below) + strv_len(j->additional_stores) + 1, sizeof(*p));
	_cleanup_free_ char *lib = library_dir();

	if (!p)
		return err_oom(err);
	memcpy(p, fixed, n * sizeof(*p));
	/* Also those that are mount points: the driver's home often is. */
	for (; *below; below++)
		p[n++] = (struct root_path){ *below, ROOT_WRITE };
	for (char **more = j->additional_stores; more && *more; more++)
		p[n++] = (struct root_path){ *more, ROOT_READ };
	if (lib)
		p[n++] = (struct root_path){ lib, ROOT_READ };
	return sandbox_root(p, n, err);
}

/* What may be read besides what may be written: there are the store, and the libraries. */
static int readable(const struct job *j, char ***ret)
{
	static const char *const fixed[] = { "/usr", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/proc/self",
					     "/proc/thread-self", "/dev/null", "/dev/urandom" };
	_cleanup_free_ char *lib = library_dir();
	int r = strv_push(ret, j->graph_root);

	if (!r && j->image_store)
		r = strv_push(ret, j->image_store);
	if (!r && lib)
		r = strv_push(ret, lib);
	for (char **more = j->additional_stores; more && *more && !r; more++)
		r = strv_push(ret, *more);
	for (size_t i = 0; i < ARRAY_SIZE(fixed) && !r; i++)
		r = strv_push(ret, fixed[i]);
	return r;
}

/* Capabilities see through the modes of files, so what is not needed cannot be read either. */
static int confine(const struct job *j, char *const *below, struct cb_error *err)
{
	_cleanup_strv_ char **write = strv_copy(below), **read = NULL;
	int r;

	if (!write || strv_push(&write, j->run_root) || strv_pushf(&write, "%s/storage.lock", j->graph_root) ||
	    readable(j, &read))
		return err_oom(err);
	r = sandbox_capabilities(STORE_CAPS, err);
	if (!r)
		r = sandbox_paths((const char *const *)write, (const char *const *)read, NULL, err);
	return r ? r : sandbox_syscalls(SANDBOX_FILES, err);
}

static int make_roots(const struct job *j, struct cb_error *err)
{
	const char *const roots[] = { j->graph_root, j->run_root, j->image_store };

	for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
		int r = roots[i] ? mkdir_p(roots[i], 0700) : 0;

		if (r)
			return err_sysr(err, r, "make directory %s", roots[i]);
	}
	return 0;
}

int store_enter(const struct job *j, bool with_staging, struct store *ret, struct cb_error *err)
{
	_cleanup_strv_ char **below = NULL;
	struct store s = { 0 };
	int r;

	if (store_paths(j, &below))
		return err_oom(err);
	r = make_roots(j, err);
	if (!r)
		r = enter_root(j, below, err);
	if (!r)
		r = sandbox_no_network(err);
	if (!r)
		r = open_store(j, with_staging, &s, err);
	if (!r)
		r = confine(j, below, err);
	if (r) {
		store_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}

void store_done(struct store *s)
{
	s->staging = cstore_staging_free(s->staging);
	s->store = cstore_free(s->store);
}
