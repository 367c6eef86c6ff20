/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encrypted layers, see crypt.h: the keys of the context, and crypt.so, which does the work. Of
 * ocicrypt's ways to wrap a layer's key JWE is the one that is spoken here.
 */
#include <cbase/io.h>
#include "context.h"
#include "crypt.h"
#include "module.h"

#define CRYPT_KEY_FILE_MAX (1u << 20)
#define KEYS_JWE "org.opencontainers.image.enc.keys.jwe"
#define PUBOPTS "org.opencontainers.image.enc.pubopts"
#define KEYS_ANY "org.opencontainers.image.enc.keys."

struct crypt_keys {
	struct crypt_key *items;
	size_t count;
};

struct crypt {
	const struct crypt_module *m;
	struct cipher *cipher;
};

/* ---- keys ---- */

static void key_done(struct crypt_key *k)
{
	if (k->data.p)
		explicit_bzero((char *)(uintptr_t)k->data.p, k->data.len);
	if (k->password)
		explicit_bzero((char *)(uintptr_t)k->password, strlen(k->password));
	free((char *)(uintptr_t)k->data.p);
	free((char *)(uintptr_t)k->password);
	free((char *)(uintptr_t)k->name);
}

struct crypt_keys *crypt_keys_free(struct crypt_keys *k)
{
	while (k && k->count)
		key_done(&k->items[--k->count]);
	if (k)
		free(k->items);
	free(k);
	return NULL;
}

/* "pass=TEXT", "file=PATH", or the passphrase itself, as ocicrypt's tools take it. */
static int read_password(const char *text, char **ret, struct cimage_error *err)
{
	char *from_file = NULL;
	int r;

	if (!str_starts(text, "file=")) {
		*ret = strdup(str_starts(text, "pass=") ? text + 5 : text);
		return *ret ? 0 : err_oom(err);
	}
	r = read_file(text + 5, CRYPT_KEY_FILE_MAX, &from_file, NULL);
	if (r)
		return err_sysr(err, r, "read passphrase %s", text + 5);
	from_file[strcspn(from_file, "\r\n")] = '\0';
	*ret = from_file;
	return 0;
}

static int read_key(const char *path, const char *password, struct crypt_key *ret,
		    struct cimage_error *err)
{
	char *name = strdup(path), *data = NULL, *secret = NULL;
	size_t n = 0;
	int r = name ? read_file(path, CRYPT_KEY_FILE_MAX, &data, &n) : -ENOMEM;

	if (r)
		r = err_sysr(err, r, "read key %s", path);
	else if (password)
		r = read_password(password, &secret, err);
	*ret = (struct crypt_key){ .data = { data, n }, .password = secret, .name = name };
	if (r)
		key_done(ret);
	return r;
}

static int add_key(struct crypt_keys **where, const char *path, const char *password,
		   struct cimage_error *err)
{
	struct crypt_keys *k = *where ? *where : calloc(1, sizeof(*k));
	struct crypt_key *items;
	int r;

	*where = k;
	items = k ? realloc(k->items, (k->count + 1) * sizeof(*items)) : NULL;
	if (!items)
		return err_oom(err);
	k->items = items;
	r = read_key(path, password, &items[k->count], err);
	if (!r)
		k->count++;
	return r;
}

PUBLIC int cimage_context_add_decryption_key(struct cimage_context *c, const char *spec,
					     struct cimage_error *err)
{
	_cleanup_free_ char *path = NULL;
	const char *colon;

	if (!c || !spec)
		return -EINVAL;
	colon = strchr(spec, ':');
	path = strndup(spec, strcspn(spec, ":"));
	return path ? add_key(&c->decryption, path, colon ? colon + 1 : NULL, err) : err_oom(err);
}

PUBLIC int cimage_context_add_encryption_key(struct cimage_context *c, const char *spec,
					     struct cimage_error *err)
{
	if (!c || !spec)
		return -EINVAL;
	if (!str_starts(spec, "jwe:"))
		return err_set(err, CIMAGE_E_UNSUPPORTED,
			       "encryption key \"%s\": only jwe:PATH of a public key is supported",
			       SHOW(spec));
	return add_key(&c->encryption, spec + 4, NULL, err);
}

bool crypt_can_decrypt(const struct cimage_context *c)
{
	return c->decryption && c->decryption->count;
}

bool crypt_can_encrypt(const struct cimage_context *c)
{
	return c->encryption && c->encryption->count;
}

/* ---- ciphers ---- */

struct crypt *crypt_free(struct crypt *x)
{
	if (x && x->cipher)
		x->m->free(x->cipher);
	free(x);
	return NULL;
}

CB_DEFINE_CLEANUP(struct crypt *, crypt_free)

static int new_crypt(struct cimage_context *c, struct crypt **ret, struct cimage_error *err)
{
	struct crypt *x = calloc(1, sizeof(*x));
	int r = x ? module_crypt(c, &x->m, err) : err_oom(err);

	if (r)
		free(x);
	else
		*ret = x;
	return r;
}

static int no_jwe(const struct json *annotations, struct cimage_error *err)
{
	json_foreach(item, annotations && annotations->type == JSON_OBJECT ? annotations : NULL)
		if (str_starts(item->key, KEYS_ANY))
			return err_set(err, CIMAGE_E_UNSUPPORTED,
				       "the layer's key is wrapped as \"%s\", and only jwe is "
				       "supported",
				       SHOW(item->key + strlen(KEYS_ANY)));
	return err_set(err, CIMAGE_E_INVALID, "the layer is encrypted, and has no %s*", KEYS_ANY);
}

int crypt_decrypt_new(struct cimage_context *c, const struct json *annotations, struct crypt **ret,
		      struct cimage_error *err)
{
	_cleanup_(crypt_freep) struct crypt *x = NULL;
	const char *jwe = json_get_string(annotations, KEYS_JWE);
	int r;

	if (!crypt_can_decrypt(c))
		return err_set(err, CIMAGE_E_DENIED,
			       "the layer is encrypted: missing private key needed for decryption");
	if (!jwe)
		return no_jwe(annotations, err);
	r = new_crypt(c, &x, err);
	if (!r)
		r = x->m->decrypt_new(c->decryption->items, c->decryption->count, jwe,
				      json_get_string(annotations, PUBOPTS), &x->cipher, err);
	if (!r)
		*ret = take(x);
	return r;
}

int crypt_encrypt_new(struct cimage_context *c, struct crypt **ret, struct cimage_error *err)
{
	_cleanup_(crypt_freep) struct crypt *x = NULL;
	int r;

	if (!crypt_can_encrypt(c))
		return err_set(err, CIMAGE_E_INVALID, "no key to encrypt for");
	r = new_crypt(c, &x, err);
	if (!r)
		r = x->m->encrypt_new(c->encryption->items, c->encryption->count, &x->cipher, err);
	if (!r)
		*ret = take(x);
	return r;
}

void crypt_update(struct crypt *x, const void *in, void *out, size_t n)
{
	x->m->update(x->cipher, in, out, n);
}

int crypt_final(struct crypt *x, struct cimage_error *err)
{
	return x->m->final(x->cipher, err);
}

int crypt_annotate(struct crypt *x, struct json_doc *doc, struct json *annotations,
		   struct cimage_error *err)
{
	_cleanup_free_ char *jwe = NULL, *pubopts = NULL;
	int r = x->m->annotations(x->cipher, &jwe, &pubopts, err);

	if (r)
		return r;
	json_set_string(doc, annotations, KEYS_JWE, jwe);
	json_set_string(doc, annotations, PUBOPTS, pubopts);
	return json_failed(doc) ? err_oom(err) : 0;
}
