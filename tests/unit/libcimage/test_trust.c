/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts about images that others signed (trust/), and about what remains of them when a byte changes. */
#include <cbase/json.h>
#include "context.h"
#include "policy.h"
#include "signature.h"
#include "trust.h"
#include "unit.h"

#define REPOSITORY "\"signedIdentity\":{\"type\":\"matchRepository\"}"
#define KEY(file) "{\"type\":\"sigstoreSigned\",\"keyPath\":\"" TRUST "/" file "\"," REPOSITORY "}"
#define KEY_LOGGED(file, rekor) \
	"{\"type\":\"sigstoreSigned\",\"keyPath\":\"" TRUST "/" file "\",\"rekorPublicKeyPath\":\"" TRUST "/" rekor "\"," REPOSITORY "}"
#define FULCIO(issuer, email, rekor) \
	"{\"type\":\"sigstoreSigned\",\"fulcio\":{\"caPath\":\"" TRUST "/fulcio_v1.crt.pem\",\"oidcIssuer\":\"" issuer "\"," \
	"\"subjectEmail\":\"" email "\"},\"rekorPublicKeyPath\":\"" TRUST "/" rekor "\"," REPOSITORY "}"
#define PKI(more) \
	"{\"type\":\"sigstoreSigned\",\"pki\":{\"caRootsPath\":\"" TRUST "/pki_root_crts.pem\"," more "}," REPOSITORY "}"
#define INTERMEDIATES "\"caIntermediatesPath\":\"" TRUST "/pki_intermediate_crts.pem\","
#define GPG(file) "{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":\"" TRUST "/" file "\"}"
#define GITHUB "https://github.com/login/oauth"

static struct cimage_context *context(void)
{
	struct cimage_context *c;

	ck_assert_int_eq(cimage_context_new(&c), 0);
	ck_assert_int_eq(cimage_context_set_transport_dir(c, MODULES), 0);
	return c;
}

static char *load(const char *dir, const char *name, size_t *ret_len)
{
	char *path = strf(TRUST "/%s%s%s", dir, *dir ? "/" : "", name), *text = NULL;

	ck_assert_msg(!read_file(path, 1 << 20, &text, ret_len), "%s", path);
	free(path);
	return text;
}

/* The verdict about a manifest with one signature. */
static int judge(const char *requirement, const char *reference, const char *manifest, size_t manifest_len, const char *sig,
		 size_t sig_len, struct cimage_error *err)
{
	char *text = strf("{\"default\":[%s]}", requirement);
	struct cimage_context *c = context();
	struct cimage_ref *ref = ref_of(reference);
	struct cimage_signatures l = { 0 };
	struct policy_subject s;
	struct policy *p;
	int r;

	ck_assert_msg(!policy_parse(text, strlen(text), "p", &p, err), "%s", err->message);
	ck_assert_int_eq(policy_subject_docker(ref, &s), 0);
	if (sig)
		ck_assert_int_eq(cimage_signatures_add(&l, sig, sig_len), 0);
	r = policy_judge(c, p, &s, manifest, manifest_len, &l, err);
	cimage_signatures_done(&l);
	policy_subject_done(&s);
	policy_free(p);
	cimage_ref_free(ref);
	cimage_context_free(c);
	free(text);
	return r;
}

