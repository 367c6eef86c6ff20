/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "streaming/private.h"
#include "streaming/sha1.h"

static const char *hex(const char *text, size_t n)
{
	static char out[41];
	uint8_t digest[20];

	sha1(text, n, digest);
	for (int i = 0; i < 20; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
	return out;
}

/* RFC 3174, section 7.3, and lengths around the end of a block. */
START_TEST(known_digests)
{
	char a[SHA1_INPUT_MAX];

	memset(a, 'a', sizeof(a));
	ck_assert_str_eq(hex("", 0), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	ck_assert_str_eq(hex("abc", 3), "a9993e364706816aba3e25717850c26c9cd0d89d");
	ck_assert_str_eq(hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56),
			 "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
	ck_assert_str_eq(hex(a, 55), "c1c8bbdc22796e28c0e15163d20899b65621d65a");
	ck_assert_str_eq(hex(a, 56), "c2db330f6083854c99d4b5bfb6e8f29f201be699");
	ck_assert_str_eq(hex(a, 64), "0098ba824b5c16427bd7a1122a5a442a25ec644d");
	ck_assert_str_eq(hex(a, 119), "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56");
}
END_TEST

/* RFC 6455, section 1.3. */
START_TEST(the_answer_to_a_key)
{
	char out[29];

	ck_assert_int_eq(websocket_accept_key("dGhlIHNhbXBsZSBub25jZQ==", out), 0);
	ck_assert_str_eq(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	ck_assert_int_eq(websocket_accept_key("", out), -EINVAL);
	ck_assert_int_eq(websocket_accept_key("dGhlIHNhbXBsZSBub25jZQ=", out), -EINVAL);
	ck_assert_int_eq(websocket_accept_key("dGhlIHNhbXBsZSBub25jZWFh", out), -EINVAL); /* 18 bytes */
	ck_assert_int_eq(websocket_accept_key("!!hlIHNhbXBsZSBub25jZQ==", out), -EINVAL);
}
END_TEST

START_TEST(the_first_subprotocol_that_serves)
{
	struct request exec = { .kind = CRISVC_STREAM_EXEC }, forward = { .kind = CRISVC_STREAM_PORT_FORWARD };
	char buf[64];

	ck_assert_str_eq(websocket_choose(&exec, "", buf), "");
	ck_assert_str_eq(websocket_choose(&exec, " ,\t", buf), "");
	ck_assert_str_eq(websocket_choose(&exec, "v9.channel.k8s.io, v5.channel.k8s.io,v4.channel.k8s.io", buf), "v5.channel.k8s.io");
	ck_assert_str_eq(websocket_choose(&exec, "base64.channel.k8s.io", buf), "base64.channel.k8s.io");
	ck_assert_str_eq(websocket_choose(&exec, "v2.base64.channel.k8s.io", buf), "v2.base64.channel.k8s.io");
	ck_assert_ptr_null(websocket_choose(&exec, "v1.channel.k8s.io", buf));
	ck_assert_ptr_null(websocket_choose(&exec, "SPDY/3.1+portforward.k8s.io", buf));
	ck_assert_str_eq(websocket_choose(&forward, "SPDY/3.1+portforward.k8s.io", buf), "SPDY/3.1+portforward.k8s.io");
	ck_assert_ptr_null(websocket_choose(&exec, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", buf));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sha1");
	TCase *t = tcase_create("sha1");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, known_digests);
	tcase_add_test(t, the_answer_to_a_key);
	tcase_add_test(t, the_first_subprotocol_that_serves);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
