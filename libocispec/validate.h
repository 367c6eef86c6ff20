/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the validator: who is told, and how. */
#ifndef OCISPEC_VALIDATE_H
#define OCISPEC_VALIDATE_H

#include "module.h"

struct validation {
	const struct ocispec *s;
	ocispec_finding_fn report;
	void *user;
	size_t errors;
	struct module seccomp;		/* open while calls are checked; no table: not available */
};

/* path: a printf format as message; both are cut and made printable. */
void finding(struct validation *v, int severity, const char *path, const char *fmt, ...) PRINTF_LIKE(4, 5);
#define wrong(v, path, ...) finding(v, OCISPEC_FINDING_ERROR, path, __VA_ARGS__)
#define doubt(v, path, ...) finding(v, OCISPEC_FINDING_WARNING, path, __VA_ARGS__)
/* "list[3].member" in a buffer of its own. */
struct element_path {
	char text[160];
};
struct element_path element(const char *list, size_t i, const char *member);
bool word_in(const char *word, const char *const *words);

/* linux.seccomp, or a whole profile when prefix is "". */
void validate_seccomp(struct validation *v, const struct json *seccomp, const char *prefix);
void validate_process(struct validation *v);
void validate_linux(struct validation *v);
void validate_hooks(struct validation *v);

#endif
