/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <cimage.h>
#include <cnic.h>
#include <crisvc.h>
#include <cstorage.h>
#include <ocispec.h>
#include "errors.h"

START_TEST(library_conditions_become_the_daemons)
{
	struct cimage_error ie = { .code = CIMAGE_E_NOT_FOUND,
				   .sys_errno = 0,
				   .message = "no such tag" };
	struct cstore_error se = { .code = CSTORE_E_IN_USE, .message = "used by container x" };
	struct cb_error err = { 0 };

	ck_assert_int_eq(err_from_cimage(&err, CIMAGE_E_NOT_FOUND, &ie), E_NOT_FOUND);
	ck_assert_int_eq(err.code, E_NOT_FOUND);
	ck_assert_str_eq(err.message, "no such tag");
	ck_assert_int_eq(err_from_cstore(&err, CSTORE_E_IN_USE, &se), E_IN_USE);
	ck_assert_int_eq(err.code, E_IN_USE);
	ck_assert_str_eq(err.message, "used by container x");
	/* A null error is fine; a condition of a newer library is no condition of ours. */
	ck_assert_int_eq(err_from_cstore(NULL, CSTORE_E_LIMIT, &se), E_LIMIT);
	ck_assert_int_eq(err_from_cimage(NULL, 1000, &ie), E_FAILED);
}
END_TEST

START_TEST(every_condition_has_a_meaning)
{
	struct cimage_error ie = { .message = "" };
	struct cstore_error se = { .message = "" };
	struct cnic_error ne = { .message = "" };
	struct ocispec_error oe = { .message = "" };

	for (int i = 1; i <= CIMAGE_E_BUSY; i++)
		ck_assert_int_gt(err_from_cimage(NULL, i, &ie), 0);
	for (int i = 1; i <= CSTORE_E_CANCELLED; i++)
		ck_assert_int_gt(err_from_cstore(NULL, i, &se), 0);
	for (int i = 1; i <= CNIC_E_CANCELLED; i++)
		ck_assert_int_gt(err_from_cnic(NULL, i, &ne), 0);
	for (int i = 1; i <= OCISPEC_E_LIMIT; i++)
		ck_assert_int_gt(err_from_ocispec(NULL, i, &oe), 0);
	for (int i = 1; i <= E_FAILED; i++)
		ck_assert_int_gt(err_to_grpc(i), CRISVC_OK);
}
END_TEST

START_TEST(unexpected_errnos_pass_through)
{
	struct cnic_error ne = { .code = 0,
				 .sys_errno = ENOSPC,
				 .message = "write cache: No space left on device" };
	struct cb_error err = { .code = 5 };

	ck_assert_int_eq(err_from_cnic(&err, -ENOSPC, &ne), -ENOSPC);
	ck_assert_int_eq(err.code, 0);
	ck_assert_int_eq(err.sys_errno, ENOSPC);
	ck_assert_int_eq(err_to_grpc(-ENOSPC), CRISVC_INTERNAL);
	ck_assert_int_eq(err_to_grpc(0), CRISVC_OK);
}
END_TEST

START_TEST(plugin_that_says_later_is_unavailable)
{
	struct cnic_error ne = { .code = CNIC_E_PLUGIN, .message = "x", .plugin_code = 11 };
	struct cb_error err = { 0 };

	ck_assert_int_eq(err_from_cnic(&err, CNIC_E_PLUGIN, &ne), E_UNAVAILABLE);
	ck_assert_int_eq(err.code, E_UNAVAILABLE);
	ne.plugin_code = 7;
	ck_assert_int_eq(err_from_cnic(&err, CNIC_E_PLUGIN, &ne), E_FAILED);
	ck_assert_int_eq(err.code, E_FAILED);
}
END_TEST

START_TEST(kubelet_finds_its_words_at_the_start)
{
	struct cb_error buf, *err = &buf;

	err_set(err, E_UNAVAILABLE, "connect 127.0.0.1:1: refused");
	err_pull_prefix(err, E_UNAVAILABLE);
	ck_assert_str_eq(err->message, "RegistryUnavailable: connect 127.0.0.1:1: refused");
	err_pull_prefix(err, E_UNAVAILABLE);
	ck_assert_str_eq(err->message, "RegistryUnavailable: connect 127.0.0.1:1: refused");
	ck_assert_int_eq(err_pull_to_grpc(E_UNAVAILABLE), CRISVC_UNKNOWN);
	err_set(err, E_POLICY, "rejected");
	err_pull_prefix(err, E_POLICY);
	ck_assert_str_eq(err->message, "SignatureValidationFailed: rejected");
	ck_assert_int_eq(err_pull_to_grpc(E_POLICY), CRISVC_UNKNOWN);
	err_set(err, E_NOT_FOUND, "no such tag");
	err_pull_prefix(err, E_NOT_FOUND);
	ck_assert_str_eq(err->message, "no such tag");
	ck_assert_int_eq(err_pull_to_grpc(E_NOT_FOUND), CRISVC_NOT_FOUND);
	err_pull_prefix(NULL, E_POLICY);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("errors");
	TCase *t = tcase_create("errors");
	SRunner *r;
	int failed;

	tcase_add_test(t, library_conditions_become_the_daemons);
	tcase_add_test(t, every_condition_has_a_meaning);
	tcase_add_test(t, unexpected_errnos_pass_through);
	tcase_add_test(t, plugin_that_says_later_is_unavailable);
	tcase_add_test(t, kubelet_finds_its_words_at_the_start);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
