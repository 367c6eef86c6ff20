/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a signature signs: container-signature(5), and the same document with another type in
 * sigstore's. It is read only after its signature was found right, and strictly even then: every
 * member of "critical" means something, so one that is not known refuses the whole; "optional" may
 * hold anything.
 */
#include <cbase/digest.h>
#include <cbase/json.h>
#include "signature.h"

static const char *const type_names[] = {
	[SIGNATURE_SIMPLE] = "atomic container signature",
	[SIGNATURE_SIGSTORE] = "cosign container image signature",
};

void payload_done(struct payload *p)
{
	free(p->digest);
	free(p->reference);
	*p = (struct payload){ 0 };
}

/* An object with exactly these members. */
static bool has_exactly(const struct json *v, const char *const *names, size_t n)
{
	size_t i;

	if (!v || v->type != JSON_OBJECT || v->count != n)
		return false;
	for (i = 0; i < n; i++)
		if (!json_get(v, names[i]))
			return false;
	return true;
}

static const char *only_string(const struct json *v, const char *name)
{
	return has_exactly(v, &name, 1) ? json_get_string(v, name) : NULL;
}

/* Whole seconds; 1.5e3 is whole, too. */
static bool is_whole(const struct json *v)
{
	double d;
	int64_t i;

	if (v->type != JSON_NUMBER)
		return false;
	if (!json_int(v, &i))
		return true;
	d = strtod(v->string, NULL);
	return d > -9e15 && d < 9e15 && (double)(int64_t)d == d;
}

static bool optional_valid(enum signature_kind kind, const struct json *v)
{
	const struct json *creator = json_get(v, "creator"), *timestamp = json_get(v, "timestamp");

	if (v->type == JSON_NULL)
		return kind == SIGNATURE_SIGSTORE;
	return v->type == JSON_OBJECT && (!creator || json_string(creator)) &&
	       (!timestamp || is_whole(timestamp));
}

static const char *read_root(enum signature_kind kind, const struct json *root, const char **ret_digest,
			const char **ret_reference)
{
	static const char *const top[] = { "critical", "optional" };
	static const char *const inner[] = { "type", "image", "identity" };
	const struct json *critical = json_get(root, "critical");
	const char *type;

	if (!has_exactly(root, top, 2) || !has_exactly(critical, inner, 3))
		return "it has not exactly the members it must have";
	if (!optional_valid(kind, json_get(root, "optional")))
		return "\"optional\" is malformed";
	type = json_get_string(critical, "type");
	if (!type || !streq(type, type_names[kind]))
		return "it is of another type";
	*ret_digest = only_string(json_get(critical, "image"), "docker-manifest-digest");
	*ret_reference = only_string(json_get(critical, "identity"), "docker-reference");
	if (!*ret_digest || !digest_valid(*ret_digest))
		return "\"image\" is not a valid digest";
	return *ret_reference ? NULL : "\"identity\" is malformed";
}

int payload_parse(enum signature_kind kind, const char *bytes, size_t n, struct payload *ret,
		  struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	const char *digest, *reference, *wrong;
	struct payload p;
	int r = json_parse(bytes, n, JSON_UNIQUE_KEYS, &doc, NULL);

	if (r == -ENOMEM)
		return err_oom(err);
	wrong = r ? "it is not JSON" : read_root(kind, json_root(doc), &digest, &reference);
	if (wrong)
		return err_set(err, CIMAGE_E_POLICY, "the signed document is invalid: %s", wrong);
	p = (struct payload){ strdup(digest), strdup(reference) };
	if (!p.digest || !p.reference) {
		payload_done(&p);
		return err_oom(err);
	}
	*ret = p;
	return 0;
}

char *payload_format(enum signature_kind kind, const char *digest, const char *reference,
		     int64_t timestamp)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	_cleanup_str_ struct str out = STR_INIT;
	struct json *critical, *optional;

	if (!doc)
		return NULL;
	critical = json_set_object(doc, json_root(doc), "critical");
	json_set_string(doc, json_set_object(doc, critical, "identity"), "docker-reference",
			reference);
	json_set_string(doc, json_set_object(doc, critical, "image"), "docker-manifest-digest",
			digest);
	json_set_string(doc, critical, "type", type_names[kind]);
	optional = json_set_object(doc, json_root(doc), "optional");
	json_set_string(doc, optional, "creator", "libcimage " CIMAGE_VERSION);
	json_set_int(doc, optional, "timestamp", timestamp);
	if (json_format(doc, json_root(doc), 0, &out))
		return NULL;
	return str_take(&out, NULL);
}
