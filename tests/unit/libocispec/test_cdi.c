/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>
#include <cbase/io.h>
#include "unit.h"

static int try_add(const char *text, struct ocispec_error *err)
{
	struct ocispec_cdi *c = NULL;
	int r;

	ck_assert_int_eq(ocispec_cdi_new(&c), 0);
	r = ocispec_cdi_add(c, "f", text, strlen(text), err);
	ocispec_cdi_free(c);
	return r;
}

#define SPEC(version, kind, rest) "{\"cdiVersion\":\"" version "\",\"kind\":\"" kind "\"," rest "}"
#define DEVICES(edits) "\"devices\":[{\"name\":\"a\",\"containerEdits\":{" edits "}}]"

START_TEST(names_are_vendor_class_device)
{
	static const char *const good[] = { "a/b=c", "vendor.com/gpu=0", "v-1.x/net_dev=all:1.2-3" };
	static const char *const bad[] = { "", "a/b", "a/b=", "/b=c", "a/=c", "1a/b=c", "a/1b=c", "a-/b=c", "a/b=c-", "a/b=-c",
					   "a/b/c=d", "a/b=c d", "a:b/c=d", "a/b=c\xc3\xa4" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		ck_assert_msg(ocispec_cdi_name_valid(good[i]) == 1, "%s", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(ocispec_cdi_name_valid(bad[i]) == 0, "%s", bad[i]);
	ck_assert_int_eq(ocispec_cdi_name_valid(NULL), 0);
}
END_TEST

START_TEST(specifications_are_read_strictly)
{
	static const char *const wrong[][2] = {
		{ SPEC("0.3.0", "v/c", "\"devices\":[]"), "CDI specification f: no devices" },
		{ SPEC("9.0.0", "v/c", DEVICES("\"env\":[\"A=b\"]")), "CDI specification f: invalid version \"9.0.0\"" },
		{ SPEC("0.3.0", "v", DEVICES("\"env\":[\"A=b\"]")), "CDI specification f: kind \"v\" is not vendor/class" },
		{ SPEC("0.3.0", "v/c", DEVICES("")), "CDI specification f: device \"a\": empty device edits" },
		{ SPEC("0.3.0", "v/c", DEVICES("\"env\":[\"=b\"]")), "CDI specification f: device \"a\": env: invalid environment variable \"=b\"" },
		{ SPEC("0.3.0", "v/c", DEVICES("\"mounts\":[{\"hostPath\":\"/a\",\"containerPath\":\"/b\",\"type\":\"bind\"}]")),
		  "CDI specification f: the spec version must be at least v0.4.0" },
		{ SPEC("0.4.0", "v/c", DEVICES("\"deviceNodes\":[{\"path\":\"/dev/x\",\"hostPath\":\"/dev/y\"}]")),
		  "CDI specification f: the spec version must be at least v0.5.0" },
		{ SPEC("0.5.0", "v/c.d", DEVICES("\"env\":[\"A=b\"]")), "CDI specification f: the spec version must be at least v0.6.0" },
		{ SPEC("0.6.0", "v/c", DEVICES("\"additionalGids\":[1]")), "CDI specification f: the spec version must be at least v0.7.0" },
		{ SPEC("1.0.0", "v/c", DEVICES("\"netDevices\":[{\"hostInterfaceName\":\"a\",\"name\":\"b\"}]")),
		  "CDI specification f: the spec version must be at least v1.1.0" },
		{ SPEC("0.3.0", "v/c", DEVICES("\"deviceNodes\":[{\"path\":\"\"}]")), "CDI specification f: device \"a\": deviceNodes: empty path" },
		{ SPEC("0.3.0", "v/c", DEVICES("\"deviceNodes\":[{\"path\":\"/d\",\"type\":\"x\"}]")),
		  "CDI specification f: device \"a\": device /d: invalid type \"x\"" },
		{ SPEC("0.3.0", "v/c", DEVICES("\"deviceNodes\":[{\"path\":\"/d\",\"permissions\":\"rx\"}]")),
		  "CDI specification f: device \"a\": device /d: invalid permissions \"rx\"" },
		{ SPEC("0.3.0", "v/c", DEVICES("\"hooks\":[{\"hookName\":\"late\",\"path\":\"/h\"}]")),
		  "CDI specification f: device \"a\": hooks: invalid name \"late\"" },
		{ SPEC("0.3.0", "v/c", DEVICES("\"mounts\":[{\"hostPath\":\"/a\"}]")),
		  "CDI specification f: device \"a\": mounts: empty host or container path" },
		{ SPEC("0.7.0", "v/c", DEVICES("\"intelRdt\":{\"closID\":\"a/b\"}")), "CDI specification f: device \"a\": intelRdt: invalid closID" },
		{ SPEC("0.3.0", "v/c", DEVICES("\"env\":[\"A=b\"],\"more\":1")),
		  "CDI specification f: devices[0].containerEdits.more: unknown member" },
		{ SPEC("0.3.0", "v/c", "\"devices\":[{\"name\":\"a\",\"containerEdits\":{\"env\":[\"A=b\"]}},{\"name\":\"a\",\"containerEdits\":{\"env\":[\"A=b\"]}}]"),
		  "CDI specification f: multiple device \"a\"" },
		{ SPEC("0.3.0", "v/c", "\"devices\":[{\"name\":\"-\",\"containerEdits\":{\"env\":[\"A=b\"]}}]"),
		  "CDI specification f: invalid device name \"-\"" },
	};
	struct ocispec_error err;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		ck_assert_msg(try_add(wrong[i][0], &err) == OCISPEC_E_INVALID, "%s", wrong[i][0]);
		ck_assert_str_eq(err.message, wrong[i][1]);
	}
	ck_assert_int_eq(try_add(SPEC("v0.5.0", "v/c", DEVICES("\"env\":[\"A=b\"]")), &err), 0);
}
END_TEST

static const char yaml[] =
	"---\n"
	"cdiVersion: 0.5.0   # no number\n"
	"kind: vendor.com/net\n"
	"containerEdits:\n"
	"  env: [ALL=1]\n"
	"devices:\n"
	"- name: \"0\"\n"
	"  containerEdits:\n"
	"    env:\n"
	"    - 'ONE=1'\n"
	"    - ONE=2\n"
	"    deviceNodes:\n"
	"    - path: /dev/net0\n"
	"      type: c\n"
	"      major: 0xf\n"
	"      minor: 7\n"
	"      fileMode: 0o660\n"
	"      permissions: rw\n"
	"    - {path: /dev/null2, hostPath: /dev/null}\n"
	"    mounts:\n"
	"    - hostPath: /opt\n"
	"      containerPath: /a/b\n"
	"      options: [ro, rbind]\n"
	"    hooks:\n"
	"    - hookName: createContainer\n"
	"      path: /usr/bin/hook\n"
	"      args: [hook, \"true\"]\n"
	"      timeout: 5\n"
	"- name: second\n"
	"  containerEdits:\n"
	"    env: [TWO=2]\n";

START_TEST(everything_is_injected)
{
	const char *devices[] = { "vendor.com/net=second", NULL };
	const char *pairs[] = { "cdi.k8s.io/x", "vendor.com/net=0,vendor.com/net=second", "other", "a/b=c", NULL };
	struct ocispec_error err = { 0 };
	struct ocispec_cdi *c = NULL;
	struct ocispec *s = parsed("{\"process\":{\"user\":{\"uid\":5,\"gid\":0},\"env\":[\"TWO=x\"]},\"mounts\":[{\"destination\":\"/a/b\"},"
				   "{\"destination\":\"/a/b/c\"},{\"destination\":\"/z\"}],\"linux\":{\"devices\":[{\"path\":\"/dev/net0\"}]}}");
	struct stat st;
	char expected[2048];

	ck_assert_int_eq(stat("/dev/null", &st), 0);
	ck_assert_int_eq(ocispec_cdi_new(&c), 0);
	ck_assert_msg(ocispec_cdi_add(c, "net.yaml", yaml, strlen(yaml), &err) == 0, "%s", err.message);
	ck_assert_uint_eq(ocispec_cdi_count(c), 2);
	ck_assert_str_eq(ocispec_cdi_device(c, 0, NULL, NULL), "vendor.com/net=0");
	ck_assert_msg(ocispec_cdi_inject(c, s, devices, pairs, &err) == 0, "%s", err.message);
	snprintf(expected, sizeof(expected),
		 "{\"process\":{\"user\":{\"uid\":5,\"gid\":0},\"env\":[\"TWO=2\",\"ALL=1\",\"ONE=2\"]},"
		 "\"mounts\":[{\"destination\":\"/z\"},{\"destination\":\"/a/b\",\"source\":\"/opt\",\"options\":[\"ro\",\"rbind\"]},"
		 "{\"destination\":\"/a/b/c\"}],"
		 "\"hooks\":{\"createContainer\":[{\"path\":\"/usr/bin/hook\",\"args\":[\"hook\",\"true\"],\"timeout\":5}]},"
		 "\"linux\":{\"resources\":{\"devices\":[{\"allow\":true,\"type\":\"c\",\"major\":15,\"minor\":7,\"access\":\"rw\"},"
		 "{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":3,\"access\":\"rwm\"}]},"
		 "\"devices\":[{\"path\":\"/dev/net0\",\"type\":\"c\",\"major\":15,\"minor\":7,\"fileMode\":432,\"uid\":5},"
		 "{\"path\":\"/dev/null2\",\"type\":\"c\",\"major\":1,\"minor\":3,\"fileMode\":%u,\"uid\":5}]}}", (unsigned)(st.st_mode & 07777));
	ck_prints(s, expected);
	ocispec_cdi_free(c);
}
END_TEST

START_TEST(what_cannot_be_had_changes_nothing)
{
	const char *devices[] = { "vendor.com/net=0", "vendor.com/net=x", "a/b=c", NULL }, *bad[] = { "gpu0", NULL };
	struct ocispec_error err = { 0 };
	struct ocispec_cdi *c = NULL;
	struct ocispec *s = parsed("{}");

	ck_assert_int_eq(ocispec_cdi_new(&c), 0);
	ck_assert_int_eq(ocispec_cdi_add(c, "net.yaml", yaml, strlen(yaml), NULL), 0);
	ck_assert_int_eq(ocispec_cdi_inject(c, s, devices, NULL, &err), OCISPEC_E_NOT_FOUND);
	ck_assert_str_eq(err.message, "unresolvable CDI devices vendor.com/net=x, a/b=c");
	ck_assert_int_eq(ocispec_cdi_inject(c, s, bad, NULL, &err), OCISPEC_E_INVALID);
	ck_assert_str_eq(err.message, "invalid CDI device name \"gpu0\"");
	ck_assert_int_eq(ocispec_cdi_inject(c, s, NULL, NULL, &err), 0);
	ck_prints(s, "{}");
	ocispec_cdi_free(c);
}
END_TEST

START_TEST(missing_host_devices_are_told)
{
	static const char text[] = SPEC("0.5.0", "v/c", DEVICES("\"deviceNodes\":[{\"path\":\"/dev/none-such\"}]"));
	static const char whole[] = SPEC("0.5.0", "v/c", DEVICES("\"deviceNodes\":[{\"path\":\"/dev/none-such\",\"type\":\"b\",\"major\":7}]"));
	static const char no_node[] = SPEC("0.5.0", "v/c", DEVICES("\"deviceNodes\":[{\"path\":\"/etc/passwd\"}]"));
	static const char other[] = SPEC("0.5.0", "v/c", DEVICES("\"deviceNodes\":[{\"path\":\"/dev/null\",\"type\":\"b\"}]"));
	const char *const texts[] = { text, whole, no_node, other };
	const int results[] = { OCISPEC_E_NOT_FOUND, 0, OCISPEC_E_NOT_FOUND, OCISPEC_E_INVALID };
	const char *devices[] = { "v/c=a", NULL };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct ocispec_cdi *c = NULL;
		struct ocispec *s = parsed("{}");

		ck_assert_int_eq(ocispec_cdi_new(&c), 0);
		ck_assert_int_eq(ocispec_cdi_add(c, "f", texts[i], strlen(texts[i]), NULL), 0);
		ck_assert_int_eq(ocispec_cdi_inject(c, s, devices, NULL, NULL), results[i]);
		ocispec_free(s);
		ocispec_cdi_free(c);
	}
}
END_TEST

