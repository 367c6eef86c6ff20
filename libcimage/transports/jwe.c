/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JWE, see jwe.h. A content key encrypts the secret with AES-GCM; for each recipient the content key is
 * wrapped: with RSA-OAEP, or with AES key wrap under a key agreed on by ECDH-ES (RFC 7518, 4.6).
 * Written is the general JSON form with RSA-OAEP, ECDH-ES+A256KW and A256GCM, as ocicrypt's own tools
 * do; read are the general and the flattened form with all sizes of these.
 */
#include "jwe.h"

#include <cbase/json.h>
#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define CEK_MAX 32
#define IV_SIZE 12
#define TAG_SIZE 16
#define COORDINATE_MAX 66	/* P-521 */
#define WRAPPED_MAX 1024	/* RSA with 8192 bits */

CB_DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)

/* ---- base64url (RFC 7515, appendix C) ---- */

static int decode(const char *s, char **ret, size_t *ret_len)
{
	_cleanup_str_ struct str b = STR_INIT;

	if (!s)
		return -EINVAL;
	for (; *s; s++)
		str_append_char(&b, *s == '-' ? '+' : *s == '_' ? '/' : *s);
	while (b.len % 4)
		str_append_char(&b, '=');
	return str_failed(&b) ? -ENOMEM : base64_decode(b.data ? b.data : "", b.len, ret, ret_len);
}

/* [owned]; NULL when out of memory. */
static char *encode(const void *p, size_t n)
{
	struct str b = STR_INIT;
	char *s, *at;

	str_append_base64(&b, p, n);
	s = str_take(&b, NULL);
	for (at = s; at && *at; at++)
		*at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
	if (s)
		s[strcspn(s, "=")] = '\0';
	return s;
}

/* ---- keys ---- */

static int give_password(char *buf, int size, int writing, void *user)
{
	size_t n = user ? strlen(user) : 0;

	(void)writing;
	if (!user || n > (size_t)size)
		return -1;
	memcpy(buf, user, n);
	return (int)n;
}

/* PEM or DER, whatever there is in it. */
static EVP_PKEY *decode_key(const struct crypt_key *k, int selection)
{
	const unsigned char *p = (const unsigned char *)k->data.p;
	size_t n = k->data.len;
	EVP_PKEY *key = NULL;
	OSSL_DECODER_CTX *ctx =
		OSSL_DECODER_CTX_new_for_pkey(&key, NULL, NULL, NULL, selection, NULL, NULL);

	if (ctx && OSSL_DECODER_CTX_set_pem_password_cb(ctx, give_password,
							(void *)(uintptr_t)k->password) == 1)
		(void)OSSL_DECODER_from_data(ctx, &p, &n);
	OSSL_DECODER_CTX_free(ctx);
	return key;
}

static EVP_PKEY *certificate_key(const struct crypt_key *k)
{
	const unsigned char *p = (const unsigned char *)k->data.p;
	BIO *bio = BIO_new_mem_buf(k->data.p, (int)k->data.len);
	X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	EVP_PKEY *key;

	BIO_free(bio);
	if (!cert)
		cert = d2i_X509(NULL, &p, (long)k->data.len);
	key = cert ? X509_get_pubkey(cert) : NULL;
	X509_free(cert);
	return key;
}

static EVP_PKEY *public_key(const struct crypt_key *k)
{
	EVP_PKEY *key = decode_key(k, EVP_PKEY_PUBLIC_KEY);

	return key ? key : certificate_key(k);
}

struct curve {
	const char *jwk, *group;
	size_t size; /* of a coordinate */
};

static const struct curve curves[] = {
	{ "P-256", "prime256v1", 32 },
	{ "P-384", "secp384r1", 48 },
	{ "P-521", "secp521r1", 66 },
};

static const struct curve *curve_of(EVP_PKEY *key)
{
	char name[64];
	size_t n, i;

	if (EVP_PKEY_get_group_name(key, name, sizeof(name), &n) != 1)
		return NULL;
	for (i = 0; i < ARRAY_SIZE(curves); i++)
		if (streq(curves[i].group, name))
			return &curves[i];
	return NULL;
}

