/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest.h"
#include "unit.h"

#define OCI "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define DOCKER "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define OCI_CONF "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"" SHA "\",\"size\":7}"
#define DOCKER_CONF "\"config\":{\"mediaType\":\"application/vnd.docker.container.image.v1+json\",\"digest\":\"" SHA "\",\"size\":7}"
#define LAYER(type) "{\"mediaType\":\"" type "\",\"digest\":\"" SHA "\",\"size\":9}"
#define GZIP LAYER("application/vnd.oci.image.layer.v1.tar+gzip")
#define DOCKER_GZIP LAYER("application/vnd.docker.image.rootfs.diff.tar.gzip")
#define IMAGE "{\"schemaVersion\":2," OCI_CONF ",\"layers\":[" GZIP "]}"
#define HEX63 "123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ENTRY(n, rest) "{\"mediaType\":\"" OCI "\",\"digest\":\"sha256:" n HEX63 "\",\"size\":5" rest "}"
#define PLATFORM(os, arch, rest) ",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\"" rest "}"
#define LIST(entries) "{\"schemaVersion\":2,\"manifests\":[" entries "]}"

static int parse(const char *text, const char *type, struct manifest **ret)
{
	struct cimage_error err = { 0 };
	int r = manifest_parse(text, strlen(text), type, ret, &err);

	ck_assert_int_eq(err.code, r > 0 ? r : 0);
	return r;
}

static void refused(const char *text, const char *type, int code)
{
	struct manifest *m = (void *)1;

	ck_assert_msg(parse(text, type, &m) == code, "%s", text);
	ck_assert_ptr_eq(m, (void *)1);
}

static void is_type(const char *text, const char *content_type, enum manifest_type type)
{
	struct manifest *m = NULL;

	ck_assert_msg(parse(text, content_type, &m) == 0, "%s", text);
	ck_assert_int_eq(m->type, type);
	manifest_free(m);
}

START_TEST(the_type_comes_from_transfer_document_or_shape)
{
	is_type(IMAGE, OCI, MANIFEST_OCI);
	is_type(IMAGE, "Application/VND.oci.image.manifest.v1+JSON; charset=utf-8", MANIFEST_OCI);
	is_type(IMAGE, NULL, MANIFEST_OCI);
	is_type(IMAGE, "text/plain", MANIFEST_OCI);
	is_type("{\"schemaVersion\":2," DOCKER_CONF ",\"layers\":[" DOCKER_GZIP "]}", "application/json", MANIFEST_DOCKER);
	is_type("{\"schemaVersion\":2,\"mediaType\":\"" DOCKER "\"," DOCKER_CONF ",\"layers\":[]}", "", MANIFEST_DOCKER);
	is_type(LIST(""), DOCKER_LIST, MANIFEST_DOCKER_LIST);
	is_type(LIST(""), NULL, MANIFEST_OCI_INDEX);
	is_type("{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX "\",\"manifests\":[]}", OCI_INDEX, MANIFEST_OCI_INDEX);
}
END_TEST

START_TEST(two_meanings_are_refused)
{
	refused("{\"schemaVersion\":2,\"mediaType\":\"" DOCKER "\"," OCI_CONF ",\"layers\":[]}", OCI, CIMAGE_E_INVALID);
	refused("{\"schemaVersion\":2,\"mediaType\":7," OCI_CONF ",\"layers\":[]}", OCI, CIMAGE_E_INVALID);
	refused("{\"schemaVersion\":2," OCI_CONF ",\"layers\":[],\"manifests\":[]}", OCI, CIMAGE_E_INVALID);
	refused("{\"schemaVersion\":2," OCI_CONF ",\"layers\":[],\"manifests\":[]}", OCI_INDEX, CIMAGE_E_INVALID);
	refused("{\"schemaVersion\":2," OCI_CONF ",\"layers\":[],\"manifests\":[]}", NULL, CIMAGE_E_INVALID);
	refused("{\"schemaVersion\":2," OCI_CONF ",\"layers\":[],\"fsLayers\":[]}", OCI, CIMAGE_E_INVALID);
	refused("{\"schemaVersion\":2," OCI_CONF ",\"layers\":[],\"history\":[]}", OCI, CIMAGE_E_INVALID);
	refused("{\"schemaVersion\":2," OCI_CONF ",\"layers\":[],\"layers\":[]}", OCI, CIMAGE_E_INVALID);
	refused("{\"schemaVersion\":2," OCI_CONF ",\"layers\":[],\"LAYERS\":[]}", OCI, CIMAGE_E_INVALID);
	refused("{\"schemaVersion\":2," OCI_CONF ",\"Layers\":[]}", OCI, CIMAGE_E_INVALID);
	refused("{\"schemaVersion\":2," OCI_CONF ",\"layers\":[],\"layer\xc5\xbf\":[]}", OCI, CIMAGE_E_INVALID);
	refused("{\"schemaVersion\":2," OCI_CONF ",\"layers\":[{\"digest\":\"" SHA "\",\"Digest\":\"x\",\"size\":1}]}", OCI,
		CIMAGE_E_INVALID);
}
END_TEST

