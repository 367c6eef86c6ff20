/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict about one manifest: every requirement of its list has to be met, and one that asks for
 * a signature is met by any one that is good. A signature is good when it was made by a key of the
 * requirement, and what was signed names this manifest by digest and this image by name, in that
 * order: nothing that was signed is read before the signature was found right.
 *
 * OpenPGP is gpg's work (gpg.so, or what the caller set in its place), sigstore's is OpenSSL's
 * (sigstore.so). Key files are read by policy_load_keys() where that was called before.
 */
#include <cbase/io.h>
#include <cbase/json.h>
#include "context.h"
#include "digest_module.h"
#include "module.h"
#include "policy.h"
#include "signature.h"
#include "sigstore_module.h"

#define KEY_FILE_MAX (1u << 20)
#define KEYS_MAX 64		/* of one requirement */

struct judge {
	struct cimage_context *c;
	struct policy *p;
	const struct policy_subject *s;
	const char *manifest;
	size_t manifest_len;
	const struct digest_module *digests;
	struct signature *signatures;
	size_t count;
	struct cimage_error *err;
};

/* ---- keys ---- */

static int read_key(struct cimage_context *c, struct policy *p, const char *path,
		    struct cimage_bytes *ret, struct cimage_error *err)
{
	struct key_file *k;
	int r = 0;

	pthread_mutex_lock(&c->lock);
	for (k = p->keys; k && !streq(k->path, path); k = k->next)
		;
	if (!k) {
		k = calloc(1, sizeof(*k) + strlen(path) + 1);
		r = k ? read_file(path, KEY_FILE_MAX, &k->bytes, &k->len) : -ENOMEM;
		if (r) {
			r = err_sysr(err, r, "%s: read key %s", p->name, path);
			free(k);
		} else {
			strcpy(k->path, path);
			k->next = p->keys;
			p->keys = k;
		}
	}
	if (!r)
		*ret = (struct cimage_bytes){ k->bytes, k->len };
	pthread_mutex_unlock(&c->lock);
	return r;
}

/* The bytes behind one kind of keys, however it was given. */
struct keys {
	struct cimage_bytes items[KEYS_MAX];
	char *owned[KEYS_MAX];	/* what was decoded; NULL what belongs to the policy */
	size_t count;
};

static void keys_done(struct keys *k)
{
	while (k->count)
		free(k->owned[--k->count]);
}

static int add_key(struct cimage_context *c, struct policy *p, struct keys *k,
		   const struct json *v, bool is_path, struct cimage_error *err)
{
	const char *text = json_string(v);
	struct cimage_bytes *b = &k->items[k->count];
	char *bytes = NULL;
	int r;

	if (k->count == KEYS_MAX)
		return err_set(err, CIMAGE_E_LIMIT, "%s: more than %d keys in one requirement",
			       p->name, KEYS_MAX);
	if (is_path) {
		r = read_key(c, p, text, b, err);
	} else {
		r = base64_decode(text, strlen(text), &bytes, &b->len) ? err_oom(err) : 0;
		b->p = bytes;
	}
	if (!r)
		k->owned[k->count++] = bytes;
	return r;
}

/* stem: "key" for keyPath, keyPaths, keyData, keyDatas. */
static int get_keys(struct cimage_context *c, struct policy *p, const struct json *obj,
		    const char *stem, struct keys *ret, struct cimage_error *err)
{
	static const char *const forms[] = { "Path", "Paths", "Data", "Datas" };
	size_t i;
	int r = 0;

	for (i = 0; i < ARRAY_SIZE(forms) && !r; i++) {
		char name[64];
		const struct json *v;

		snprintf(name, sizeof(name), "%s%s", stem, forms[i]);
		v = json_get(obj, name);
		if (v && v->type == JSON_STRING)
			r = add_key(c, p, ret, v, i < 2, err);
		json_foreach(item, v && v->type == JSON_ARRAY ? v : NULL)
			if (!r)
				r = add_key(c, p, ret, item, i < 2, err);
	}
	return r;
}

/* All there may be in a requirement; only those that it has are filled. */
struct trusted {
	struct keys keys, rekor, fulcio, roots, intermediates;
};

