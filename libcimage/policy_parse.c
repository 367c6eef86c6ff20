/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.json, see containers-policy.json(5).
 *
 * Parsing is strict, as the format demands: an unknown or repeated member, an unknown type or an
 * empty list refuses the file, because a policy that is not understood must not accept anything.
 * What each type of requirement may contain is in the tables below. Requirements that ask for
 * signatures are understood, and then refuse every image: nothing here can verify a signature.
 *
 * Lookup takes the most specific scope that exists, and only that: the full reference, the
 * repository, its parent namespaces up to the registry, "*." forms of the registry's parent domains,
 * the transport's default "", the global default.
 */
#include <cbase/json.h>
#include "policy.h"

struct policy {
	struct json_doc *doc;
	char *name;
};

struct reader {
	const char *file;
	struct cimage_error *err;
};

#define REFUSE(rd, ...)                                                                            \
	err_ctx((rd)->err, err_set((rd)->err, CIMAGE_E_INVALID, __VA_ARGS__), "%s", (rd)->file)

enum kind { TEXT = 1, TEXTS, BASE64, BASE64S, IDENTITY, FULCIO, PKI, KEY_TYPE };

struct member {
	const char *name;
	enum kind kind;
	int group;     /* members of one group exclude each other */
	bool optional; /* else one of its group is needed */
};

#define MEMBERS_MAX 12
struct form {
	const char *type;
	struct member members[MEMBERS_MAX];
};

/* clang-format off */
static const struct form requirements[] = {
	{ "insecureAcceptAnything", { { 0 } } },
	{ "reject", { { 0 } } },
	{ "signedBy", {
		{ "keyType", KEY_TYPE, 1 },
		{ "keyPath", TEXT, 2 },
		{ "keyPaths", TEXTS, 2 },
		{ "keyData", BASE64, 2 },
		{ "signedIdentity", IDENTITY, 3, true } } },
	{ "sigstoreSigned", {
		{ "keyPath", TEXT, 1 },
		{ "keyPaths", TEXTS, 1 },
		{ "keyData", BASE64, 1 },
		{ "keyDatas", BASE64S, 1 },
		{ "fulcio", FULCIO, 1 },
		{ "pki", PKI, 1 },
		{ "rekorPublicKeyPath", TEXT, 2, true },
		{ "rekorPublicKeyPaths", TEXTS, 2, true },
		{ "rekorPublicKeyData", BASE64, 2, true },
		{ "rekorPublicKeyDatas", BASE64S, 2, true },
		{ "signedIdentity", IDENTITY, 3, true } } },
	{ "signedBaseLayer", { { "baseLayerIdentity", IDENTITY, 1 } } },
};

static const struct form identities[] = {
	{ "matchExact", { { 0 } } },
	{ "matchRepoDigestOrExact", { { 0 } } },
	{ "matchRepository", { { 0 } } },
	{ "exactReference", { { "dockerReference", TEXT, 1 } } },
	{ "exactRepository", { { "dockerRepository", TEXT, 1 } } },
	{ "remapIdentity", { { "prefix", TEXT, 1 }, { "signedPrefix", TEXT, 2 } } },
};

static const struct form fulcio = { "fulcio", {
	{ "caPath", TEXT, 1 },
	{ "caData", BASE64, 1 },
	{ "oidcIssuer", TEXT, 2 },
	{ "subjectEmail", TEXT, 3 } } };

static const struct form pki = { "pki", {
	{ "caRootsPath", TEXT, 1 },
	{ "caRootsData", BASE64, 1 },
	{ "caIntermediatesPath", TEXT, 2, true },
	{ "caIntermediatesData", BASE64, 2, true },
	{ "subjectHostname", TEXT, 3 },
	{ "subjectEmail", TEXT, 3 } } };
/* clang-format on */

static int check_form(struct reader *rd, const struct json *obj, const struct form *f, bool typed);

static const struct form *find_form(const struct form *forms, size_t n, const char *type)
{
	size_t i;

	for (i = 0; type && i < n; i++)
		if (streq(forms[i].type, type))
			return &forms[i];
	return NULL;
}

static bool is_base64(const struct json *v)
{
	_cleanup_free_ char *bytes = NULL;
	const char *s = json_string(v);
	size_t n;

	return s && !base64_decode(s, strlen(s), &bytes, &n);
}

