/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between libocispec.so and its modules, which carry what most programs never need: libseccomp,
 * PCRE2 and libyaml. All come from one build; the tables have no compatibility rules beyond their
 * number. A module is open only as long as it is used.
 */
#ifndef OCISPEC_MODULE_H
#define OCISPEC_MODULE_H

#include "private.h"

#define MODULE_ABI 1

struct seccomp_module {
	unsigned abi;
	/*
	 * linux.seccomp, which has passed shape_check(), as an array of struct sock_filter; [owned].
	 * 0, OCISPEC_E_INVALID, -ENOMEM.
	 */
	int (*compile)(const struct json *seccomp, void **ret, size_t *ret_len, struct ocispec_error *err);
	int (*knows_call)(const char *name);
	int (*knows_architecture)(const char *name);	/* "SCMP_ARCH_X86_64" */
};

struct regex;

struct regex_module {
	unsigned abi;
	int (*compile)(const char *pattern, struct regex **ret, struct ocispec_error *err);
	/* Does it match a part of the text? 1, 0; -EINVAL: it took too much time or memory. */
	int (*match)(const struct regex *re, const char *text);
	void (*free)(struct regex *re);
};

struct yaml_module {
	unsigned abi;
	/* One document as JSON; [owned]. 0, OCISPEC_E_INVALID, OCISPEC_E_LIMIT, -ENOMEM. */
	int (*to_json)(const char *bytes, size_t len, char **ret, struct ocispec_error *err);
};

struct module {
	void *handle;
	const void *table;	/* struct NAME_module */
};

/* name: "seccomp", "regex", "yaml". 0 or OCISPEC_E_UNAVAILABLE or -ENOMEM. */
int module_open(const char *name, struct module *ret, struct ocispec_error *err);
void module_close(struct module *m);
#define _cleanup_module_ _cleanup_(module_close)

#endif
