/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy, what is judged by it, and which of its requirements apply.
 *
 * Lookup takes the most specific scope that exists, and only that: the full identity, its parents,
 * the transport's default "", the global default. For registries the parents are the repository, its
 * namespaces up to the registry, and "*." forms of the registry's parent domains; for directories
 * they are the directories above.
 */
#include <cbase/json.h>
#include "policy.h"
#include "ref.h"

int policy_parse(const char *text, size_t n, const char *name, struct policy **ret,
		 struct cimage_error *err)
{
	_cleanup_(policy_freep) struct policy *p = calloc(1, sizeof(*p));
	struct cb_error why = { 0 };
	int r;

	if (!p || !(p->name = strdup(name)))
		return err_oom(err);
	r = json_parse(text, n, JSON_UNIQUE_KEYS, &p->doc, &why);
	if (r == -EINVAL)
		return err_set(err, CIMAGE_E_INVALID, "%s: %s", name, SHOW(why.message));
	if (r)
		return err_oom(err);
	r = policy_check_format(json_root(p->doc), name, err);
	if (r)
		return r;
	*ret = take(p);
	return 0;
}

struct policy *policy_free(struct policy *p)
{
	struct key_file *k, *next;

	if (!p)
		return NULL;
	for (k = p->keys; k; k = next) {
		next = k->next;
		free(k->bytes);
		free(k);
	}
	json_doc_free(p->doc);
	free(p->name);
	free(p);
	return NULL;
}

/* ---- what is judged ---- */

void policy_subject_done(struct policy_subject *s)
{
	strv_free(s->scopes);
	cimage_ref_free(s->ref);
	free(s->shown);
	*s = (struct policy_subject){ 0 };
}

int policy_subject_other(const char *transport, const char *const *scopes,
			 const struct cimage_ref *ref, const char *shown, struct policy_subject *ret)
{
	struct policy_subject s = { .transport = transport, .shown = strdup(shown) };
	size_t i;
	int r = s.shown ? 0 : -ENOMEM;

	for (i = 0; !r && scopes && scopes[i]; i++)
		r = strv_push(&s.scopes, scopes[i]);
	if (!r && ref)
		r = ref_with(ref, cimage_ref_tag(ref), cimage_ref_digest(ref), &s.ref);
	if (r)
		policy_subject_done(&s);
	else
		*ret = s;
	return r;
}

/* The repository and everything above it, up to the registry. */
static int push_parents(char ***v, const char *name)
{
	_cleanup_free_ char *buf = strdup(name);
	char *slash;

	for (;;) {
		if (!buf || strv_push(v, buf))
			return -ENOMEM;
		slash = strrchr(buf, '/');
		if (!slash)
			return 0;
		*slash = '\0';
	}
}

/* "*.example.com", "*.com" for registry.example.com:5000. */
static int push_wildcards(char ***v, const char *domain)
{
	_cleanup_free_ char *host = strndup(domain, strcspn(domain, ":"));
	const char *dot;

	if (!host)
		return -ENOMEM;
	for (dot = strchr(host, '.'); dot; dot = strchr(dot + 1, '.'))
		if (strv_pushf(v, "*%s", dot))
			return -ENOMEM;
	return 0;
}

int policy_subject_docker(const struct cimage_ref *ref, struct policy_subject *ret)
{
	_cleanup_free_ char *shown = strf("docker://%s", cimage_ref_string(ref));
	_cleanup_strv_ char **scopes = NULL;

	if (!shown || strv_push(&scopes, cimage_ref_string(ref)) ||
	    push_parents(&scopes, cimage_ref_name(ref)) ||
	    push_wildcards(&scopes, cimage_ref_domain(ref)))
		return -ENOMEM;
	return policy_subject_other("docker", (const char *const *)scopes, ref, shown, ret);
}

/* ---- lookup ---- */

const struct json *policy_requirements(const struct policy *p, const struct policy_subject *s)
{
	const struct json *root = json_root(p->doc), *v;
	const struct json *scopes = json_path(root, "transports", s->transport, NULL);
	size_t i;

	for (i = 0; s->scopes && s->scopes[i]; i++) {
		v = *s->scopes[i] ? json_get(scopes, s->scopes[i]) : NULL;
		if (v)
			return v;
	}
	v = json_get(scopes, "");
	return v ? v : json_get(root, "default");
}

static int rejected(const struct policy *p, const struct policy_subject *s,
		    struct cimage_error *err)
{
	return err_set(err, CIMAGE_E_POLICY,
		       "Source image rejected: Running image %s is rejected by policy (%s)",
		       s->shown, p->name);
}

int policy_prejudge(const struct policy *p, const struct policy_subject *s, unsigned int *ret_needs,
		    struct cimage_error *err)
{
	unsigned int needs = 0;

	json_foreach(item, policy_requirements(p, s)) {
		const char *type = json_get_string(item, "type");

		if (streq(type, "reject"))
			return rejected(p, s, err);
		if (streq(type, "signedBaseLayer"))
			return err_set(err, CIMAGE_E_POLICY,
				       "Source image rejected: %s: %s asks for signedBaseLayer, "
				       "which nobody implements",
				       s->shown, p->name);
		if (streq(type, "signedBy"))
			needs |= POLICY_NEEDS_GPG;
		else if (streq(type, "sigstoreSigned"))
			needs |= POLICY_NEEDS_SIGSTORE;
		else if (!streq(type, "insecureAcceptAnything"))
			return rejected(p, s, err); /* the parser knows no other */
	}
	*ret_needs = needs;
	return 0;
}
