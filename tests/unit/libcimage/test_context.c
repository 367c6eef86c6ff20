/* SPDX-License-Identifier: Apache-2.0 */
/* Files in their places, short names, and what an endpoint gets. */
#include "context.h"
#include "unit.h"

static struct scratch s;
static struct cimage_context *c;

/* A home of its own; the files of the machine are out of the way. */
static void begin(const char *registries)
{
	char *conf;

	scratch_make(&s);
	setenv("HOME", s.path, 1);
	setenv("XDG_RUNTIME_DIR", s.path, 1);
	setenv("XDG_CACHE_HOME", s.path, 1);
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("DOCKER_CONFIG");
	ck_assert_int_eq(cimage_context_new(&c), 0);
	conf = scratch_write(&s, "registries.conf", registries);
	ck_assert_int_eq(cimage_context_set_registries_conf(c, conf), 0);
	ck_assert_int_eq(cimage_context_set_registries_conf_dir(c, ""), 0);
	free(conf);
}

static void end(void)
{
	ck_assert_ptr_null(cimage_context_free(c));
	scratch_remove(&s);
}

static void resolves(const char *name, const char *expected)
{
	struct cimage_error err = { 0 };
	char **v = NULL, *joined;

	ck_assert_msg(cimage_resolve(c, name, &v, &err) == 0, "%s: %s", name, err.message);
	joined = strv_join(v, " ");
	ck_assert_str_eq(joined, expected);
	free(joined);
	ck_assert_ptr_null(cimage_strv_free(v));
}

static int resolve_fails(const char *name)
{
	struct cimage_error err = { 0 };
	char **v = (void *)1;
	int r = cimage_resolve(c, name, &v, &err);

	ck_assert_ptr_eq(v, (void *)1);
	ck_assert_int_eq(err.code, r);
	ck_assert_str_ne(err.message, "");
	return r;
}

START_TEST(full_names_need_no_configuration)
{
	begin("unqualified-search-registries=['a.io']\n");
	resolves("h.io/x", "h.io/x:latest");
	resolves("h.io/x:t@" SHA, "h.io/x@" SHA);
	resolves("docker.io/x", "docker.io/library/x:latest");
	ck_assert_int_eq(resolve_fails("h.io/X"), CIMAGE_E_INVALID);
	end();
}
END_TEST

START_TEST(an_alias_decides)
{
	begin("unqualified-search-registries=['a.io','b.io']\n[aliases]\n'x'='h.io/team/x'\n'y/z'='i.io/z'\n");
	resolves("x", "h.io/team/x:latest");
	resolves("x:t", "h.io/team/x:t");
	resolves("x@" SHA, "h.io/team/x@" SHA);
	resolves("y/z:1", "i.io/z:1");
	ck_assert_int_eq(resolve_fails("z"), CIMAGE_E_AMBIGUOUS);
	end();
}
END_TEST

START_TEST(the_machines_alias_file_comes_first)
{
	if (geteuid() == 0)	/* as root it is /var/cache/containers/short-name-aliases.conf */
		return;
	begin("[aliases]\n'x'='h.io/x'\n");
	free(scratch_write(&s, "containers/short-name-aliases.conf", "[aliases]\n'x'='i.io/x'\n"));
	resolves("x", "i.io/x:latest");
	end();
}
END_TEST

START_TEST(search_registries_depend_on_the_mode)
{
	begin("unqualified-search-registries=['a.io','docker.io','localhost']\n");
	ck_assert_int_eq(resolve_fails("x"), CIMAGE_E_AMBIGUOUS);
	end();
	begin("unqualified-search-registries=['a.io','docker.io','localhost']\nshort-name-mode='permissive'\n");
	resolves("x", "a.io/x:latest docker.io/library/x:latest localhost/x:latest");
	end();
	begin("unqualified-search-registries=['a.io','b.io']\nshort-name-mode='permissive'\n");
	ck_assert_int_eq(cimage_context_set_short_name_mode(c, "enforcing"), 0);
	ck_assert_int_eq(resolve_fails("x"), CIMAGE_E_AMBIGUOUS);
	end();
	begin("unqualified-search-registries=['a.io','b.io:5/']\n");
	ck_assert_int_eq(cimage_context_set_short_name_mode(c, "disabled"), 0);
	resolves("t/x:1", "a.io/t/x:1 b.io:5/t/x:1");
	end();
	begin("unqualified-search-registries=['a.io']\n");
	resolves("x", "a.io/x:latest");
	end();
	begin("");
	ck_assert_int_eq(resolve_fails("x"), CIMAGE_E_NOT_FOUND);
	end();
}
END_TEST

