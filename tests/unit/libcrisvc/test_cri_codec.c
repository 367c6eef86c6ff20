/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to bytes and back, and what unpacking refuses. The bytes are written by hand. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cbase/cleanup.h>
#include <crisvc-cri.h>

static const char *field;

#define unpack(type, bytes, ret)                                                                   \
	unpack_n(&runtime__v1__##type##__descriptor, bytes, sizeof(bytes) - 1, ret)

static int unpack_n(const ProtobufCMessageDescriptor *d, const char *p, size_t n,
		    ProtobufCMessage **ret)
{
	/* exactly sized, so that a sanitizer sees every read beyond the end */
	_cleanup_free_ char *copy = malloc(n ? n : 1);
	ProtobufCMessage *m = NULL;
	int r;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, p, n);
	field = "untouched";
	r = crisvc_cri_unpack(d, copy, n, &m, &field);
	if (ret)
		*ret = m;
	else
		crisvc_cri_free(m);
	return r;
}

START_TEST(empty_message_has_defaults)
{
	Runtime__V1__VersionResponse *v;
	ProtobufCMessage *m;

	ck_assert_int_eq(unpack(version_response, "", &m), 0);
	v = (Runtime__V1__VersionResponse *)m;
	ck_assert_str_eq(v->version, "");
	ck_assert_str_eq(v->runtime_name, "");
	crisvc_cri_free(m);
	ck_assert_int_eq(
		crisvc_cri_unpack(&runtime__v1__version_response__descriptor, NULL, 0, &m, NULL),
		0);
	crisvc_cri_free(m);
}
END_TEST

START_TEST(packed_and_unpacked_numbers_are_the_same)
{
	/* LinuxContainerUser.supplemental_groups = 3: int64 */
	static const char packed[] = "\x1a\x03\x01\xac\x02", unpacked[] = "\x18\x01\x18\xac\x02";
	const char *forms[] = { packed, unpacked };

	for (int i = 0; i < 2; i++) {
		Runtime__V1__LinuxContainerUser *u;
		ProtobufCMessage *m;

		ck_assert_int_eq(
			unpack_n(&runtime__v1__linux_container_user__descriptor, forms[i], 5, &m),
			0);
		u = (Runtime__V1__LinuxContainerUser *)m;
		ck_assert_uint_eq(u->n_supplemental_groups, 2);
		ck_assert_int_eq(u->supplemental_groups[0], 1);
		ck_assert_int_eq(u->supplemental_groups[1], 300);
		crisvc_cri_free(m);
	}
}
END_TEST

START_TEST(repeated_numbers_are_packed)
{
	Runtime__V1__LinuxContainerUser u = RUNTIME__V1__LINUX_CONTAINER_USER__INIT;
	int64_t groups[] = { 1, 300 };
	_cleanup_free_ void *p = NULL;
	size_t n;

	u.n_supplemental_groups = 2;
	u.supplemental_groups = groups;
	ck_assert_int_eq(crisvc_cri_pack(&u.base, &p, &n), 0);
	ck_assert_uint_eq(n, 5);
	ck_assert_mem_eq(p, "\x1a\x03\x01\xac\x02", 5);
}
END_TEST

START_TEST(field_named_linux_and_maps_survive_a_round_trip)
{
	Runtime__V1__PodSandboxConfig__LabelsEntry e =
		RUNTIME__V1__POD_SANDBOX_CONFIG__LABELS_ENTRY__INIT;
	Runtime__V1__LinuxPodSandboxConfig linux_ = RUNTIME__V1__LINUX_POD_SANDBOX_CONFIG__INIT;
	Runtime__V1__PodSandboxConfig__LabelsEntry *labels[] = { &e };
	Runtime__V1__PodSandboxConfig c = RUNTIME__V1__POD_SANDBOX_CONFIG__INIT, *got;
	char key[] = "app",
	     value[] = "w\xc3\xa9"
		       "b",
	     parent[] = "/kube";
	_cleanup_free_ void *p = NULL;
	ProtobufCMessage *m;
	size_t n;

	e.key = key;
	e.value = value;
	linux_.cgroup_parent = parent;
	c.n_labels = 1;
	c.labels = labels;
	c.linux = &linux_;
	ck_assert_int_eq(crisvc_cri_pack(&c.base, &p, &n), 0);
	ck_assert_int_eq(unpack_n(c.base.descriptor, p, n, &m), 0);
	got = (Runtime__V1__PodSandboxConfig *)m;
	ck_assert_uint_eq(got->n_labels, 1);
	ck_assert_str_eq(got->labels[0]->key, "app");
	ck_assert_str_eq(got->labels[0]->value, value);
	ck_assert_str_eq(got->linux->cgroup_parent, "/kube");
	ck_assert_ptr_null(got->metadata);
	crisvc_cri_free(m);
}
END_TEST

