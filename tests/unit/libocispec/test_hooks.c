/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>
#include <cbase/io.h>
#include "unit.h"

static struct ocispec_hooks *hooks_of(const char *const *files)
{
	struct ocispec_hooks *h = NULL;
	struct ocispec_error err = { 0 };

	ck_assert_int_eq(ocispec_hooks_new(&h), 0);
	for (; files[0]; files += 2)
		ck_assert_msg(ocispec_hooks_add(h, files[0], files[1], strlen(files[1]), &err) == 0, "%s", err.message);
	return h;
}

/* The paths of createRuntime after the hooks were applied, joined by spaces. */
static const char *applied(const struct ocispec_hooks *h, const char *command, const char *const *pairs, int binds)
{
	static char out[512];
	const char *args[] = { command, NULL };
	struct ocispec *s = NULL;

	out[0] = 0;
	ck_assert_int_eq(ocispec_new_as(OCISPEC_CONFIG, &s), 0);
	ck_assert_int_eq(ocispec_set_args(s, args), 0);
	ck_assert_int_eq(ocispec_hooks_apply(h, s, pairs, binds, NULL), 0);
	json_foreach(k, path_get(s, "hooks.createRuntime"))
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s", *out ? " " : "", json_get_string(k, "path"));
	ocispec_free(s);
	return out;
}

/* Does a file with this "when" apply? */
static int when(const char *conditions, const char *command, const char *const *pairs, int binds)
{
	char text[512];
	const char *files[] = { "a.json", text, NULL };
	struct ocispec_hooks *h;
	int yes;

	snprintf(text, sizeof(text), "{\"version\":\"1.0.0\",\"hook\":{\"path\":\"/h\"},\"when\":%s,\"stages\":[\"createRuntime\"]}", conditions);
	h = hooks_of(files);
	yes = *applied(h, command, pairs, binds) != 0;
	ocispec_hooks_free(h);
	return yes;
}

static int old(const char *conditions, const char *command, const char *const *pairs, int binds)
{
	char text[512];
	const char *files[] = { "a.json", text, NULL };
	struct ocispec_hooks *h;
	int yes;

	snprintf(text, sizeof(text), "{\"hook\":\"/h\",\"stages\":[\"prestart\"]%s}", conditions);
	h = hooks_of(files);
	yes = *applied(h, command, pairs, binds) != 0;
	ocispec_hooks_free(h);
	return yes;
}

static const char *const pairs[] = { "io.example.kind", "gpu-3", "other", "x", NULL };

START_TEST(all_conditions_must_hold)
{
	ck_assert_int_eq(when("{\"always\":true}", "/bin/sh", NULL, 0), 1);
	ck_assert_int_eq(when("{\"always\":false}", "/bin/sh", NULL, 0), 0);
	ck_assert_int_eq(when("{}", "/bin/sh", pairs, 1), 0);
	ck_assert_int_eq(when("{\"hasBindMounts\":true}", "/bin/sh", NULL, 1), 1);
	ck_assert_int_eq(when("{\"hasBindMounts\":true}", "/bin/sh", NULL, 0), 0);
	ck_assert_int_eq(when("{\"hasBindMounts\":false}", "/bin/sh", NULL, 0), 0);
	ck_assert_int_eq(when("{\"hasBindMounts\":false}", "/bin/sh", NULL, 1), 0);
	ck_assert_int_eq(when("{\"annotations\":{\"kind$\":\"^gpu-[0-9]+$\"}}", "/bin/sh", pairs, 0), 1);
	ck_assert_int_eq(when("{\"annotations\":{\"^kind$\":\"gpu\"}}", "/bin/sh", pairs, 0), 0);
	ck_assert_int_eq(when("{\"annotations\":{\"kind\":\"gpu\",\"other\":\"y\"}}", "/bin/sh", pairs, 0), 0);
	ck_assert_int_eq(when("{\"annotations\":{\"kind\":\"gpu\"},\"always\":false}", "/bin/sh", pairs, 0), 0);
	ck_assert_int_eq(when("{\"annotations\":{\"kind\":\"gpu\"},\"hasBindMounts\":true}", "/bin/sh", pairs, 1), 1);
}
END_TEST

START_TEST(commands_decide_last)
{
	ck_assert_int_eq(when("{\"commands\":[\"^/bin/.*sh$\",\"x\"]}", "/bin/bash", NULL, 0), 1);
	ck_assert_int_eq(when("{\"commands\":[\"sh$\"]}", "/bin/true", NULL, 0), 0);
	ck_assert_int_eq(when("{\"always\":true,\"commands\":[\"sh$\"]}", "/bin/true", NULL, 0), 0);
	ck_assert_int_eq(when("{\"always\":false,\"commands\":[\"sh$\"]}", "/bin/sh", NULL, 0), 0);
	ck_assert_int_eq(when("{\"commands\":[]}", "/bin/sh", NULL, 0), 0);
}
END_TEST