static void put(const char *dir, const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	ck_assert_int_eq(write_file(path, 0644, text, strlen(text), 0), 0);
}

START_TEST(later_directories_win_and_equals_exclude_each_other)
{
	char dir[] = "/tmp/ocispec-cdi-XXXXXX", low[64], high[64];
	const char *devices[] = { "v/c=a", NULL };
	struct ocispec_cdi *c = NULL;
	struct ocispec *s = parsed("{}");
	struct ocispec_error err;
	int conflict = 0;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(low, sizeof(low), "%s/low", dir);
	snprintf(high, sizeof(high), "%s/high", dir);
	ck_assert_int_eq(mkdir(low, 0755), 0);
	ck_assert_int_eq(mkdir(high, 0755), 0);
	put(low, "1.json", SPEC("0.3.0", "v/c", DEVICES("\"env\":[\"WHO=low1\"]")));
	put(low, "2.json", SPEC("0.3.0", "v/c", DEVICES("\"env\":[\"WHO=low2\"]")));
	put(high, "3.json", SPEC("0.3.0", "v/c", DEVICES("\"env\":[\"WHO=high\"]")));
	put(high, "4.yaml", "a: *b");
	put(high, "5.txt", "x");
	ck_assert_int_eq(ocispec_cdi_new(&c), 0);
	ck_assert_int_eq(ocispec_cdi_load(c, low, NULL, NULL, &err), 0);
	ck_assert_str_eq(ocispec_cdi_device(c, 0, NULL, &conflict), "v/c=a");
	ck_assert_int_eq(conflict, 1);
	ck_assert_int_eq(ocispec_cdi_inject(c, s, devices, NULL, &err), OCISPEC_E_NOT_FOUND);
	ck_assert_int_eq(ocispec_cdi_load(c, high, NULL, NULL, &err), OCISPEC_E_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "4.yaml: not a YAML document: line 1: aliases are not supported"));
	ck_assert_int_eq(ocispec_cdi_inject(c, s, devices, NULL, &err), 0);
	ck_prints(s, "{\"process\":{\"env\":[\"WHO=high\"]}}");
	ocispec_cdi_free(c);
	ck_assert_int_eq(rm_rf_at(-100, dir), 0);
}
END_TEST

