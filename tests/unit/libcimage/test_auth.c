/* SPDX-License-Identifier: Apache-2.0 */
#include "auth_helper.h"
#include "unit.h"

/* base64: joe:pw, team:pw, hub:pw, "a:b:c" */
#define JOE "am9lOnB3"
#define TEAM "dGVhbTpwdw=="
#define HUB "aHViOnB3"
#define COLONS "YTpiOmM="

static struct helper_cache *cache;

static struct auth_files *files(const char *first, const char *second, bool legacy)
{
	struct auth_files *a = auth_files_new();
	struct cimage_error err = { 0 };

	ck_assert_msg(auth_add(a, first, strlen(first), "1.json", legacy, &err) == 0, "%s", err.message);
	if (second)
		ck_assert_int_eq(auth_add(a, second, strlen(second), "2.json", false, &err), 0);
	return a;
}

/* Asserts that the user for name is this one; NULL: none. */
static void gives(const struct auth_files *a, const char *name, const char *user, const char *password)
{
	struct cimage_ref *ref = ref_of(name);
	struct credentials c = { 0 };
	struct cimage_error err = { 0 };

	ck_assert_msg(auth_find(a, ref, &cache, &c, &err) == 0, "%s", err.message);
	ck_assert_pstr_eq(c.user, user);
	ck_assert_pstr_eq(c.password, password);
	credentials_done(&c);
	cimage_ref_free(ref);
}

static int fails(const char *text, const char *name, const char *said)
{
	struct auth_files *a = files(text, NULL, false);
	struct cimage_ref *ref = ref_of(name);
	struct credentials c = { 0 };
	struct cimage_error err = { 0 };
	int r = auth_find(a, ref, &cache, &c, &err);

	ck_assert_msg(strstr(err.message, said), "%s", err.message);
	ck_assert_ptr_null(c.user);
	ck_assert_ptr_null(c.password);
	cimage_ref_free(ref);
	auth_files_free(a);
	return r;
}

START_TEST(the_longest_key_wins)
{
	struct auth_files *a = files("{\"auths\":{\"h.io:5\":{\"auth\":\"" JOE "\"},\"h.io:5/team\":{\"auth\":\"" TEAM "\"}}}",
				     NULL, false);

	gives(a, "h.io:5/x", "joe", "pw");
	gives(a, "h.io:5/team/x", "team", "pw");
	gives(a, "h.io:5/team", "team", "pw");
	gives(a, "h.io:5/teams/x", "joe", "pw");
	gives(a, "h.io/x", NULL, NULL);
	gives(a, "h.io:50/x", NULL, NULL);
	auth_files_free(a);
}
END_TEST

START_TEST(keys_may_be_urls_and_docker_hub_has_many_names)
{
	struct auth_files *a = files("{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"" HUB "\"},"
				     "\"http://h.io/v2/\":{\"auth\":\"" JOE "\"}}}", NULL, false);

	gives(a, "busybox", "hub", "pw");
	gives(a, "h.io/x", "joe", "pw");
	gives(a, "index.h.io/x", NULL, NULL);
	auth_files_free(a);
}
END_TEST

START_TEST(a_password_may_have_colons)
{
	struct auth_files *a = files("{\"auths\":{\"h.io\":{\"auth\":\"" COLONS "\"}}}", NULL, false);

	gives(a, "h.io/x", "a", "b:c");
	auth_files_free(a);
}
END_TEST

START_TEST(an_entry_without_content_goes_to_the_next_file)
{
	struct auth_files *a = files("{\"auths\":{\"h.io\":{}}}", "{\"auths\":{\"h.io\":{\"auth\":\"" JOE "\"}}}", false);

	gives(a, "h.io/x", "joe", "pw");
	auth_files_free(a);
	a = files("{\"auths\":{\"h.io/x\":{\"auth\":\"am9l\"},\"h.io\":{\"auth\":\"" HUB "\"}}}",
		  "{\"auths\":{\"h.io\":{\"auth\":\"" JOE "\"}}}", false);
	gives(a, "h.io/x", "joe", "pw");
	auth_files_free(a);
}
END_TEST

