/* SPDX-License-Identifier: Apache-2.0 */
#include "auth.h"
#include "unit.h"

/* base64: joe:pw, team:pw, hub:pw, "a:b:c" */
#define JOE "am9lOnB3"
#define TEAM "dGVhbTpwdw=="
#define HUB "aHViOnB3"
#define COLONS "YTpiOmM="

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

	ck_assert_msg(auth_find(a, ref, &c, &err) == 0, "%s", err.message);
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
	int r = auth_find(a, ref, &c, &err);

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

	ck_assert_int_eq(auth_find(a, ref, &c, NULL), 0);
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

START_TEST(a_helper_is_an_error_for_its_registry_only)
{
	static const char text[] = "{\"credHelpers\":{\"h.io\":\"va\\nult\"},\"auths\":{\"h.io\":{\"auth\":\"" JOE "\"}}}";
	struct auth_files *a = files(text, NULL, false);

	ck_assert_int_eq(fails(text, "h.io/x", "docker-credential-va?ult"), CIMAGE_E_UNSUPPORTED);
	gives(a, "i.io/x", NULL, NULL);
	auth_files_free(a);
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
	  a_helper_is_an_error_for_its_registry_only, odd_shapes_are_harmless, broken_files_are_errors_that_tell_no_secret)