START_TEST(malformed_manifests_are_refused)
{
	static const char *const bad[] = {
		"", "{", "[]", "null", "{}", "{\"schemaVersion\":2}", "{\"schemaVersion\":\"2\"," OCI_CONF ",\"layers\":[]}",
		"{\"schemaVersion\":3," OCI_CONF ",\"layers\":[]}", "{\"schemaVersion\":2," OCI_CONF "}",
		"{\"schemaVersion\":2," OCI_CONF ",\"layers\":{}}", "{\"schemaVersion\":2," OCI_CONF ",\"layers\":[1]}",
		"{\"schemaVersion\":2,\"config\":[],\"layers\":[]}", IMAGE "x",
		"{\"schemaVersion\":2,\"config\":{\"digest\":\"" SHA "\"},\"layers\":[]}",
		"{\"schemaVersion\":2,\"config\":{\"digest\":\"" SHA "\",\"size\":-1},\"layers\":[]}",
		"{\"schemaVersion\":2,\"config\":{\"digest\":\"" SHA "\",\"size\":1.5},\"layers\":[]}",
		"{\"schemaVersion\":2,\"config\":{\"digest\":\"" SHA "\",\"size\":99999999999999999999},\"layers\":[]}",
		"{\"schemaVersion\":2,\"config\":{\"digest\":\"sha256:../../etc\",\"size\":1},\"layers\":[]}",
		"{\"schemaVersion\":2,\"config\":{\"digest\":\"" SHA "\\u0000\",\"size\":1},\"layers\":[]}",
		"{\"schemaVersion\":2," OCI_CONF ",\"layers\":[{\"mediaType\":5,\"digest\":\"" SHA "\",\"size\":1}]}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		refused(bad[i], OCI, CIMAGE_E_INVALID);
	refused("{\"schemaVersion\":2}", OCI_INDEX, CIMAGE_E_INVALID);
	refused("{\"schemaVersion\":2,\"manifests\":{}}", OCI_INDEX, CIMAGE_E_INVALID);
}
END_TEST

START_TEST(what_is_no_image_or_not_supported_says_so)
{
	refused("{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.empty.v1+json\",\"digest\":\"" SHA
		"\",\"size\":2},\"layers\":[]}", OCI, CIMAGE_E_ARTIFACT);
	refused("{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.docker.plugin.v1+json\",\"digest\":\"" SHA
		"\",\"size\":2},\"layers\":[]}", DOCKER, CIMAGE_E_ARTIFACT);
	refused("{\"schemaVersion\":1,\"fsLayers\":[],\"history\":[]}", "application/vnd.docker.distribution.manifest.v1+prettyjws",
		CIMAGE_E_UNSUPPORTED);
	refused("{\"schemaVersion\":1,\"fsLayers\":[],\"history\":[]}", NULL, CIMAGE_E_UNSUPPORTED);
	refused("{\"schemaVersion\":2,\"mediaType\":\"application/x\"}", NULL, CIMAGE_E_UNSUPPORTED);
	refused("{\"schemaVersion\":2," OCI_CONF ",\"layers\":[" LAYER("text/plain") "]}", OCI, CIMAGE_E_UNSUPPORTED);
	refused("{\"schemaVersion\":2," OCI_CONF ",\"layers\":[" LAYER("application/vnd.oci.image.layer.v1.tar+lzma+encrypted") "]}",
		OCI, CIMAGE_E_UNSUPPORTED);
	is_type("{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/octet-stream\",\"digest\":\"" SHA
		"\",\"size\":2},\"layers\":[]}", DOCKER, MANIFEST_DOCKER);
}
END_TEST

START_TEST(limits_hold)
{
	struct str s = STR_INIT;
	struct manifest *m;
	size_t i;

	refused("{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"" SHA
		"\",\"size\":4194305},\"layers\":[]}", OCI, CIMAGE_E_LIMIT);
	str_append(&s, "{\"schemaVersion\":2," OCI_CONF ",\"layers\":[" GZIP);
	for (i = 1; i < LAYERS_MAX; i++)
		str_append(&s, "," GZIP);
	str_append(&s, "]}");
	ck_assert_int_eq(parse(s.data, OCI, &m), 0);
	ck_assert_uint_eq(m->layer_count, LAYERS_MAX);
	manifest_free(m);
	s.len -= 2;
	str_append(&s, "," GZIP "]}");
	refused(s.data, OCI, CIMAGE_E_LIMIT);
	while (s.len <= CIMAGE_MANIFEST_MAX)
		str_append(&s, "                                        ");
	refused(s.data, OCI, CIMAGE_E_LIMIT);
	str_done(&s);
}
END_TEST

START_TEST(many_members_take_linear_time)
{
	struct str s = STR_INIT;
	struct manifest *m;
	int64_t began = mono_ns();

	str_append(&s, "{\"schemaVersion\":2," OCI_CONF ",\"layers\":[],\"annotations\":{\"a\":\"b\"");
	for (int i = 0; s.len < CIMAGE_MANIFEST_MAX - 100; i++)
		str_appendf(&s, ",\"%x\":1", i);
	str_append(&s, "}}");
	ck_assert_int_eq(parse(s.data, OCI, &m), 0);
	manifest_free(m);
	ck_assert_int_lt(mono_ns() - began, INT64_C(20000000000));
	str_done(&s);
}
END_TEST

/* The first digit of the digest that is chosen from a list; 0: none. */
static bool prefer_gzip;

static char chosen(const char *list, const char *type, const char *arch, const char *variant)
{
	struct cimage_error err = { 0 };
	struct manifest *m = NULL;
	struct descriptor d = { 0 };
	struct platform p;
	int r;

	platform_init(&p, "linux", arch, variant);
	p.prefer_gzip = prefer_gzip;
	ck_assert_int_eq(parse(list, type, &m), 0);
	r = manifest_choose(m, &p, &d, &err);
	ck_assert(r == 0 || r == CIMAGE_E_PLATFORM);
	if (!r)
		ck_assert_int_eq(d.size, 5);
	r = r ? 0 : d.digest[7];
	manifest_free(m);
	return (char)r;
}

START_TEST(the_platform_decides)
{
	static const char list[] = LIST(ENTRY("1", PLATFORM("windows", "amd64", "")) "," ENTRY("2", PLATFORM("linux", "arm64", "")) ","
		"{\"digest\":\"sha256:3" HEX63 "\",\"size\":5" PLATFORM("linux", "amd64", "") "}," ENTRY("4", PLATFORM("linux", "amd64", "")));

	ck_assert_int_eq(chosen(list, OCI_INDEX, "amd64", ""), '3');
	ck_assert_int_eq(chosen(list, DOCKER_LIST, "amd64", ""), '3');
	ck_assert_int_eq(chosen(list, OCI_INDEX, "arm64", "v8"), '2');
	ck_assert_int_eq(chosen(list, OCI_INDEX, "s390x", ""), 0);
}
END_TEST

START_TEST(arm_variants_go_from_new_to_old)
{
	static const char list[] = LIST(ENTRY("5", PLATFORM("linux", "arm", ",\"variant\":\"v5\"")) ","
		ENTRY("7", PLATFORM("linux", "arm", ",\"variant\":\"v7\"")) "," ENTRY("6", PLATFORM("linux", "arm", ",\"variant\":\"v6\"")) ","
		ENTRY("0", PLATFORM("linux", "arm", "")));

	ck_assert_int_eq(chosen(list, OCI_INDEX, "arm", "v8"), '7');
	ck_assert_int_eq(chosen(list, OCI_INDEX, "arm", "v6"), '6');
	ck_assert_int_eq(chosen(list, OCI_INDEX, "arm", ""), '0');
	ck_assert_int_eq(chosen(list, OCI_INDEX, "arm", "v4"), '0');
	ck_assert_int_eq(chosen(LIST(ENTRY("8", PLATFORM("linux", "arm64", ",\"variant\":\"v8\""))), OCI_INDEX, "arm64", ""), '8');
}
END_TEST

START_TEST(os_version_and_features_decide_nothing)
{
	static const char list[] = LIST(ENTRY("1", PLATFORM("linux", "amd64", ",\"os.version\":\"10\",\"os.features\":[\"win32k\"]")) ","
		ENTRY("2", PLATFORM("linux", "amd64", "")));

	ck_assert_int_eq(chosen(list, OCI_INDEX, "amd64", ""), '1');
	ck_assert_int_eq(chosen(list, DOCKER_LIST, "amd64", ""), '1');
}
END_TEST

START_TEST(an_entry_without_platform_is_the_last_choice_of_an_index)
{
	static const char list[] = LIST(ENTRY("1", "") "," ENTRY("2", PLATFORM("linux", "amd64", "")));

	ck_assert_int_eq(chosen(list, OCI_INDEX, "amd64", ""), '2');
	ck_assert_int_eq(chosen(list, OCI_INDEX, "s390x", ""), '1');
	ck_assert_int_eq(chosen(list, DOCKER_LIST, "s390x", ""), 0);
}
END_TEST

START_TEST(zstd_is_preferred_to_its_gzip_twin_unless_asked)
{
	static const char zstd[] = ",\"annotations\":{\"io.github.containers.compression.zstd\":\"true\"}";
	char *list = strf("{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"sha256:1" HEX63 "\",\"size\":5"
			  PLATFORM("linux", "amd64", "") "%s}," ENTRY("2", PLATFORM("linux", "amd64", "")) ","
			  "{\"digest\":\"sha256:3" HEX63 "\",\"size\":5" PLATFORM("linux", "arm64", "") "%s}]}", zstd, zstd);

	ck_assert_int_eq(chosen(list, OCI_INDEX, "amd64", ""), '1');
	ck_assert_int_eq(chosen(list, OCI_INDEX, "arm64", ""), '3');
	prefer_gzip = true;
	ck_assert_int_eq(chosen(list, OCI_INDEX, "amd64", ""), '2');
	ck_assert_int_eq(chosen(list, OCI_INDEX, "arm64", ""), '3');
	prefer_gzip = false;
	free(list);
}
END_TEST

START_TEST(bad_entries_of_a_list_are_refused_when_chosen)
{
	static const char *const bad[] = {
		LIST("{\"digest\":\"sha256:xyz\",\"size\":1" PLATFORM("linux", "amd64", "") "}"),
		LIST("{\"digest\":\"" SHA "\"" PLATFORM("linux", "amd64", "") "}"),
		LIST("{\"digest\":\"" SHA "\",\"size\":1,\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\",\"OS\":\"x\"}}"),
		LIST("{\"digest\":\"" SHA "\",\"size\":1,\"Platform\":{},\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}"),
	};
	struct platform p;

	platform_init(&p, "linux", "amd64", "");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct manifest *m = NULL;
		struct descriptor d;

		ck_assert_int_eq(parse(bad[i], OCI_INDEX, &m), 0);
		ck_assert_int_eq(manifest_choose(m, &p, &d, NULL), CIMAGE_E_INVALID);
		manifest_free(m);
	}
	ck_assert_int_eq(chosen(LIST("1,\"x\",[],null"), DOCKER_LIST, "amd64", ""), 0);
}
END_TEST