START_TEST(identity_tokens_are_found)
{
	struct auth_files *a = files("{\"auths\":{\"h.io\":{\"auth\":\"\",\"identitytoken\":\"abc\"}}}", NULL, false);
	struct cimage_ref *ref = ref_of("h.io/x");
	struct credentials c = { 0 };

	ck_assert_int_eq(auth_find(a, ref, &cache, &c, NULL), 0);
	ck_assert_ptr_null(c.user);
	ck_assert_str_eq(c.identity_token, "abc");
	credentials_done(&c);
	cimage_ref_free(ref);
	auth_files_free(a);
}
END_TEST

START_TEST(the_old_docker_file_has_no_auths)
{
	struct auth_files *a = files("{\"https://h.io\":{\"auth\":\"" JOE "\"},\"auths\":{\"i.io\":{\"auth\":\"" JOE "\"}}}", NULL,
				     true);

	gives(a, "h.io/x", "joe", "pw");
	gives(a, "i.io/x", NULL, NULL);
	auth_files_free(a);
}
END_TEST

START_TEST(a_helper_has_a_plain_name)
{
	static const char *const names[] = { "va\\nult", "../../bin/sh", "a/b", "", ".x", "-x", "a b", "a\\u0000b", "a;b" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char *text = strf("{\"credHelpers\":{\"h.io\":\"%s\"},\"auths\":{\"i.io\":{\"auth\":\"" JOE "\"}}}", names[i]);
		struct auth_files *a = files(text, NULL, false);

		if (!strstr(names[i], "u0000")) /* which is no text at all, and so no helper */
			ck_assert_int_eq(fails(text, "h.io/x", "not the name of a credential helper"), CIMAGE_E_INVALID);
		gives(a, "i.io/x", "joe", "pw");
		auth_files_free(a);
		free(text);
	}
}
END_TEST

/* A helper that notes its calls, and has credentials for h.io, a token for t.io, and trouble with b.io. */
static void make_helper(struct scratch *s)
{
	char *text = strf("#!/bin/sh\nread -r server\necho \"$1 $server\" >>%s/calls\n"
			  "case $1,$server in\n"
			  "get,h.io) echo '{\"ServerURL\":\"h.io\",\"Username\":\"fromhelper\",\"Secret\":\"s:1\"}' ;;\n"
			  "get,t.io) echo '{\"Username\":\"<token>\",\"Secret\":\"tok\"}' ;;\n"
			  "get,j.io) echo 'no json' ;;\n"
			  "get,b.io) echo broken; exit 3 ;;\n"
			  "list,*) echo '{\"h.io\":\"fromhelper\",\"t.io\":\"x\"}' ;;\n"
			  "store,*) ;;\n"
			  "*) echo 'credentials not found in native keychain'; exit 1 ;;\nesac\n", s->path);
	char *path = scratch_write(s, "docker-credential-fake", text);

	chmod(path, 0700);
	free(path);
	free(text);
	path = strf("%s:%s", s->path, getenv("PATH"));
	setenv("PATH", path, 1);
	free(path);
}

static char *calls(struct scratch *s)
{
	char *path = strf("%s/calls", s->path), *text = NULL;

	if (read_file(path, 1 << 16, &text, NULL))
		text = strdup("");
	free(path);
	return text;
}

START_TEST(a_helper_comes_before_the_entries_of_its_file)
{
	struct auth_files *a = files("{\"credHelpers\":{\"h.io\":\"fake\",\"n.io\":\"fake\"},\"auths\":"
				     "{\"h.io\":{\"auth\":\"" JOE "\"},\"n.io\":{\"auth\":\"" JOE "\"}}}",
				     "{\"auths\":{\"n.io\":{\"auth\":\"" HUB "\"}}}", false);
	struct scratch s;
	char *said;

	scratch_make(&s);
	make_helper(&s);
	gives(a, "h.io/x", "fromhelper", "s:1");
	gives(a, "h.io/y/z", "fromhelper", "s:1");
	gives(a, "n.io/x", "hub", "pw"); /* the helper has none, so this file has none */
	said = calls(&s);
	ck_assert_str_eq(said, "get h.io\nget n.io\n"); /* once each */
	free(said);
	cache = helper_cache_free(cache);
	auth_files_free(a);
	scratch_remove(&s);
}
END_TEST

