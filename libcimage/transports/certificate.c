/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates that came with a signature: Fulcio's, which live for minutes and count for the moment
 * that the log vouches for, and those of any other authority, which have to be valid now. The last
 * certificate of the attached chain is the root as the signer sees it, and means nothing.
 */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>
#include "sigstore.h"

#define CHAIN_MAX 16

#define REFUSE(err, ...) err_set((err), CIMAGE_E_POLICY, "certificate: " __VA_ARGS__)

/* [owned] all certificates of a PEM text; NULL: there is none, or one that is malformed. */
static STACK_OF(X509) *read_all(const char *pem, size_t n)
{
	BIO *bio = sigstore_bio(&(struct cimage_bytes){ pem, n });
	STACK_OF(X509) *list = sk_X509_new_null();
	X509 *one = NULL;

	while (bio && list && sk_X509_num(list) <= CHAIN_MAX &&
	       (one = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
		sk_X509_push(list, one);
	/* what is behind the last good one is no certificate, or not PEM */
	BIO_free(bio);
	if (list && !sk_X509_num(list)) {
		sk_X509_free(list);
		list = NULL;
	}
	return list;
}

static void free_all(STACK_OF(X509) **list)
{
	sk_X509_pop_free(*list, X509_free);
}

static X509_STORE *make_store(const struct cimage_bytes *roots)
{
	STACK_OF(X509) *list __attribute__((cleanup(free_all))) = read_all(roots->p, roots->len);
	X509_STORE *store = list ? X509_STORE_new() : NULL;
	int i;

	for (i = 0; store && i < sk_X509_num(list); i++)
		X509_STORE_add_cert(store, sk_X509_value(list, i));
	return store;
}

static void move_all(STACK_OF(X509) *to, STACK_OF(X509) *from, int n)
{
	int i;

	for (i = 0; from && i < n && i < sk_X509_num(from); i++) {
		X509_up_ref(sk_X509_value(from, i));
		sk_X509_push(to, sk_X509_value(from, i));
	}
}

static int read_intermediates(const struct sigstore_trust *t, const struct sigstore_claim *c,
			      STACK_OF(X509) *ret, struct cimage_error *err)
{
	STACK_OF(X509) *trusted __attribute__((cleanup(free_all))) = NULL;
	STACK_OF(X509) *attached __attribute__((cleanup(free_all))) = NULL;

	if (t->pki_intermediates.p) {
		trusted = read_all(t->pki_intermediates.p, t->pki_intermediates.len);
		if (!trusted)
			return err_set(err, CIMAGE_E_INVALID,
				       "the policy's intermediate certificates are malformed");
		move_all(ret, trusted, sk_X509_num(trusted));
	}
	if (c->chain && *c->chain) {
		attached = read_all(c->chain, strlen(c->chain));
		if (!attached)
			return REFUSE(err, "the attached chain is malformed");
		move_all(ret, attached, sk_X509_num(attached) - 1);
	}
	return 0;
}

/* What does not say what it is for is for everything, as Go sees it. */
static bool chain_signs_code(STACK_OF(X509) *chain)
{
	int i;

	for (i = 0; i < sk_X509_num(chain); i++) {
		X509 *one = sk_X509_value(chain, i);

		if (X509_get_ext_by_NID(one, NID_ext_key_usage, -1) >= 0 &&
		    !(X509_get_extended_key_usage(one) & (XKU_CODE_SIGN | XKU_ANYEKU)))
			return false;
	}
	return true;
}

static int verify_chain(X509_STORE *store, X509 *leaf, STACK_OF(X509) *intermediates,
			int64_t when, struct cimage_error *err)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	int r = 0;

	if (!ctx || X509_STORE_CTX_init(ctx, store, leaf, intermediates) != 1) {
		X509_STORE_CTX_free(ctx);
		return err_oom(err);
	}
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, (time_t)when);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
	if (X509_verify_cert(ctx) != 1)
		r = REFUSE(err, "%s",
			   X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
	else if (!chain_signs_code(X509_STORE_CTX_get0_chain(ctx)))
		r = REFUSE(err, "not for signing code");
	X509_STORE_CTX_free(ctx);
	return r;
}

static int verify_at(const struct sigstore_trust *t, const struct sigstore_claim *c,
		     const struct cimage_bytes *roots, X509 *leaf, int64_t when,
		     struct cimage_error *err)
{
	STACK_OF(X509) *intermediates __attribute__((cleanup(free_all))) = sk_X509_new_null();
	X509_STORE *store = make_store(roots);
	int r;

	if (!store)
		return err_set(err, CIMAGE_E_INVALID,
			       "the policy's certificate authorities are not PEM certificates");
	r = intermediates ? read_intermediates(t, c, intermediates, err) : err_oom(err);
	if (!r)
		r = verify_chain(store, leaf, intermediates, when, err);
	X509_STORE_free(store);
	return r;
}

static int read_leaf(const struct sigstore_claim *c, X509 **ret, struct cimage_error *err)
{
	STACK_OF(X509) *list __attribute__((cleanup(free_all))) = NULL;

	if (!c->certificate)
		return REFUSE(err, "missing dev.sigstore.cosign/certificate annotation");
	list = read_all(c->certificate, strlen(c->certificate));
	if (!list || sk_X509_num(list) != 1)
		return REFUSE(err, "the annotation is not one PEM certificate");
	*ret = sk_X509_pop(list);
	return 0;
}

/* ---- whom it names ---- */

static bool has_email(X509 *leaf, const char *email)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	bool found = false;
	int i;

	for (i = 0; names && i < sk_GENERAL_NAME_num(names) && !found; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type != GEN_EMAIL)
			continue;
		found = (size_t)ASN1_STRING_length(g->d.ia5) == strlen(email) &&
			!memcmp(ASN1_STRING_get0_data(g->d.ia5), email, strlen(email));
	}
	GENERAL_NAMES_free(names);
	return found;
}