static bool is_key_type(const struct json *v)
{
	static const char *const names[] = { "GPGKeys", "signedByGPGKeys", "X509Certificates",
					     "signedByX509CAs" };
	const char *s = json_string(v);
	size_t i;

	for (i = 0; s && i < ARRAY_SIZE(names); i++)
		if (streq(s, names[i]))
			return true;
	return false;
}

static bool is_list(const struct json *v, bool base64)
{
	if (!v || v->type != JSON_ARRAY || !v->count)
		return false;
	json_foreach(item, v)
		if (base64 ? !is_base64(item) : !json_string(item))
			return false;
	return true;
}

static int check_identity(struct reader *rd, const struct json *v)
{
	const struct form *f =
		find_form(identities, ARRAY_SIZE(identities), json_get_string(v, "type"));

	if (!f)
		return REFUSE(rd, "unknown type of identity");
	return check_form(rd, v, f, true);
}

static int check_member(struct reader *rd, const struct json *v, const struct member *m)
{
	bool good = true;

	switch (m->kind) {
	case TEXT:
		good = json_string(v);
		break;
	case TEXTS:
	case BASE64S:
		good = is_list(v, m->kind == BASE64S);
		break;
	case BASE64:
		good = is_base64(v);
		break;
	case KEY_TYPE:
		good = is_key_type(v);
		break;
	case IDENTITY:
		return check_identity(rd, v);
	case FULCIO:
		return check_form(rd, v, &fulcio, false);
	case PKI:
		return check_form(rd, v, &pki, false);
	}
	return good ? 0 : REFUSE(rd, "bad value of \"%s\"", m->name);
}

static const struct member *find_member(const struct form *f, const char *name)
{
	const struct member *m;

	for (m = f->members; m < f->members + MEMBERS_MAX && m->name; m++)
		if (streq(m->name, name))
			return m;
	return NULL;
}

/* Of each group at most one member is there, and one unless the group is optional. */
static int check_groups(struct reader *rd, const struct json *obj, const struct form *f)
{
	const struct member *m, *other;

	for (m = f->members; m < f->members + MEMBERS_MAX && m->name; m++) {
		size_t n = 0;

		for (other = f->members; other < f->members + MEMBERS_MAX && other->name; other++)
			n += other->group == m->group && json_get(obj, other->name);
		if (n > 1)
			return REFUSE(rd, "%s: \"%s\" and another member exclude each other",
				      f->type, m->name);
		if (!n && !m->optional)
			return REFUSE(rd, "%s: \"%s\" is missing", f->type, m->name);
	}
	return 0;
}

static int check_form(struct reader *rd, const struct json *obj, const struct form *f, bool typed)
{
	int r;

	if (!obj || obj->type != JSON_OBJECT)
		return REFUSE(rd, "\"%s\" is not an object", f->type);
	json_foreach(item, obj) {
		const struct member *m = find_member(f, item->key);

		if (typed && streq(item->key, "type"))
			continue;
		if (!m)
			return REFUSE(rd, "%s: unknown member \"%s\"", f->type, SHOW(item->key));
		r = check_member(rd, item, m);
		if (r)
			return r;
	}
	return check_groups(rd, obj, f);
}

static int check_requirements(struct reader *rd, const struct json *list, const char *scope)
{
	int r;

	if (!list || list->type != JSON_ARRAY || !list->count)
		return REFUSE(rd, "the requirements of \"%s\" are not a list with content",
			      SHOW(scope));
	json_foreach(item, list) {
		const char *type = json_get_string(item, "type");
		const struct form *f = find_form(requirements, ARRAY_SIZE(requirements), type);

		if (!f)
			return REFUSE(rd, "\"%s\": unknown type of requirement \"%s\"", SHOW(scope),
				      SHOW(type ? type : ""));
		r = check_form(rd, item, f, true);
		if (r)
			return r;
	}
	return 0;
}

static int check_transports(struct reader *rd, const struct json *transports)
{
	int r;

	if (transports->type != JSON_OBJECT)
		return REFUSE(rd, "\"transports\" is not an object");
	json_foreach(transport, transports) {
		if (transport->type != JSON_OBJECT)
			return REFUSE(rd, "transport \"%s\" is not an object",
				      SHOW(transport->key));
		json_foreach(scope, transport) {
			r = check_requirements(rd, scope, scope->key);
			if (r)
				return r;
		}
	}
	return 0;
}