START_TEST(what_a_helper_says)
{
	struct credentials c = { 0 };
	struct cimage_error err = { 0 };
	struct scratch s;
	char **servers = NULL, *said;

	scratch_make(&s);
	make_helper(&s);
	ck_assert_int_eq(helper_get(&cache, "fake", "t.io", &c, &err), 0);
	ck_assert_ptr_null(c.user);
	ck_assert_str_eq(c.identity_token, "tok");
	credentials_done(&c);
	ck_assert_int_eq(helper_get(&cache, "fake", "j.io", &c, &err), CIMAGE_E_INVALID);
	ck_assert_int_eq(helper_get(&cache, "fake", "b.io", &c, &err), CIMAGE_E_DENIED);
	ck_assert_ptr_nonnull(strstr(err.message, "docker-credential-fake get failed: broken"));
	ck_assert_int_lt(helper_get(&cache, "missing", "h.io", &c, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.message, "docker-credential-missing"));
	ck_assert_ptr_null(c.user);
	ck_assert_int_eq(helper_store("fake", "s.io", "joe", "p\"w", &err), 0);
	ck_assert_int_eq(helper_erase("fake", "s.io", &err), CIMAGE_E_NOT_FOUND);
	ck_assert_int_eq(helper_list("fake", &servers, &err), 0);
	ck_assert_str_eq(servers[0], "h.io");
	ck_assert_str_eq(servers[1], "t.io");
	ck_assert_ptr_null(servers[2]);
	strv_free(servers);
	said = calls(&s);
	ck_assert_ptr_nonnull(strstr(said, "store {\"ServerURL\":\"s.io\",\"Username\":\"joe\",\"Secret\":\"p\\\"w\"}\nerase s.io\n"));
	free(said);
	cache = helper_cache_free(cache);
	scratch_remove(&s);
}
END_TEST

START_TEST(storing_keeps_what_is_not_understood)
{
	struct cimage_context *c;
	struct cimage_error err = { 0 };
	struct scratch s;
	char *path, *conf, *where = NULL, *text, *user = NULL;
	struct stat st;

	scratch_make(&s);
	make_helper(&s);
	path = scratch_write(&s, "auth.json", "{\"x\":[1],\"auths\":{\"i.io\":{\"auth\":\"" JOE "\",\"y\":2}},\"credHelpers\":{\"s.io\":\"fake\"}}");
	conf = scratch_write(&s, "registries.conf", "");
	chmod(path, 0644);
	ck_assert_int_eq(cimage_context_new(&c), 0);
	cimage_context_set_registries_conf(c, conf);
	cimage_context_set_registries_conf_dir(c, "");
	cimage_context_set_auth_file(c, path);
	ck_assert_msg(!cimage_credentials_store(c, "h.io:5/team", "team", "pw", &where, &err), "%s", err.message);
	ck_assert_str_eq(where, path);
	free(where);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(cimage_credentials_store(c, "s.io", "joe", "pw", &where, &err), 0);
	ck_assert_str_eq(where, "docker-credential-fake");
	free(where);
	ck_assert_int_eq(cimage_credentials_find(c, "h.io:5/team", &user, &err), 0);
	ck_assert_str_eq(user, "team");
	free(user);
	ck_assert_int_eq(cimage_credentials_find(c, "h.io:5", &user, &err), CIMAGE_E_NOT_FOUND);
	ck_assert_int_eq(read_file(path, 1 << 16, &text, NULL), 0);
	ck_assert_str_eq(text, "{\n\t\"x\": [\n\t\t1\n\t],\n\t\"auths\": {\n\t\t\"i.io\": {\n\t\t\t\"auth\": \"" JOE "\",\n\t\t\t\"y\": 2\n"
			       "\t\t},\n\t\t\"h.io:5/team\": {\n\t\t\t\"auth\": \"" TEAM "\"\n\t\t}\n\t},\n\t\"credHelpers\": {\n"
			       "\t\t\"s.io\": \"fake\"\n\t}\n}");
	free(text);
	ck_assert_int_eq(cimage_credentials_remove(c, "h.io:5", &err), CIMAGE_E_NOT_FOUND);
	ck_assert_int_eq(cimage_credentials_remove(c, "h.io:5/team", &err), 0);
	ck_assert_int_eq(cimage_credentials_remove(c, "h.io:5/team", &err), CIMAGE_E_NOT_FOUND);
	for (size_t i = 0; i < 4; i++) {
		static const char *const bad[] = { "busybox", "h.io/x:t", "https://h.io", "" };

		ck_assert_int_eq(cimage_credentials_store(c, bad[i], "u", "p", NULL, &err), CIMAGE_E_INVALID);
	}
	ck_assert_int_eq(cimage_credentials_store(c, "h.io", "a:b", "p", NULL, &err), -EINVAL);
	cimage_context_free(c);
	free(path);
	free(conf);
	scratch_remove(&s);
}
END_TEST

