/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "streaming/bounds.h"
#include "streaming/token.h"

#define MINUTE (CRISVC_STREAMING_TOKEN_SECONDS * BOUND_SECOND)

static struct tokens tokens;
static int released;

static void release(void *data)
{
	released += *(int *)data;
}

static struct request *request(int *weight)
{
	struct request *q = calloc(1, sizeof(*q));

	ck_assert_ptr_nonnull(q);
	*q = (struct request){ .refs = 1, .data = weight, .release = release };
	return q;
}

static void setup(void)
{
	released = 0;
	tokens_init(&tokens);
}

static void teardown(void)
{
	tokens_done(&tokens);
}

START_TEST(a_token_is_good_once)
{
	char text[CRISVC_STREAMING_TOKEN_SIZE];
	struct request *q, *found;
	int one = 1;

	q = request(&one);
	ck_assert_int_eq(tokens_add(&tokens, q, 0, text), 0);
	ck_assert_uint_eq(strlen(text), 32);
	ck_assert_uint_eq(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 32);
	ck_assert_uint_eq(tokens_count(&tokens, 0), 1);
	found = tokens_use(&tokens, text, 32, MINUTE - 1);
	ck_assert_ptr_eq(found, q);
	ck_assert_ptr_null(tokens_use(&tokens, text, 32, 0));
	ck_assert_int_eq(released, 0);
	request_unref(found);
	ck_assert_int_eq(released, 1);
}
END_TEST

START_TEST(other_texts_are_no_tokens)
{
	char text[CRISVC_STREAMING_TOKEN_SIZE];
	int one = 1;

	ck_assert_int_eq(tokens_add(&tokens, request(&one), 0, text), 0);
	ck_assert_ptr_null(tokens_use(&tokens, text, 31, 0));
	ck_assert_ptr_null(tokens_use(&tokens, "", 0, 0));
	for (int i = 0; i < 32; i++) {
		text[i] ^= 1;
		ck_assert_ptr_null(tokens_use(&tokens, text, 32, 0));
		text[i] ^= 1;
	}
	ck_assert_uint_eq(tokens_count(&tokens, 0), 1);
}
END_TEST

START_TEST(a_minute_later_it_is_gone)
{
	char text[CRISVC_STREAMING_TOKEN_SIZE];
	int one = 1;

	ck_assert_int_eq(tokens_add(&tokens, request(&one), 5, text), 0);
	ck_assert_uint_eq(tokens_count(&tokens, 4 + MINUTE), 1);
	ck_assert_ptr_null(tokens_use(&tokens, text, 32, 5 + MINUTE));
	ck_assert_int_eq(released, 1);
	ck_assert_uint_eq(tokens_count(&tokens, 0), 0);
}
END_TEST

START_TEST(there_is_a_limit_until_some_expire)
{
	char first[CRISVC_STREAMING_TOKEN_SIZE], text[CRISVC_STREAMING_TOKEN_SIZE];
	struct request *q;
	int one = 1;

	ck_assert_int_eq(tokens_add(&tokens, request(&one), 0, first), 0);
	for (int i = 1; i < CRISVC_STREAMING_TOKENS_MAX; i++) {
		ck_assert_int_eq(tokens_add(&tokens, request(&one), i, text), 0);
		ck_assert_str_ne(first, text);
	}
	q = request(&one);
	ck_assert_int_eq(tokens_add(&tokens, q, 0, text), CRISVC_STREAMING_E_LIMIT);
	ck_assert_int_eq(released, 0);
	ck_assert_int_eq(tokens_add(&tokens, q, MINUTE, text), 0);
	ck_assert_int_eq(released, 1);
}
END_TEST

START_TEST(a_request_goes_with_its_last_user)
{
	int one = 1;
	struct request *q = request(&one);

	ck_assert_ptr_eq(request_ref(q), q);
	ck_assert_ptr_null(request_unref(q));
	ck_assert_int_eq(released, 0);
	ck_assert_ptr_null(request_unref(q));
	ck_assert_int_eq(released, 1);
	ck_assert_ptr_null(request_unref(NULL));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("token");
	TCase *t = tcase_create("token");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_token_is_good_once);
	tcase_add_test(t, other_texts_are_no_tokens);
	tcase_add_test(t, a_minute_later_it_is_gone);
	tcase_add_test(t, there_is_a_limit_until_some_expire);
	tcase_add_test(t, a_request_goes_with_its_last_user);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