static const struct {
	const char *dir, *requirement, *reference, *said; /* said NULL: accepted */
} cases[] = {
	{ "cosign-valid", KEY("cosign.pub"), "192.168.64.2:5000/cosign-signed-single-sample:latest", NULL },
	{ "cosign-valid", KEY("cosign2.pub"), "192.168.64.2:5000/cosign-signed-single-sample:latest", "verification failed" },
	{ "cosign-valid", KEY("cosign.pub"), "192.168.64.2:5000/other:latest", "identity" },
	{ "cosign-valid", GPG("public-key.gpg"), "192.168.64.2:5000/cosign-signed-single-sample:latest", "not an OpenPGP" },
	{ "cosign-valid", KEY_LOGGED("cosign.pub", "rekor.pub"), "192.168.64.2:5000/cosign-signed-single-sample:latest", "bundle" },
	{ "cosign-valid-with-tag", "{\"type\":\"sigstoreSigned\",\"keyPath\":\"" TRUST "/cosign.pub\"}", "192.168.64.2:5000/skopeo-signed:tag",
	  NULL },
	{ "cosign-valid-with-tag", "{\"type\":\"sigstoreSigned\",\"keyPath\":\"" TRUST "/cosign.pub\"}",
	  "192.168.64.2:5000/skopeo-signed:othertag", "identity" },
	{ "cosign-key-rekor-valid", KEY_LOGGED("cosign2.pub", "rekor.pub"), "192.168.64.2:5000/cosign-signed/key-1:x", NULL },
	{ "cosign-key-rekor-valid", KEY("cosign2.pub"), "192.168.64.2:5000/cosign-signed/key-1:x", NULL },
	{ "cosign-key-rekor-valid", KEY_LOGGED("cosign.pub", "rekor.pub"), "192.168.64.2:5000/cosign-signed/key-1:x", "publicKey" },
	{ "cosign-key-rekor-valid", KEY_LOGGED("cosign2.pub", "cosign.pub"), "192.168.64.2:5000/cosign-signed/key-1:x", "verification of the bundle" },
	{ "cosign-fulcio-rekor-valid", FULCIO(GITHUB, "mitr@redhat.com", "rekor.pub"), "192.168.64.2:5000/cosign-signed/fulcio-rekor-1:x", NULL },
	{ "cosign-fulcio-rekor-valid", FULCIO(GITHUB, "other@redhat.com", "rekor.pub"), "192.168.64.2:5000/cosign-signed/fulcio-rekor-1:x", "email" },
	{ "cosign-fulcio-rekor-valid", FULCIO("https://example.com", "mitr@redhat.com", "rekor.pub"),
	  "192.168.64.2:5000/cosign-signed/fulcio-rekor-1:x", "issuer" },
	{ "cosign-fulcio-rekor-valid", FULCIO(GITHUB, "mitr@redhat.com", "cosign.pub"), "192.168.64.2:5000/cosign-signed/fulcio-rekor-1:x",
	  "verification of the bundle" },
	{ "cosign-fulcio-rekor-valid", PKI("\"subjectEmail\":\"mitr@redhat.com\""), "192.168.64.2:5000/cosign-signed/fulcio-rekor-1:x",
	  "certificate" },
	{ "cosign-key-rekor-valid", FULCIO(GITHUB, "mitr@redhat.com", "rekor.pub"), "192.168.64.2:5000/cosign-signed/key-1:x", "certificate" },
	{ "cosign-pki-valid", PKI(INTERMEDIATES "\"subjectEmail\":\"qiwan@redhat.com\""), "localhost:5000/test:x", NULL },
	{ "cosign-pki-valid", PKI("\"subjectEmail\":\"qiwan@redhat.com\",\"subjectHostname\":\"myhost.example.com\""), "localhost:5000/test:x",
	  NULL },
	{ "cosign-pki-valid", PKI("\"subjectHostname\":\"other.example.com\""), "localhost:5000/test:x", "host" },
	{ "cosign-pki-valid", PKI("\"subjectEmail\":\"Qiwan@redhat.com\""), "localhost:5000/test:x", "email" },
	{ "valid", GPG("public-key.gpg"), "testing/manifest:latest", NULL },
	{ "valid", GPG("public-key.gpg"), "testing/manifest:notlatest", "identity" },
	{ "valid", KEY("cosign.pub"), "testing/manifest:latest", "of another kind" },
	{ "valid", GPG("cosign.pub"), "testing/manifest:latest", "No public keys" },
	{ "valid", KEY("public-key.gpg"), "testing/manifest:latest", "of another kind" },
	{ "cosign-valid", KEY("public-key.gpg"), "192.168.64.2:5000/cosign-signed-single-sample:latest", "not a PEM public key" },
	{ "cosign-valid", KEY("missing.pub"), "192.168.64.2:5000/cosign-signed-single-sample:latest", "missing.pub" },
};

START_TEST(verdict)
{
	size_t manifest_len, sig_len;
	char *manifest = load(cases[_i].dir, "manifest.json", &manifest_len), *sig = load(cases[_i].dir, "signature-1", &sig_len);
	struct cimage_error err = { 0 };
	int r = judge(cases[_i].requirement, cases[_i].reference, manifest, manifest_len, sig, sig_len, &err);

	if (cases[_i].said)
		ck_assert_msg(r && strstr(err.message, cases[_i].said), "%s: %d %s", cases[_i].dir, r, err.message);
	else
		ck_assert_msg(!r, "%s: %s", cases[_i].dir, err.message);
	/* No signature, and another manifest: never. */
	ck_assert_int_ne(judge(cases[_i].requirement, cases[_i].reference, manifest, manifest_len, NULL, 0, &err), 0);
	manifest[manifest_len / 2] ^= 1;
	ck_assert_int_ne(judge(cases[_i].requirement, cases[_i].reference, manifest, manifest_len, sig, sig_len, &err), 0);
	free(manifest);
	free(sig);
}
END_TEST

/*
 * Any bit of the parts that must be right: payload, signature, certificate, bundle. What is not looked at by this
 * kind of requirement is left alone, and so are base64's spare bits and the white space of PEM.
 */
