/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the apply module: where the environment says, else beside this library (in the build tree,
 * then as installed), else in the directory it was configured for. The first file that exists counts.
 * It is never unloaded, so its address can be asked for again at any time, and nothing here has state.
 */
#include <dlfcn.h>
#include <string.h>
#include "module.h"
#include "private.h"

/* The directory of the object this code is in; [owned], NULL if unknown. */
static char *own_dir(void)
{
	Dl_info info;
	char *path, *slash;

	if (!dladdr((void *)(uintptr_t)module_get, &info) || !info.dli_fname)
		return NULL;
	path = realpath(info.dli_fname, NULL);
	slash = path ? strrchr(path, '/') : NULL;
	if (slash)
		*slash = '\0';
	return path;
}

static char *find_module(void)
{
	_cleanup_free_ char *own = own_dir();
	const char *env = secure_getenv("CSTORE_MODULE_DIR");
	char *candidates[] = {
		env && *env ? strf("%s/" MODULE_NAME, env) : NULL,
		own ? strf("%s/apply/" MODULE_NAME, own) : NULL,
		own ? strf("%s/cstorage/" MODULE_NAME, own) : NULL,
		strf("%s/" MODULE_NAME, CSTORE_MODULE_INSTALL_DIR),
	};
	char *found = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(candidates); i++) {
		if (!found && candidates[i] && access(candidates[i], R_OK) == 0)
			found = candidates[i];
		else
			free(candidates[i]);
	}
	return found;
}

int module_get(const struct apply_module **ret, struct cstore_error *err)
{
	_cleanup_free_ char *path = find_module();
	const struct apply_module *m;
	void *handle;

	if (!path)
		return err_sysr(err, -ENOENT, "find " MODULE_NAME);
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!handle)
		return err_sysr(err, -ELIBACC, "load %s: %s", path, dlerror());
	m = dlsym(handle, MODULE_SYMBOL);
	dlclose(handle);
	if (!m || m->abi != MODULE_ABI)
		return err_sysr(err, -ELIBBAD, "load %s: it does not belong to this library", path);
	*ret = m;
	return 0;
}

int module_sha256(const void *p, size_t n, char out[MODULE_DIGEST_MAX], struct cstore_error *err)
{
	const struct apply_module *m;
	int r = module_get(&m, err);

	if (!r)
		m->sha256(p, n, out);
	return r;
}
