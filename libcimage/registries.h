/* SPDX-License-Identifier: Apache-2.0 */
/* registries.conf(5), version 2 and the older 1, with its drop-ins: parsed, merged, looked up. */
#ifndef CIMAGE_REGISTRIES_H
#define CIMAGE_REGISTRIES_H

#include "common.h"

enum mirror_use { MIRROR_ALL, MIRROR_DIGEST_ONLY, MIRROR_TAG_ONLY };

struct registry_mirror {
	char *location;
	bool insecure;
	enum mirror_use use;
};

struct registry {
	char *prefix;		/* host[:port][/path][:tag], or "*.domain" */
	char *location;		/* what replaces the prefix; "" keeps the reference (wildcards only) */
	bool insecure, blocked, mirror_by_digest_only;
	struct registry_mirror *mirrors;
	size_t mirror_count;
	char *file;		/* where it was read */
};

struct registries {
	struct registry *items;
	size_t count;
	char **search;		/* unqualified-search-registries */
	char **helpers;		/* credential-helpers */
	char *mode;		/* short-name-mode, or NULL */
	char **aliases;		/* name, value, name, value ... */
	bool has_search, has_helpers;
};

/* One place an image may be fetched from. */
struct pull_source {
	struct cimage_ref *ref;
	bool insecure, mirror;
};

void registry_done(struct registry *r);
struct registries *registries_free(struct registries *r);
CB_DEFINE_CLEANUP(struct registries *, registries_free)

/* One file's text; name is for messages; old_form: it may be of version 1. Out: what this file alone says, validated. */
int registries_parse(const char *text, size_t n, const char *name, bool old_form, struct registries **ret,
		     struct cimage_error *err);
/* What a later file says over what earlier ones said; takes the content of from. */
int registries_merge(struct registries *into, struct registries *from);
int registries_load(struct registries *into, const char *path, bool missing_is_fine, struct cimage_error *err);
/* Its *.conf in bytewise order; a missing directory is empty. */
int registries_load_dir(struct registries *into, const char *path, struct cimage_error *err);

/* Length of the part of name (a full reference, or host[:port]) that the prefix covers; 0 when it does not match. */
size_t registry_match(const char *name, const char *prefix);
/* The entry with the longest matching prefix, or NULL. */
const struct registry *registries_find(const struct registries *r, const char *name);
/* Mirrors that may be used for this reference, in order, then the location itself; or CIMAGE_E_BLOCKED. */
int registries_sources(const struct registries *r, const struct cimage_ref *ref, struct pull_source **ret,
		       size_t *ret_count, struct cimage_error *err);
struct pull_source *pull_sources_free(struct pull_source *s, size_t count);

const char *registries_alias(const struct registries *r, const char *name);	/* NULL when none */
/* An aliases file of registries.conf's form: only its [aliases] count, over those of r. */
int registries_load_aliases(struct registries *r, const char *path, struct cimage_error *err);

#endif
