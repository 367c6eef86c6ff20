/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict about one manifest, and making signatures, see trust.h. Signatures are asked for only
 * when a requirement wants some, and after everything that would reject the image without them.
 */
#include <cbase/io.h>
#include <time.h>
#include "context.h"
#include "manifest.h"
#include "module.h"
#include "policy.h"
#include "ref.h"
#include "signature.h"
#include "trust.h"

#define PRIVATE_KEY_MAX (1u << 20)

static int make_subject(const struct trust_image *i, struct policy_subject *ret)
{
	_cleanup_(cimage_ref_freep) struct cimage_ref *ref = NULL;
	const char *const *scopes = i->place ? cimage_place_scopes(i->place) : NULL;
	const char *transport = i->place ? cimage_place_transport(i->place) : "docker";

	if (scopes || !streq(transport, "docker") || !i->ref)
		return policy_subject_other(transport, scopes, i->ref,
					    i->place ? cimage_place_string(i->place) : transport,
					    ret);
	return ref_for_fetch(i->ref, &ref) ? -ENOMEM : policy_subject_docker(ref, ret);
}

static int judge(struct cimage_context *c, struct policy *p, const struct policy_subject *s,
		 const struct trust_image *i, struct cimage_error *err)
{
	struct cimage_signatures signatures = { 0 };
	_cleanup_free_ char *part = NULL;
	const char *bytes = i->manifest;
	size_t len = i->manifest_len;
	int r = manifest_signed_part(i->manifest, i->manifest_len, &part, &len);

	if (r)
		return r == -ENOMEM ? err_oom(err)
				    : err_set(err, CIMAGE_E_INVALID,
					      "manifest: its signatures are malformed");
	/* of schema 1 with signatures in it the digest is that of what they sign */
	if (part)
		bytes = part;
	else
		len = i->manifest_len;
	if (i->signatures)
		r = i->signatures(i->user, &signatures, err);
	if (!r)
		r = policy_judge(c, p, s, bytes, len, &signatures, err);
	cimage_signatures_done(&signatures);
	return r;
}

int trust_check(struct cimage_context *c, const struct trust_image *i, struct cimage_error *err)
{
	struct policy_subject s;
	struct policy *policy;
	unsigned int needs;
	int r = context_policy(c, &policy, err);

	if (r)
		return r;
	if (make_subject(i, &s))
		return err_oom(err);
	r = policy_prejudge(policy, &s, &needs, err);
	if (!r && needs && i->manifest)
		r = judge(c, policy, &s, i, err);
	policy_subject_done(&s);
	return r;
}

int trust_prepare(struct cimage_context *c, const struct cimage_ref *ref, unsigned int *ret_needs,
		  struct cimage_error *err)
{
	const struct trust_image i = { .ref = ref };
	const struct sigstore_module *sigstore;
	const struct gpg_module *gpg;
	struct policy_subject s;
	struct policy *policy;
	int r = context_policy(c, &policy, err);

	if (r)
		return r;
	if (make_subject(&i, &s))
		return err_oom(err);
	r = policy_prejudge(policy, &s, ret_needs, err);
	if (!r && *ret_needs)
		r = policy_load_keys(c, policy, &s, err);
	if (!r && *ret_needs & POLICY_NEEDS_SIGSTORE)
		r = module_sigstore(c, &sigstore, err);
	if (!r && *ret_needs & POLICY_NEEDS_GPG)
		r = module_gpg(c, &gpg, err);
	policy_subject_done(&s);
	return r;
}

PUBLIC int cimage_context_needs_gpg(struct cimage_context *c, const struct cimage_ref *ref,
				    int *ret, struct cimage_error *err)
{
	unsigned int needs = 0;
	int r;

	if (!c || !ref || !ret)
		return -EINVAL;
	r = trust_prepare(c, ref, &needs, err);
	if (r == CIMAGE_E_POLICY)
		r = 0; /* refused without any */
	if (!r)
		*ret = !!(needs & POLICY_NEEDS_GPG);
	return r;
}

/* ---- OpenPGP ---- */

PUBLIC int cimage_gpg_verify(struct cimage_context *c, const struct cimage_bytes *keyrings,
			     size_t n, const struct cimage_bytes *sig, char **ret, size_t *ret_len,
			     char **ret_fingerprint, struct cimage_error *err)
{
	const struct gpg_module *m;
	int r;

	if (!c || (n && !keyrings) || !sig || !ret || !ret_len || !ret_fingerprint)
		return -EINVAL;
	r = module_gpg(c, &m, err);
	return r ? r : m->verify(keyrings, n, sig, ret, ret_len, ret_fingerprint, err);
}

