/* SPDX-License-Identifier: Apache-2.0 */
/* CRI messages as JSON: names, numbers, enums, bytes, maps, unset messages. */
#include "ctl_main.h"

static void json_is(const void *m, int flags, const char *text)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	_cleanup_str_ struct str s = STR_INIT;

	json_set_root(doc, message_to_json(doc, m, flags));
	ck_assert_int_eq(json_format(doc, json_root(doc), JSON_NO_HTML, &s), 0);
	ck_assert_str_eq(s.data, text);
}

START_TEST(scalars_have_their_json_form)
{
	CRI(ExecSyncResponse) exec = RUNTIME__V1__EXEC_SYNC_RESPONSE__INIT;
	CRI(IDMapping) map = RUNTIME__V1__IDMAPPING__INIT;
	CRI(Int64Value) i = RUNTIME__V1__INT64_VALUE__INIT;
	CRI(UInt64Value) u = RUNTIME__V1__UINT64_VALUE__INIT;

	exec.stdout = (ProtobufCBinaryData){ 4, (uint8_t *)pb("\xff\0ab") };
	exec.exit_code = -1;
	json_is(&exec, 0, "{\"stdout\":\"/wBhYg==\",\"stderr\":\"\",\"exitCode\":-1}");
	map.host_id = UINT32_MAX;
	json_is(&map, 0, "{\"hostId\":4294967295,\"containerId\":0,\"length\":0}");
	i.value = INT64_MIN;
	json_is(&i, 0, "{\"value\":\"-9223372036854775808\"}");
	u.value = UINT64_MAX;
	json_is(&u, 0, "{\"value\":\"18446744073709551615\"}");
}
END_TEST

START_TEST(enums_are_names_and_unknown_ones_numbers)
{
	CRI(NamespaceOption) o = RUNTIME__V1__NAMESPACE_OPTION__INIT;

	o.network = RUNTIME__V1__NAMESPACE_MODE__NODE;
	o.ipc = (CRI(NamespaceMode))77;
	json_is(&o, 0,
		"{\"network\":\"NODE\",\"pid\":\"POD\",\"ipc\":77,\"targetId\":\"\","
		"\"usernsOptions\":null}");
}
END_TEST

START_TEST(maps_are_objects_and_lists_arrays)
{
	CRI(ImageSpec__AnnotationsEntry)
	a = RUNTIME__V1__IMAGE_SPEC__ANNOTATIONS_ENTRY__INIT,
	b = a, c = a;
	CRI(ImageSpec__AnnotationsEntry) * entries[] = { &a, &b, &c };
	CRI(ImageSpec) spec = RUNTIME__V1__IMAGE_SPEC__INIT;
	CRI(Image) image = RUNTIME__V1__IMAGE__INIT;
	char *tags[] = { pb("x:1"), pb("x:2") };

	a.key = pb("k");
	a.value = pb("old");
	b.key = pb("\"");
	b.value = pb("<\n>");
	c.key = pb("k");
	c.value = pb("{\"last\":1}"); /* no "info": stays a string */
	spec.annotations = entries;
	spec.n_annotations = 3;
	image.spec = &spec;
	image.repo_tags = tags;
	image.n_repo_tags = 2;
	json_is(&image, MESSAGE_PARSE_INFO,
		"{\"id\":\"\",\"repoTags\":[\"x:1\",\"x:2\"],\"repoDigests\":[],\"size\":\"0\","
		"\"uid\":null,\"username\":\"\","
		"\"spec\":{\"image\":\"\","
		"\"annotations\":{\"k\":\"{\\\"last\\\":1}\",\"\\\"\":\"<\\n>\"},"
		"\"userSpecifiedImage\":\"\",\"runtimeHandler\":\"\",\"imageRef\":\"\"},"
		"\"pinned\":false}");
}
END_TEST

