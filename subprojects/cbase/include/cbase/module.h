/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modules: shared objects of a library that are loaded when they are first needed, so that a process
 * which never needs them maps nothing of what they link.
 */
#ifndef CBASE_MODULE_H
#define CBASE_MODULE_H

#include "err.h"
#include "str.h"

struct module_place {
	const char *variable;	/* an environment variable that may name the directory */
	const char *built;	/* the module's directory beside the library in the build tree */
	const char *installed;	/* the same where they are installed, if they were moved together */
	const char *fixed;	/* the directory the library was configured for */
};

/*
 * Loads "NAME.so" from the first of the places that has it and finds symbol in it. dlclose() when
 * done, or never. 0; -ENOENT: none is there; -ELIBACC: it does not load or has no such symbol.
 */
int module_load(const struct module_place *place, const char *name, const char *symbol,
		void **ret_handle, const void **ret_symbol, struct cb_error *err);

#endif