START_TEST(odd_shapes_are_harmless)
{
	static const char *const odd[] = {
		"{}", "{\"auths\":[]}", "{\"auths\":null}", "{\"auths\":{\"h.io\":null}}", "{\"auths\":{\"h.io\":[]}}",
		"{\"auths\":{\"h.io\":{\"auth\":5}}}", "{\"auths\":{\"h.io\":{\"auth\":\"\"}}}", "{\"credHelpers\":[\"h.io\"]}",
		"{\"auths\":{\"\":{\"auth\":\"" JOE "\"}}}", "{\"auths\":{\"https://\":{\"auth\":\"" JOE "\"}}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		struct auth_files *a = files(odd[i], NULL, false);

		gives(a, "h.io/x", NULL, NULL);
		auth_files_free(a);
	}
}
END_TEST

START_TEST(broken_files_are_errors_that_tell_no_secret)
{
	struct auth_files *a = auth_files_new();
	struct cimage_error err = { 0 };

	ck_assert_int_eq(auth_add(a, "{\"secret", 8, "f.json", false, &err), CIMAGE_E_INVALID);
	ck_assert_ptr_null(strstr(err.message, "secret"));
	ck_assert_int_eq(auth_add(a, "[]", 2, "f.json", false, &err), CIMAGE_E_INVALID);
	auth_files_free(a);
	ck_assert_int_eq(fails("{\"auths\":{\"h.io\":{\"auth\":\"%%%\"}}}", "h.io/x", "base64"), CIMAGE_E_INVALID);
	/* "jo\0e:pw" */
	ck_assert_int_eq(fails("{\"auths\":{\"h.io\":{\"auth\":\"am8AZTpwdw==\"}}}", "h.io/x", "base64"), CIMAGE_E_INVALID);
	/* "joe:pw\0" is what some tools write */
	a = files("{\"auths\":{\"h.io\":{\"auth\":\"am9lOnB3AA==\"}}}", NULL, false);
	gives(a, "h.io/x", "joe", "pw");
	auth_files_free(a);
}
END_TEST

RUN_TESTS("auth", the_longest_key_wins, keys_may_be_urls_and_docker_hub_has_many_names, a_password_may_have_colons,
	  an_entry_without_content_goes_to_the_next_file, identity_tokens_are_found, the_old_docker_file_has_no_auths,
	  a_helper_has_a_plain_name,
	  a_helper_comes_before_the_entries_of_its_file, what_a_helper_says, storing_keeps_what_is_not_understood, odd_shapes_are_harmless, broken_files_are_errors_that_tell_no_secret)