START_TEST(info_is_embedded_when_it_is_json)
{
	CRI(ImageStatusResponse__InfoEntry)
	a = RUNTIME__V1__IMAGE_STATUS_RESPONSE__INFO_ENTRY__INIT,
	b = a;
	CRI(ImageStatusResponse__InfoEntry) * entries[] = { &a, &b };
	CRI(ImageStatusResponse) r = RUNTIME__V1__IMAGE_STATUS_RESPONSE__INIT;

	a.key = pb("good");
	a.value = pb("{\"x\": [1, 2.50]}");
	b.key = pb("bad");
	b.value = pb("{\"x\": ");
	r.info = entries;
	r.n_info = 2;
	json_is(&r, MESSAGE_PARSE_INFO,
		"{\"image\":null,\"info\":{\"good\":{\"x\":[1,2.50]},\"bad\":\"{\\\"x\\\": \"}}");
	json_is(&r, 0,
		"{\"image\":null,\"info\":{\"good\":\"{\\\"x\\\": [1, 2.50]}\","
		"\"bad\":\"{\\\"x\\\": \"}}");
}
END_TEST

START_TEST(odd_field_names_are_those_of_protobuf)
{
	CRI(Mount) m = RUNTIME__V1__MOUNT__INIT;
	CRI(ContainerConfig) c = RUNTIME__V1__CONTAINER_CONFIG__INIT;
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	struct json *v = message_to_json(doc, &c.base, 0);

	ck_assert_ptr_nonnull(json_get(v, "CDIDevices"));
	ck_assert_ptr_nonnull(json_get(v, "stdinOnce"));
	v = message_to_json(doc, &m.base, 0);
	ck_assert_ptr_nonnull(json_get(v, "uidMappings"));
	ck_assert_ptr_nonnull(json_get(v, "recursiveReadOnly"));
}
END_TEST

START_TEST(every_message_of_cri_can_be_printed)
{
	const struct crisvc_cri_method *m;
	size_t n = 0;

	for (m = crisvc_cri_methods; m->path; m++, n++) {
		_cleanup_reply_ ProtobufCMessage *reply = NULL;
		_cleanup_json_ struct json_doc *doc = json_doc_new();
		_cleanup_str_ struct str s = STR_INIT;

		ck_assert_int_eq(crisvc_cri_unpack(m->response, "", 0, &reply, NULL), 0);
		ck_assert_int_eq(json_format(doc, message_to_json(doc, reply, 0), 0, &s), 0);
		ck_assert_int_eq(s.data[0], '{');
		ck_assert_ptr_null(message_bad_string(reply));
	}
	ck_assert_uint_gt(n, 40);
}
END_TEST

START_TEST(strings_that_are_not_utf8_are_found_at_any_depth)
{
	CRI(PodSandboxConfig) config = RUNTIME__V1__POD_SANDBOX_CONFIG__INIT;
	CRI(DNSConfig) dns = RUNTIME__V1__DNSCONFIG__INIT;
	CRI(RunPodSandboxRequest) request = RUNTIME__V1__RUN_POD_SANDBOX_REQUEST__INIT;
	CRI(KeyValue) kv = RUNTIME__V1__KEY_VALUE__INIT;
	char *servers[] = { pb("fine"), pb("bad\xff") };

	request.config = &config;
	ck_assert_ptr_null(message_bad_string(&request.base));
	dns.servers = servers;
	dns.n_servers = 2;
	config.dns_config = &dns;
	ck_assert_str_eq(message_bad_string(&request.base), "servers");
	kv.value = (ProtobufCBinaryData){ 1, (uint8_t *)pb("\xff") }; /* bytes may be anything */
	ck_assert_ptr_null(message_bad_string(&kv.base));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		scalars_have_their_json_form,
		enums_are_names_and_unknown_ones_numbers,
		maps_are_objects_and_lists_arrays,
		info_is_embedded_when_it_is_json,
		odd_field_names_are_those_of_protobuf,
		every_message_of_cri_can_be_printed,
		strings_that_are_not_utf8_are_found_at_any_depth,
	};

	return run_tests("message", tests, ARRAY_SIZE(tests));
}