/* A public key from a JWK. OpenSSL refuses points that are not on the curve. */
static EVP_PKEY *read_epk(const struct json *jwk, const struct curve *c)
{
	unsigned char point[1 + 2 * COORDINATE_MAX] = { 4 };
	_cleanup_free_ char *x = NULL, *y = NULL;
	const char *kty = json_get_string(jwk, "kty"), *crv = json_get_string(jwk, "crv");
	size_t xn, yn;
	OSSL_PARAM params[3];
	EVP_PKEY_CTX *ctx;
	EVP_PKEY *key = NULL;

	if (!kty || !streq(kty, "EC") || !crv || !streq(crv, c->jwk) ||
	    decode(json_get_string(jwk, "x"), &x, &xn) || xn != c->size ||
	    decode(json_get_string(jwk, "y"), &y, &yn) || yn != c->size)
		return NULL;
	memcpy(point + 1, x, xn);
	memcpy(point + 1 + xn, y, yn);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
						     (char *)(uintptr_t)c->group, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point,
						      1 + 2 * c->size);
	params[2] = OSSL_PARAM_construct_end();
	ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* ---- wrapping the content key ---- */

static void add_counted(EVP_MD_CTX *md, const void *p, size_t n)
{
	const unsigned char len[4] = { (unsigned char)(n >> 24), (unsigned char)(n >> 16),
				       (unsigned char)(n >> 8), (unsigned char)n };

	EVP_DigestUpdate(md, len, sizeof(len));
	EVP_DigestUpdate(md, p, n);
}

/* ECDH, then Concat KDF (RFC 7518, 4.6.2): one round of SHA-256 gives all that is needed. */
static bool agree(EVP_PKEY *own, EVP_PKEY *other, const char *alg, const struct cimage_bytes *apu,
		  const struct cimage_bytes *apv, size_t size, unsigned char out[32])
{
	static const unsigned char round[4] = { 0, 0, 0, 1 };
	const unsigned char bits[4] = { 0, 0, (unsigned char)(size * 8 >> 8),
					(unsigned char)(size * 8) };
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char z[COORDINATE_MAX];
	size_t n = sizeof(z);
	bool good;

	good = ctx && md && EVP_PKEY_derive_init(ctx) == 1 &&
	       EVP_PKEY_derive_set_peer(ctx, other) == 1 && EVP_PKEY_derive(ctx, z, &n) == 1 &&
	       EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;
	if (good) {
		EVP_DigestUpdate(md, round, sizeof(round));
		EVP_DigestUpdate(md, z, n);
		add_counted(md, alg, strlen(alg));
		add_counted(md, apu->p, apu->len);
		add_counted(md, apv->p, apv->len);
		EVP_DigestUpdate(md, bits, sizeof(bits));
		good = EVP_DigestFinal_ex(md, out, NULL) == 1;
	}
	explicit_bzero(z, sizeof(z));
	EVP_PKEY_CTX_free(ctx);
	EVP_MD_CTX_free(md);
	return good;
}

static const EVP_CIPHER *wrap_cipher(size_t size)
{
	return size == 16 ? EVP_aes_128_wrap() : size == 24 ? EVP_aes_192_wrap() : EVP_aes_256_wrap();
}

/* AES key wrap (RFC 3394); out has 8 bytes more than in, or 8 less. */
static bool key_wrap(bool wrapping, const unsigned char *kek, size_t kek_size, const void *in,
		     size_t n, unsigned char *out, size_t *ret_n)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len = 0, last = 0;
	bool good;

	if (ctx)
		EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	good = ctx &&
	       EVP_CipherInit_ex(ctx, wrap_cipher(kek_size), NULL, kek, NULL, wrapping) == 1 &&
	       EVP_CipherUpdate(ctx, out, &len, in, (int)n) == 1 &&
	       EVP_CipherFinal_ex(ctx, out + len, &last) == 1;
	EVP_CIPHER_CTX_free(ctx);
	*ret_n = (size_t)(len + last);
	return good;
}

static bool rsa(bool encrypting, EVP_PKEY *key, const EVP_MD *md, const void *in, size_t n,
		unsigned char *out, size_t *out_n)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	bool good;

	good = ctx && (encrypting ? EVP_PKEY_encrypt_init(ctx) : EVP_PKEY_decrypt_init(ctx)) == 1 &&
	       EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md) == 1 &&
	       EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) == 1 &&
	       (encrypting ? EVP_PKEY_encrypt(ctx, out, out_n, in, n)
			   : EVP_PKEY_decrypt(ctx, out, out_n, in, n)) == 1;
	EVP_PKEY_CTX_free(ctx);
	return good;
}

/* ---- the content ---- */