START_TEST(bind_mounts_follow_the_user_namespace)
{
	static const char text[] = SPEC("0.5.0", "v/c", DEVICES("\"mounts\":[{\"hostPath\":\"/h\",\"containerPath\":\"/x\",\"options\":[\"rbind\"]}]"));
	const char *devices[] = { "v/c=a", NULL };
	struct ocispec *s = parsed("{\"linux\":{\"namespaces\":[{\"type\":\"user\"}]}}");
	struct ocispec_cdi *c = NULL;

	ck_assert_int_eq(ocispec_cdi_new(&c), 0);
	ck_assert_int_eq(ocispec_cdi_add(c, "f", text, strlen(text), NULL), 0);
	ck_assert_int_eq(ocispec_cdi_inject(c, s, devices, NULL, NULL), 0);
	ck_prints(s, "{\"mounts\":[{\"destination\":\"/x\",\"source\":\"/h\",\"options\":[\"rbind\",\"ridmap\"]}],"
		     "\"linux\":{\"namespaces\":[{\"type\":\"user\"}]}}");
	ocispec_cdi_free(c);
}
END_TEST

static const char *as_json(const char *text)
{
	static char out[2000];
	struct ocispec_error err = { 0 };
	char *json = NULL;

	if (module_yaml_to_json(text, strlen(text), &json, &err))
		snprintf(out, sizeof(out), "%s", err.message);
	else
		snprintf(out, sizeof(out), "%s", json);
	free(json);
	return out;
}

