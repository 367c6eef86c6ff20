/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes with a sigstore signature. Byte 0 says whom is trusted; then, ended by NUL: signature, certificate, chain,
 * and the bundle. With 4 of byte 0, the last is the body of an entry that a trusted log did sign: anybody may have things
 * logged. The payload is always the same.
 */
#include <openssl/pem.h>
#include "../fuzz.h"
#include "sigstore.h"

extern const struct sigstore_module cimage_sigstore_module;

static EVP_PKEY *log_key;
static struct cimage_bytes log_pem;

static struct cimage_bytes load(const char *name)
{
	struct cimage_bytes b;
	char *path = strf(TRUST "/%s", name), *text;

	require(path && !read_file(path, 1 << 20, &text, &b.len));
	free(path);
	b.p = text;
	return b;
}

static void make_log(void)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;

	log_key = EVP_EC_gen("P-256");
	require(log_key && PEM_write_bio_PUBKEY(bio, log_key) == 1);
	log_pem.len = (size_t)BIO_get_mem_data(bio, &p);
	log_pem.p = memcpy(malloc(log_pem.len), p, log_pem.len);
	BIO_free(bio);
}

/* [owned] */
static char *logged(const char *body)
{
	_cleanup_str_ struct str b64 = STR_INIT, set = STR_INIT;
	_cleanup_free_ char *payload = NULL;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char sig[256];
	size_t n = sizeof(sig);

	str_append_base64(&b64, body, strlen(body));
	payload = strf("{\"body\":\"%s\",\"integratedTime\":1650000000,\"logID\":\"c0\",\"logIndex\":1}", b64.data ? b64.data : "");
	require(EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, log_key) == 1 &&
		EVP_DigestSign(md, sig, &n, (unsigned char *)payload, strlen(payload)) == 1);
	EVP_MD_CTX_free(md);
	str_append_base64(&set, sig, n);
	return strf("{\"SignedEntryTimestamp\":\"%s\",\"Payload\":%s}", set.data, payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cimage_bytes key, fulcio, roots, intermediates;
	struct input in = { data + 1, size - 1 };
	struct sigstore_trust t = { .oidc_issuer = "https://github.com/login/oauth", .subject_email = "a@b.c" };
	struct cimage_error err = { 0 };

	if (!size)
		return 0;
	if (!log_key) {
		make_log();
		key = load("cosign2.pub");
		fulcio = load("fulcio_v1.crt.pem");
		roots = load("pki_root_crts.pem");
		intermediates = load("pki_intermediate_crts.pem");
	}
	_cleanup_free_ char *sig = fuzz_piece(&in, false, NULL), *cert = fuzz_piece(&in, false, NULL),
			    *chain = fuzz_piece(&in, false, NULL), *rest = fuzz_piece(&in, false, NULL),
			    *bundle = data[0] & 4 ? logged(rest) : strdup(rest);
	struct sigstore_claim c = { { "payload", 7 }, sig, *bundle ? bundle : NULL, *cert ? cert : NULL, *chain ? chain : NULL };

	t.rekor_keys = &log_pem;
	t.rekor_key_count = 1;
	if (data[0] % 4 == 0) {
		t.keys = &key;
		t.key_count = 1;
	} else if (data[0] % 4 == 1) {
		t.fulcio_ca = fulcio;
	} else {
		t.pki_roots = roots;
		t.pki_intermediates = data[0] % 4 == 2 ? intermediates : (struct cimage_bytes){ 0 };
		t.oidc_issuer = NULL;
	}
	int r = cimage_sigstore_module.verify(&t, &c, &err);

	require(r);	/* nobody signed that */
	fuzz_said(r, &err);
	return 0;
}
