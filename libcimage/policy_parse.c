/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this a policy.json, see containers-policy.json(5)?
 *
 * Parsing is strict, as the format demands: an unknown or repeated member, an unknown type or an
 * empty list refuses the file, because a policy that is not understood must not accept anything.
 * What each type of requirement may contain is in the tables below.
 */
#include <cbase/json.h>
#include "policy.h"

struct reader {
	const char *file;
	struct cimage_error *err;
};

#define REFUSE(rd, ...)                                                                            \
	err_ctx((rd)->err, err_set((rd)->err, CIMAGE_E_INVALID, __VA_ARGS__), "%s", (rd)->file)

enum kind {
	TEXT = 1,
	TEXTS,
	BASE64,
	BASE64S,
	IDENTITY,
	FULCIO,
	PKI,
	KEY_TYPE,
	REFERENCE,
	REPOSITORY,
	PREFIX
};

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
	{ "exactReference", { { "dockerReference", REFERENCE, 1 } } },
	{ "exactRepository", { { "dockerRepository", REPOSITORY, 1 } } },
	{ "remapIdentity", { { "prefix", PREFIX, 1 }, { "signedPrefix", PREFIX, 2 } } },
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
	{ "subjectHostname", TEXT, 3, true },
	{ "subjectEmail", TEXT, 4, true } } };
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

/* exact: with a tag or a digest. */
static bool is_reference(const struct json *v, bool exact)
{
	_cleanup_(cimage_ref_freep) struct cimage_ref *ref = NULL;
	const char *s = json_string(v);

	if (!s || cimage_ref_parse(s, 0, &ref, NULL))
		return false;
	return !exact || cimage_ref_tag(ref) || cimage_ref_digest(ref);
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
	case REFERENCE:
	case REPOSITORY:
		good = is_reference(v, m->kind == REFERENCE);
		break;
	case PREFIX:
		good = json_string(v) && identity_prefix_valid(json_string(v));
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

/* What the groups of the tables cannot say. */
static int check_combination(struct reader *rd, const struct json *req)
{
	static const char *const rekor[] = { "rekorPublicKeyPath", "rekorPublicKeyPaths",
					     "rekorPublicKeyData", "rekorPublicKeyDatas" };
	const struct json *of_pki = json_get(req, "pki");
	bool has_rekor = false;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rekor); i++)
		has_rekor |= json_get(req, rekor[i]) != NULL;
	if (json_get(req, "fulcio") && !has_rekor)
		return REFUSE(rd, "sigstoreSigned: \"fulcio\" needs a Rekor public key");
	if (of_pki && has_rekor)
		return REFUSE(rd, "sigstoreSigned: \"pki\" and a Rekor public key exclude each other");
	if (of_pki && !json_get(of_pki, "subjectEmail") && !json_get(of_pki, "subjectHostname"))
		return REFUSE(rd, "pki: neither \"subjectEmail\" nor \"subjectHostname\"");
	return 0;
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
		if (!r)
			r = check_combination(rd, item);
		if (r)
			return r;
	}
	return 0;
}

/* Scopes that could never match, where others refuse them: paths that are not canonical. */
static int check_scope(struct reader *rd, const char *transport, const char *scope)
{
	size_t n = strlen(scope);

	if (!n || (!streq(transport, "dir") && !streq(transport, "oci")))
		return 0;
	if (*scope != '/' || n == 1 || scope[n - 1] == '/' || strstr(scope, "//") ||
	    strstr(scope, "/./") || strstr(scope, "/../") || str_ends(scope, "/.") ||
	    str_ends(scope, "/.."))
		return REFUSE(rd, "%s: scope \"%s\" is not a canonical absolute path", transport,
			      SHOW(scope));
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
			r = check_scope(rd, transport->key, scope->key);
			if (!r)
				r = check_requirements(rd, scope, scope->key);
			if (r)
				return r;
		}
	}
	return 0;
}

static int check_root(struct reader *rd, const struct json *root)
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

int policy_check_format(const struct json *root, const char *name, struct cimage_error *err)
{
	struct reader rd = { name, err };

	return check_root(&rd, root);
}
