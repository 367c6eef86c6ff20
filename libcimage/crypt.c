/* SPDX-License-Identifier: Apache-2.0 */
/* Encrypted layers, see crypt.h. */
#include "crypt.h"

bool crypt_can_decrypt(const struct cimage_context *c)
{
	return false;
}

bool crypt_can_encrypt(const struct cimage_context *c)
{
	return false;
}

int crypt_decrypt_new(struct cimage_context *c, const struct json *annotations, struct crypt **ret,
		      struct cimage_error *err)
{
	return err_set(err, CIMAGE_E_UNSUPPORTED, "encrypted layers are not supported");
}

int crypt_encrypt_new(struct cimage_context *c, struct crypt **ret, struct cimage_error *err)
{
	return err_set(err, CIMAGE_E_UNSUPPORTED, "encrypted layers are not supported");
}

struct crypt *crypt_free(struct crypt *x)
{
	return NULL;
}

void crypt_update(struct crypt *x, const void *in, void *out, size_t n)
{
}

int crypt_final(struct crypt *x, struct cimage_error *err)
{
	return -EINVAL;
}

int crypt_annotate(struct crypt *x, struct json_doc *doc, struct json *annotations,
		   struct cimage_error *err)
{
	return -EINVAL;
}
