/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

static struct cnic *c;

static void setup(void)
{
	scratch_setup();
	c = new_cnic(true, NULL);
}

static void teardown(void)
{
	c = cnic_free(c);
	scratch_teardown();
}

static const char list[] =
	"{\"name\":\"net\",\"cniVersion\":\"0.4.0\",\"plugins\":[{\"type\":\"one\"}]}\n";

static int save(const char *id, char *const *args, const char *caps)
{
	static const char text[] = "{\"ips\":[{\"address\":\"10.0.0.2/"
				   "8\",\"interface\":0}],\"interfaces\":[{\"name\":\"e\"}]}";
	struct json_doc *doc = NULL, *cdoc = NULL;
	struct cnic_result *result = NULL;
	struct cnic_error err = { 0 };
	struct cnic_network *n = NULL;
	struct call call = {
		.container_id = id, .netns = "/run/netns/x", .ifname = "eth0", .args = args
	};
	int r;

	ck_assert_int_eq(network_parse_list(list, strlen(list), -1, &n, NULL), 0);
	ck_assert_int_eq(json_parse(text, strlen(text), 0, &doc, NULL), 0);
	ck_assert_int_eq(result_parse(json_root(doc), "0.4.0", &result, NULL), 0);
	if (caps)
		ck_assert_int_eq(json_parse(caps, strlen(caps), 0, &cdoc, NULL), 0);
	call.capabilities = json_root(cdoc);
	r = cache_save(c, n, &call, result, &err);
	ck_assert_msg(r == 0 || err.message[0], "no message");
	cnic_result_free(result);
	network_unref(n);
	json_doc_free(doc);
	json_doc_free(cdoc);
	return r;
}