START_TEST(cpuinfo_names_the_arm_variant)
{
	ck_assert_str_eq(platform_arm_variant("processor : 0\nCPU architecture: 8\n"), "v8");
	ck_assert_str_eq(platform_arm_variant("CPU architecture\t: 7\n"), "v7");
	ck_assert_str_eq(platform_arm_variant("model name : ARMv6-compatible processor rev 7 (v6l)\nCPU architecture: 7\n"), "v6");
	ck_assert_str_eq(platform_arm_variant("CPU architecture: 5TEJ\n"), "v5");
	ck_assert_str_eq(platform_arm_variant("CPU architecture: AArch64\n"), "v8");
	ck_assert_str_eq(platform_arm_variant("nothing"), "");
	ck_assert_str_eq(platform_arm_variant("CPU architecture"), "");
}
END_TEST

RUN_TESTS("manifest", the_type_comes_from_transfer_document_or_shape, two_meanings_are_refused, malformed_manifests_are_refused,
	  what_is_no_image_or_not_supported_says_so, limits_hold, many_members_take_linear_time, the_platform_decides,
	  arm_variants_go_from_new_to_old, os_version_and_features_decide_nothing, an_entry_without_platform_is_the_last_choice_of_an_index,
	  zstd_is_preferred_to_its_gzip_twin_unless_asked, bad_entries_of_a_list_are_refused_when_chosen, cpuinfo_names_the_arm_variant)