/* The value of an extension: -1 not there, -2 there twice; else its length. */
static int extension(X509 *leaf, const char *oid, const unsigned char **ret)
{
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
	int at = object ? X509_get_ext_by_OBJ(leaf, object, -1) : -1;
	bool twice = at >= 0 && X509_get_ext_by_OBJ(leaf, object, at) >= 0;
	const ASN1_OCTET_STRING *value;

	ASN1_OBJECT_free(object);
	if (at < 0 || twice)
		return twice ? -2 : -1;
	value = X509_EXTENSION_get_data(X509_get_ext(leaf, at));
	*ret = ASN1_STRING_get0_data(value);
	return ASN1_STRING_length(value);
}

static bool text_is(const void *p, int n, const char *text)
{
	return n >= 0 && (size_t)n == strlen(text) && !memcmp(p, text, (size_t)n);
}

/* The issuer stands in one or both of two extensions: raw, and as DER of a UTF8String. */
static int check_issuer(X509 *leaf, const char *wanted, struct cimage_error *err)
{
	const unsigned char *raw = NULL, *der = NULL, *p;
	int raw_len = extension(leaf, "1.3.6.1.4.1.57264.1.1", &raw);
	int der_len = extension(leaf, "1.3.6.1.4.1.57264.1.8", &der);
	ASN1_UTF8STRING *text = NULL;
	bool good = true;

	if ((raw_len == -1 && der_len == -1) || raw_len == -2 || der_len == -2)
		return REFUSE(err, "it does not name its OIDC issuer, or not clearly");
	if (raw_len >= 0)
		good = text_is(raw, raw_len, wanted);
	if (der_len >= 0) {
		p = der;
		text = d2i_ASN1_UTF8STRING(NULL, &p, der_len);
		good = good && text && p == der + der_len &&
		       text_is(ASN1_STRING_get0_data(text), ASN1_STRING_length(text), wanted);
		ASN1_UTF8STRING_free(text);
	}
	return good ? 0 : REFUSE(err, "Unexpected Fulcio OIDC issuer, it is not \"%s\"", wanted);
}

static bool has_host(X509 *leaf, const char *host)
{
	if (X509_check_ip_asc(leaf, host, 0) == 1)
		return true;
	return X509_check_host(leaf, host, 0,
			       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
				       X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
			       NULL) == 1;
}

static int check_names(const struct sigstore_trust *t, X509 *leaf, struct cimage_error *err)
{
	if (t->subject_email && !has_email(leaf, t->subject_email))
		return REFUSE(err, "Required email \"%s\" not found", t->subject_email);
	if (t->subject_hostname && !has_host(leaf, t->subject_hostname))
		return REFUSE(err, "it is not for host \"%s\"", t->subject_hostname);
	return 0;
}

static int take_key(X509 *leaf, EVP_PKEY **ret, struct cimage_error *err)
{
	*ret = X509_get_pubkey(leaf);
	return *ret ? 0 : REFUSE(err, "its key is malformed");
}

int fulcio_key(const struct sigstore_trust *t, const struct sigstore_claim *c, EVP_PKEY **ret,
	       struct cimage_error *err)
{
	_cleanup_(X509_freep) X509 *leaf = NULL;
	unsigned char *der = NULL;
	int64_t when = 0;
	int n, r = read_leaf(c, &leaf, err);

	if (r)
		return r;
	n = i2d_X509(leaf, &der);
	r = n > 0 ? rekor_verify(t, c, der, (size_t)n, &when, err) : err_oom(err);
	OPENSSL_free(der);
	if (r || (r = verify_at(t, c, &t->fulcio_ca, leaf, when, err)) ||
	    (r = check_issuer(leaf, t->oidc_issuer, err)) || (r = check_names(t, leaf, err)))
		return r;
	return take_key(leaf, ret, err);
}

int pki_key(const struct sigstore_trust *t, const struct sigstore_claim *c, EVP_PKEY **ret,
	    struct cimage_error *err)
{
	_cleanup_(X509_freep) X509 *leaf = NULL;
	int r = read_leaf(c, &leaf, err);

	if (r || (r = verify_at(t, c, &t->pki_roots, leaf, time(NULL), err)) ||
	    (r = check_names(t, leaf, err)))
		return r;
	return take_key(leaf, ret, err);
}
