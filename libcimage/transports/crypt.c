/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypt.so, see crypt_module.h: ocicrypt's layer cipher AES_256_CTR_HMAC_SHA256. A layer has a key and
 * a nonce of its own; the code over the encrypted bytes, with the same key, stands in the public
 * options. The key and the nonce are the private options, a small JSON that is wrapped for each
 * recipient; a layer may have several such wrappings, added one after the other.
 */
#include <cbase/json.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include "jwe.h"

#define CIPHER_NAME "AES_256_CTR_HMAC_SHA256"
#define KEY_SIZE 32
#define NONCE_SIZE 16
#define HMAC_SIZE 32
#define DIGEST_SIZE 32

struct cipher {
	bool encrypting;
	const struct crypt_key *recipients;
	size_t recipient_count;
	unsigned char key[KEY_SIZE], nonce[NONCE_SIZE], hmac[HMAC_SIZE], digest[DIGEST_SIZE];
	EVP_CIPHER_CTX *ctr;
	EVP_MAC_CTX *mac;
	EVP_MD_CTX *md; /* of what is encrypted */
};

static struct cipher *cipher_free(struct cipher *x)
{
	if (!x)
		return NULL;
	EVP_CIPHER_CTX_free(x->ctr);
	EVP_MAC_CTX_free(x->mac);
	EVP_MD_CTX_free(x->md);
	OPENSSL_cleanse(x, sizeof(*x));
	free(x);
	return NULL;
}

CB_DEFINE_CLEANUP(struct cipher *, cipher_free)

/* CTR is its own inverse. */
static bool start(struct cipher *x)
{
	char name[] = "SHA256";
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string("digest", name, 0),
				OSSL_PARAM_construct_end() };
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

	x->mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
	EVP_MAC_free(hmac);
	x->ctr = EVP_CIPHER_CTX_new();
	x->md = EVP_MD_CTX_new();
	return x->mac && x->ctr && x->md &&
	       EVP_MAC_init(x->mac, x->key, sizeof(x->key), params) == 1 &&
	       EVP_EncryptInit_ex(x->ctr, EVP_aes_256_ctr(), NULL, x->key, x->nonce) == 1 &&
	       EVP_DigestInit_ex(x->md, EVP_sha256(), NULL) == 1;
}

static int encrypt_new(const struct crypt_key *recipients, size_t n, struct cipher **ret,
		       struct cimage_error *err)
{
	_cleanup_(cipher_freep) struct cipher *x = calloc(1, sizeof(*x));

	if (!x)
		return err_oom(err);
	x->encrypting = true;
	x->recipients = recipients;
	x->recipient_count = n;
	if (RAND_bytes(x->key, sizeof(x->key)) != 1 || RAND_bytes(x->nonce, sizeof(x->nonce)) != 1 ||
	    !start(x))
		return err_set(err, -EIO, "start encrypting");
	*ret = take(x);
	return 0;
}

/* A member of exactly this many bytes. */
static bool get_bytes(const struct json *obj, const char *name, unsigned char *out, size_t size)
{
	const char *b64 = json_get_string(obj, name);
	_cleanup_free_ char *bytes = NULL;
	size_t n;

	if (!b64 || base64_decode(b64, strlen(b64), &bytes, &n) || n != size)
		return false;
	memcpy(out, bytes, n);
	OPENSSL_cleanse(bytes, n);
	return true;
}

static int read_options(struct cipher *x, const char *text, size_t n, const char *pubopts,
			struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *private_doc = NULL, *public_doc = NULL;
	_cleanup_free_ char *bytes = NULL;
	const struct json *private, *public;
	const char *name;
	size_t len;

	if (json_parse(text, n, JSON_UNIQUE_KEYS, &private_doc, NULL) || !pubopts ||
	    base64_decode(pubopts, strlen(pubopts), &bytes, &len) ||
	    json_parse(bytes, len, JSON_UNIQUE_KEYS, &public_doc, NULL))
		return err_set(err, CIMAGE_E_INVALID, "the options of the encryption are malformed");
	private = json_root(private_doc);
	public = json_root(public_doc);
	name = json_get_string(public, "cipher");
	if (!name || !streq(name, CIPHER_NAME))
		return err_set(err, CIMAGE_E_UNSUPPORTED, "the layer's cipher is not " CIPHER_NAME);
	if (!get_bytes(private, "symkey", x->key, sizeof(x->key)) ||
	    !get_bytes(public, "hmac", x->hmac, sizeof(x->hmac)) ||
	    (!get_bytes(json_get(public, "cipheroptions"), "nonce", x->nonce, sizeof(x->nonce)) &&
	     !get_bytes(json_get(private, "cipheroptions"), "nonce", x->nonce, sizeof(x->nonce))))
		return err_set(err, CIMAGE_E_INVALID, "the options of the encryption are malformed");
	return 0;
}

/* Several wrappings, separated by commas: the first that a key opens. */
static int unwrap(const struct crypt_key *keys, size_t n, const char *keys_jwe, char **ret,
		  size_t *ret_len, struct cimage_error *err)
{
	_cleanup_strv_ char **wrappings = NULL;
	size_t i;
	int r = CIMAGE_E_INVALID;

	if (strv_split(keys_jwe, ',', &wrappings))
		return err_oom(err);
	err_set(err, CIMAGE_E_INVALID, "no wrapped key");
	for (i = 0; wrappings && wrappings[i] && r; i++) {
		_cleanup_free_ char *text = NULL;
		size_t len;

		if (base64_decode(wrappings[i], strlen(wrappings[i]), &text, &len))
			return err_set(err, CIMAGE_E_INVALID, "the wrapped key is not base64");
		r = jwe_decrypt(keys, n, text, len, ret, ret_len, err);
	}
	return r;
}

