/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening the modules. Each use opens and closes by itself (the loader counts), so there is no state
 * to lock here, and an idle process has given back what they mapped.
 */
#include <dlfcn.h>
#include <cbase/module.h>
#include "module.h"

int module_open(const char *name, struct module *ret, struct ocispec_error *err)
{
	static const struct module_place place = {
		"OCISPEC_MODULE_DIR", "modules", "ocispec", OCISPEC_MODULE_INSTALL_DIR
	};
	_cleanup_free_ char *symbol = strf("ocispec_%s_module", name);
	struct cb_error why = { 0 };
	struct module m;
	int r;

	if (!symbol)
		return err_oom(err);
	r = module_load(&place, name, symbol, &m.handle, &m.table, &why);
	if (r == -ENOMEM)
		return err_oom(err);
	if (r)
		return err_set(err, OCISPEC_E_UNAVAILABLE, "%s", why.message);
	if (*(const unsigned *)m.table != MODULE_ABI) {
		module_close(&m);
		return err_set(err, OCISPEC_E_UNAVAILABLE, "module %s is of another version", name);
	}
	*ret = m;
	return 0;
}

void module_close(struct module *m)
{
	if (m->handle)
		dlclose(m->handle);
	m->handle = NULL;
}

int module_yaml_to_json(const char *bytes, size_t len, char **ret, struct ocispec_error *err)
{
	_cleanup_module_ struct module m = { 0 };
	int r = module_open("yaml", &m, err);

	return r ? r : ((const struct yaml_module *)m.table)->to_json(bytes, len, ret, err);
}