static const EVP_CIPHER *gcm_of(const char *enc, size_t *ret_size)
{
	*ret_size = !enc			? 0
		    : streq(enc, "A128GCM") ? 16
		    : streq(enc, "A192GCM") ? 24
		    : streq(enc, "A256GCM") ? 32
					    : 0;
	return *ret_size == 16	 ? EVP_aes_128_gcm()
	       : *ret_size == 24 ? EVP_aes_192_gcm()
	       : *ret_size == 32 ? EVP_aes_256_gcm()
				 : NULL;
}

static bool gcm(bool encrypting, const EVP_CIPHER *cipher, const unsigned char *key,
		const unsigned char *iv, const struct cimage_bytes *aad,
		const struct cimage_bytes *in, unsigned char *out, unsigned char *tag)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0, last = 0;
	bool good;

	good = ctx && EVP_CipherInit_ex(ctx, cipher, NULL, key, iv, encrypting) == 1 &&
	       EVP_CipherUpdate(ctx, NULL, &n, (const unsigned char *)aad->p, (int)aad->len) == 1 &&
	       EVP_CipherUpdate(ctx, out, &n, (const unsigned char *)in->p, (int)in->len) == 1;
	if (good && !encrypting)
		good = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag) == 1;
	good = good && EVP_CipherFinal_ex(ctx, out + n, &last) == 1;
	if (good && encrypting)
		good = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, tag) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return good;
}

/* ---- encrypting ---- */

static bool set_encoded(struct json_doc *doc, struct json *obj, const char *key, const void *p,
			size_t n)
{
	_cleanup_free_ char *s = encode(p, n);

	if (s)
		json_set_string(doc, obj, key, s);
	return s != NULL;
}

static bool write_epk(struct json_doc *doc, struct json *header, EVP_PKEY *key,
		      const struct curve *c)
{
	struct json *epk = json_set_object(doc, header, "epk");
	unsigned char point[1 + 2 * COORDINATE_MAX];
	size_t n;

	if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point,
					    sizeof(point), &n) != 1 ||
	    n != 1 + 2 * c->size || point[0] != 4)
		return false;
	json_set_string(doc, epk, "kty", "EC");
	json_set_string(doc, epk, "crv", c->jwk);
	return set_encoded(doc, epk, "x", point + 1, c->size) &&
	       set_encoded(doc, epk, "y", point + 1 + c->size, c->size);
}

static bool wrap_ec(struct json_doc *doc, struct json *header, EVP_PKEY *recipient,
		    const unsigned char *cek, unsigned char *out, size_t *out_n)
{
	static const char alg[] = "ECDH-ES+A256KW";
	const struct cimage_bytes none = { "", 0 };
	const struct curve *c = curve_of(recipient);
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *own = c ? EVP_EC_gen(c->group) : NULL;
	unsigned char kek[32];
	bool good;

	json_set_string(doc, header, "alg", alg);
	good = own && write_epk(doc, header, own, c) &&
	       agree(own, recipient, alg, &none, &none, sizeof(kek), kek) &&
	       key_wrap(true, kek, sizeof(kek), cek, CEK_MAX, out, out_n);
	explicit_bzero(kek, sizeof(kek));
	return good;
}

static int add_recipient(struct json_doc *doc, struct json *list, const struct crypt_key *k,
			 const unsigned char *cek, struct cimage_error *err)
{
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = public_key(k);
	struct json *one = json_new_object(doc), *header = json_set_object(doc, one, "header");
	unsigned char wrapped[WRAPPED_MAX];
	size_t n = sizeof(wrapped);
	bool good = false;

	if (!key)
		return err_set(err, CIMAGE_E_INVALID, "%s: not a public key or certificate",
			       k->name);
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
		json_set_string(doc, header, "alg", "RSA-OAEP");
		good = rsa(true, key, EVP_sha1(), cek, CEK_MAX, wrapped, &n);
	} else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
		good = wrap_ec(doc, header, key, cek, wrapped, &n);
	}
	if (!good || !set_encoded(doc, one, "encrypted_key", wrapped, n))
		return err_set(err, CIMAGE_E_UNSUPPORTED,
			       "%s: this kind of key cannot be encrypted for", k->name);
	json_append(doc, list, one);
	return 0;
}