START_TEST(the_file_is_libcnis_byte_for_byte)
{
	char **args = VECTOR("IgnoreUnknown", "1", "K8S_POD_NAME", "<a>");
	struct stat st;
	char *text;

	ck_assert_int_eq(save("c1", args, "{\"z\":{\"y\":2,\"x\":1},\"cgroupPath\":\"/k\"}"), 0);
	text = get("cache/net-c1-eth0");
	ck_assert_str_eq(text, "{\"kind\":\"cniCacheV1\",\"containerId\":\"c1\",\"config\":"
			       "\"eyJuYW1lIjoibmV0IiwiY25pVmVyc2lvbiI6IjAuNC4wIiwicGx1Z2lucyI6W3sid"
			       "HlwZSI6Im9uZSJ9XX0K\","
			       "\"ifName\":\"eth0\",\"networkName\":\"net\",\"netns\":\"/run/netns/"
			       "x\",\"cniArgs\":[[\"IgnoreUnknown\",\"1\"],"
			       "[\"K8S_POD_NAME\",\"\\u003ca\\u003e\"]],\"capabilityArgs\":{"
			       "\"cgroupPath\":\"/k\",\"z\":{\"y\":2,\"x\":1}},"
			       "\"result\":{\"cniVersion\":\"0.4.0\",\"dns\":{},\"interfaces\":[{"
			       "\"name\":\"e\"}],\"ips\":[{\"address\":"
			       "\"10.0.0.2/8\",\"interface\":0,\"version\":\"4\"}]}}");
	free(text);
	ck_assert_int_eq(stat(at("cache/net-c1-eth0"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(stat(at("cache"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
}
END_TEST

START_TEST(what_was_saved_is_loaded)
{
	char **args = VECTOR("K", "v");
	struct record *rec = NULL;

	ck_assert_int_eq(save("c1", args, "{\"a\":1}"), 0);
	ck_assert_int_eq(cache_load(c, "net", "c1", "eth0", &rec, NULL), 0);
	ck_assert_str_eq(rec->config, list);
	ck_assert_uint_eq(rec->config_len, strlen(list));
	ck_assert_str_eq(rec->args[1], "v");
	ck_assert_int_eq(json_get_int(rec->capabilities, "a", 0), 1);
	ck_assert_str_eq(json_get_string(rec->result, "cniVersion"), "0.4.0");
	record_free(rec);
	rec = NULL;
	ck_assert_int_eq(cache_load(c, "net", "c2", "eth0", &rec, NULL), CNIC_E_NOT_CACHED);
	ck_assert_int_eq(cache_load(c, "net", "c1", "eth1", &rec, NULL), CNIC_E_NOT_CACHED);
	ck_assert_ptr_null(rec);
}
END_TEST

START_TEST(empty_arguments_are_left_out)
{
	char *none[] = { NULL }, *text;

	ck_assert_int_eq(save("c1", none, "{}"), 0);
	text = get("cache/net-c1-eth0");
	ck_assert_ptr_null(strstr(text, "cniArgs"));
	ck_assert_ptr_null(strstr(text, "capabilityArgs"));
	free(text);
}
END_TEST

START_TEST(damaged_files_are_invalid_not_fatal)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"null",
		"{}",
		"{\"kind\":\"other\"}",
		"{\"kind\":1}",
		"{\"kind\":\"cniCacheV1\"}",
		"{\"kind\":\"cniCacheV1\",\"containerId\":\"c1\",\"ifName\":\"eth0\","
		"\"networkName\":\"net\",\"config\":\"*\"}",
		"{\"kind\":\"cniCacheV1\",\"containerId\":\"c1\",\"ifName\":\"eth0\","
		"\"networkName\":\"net\",\"config\":1}",
		"{\"kind\":\"cniCacheV1\",\"containerId\":\"c1\",\"ifName\":\"eth0\","
		"\"networkName\":\"net\",\"config\":\"\","
		"\"cniArgs\":[[\"a\"]]}",
		"{\"kind\":\"cniCacheV1\",\"containerId\":\"c1\",\"ifName\":\"eth0\","
		"\"networkName\":\"net\",\"config\":\"\","
		"\"cniArgs\":[[\"a\",1]]}",
		"{\"kind\":\"cniCacheV1\",\"containerId\":\"c1\\u0000\",\"ifName\":\"eth0\","
		"\"networkName\":\"net\",\"config\":\"\"}",
	};
	struct cnic_error err = { 0 };
	struct record *rec = NULL;
	char **ids = NULL;

	ck_assert_int_eq(mkdir(at("cache"), 0700), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put("cache/net-c1-eth0", bad[i]);
		ck_assert_msg(cache_load(c, "net", "c1", "eth0", &rec, &err) == CNIC_E_INVALID,
			      "%s", bad[i]);
		ck_assert_ptr_null(rec);
	}
	ck_assert_int_eq(cnic_cached_containers(c, &ids, &err), 0);
	ck_assert_uint_eq(strv_len(ids), 0);
	cnic_strv_free(ids);
	unlink(at("cache/net-c1-eth0"));
	ck_assert_int_eq(mkfifo(at("cache/net-c1-eth0"), 0600), 0);
	ck_assert_int_eq(cache_load(c, "net", "c1", "eth0", &rec, &err), CNIC_E_INVALID);
	unlink(at("cache/net-c1-eth0"));
	put("cache/net-c1-eth0", "{}");
	ck_assert_int_eq(truncate(at("cache/net-c1-eth0"), CACHE_FILE_MAX + 1), 0);
	ck_assert_int_eq(cache_load(c, "net", "c1", "eth0", &rec, &err), CNIC_E_INVALID);
}
END_TEST

START_TEST(a_file_about_another_attachment_is_not_believed)
{
	struct record *rec = NULL;
	char *text;

	ck_assert_int_eq(save("c1", NULL, NULL), 0);
	text = get("cache/net-c1-eth0");
	put("cache/net-c9-eth0", text);
	free(text);
	ck_assert_int_eq(cache_load(c, "net", "c9", "eth0", &rec, NULL), CNIC_E_NOT_CACHED);
}
END_TEST

START_TEST(a_bare_result_of_old_libcni_is_understood)
{
	struct record *rec = NULL;

	ck_assert_int_eq(mkdir(at("cache"), 0700), 0);
	put("cache/net-c1-eth0", "{\"cniVersion\":\"0.3.1\",\"ips\":[]}");
	ck_assert_int_eq(cache_load(c, "net", "c1", "eth0", &rec, NULL), 0);
	ck_assert_ptr_null(rec->config);
	ck_assert_str_eq(json_get_string(rec->result, "cniVersion"), "0.3.1");
	record_free(rec);
}
END_TEST

START_TEST(containers_are_listed_once_and_foreign_files_passed_over)
{
	char **ids = NULL, **nets = NULL;

	ck_assert_int_eq(cnic_cached_containers(c, &ids, NULL), 0); /* no directory */
	ck_assert_ptr_nonnull(ids);
	ck_assert_uint_eq(strv_len(ids), 0);
	cnic_strv_free(ids);
	ck_assert_int_eq(save("c1", NULL, NULL), 0);
	ck_assert_int_eq(save("c2", NULL, NULL), 0);
	put("cache/.tmp-x", "{");
	put("cache/readme", "hello");
	ck_assert_int_eq(mkdir(at("cache/dir"), 0700), 0);
	ck_assert_int_eq(cnic_cached_containers(c, &ids, NULL), 0);
	ck_assert_uint_eq(strv_len(ids), 2);
	ck_assert(strv_has(ids, "c1") && strv_has(ids, "c2"));
	cnic_strv_free(ids);
	ck_assert_int_eq(cache_networks(c, "c1", "eth0", &nets, NULL), 0);
	ck_assert_uint_eq(strv_len(nets), 1);
	ck_assert_str_eq(nets[0], "net");
	strv_free(nets);
}
END_TEST

START_TEST(removing_twice_is_fine)
{
	ck_assert_int_eq(cache_remove(c, "net", "c1", "eth0", NULL), 0); /* no directory */
	ck_assert_int_eq(save("c1", NULL, NULL), 0);
	ck_assert_int_eq(cache_remove(c, "net", "c1", "eth0", NULL), 0);
	ck_assert(!exists("cache/net-c1-eth0"));
	ck_assert_int_eq(cache_remove(c, "net", "c1", "eth0", NULL), 0);
}
END_TEST

START_TEST(a_name_too_long_for_a_file_is_refused)
{
	char id[300];

	memset(id, 'a', sizeof(id));
	id[246] = 0;
	ck_assert_int_eq(save(id, NULL, NULL), 0); /* "net-" + 246 + "-eth0" = 255 */
	id[246] = 'a';
	id[247] = 0;
	ck_assert_int_eq(save(id, NULL, NULL), CNIC_E_INVALID);
}
END_TEST

/* Written by libcni, in podman 4.3.1 of Debian 12. */
static const char foreign[] =
	"{\"kind\":\"cniCacheV1\",\"containerId\":"
	"\"bbd78824cfb2e8487da33850822847bb204fe505db8fa6f56b84"
	"8da14ec1f6e0\",\"config\":"
	"\"eyJjbmlWZXJzaW9uIjoiMC40LjAiLCJuYW1lIjoicG9kbWFuIiwicGx1Z2lucyI6"
	"W3sidHlwZSI6ImJyaWRnZSIsImJyaWRnZSI6ImNuaS1wb2RtYW4wIiwiaXNHYXRld2F5Ijp0cnVlLCJpcE1hc3Ei"
	"OnRydWUsImhhaXJwaW5Nb2RlIjp0cnVlLCJpcGFtIjp7InR5cGUiOiJob3N0LWxvY2FsIiwicm91dGVzIjpbeyJk"
	"c3QiOiIwLjAuMC4wLzAifV0sInJhbmdlcyI6W1t7InN1Ym5ldCI6IjEwLjg4LjAuMC8xNiIsImdhdGV3YXkiOiIx"
	"MC44OC4wLjEifV1dfX0seyJ0eXBlIjoicG9ydG1hcCIsImNhcGFiaWxpdGllcyI6eyJwb3J0TWFwcGluZ3MiOnRy"
	"dWV9fSx7InR5cGUiOiJmaXJld2FsbCJ9LHsidHlwZSI6InR1bmluZyJ9XX0K\",\"ifName\":\"eth0\","
	"\"networkNa"
	"me\":\"podman\",\"cniArgs\":[[\"IgnoreUnknown\",\"1\"],[\"K8S_POD_NAME\",\"t\"]],"
	"\"capabilityArgs\":{\"a"
	"liases\":{\"podman\":[\"bbd78824cfb2\"]},\"portMappings\":[{\"hostPort\":18081,"
	"\"containerPort\":80"
	",\"protocol\":\"tcp\"}]},\"result\":{\"cniVersion\":\"0.4.0\",\"dns\":{},\"interfaces\":[{"
	"\"mac\":\"a6:77"
	":32:43:0b:94\",\"name\":\"cni-podman0\"},{\"mac\":\"36:89:04:89:19:48\",\"name\":"
	"\"veth0659c73d\"},{\""
	"mac\":\"ce:d7:c8:34:94:9e\",\"name\":\"eth0\",\"sandbox\":\"/run/netns/"
	"netns-d9625335-69a5-fce5-33"
	"0b-ec10dec9c7fb\"}],\"ips\":[{\"address\":\"10.88.0.2/"
	"16\",\"gateway\":\"10.88.0.1\",\"interface\":2,"
	"\"version\":\"4\"}],\"routes\":[{\"dst\":\"0.0.0.0/0\"}]}}";

START_TEST(what_libcni_wrote_is_written_again_byte_for_byte)
{
	char *name = strf("podman-%s-eth0",
			  "bbd78824cfb2e8487da33850822847bb204fe505db8fa6f56b848da14ec1f6e0");
	char *path = strf("cache/%s", name), *text;
	struct cnic_result *result = NULL;
	struct record *rec = NULL;
	struct cnic_network *n = NULL;
	struct call call = { .ifname = "eth0" };

	ck_assert_int_eq(mkdir(at("cache"), 0700), 0);
	put(path, foreign);
	ck_assert_int_eq(cache_load(c, "podman", name + 7, "eth0", &rec, NULL), CNIC_E_NOT_CACHED);
	name[7 + 64] = 0;
	ck_assert_int_eq(cache_load(c, "podman", name + 7, "eth0", &rec, NULL), 0);
	ck_assert_int_eq(network_parse_list(rec->config, rec->config_len, -1, &n, NULL), 0);
	ck_assert_int_eq(result_parse(rec->result, n->version, &result, NULL), 0);
	call.container_id = name + 7;
	call.args = rec->args;
	call.capabilities = rec->capabilities;
	unlink(at(path));
	ck_assert_int_eq(cache_save(c, n, &call, result, NULL), 0);
	text = get(path);
	ck_assert_str_eq(text, foreign);
	free(text);
	free(name);
	free(path);
	record_free(rec);
	network_unref(n);
	cnic_result_free(result);
}
END_TEST

RUN_TESTS_WITH("cache", setup, teardown, what_libcni_wrote_is_written_again_byte_for_byte,
	       the_file_is_libcnis_byte_for_byte, what_was_saved_is_loaded,
	       empty_arguments_are_left_out, damaged_files_are_invalid_not_fatal,
	       a_file_about_another_attachment_is_not_believed,
	       a_bare_result_of_old_libcni_is_understood,
	       containers_are_listed_once_and_foreign_files_passed_over, removing_twice_is_fine,
	       a_name_too_long_for_a_file_is_refused)