START_TEST(yaml_becomes_json)
{
	ck_assert_str_eq(as_json("a: 1\nb: [x, \"1\", 'y', ~, true, -3, 1.5, 010, 0x1F, 0o17, 08]\nc: {}\nd:\n"),
			 "{\"a\":1,\"b\":[\"x\",\"1\",\"y\",null,true,-3,\"1.5\",8,31,15,\"08\"],\"c\":{},\"d\":null}");
	ck_assert_str_eq(as_json("? a\n: |\n  two\n  lines\n"), "{\"a\":\"two\\nlines\\n\"}");
	ck_assert_str_eq(as_json("- a: b\n  c: d\n- e\n"), "[{\"a\":\"b\",\"c\":\"d\"},\"e\"]");
	ck_assert_str_eq(as_json("1: true\ntrue: x"), "{\"1\":true,\"true\":\"x\"}");
	ck_assert_str_eq(as_json("a: &x 1\nb: *x"), "not a YAML document: line 2: aliases are not supported");
	ck_assert_str_eq(as_json("a: !!binary x"), "not a YAML document: line 1: tags are not supported");
	ck_assert_str_eq(as_json("? [a]\n: b"), "not a YAML document: line 2: a key that is not a scalar");
	ck_assert_str_eq(as_json("a: b\n---\nc: d\n"), "not a YAML document: line 3: more than one document");
	ck_assert_str_eq(as_json("# nothing\n"), "not a YAML document: it is empty");
	ck_assert_str_eq(as_json("a: \xff"), "not UTF-8");
	ck_assert_ptr_nonnull(strstr(as_json("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["), "nested too deeply"));
	ck_assert_ptr_nonnull(strstr(as_json("a: [b"), "not a YAML document: line "));
}
END_TEST

RUN_TESTS("cdi", names_are_vendor_class_device, specifications_are_read_strictly, everything_is_injected,
	  what_cannot_be_had_changes_nothing, missing_host_devices_are_told, later_directories_win_and_equals_exclude_each_other,
	  bind_mounts_follow_the_user_namespace, yaml_becomes_json)