START_TEST(one_condition_is_enough_in_the_old_format)
{
	ck_assert_int_eq(old("", "/bin/sh", pairs, 1), 0);
	ck_assert_int_eq(old(",\"cmds\":[\"sh$\"]", "/bin/sh", NULL, 0), 1);
	ck_assert_int_eq(old(",\"cmd\":[\"sh$\"]", "/bin/true", NULL, 0), 0);
	ck_assert_int_eq(old(",\"cmd\":[\"sh$\"],\"hasbindmounts\":true", "/bin/true", NULL, 1), 1);
	ck_assert_int_eq(old(",\"annotation\":[\"^y$\",\"^x$\"]", "/bin/true", pairs, 0), 1);
	ck_assert_int_eq(old(",\"annotations\":[\"^y$\"]", "/bin/true", pairs, 0), 0);
	ck_assert_int_eq(old(",\"hasbindmounts\":false", "/bin/true", pairs, 0), 0);
}
END_TEST

#define ALWAYS(path) "{\"version\":\"1.0.0\",\"hook\":{\"path\":\"" path "\"},\"when\":{\"always\":true},\"stages\":[\"prestart\"]}"

START_TEST(lower_case_names_give_the_order)
{
	const char *files[] = { "b.json", ALWAYS("/b"), "A.json", ALWAYS("/a"), "C.json", ALWAYS("/c"), "b.json", ALWAYS("/b2"), NULL };
	struct ocispec_hooks *h = hooks_of(files);

	ck_assert_uint_eq(ocispec_hooks_count(h), 3);
	ck_assert_str_eq(applied(h, "x", NULL, 0), "/a /b2 /c");
	ocispec_hooks_free(h);
}
END_TEST

START_TEST(hooks_go_in_whole)
{
	const char *files[] = { "a.json",
		"{\"hook\":\"/old\",\"arguments\":[\"x\"],\"stage\":[\"poststop\",\"prestart\"],\"cmd\":[\".\"]}",
		"b.json", "{\"version\":\"1.0.0\",\"hook\":{\"path\":\"/new\",\"args\":[\"new\",\"y\"],\"env\":[\"A=b\"],\"timeout\":3},"
		"\"when\":{\"always\":true},\"stages\":[\"poststart\"],\"unknown\":1}", NULL };
	struct ocispec_hooks *h = hooks_of(files);
	struct ocispec *s = parsed("{\"process\":{\"args\":[\"x\"]}}");

	ck_assert_int_eq(ocispec_hooks_apply(h, s, NULL, 0, NULL), 0);
	ck_prints(s, "{\"process\":{\"args\":[\"x\"]},\"hooks\":{\"createRuntime\":[{\"path\":\"/old\",\"args\":[\"/old\",\"x\"]}],"
		     "\"poststart\":[{\"path\":\"/new\",\"args\":[\"new\",\"y\"],\"env\":[\"A=b\"],\"timeout\":3}],"
		     "\"poststop\":[{\"path\":\"/old\",\"args\":[\"/old\",\"x\"]}]}}");
	ocispec_hooks_free(h);
}
END_TEST

START_TEST(wrong_files_are_told)
{
	static const char *const wrong[][2] = {
		{ "[]", "hook f: document: expected an object" },
		{ "{\"version\":\"2.0.0\"}", "hook f: unrecognized hook version: \"2.0.0\"" },
		{ "{\"version\":\"1.0.0\",\"stages\":[]}", "hook f: missing required property: hook.path" },
		{ "{\"version\":\"1.0.0\",\"hook\":\"/x\",\"stages\":[]}", "hook f: hook: expected an object" },
		{ "{\"version\":\"1.0.0\",\"hook\":{\"path\":\"/x\"}}", "hook f: missing required property: stages" },
		{ "{\"version\":\"1.0.0\",\"hook\":{\"path\":\"/x\"},\"stages\":[\"late\"]}", "hook f: unknown stage \"late\"" },
		{ "{\"stages\":[\"prestart\"]}", "hook f: missing required property: hook" },
		{ "{\"hook\":\"/x\",\"stage\":[],\"stages\":[]}", "hook f: both \"stage\" and \"stages\"" },
		{ "{\"hook\":\"/x\",\"stage\":[],\"cmd\":[],\"cmds\":[]}", "hook f: both \"cmd\" and \"cmds\"" },
		{ "{\"version\":\"1.0.0\",\"hook\":{\"path\":\"/x\"},\"stages\":[],\"when\":{\"commands\":[\"(\"]}}",
		  "hook f: command: \"(\": expression at 1: missing closing parenthesis" },
		{ "{\"version\":\"1.0.0\",\"hook\":{\"path\":\"/x\"},\"stages\":[],\"when\":{\"annotations\":{\"a\":\"(?=b)\"}}}",
		  "hook f: annotation: \"(?=b)\": expression is not in Go's syntax" },
	};
	struct ocispec_hooks *h = NULL;
	struct ocispec_error err;

	ck_assert_int_eq(ocispec_hooks_new(&h), 0);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		ck_assert_int_eq(ocispec_hooks_add(h, "f", wrong[i][0], strlen(wrong[i][0]), &err), OCISPEC_E_INVALID);
		ck_assert_str_eq(err.message, wrong[i][1]);
	}
	ck_assert_uint_eq(ocispec_hooks_count(h), 0);
	ocispec_hooks_free(h);
}
END_TEST