static void each_change_is_refused(const char *dir, const char *requirement, const char *reference, const char *const *parts)
{
	size_t manifest_len, sig_len, i, tried = 0;
	char *manifest = load(dir, "manifest.json", &manifest_len), *bytes = load(dir, "signature-1", &sig_len);
	struct cimage_error err = { 0 };
	struct signature s;
	const char *const *part;

	ck_assert_int_eq(signature_parse(bytes, sig_len, &s, &err), 0);
	for (part = parts; *part; part++) {
		char *text = NULL;
		size_t n, k;

		for (k = 0; s.annotations && s.annotations[k]; k += 2)
			if (streq(s.annotations[k], *part))
				text = s.annotations[k + 1];
		if (streq(*part, "payload"))
			text = s.bytes;
		ck_assert_ptr_nonnull(text);
		n = strlen(text);
		for (i = 7; i + 40 < n; i += n / 23 + 1) {
			struct str out = STR_INIT;
			char old = text[i];

			if (old == '\n' || old == '-')
				continue;
			text[i] = old == 'A' ? 'B' : 'A';
			ck_assert_int_eq(signature_format(&s, &out), 0);
			ck_assert_msg(judge(requirement, reference, manifest, manifest_len, out.data, out.len, &err), "%s: %s: %zu", dir, *part,
				      i);
			str_done(&out);
			text[i] = old;
			tried++;
		}
	}
	ck_assert_uint_gt(tried, 20);
	signature_done(&s);
	free(manifest);
	free(bytes);
}

START_TEST(no_byte_of_a_key_signature_may_change)
{
	static const char *const parts[] = { "payload", SIGSTORE_SIGNATURE, NULL };

	each_change_is_refused("cosign-valid", KEY("cosign.pub"), "192.168.64.2:5000/cosign-signed-single-sample:latest", parts);
}
END_TEST

START_TEST(no_byte_of_a_logged_signature_may_change)
{
	static const char *const parts[] = { "payload", SIGSTORE_SIGNATURE, SIGSTORE_BUNDLE, SIGSTORE_CERTIFICATE, NULL };

	each_change_is_refused("cosign-fulcio-rekor-valid", FULCIO(GITHUB, "mitr@redhat.com", "rekor.pub"),
			       "192.168.64.2:5000/cosign-signed/fulcio-rekor-1:x", parts);
}
END_TEST

START_TEST(no_byte_of_a_certified_signature_may_change)
{
	static const char *const parts[] = { "payload", SIGSTORE_SIGNATURE, SIGSTORE_CERTIFICATE, NULL };

	each_change_is_refused("cosign-pki-valid", PKI("\"subjectEmail\":\"qiwan@redhat.com\""), "localhost:5000/test:x", parts);
}
END_TEST

START_TEST(openpgp_messages_that_are_no_good_signature)
{
	static const char *const bad[] = { "expired.signature", "corrupt.signature", "unknown-key.signature", "unsigned-literal.signature",
					   "unsigned-encrypted.signature", "invalid-blob.signature", "invalid-reference.signature" };
	size_t manifest_len, n, i;
	char *manifest = load("valid", "manifest.json", &manifest_len);
	struct cimage_error err = { 0 };

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		char *sig = load("", bad[i], &n);

		ck_assert_msg(judge(GPG("public-key.gpg"), "testing/manifest:latest", manifest, manifest_len, sig, n, &err), "%s", bad[i]);
		free(sig);
	}
	free(manifest);
}
END_TEST

START_TEST(generated_keys_sign_and_are_read_by_their_passphrase)
{
	struct cimage_context *c = context();
	struct cimage_error err = { 0 };
	struct scratch s;
	char *private, *public, *file, *path, *requirement;
	struct cimage_signatures l = { 0 };
	struct cimage_ref *ref = ref_of("h.io/x:t");

	scratch_make(&s);
	ck_assert_msg(!cimage_generate_sigstore_key(c, "pass", &private, &public, &err), "%s", err.message);
	ck_assert(str_starts(private, "-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----\n"));
	file = scratch_write(&s, "key", private);
	path = scratch_write(&s, "key.pub", public);
	cimage_context_set_sigstore_key(c, file, "wrong");
	ck_assert_int_eq(trust_sign(c, ref, "{}", 2, "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", &l, &err),
			 CIMAGE_E_DENIED);
	cimage_context_set_sigstore_key(c, file, "pass");
	ck_assert_msg(!trust_sign(c, ref, "{}", 2, "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", &l, &err), "%s",
		      err.message);
	ck_assert_uint_eq(l.count, 1);
	requirement = strf("{\"type\":\"sigstoreSigned\",\"keyPath\":\"%s\"}", path);
	ck_assert_msg(!judge(requirement, "h.io/x:t", "{}", 2, l.items[0].bytes, l.items[0].len, &err), "%s", err.message);
	ck_assert_int_ne(judge(requirement, "h.io/x:u", "{}", 2, l.items[0].bytes, l.items[0].len, &err), 0);
	cimage_signatures_done(&l);
	free(requirement);
	free(private);
	free(public);
	free(file);
	free(path);
	cimage_ref_free(ref);
	cimage_context_free(c);
	scratch_remove(&s);
}
END_TEST

RUN_LOOP_TESTS("trust", verdict, ARRAY_SIZE(cases), no_byte_of_a_key_signature_may_change, no_byte_of_a_logged_signature_may_change,
	       no_byte_of_a_certified_signature_may_change, openpgp_messages_that_are_no_good_signature,
	       generated_keys_sign_and_are_read_by_their_passphrase)