START_TEST(a_bad_file_is_an_error_until_it_is_good)
{
	char *v;

	begin("broken");
	ck_assert_int_eq(resolve_fails("x"), CIMAGE_E_INVALID);
	v = scratch_write(&s, "registries.conf", "unqualified-search-registries=['a.io']\n");
	resolves("x", "a.io/x:latest");
	unlink(v);		/* what was read stays */
	resolves("x", "a.io/x:latest");
	free(v);
	end();
}
END_TEST

START_TEST(the_users_file_hides_the_machines)
{
	begin("");
	ck_assert_int_eq(cimage_context_set_registries_conf(c, NULL), 0);
	ck_assert_int_eq(cimage_context_set_registries_conf_dir(c, NULL), 0);
	free(scratch_write(&s, ".config/containers/registries.conf", "unqualified-search-registries=['mine.io']\n"));
	free(scratch_write(&s, ".config/containers/registries.conf.d/1.conf", "[aliases]\n'only-mine'='h.io/x'\n"));
	resolves("only-mine", "h.io/x:latest");
	resolves("alpine", "mine.io/alpine:latest");
	end();
}
END_TEST

START_TEST(reloading_takes_all_or_nothing)
{
	struct cimage_error err = { 0 };

	begin("[aliases]\n'x'='a.io/x'\n");
	resolves("x", "a.io/x:latest");
	free(scratch_write(&s, "registries.conf", "[aliases]\n'x'='b.io/x'\n"));
	resolves("x", "a.io/x:latest");
	free(scratch_write(&s, "containers/auth.json", "no json"));
	ck_assert_int_eq(cimage_context_reload(c, &err), CIMAGE_E_INVALID);
	ck_assert_ptr_nonnull(strstr(err.message, "auth.json"));
	resolves("x", "a.io/x:latest");
	free(scratch_write(&s, "containers/auth.json", "{}"));
	ck_assert_msg(!cimage_context_reload(c, &err), "%s", err.message);
	resolves("x", "b.io/x:latest");
	free(scratch_write(&s, "registries.conf", "[aliases"));
	ck_assert_int_eq(cimage_context_reload(c, &err), CIMAGE_E_INVALID);
	resolves("x", "b.io/x:latest");
	end();
}
END_TEST

START_TEST(a_policy_in_no_place_names_the_places)
{
	struct policy *p;
	struct cimage_error err = { 0 };
	char *path;

	begin("");
	path = strf("%s/none.json", s.path);
	ck_assert_int_eq(cimage_context_set_policy(c, path), 0);
	ck_assert_int_eq(context_policy(c, &p, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.message, path));
	free(path);
	ck_assert_int_eq(cimage_context_set_policy(c, NULL), 0);
	free(scratch_write(&s, ".config/containers/policy.json", "{\"default\":[{\"type\":\"reject\"}]}"));
	ck_assert_int_eq(context_policy(c, &p, &err), 0);
	end();
}
END_TEST