static void trusted_done(struct trusted *t)
{
	keys_done(&t->keys);
	keys_done(&t->rekor);
	keys_done(&t->fulcio);
	keys_done(&t->roots);
	keys_done(&t->intermediates);
}

static int get_trusted(struct cimage_context *c, struct policy *p, const struct json *req,
		       struct trusted *ret, struct cimage_error *err)
{
	const struct json *fulcio = json_get(req, "fulcio"), *pki = json_get(req, "pki");
	int r;

	*ret = (struct trusted){ 0 };
	if ((r = get_keys(c, p, req, "key", &ret->keys, err)) ||
	    (r = get_keys(c, p, req, "rekorPublicKey", &ret->rekor, err)) ||
	    (r = get_keys(c, p, fulcio, "ca", &ret->fulcio, err)) ||
	    (r = get_keys(c, p, pki, "caRoots", &ret->roots, err)) ||
	    (r = get_keys(c, p, pki, "caIntermediates", &ret->intermediates, err)))
		trusted_done(ret);
	return r;
}

int policy_load_keys(struct cimage_context *c, struct policy *p, const struct policy_subject *s,
		     struct cimage_error *err)
{
	json_foreach(item, policy_requirements(p, s)) {
		struct trusted t;
		int r = get_trusted(c, p, item, &t, err);

		if (r)
			return r;
		trusted_done(&t);
	}
	return 0;
}

/* ---- one signature ---- */

/* What was signed by a trusted key: does it mean this image? */
static int check_payload(struct judge *j, const struct json *req, enum signature_kind kind,
			 const char *bytes, size_t n, struct cimage_error *why)
{
	struct payload payload;
	int r = payload_parse(kind, bytes, n, &payload, why);

	if (r)
		return r;
	if (!j->digests->matches(payload.digest, j->manifest, j->manifest_len))
		r = err_set(why, CIMAGE_E_POLICY, "Signature for digest %s does not match",
			    payload.digest);
	else if (!identity_matches(json_get(req, "signedIdentity"), j->s->ref, payload.reference))
		r = err_set(why, CIMAGE_E_POLICY, "Signature for identity \"%s\" is not accepted",
			    SHOW(payload.reference));
	payload_done(&payload);
	return r;
}

static int check_simple(struct judge *j, const struct json *req, const struct trusted *t,
			const struct signature *s, struct cimage_error *why)
{
	const char *key_type = json_get_string(req, "keyType");
	_cleanup_free_ char *message = NULL, *signer = NULL;
	struct cimage_bytes sig = { s->bytes, s->len };
	size_t n;
	int r;

	if (!streq(key_type, "GPGKeys"))
		return err_set(why, CIMAGE_E_POLICY, "keyType \"%s\" is not implemented by anybody",
			       key_type);
	if (s->kind != SIGNATURE_SIMPLE)
		return err_set(why, CIMAGE_E_POLICY, "not an OpenPGP signature");
	r = context_gpg_verify(j->c, t->keys.items, t->keys.count, &sig, &message, &n, &signer, why);
	return r ? r : check_payload(j, req, SIGNATURE_SIMPLE, message, n, why);
}

static struct cimage_bytes first_of(const struct keys *k)
{
	return k->count ? k->items[0] : (struct cimage_bytes){ NULL, 0 };
}

static int check_sigstore(struct judge *j, const struct json *req, const struct trusted *t,
			  const struct signature *s, struct cimage_error *why)
{
	const struct json *fulcio = json_get(req, "fulcio"), *pki = json_get(req, "pki");
	const struct sigstore_trust trust = {
		.keys = t->keys.items,
		.key_count = t->keys.count,
		.rekor_keys = t->rekor.items,
		.rekor_key_count = t->rekor.count,
		.fulcio_ca = first_of(&t->fulcio),
		.pki_roots = first_of(&t->roots),
		.pki_intermediates = first_of(&t->intermediates),
		.oidc_issuer = json_get_string(fulcio, "oidcIssuer"),
		.subject_email = json_get_string(fulcio ? fulcio : pki, "subjectEmail"),
		.subject_hostname = json_get_string(pki, "subjectHostname"),
	};
	const struct sigstore_claim claim = {
		.payload = { s->bytes, s->len },
		.signature = signature_annotation(s, SIGSTORE_SIGNATURE),
		.bundle = signature_annotation(s, SIGSTORE_BUNDLE),
		.certificate = signature_annotation(s, SIGSTORE_CERTIFICATE),
		.chain = signature_annotation(s, SIGSTORE_CHAIN),
	};
	const struct sigstore_module *m;
	int r = module_sigstore(j->c, &m, why);

	if (!r)
		r = m->verify(&trust, &claim, why);
	return r ? r : check_payload(j, req, SIGNATURE_SIGSTORE, s->bytes, s->len, why);
}

