/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking things up in registries.conf: which table covers a reference, and what it makes of it.
 *
 * A prefix matches the whole reference text and must end where a part of it ends (before ':', '/',
 * '@' or the end), so "example.com" also covers "example.com:5000/x": other implementations of the
 * format do the same, and files rely on it. The longest prefix wins; the first of equal ones.
 */
#include "ref.h"
#include "registries.h"

void registry_done(struct registry *r)
{
	size_t i;

	for (i = 0; i < r->mirror_count; i++)
		free(r->mirrors[i].location);
	free(r->mirrors);
	free(r->prefix);
	free(r->location);
	free(r->file);
}

struct registries *registries_free(struct registries *r)
{
	size_t i;

	if (!r)
		return NULL;
	for (i = 0; i < r->count; i++)
		registry_done(&r->items[i]);
	free(r->items);
	strv_free(r->search);
	strv_free(r->helpers);
	strv_free(r->aliases);
	free(r->mode);
	free(r);
	return NULL;
}

static int merge_aliases(struct registries *into, char *const *aliases)
{
	size_t i, n = strv_len(aliases), k;
	int r;

	for (i = 0; i + 1 < n; i += 2) {
		for (k = 0; into->aliases && into->aliases[k]; k += 2)
			if (streq(into->aliases[k], aliases[i]))
				break;
		if (into->aliases && into->aliases[k]) {
			char *value = strdup(aliases[i + 1]);

			if (!value)
				return -ENOMEM;
			free(into->aliases[k + 1]);
			into->aliases[k + 1] = value;
			continue;
		}
		r = strv_push(&into->aliases, aliases[i]);
		if (!r)
			r = strv_push(&into->aliases, aliases[i + 1]);
		if (r)
			return r;
	}
	return 0;
}

static int merge_registry(struct registries *into, struct registry *from)
{
	struct registry *items;
	size_t i;

	for (i = 0; i < into->count; i++) {
		if (!streq(into->items[i].prefix, from->prefix))
			continue;
		registry_done(&into->items[i]);
		into->items[i] = *from;
		*from = (struct registry){ 0 };
		return 0;
	}
	items = realloc(into->items, (into->count + 1) * sizeof(*items));
	if (!items)
		return -ENOMEM;
	into->items = items;
	items[into->count++] = *from;
	*from = (struct registry){ 0 };
	return 0;
}

static void replace_strv(char ***into, char ***from)
{
	strv_free(*into);
	*into = take(*from);
}

int registries_merge(struct registries *into, struct registries *from)
{
	size_t i;
	int r;

	for (i = 0; i < from->count; i++) {
		r = merge_registry(into, &from->items[i]);
		if (r)
			return r;
	}
	if (from->has_search) {
		replace_strv(&into->search, &from->search);
		into->has_search = true;
	}
	if (from->has_helpers) {
		replace_strv(&into->helpers, &from->helpers);
		into->has_helpers = true;
	}
	if (from->mode && *from->mode) {
		free(into->mode);
		into->mode = take(from->mode);
	}
	return merge_aliases(into, from->aliases);
}

const char *registries_alias(const struct registries *r, const char *name)
{
	size_t i;

	for (i = 0; r->aliases && r->aliases[i]; i += 2)
		if (streq(r->aliases[i], name))
			return *r->aliases[i + 1] ? r->aliases[i + 1] : NULL;
	return NULL;
}

static bool ends_part(char c)
{
	return !c || c == ':' || c == '/' || c == '@';
}

size_t registry_match(const char *name, const char *prefix)
{
	size_t n = strlen(prefix), host;

	if (!str_starts(prefix, "*."))
		return !strncmp(name, prefix, n) && ends_part(name[n]) ? n : 0;
	host = strcspn(name, ":/@");
	if (host < n || memcmp(name + host - (n - 1), prefix + 1, n - 1))
		return 0;
	return host;
}

const struct registry *registries_find(const struct registries *r, const char *name)
{
	const struct registry *best = NULL;
	size_t i;

	for (i = 0; i < r->count; i++)
		if (registry_match(name, r->items[i].prefix) &&
		    (!best || strlen(r->items[i].prefix) > strlen(best->prefix)))
			best = &r->items[i];
	return best;
}

/* The reference with location in the place of what prefix matched. */
static int rewrite(const struct cimage_ref *ref, const struct registry *reg, const char *location,
		   struct cimage_ref **ret, struct cimage_error *err)
{
	const char *text = cimage_ref_string(ref);
	_cleanup_(cimage_ref_freep) struct cimage_ref *out = NULL;
	_cleanup_free_ char *joined = NULL;
	int r;

	joined = *location ? strf("%s%s", location, text + registry_match(text, reg->prefix))
			   : strdup(text);
	if (!joined)
		return err_oom(err);
	r = cimage_ref_parse(joined, 0, &out, err);
	if (r)
		return err_ctx(err, r, "%s: rewriting %s for %s", reg->file, text, reg->prefix);
	if (!streq(joined, cimage_ref_string(out))) /* would go to docker.io by accident */
		return err_set(err, CIMAGE_E_INVALID,
			       "%s: rewriting %s for %s gives \"%s\", which is not a full name",
			       reg->file, text, reg->prefix, SHOW(joined));
	*ret = take(out);
	return 0;
}

static bool mirror_applies(const struct registry *reg, const struct registry_mirror *m,
			   bool by_digest)
{
	if (reg->mirror_by_digest_only)
		return by_digest;
	return m->use == MIRROR_ALL || (m->use == MIRROR_DIGEST_ONLY) == by_digest;
}

static int fill_sources(const struct registry *reg, const struct cimage_ref *ref,
			struct pull_source *s, size_t *ret_count, struct cimage_error *err)
{
	bool by_digest = cimage_ref_digest(ref);
	size_t i, n = 0;
	int r;

	for (i = 0; i < reg->mirror_count; i++) {
		const struct registry_mirror *m = &reg->mirrors[i];

		if (!mirror_applies(reg, m, by_digest))
			continue;
		r = rewrite(ref, reg, m->location, &s[n].ref, err);
		if (r)
			return r;
		s[n].insecure = m->insecure;
		s[n++].mirror = true;
	}
	r = rewrite(ref, reg, reg->location, &s[n].ref, err);
	if (r)
		return r;
	s[n++].insecure = reg->insecure;
	*ret_count = n;
	return 0;
}

int registries_sources(const struct registries *r, const struct cimage_ref *ref,
		       struct pull_source **ret, size_t *ret_count, struct cimage_error *err)
{
	const struct registry *reg = registries_find(r, cimage_ref_string(ref));
	size_t max = reg ? reg->mirror_count + 1 : 1, n = 1;
	struct pull_source *s;
	int k;

	if (reg && reg->blocked)
		return err_set(err, CIMAGE_E_BLOCKED, "registry %s is blocked in %s", reg->prefix,
			       reg->file);
	s = calloc(max, sizeof(*s));
	if (!s)
		return err_oom(err);
	if (reg) {
		k = fill_sources(reg, ref, s, &n, err);
	} else {
		k = ref_with(ref, cimage_ref_tag(ref), cimage_ref_digest(ref), &s[0].ref);
		if (k)
			err_oom(err);
	}
	if (k) {
		pull_sources_free(s, max);
		return k;
	}
	*ret = s;
	*ret_count = n;
	return 0;
}

struct pull_source *pull_sources_free(struct pull_source *s, size_t count)
{
	size_t i;

	for (i = 0; s && i < count; i++)
		cimage_ref_free(s[i].ref);
	free(s);
	return NULL;
}