START_TEST(endpoints_get_what_is_theirs)
{
	struct cimage_endpoint **e = NULL;
	struct cimage_ref *ref = ref_of("h.io/x:t");
	struct cimage_error err = { 0 };
	int insecure = -1;

	begin("[[registry]]\nlocation='h.io'\n[[registry.mirror]]\nlocation='m.io'\ninsecure=true\n"
	      "[[registry.mirror]]\nlocation='h.io/mirror'\n[[registry]]\nlocation='p.io:5'\ninsecure=true\n");
	free(scratch_write(&s, "containers/auth.json", "{\"auths\":{\"m.io\":{\"auth\":\"am9lOnB3\"},"
			   "\"h.io\":{\"auth\":\"am9lOnB3\"}}}"));
	free(scratch_write(&s, ".config/containers/certs.d/h.io/a.crt", "A"));
	free(scratch_write(&s, ".config/containers/certs.d/h.io/b.crt", "B"));
	free(scratch_write(&s, ".config/containers/certs.d/h.io/c.cert", "C"));
	free(scratch_write(&s, ".config/containers/certs.d/h.io/c.key", "D"));
	ck_assert_int_eq(cimage_context_set_credentials(c, "caller", "secret"), 0);
	ck_assert_msg(cimage_context_endpoints(c, ref, &e, &err) == 0, "%s", err.message);

	ck_assert_str_eq(cimage_ref_string(cimage_endpoint_ref(e[0])), "m.io/x:t");
	ck_assert_str_eq(cimage_endpoint_user(e[0]), "joe");
	ck_assert_int_eq(cimage_endpoint_is_insecure(e[0]), 1);
	ck_assert_int_eq(cimage_endpoint_is_mirror(e[0]), 1);
	ck_assert_ptr_null(cimage_endpoint_ca(e[0]));
	ck_assert_ptr_null(cimage_endpoint_client_cert(e[0]));
	/* a mirror in the same registry is that registry */
	ck_assert_str_eq(cimage_endpoint_user(e[1]), "caller");
	ck_assert_str_eq(cimage_endpoint_password(e[2]), "secret");
	ck_assert_int_eq(cimage_endpoint_is_insecure(e[2]), 0);
	ck_assert_int_eq(cimage_endpoint_is_mirror(e[2]), 0);
	ck_assert_str_eq(cimage_endpoint_ca(e[2]), "A\nB\n");
	ck_assert_str_eq(cimage_endpoint_client_cert(e[2]), "C");
	ck_assert_str_eq(cimage_endpoint_client_key(e[2]), "D");
	ck_assert_ptr_null(e[3]);
	ck_assert_ptr_null(cimage_endpoints_free(e));

	ck_assert_int_eq(cimage_context_host_is_insecure(c, "p.io:5", &insecure, &err), 0);
	ck_assert_int_eq(insecure, 1);
	ck_assert_int_eq(cimage_context_host_is_insecure(c, "p.io:50", &insecure, &err), 0);
	ck_assert_int_eq(insecure, 0);
	cimage_ref_free(ref);
	end();
}
END_TEST

START_TEST(half_a_client_certificate_is_an_error)
{
	struct cimage_endpoint **e = NULL;
	struct cimage_ref *ref = ref_of("h.io/x:t");
	struct cimage_error err = { 0 };

	begin("");
	free(scratch_write(&s, "certs/h.io/c.key", "D"));
	char *dir = strf("%s/certs", s.path);

	ck_assert_int_eq(cimage_context_set_certs_dir(c, dir), 0);
	ck_assert_int_eq(cimage_context_endpoints(c, ref, &e, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.message, "c.cert"));
	free(dir);
	cimage_ref_free(ref);
	end();
}
END_TEST

START_TEST(setters_refuse_nonsense)
{
	begin("");
	ck_assert_int_eq(cimage_context_set_credentials(c, "a:b", "x"), -EINVAL);
	ck_assert_int_eq(cimage_context_set_credentials(c, "a", NULL), -EINVAL);
	ck_assert_int_eq(cimage_context_set_credentials(c, NULL, NULL), 0);
	ck_assert_int_eq(cimage_context_set_user_agent(c, "a\r\nX: y"), -EINVAL);
	ck_assert_int_eq(cimage_context_set_user_agent(c, "crid/1"), 0);
	ck_assert_str_eq(cimage_context_user_agent(c), "crid/1");
	ck_assert_int_eq(cimage_context_set_short_name_mode(c, "loose"), -EINVAL);
	ck_assert_int_eq(cimage_context_set_policy(NULL, "x"), -EINVAL);
	end();
}
END_TEST

RUN_TESTS("context", full_names_need_no_configuration, an_alias_decides, the_machines_alias_file_comes_first,
	  search_registries_depend_on_the_mode, a_bad_file_is_an_error_until_it_is_good, reloading_takes_all_or_nothing, the_users_file_hides_the_machines,
	  a_policy_in_no_place_names_the_places, endpoints_get_what_is_theirs, half_a_client_certificate_is_an_error,
	  setters_refuse_nonsense)