START_TEST(no_command_to_match_is_an_error)
{
	const char *files[] = { "a.json", "{\"version\":\"1.0.0\",\"hook\":{\"path\":\"/h\"},\"when\":{\"commands\":[\"x\"]},\"stages\":[]}", NULL };
	struct ocispec_hooks *h = hooks_of(files);
	struct ocispec *s = parsed("{\"process\":{}}");
	struct ocispec_error err = { 0 };

	ck_assert_int_eq(ocispec_hooks_apply(h, s, NULL, 0, &err), OCISPEC_E_INVALID);
	ck_assert_str_eq(err.message, "hook a.json: process.args must have at least one entry");
	ocispec_free(s);
	ocispec_hooks_free(h);
}
END_TEST

/* An expression that backtracks for ages ends in an error, soon. */
START_TEST(hostile_expressions_end)
{
	const char *files[] = { "a.json", "{\"version\":\"1.0.0\",\"hook\":{\"path\":\"/h\"},\"when\":{\"annotations\":{\".\":\"^(a|a)*$\"}},\"stages\":[]}", NULL };
	const char *evil[] = { "k", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", NULL };
	struct ocispec_hooks *h = hooks_of(files);
	struct ocispec *s = parsed("{}");

	ck_assert_int_eq(ocispec_hooks_apply(h, s, evil, 0, NULL), OCISPEC_E_LIMIT);
	ocispec_free(s);
	ocispec_hooks_free(h);
}
END_TEST

static void count(void *user, int severity, const char *path, const char *message)
{
	ck_assert_int_eq(severity, OCISPEC_FINDING_ERROR);
	snprintf((char *)user + strlen(user), 1000 - strlen(user), "%s: %s\n", path, message);
}

START_TEST(directories_are_loaded_in_order)
{
	char dir[] = "/tmp/ocispec-hooks-XXXXXX", path[64], told[1000] = "", expected[400];
	struct ocispec_hooks *h = NULL;
	struct ocispec_error err = { 0 };
	static const struct { const char *name, *text; } files[] = {
		{ "one/a.json", ALWAYS("/bin/sh") }, { "one/b.json", ALWAYS("/bin/sh") }, { "one/c.txt", "{" },
		{ "two/b.json", ALWAYS("/bin/cat") }, { "two/bad.json", "{" }, { "two/gone.json", ALWAYS("/no/such/program") },
	};

	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, i ? "two" : "one");
		ck_assert_int_eq(mkdir(path, 0755), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i].name);
		ck_assert_int_eq(write_file(path, 0644, files[i].text, strlen(files[i].text), 0), 0);
	}
	ck_assert_int_eq(ocispec_hooks_new(&h), 0);
	snprintf(path, sizeof(path), "%s/one", dir);
	ck_assert_int_eq(ocispec_hooks_load(h, path, count, told, &err), 0);
	snprintf(path, sizeof(path), "%s/two", dir);
	ck_assert_int_eq(ocispec_hooks_load(h, path, count, told, &err), OCISPEC_E_INVALID);
	snprintf(expected, sizeof(expected), "gone.json: %s/gone.json: hook gone.json: /no/such/program: No such file or directory\n", path);
	ck_assert_ptr_nonnull(strstr(told, expected));
	ck_assert_ptr_nonnull(strstr(told, "bad.json: "));
	ck_assert_ptr_nonnull(strstr(err.message, "/two/bad.json: hook bad.json: not a JSON document"));
	ck_assert_int_eq(ocispec_hooks_load(h, "/no/such/dir", NULL, NULL, &err), OCISPEC_E_NOT_FOUND);
	ck_assert_str_eq(applied(h, "x", NULL, 0), "/bin/sh /bin/cat");
	ocispec_hooks_free(h);
	ck_assert_int_eq(rm_rf_at(-100, dir), 0);
}
END_TEST

RUN_TESTS("hooks", all_conditions_must_hold, commands_decide_last, one_condition_is_enough_in_the_old_format,
	  lower_case_names_give_the_order, hooks_go_in_whole, wrong_files_are_told, no_command_to_match_is_an_error,
	  hostile_expressions_end, directories_are_loaded_in_order)