START_TEST(empty_message_packs_to_no_bytes)
{
	Runtime__V1__VersionRequest v = RUNTIME__V1__VERSION_REQUEST__INIT;
	_cleanup_free_ void *p = NULL;
	size_t n = 1;

	ck_assert_int_eq(crisvc_cri_pack(&v.base, &p, &n), 0);
	ck_assert_uint_eq(n, 0);
	ck_assert_ptr_nonnull(p);
}
END_TEST

START_TEST(string_that_is_not_utf8_is_eilseq_with_its_name)
{
	ck_assert_int_eq(unpack(version_response, "\x0a\x01\xff", NULL), -EILSEQ);
	ck_assert_str_eq(field, "version");
	ck_assert_int_eq(unpack(version_response, "\x12\x02\xc0\x80", NULL),
			 -EILSEQ); /* overlong NUL */
	ck_assert_str_eq(field, "runtime_name");
	ck_assert_int_eq(unpack(version_response, "\x12\x03\xed\xa0\x80", NULL),
			 -EILSEQ); /* surrogate */
	ck_assert_int_eq(unpack(version_response, "\x12\x02\xc3\xa9", NULL), 0);
}
END_TEST

START_TEST(string_with_nul_is_eilseq)
{
	ck_assert_int_eq(unpack(version_response,
				"\x0a\x03"
				"a\0b",
				NULL),
			 -EILSEQ);
	ck_assert_str_eq(field, "version");
	/* repeated: ExecSyncRequest.cmd = 2 */
	ck_assert_int_eq(unpack(exec_sync_request,
				"\x12\x01"
				"a\x12\x01\0",
				NULL),
			 -EILSEQ);
	ck_assert_str_eq(field, "cmd");
}
END_TEST

START_TEST(nested_field_names_the_innermost_and_maps_themselves)
{
	/* RunPodSandboxRequest.config = 1 { metadata = 1 { name = 1 "\xff" } } */
	ck_assert_int_eq(unpack(run_pod_sandbox_request, "\x0a\x05\x0a\x03\x0a\x01\xff", NULL),
			 -EILSEQ);
	ck_assert_str_eq(field, "name");
	/* .. { labels = 6 { key = 1 "\xff" } } */
	ck_assert_int_eq(unpack(run_pod_sandbox_request, "\x0a\x05\x32\x03\x0a\x01\xff", NULL),
			 -EILSEQ);
	ck_assert_str_eq(field, "labels");
}
END_TEST

