/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private keys to sign with. cosign keeps PKCS #8 in a box of its own: PEM around JSON with the
 * parameters of scrypt and of NaCl's secretbox. Everything else is OpenSSL's to read.
 */
#include <cbase/json.h>
#include <cbase/str.h>
#include <limits.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <sodium.h>
#include "sigstore.h"

#define SCRYPT_N 32768		/* what all versions of its readers accept */
#define SCRYPT_N_MAX 131072
#define SCRYPT_R 8
#define SCRYPT_P 1
#define SALT_SIZE 32
#define NAME_NOW "ENCRYPTED SIGSTORE PRIVATE KEY"
#define NAME_EVER "ENCRYPTED COSIGN PRIVATE KEY"

struct box {
	char *salt, *nonce, *data;
	size_t salt_len, nonce_len, data_len;
	int64_t n;
};

static void box_done(struct box *b)
{
	free(b->salt);
	free(b->nonce);
	free(b->data);
}

static bool is(const struct json *obj, const char *key, const char *value)
{
	const char *s = json_get_string(obj, key);

	return s && streq(s, value);
}

static bool member(const struct json *obj, const char *key, char **ret, size_t *ret_len)
{
	const char *s = json_get_string(obj, key);

	return s && !base64_decode(s, strlen(s), ret, ret_len);
}

static bool parse_box(const char *text, size_t n, struct box *b)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	const struct json *root, *kdf, *params, *cipher;

	if (json_parse(text, n, JSON_UNIQUE_KEYS, &doc, NULL))
		return false;
	root = json_root(doc);
	kdf = json_get(root, "kdf");
	cipher = json_get(root, "cipher");
	params = json_get(kdf, "params");
	b->n = json_get_int(params, "N", 0);
	return is(kdf, "name", "scrypt") && is(cipher, "name", "nacl/secretbox") &&
	       json_get_int(params, "r", 0) == SCRYPT_R && json_get_int(params, "p", 0) == SCRYPT_P &&
	       b->n >= SCRYPT_N && b->n <= SCRYPT_N_MAX && !(b->n & (b->n - 1)) &&
	       member(kdf, "salt", &b->salt, &b->salt_len) &&
	       member(cipher, "nonce", &b->nonce, &b->nonce_len) &&
	       b->nonce_len == crypto_secretbox_NONCEBYTES &&
	       member(root, "ciphertext", &b->data, &b->data_len) &&
	       b->data_len > crypto_secretbox_MACBYTES;
}

static bool derive(const char *passphrase, const void *salt, size_t salt_len, int64_t n,
		   unsigned char key[crypto_secretbox_KEYBYTES])
{
	return sodium_init() >= 0 &&
	       !crypto_pwhash_scryptsalsa208sha256_ll(
		       (const unsigned char *)passphrase, strlen(passphrase), salt, salt_len,
		       (uint64_t)n, SCRYPT_R, SCRYPT_P, key, crypto_secretbox_KEYBYTES);
}

static EVP_PKEY *parse_pkcs8(const unsigned char *p, size_t n)
{
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)n);
	EVP_PKEY *key = info ? EVP_PKCS82PKEY(info) : NULL;

	PKCS8_PRIV_KEY_INFO_free(info);
	return key;
}

static int open_box(const char *text, size_t n, const char *passphrase, EVP_PKEY **ret,
		    struct cimage_error *err)
{
	_cleanup_(box_done) struct box b = { 0 };
	unsigned char key[crypto_secretbox_KEYBYTES];
	size_t len;
	int r = 0;

	if (!parse_box(text, n, &b))
		return err_set(err, CIMAGE_E_INVALID, "private key: not the form that cosign has");
	if (!derive(passphrase ? passphrase : "", b.salt, b.salt_len, b.n, key))
		return err_oom(err);
	len = b.data_len - crypto_secretbox_MACBYTES;
	if (crypto_secretbox_open_easy((unsigned char *)b.data, (unsigned char *)b.data, b.data_len,
				       (unsigned char *)b.nonce, key))
		r = err_set(err, CIMAGE_E_DENIED, "private key: the passphrase is wrong");
	explicit_bzero(key, sizeof(key));
	if (r)
		return r;
	*ret = parse_pkcs8((unsigned char *)b.data, len);
	explicit_bzero(b.data, len);
	return *ret ? 0 : err_set(err, CIMAGE_E_INVALID, "private key: malformed");
}

static int give_passphrase(char *buf, int size, int writing, void *user)
{
	size_t n = user ? strlen(user) : 0;

	(void)writing;
	if (!user || n > (size_t)size)
		return -1;
	memcpy(buf, user, n);
	return (int)n;
}

