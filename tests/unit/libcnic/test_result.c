/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

static int read_result(const char *text, const char *version, struct cnic_result **ret,
		       struct cnic_error *err)
{
	struct json_doc *doc = NULL;
	int r;

	ck_assert_msg(json_parse(text, strlen(text), 0, &doc, NULL) == 0, "%s", text);
	r = result_parse(json_root(doc), version, ret, err);
	json_doc_free(doc);
	return r;
}

/* Reads a result and writes it in another version. */
static void ck_converts(const char *text, const char *to, const char *expected)
{
	struct json_doc *doc = json_doc_new();
	struct cnic_result *result = NULL;
	struct cnic_error err = { 0 };
	struct str out = STR_INIT;

	ck_assert_msg(read_result(text, "1.0.0", &result, &err) == 0, "%s", err.message);
	ck_assert_int_eq(json_format(doc, result_as(result, to, doc), 0, &out), 0);
	ck_assert_str_eq(out.data, expected);
	str_done(&out);
	json_doc_free(doc);
	cnic_result_free(result);
}

static const char full[] = "{\"cniVersion\":\"1.1.0\",\"interfaces\":[{\"name\":\"eth0\",\"mac\":"
			   "\"aa:bb:cc:dd:ee:ff\","
			   "\"mtu\":1450,\"sandbox\":\"/n\",\"socketPath\":\"/"
			   "s\",\"pciID\":\"p\"}],\"ips\":[{\"interface\":0,\"address\":"
			   "\"10.0.0.2/24\",\"gateway\":\"10.0.0.1\"},{\"address\":\"fd00::2/"
			   "64\"}],\"routes\":[{\"dst\":\"0.0.0.0/0\","
			   "\"gw\":\"10.0.0.1\",\"mtu\":1400,\"priority\":5,\"table\":0,\"scope\":"
			   "253},{\"dst\":\"fd01::/16\"}],\"dns\":"
			   "{\"nameservers\":[\"10.0.0.53\"],\"domain\":\"x\",\"search\":[\"a\","
			   "\"b\"],\"options\":[\"ndots:1\"]}}";

/* As libcni prints it: by key. */
static const char full_sorted[] =
	"{\"cniVersion\":\"1.1.0\",\"dns\":{\"domain\":\"x\",\"nameservers\":[\"10.0.0.53\"],"
	"\"options\":[\"ndots:1\"],\"search\":[\"a\",\"b\"]},\"interfaces\":[{\"mac\":"
	"\"aa:bb:cc:dd:ee:ff\",\"mtu\":1450,\"name\":\"eth0\",\"pciID\":\"p\",\"sandbox\":\"/n\","
	"\"socketPath\":\"/s\"}],\"ips\":[{\"address\":\"10.0.0.2/24\",\"gateway\":\"10.0.0.1\","
	"\"interface\":0},{\"address\":\"fd00::2/64\"}],\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":"
	"\"10.0.0.1\",\"mtu\":1400,\"priority\":5,\"scope\":253,\"table\":0},{\"dst\":"
	"\"fd01::/16\"}]}";

START_TEST(the_newest_form_is_kept_whole)
{
	ck_converts(full, "1.1.0", full);
}
END_TEST

START_TEST(version_0_4_says_the_family_and_less)
{
	ck_converts(full, "0.4.0",
		    "{\"cniVersion\":\"0.4.0\",\"interfaces\":[{\"name\":\"eth0\",\"mac\":"
		    "\"aa:bb:cc:dd:ee:ff\",\"sandbox\":\"/"
		    "n\"}],\"ips\":[{\"interface\":0,\"address\":\"10.0.0.2/24\","
		    "\"gateway\":\"10.0.0.1\",\"version\":\"4\"},{\"address\":\"fd00::2/"
		    "64\",\"version\":\"6\"}],"
		    "\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.0.0.1\",\"mtu\":1400,"
		    "\"priority\":5,\"table\":0,\"scope\":253},{\"dst\":\"fd01::/16\"}],\"dns\":"
		    "{\"nameservers\":[\"10.0.0.53\"],\"domain\":\"x\",\"search\":[\"a\",\"b\"],"
		    "\"options\":"
		    "[\"ndots:1\"]}}");
}
END_TEST

START_TEST(version_0_2_has_one_address_of_each_family)
{
	ck_converts(full, "0.2.0",
		    "{\"cniVersion\":\"0.2.0\",\"ip4\":{\"ip\":\"10.0.0.2/"
		    "24\",\"gateway\":\"10.0.0.1\","
		    "\"routes\":[{\"dst\":\"0.0.0.0/"
		    "0\",\"gw\":\"10.0.0.1\"}]},\"ip6\":{\"ip\":\"fd00::2/64\",\"routes\":"
		    "[{\"dst\":\"fd01::/"
		    "16\"}]},\"dns\":{\"nameservers\":[\"10.0.0.53\"],\"domain\":\"x\",\"search\":"
		    "[\"a\",\"b\"],\"options\":[\"ndots:1\"]}}");
}
END_TEST

START_TEST(old_results_are_read)
{
	ck_converts("{\"cniVersion\":\"0.3.1\",\"interfaces\":[{\"name\":\"a\",\"mtu\":0}],\"ips\":"
		    "[{\"version\":\"4\","
		    "\"interface\":-1,\"address\":\"10.1.2.3/16\"}],\"extra\":1}",
		    "1.0.0",
		    "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"a\"}],\"ips\":[{"
		    "\"interface\":-1,\"address\":\"10.1.2.3/16\"}]}");
	ck_converts(
		"{\"cniVersion\":\"0.2.0\",\"ip4\":{\"ip\":\"10.1.2.3/"
		"16\",\"gateway\":\"10.1.0.1\",\"routes\":"
		"[{\"dst\":\"0.0.0.0/0\"}]},\"ip6\":{\"ip\":\"FD00:0::5/64\"},\"dns\":{}}",
		"1.1.0",
		"{\"cniVersion\":\"1.1.0\",\"ips\":[{\"address\":\"10.1.2.3/"
		"16\",\"gateway\":\"10.1.0.1\"},"
		"{\"address\":\"fd00::5/64\"}],\"routes\":[{\"dst\":\"0.0.0.0/0\"}]}");
	ck_converts("{\"cniVersion\":\"0.1.0\"}", "1.1.0", "{\"cniVersion\":\"1.1.0\"}");
}
END_TEST

