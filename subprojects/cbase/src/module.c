/* SPDX-License-Identifier: Apache-2.0 */
/* See module.h. This file is linked into each library by itself, so its own address tells where that is. */
#include <dlfcn.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cbase/module.h>

/* The directory of the object this code is in; [owned], NULL if unknown. */
static char *own_dir(void)
{
	char *path, *slash;
	Dl_info info;

	if (!dladdr((void *)(uintptr_t)module_load, &info) || !info.dli_fname)
		return NULL;
	path = realpath(info.dli_fname, NULL);
	slash = path ? strrchr(path, '/') : NULL;
	if (slash)
		*slash = '\0';
	return path;
}

static int candidates(const struct module_place *p, const char *name, char ***ret)
{
	const char *env = secure_getenv(p->variable);
	_cleanup_free_ char *own = own_dir();
	_cleanup_strv_ char **v = NULL;
	int r = 0;

	if (env && *env)
		r = strv_pushf(&v, "%s/%s.so", env, name);
	if (!r && own)
		r = strv_pushf(&v, "%s/%s/%s.so", own, p->built, name);
	if (!r && own)
		r = strv_pushf(&v, "%s/%s/%s.so", own, p->installed, name);
	if (!r)
		r = strv_pushf(&v, "%s/%s.so", p->fixed, name);
	if (!r)
		*ret = take(v);
	return r;
}

int module_load(const struct module_place *place, const char *name, const char *symbol,
		void **ret_handle, const void **ret_symbol, struct cb_error *err)
{
	_cleanup_strv_ char **paths = NULL;
	_cleanup_free_ char *joined = NULL;
	const void *found;
	void *handle;
	char **p;

	if (candidates(place, name, &paths))
		return err_oom(err);
	for (p = paths; *p && access(*p, R_OK); p++)
		;
	if (!*p) {
		joined = strv_join(paths, ", ");
		return err_sysr(err, -ENOENT, "module %s (looked for %s)", name, joined ? joined : "?");
	}
	handle = dlopen(*p, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return err_sysr(err, -ELIBACC, "load %s: %s", *p, dlerror());
	found = dlsym(handle, symbol);
	if (!found) {
		dlclose(handle);
		return err_sysr(err, -ELIBACC, "load %s: it has no %s", *p, symbol);
	}
	*ret_handle = handle;
	*ret_symbol = found;
	return 0;
}