int cosign_key_read(const struct cimage_bytes *pem, const char *passphrase, EVP_PKEY **ret,
		    struct cimage_error *err)
{
	unsigned char *data = NULL;
	char *name = NULL, *header = NULL;
	BIO *bio = sigstore_bio(pem);
	bool boxed;
	long n;
	int r;

	if (!bio)
		return err_oom(err);
	if (PEM_read_bio(bio, &name, &header, &data, &n) != 1) {
		BIO_free(bio);
		return err_set(err, CIMAGE_E_INVALID, "private key: not PEM");
	}
	boxed = streq(name, NAME_NOW) || streq(name, NAME_EVER);
	if (boxed) {
		r = open_box((char *)data, (size_t)n, passphrase, ret, err);
	} else {
		BIO_reset(bio);
		*ret = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase,
					       (void *)(uintptr_t)passphrase);
		r = *ret ? 0
			 : err_set(err, CIMAGE_E_INVALID,
				   "private key: malformed, or the passphrase is wrong");
	}
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_clear_free(data, (size_t)n);
	BIO_free(bio);
	return r;
}

/* ---- making one ---- */

static void add_base64(struct json_doc *doc, struct json *obj, const char *key, const void *p,
		       size_t n)
{
	_cleanup_str_ struct str s = STR_INIT;

	str_append_base64(&s, p, n);
	json_set_string(doc, obj, key, s.data ? s.data : "");
}

/* [owned] the JSON around the encrypted bytes; NULL when out of memory. */
static char *make_box(const unsigned char *plain, size_t n, const char *passphrase)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	_cleanup_free_ unsigned char *sealed = malloc(n + crypto_secretbox_MACBYTES);
	unsigned char salt[SALT_SIZE], nonce[crypto_secretbox_NONCEBYTES];
	unsigned char key[crypto_secretbox_KEYBYTES];
	struct json *kdf, *params, *cipher;
	struct str out = STR_INIT;

	randombytes_buf(salt, sizeof(salt));
	randombytes_buf(nonce, sizeof(nonce));
	if (!doc || !sealed || !derive(passphrase, salt, sizeof(salt), SCRYPT_N, key))
		return NULL;
	crypto_secretbox_easy(sealed, plain, n, nonce, key);
	explicit_bzero(key, sizeof(key));
	kdf = json_set_object(doc, json_root(doc), "kdf");
	json_set_string(doc, kdf, "name", "scrypt");
	params = json_set_object(doc, kdf, "params");
	json_set_int(doc, params, "N", SCRYPT_N);
	json_set_int(doc, params, "r", SCRYPT_R);
	json_set_int(doc, params, "p", SCRYPT_P);
	add_base64(doc, kdf, "salt", salt, sizeof(salt));
	cipher = json_set_object(doc, json_root(doc), "cipher");
	json_set_string(doc, cipher, "name", "nacl/secretbox");
	add_base64(doc, cipher, "nonce", nonce, sizeof(nonce));
	add_base64(doc, json_root(doc), "ciphertext", sealed, n + crypto_secretbox_MACBYTES);
	if (json_format(doc, json_root(doc), 0, &out))
		return NULL;
	return str_take(&out, NULL);
}

static char *bio_text(BIO *bio)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);

	return n > 0 ? strndup(p, (size_t)n) : NULL;
}

static char *private_pem(EVP_PKEY *key, const char *passphrase)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	_cleanup_free_ char *box = NULL;
	unsigned char *der = NULL;
	int n = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;

	PKCS8_PRIV_KEY_INFO_free(info);
	if (n > 0)
		box = make_box(der, (size_t)n, passphrase);
	if (box && bio &&
	    PEM_write_bio(bio, NAME_EVER, "", (const unsigned char *)box, (long)strlen(box)) > 0)
		text = bio_text(bio);
	OPENSSL_clear_free(der, n > 0 ? (size_t)n : 0);
	BIO_free(bio);
	return text;
}

int cosign_key_generate(const char *passphrase, char **ret_private, char **ret_public,
			struct cimage_error *err)
{
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *bio = BIO_new(BIO_s_mem());
	char *public_text = NULL, *private_text = NULL;

	if (key && bio && PEM_write_bio_PUBKEY(bio, key) == 1)
		public_text = bio_text(bio);
	BIO_free(bio);
	if (public_text)
		private_text = private_pem(key, passphrase);
	if (!private_text) {
		free(public_text);
		return err_set(err, -ENOMEM, "make a key");
	}
	*ret_private = private_text;
	*ret_public = public_text;
	return 0;
}
