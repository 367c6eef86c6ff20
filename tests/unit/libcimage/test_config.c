/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "image.h"
#include "unit.h"

static struct cimage_config *config(const char *text)
{
	struct cimage_error err = { 0 };
	struct cimage_config *c = NULL;

	ck_assert_msg(cimage_config_parse(text, strlen(text), &c, &err) == 0, "%s: %s", text, err.message);
	return c;
}

static void refused(const char *text)
{
	struct cimage_config *c = (void *)1;
	struct cimage_error err = { 0 };

	ck_assert_msg(cimage_config_parse(text, strlen(text), &c, &err) == CIMAGE_E_INVALID, "%s", text);
	ck_assert_ptr_eq(c, (void *)1);
	ck_assert_ptr_nonnull(strstr(err.message, "image config"));
}

START_TEST(all_fields_are_read)
{
	struct cimage_config *c = config("{\"os\":\"linux\",\"architecture\":\"arm64\",\"created\":\"2026-01-02T03:04:05.5Z\","
		"\"config\":{\"User\":\"1:2\",\"WorkingDir\":\"/w\",\"StopSignal\":\"SIGINT\",\"Entrypoint\":[\"/e\"],"
		"\"Cmd\":[\"a\",\"\"],\"Env\":[\"A=b\",\"C\"],\"Volumes\":{\"/v\":{},\"/u\":null},\"Labels\":{\"k\":\"v\",\"n\":null},"
		"\"ExposedPorts\":{\"80/tcp\":{}}},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" SHA "\"]},\"history\":[{}]}");

	ck_assert_str_eq(cimage_config_os(c), "linux");
	ck_assert_str_eq(cimage_config_architecture(c), "arm64");
	ck_assert_int_eq(cimage_config_created(c), INT64_C(1767323045500000000));
	ck_assert_str_eq(cimage_config_user(c), "1:2");
	ck_assert_str_eq(cimage_config_working_dir(c), "/w");
	ck_assert_str_eq(cimage_config_stop_signal(c), "SIGINT");
	ck_assert_str_eq(cimage_config_entrypoint(c)[0], "/e");
	ck_assert_ptr_null(cimage_config_entrypoint(c)[1]);
	ck_assert_str_eq(cimage_config_cmd(c)[0], "a");
	ck_assert_str_eq(cimage_config_cmd(c)[1], "");
	ck_assert_ptr_null(cimage_config_cmd(c)[2]);
	ck_assert_str_eq(cimage_config_env(c)[1], "C");
	ck_assert_str_eq(cimage_config_volumes(c)[0], "/v");
	ck_assert_str_eq(cimage_config_volumes(c)[1], "/u");
	ck_assert_ptr_null(cimage_config_volumes(c)[2]);
	ck_assert_str_eq(cimage_config_labels(c)[1], "v");
	ck_assert_str_eq(cimage_config_labels(c)[2], "n");
	ck_assert_str_eq(cimage_config_labels(c)[3], "");
	ck_assert_ptr_null(cimage_config_labels(c)[4]);
	ck_assert_str_eq(config_diff_ids(c)[0], SHA);
	cimage_config_free(c);
}
END_TEST