/* ---- one requirement ---- */

static bool concerns(const struct signature *s, bool sigstore)
{
	if (!sigstore)
		return true;
	return s->kind == SIGNATURE_SIGSTORE && streq(s->media_type, SIGSTORE_MEDIA_TYPE);
}

static int refuse(struct judge *j, const struct str *reasons, size_t tried)
{
	if (!tried && j->count)
		return err_set(j->err, CIMAGE_E_POLICY,
			       "A signature was required, but no signature exists (there are %zu "
			       "of another kind)",
			       j->count);
	if (!tried)
		return err_set(j->err, CIMAGE_E_POLICY,
			       "A signature was required, but no signature exists");
	return err_set(j->err, CIMAGE_E_POLICY, "%s%.700s",
		       tried > 1 ? "None of the signatures were accepted, reasons: " : "",
		       reasons->data ? reasons->data : "?");
}

static int check_signed(struct judge *j, const struct json *req, bool sigstore)
{
	_cleanup_str_ struct str reasons = STR_INIT;
	struct trusted t;
	size_t i, tried = 0;
	int r = get_trusted(j->c, j->p, req, &t, j->err), last = CIMAGE_E_POLICY;

	if (r)
		return r;
	for (i = 0; i < j->count; i++) {
		struct cimage_error why = { 0 };

		if (!concerns(&j->signatures[i], sigstore))
			continue;
		last = sigstore ? check_sigstore(j, req, &t, &j->signatures[i], &why)
				: check_simple(j, req, &t, &j->signatures[i], &why);
		if (!last)
			break;
		str_appendf(&reasons, "%s%s", tried++ ? "; " : "", why.message);
	}
	trusted_done(&t);
	if (!last)
		return 0;
	r = refuse(j, &reasons, tried);
	/* a module that is missing and the like is no statement about the image */
	return last == CIMAGE_E_POLICY ? r : last;
}

static int check_all(struct judge *j)
{
	int r;

	json_foreach(req, policy_requirements(j->p, j->s)) {
		const char *type = json_get_string(req, "type");

		if (streq(type, "insecureAcceptAnything"))
			continue;
		r = check_signed(j, req, streq(type, "sigstoreSigned"));
		if (r)
			return err_ctx(j->err, r, "Source image rejected: %s", j->s->shown);
	}
	return 0;
}

static int parse_all(struct judge *j, const struct cimage_signatures *l)
{
	int r = 0;

	if (l->count > SIGNATURES_MAX)
		return err_set(j->err, CIMAGE_E_LIMIT, "%s: more than %d signatures", j->s->shown,
			       SIGNATURES_MAX);
	j->signatures = calloc(l->count + 1, sizeof(*j->signatures));
	if (!j->signatures)
		return err_oom(j->err);
	for (; j->count < l->count && !r; j->count += !r)
		r = signature_parse(l->items[j->count].bytes, l->items[j->count].len,
				    &j->signatures[j->count], j->err);
	return r;
}

int policy_judge(struct cimage_context *c, struct policy *p, const struct policy_subject *s,
		 const char *manifest, size_t n, const struct cimage_signatures *signatures,
		 struct cimage_error *err)
{
	struct judge j = { .c = c,
			   .p = p,
			   .s = s,
			   .manifest = manifest,
			   .manifest_len = n,
			   .err = err };
	unsigned int needs;
	size_t i;
	int r = policy_prejudge(p, s, &needs, err);

	if (r || !needs)
		return r;
	r = module_digest(c, &j.digests, err);
	if (!r)
		r = parse_all(&j, signatures);
	if (!r)
		r = check_all(&j);
	for (i = 0; i < j.count; i++)
		signature_done(&j.signatures[i]);
	free(j.signatures);
	return r;
}
