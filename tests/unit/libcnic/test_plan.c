/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

static const char text[] = "{\"name\":\"net\",\"cniVersion\":\"0.4.0\",\"plugins\":[{\"type\":"
			   "\"one\",\"name\":\"other\","
			   "\"capabilities\":{\"ports\":true,\"mac\":false,"
			   "\"unset\":true},\"runtimeConfig\":{\"old\":1}}]}";

static struct plan make(const struct call *call, char *const *environment)
{
	struct cnic *c = new_cnic(true, NULL);
	struct cnic_network *n = NULL;
	struct plan plan = { 0 };

	strv_free(c->base_env);
	ck_assert_int_eq(plan_base_env(environment, &c->base_env), 0);
	ck_assert_int_eq(strv_push(&c->o.plugin_dirs, "/second"), 0);
	ck_assert_int_eq(network_parse_list(text, strlen(text), -1, &n, NULL), 0);
	ck_assert_int_eq(plan_plugin(c, n, 0, call, &plan), 0);
	network_unref(n);
	cnic_free(c);
	return plan;
}

static bool has(const struct plan *p, const char *entry)
{
	return strv_has(p->env, entry);
}

START_TEST(the_environment_names_the_attachment)
{
	char **args = VECTOR("IgnoreUnknown", "1", "K8S_POD_NAME", "web");
	char **environment = VECTOR("PATH=/bin", "CNI_NETNS=/stale", "CNI_COMMAND=DEL",
				    "CNI_ARGS=X=1", "CNI_NETNS_OVERRIDE=1", "CNI_PATHS=keep");
	struct call call = { .command = "ADD",
			     .container_id = "c1",
			     .netns = "/n",
			     .ifname = "eth0",
			     .args = args };
	struct plan p = make(&call, environment);

	ck_assert(has(&p, "CNI_COMMAND=ADD") && has(&p, "CNI_CONTAINERID=c1") &&
		  has(&p, "CNI_NETNS=/n"));
	ck_assert(has(&p, "CNI_IFNAME=eth0") &&
		  has(&p, "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAME=web"));
	ck_assert(has(&p, "PATH=/bin") && has(&p, "CNI_NETNS_OVERRIDE=1") &&
		  has(&p, "CNI_PATHS=keep"));
	ck_assert(!has(&p, "CNI_NETNS=/stale") && !has(&p, "CNI_COMMAND=DEL"));
	ck_assert_uint_eq(strv_len(p.env), 9);
	for (char **e = p.env; *e; e++)
		if (str_starts(*e, "CNI_PATH="))
			ck_assert(str_ends(*e, "/bin:/second"));
	plan_done(&p);
}
END_TEST

START_TEST(commands_without_attachment_leave_it_empty)
{
	struct call call = { .command = "STATUS" };
	struct plan p = make(&call, NULL);

	ck_assert(has(&p, "CNI_COMMAND=STATUS") && has(&p, "CNI_CONTAINERID=") &&
		  has(&p, "CNI_NETNS="));
	ck_assert(has(&p, "CNI_IFNAME=") && has(&p, "CNI_ARGS="));
	plan_done(&p);
}
END_TEST

START_TEST(capability_arguments_are_filtered_per_plugin)
{
	static const char caps[] =
		"{\"ports\":[{\"hostPort\":80}],\"mac\":\"m\",\"odd\":1,\"unasked\":2}";
	struct json_doc *doc = NULL;
	struct call call = { .command = "ADD", .container_id = "c", .netns = "/n", .ifname = "e" };
	struct plan p;

	ck_assert_int_eq(json_parse(caps, strlen(caps), 0, &doc, NULL), 0);
	call.capabilities = json_root(doc);
	p = make(&call, NULL);
	ck_assert_str_eq(
		p.input,
		"{\"capabilities\":{\"mac\":false,\"ports\":true,\"unset\":true},"
		"\"cniVersion\":\"0.4.0\",\"name\":\"net\",\"runtimeConfig\":{\"ports\":[{"
		"\"hostPort\":80}]},"
		"\"type\":\"one\"}");
	ck_assert_uint_eq(p.input_len, strlen(p.input));
	plan_done(&p);
	json_doc_free(doc);
}
END_TEST

START_TEST(the_previous_result_is_in_the_lists_version)
{
	static const char prev[] =
		"{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.0.0.2/8\"}]}";
	struct call call = { .command = "ADD", .container_id = "c", .netns = "/n", .ifname = "e" };
	struct cnic_result *result = NULL;
	struct json_doc *doc = NULL;
	struct plan p;

	ck_assert_int_eq(json_parse(prev, strlen(prev), 0, &doc, NULL), 0);
	ck_assert_int_eq(result_parse(json_root(doc), "1.0.0", &result, NULL), 0);
	call.previous = result;
	p = make(&call, NULL);
	ck_assert_ptr_nonnull(
		strstr(p.input,
		       "\"prevResult\":{\"cniVersion\":\"0.4.0\",\"dns\":{},\"ips\":[{\"address\":"
		       "\"10.0.0.2/8\",\"version\":\"4\"}]}"));
	ck_assert_ptr_nonnull(strstr(p.input, "\"runtimeConfig\":{\"old\":1}"));
	plan_done(&p);
	cnic_result_free(result);
	json_doc_free(doc);
}
END_TEST

START_TEST(a_probe_pleases_old_plugins)
{
	struct cnic *c = new_cnic(true, NULL);
	struct plan p = { 0 };

	ck_assert_int_eq(plan_probe(c, &p), 0);
	ck_assert(has(&p, "CNI_COMMAND=VERSION") && has(&p, "CNI_NETNS=dummy") &&
		  has(&p, "CNI_IFNAME=dummy"));
	ck_assert(has(&p, "CNI_PATH=dummy") && has(&p, "CNI_CONTAINERID="));
	ck_assert_str_eq(p.input, "{\"cniVersion\":\"1.1.0\"}");
	plan_done(&p);
	cnic_free(c);
}
END_TEST

RUN_TESTS_WITH("plan", scratch_setup, scratch_teardown, the_environment_names_the_attachment,
	       commands_without_attachment_leave_it_empty,
	       capability_arguments_are_filtered_per_plugin,
	       the_previous_result_is_in_the_lists_version, a_probe_pleases_old_plugins)
