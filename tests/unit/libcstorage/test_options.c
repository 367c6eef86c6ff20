/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"
#include "unit.h"

static struct cstore_options *o;

static void setup(void)
{
	scratch_setup();
	ok(cstore_options_new(&o));
}

static void teardown(void)
{
	o = cstore_options_free(o);
	scratch_teardown();
}

static int load(const char *text)
{
	put(at("storage.conf"), text);
	return cstore_options_load(o, at("storage.conf"), &err);
}

START_TEST(a_usual_file_is_read)
{
	ok(load("[storage]\ndriver = \"overlay\"\ngraphroot = \"/var/lib/x/\"\nrunroot = \"/run/x\"\n"
		"[storage.options]\nadditionalimagestores = [\n]\npull_options = {enable_partial_images = \"true\"}\nsize = \"\"\n"
		"[storage.options.overlay]\nmountopt = \"nodev,metacopy=on\"\nskip_mount_home = \"true\"\n[storage.options.thinpool]\n"));
	ck_assert_str_eq(o->graph_root, "/var/lib/x");
	ck_assert_str_eq(o->run_root, "/run/x");
	ck_assert_str_eq(o->mountopt, "nodev,metacopy=on");
	ck_assert(o->skip_mount_home);
	ck_assert(!o->disable_volatile);
}
END_TEST

START_TEST(what_would_change_the_format_is_refused)
{
	static const char *const bad[] = {
		"[storage]\ndriver = \"btrfs\"\n", "[storage]\nimagestore = \"/x\"\n", "[storage]\ntransient_store = true\n",
		"[storage.options]\nadditionalimagestores = [\"/x\"]\n", "[storage.options.overlay]\nmount_program = \"/usr/bin/fuse-overlayfs\"\n",
		"[storage.options.overlay]\nforce_mask = \"shared\"\n", "[storage.options.overlay]\nuse_composefs = \"true\"\n",
		"[storage]\ngraphroot = \"relative\"\n", "[storage]\ngraphroot = \"$HOME/x\"\n", "[storage]\ngraphroot = \"//\"\n", "[storage\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_msg(load(bad[i]) == CSTORE_E_INVALID, "%s", bad[i]);
		says("storage.conf");
	}
}
END_TEST

START_TEST(a_missing_file_is_not_found)
{
	fails(cstore_options_load(o, at("none"), &err), CSTORE_E_NOT_FOUND);
}
END_TEST

START_TEST(the_environment_names_the_file)
{
	put(at("storage.conf"), "[storage]\nrunroot = \"/from/env\"\n");
	setenv("CONTAINERS_STORAGE_CONF", at("storage.conf"), 1);
	ok(cstore_options_load(o, NULL, &err));
	unsetenv("CONTAINERS_STORAGE_CONF");
	ck_assert_str_eq(o->run_root, "/from/env");
}
END_TEST

START_TEST(driver_options_are_those_of_upstream)
{
	ok(cstore_options_add_driver_option(o, "overlay.mountopt=nodev"));
	ck_assert_str_eq(o->mountopt, "nodev");
	ok(cstore_options_add_driver_option(o, "Overlay2.MountOpt=nosuid=x"));
	ck_assert_str_eq(o->mountopt, "nosuid=x");
	ok(cstore_options_add_driver_option(o, "btrfs.min_space=1G"));
	ok(cstore_options_add_driver_option(o, "overlay.mount_program="));
	fails(cstore_options_add_driver_option(o, "overlay.mount_program=/bin/x"), -EOPNOTSUPP);
	fails(cstore_options_add_driver_option(o, "overlay.unknown=1"), -EINVAL);
	fails(cstore_options_add_driver_option(o, "nothing"), -EINVAL);
}
END_TEST

START_TEST(roots_are_absolute)
{
	ok(cstore_options_set_graph_root(o, "/a/b///"));
	ck_assert_str_eq(o->graph_root, "/a/b");
	fails(cstore_options_set_graph_root(o, "a"), -EINVAL);
	fails(cstore_options_set_graph_root(o, "/"), -EINVAL);
	fails(cstore_options_set_run_root(o, ""), -EINVAL);
	fails(cstore_options_set_driver(o, "vfs"), -EINVAL);
	ok(cstore_options_set_driver(o, "overlay2"));
	ck_assert_str_eq(o->driver, "overlay");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("options"), *all[] = { t };

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_usual_file_is_read);
	tcase_add_test(t, what_would_change_the_format_is_refused);
	tcase_add_test(t, a_missing_file_is_not_found);
	tcase_add_test(t, the_environment_names_the_file);
	tcase_add_test(t, driver_options_are_those_of_upstream);
	tcase_add_test(t, roots_are_absolute);
	return run_suite("options", all, 1);
}
