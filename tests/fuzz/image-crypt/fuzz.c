/* SPDX-License-Identifier: Apache-2.0 */
/* The two annotations of an encrypted layer, ended by NUL: the first is JWE, which is put into base64 here. */
#include <openssl/pem.h>
#include "../fuzz.h"
#include "crypt_module.h"

extern const struct crypt_module cimage_crypt_module;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct crypt_key keys[2] = { { .name = "rsa" }, { .name = "ec" } };
	_cleanup_str_ struct str wrapped = STR_INIT, options = STR_INIT;
	struct input in = { data, size };
	struct cimage_error err = { 0 };
	struct cipher *x = NULL;
	size_t n, m;
	_cleanup_free_ char *jwe = fuzz_piece(&in, false, &n), *public = fuzz_piece(&in, false, &m);
	unsigned char layer[64] = { 0 };
	int r;

	for (int i = 0; i < 2 && !keys[i].data.p; i++) {
		char *path = strf(KEYS "/%s.pem", keys[i].name), *text;

		require(path && !read_file(path, 1 << 20, &text, &keys[i].data.len));
		keys[i].data.p = text;
		free(path);
	}
	str_append_base64(&wrapped, jwe, n);
	str_append_base64(&options, public, m);
	r = cimage_crypt_module.decrypt_new(keys, 2, wrapped.data ? wrapped.data : "", options.data ? options.data : "", &x, &err);
	fuzz_said(r, &err);
	if (r)
		return 0;
	cimage_crypt_module.update(x, layer, layer, sizeof(layer));
	r = cimage_crypt_module.final(x, &err);
	fuzz_said(r, &err);
	cimage_crypt_module.free(x);
	return 0;
}