static int add_content(struct json_doc *doc, const struct cimage_bytes *plain,
		       const unsigned char *cek, struct cimage_error *err)
{
	static const char header[] = "{\"enc\":\"A256GCM\"}";
	_cleanup_free_ char *protected = encode(header, strlen(header));
	_cleanup_free_ unsigned char *out = malloc(plain->len + 1);
	unsigned char iv[IV_SIZE], tag[TAG_SIZE];
	struct json *root = json_root(doc);
	struct cimage_bytes aad;

	if (!protected || !out)
		return err_oom(err);
	aad = (struct cimage_bytes){ protected, strlen(protected) };
	if (RAND_bytes(iv, sizeof(iv)) != 1 ||
	    !gcm(true, EVP_aes_256_gcm(), cek, iv, &aad, plain, out, tag))
		return err_set(err, -EIO, "JWE: encrypt");
	json_set_string(doc, root, "protected", protected);
	if (!set_encoded(doc, root, "iv", iv, sizeof(iv)) ||
	    !set_encoded(doc, root, "ciphertext", out, plain->len) ||
	    !set_encoded(doc, root, "tag", tag, sizeof(tag)))
		return err_oom(err);
	return 0;
}

int jwe_encrypt(const struct crypt_key *recipients, size_t n, const struct cimage_bytes *plain,
		char **ret, struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	unsigned char cek[CEK_MAX];
	struct str out = STR_INIT;
	struct json *list;
	size_t i;
	int r;

	if (!doc || RAND_bytes(cek, sizeof(cek)) != 1)
		return err_oom(err);
	list = json_set_array(doc, json_root(doc), "recipients");
	r = add_content(doc, plain, cek, err);
	for (i = 0; i < n && !r; i++)
		r = add_recipient(doc, list, &recipients[i], cek, err);
	explicit_bzero(cek, sizeof(cek));
	if (r)
		return r;
	if (json_format(doc, json_root(doc), 0, &out) || !(*ret = str_take(&out, NULL)))
		return err_oom(err);
	return 0;
}

/* ---- decrypting ---- */

struct jwe {
	struct json_doc *doc, *protected_doc;
	const struct json *root, *protected;
	const EVP_CIPHER *cipher;
	size_t cek_size;
	char *iv, *ciphertext, *tag, *aad;
	size_t ciphertext_len;
};

static void jwe_done(struct jwe *j)
{
	json_doc_free(j->doc);
	json_doc_free(j->protected_doc);
	free(j->iv);
	free(j->ciphertext);
	free(j->tag);
	free(j->aad);
}

static bool read_protected(struct jwe *j)
{
	const char *text = json_get_string(j->root, "protected");
	const char *more = json_get_string(j->root, "aad");
	_cleanup_free_ char *bytes = NULL;
	size_t n;

	if (!text || decode(text, &bytes, &n) ||
	    json_parse(bytes, n, JSON_UNIQUE_KEYS, &j->protected_doc, NULL))
		return false;
	j->protected = json_root(j->protected_doc);
	j->aad = more ? strf("%s.%s", text, more) : strdup(text);
	/* extensions that must be understood, and compression, which nobody needs here */
	return j->aad && !json_get(j->protected, "crit") && !json_get(j->protected, "zip");
}

static int parse(struct jwe *j, const char *text, size_t len, struct cimage_error *err)
{
	size_t iv_len, tag_len;

	if (json_parse(text, len, JSON_UNIQUE_KEYS, &j->doc, NULL))
		return err_set(err, CIMAGE_E_INVALID, "JWE: not JSON");
	j->root = json_root(j->doc);
	if (!read_protected(j) || decode(json_get_string(j->root, "iv"), &j->iv, &iv_len) ||
	    decode(json_get_string(j->root, "tag"), &j->tag, &tag_len) ||
	    decode(json_get_string(j->root, "ciphertext"), &j->ciphertext, &j->ciphertext_len) ||
	    iv_len != IV_SIZE || tag_len != TAG_SIZE || j->ciphertext_len > INT32_MAX)
		return err_set(err, CIMAGE_E_INVALID, "JWE: malformed");
	j->cipher = gcm_of(json_get_string(j->protected, "enc"), &j->cek_size);
	return j->cipher ? 0
			 : err_set(err, CIMAGE_E_UNSUPPORTED,
				   "JWE: its content encryption is not AES-GCM");
}

/* A header parameter is in one of three places. */
static const struct json *parameter(const struct jwe *j, const struct json *header,
				    const char *name)
{
	const struct json *v = json_get(j->protected, name);

	if (!v)
		v = json_get(json_get(j->root, "unprotected"), name);
	return v ? v : json_get(header, name);
}