START_TEST(a_result_without_version_has_that_of_its_configuration)
{
	struct cnic_result *r = NULL;

	ck_assert_int_eq(read_result("{\"ip4\":{\"ip\":\"1.2.3.4/8\"}}", "0.2.0", &r, NULL), 0);
	ck_assert_uint_eq(cnic_result_ip_count(r), 1);
	ck_assert_str_eq(cnic_result_ip(r, 0), "1.2.3.4");
	r = cnic_result_free(r);
	ck_assert_int_eq(read_result("{\"cniVersion\":\"\",\"ips\":[]}", "1.0.0", &r, NULL), 0);
	ck_assert_uint_eq(cnic_result_ip_count(r), 0);
	ck_assert_ptr_null(cnic_result_ip(r, 0));
	ck_assert_str_eq(cnic_result_json(r), "{\"cniVersion\":\"1.1.0\"}");
	cnic_result_free(r);
}
END_TEST

START_TEST(addresses_come_without_their_length_in_order)
{
	struct cnic_result *r = NULL;

	ck_assert_int_eq(read_result(full, "1.0.0", &r, NULL), 0);
	ck_assert_uint_eq(cnic_result_ip_count(r), 2);
	ck_assert_str_eq(cnic_result_ip(r, 0), "10.0.0.2");
	ck_assert_str_eq(cnic_result_ip(r, 1), "fd00::2");
	ck_assert_ptr_null(cnic_result_ip(r, 2));
	ck_assert_str_eq(cnic_result_json(r), full_sorted);
	cnic_result_free(r);
	ck_assert_ptr_null(cnic_result_json(NULL));
	ck_assert_ptr_null(cnic_result_free(NULL));
}
END_TEST

START_TEST(hostile_results_are_refused)
{
	static const char *const bad[] = {
		"[]",
		"1",
		"{\"cniVersion\":\"1.2.0\"}",
		"{\"cniVersion\":1}",
		"{\"cniVersion\":\"1.0.0\\u0000\"}",
		"{\"ips\":{}}",
		"{\"ips\":[1]}",
		"{\"ips\":[{}]}",
		"{\"ips\":[{\"address\":\"\"}]}",
		"{\"ips\":[{\"address\":\"10.0.0.2\"}]}",
		"{\"ips\":[{\"address\":\"10.0.0.2/33\"}]}",
		"{\"ips\":[{\"address\":\"10.0.0.2/-1\"}]}",
		"{\"ips\":[{\"address\":\"10.0.0.2/ 8\"}]}",
		"{\"ips\":[{\"address\":\"10.0.0.256/8\"}]}",
		"{\"ips\":[{\"address\":\"fe80::1%eth0/64\"}]}",
		"{\"ips\":[{\"address\":\"::1/129\"}]}",
		"{\"ips\":[{\"address\":\"x;rm -rf/8\"}]}",
		"{\"ips\":[{\"address\":\"10.0.0.2/8\",\"gateway\":\"gw\"}]}",
		"{\"ips\":[{\"address\":\"10.0.0.2/8\",\"interface\":\"0\"}]}",
		"{\"ips\":[{\"address\":\"10.0.0.2/8\",\"interface\":99999999999}]}",
		"{\"interfaces\":[{\"mac\":\"x\"}]}",
		"{\"interfaces\":[{\"name\":\"a\\u0000b\"}]}",
		"{\"interfaces\":[{\"name\":\"a\",\"mtu\":\"1\"}]}",
		"{\"routes\":[{\"gw\":\"10.0.0.1\"}]}",
		"{\"routes\":[{\"dst\":\"default\"}]}",
		"{\"dns\":[]}",
		"{\"dns\":{\"search\":\"x\"}}",
		"{\"dns\":{\"search\":[1]}}",
		"{\"cniVersion\":\"0.2.0\",\"ip4\":{}}",
		"{\"cniVersion\":\"0.2.0\",\"ip4\":7}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct cnic_error err = { 0 };
		struct cnic_result *r = NULL;

		ck_assert_msg(read_result(bad[i], "1.0.0", &r, &err) == CNIC_E_INVALID, "%s",
			      bad[i]);
		ck_assert_msg(str_starts(err.message, "result") || str_starts(err.message, "unsupported CNI result version"),
			      "%s", err.message);
		ck_assert_ptr_null(r);
	}
}
END_TEST

START_TEST(null_stands_for_absent)
{
	ck_converts("{\"cniVersion\":null,\"interfaces\":null,\"ips\":[{\"address\":\"10.0.0.2/"
		    "8\",\"interface\":null,"
		    "\"gateway\":\"\"}],\"routes\":[],\"dns\":null}",
		    "1.0.0",
		    "{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.0.0.2/8\"}]}");
}
END_TEST

RUN_TESTS("result", the_newest_form_is_kept_whole, version_0_4_says_the_family_and_less,
	  version_0_2_has_one_address_of_each_family, old_results_are_read,
	  a_result_without_version_has_that_of_its_configuration,
	  addresses_come_without_their_length_in_order, hostile_results_are_refused,
	  null_stands_for_absent)
