/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures by hand: made and verified from bytes, without a policy and without a registry. Who was
 * asked for is what counts: the manifest's digest, the whole reference, the key.
 */
#include "context.h"
#include "module.h"
#include "ref.h"
#include "signature.h"
#include "trust.h"

static int parse_reference(const char *text, struct cimage_ref **ret, struct cimage_error *err)
{
	int r = cimage_ref_parse(text, 0, ret, err);

	if (r || cimage_ref_tag(*ret) || cimage_ref_digest(*ret))
		return r;
	*ret = cimage_ref_free(*ret);
	return err_set(err, CIMAGE_E_INVALID, "reference \"%s\": a tag or a digest is missing",
		       SHOW(text));
}

PUBLIC int cimage_sign(struct cimage_context *c, const struct cimage_bytes *manifest,
		       const char *reference, char **ret, size_t *ret_len, struct cimage_error *err)
{
	_cleanup_(cimage_ref_freep) struct cimage_ref *ref = NULL;
	const struct digest_module *digests;
	char digest[DIGEST_STR_MAX];
	int r;

	if (!c || !c->sign_key || !manifest || !reference || !ret || !ret_len)
		return -EINVAL;
	if ((r = parse_reference(reference, &ref, err)) || (r = module_digest(c, &digests, err)))
		return r;
	digests->sha256(manifest->p, manifest->len, digest);
	return trust_sign_simple(c, cimage_ref_string(ref), digest, ret, ret_len, err);
}

static bool is_wanted(const char *fingerprint, const char *const *wanted)
{
	size_t i;

	for (i = 0; wanted && wanted[i]; i++)
		if (streq(wanted[i], fingerprint))
			return true;
	return !wanted;
}

static int check(struct cimage_context *c, const struct cimage_bytes *manifest,
		 const struct cimage_ref *wanted, const struct payload *p, struct cimage_error *err)
{
	_cleanup_(cimage_ref_freep) struct cimage_ref *ref = NULL;
	const struct digest_module *digests;
	int r = module_digest(c, &digests, err);

	if (r)
		return r;
	if (!digests->matches(p->digest, manifest->p, manifest->len))
		return err_set(err, CIMAGE_E_POLICY, "Signature for docker digest \"%s\" does not match",
			       p->digest);
	if (cimage_ref_parse(p->reference, 0, &ref, NULL) ||
	    !streq(cimage_ref_string(ref), cimage_ref_string(wanted)))
		return err_set(err, CIMAGE_E_POLICY, "Docker reference \"%s\" does not match \"%s\"",
			       SHOW(p->reference), cimage_ref_string(wanted));
	return 0;
}

PUBLIC int cimage_verify(struct cimage_context *c, const struct cimage_bytes *manifest,
			 const char *reference, const char *const *fingerprints,
			 const struct cimage_bytes *keyring, const struct cimage_bytes *sig,
			 char **ret_fingerprint, struct cimage_error *err)
{
	_cleanup_(cimage_ref_freep) struct cimage_ref *ref = NULL;
	_cleanup_(payload_done) struct payload p = { 0 };
	_cleanup_free_ char *text = NULL, *fingerprint = NULL;
	size_t n;
	int r;

	if (!c || !manifest || !reference || !sig || !ret_fingerprint)
		return -EINVAL;
	r = parse_reference(reference, &ref, err);
	if (!r)
		r = keyring ? cimage_gpg_verify(c, keyring, 1, sig, &text, &n, &fingerprint, err)
			    : cimage_gpg_verify_at_home(c, sig, &text, &n, &fingerprint, err);
	if (!r && !is_wanted(fingerprint, fingerprints))
		r = err_set(err, CIMAGE_E_POLICY,
			    "Signature by %s does not match the expected fingerprints",
			    fingerprint);
	if (!r)
		r = payload_parse(SIGNATURE_SIMPLE, text, n, &p, err);
	if (!r)
		r = check(c, manifest, ref, &p, err);
	if (!r)
		*ret_fingerprint = take(fingerprint);
	return r;
}

PUBLIC int cimage_generate_sigstore_key(struct cimage_context *c, const char *passphrase,
					char **ret_private, char **ret_public,
					struct cimage_error *err)
{
	const struct sigstore_module *m;
	int r;

	if (!c || !passphrase || !ret_private || !ret_public)
		return -EINVAL;
	r = module_sigstore(c, &m, err);
	return r ? r : m->generate(passphrase, ret_private, ret_public, err);
}
