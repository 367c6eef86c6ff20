/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rekor's bundle: {"SignedEntryTimestamp", "Payload": {body, integratedTime, logIndex, logID}}. The log
 * signed the canonical JSON (RFC 8785) of Payload. Those four members are all there may be, and what
 * they may hold is so narrow here that their canonical form can simply be written down. body is an
 * entry of type hashedrekord 0.0.1, which names key, signature and hash of what was signed.
 */
#include <cbase/json.h>
#include <cbase/str.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include "sigstore.h"

#define INTEGER_MAX (INT64_C(1) << 53)	/* beyond, canonical JSON spells integers otherwise */

#define REFUSE(err, ...) err_ctx((err), err_set((err), CIMAGE_E_POLICY, __VA_ARGS__), "Rekor")

struct entry {
	struct json_doc *bundle, *body;
	char *set;		/* the log's signature */
	size_t set_len;
	char *canonical;
	int64_t time;
};

static void entry_done(struct entry *e)
{
	json_doc_free(e->bundle);
	json_doc_free(e->body);
	free(e->set);
	free(e->canonical);
}

static bool is_plain(const char *s, const char *alphabet)
{
	return s && strspn(s, alphabet) == strlen(s);
}

static bool small_int(const struct json *v, int64_t *ret)
{
	return v && !json_int(v, ret) && *ret <= INTEGER_MAX && *ret >= -INTEGER_MAX &&
	       !strchr(v->string, '.') && !strchr(v->string, 'e') && !strchr(v->string, 'E');
}

static int read_payload(struct entry *e, const struct json *p, struct cimage_error *err)
{
	const char *body = json_get_string(p, "body"), *id = json_get_string(p, "logID");
	_cleanup_free_ char *text = NULL;
	int64_t number;
	size_t n;

	if (!p || p->type != JSON_OBJECT || p->count != 4 || !is_plain(id, "0123456789abcdef") ||
	    !small_int(json_get(p, "integratedTime"), &e->time) ||
	    !small_int(json_get(p, "logIndex"), &number) || sigstore_base64(body, &text, &n))
		return REFUSE(err, "the bundle's payload is malformed");
	/* base64 without line breaks: nothing to escape */
	if (strpbrk(body, "\r\n"))
		return REFUSE(err, "the bundle's payload is malformed");
	e->canonical = strf("{\"body\":\"%s\",\"integratedTime\":%lld,\"logID\":\"%s\","
			    "\"logIndex\":%lld}",
			    body, (long long)e->time, id, (long long)number);
	if (!e->canonical)
		return err_oom(err);
	return json_parse(text, n, JSON_UNIQUE_KEYS, &e->body, NULL)
		       ? REFUSE(err, "the entry in the bundle is not JSON")
		       : 0;
}

static int read_bundle(struct entry *e, const char *text, struct cimage_error *err)
{
	const struct json *root;

	if (!text)
		return REFUSE(err, "missing dev.sigstore.cosign/bundle annotation");
	if (json_parse(text, strlen(text), JSON_UNIQUE_KEYS, &e->bundle, NULL))
		return REFUSE(err, "the bundle is not JSON");
	root = json_root(e->bundle);
	if (root->type != JSON_OBJECT || root->count != 2 || !json_get(root, "Payload") ||
	    sigstore_base64(json_get_string(root, "SignedEntryTimestamp"), &e->set, &e->set_len))
		return REFUSE(err, "the bundle is malformed");
	return read_payload(e, json_get(root, "Payload"), err);
}

static int check_log(const struct sigstore_trust *t, const struct entry *e,
		     struct cimage_error *err)
{
	const struct cimage_bytes message = { e->canonical, strlen(e->canonical) };
	bool good = false;
	size_t i;

	for (i = 0; i < t->rekor_key_count && !good; i++) {
		BIO *bio = sigstore_bio(&t->rekor_keys[i]);
		EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
		bool usable = key && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC;

		good = usable && sigstore_good(key, &message, e->set, e->set_len);
		EVP_PKEY_free(key);
		BIO_free(bio);
		if (!usable)
			return err_set(err, CIMAGE_E_INVALID,
				       "Rekor: public key %zu is not a PEM ECDSA public key",
				       i + 1);
	}
	return good ? 0
		    : REFUSE(err, "cryptographic signature verification of the bundle failed");
}

/* Is the decoded member exactly these bytes? */
static bool same(const char *b64, const void *p, size_t n)
{
	_cleanup_free_ char *bytes = NULL;
	size_t len;

	return !sigstore_base64(b64, &bytes, &len) && len == n && !memcmp(bytes, p, n);
}

static bool same_key(const char *b64_pem, const unsigned char *der, size_t n)
{
	_cleanup_free_ char *pem = NULL;
	unsigned char *other;
	long other_len;
	size_t len;
	bool good;

	if (sigstore_base64(b64_pem, &pem, &len) || !sigstore_pem_der(pem, len, &other, &other_len))
		return false;
	good = (size_t)other_len == n && !memcmp(other, der, n);
	OPENSSL_free(other);
	return good;
}

static bool same_hash(const struct json *hash, const struct cimage_bytes *payload)
{
	const char *algorithm = json_get_string(hash, "algorithm");
	const char *value = json_get_string(hash, "value");
	unsigned char sum[SHA256_DIGEST_LENGTH];
	char hex[2 * SHA256_DIGEST_LENGTH + 1];

	SHA256((const unsigned char *)payload->p, payload->len, sum);
	hex_encode(sum, sizeof(sum), hex);
	return algorithm && streq(algorithm, "sha256") && value && streq(value, hex);
}

/* The log speaks the truth: but about this signature? */
static int check_entry(const struct entry *e, const struct sigstore_claim *c,
		       const unsigned char *der, size_t der_len, struct cimage_error *err)
{
	const struct json *root = json_root(e->body);
	const struct json *sig = json_path(root, "spec", "signature", NULL);
	const char *kind = json_get_string(root, "kind"), *api = json_get_string(root, "apiVersion");
	_cleanup_free_ char *claimed = NULL;
	size_t n;

	if (!kind || !streq(kind, "hashedrekord") || !api || !streq(api, "0.0.1"))
		return REFUSE(err, "the entry is not a hashedrekord 0.0.1");
	if (!same_key(json_get_string(json_get(sig, "publicKey"), "content"), der, der_len))
		return REFUSE(err, "publicKey in the entry does not match");
	if (sigstore_base64(c->signature, &claimed, &n) || !same(json_get_string(sig, "content"), claimed, n))
		return REFUSE(err, "signature in the entry does not match");
	if (!same_hash(json_path(root, "spec", "data", "hash", NULL), &c->payload))
		return REFUSE(err, "payload in the entry does not match");
	return 0;
}

int rekor_verify(const struct sigstore_trust *t, const struct sigstore_claim *c,
		 const unsigned char *der, size_t der_len, int64_t *ret_time,
		 struct cimage_error *err)
{
	_cleanup_(entry_done) struct entry e = { 0 };
	int r;

	if ((r = read_bundle(&e, c->bundle, err)) || (r = check_log(t, &e, err)) ||
	    (r = check_entry(&e, c, der, der_len, err)))
		return r;
	*ret_time = e.time;
	return 0;
}
