/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

START_TEST(namespaces_are_one_per_type)
{
	struct ocispec *s = parsed("{\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":"
				   "\"network\",\"path\":\"/x\"}]}}");
	const char *path = NULL;

	ck_assert_int_eq(ocispec_set_namespace(s, "pid", "/run/p"), 0);
	ck_assert_int_eq(ocispec_set_namespace(s, "network", NULL), 0);
	ck_assert_int_eq(ocispec_set_namespace(s, "time", NULL), 0);
	ck_assert_int_eq(ocispec_get_namespace(s, "pid", &path), 0);
	ck_assert_str_eq(path, "/run/p");
	ck_assert_int_eq(ocispec_remove_namespace(s, "time"), 0);
	ck_assert_int_eq(ocispec_remove_namespace(s, "time"), OCISPEC_E_NOT_FOUND);
	ck_assert_int_eq(ocispec_set_namespace(s, "net", NULL), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_namespace(s, "pid", "relative"), OCISPEC_E_INVALID);
	ck_prints(s, "{\"linux\":{\"namespaces\":[{\"type\":\"pid\",\"path\":\"/run/"
		     "p\"},{\"type\":\"network\"}]}}");
}
END_TEST

START_TEST(sysctl_keys_cannot_smuggle)
{
	static const char *const bad[] = {
		"",	     "kernel.shm_rmid_forced=1",
		"net.x y",   "a\nb",
		"net..core", "net/../kernel",
		"a\x7f",     "a+\x01",
		"\xff",
	};
	struct ocispec *s = parsed("{}");

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(ocispec_set_sysctl(s, bad[i], "1") == OCISPEC_E_INVALID, "%s",
			      bad[i]);
	ck_assert_int_eq(ocispec_set_sysctl(s, "net.a", "1\n2"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_sysctl(s, "net.ipv4.ip_local_port_range", "1024\t65000"), 0);
	ck_prints(s,
		  "{\"linux\":{\"sysctl\":{\"net.ipv4.ip_local_port_range\":\"1024\\t65000\"}}}");
}
END_TEST

START_TEST(hidden_paths_are_absolute_lists)
{
	struct ocispec *s =
		parsed("{\"linux\":{\"maskedPaths\":[\"/x\"],\"readonlyPaths\":[\"/y\"]}}");
	const char *good[] = { "/a", "/b", NULL }, *bad[] = { "/a", "b", NULL };

	ck_assert_int_eq(ocispec_set_masked_paths(s, bad), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_masked_paths(s, good), 0);
	ck_assert_int_eq(ocispec_set_readonly_paths(s, NULL), 0);
	ck_prints(s, "{\"linux\":{\"maskedPaths\":[\"/a\",\"/b\"]}}");
}
END_TEST

START_TEST(devices_are_one_per_path)
{
	struct ocispec *s = parsed("{}");

	ck_assert_int_eq(ocispec_add_device(s, "/dev/a", 'c', 1, 3, 0666, 0, 0), 0);
	ck_assert_int_eq(ocispec_add_device(s, "/dev/a", 'b', 8, 0, 0660, 0, 6), 0);
	ck_assert_int_eq(ocispec_add_device(s, "/dev/p", 'p', 5, 5, 0600, 1, 1), 0);
	ck_assert_int_eq(ocispec_add_device(s, "dev/a", 'c', 1, 3, 0666, 0, 0), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_add_device(s, "/dev/x", 'x', 1, 3, 0666, 0, 0), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_add_device(s, "/dev/x", 0, 1, 3, 0666, 0, 0), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_add_device(s, "/dev/x", 'c', -1, 3, 0666, 0, 0),
			 OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_add_device(s, "/dev/x", 'c', 1, 3, 010000, 0, 0),
			 OCISPEC_E_INVALID);
	ck_prints(s, "{\"linux\":{\"devices\":[{\"path\":\"/dev/"
		     "a\",\"type\":\"b\",\"major\":8,\"minor\":0,"
		     "\"fileMode\":432,\"uid\":0,\"gid\":6},{\"path\":\"/dev/"
		     "p\",\"type\":\"p\",\"major\":0,\"minor\":0,"
		     "\"fileMode\":384,\"uid\":1,\"gid\":1}]}}");
}
END_TEST

START_TEST(cgroups_path_is_set_and_read)
{
	struct ocispec *s = parsed("{}");

	ck_assert_ptr_null(ocispec_get_cgroups_path(s));
	ck_assert_int_eq(ocispec_set_cgroups_path(s, "a.slice:crio:1"), 0);
	ck_assert_str_eq(ocispec_get_cgroups_path(s), "a.slice:crio:1");
	ck_assert_int_eq(ocispec_set_cgroups_path(s, "a\nb"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_cgroups_path(s, NULL), 0);
	ck_assert_ptr_null(ocispec_get_cgroups_path(s));
	ocispec_free(s);
}
END_TEST

START_TEST(id_mappings_and_hooks_are_appended)
{
	const char *args[] = { "h", NULL };
	struct ocispec *s = parsed("{}");

	ck_assert_int_eq(ocispec_add_id_mapping(s, 0, 0, 100000, 65536), 0);
	ck_assert_int_eq(ocispec_add_id_mapping(s, 1, 0, 100000, 65536), 0);
	ck_assert_int_eq(ocispec_add_id_mapping(s, 1, 0, 100000, 0), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_add_hook(s, "poststop", "/h", args, NULL, 5), 0);
	ck_assert_int_eq(ocispec_add_hook(s, "later", "/h", args, NULL, 5), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_add_hook(s, "poststop", "h", NULL, NULL, 0), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_add_hook(s, "poststop", "/h", NULL, NULL, -1), OCISPEC_E_INVALID);
	ck_prints(s, "{\"hooks\":{\"poststop\":[{\"path\":\"/h\",\"args\":[\"h\"],\"timeout\":5}]},\"linux\":{\"uidMappings\":"
		     "[{\"containerID\":0,\"hostID\":100000,\"size\":65536}],\"gidMappings\":[{\"containerID\":0,\"hostID\":100000,"
		     "\"size\":65536}]}}");
}
END_TEST

RUN_TESTS("linux", id_mappings_and_hooks_are_appended, namespaces_are_one_per_type, sysctl_keys_cannot_smuggle,
	  hidden_paths_are_absolute_lists, devices_are_one_per_path, cgroups_path_is_set_and_read)