static int check_policy(struct reader *rd, const struct json *root)
{
	int r;

	if (root->type != JSON_OBJECT)
		return REFUSE(rd, "not a JSON object");
	json_foreach(item, root) {
		if (streq(item->key, "default"))
			r = check_requirements(rd, item, "default");
		else if (streq(item->key, "transports"))
			r = check_transports(rd, item);
		else
			r = REFUSE(rd, "unknown member \"%s\"", SHOW(item->key));
		if (r)
			return r;
	}
	return json_get(root, "default") ? 0 : REFUSE(rd, "\"default\" is missing");
}

int policy_parse(const char *text, size_t n, const char *name, struct policy **ret,
		 struct cimage_error *err)
{
	_cleanup_(policy_freep) struct policy *p = calloc(1, sizeof(*p));
	struct reader rd = { name, err };
	struct cb_error why = { 0 };
	int r;

	if (!p || !(p->name = strdup(name)))
		return err_oom(err);
	r = json_parse(text, n, JSON_UNIQUE_KEYS, &p->doc, &why);
	if (r == -EINVAL)
		return REFUSE(&rd, "%s", SHOW(why.message));
	if (r)
		return err_oom(err);
	r = check_policy(&rd, json_root(p->doc));
	if (r)
		return r;
	*ret = take(p);
	return 0;
}

struct policy *policy_free(struct policy *p)
{
	if (p) {
		json_doc_free(p->doc);
		free(p->name);
	}
	free(p);
	return NULL;
}

/* The repository and its parents: cut at the last '/' until only the registry is left. */
static const struct json *find_by_path(const struct json *scopes, const struct cimage_ref *ref,
				       char *buf)
{
	const struct json *v;
	char *slash;

	v = json_get(scopes, cimage_ref_string(ref));
	if (v)
		return v;
	strcpy(buf, cimage_ref_name(ref));
	for (;;) {
		v = json_get(scopes, buf);
		if (v)
			return v;
		slash = strrchr(buf, '/');
		if (!slash)
			return NULL;
		*slash = '\0';
	}
}

static const struct json *find_by_wildcard(const struct json *scopes, const struct cimage_ref *ref,
					   char *buf)
{
	const struct json *v = NULL;
	char *dot;

	buf[0] = '*';
	strcpy(buf + 1, cimage_ref_domain(ref));
	buf[strcspn(buf, ":")] = '\0';
	for (dot = strchr(buf, '.'); dot && !v; dot = strchr(dot + 1, '.')) {
		dot[-1] = '*';
		v = json_get(scopes, dot - 1);
	}
	return v;
}

static int find_requirements(const struct policy *p, const struct cimage_ref *ref,
			     const struct json **ret)
{
	const struct json *root = json_root(p->doc), *v;
	const struct json *scopes = json_path(root, "transports", "docker", NULL);
	_cleanup_free_ char *buf = malloc(strlen(cimage_ref_name(ref)) + 2);

	if (!buf)
		return -ENOMEM;
	v = find_by_path(scopes, ref, buf);
	if (!v)
		v = find_by_wildcard(scopes, ref, buf);
	if (!v)
		v = json_get(scopes, "");
	*ret = v ? v : json_get(root, "default");
	return 0;
}

int policy_check_docker(const struct policy *p, const struct cimage_ref *ref,
			struct cimage_error *err)
{
	const struct json *list;

	if (find_requirements(p, ref, &list))
		return err_oom(err);
	json_foreach(item, list) {
		const char *type = json_get_string(item, "type");

		if (streq(type, "insecureAcceptAnything"))
			continue;
		if (streq(type, "reject"))
			return err_set(err, CIMAGE_E_POLICY,
				       "Source image rejected: Running image docker://%s is "
				       "rejected by policy (%s)",
				       cimage_ref_string(ref), p->name);
		return err_set(
			err, CIMAGE_E_POLICY,
			"Source image rejected: docker://%s: %s requires a signature "
			"(%s), and signatures of this type cannot be verified by this version",
			cimage_ref_string(ref), p->name, type);
	}
	return 0;
}
