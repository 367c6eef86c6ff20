/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <cbase/digest.h>
#include "main.h"

#define ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

START_TEST(known_answers)
{
	struct digest_stream *d;
	char out[DIGEST_STR_MAX];

	digest_sha256("abc", 3, out);
	ck_assert_str_eq(out, ABC);
	ck_assert(digest_matches(ABC, "abc", 3));
	ck_assert(!digest_matches(ABC, "abd", 3));
	ck_assert(digest_matches("sha384:cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7", "abc", 3));
	ck_assert(digest_matches("sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
				 "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f", "abc", 3));
	ck_assert_int_eq(digest_stream_new("sha512", &d), 0);
	digest_stream_update(d, "a", 1);
	digest_stream_update(d, "bc", 2);
	digest_stream_final(d, out);
	digest_stream_free(d);
	ck_assert_int_eq(strncmp(out, "sha512:ddaf35a193617aba", 23), 0);
	ck_assert(digest_valid(out));
	ck_assert_int_eq(digest_stream_new("md5", &d), -EINVAL);
}
END_TEST

START_TEST(only_exact_digests_are_valid)
{
	ck_assert(digest_valid(ABC));
	ck_assert(!digest_valid(""));
	ck_assert(!digest_valid("sha256:"));
	ck_assert(!digest_valid(ABC "0"));
	ck_assert(!digest_valid("sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	ck_assert(!digest_valid("md5:900150983cd24fb0d6963f7d28e17f72"));
	ck_assert(!digest_valid("sha256:../../../../etc/passwd"));
	ck_assert(!digest_matches("sha256:x", "abc", 3));
}
END_TEST

static void add(TCase *c)
{
	tcase_add_test(c, known_answers);
	tcase_add_test(c, only_exact_digests_are_valid);
}

int main(void)
{
	return run_case("digest", add);
}
