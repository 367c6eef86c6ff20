/* SPDX-License-Identifier: Apache-2.0 */
/* What yaml.so offers: YAML over libyaml, for the one kind of file that has it (registries.d). */
#ifndef CIMAGE_YAML_MODULE_H
#define CIMAGE_YAML_MODULE_H

#include "common.h"

#define YAML_MODULE_ABI 1

struct yaml_module {
	int abi;
	/*
	 * One YAML document as JSON text: [owned] "null" when there is none. true and false, null and ~ are
	 * what they are in JSON, every other scalar is a string. CIMAGE_E_INVALID; CIMAGE_E_LIMIT.
	 */
	int (*to_json)(const char *text, size_t n, char **ret, size_t *ret_len, struct cimage_error *err);
};
/* The module exports: const struct yaml_module cimage_yaml_module; */

#endif