int context_gpg_verify(struct cimage_context *c, const struct cimage_bytes *keyrings, size_t n,
		       const struct cimage_bytes *sig, char **ret, size_t *ret_len,
		       char **ret_fingerprint, struct cimage_error *err)
{
	if (c->gpg_verify)
		return c->gpg_verify(c->gpg_user, keyrings, n, sig, ret, ret_len, ret_fingerprint,
				     err);
	return cimage_gpg_verify(c, keyrings, n, sig, ret, ret_len, ret_fingerprint, err);
}

PUBLIC int cimage_gpg_verify_at_home(struct cimage_context *c, const struct cimage_bytes *sig,
				     char **ret, size_t *ret_len, char **ret_fingerprint,
				     struct cimage_error *err)
{
	const struct gpg_module *m;
	int r;

	if (!c || !sig || !ret || !ret_len || !ret_fingerprint)
		return -EINVAL;
	r = module_gpg(c, &m, err);
	return r ? r : m->verify_at_home(sig, ret, ret_len, ret_fingerprint, err);
}

/* ---- signing ---- */

int trust_sign_simple(struct cimage_context *c, const char *reference, const char *manifest_digest,
		      char **ret, size_t *ret_len, struct cimage_error *err)
{
	_cleanup_free_ char *payload = payload_format(SIGNATURE_SIMPLE, manifest_digest, reference,
						      time(NULL));
	const struct gpg_module *m;
	int r;

	if (!payload)
		return err_oom(err);
	r = module_gpg(c, &m, err);
	if (!r)
		r = m->sign(c->sign_key, c->sign_passphrase,
			    &(struct cimage_bytes){ payload, strlen(payload) }, ret, ret_len, err);
	return err_ctx(err, r, "sign with key %s", SHOW(c->sign_key));
}

static int sign_payload(struct cimage_context *c, const char *payload, char **ret,
			struct cimage_error *err)
{
	_cleanup_free_ char *key = NULL;
	const struct sigstore_module *m;
	size_t n = 0;
	int r = module_sigstore(c, &m, err);

	if (r)
		return r;
	r = read_file(c->sigstore_key, PRIVATE_KEY_MAX, &key, &n);
	if (r)
		return err_sysr(err, r, "read the key");
	r = m->sign(&(struct cimage_bytes){ key, n }, c->sigstore_passphrase,
		    &(struct cimage_bytes){ payload, strlen(payload) }, ret, err);
	explicit_bzero(key, n);
	return r;
}

static int add_sigstore(struct cimage_context *c, const char *reference,
			const char *manifest_digest, struct cimage_signatures *add,
			struct cimage_error *err)
{
	_cleanup_free_ char *payload = payload_format(SIGNATURE_SIGSTORE, manifest_digest,
						      reference, time(NULL));
	_cleanup_(signature_done) struct signature s = { .kind = SIGNATURE_SIGSTORE };
	_cleanup_free_ char *b64 = NULL;
	_cleanup_str_ struct str out = STR_INIT;
	int r = payload ? sign_payload(c, payload, &b64, err) : err_oom(err);

	if (r)
		return err_ctx(err, r, "sign with key %s", c->sigstore_key);
	s.media_type = strdup(SIGSTORE_MEDIA_TYPE);
	s.len = strlen(payload);
	s.bytes = take(payload);
	if (!s.media_type || strv_push(&s.annotations, SIGSTORE_SIGNATURE) ||
	    strv_push(&s.annotations, b64) || signature_format(&s, &out) ||
	    cimage_signatures_add(add, out.data, out.len))
		return err_oom(err);
	return 0;
}

int trust_sign(struct cimage_context *c, const struct cimage_ref *ref, const char *manifest,
	       size_t manifest_len, const char *manifest_digest, struct cimage_signatures *add,
	       struct cimage_error *err)
{
	_cleanup_free_ char *sig = NULL;
	size_t n = 0;
	int r = 0;

	(void)manifest;
	(void)manifest_len;
	if (!c->sign_key && !c->sigstore_key)
		return 0;
	if (!ref || (!cimage_ref_tag(ref) && !cimage_ref_digest(ref)))
		return err_set(err, CIMAGE_E_INVALID,
			       "what is signed needs a docker reference with a tag or a digest, and "
			       "the destination has none");
	if (c->sign_key) {
		r = trust_sign_simple(c, cimage_ref_string(ref), manifest_digest, &sig, &n, err);
		if (!r && cimage_signatures_add(add, sig, n))
			r = err_oom(err);
	}
	if (!r && c->sigstore_key)
		r = add_sigstore(c, cimage_ref_string(ref), manifest_digest, add, err);
	return r;
}