static int decrypt_new(const struct crypt_key *keys, size_t n, const char *keys_jwe,
		       const char *pubopts, struct cipher **ret, struct cimage_error *err)
{
	_cleanup_(cipher_freep) struct cipher *x = calloc(1, sizeof(*x));
	char *private = NULL;
	size_t len = 0;
	int r;

	if (!x)
		return err_oom(err);
	r = unwrap(keys, n, keys_jwe, &private, &len, err);
	if (!r) {
		r = read_options(x, private, len, pubopts, err);
		OPENSSL_cleanse(private, len);
		free(private);
	}
	if (r)
		return err_ctx(err, r, "decrypt the layer's key");
	if (!start(x))
		return err_set(err, -EIO, "start decrypting");
	*ret = take(x);
	return 0;
}

static void update(struct cipher *x, const void *in, void *out, size_t n)
{
	const unsigned char *from = in;
	unsigned char *to = out;

	while (n) {
		int piece = n > (1 << 30) ? 1 << 30 : (int)n, done = 0;

		if (x->encrypting)
			EVP_DigestUpdate(x->md, from, (size_t)piece);
		else
			EVP_MAC_update(x->mac, from, (size_t)piece);
		EVP_EncryptUpdate(x->ctr, to, &done, from, piece);
		if (x->encrypting)
			EVP_MAC_update(x->mac, to, (size_t)piece);
		from += piece;
		to += piece;
		n -= (size_t)piece;
	}
}

static int final(struct cipher *x, struct cimage_error *err)
{
	unsigned char code[HMAC_SIZE];
	size_t n = 0;

	if (EVP_MAC_final(x->mac, code, &n, sizeof(code)) != 1 || n != sizeof(code) ||
	    EVP_DigestFinal_ex(x->md, x->digest, NULL) != 1)
		return err_set(err, -EIO, "finish the cipher");
	if (x->encrypting) {
		memcpy(x->hmac, code, sizeof(code));
		return 0;
	}
	if (CRYPTO_memcmp(code, x->hmac, sizeof(code)))
		return err_set(err, CIMAGE_E_DIGEST,
			       "could not properly decrypt the layer: its authentication code is "
			       "wrong");
	return 0;
}

/* ---- what the reader will need ---- */

static bool set_bytes(struct json_doc *doc, struct json *obj, const char *key, const void *p,
		      size_t n)
{
	_cleanup_str_ struct str s = STR_INIT;

	str_append_base64(&s, p, n);
	if (str_failed(&s))
		return false;
	json_set_string(doc, obj, key, s.data);
	return true;
}

static int private_options(const struct cipher *x, struct str *out)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	char digest[sizeof("sha256:") + 2 * DIGEST_SIZE] = "sha256:";
	struct json *root = doc ? json_root(doc) : NULL;

	hex_encode(x->digest, sizeof(x->digest), digest + strlen("sha256:"));
	if (!doc || !set_bytes(doc, root, "symkey", x->key, sizeof(x->key)))
		return -ENOMEM;
	json_set_string(doc, root, "digest", digest);
	if (!set_bytes(doc, json_set_object(doc, root, "cipheroptions"), "nonce", x->nonce,
		       sizeof(x->nonce)))
		return -ENOMEM;
	return json_format(doc, root, 0, out);
}

static int public_options(const struct cipher *x, struct str *out)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	struct json *root = doc ? json_root(doc) : NULL;

	if (!doc)
		return -ENOMEM;
	json_set_string(doc, root, "cipher", CIPHER_NAME);
	if (!set_bytes(doc, root, "hmac", x->hmac, sizeof(x->hmac)))
		return -ENOMEM;
	json_set_object(doc, root, "cipheroptions");
	return json_format(doc, root, 0, out);
}

static char *base64_of(const char *p, size_t n)
{
	struct str s = STR_INIT;

	str_append_base64(&s, p, n);
	return str_take(&s, NULL);
}

static int annotations(struct cipher *x, char **ret_keys_jwe, char **ret_pubopts,
		       struct cimage_error *err)
{
	_cleanup_str_ struct str private = STR_INIT, public = STR_INIT;
	_cleanup_free_ char *jwe = NULL, *keys = NULL, *options = NULL;
	int r;

	if (private_options(x, &private) || public_options(x, &public))
		return err_oom(err);
	r = jwe_encrypt(x->recipients, x->recipient_count,
			&(struct cimage_bytes){ private.data, private.len }, &jwe, err);
	OPENSSL_cleanse(private.data, private.len);
	if (r)
		return r;
	keys = base64_of(jwe, strlen(jwe));
	options = base64_of(public.data, public.len);
	if (!keys || !options)
		return err_oom(err);
	*ret_keys_jwe = take(keys);
	*ret_pubopts = take(options);
	return 0;
}

PUBLIC extern const struct crypt_module cimage_crypt_module;

const struct crypt_module cimage_crypt_module = {
	.abi = CRYPT_MODULE_ABI,
	.decrypt_new = decrypt_new,
	.encrypt_new = encrypt_new,
	.free = cipher_free,
	.update = update,
	.final = final,
	.annotations = annotations,
};
