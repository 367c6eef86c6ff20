/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short names: what "busybox" may mean. An alias decides; else every unqualified-search registry is
 * a candidate, and the mode says whether more than one is acceptable. Nobody is ever asked: there is
 * no terminal here.
 */
#include "context.h"
#include "ref.h"
#include "registries.h"

static int add(char ***v, const struct cimage_ref *ref, struct cimage_error *err)
{
	_cleanup_(cimage_ref_freep) struct cimage_ref *full = NULL;

	if (ref_for_fetch(ref, &full) || strv_push(v, cimage_ref_string(full)))
		return err_oom(err);
	return 0;
}

static int add_text(char ***v, const char *text, const struct cimage_ref *tag_of,
		    struct cimage_error *err)
{
	_cleanup_(cimage_ref_freep) struct cimage_ref *repo = NULL, *full = NULL;
	int r;

	r = cimage_ref_parse(text, 0, &repo, err);
	if (r)
		return r;
	if (ref_with(repo, cimage_ref_tag(tag_of), cimage_ref_digest(tag_of), &full))
		return err_oom(err);
	return add(v, full, err);
}

static bool is_enforcing(const struct cimage_context *c, const struct registries *reg)
{
	const char *mode = c->short_name_mode ? c->short_name_mode : reg->mode;

	return !mode || !*mode || streq(mode, "enforcing");
}

static int ambiguous(const struct registries *reg, const char *name, struct cimage_error *err)
{
	_cleanup_free_ char *list = strv_join(reg->search, ", ");

	return err_set(err, CIMAGE_E_AMBIGUOUS,
		       "short name mode is enforcing, but image name %s returns ambiguous "
		       "list (%s)",
		       name, list ? list : "?");
}

static int resolve_short(struct cimage_context *c, const char *name, const struct cimage_ref *ref,
			 char ***v, struct cimage_error *err)
{
	_cleanup_free_ char *repo = strndup(name, strcspn(name, ":@"));
	const struct registries *reg;
	const char *alias;
	size_t i;
	int r;

	if (!repo)
		return err_oom(err);
	r = context_registries(c, &reg, err);
	if (r)
		return r;
	alias = registries_alias(reg, repo);
	if (alias)
		return add_text(v, alias, ref, err);
	if (!reg->search || !reg->search[0])
		return err_set(err, CIMAGE_E_NOT_FOUND,
			       "short name %s: there is no alias for it, and no "
			       "unqualified-search-registries are configured",
			       name);
	if (reg->search[1] && is_enforcing(c, reg))
		return ambiguous(reg, name, err);
	for (i = 0; reg->search[i]; i++) {
		_cleanup_free_ char *text = strf("%s/%s", reg->search[i], repo);

		r = text ? add_text(v, text, ref, err) : err_oom(err);
		if (r)
			return r;
	}
	return 0;
}

PUBLIC int cimage_resolve(struct cimage_context *c, const char *name, char ***ret,
			  struct cimage_error *err)
{
	_cleanup_(cimage_ref_freep) struct cimage_ref *ref = NULL;
	_cleanup_strv_ char **v = NULL;
	int r;

	if (!c || !name || !ret)
		return -EINVAL;
	r = cimage_ref_parse(name, 0, &ref, err);
	if (r)
		return r;
	r = cimage_ref_is_short(name) ? resolve_short(c, name, ref, &v, err) : add(&v, ref, err);
	if (r)
		return r;
	*ret = take(v);
	return 0;
}

PUBLIC char **cimage_strv_free(char **v)
{
	return strv_free(v);
}
