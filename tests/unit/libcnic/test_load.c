/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#define LIST(name)                                                                                 \
	"{\"name\":\"" name "\",\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"one\"}]}"

static void ck_default(struct cnic *c, const char *expected)
{
	char *name = NULL;

	ck_assert_int_eq(cnic_default_network(c, &name), 0);
	ck_assert_str_eq(name, expected);
	free(name);
}

static void setup(void)
{
	scratch_setup();
	put("bin/one", "");
	put("bin/two", "");
}

START_TEST(without_files_there_is_no_network)
{
	struct cnic *c = new_cnic(true, NULL);
	struct cnic_error err = { 0 };
	char *name = NULL;

	ck_assert_int_eq(cnic_status(c, 1000, &err), CNIC_E_NO_NETWORK); /* not even loaded */
	ck_assert_int_eq(cnic_reload(c, &err), CNIC_E_NO_NETWORK);
	ck_assert_int_eq(err.code, CNIC_E_NO_NETWORK);
	ck_assert_ptr_nonnull(strstr(err.message, "no CNI configuration file in "));
	ck_assert_ptr_nonnull(strstr(err.message, "Has your network provider started?"));
	ck_assert_int_eq(cnic_default_network(c, &name), CNIC_E_NO_NETWORK);
	ck_assert_int_eq(cnic_status(c, 1000, &err), CNIC_E_NO_NETWORK);
	ck_assert_ptr_nonnull(strstr(err.message, "no CNI configuration file in "));
	ck_assert_int_eq(rm_rf_at(AT_FDCWD, at("conf")), 0);
	ck_assert_int_eq(cnic_reload(c, &err), CNIC_E_NO_NETWORK);
	cnic_free(c);
}
END_TEST

START_TEST(the_first_file_in_lexical_order_is_the_default)
{
	struct cnic *c = new_cnic(true, NULL);
	struct cnic_error err = { 0 };

	put("conf/20-b.conflist", LIST("b"));
	put("conf/10-a.conf", "{\"name\":\"a\",\"cniVersion\":\"0.4.0\",\"type\":\"two\"}");
	put("conf/100-c.json", "{\"name\":\"c\",\"type\":\"two\"}");
	put("conf/05-no.txt", LIST("no"));
	ck_assert_int_eq(mkdir(at("conf/00.conflist"), 0700), 0);
	ck_assert_int_eq(cnic_reload(c, &err), 0);
	ck_assert_str_eq(err.message, "");
	ck_default(c, "a");
	unlink(at("conf/10-a.conf"));
	ck_assert_int_eq(cnic_reload(c, &err), 0);
	ck_default(c, "c"); /* "100-c.json" < "20-b.conflist" */
	cnic_free(c);
}
END_TEST

START_TEST(a_named_default_is_never_replaced)
{
	struct cnic *c = new_cnic(true, "b");
	struct cnic_error err = { 0 };

	put("conf/10-a.conflist", LIST("a"));
	ck_assert_int_eq(cnic_reload(c, &err), CNIC_E_NO_NETWORK);
	ck_assert_ptr_nonnull(strstr(err.message, "CNI network \"b\" not found in "));
	put("conf/20-b.conflist", LIST("b"));
	ck_assert_int_eq(cnic_reload(c, &err), 0);
	ck_default(c, "b");
	cnic_free(c);
}
END_TEST

START_TEST(of_two_files_with_one_name_the_first_counts)
{
	struct cnic *c = new_cnic(true, NULL);
	struct network_set *set;

	put("conf/10-x.conflist", LIST("x"));
	put("conf/20-x.conflist",
	    "{\"name\":\"x\",\"cniVersion\":\"0.4.0\",\"plugins\":[{\"type\":\"two\"}]}");
	ck_assert_int_eq(cnic_reload(c, NULL), 0);
	set = networks_now(c);
	ck_assert_uint_eq(set->n, 1);
	ck_assert_str_eq(network_set_find(set, "x")->plugins[0].type, "one");
	ck_assert_ptr_null(network_set_find(set, "y"));
	network_set_unref(set);
	cnic_free(c);
}
END_TEST

START_TEST(unusable_files_are_skipped_and_named)
{
	struct cnic *c = new_cnic(true, NULL);
	struct cnic_error err = { 0 };

	put("conf/01-torn.conflist", "{\"name\":\"x\"");
	put("conf/02-missing.conflist",
	    "{\"name\":\"m\",\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"nowhere\"}]}");
	put("conf/03-version.conflist",
	    "{\"name\":\"v\",\"cniVersion\":\"0.3.0\",\"plugins\":[{\"type\":\"one\"}]}");
	put("conf/04-good.conflist", LIST("good"));
	ck_assert_int_eq(mkfifo(at("conf/05-fifo.conf"), 0600), 0);
	ck_assert_int_eq(cnic_reload(c, &err), 0);
	ck_assert_int_eq(err.code, 0);
	ck_default(c, "good");
	ck_assert_ptr_nonnull(strstr(err.message, "skipped 01-torn.conflist: not a JSON document"));
	ck_assert_ptr_nonnull(
		strstr(err.message, "02-missing.conflist: failed to find plugin \"nowhere\" in path ["));
	ck_assert_ptr_nonnull(strstr(
		err.message, "03-version.conflist: plugin one does not support config version "
			     "\"0.3.0\""));
	unlink(at("conf/04-good.conflist"));
	ck_assert_int_eq(cnic_reload(c, &err), CNIC_E_NO_NETWORK);
	ck_assert_ptr_nonnull(strstr(
		err.message, "Has your network provider started? (skipped 01-torn.conflist"));
	cnic_free(c);
}
END_TEST

START_TEST(an_oversized_file_is_skipped)
{
	struct cnic *c = new_cnic(true, NULL);
	struct cnic_error err = { 0 };

	put("conf/10-big.conflist", LIST("big"));
	ck_assert_int_eq(truncate(at("conf/10-big.conflist"), CONF_FILE_MAX + 1), 0);
	ck_assert_int_eq(cnic_reload(c, &err), CNIC_E_NO_NETWORK);
	ck_assert_ptr_nonnull(strstr(err.message, "10-big.conflist: read"));
	cnic_free(c);
}
END_TEST

START_TEST(an_unreadable_directory_leaves_what_was_loaded)
{
	struct cnic *c = new_cnic(true, NULL);
	struct cnic_error err = { 0 };

	put("conf/10-a.conflist", LIST("a"));
	ck_assert_int_eq(cnic_reload(c, &err), 0);
	ck_assert_int_eq(rm_rf_at(AT_FDCWD, at("conf")), 0);
	put("conf", "not a directory");
	ck_assert_int_eq(cnic_reload(c, &err), -ENOTDIR);
	ck_default(c, "a");
	cnic_free(c);
}
END_TEST

RUN_TESTS_WITH("load", setup, scratch_teardown, without_files_there_is_no_network,
	       the_first_file_in_lexical_order_is_the_default, a_named_default_is_never_replaced,
	       of_two_files_with_one_name_the_first_counts, unusable_files_are_skipped_and_named,
	       an_oversized_file_is_skipped, an_unreadable_directory_leaves_what_was_loaded)