static size_t wrap_size(const char *alg)
{
	return streq(alg, "ECDH-ES+A128KW")   ? 16
	       : streq(alg, "ECDH-ES+A192KW") ? 24
	       : streq(alg, "ECDH-ES+A256KW") ? 32
					      : 0;
}

static bool unwrap_ec(const struct jwe *j, const struct json *header, const char *alg,
		      EVP_PKEY *key, const char *wrapped, size_t n, unsigned char *cek,
		      size_t *cek_n)
{
	const struct json *apu = parameter(j, header, "apu"), *apv = parameter(j, header, "apv");
	_cleanup_free_ char *u = NULL, *v = NULL;
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *epk = NULL;
	const struct curve *c = curve_of(key);
	size_t size = wrap_size(alg), un = 0, vn = 0;
	unsigned char kek[32];

	if (!c || !size || (apu && decode(json_string(apu), &u, &un)) ||
	    (apv && decode(json_string(apv), &v, &vn)))
		return false;
	epk = read_epk(parameter(j, header, "epk"), c);
	return epk &&
	       agree(key, epk, alg, &(struct cimage_bytes){ u ? u : "", un },
		     &(struct cimage_bytes){ v ? v : "", vn }, size, kek) &&
	       n == j->cek_size + 8 && key_wrap(false, kek, size, wrapped, n, cek, cek_n);
}

static bool unwrap(const struct jwe *j, const struct json *recipient, EVP_PKEY *key,
		   unsigned char cek[WRAPPED_MAX])
{
	const struct json *header = json_get(recipient, "header");
	const char *alg = json_string(parameter(j, header, "alg"));
	_cleanup_free_ char *wrapped = NULL;
	size_t n, cek_n = WRAPPED_MAX;
	bool good = false;

	if (!alg || decode(json_get_string(recipient, "encrypted_key"), &wrapped, &n) ||
	    n > WRAPPED_MAX)
		return false;
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
		good = unwrap_ec(j, header, alg, key, wrapped, n, cek, &cek_n);
	else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && streq(alg, "RSA-OAEP"))
		good = rsa(false, key, EVP_sha1(), wrapped, n, cek, &cek_n);
	else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && streq(alg, "RSA-OAEP-256"))
		good = rsa(false, key, EVP_sha256(), wrapped, n, cek, &cek_n);
	return good && cek_n == j->cek_size;
}

static bool open_content(const struct jwe *j, const unsigned char *cek, char **ret)
{
	const struct cimage_bytes aad = { j->aad, strlen(j->aad) };
	const struct cimage_bytes in = { j->ciphertext, j->ciphertext_len };
	_cleanup_free_ char *out = calloc(1, j->ciphertext_len + 1);

	if (!out || !gcm(false, j->cipher, cek, (const unsigned char *)j->iv, &aad, &in,
			 (unsigned char *)out, (unsigned char *)j->tag))
		return false;
	*ret = take(out);
	return true;
}

static bool try_key(const struct jwe *j, EVP_PKEY *key, char **ret)
{
	const struct json *recipients = json_get(j->root, "recipients");
	unsigned char cek[WRAPPED_MAX];
	bool good = false;

	if (!recipients)
		good = unwrap(j, j->root, key, cek) && open_content(j, cek, ret);
	json_foreach(one, recipients)
		if (!good)
			good = unwrap(j, one, key, cek) && open_content(j, cek, ret);
	explicit_bzero(cek, sizeof(cek));
	return good;
}

int jwe_decrypt(const struct crypt_key *keys, size_t n, const char *text, size_t len, char **ret,
		size_t *ret_len, struct cimage_error *err)
{
	_cleanup_(jwe_done) struct jwe j = { 0 };
	size_t i, usable = 0;
	int r = parse(&j, text, len, err);

	if (r)
		return r;
	for (i = 0; i < n; i++) {
		_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = decode_key(&keys[i], EVP_PKEY_KEYPAIR);

		usable += key != NULL;
		if (!key || !try_key(&j, key, ret))
			continue;
		*ret_len = j.ciphertext_len;
		return 0;
	}
	return err_set(err, CIMAGE_E_DENIED,
		       "no suitable key: none of the %zu private keys could decrypt it (%zu of "
		       "them could be read)",
		       n, usable);
}
