/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See digest.h. OpenSSL picks the SHA instructions of the machine. Digests of bytes in memory cannot fail, so
 * they use its older functions, which allocate nothing.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <string.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <cbase/digest.h>
#include <cbase/str.h>

static void sha256_bytes(const void *p, size_t n, unsigned char *md)
{
	SHA256_CTX c;

	SHA256_Init(&c);
	SHA256_Update(&c, p, n);
	SHA256_Final(md, &c);
}

static void sha384_bytes(const void *p, size_t n, unsigned char *md)
{
	SHA512_CTX c;

	SHA384_Init(&c);
	SHA384_Update(&c, p, n);
	SHA384_Final(md, &c);
}

static void sha512_bytes(const void *p, size_t n, unsigned char *md)
{
	SHA512_CTX c;

	SHA512_Init(&c);
	SHA512_Update(&c, p, n);
	SHA512_Final(md, &c);
}

static const struct algorithm {
	const char *name;
	size_t bytes;
	const EVP_MD *(*md)(void);
	void (*of_bytes)(const void *p, size_t n, unsigned char *md);
} algorithms[] = {
	{ "sha256", 32, EVP_sha256, sha256_bytes },
	{ "sha384", 48, EVP_sha384, sha384_bytes },
	{ "sha512", 64, EVP_sha512, sha512_bytes },
};

struct digest_stream {
	const struct algorithm *algorithm;
	EVP_MD_CTX *ctx;
};

/* name may be followed by ':' */
static const struct algorithm *find(const char *name)
{
	size_t i, n = strcspn(name, ":");

	for (i = 0; i < ARRAY_SIZE(algorithms); i++)
		if (strlen(algorithms[i].name) == n && !strncmp(algorithms[i].name, name, n))
			return &algorithms[i];
	return NULL;
}

int digest_stream_new(const char *algorithm, struct digest_stream **ret)
{
	const struct algorithm *a = find(algorithm);
	struct digest_stream *d;

	if (!a)
		return -EINVAL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->algorithm = a;
	d->ctx = EVP_MD_CTX_new();
	if (!d->ctx || !EVP_DigestInit_ex(d->ctx, a->md(), NULL)) {
		digest_stream_free(d);
		return -ENOMEM;
	}
	*ret = d;
	return 0;
}

struct digest_stream *digest_stream_free(struct digest_stream *d)
{
	if (d)
		EVP_MD_CTX_free(d->ctx);
	free(d);
	return NULL;
}

void digest_stream_update(struct digest_stream *d, const void *p, size_t n)
{
	EVP_DigestUpdate(d->ctx, p, n);
}

void digest_stream_final(struct digest_stream *d, char out[DIGEST_STR_MAX])
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	EVP_DigestFinal_ex(d->ctx, md, &n);
	hex_encode(md, n, stpcpy(stpcpy(out, d->algorithm->name), ":"));
}

static void digest_bytes(const struct algorithm *a, const void *p, size_t n, char out[DIGEST_STR_MAX])
{
	unsigned char md[EVP_MAX_MD_SIZE];

	a->of_bytes(p, n, md);
	hex_encode(md, a->bytes, stpcpy(stpcpy(out, a->name), ":"));
}

void digest_sha256(const void *p, size_t n, char out[DIGEST_STR_MAX])
{
	digest_bytes(&algorithms[0], p, n, out);
}

bool digest_matches(const char *digest, const void *p, size_t n)
{
	char have[DIGEST_STR_MAX];

	if (!digest_valid(digest))
		return false;
	digest_bytes(find(digest), p, n, have);
	return streq(digest, have);
}
