/* SPDX-License-Identifier: Apache-2.0 */
/* A blob info cache of any bytes: what comes out of it fits into URLs, and it is written and read again. */
#include "../fuzz.h"
#include "blob_cache.h"

#define DIGEST "sha256:1111111111111111111111111111111111111111111111111111111111111111"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[] = "/dev/shm/fuzz-cache-XXXXXX";
	struct blob_variant v[BLOB_CACHE_FOUND_MAX];
	struct blob_cache *b;
	int fd = mkstemp(path);

	require(fd >= 0 && write_all(fd, data, size) == 0);
	for (int round = 0; round < 2; round++) {
		_cleanup_strv_ char **paths = NULL;

		b = blob_cache_load(path);
		require(b);
		paths = blob_cache_locations(b, DIGEST, "h.io:5");
		for (size_t i = 0; paths && paths[i]; i++)
			require(*paths[i] && !strpbrk(paths[i], "%?# \n"));
		for (size_t i = blob_cache_variants(b, DIGEST, v); i--;)
			require(digest_valid(v[i].digest) && v[i].size >= 0);
		blob_cache_add_location(b, DIGEST, "h.io:5/own");
		blob_cache_add_variant(b, DIGEST, &(struct blob_variant){ DIGEST, 5, "gzip" });
		blob_cache_save(b);
		blob_cache_free(b);
	}
	close(fd);
	unlink(path);
	strcpy(path + strlen(path) - 6, "XXXXXX");
	return 0;
}