/* What crid would send of an image label, an env, a runtime's stderr, a log path. */
START_TEST(strings_that_are_not_utf8_are_repaired_when_packed)
{
	char bad[] = "a\xff"
		     "b",
	     good[] = "gr\xc3\xbc\xc3\x9f", id[] = "\xed\xa0\x80", key[] = "\xfe";
	Runtime__V1__Container__LabelsEntry labels[] = {
		RUNTIME__V1__CONTAINER__LABELS_ENTRY__INIT,
		RUNTIME__V1__CONTAINER__LABELS_ENTRY__INIT
	};
	Runtime__V1__Container__LabelsEntry *entries[] = { &labels[0], &labels[1] };
	Runtime__V1__ContainerMetadata metadata = RUNTIME__V1__CONTAINER_METADATA__INIT;
	Runtime__V1__Container container = RUNTIME__V1__CONTAINER__INIT,
			       *containers[] = { &container };
	Runtime__V1__ListContainersResponse list = RUNTIME__V1__LIST_CONTAINERS_RESPONSE__INIT;
	const Runtime__V1__Container *c;
	ProtobufCMessage *m = NULL;
	void *bytes = NULL;
	size_t n = 0;

	labels[0].key = key;
	labels[0].value = good;
	labels[1].key = good;
	labels[1].value = bad;
	metadata.name = bad;
	metadata.attempt = 300;
	container.metadata = &metadata;
	container.id = id;
	container.created_at = -1;
	container.state = RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED;
	container.n_labels = 2;
	container.labels = entries;
	list.n_containers = 1;
	list.containers = containers;
	ck_assert_int_eq(crisvc_cri_pack(&list.base, &bytes, &n), 0);
	ck_assert_int_eq(crisvc_cri_unpack(list.base.descriptor, bytes, n, &m, NULL), 0);
	c = ((Runtime__V1__ListContainersResponse *)m)->containers[0];
	ck_assert_str_eq(c->metadata->name, "a\xef\xbf\xbd"
					    "b");
	ck_assert_uint_eq(c->metadata->attempt, 300);
	ck_assert_str_eq(c->id, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	ck_assert_int_eq(c->created_at, -1);
	ck_assert_int_eq(c->state, RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED);
	ck_assert_uint_eq(c->n_labels, 2);
	ck_assert_str_eq(c->labels[0]->key, "\xef\xbf\xbd");
	ck_assert_str_eq(c->labels[0]->value, good);
	ck_assert_str_eq(c->labels[1]->key, good);
	ck_assert_str_eq(c->labels[1]->value, "a\xef\xbf\xbd"
					      "b");
	crisvc_cri_free(m);
	free(bytes);
}
END_TEST

START_TEST(bytes_fields_are_not_repaired)
{
	uint8_t raw[] = { 0xff, 0, 0xfe, 'x' };
	Runtime__V1__ExecSyncResponse response = RUNTIME__V1__EXEC_SYNC_RESPONSE__INIT;
	void *bytes = NULL;
	size_t n = 0;

	response.stderr = (ProtobufCBinaryData){ sizeof(raw), raw };
	ck_assert_int_eq(crisvc_cri_pack(&response.base, &bytes, &n), 0);
	ck_assert_uint_eq(n, 6);
	ck_assert_mem_eq((char *)bytes + 2, raw, sizeof(raw));
	free(bytes);
}
END_TEST

START_TEST(bytes_fields_are_untouched)
{
	Runtime__V1__KeyValue *kv;
	ProtobufCMessage *m;

	ck_assert_int_eq(unpack(key_value,
				"\x0a\x01"
				"K\x12\x04\xff\0\n\x80",
				&m),
			 0);
	kv = (Runtime__V1__KeyValue *)m;
	ck_assert_uint_eq(kv->value.len, 4);
	ck_assert_mem_eq(kv->value.data, "\xff\0\n\x80", 4);
	crisvc_cri_free(m);
}
END_TEST

static const struct {
	const char *bytes;
	size_t n;
	const char *field;
} malformed[] = {
#define BYTES(b) b, sizeof(b) - 1
	{ BYTES("\x0a"), "version" }, /* no length */
	{ BYTES("\x0a\x05"
		"abcd"),
	  "version" }, /* length beyond the end */
	{ BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "version" }, /* length 2^64 - 1 */
	{ BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
	  "version" }, /* does not fit 64 bits */
	{ BYTES("\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
	  "version" },			  /* 11 bytes of varint */
	{ BYTES("\x08\x01"), "version" }, /* a number where a string belongs */
	{ BYTES("\x02\x00"), NULL },	  /* field number 0 */
	{ BYTES("\x0b\x0c"), "version" }, /* group */
	{ BYTES("\x0e"), "version" },	  /* wire type 6 */
	{ BYTES("\x80"), NULL },	  /* unfinished tag */
	{ BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), NULL }, /* huge tag */
	{ BYTES("\xfd\x07\x01\x02"), NULL }, /* unknown field 127, fixed32 of two bytes */
};

START_TEST(malformed_bytes_are_ebadmsg)
{
	ck_assert_int_eq(unpack_n(&runtime__v1__version_response__descriptor, malformed[_i].bytes,
				  malformed[_i].n, NULL),
			 -EBADMSG);
	ck_assert_pstr_eq(field, malformed[_i].field);
}
END_TEST

START_TEST(every_truncation_is_refused_or_complete)
{
	static const char bytes[] = "\x0a\x09\x0a\x03\x0a\x01"
				    "n\x12\x02"
				    "hn\x12\x01r\xfa\x07\x02"
				    "zz";
	int ok = 0;

	for (size_t n = 0; n < sizeof(bytes); n++) {
		int r = unpack_n(&runtime__v1__run_pod_sandbox_request__descriptor, bytes, n, NULL);

		ck_assert(r == 0 || r == -EBADMSG);
		ok += r == 0;
	}
	/* empty, after config, after the handler, after the unknown field */
	ck_assert_int_eq(ok, 4);
}
END_TEST

START_TEST(unknown_fields_and_enum_values_are_accepted)
{
	Runtime__V1__PortMapping *pm;
	ProtobufCMessage *m;

	ck_assert_int_eq(unpack(port_mapping,
				"\x08\x63\x10\x50\xfa\x07\x01"
				"x\xf8\x07\x05",
				&m),
			 0);
	pm = (Runtime__V1__PortMapping *)m;
	ck_assert_int_eq((int)pm->protocol, 99);
	ck_assert_int_eq(pm->container_port, 80);
	crisvc_cri_free(m);
}
END_TEST

START_TEST(packed_numbers_are_checked_to_their_end)
{
	ck_assert_int_eq(unpack(linux_container_user, "\x1a\x02\x01\x80", NULL), -EBADMSG);
	ck_assert_str_eq(field, "supplemental_groups");
	/* a single number is not packed: LinuxContainerUser.uid = 1 */
	ck_assert_int_eq(unpack(linux_container_user, "\x0a\x01\x01", NULL), -EBADMSG);
	ck_assert_str_eq(field, "uid");
	/* PsiData.Avg10 = 2 is a double */
	ck_assert_int_eq(unpack(psi_data, "\x11\0\0\0\0\0\0\0", NULL), -EBADMSG);
	ck_assert_int_eq(unpack(psi_data, "\x11\0\0\0\0\0\0\0\0", NULL), 0);
}
END_TEST

START_TEST(message_that_occurs_twice_is_merged)
{
	Runtime__V1__RunPodSandboxRequest *r;
	ProtobufCMessage *m;

	/* config { hostname = 2 "a" } config { hostname = 2 "b" log_directory = 3 "/l" } */
	ck_assert_int_eq(unpack(run_pod_sandbox_request,
				"\x0a\x03\x12\x01"
				"a\x0a\x07\x12\x01"
				"b\x1a\x02/l",
				&m),
			 0);
	r = (Runtime__V1__RunPodSandboxRequest *)m;
	ck_assert_str_eq(r->config->hostname, "b");
	ck_assert_str_eq(r->config->log_directory, "/l");
	crisvc_cri_free(m);
}
END_TEST

START_TEST(tiny_messages_that_need_huge_memory_are_emsgsize)
{
	/* 4 million empty ContainerStatus in 8 MB */
	size_t n = (size_t)8 << 20;
	_cleanup_free_ char *p = malloc(n);

	ck_assert_ptr_nonnull(p);
	for (size_t i = 0; i < n; i += 2) {
		p[i] = 0x1a; /* PodSandboxStatusResponse.containers_statuses = 3 */
		p[i + 1] = 0;
	}
	ck_assert_int_eq(
		unpack_n(&runtime__v1__pod_sandbox_status_response__descriptor, p, n, NULL),
		-EMSGSIZE);
	ck_assert_int_eq(
		unpack_n(&runtime__v1__pod_sandbox_status_response__descriptor, p, 2000, NULL), 0);
}
END_TEST

START_TEST(message_larger_than_the_limit_is_emsgsize)
{
	ProtobufCMessage *m;
	char c = 0;

	ck_assert_int_eq(crisvc_cri_unpack(&runtime__v1__version_request__descriptor, &c,
					   ((size_t)80 << 20) + 1, &m, NULL),
			 -EMSGSIZE);
}
END_TEST

START_TEST(large_strings_fit)
{
	size_t n = (size_t)20 << 20;
	Runtime__V1__VersionResponse v = RUNTIME__V1__VERSION_RESPONSE__INIT;
	_cleanup_free_ char *text = malloc(n + 1);
	_cleanup_free_ void *p = NULL;
	ProtobufCMessage *m;
	size_t len;

	ck_assert_ptr_nonnull(text);
	memset(text, 'x', n);
	text[n] = '\0';
	v.version = text;
	ck_assert_int_eq(crisvc_cri_pack(&v.base, &p, &len), 0);
	ck_assert_int_eq(unpack_n(v.base.descriptor, p, len, &m), 0);
	ck_assert_str_eq(((Runtime__V1__VersionResponse *)m)->version, text);
	crisvc_cri_free(m);
}
END_TEST

/* A message type that contains itself, as CRI has none: nesting must end somewhere. */
static const ProtobufCFieldDescriptor self_fields[];
static const ProtobufCIntRange self_ranges[] = { { 1, 0 }, { 0, 1 } };
static const unsigned self_index[] = { 0 };

struct self {
	ProtobufCMessage base;
	struct self *self;
};

static const ProtobufCMessageDescriptor self_descriptor = {
	PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
	"Self",
	"Self",
	"Self",
	"",
	sizeof(struct self),
	1,
	self_fields,
	self_index,
	1,
	self_ranges,
	NULL,
	NULL,
	NULL,
	NULL,
};
static const ProtobufCFieldDescriptor self_fields[] = {
	{ "self", 1, PROTOBUF_C_LABEL_NONE, PROTOBUF_C_TYPE_MESSAGE, 0, offsetof(struct self, self),
	  &self_descriptor, NULL, 0, 0, NULL, NULL },
};

START_TEST(nesting_has_a_limit)
{
	char p[2 * 40];
	size_t n = 0;

	for (int depth = 1; depth <= 40; depth++) {
		memmove(p + 2, p, n);
		p[0] = 0x0a;
		p[1] = (char)n;
		n += 2;
		ck_assert_int_eq(unpack_n(&self_descriptor, p, n, NULL),
				 depth <= 32 ? 0 : -EBADMSG);
	}
}
END_TEST

START_TEST(utf8_replaces_what_is_not)
{
	_cleanup_free_ char *a = crisvc_cri_utf8("a\xff"
						 "b\xc3\xa9"),
			    *b = crisvc_cri_utf8("");

	ck_assert_str_eq(a, "a\xef\xbf\xbd"
			    "b\xc3\xa9");
	ck_assert_str_eq(b, "");
}
END_TEST

START_TEST(invalid_arguments_are_einval)
{
	ProtobufCMessage *m;
	void *p;
	size_t n;

	ck_assert_int_eq(crisvc_cri_unpack(NULL, "", 0, &m, NULL), -EINVAL);
	ck_assert_int_eq(
		crisvc_cri_unpack(&runtime__v1__version_request__descriptor, NULL, 1, &m, NULL),
		-EINVAL);
	ck_assert_int_eq(crisvc_cri_pack(NULL, &p, &n), -EINVAL);
	crisvc_cri_free(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cri_codec");
	TCase *tc = tcase_create("codec");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, empty_message_has_defaults);
	tcase_add_test(tc, packed_and_unpacked_numbers_are_the_same);
	tcase_add_test(tc, repeated_numbers_are_packed);
	tcase_add_test(tc, field_named_linux_and_maps_survive_a_round_trip);
	tcase_add_test(tc, empty_message_packs_to_no_bytes);
	tcase_add_test(tc, string_that_is_not_utf8_is_eilseq_with_its_name);
	tcase_add_test(tc, string_with_nul_is_eilseq);
	tcase_add_test(tc, nested_field_names_the_innermost_and_maps_themselves);
	tcase_add_test(tc, strings_that_are_not_utf8_are_repaired_when_packed);
	tcase_add_test(tc, bytes_fields_are_not_repaired);
	tcase_add_test(tc, bytes_fields_are_untouched);
	tcase_add_loop_test(tc, malformed_bytes_are_ebadmsg, 0, ARRAY_SIZE(malformed));
	tcase_add_test(tc, every_truncation_is_refused_or_complete);
	tcase_add_test(tc, unknown_fields_and_enum_values_are_accepted);
	tcase_add_test(tc, packed_numbers_are_checked_to_their_end);
	tcase_add_test(tc, message_that_occurs_twice_is_merged);
	tcase_add_test(tc, tiny_messages_that_need_huge_memory_are_emsgsize);
	tcase_add_test(tc, message_larger_than_the_limit_is_emsgsize);
	tcase_add_test(tc, large_strings_fit);
	tcase_add_test(tc, nesting_has_a_limit);
	tcase_add_test(tc, utf8_replaces_what_is_not);
	tcase_add_test(tc, invalid_arguments_are_einval);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
