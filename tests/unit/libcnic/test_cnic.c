/* SPDX-License-Identifier: Apache-2.0 */
/* Options, and one struct cnic used from several threads. */
#include "unit.h"

START_TEST(options_take_absolute_paths)
{
	struct cnic_options *o = NULL;

	ck_assert_int_eq(cnic_options_new(&o), 0);
	ck_assert_int_eq(cnic_options_set_conf_dir(o, "rel"), -EINVAL);
	ck_assert_int_eq(cnic_options_set_cache_dir(o, ""), -EINVAL);
	ck_assert_int_eq(cnic_options_add_plugin_dir(o, "/a:/b"), -EINVAL);
	ck_assert_int_eq(cnic_options_add_plugin_dir(o, NULL), -EINVAL);
	ck_assert_int_eq(cnic_options_set_default_network(o, "a/b"), CNIC_E_INVALID);
	ck_assert_int_eq(cnic_options_set_default_network(o, ""), 0);
	ck_assert_ptr_null(cnic_options_free(o));
	ck_assert_ptr_null(cnic_options_free(NULL));
	ck_assert_ptr_null(cnic_free(NULL));
	ck_assert_int_eq(cnic_options_new(NULL), -EINVAL);
}
END_TEST

START_TEST(defaults_are_the_usual_directories)
{
	struct cnic *c = NULL;

	ck_assert_int_eq(cnic_new(NULL, &c), 0);
	ck_assert_str_eq(c->o.conf_dir, "/etc/cni/net.d");
	ck_assert_str_eq(c->o.cache_dir, "/var/lib/cni/results");
	ck_assert_uint_eq(strv_len(c->o.plugin_dirs), 1);
	ck_assert_str_eq(c->o.plugin_dirs[0], "/opt/cni/bin");
	ck_assert(c->o.run == run_default);
	cnic_free(c);
}
END_TEST

static const char plugin[] =
	"#!/bin/sh\ncase $CNI_COMMAND in\n"
	"VERSION) echo '{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"1.0.0\"]}' ;;\n"
	"ADD) echo '{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.0.0.9/24\"}]}' ;;\nesac\n";

static void *attach_and_detach(void *arg)
{
	struct cnic *c = arg;
	static atomic_int next;
	char id[16];
	struct cnic_attachment a = {
		.size = sizeof(a), .container_id = id, .netns = "/n", .timeout_ms = 30000
	};

	for (int i = 0; i < 5; i++) {
		snprintf(id, sizeof(id), "c%d", atomic_fetch_add(&next, 1));
		if (cnic_attach(c, &a, NULL, NULL) || cnic_detach(c, &a, NULL) ||
		    cnic_reload(c, NULL))
			return arg;
	}
	return NULL;
}

START_TEST(threads_share_one_object)
{
	struct cnic *c = new_cnic(false, NULL);
	pthread_t threads[4];
	char **ids = NULL;
	void *failed;

	put("bin/one", plugin);
	put("conf/10.conflist",
	    "{\"name\":\"n\",\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"one\"}]}");
	ck_assert_int_eq(cnic_reload(c, NULL), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, attach_and_detach, c), 0);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
		ck_assert_ptr_null(failed);
	}
	ck_assert_int_eq(cnic_cached_containers(c, &ids, NULL), 0);
	ck_assert_uint_eq(strv_len(ids), 0);
	cnic_strv_free(ids);
	cnic_free(c);
}
END_TEST

RUN_TESTS_WITH("cnic", scratch_setup, scratch_teardown, options_take_absolute_paths,
	       defaults_are_the_usual_directories, threads_share_one_object)