START_TEST(missing_and_null_fields_are_empty)
{
	static const char *const empty[] = {
		"{}", "{\"config\":null,\"rootfs\":null,\"os\":null,\"created\":null}", ("{\"config\":{\"Cmd\":null,\"Env\":null,"
		"\"User\":null,\"Volumes\":null,\"Labels\":null,\"Entrypoint\":[]},\"created\":\"yesterday\"}"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(empty); i++) {
		struct cimage_config *c = config(empty[i]);

		ck_assert_str_eq(cimage_config_user(c), "");
		ck_assert_str_eq(cimage_config_os(c), "");
		ck_assert_ptr_null(cimage_config_entrypoint(c)[0]);
		ck_assert_ptr_null(cimage_config_cmd(c)[0]);
		ck_assert_ptr_null(cimage_config_env(c)[0]);
		ck_assert_ptr_null(cimage_config_volumes(c)[0]);
		ck_assert_ptr_null(cimage_config_labels(c)[0]);
		ck_assert_int_eq(cimage_config_created(c), 0);
		cimage_config_free(c);
	}
	ck_assert_ptr_null(cimage_config_free(NULL));
}
END_TEST

START_TEST(fields_of_another_type_are_refused)
{
	static const char *const bad[] = {
		"", "[]", "1", "{", "{}{}", "{\"config\":[]}", "{\"config\":\"x\"}", "{\"os\":1}", "{\"created\":5}", "{\"rootfs\":[]}",
		"{\"rootfs\":{\"diff_ids\":{}}}", "{\"rootfs\":{\"diff_ids\":[1]}}", "{\"config\":{\"User\":0}}",
		"{\"config\":{\"Cmd\":\"sh\"}}", "{\"config\":{\"Env\":[null]}}", "{\"config\":{\"Volumes\":[\"/v\"]}}",
		"{\"config\":{\"Labels\":{\"a\":1}}}", "{\"config\":{\"Labels\":[]}}", "{\"config\":{\"User\":\"a\tb\"}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		refused(bad[i]);
}
END_TEST

START_TEST(what_is_no_text_is_replaced)
{
	static const char text[] = "{\"config\":{\"User\":\"a\\u0000b\",\"Cmd\":[\"\xff\",\"\xe0\x80\xaf\"],"
				   "\"Volumes\":{\"/a\\u0000\":{}},\"Labels\":{\"k\xff\":\"v\xfe\\u0000\"}}}";
	static const char nul[] = "{\"config\":{\"User\":\"a\0b\"}}";
	struct cimage_config *c = config(text);

	ck_assert_str_eq(cimage_config_user(c), "a\uFFFDb");
	ck_assert_str_eq(cimage_config_cmd(c)[0], "\uFFFD");
	ck_assert_str_eq(cimage_config_cmd(c)[1], "\uFFFD\uFFFD\uFFFD");
	ck_assert_str_eq(cimage_config_volumes(c)[0], "/a\uFFFD");
	ck_assert_str_eq(cimage_config_labels(c)[0], "k\uFFFD");
	ck_assert_str_eq(cimage_config_labels(c)[1], "v\uFFFD\uFFFD");
	cimage_config_free(c);
	ck_assert_int_eq(cimage_config_parse(nul, sizeof(nul) - 1, &c, NULL), CIMAGE_E_INVALID);
}
END_TEST

START_TEST(too_large_is_a_limit)
{
	char *text = calloc(1, CIMAGE_MANIFEST_MAX + 2);
	struct cimage_config *c;

	memset(text, ' ', CIMAGE_MANIFEST_MAX + 1);
	memcpy(text, "{}", 2);
	ck_assert_int_eq(cimage_config_parse(text, CIMAGE_MANIFEST_MAX + 1, &c, NULL), CIMAGE_E_LIMIT);
	ck_assert_int_eq(cimage_config_parse(text, CIMAGE_MANIFEST_MAX, &c, NULL), 0);
	cimage_config_free(c);
	free(text);
}
END_TEST

/* Completes an image with this config and one layer. */
static int complete(const char *text)
{
	static const char manifest[] = "{\"schemaVersion\":2,\"config\":{\"mediaType\":"
		"\"application/vnd.oci.image.config.v1+json\",\"digest\":\"" SHA "\",\"size\":2},\"layers\":[{\"mediaType\":"
		"\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"" SHA "\",\"size\":3}]}";
	struct cimage_image *i = calloc(1, sizeof(*i));
	int r;

	ck_assert_int_eq(manifest_parse(manifest, strlen(manifest), NULL, &i->parsed, NULL), 0);
	i->config.bytes = strdup(text);
	i->config.len = strlen(text);
	strcpy(i->config.digest, SHA);
	r = image_complete(i, NULL);
	if (!r) {
		ck_assert_uint_eq(cimage_image_layer_count(i), 1);
		ck_assert_str_eq(cimage_image_layer(i, 0)->diff_id, SHA);
		ck_assert_int_eq(cimage_image_layer(i, 0)->size, 3);
		ck_assert_ptr_null(cimage_image_layer(i, 1));
		ck_assert_str_eq(cimage_image_id(i), HEX64);
		ck_assert_ptr_null(cimage_image_list_digest(i));
	}
	image_free(i);
	return r;
}

START_TEST(diff_ids_fit_the_layers)
{
	ck_assert_int_eq(complete("{\"rootfs\":{\"diff_ids\":[\"" SHA "\"]}}"), 0);
	ck_assert_int_eq(complete("{\"rootfs\":{\"diff_ids\":[]}}"), CIMAGE_E_INVALID);
	ck_assert_int_eq(complete("{}"), CIMAGE_E_INVALID);
	ck_assert_int_eq(complete("{\"rootfs\":{\"diff_ids\":[\"" SHA "\",\"" SHA "\"]}}"), CIMAGE_E_INVALID);
	ck_assert_int_eq(complete("{\"rootfs\":{\"diff_ids\":[\"sha256:x\"]}}"), CIMAGE_E_INVALID);
}
END_TEST

RUN_TESTS("config", all_fields_are_read, missing_and_null_fields_are_empty, fields_of_another_type_are_refused,
	  what_is_no_text_is_replaced, too_large_is_a_limit, diff_ids_fit_the_layers)
