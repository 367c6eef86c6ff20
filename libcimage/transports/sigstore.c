/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigstore.so, see sigstore_module.h: which keys are good for a signature (those of the policy, those
 * of them that a transparency log has seen, or that of a certificate), and is it made by one of them?
 * All offline. Nothing that came with the signature is believed before it hangs on a trusted key.
 */
#include <cbase/str.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include "sigstore.h"

#define KEYS_MAX 64

struct key_set {
	EVP_PKEY *items[KEYS_MAX];
	size_t count;
};

static void key_set_done(struct key_set *k)
{
	while (k->count)
		EVP_PKEY_free(k->items[--k->count]);
}

BIO *sigstore_bio(const struct cimage_bytes *b)
{
	return b->len <= INT32_MAX ? BIO_new_mem_buf(b->p, (int)b->len) : NULL;
}

int sigstore_base64(const char *s, char **ret, size_t *ret_len)
{
	_cleanup_str_ struct str b = STR_INIT;

	if (!s)
		return -EINVAL;
	for (; *s; s++)
		if (*s != '\r' && *s != '\n')
			str_append_char(&b, *s);
	return str_failed(&b) ? -ENOMEM : base64_decode(b.data ? b.data : "", b.len, ret, ret_len);
}

bool sigstore_pem_der(const char *pem, size_t n, unsigned char **ret, long *ret_len)
{
	BIO *bio = sigstore_bio(&(struct cimage_bytes){ pem, n });
	char *name = NULL, *header = NULL;
	unsigned char *more = NULL;
	long more_len;
	bool good;

	good = bio && PEM_read_bio(bio, &name, &header, ret, ret_len) == 1;
	OPENSSL_free(name);
	OPENSSL_free(header);
	if (good && PEM_read_bio(bio, &name, &header, &more, &more_len) == 1) {
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(more);
		OPENSSL_free(*ret);
		good = false;
	}
	BIO_free(bio);
	return good;
}

bool sigstore_good(EVP_PKEY *key, const struct cimage_bytes *message, const char *sig, size_t n)
{
	int type = EVP_PKEY_get_base_id(key);
	const EVP_MD *md = type == EVP_PKEY_ED25519 ? NULL : EVP_sha256();
	EVP_MD_CTX *ctx;
	bool good;

	if (type != EVP_PKEY_EC && type != EVP_PKEY_RSA && type != EVP_PKEY_ED25519)
		return false;
	ctx = EVP_MD_CTX_new();
	good = ctx && EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) == 1 &&
	       EVP_DigestVerify(ctx, (const unsigned char *)sig, n,
				(const unsigned char *)message->p, message->len) == 1;
	EVP_MD_CTX_free(ctx);
	return good;
}

static int read_keys(const struct sigstore_trust *t, struct key_set *ret, struct cimage_error *err)
{
	size_t i;

	if (t->key_count > KEYS_MAX)
		return err_set(err, CIMAGE_E_LIMIT, "sigstore: more than %d public keys", KEYS_MAX);
	for (i = 0; i < t->key_count; i++) {
		BIO *bio = sigstore_bio(&t->keys[i]);
		EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;

		BIO_free(bio);
		if (!key)
			return err_set(err, CIMAGE_E_INVALID,
				       "sigstore: public key %zu is not a PEM public key", i + 1);
		ret->items[ret->count++] = key;
	}
	return 0;
}

/* Keeps only the keys that the log has seen with this signature. */
static int keep_logged(const struct sigstore_trust *t, const struct sigstore_claim *c,
		       struct key_set *k, struct cimage_error *err)
{
	size_t i, n = 0;
	int r = CIMAGE_E_POLICY;

	for (i = 0; i < k->count; i++) {
		unsigned char *der = NULL;
		int len = i2d_PUBKEY(k->items[i], &der), one;
		int64_t when;

		one = len > 0 ? rekor_verify(t, c, der, (size_t)len, &when, err) : err_oom(err);
		OPENSSL_free(der);
		if (!one)
			k->items[n++] = k->items[i];
		else
			EVP_PKEY_free(k->items[i]);
		r = n ? 0 : one;
	}
	k->count = n;
	return r;
}

static int get_keys(const struct sigstore_trust *t, const struct sigstore_claim *c,
		    struct key_set *ret, struct cimage_error *err)
{
	int r;

	if (!t->key_count) {
		r = t->fulcio_ca.p ? fulcio_key(t, c, &ret->items[0], err)
				   : pki_key(t, c, &ret->items[0], err);
		ret->count = !r;
		return r;
	}
	r = read_keys(t, ret, err);
	if (!r && t->rekor_key_count)
		r = keep_logged(t, c, ret, err);
	return r;
}

static int check_signature(const struct sigstore_claim *c, const struct key_set *keys,
			   struct cimage_error *err)
{
	_cleanup_free_ char *sig = NULL;
	size_t n, i;
	int r = sigstore_base64(c->signature, &sig, &n);

	if (r == -ENOMEM)
		return err_oom(err);
	for (i = 0; !r && i < keys->count; i++)
		if (sigstore_good(keys->items[i], &c->payload, sig, n))
			return 0;
	return err_set(err, CIMAGE_E_POLICY, "sigstore: %s",
		       r ? "the signature is not base64"
			 : "cryptographic signature verification failed: invalid signature when "
			   "validating with the trusted keys");
}

static int sigstore_verify(const struct sigstore_trust *t, const struct sigstore_claim *c,
			   struct cimage_error *err)
{
	_cleanup_(key_set_done) struct key_set keys = { .count = 0 };
	int r;

	if (!c->signature)
		return err_set(err, CIMAGE_E_POLICY,
			       "sigstore: missing dev.cosignproject.cosign/signature annotation");
	r = get_keys(t, c, &keys, err);
	return r ? r : check_signature(c, &keys, err);
}

/* ---- signing ---- */

static int sign_with(EVP_PKEY *key, const struct cimage_bytes *payload, char **ret,
		     struct cimage_error *err)
{
	const EVP_MD *md = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256();
	const unsigned char *p = (const unsigned char *)payload->p;
	_cleanup_free_ unsigned char *sig = NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct str out = STR_INIT;
	size_t n = 0;
	int good;

	good = ctx && EVP_DigestSignInit(ctx, NULL, md, NULL, key) == 1 &&
	       EVP_DigestSign(ctx, NULL, &n, p, payload->len) == 1 && (sig = malloc(n + 1)) &&
	       EVP_DigestSign(ctx, sig, &n, p, payload->len) == 1;
	EVP_MD_CTX_free(ctx);
	if (!good)
		return err_set(err, CIMAGE_E_INVALID, "sigstore: this kind of key cannot sign");
	str_append_base64(&out, sig, n);
	*ret = str_take(&out, NULL);
	return *ret ? 0 : err_oom(err);
}

static int sigstore_sign(const struct cimage_bytes *private_key, const char *passphrase,
			 const struct cimage_bytes *payload, char **ret, struct cimage_error *err)
{
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
	int r = cosign_key_read(private_key, passphrase, &key, err);

	return r ? r : sign_with(key, payload, ret, err);
}

PUBLIC extern const struct sigstore_module cimage_sigstore_module;

const struct sigstore_module cimage_sigstore_module = {
	.abi = SIGSTORE_MODULE_ABI,
	.verify = sigstore_verify,
	.sign = sigstore_sign,
	.generate = cosign_key_generate,
};
