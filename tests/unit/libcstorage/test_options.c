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
		"[storage]\ndriver = \"btrfs\"\n", "[storage]\nimagestore = \"x\"\n",
		"[storage.options]\nadditionalimagestores = [\"x\"]\n", "[storage.options]\nadditionallayerstores = [\"/x\"]\n",
		"[storage.options.overlay]\nmount_program = \"/usr/bin/fuse-overlayfs\"\n",
		"[storage.options.overlay]\nforce_mask = \"public\"\n", "[storage.options.overlay]\nuse_composefs = \"true\"\n", "[storage.options.overlay]\nignore_chown_errors = \"true\"\n",
		"[storage.options.overlay]\nsize = \"10X\"\n", "[storage.options.overlay]\nsize = \"99999999P\"\n",
		"[storage]\ngraphroot = \"relative\"\n", "[storage]\ngraphroot = \"$\"\n", "[storage]\ngraphroot = \"//\"\n", "[storage\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_msg(load(bad[i]) == CSTORE_E_INVALID, "%s", bad[i]);
		says("storage.conf");
	}
}
END_TEST

START_TEST(every_key_of_the_store_is_read)
{
	setenv("STORE_TEST", "/srv", 1);
	ok(load("[storage]\ndriver = \"vfs\"\ngraphroot = \"$STORE_TEST/g\"\nrunroot = \"${STORE_TEST}/r\"\nimagestore = \"/images\"\n"
		"transient_store = true\ndriver_priority = [\"btrfs\", \"vfs\"]\nrootless_storage_path = \"/nobody\"\n"
		"[storage.options]\nadditionalimagestores = [\"/one/\", \"/two\", \"/one\"]\ndisable-volatile = true\nroot-auto-userns-user = \"x\"\n"
		"[storage.options.overlay]\nsize = \"10GiB\"\ninodes = \"5000\"\nforce_mask = \"shared\"\nignore_chown_errors = \"false\"\n"));
	unsetenv("STORE_TEST");
	ck_assert_str_eq(o->driver, "vfs");
	ck_assert_str_eq(o->graph_root, "/srv/g");
	ck_assert_str_eq(o->run_root, "/srv/r");
	ck_assert_str_eq(o->image_store, "/images");
	ck_assert(o->transient && o->disable_volatile);
	ck_assert_uint_eq(strv_len(o->driver_priority), 2);
	ck_assert_uint_eq(strv_len(o->image_stores), 2);
	ck_assert_str_eq(o->image_stores[0], "/one");
	ck_assert_str_eq(o->image_stores[1], "/two");
	ck_assert_uint_eq(o->size, UINT64_C(10) << 30);
	ck_assert_uint_eq(o->inodes, 5000);
	ck_assert_int_eq(o->force_mask_plus_1, 0755 + 1);
}
END_TEST

START_TEST(a_store_inside_itself_is_refused)
{
	fails(load("[storage]\ngraphroot = \"/x\"\nimagestore = \"/x\"\n"), CSTORE_E_INVALID);
	says("both /x");
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

/* As upstream's configfile: environment variables win, drop-ins of later places hide those of earlier ones. */
START_TEST(later_files_and_variables_win)
{
	put(at("storage.conf"), "[storage]\ndriver = \"overlay\"\nrunroot = \"/from/env\"\n[storage.options.overlay]\nmountopt = \"nodev\"\nsize = \"1G\"\n");
	put(at("over.conf"), "[storage]\nrunroot = \"/from/override\"\n");
	setenv("CONTAINERS_STORAGE_CONF", at("storage.conf"), 1);
	setenv("CONTAINERS_STORAGE_CONF_OVERRIDE", at("over.conf"), 1);
	setenv("STORAGE_DRIVER", "vfs", 1);
	setenv("STORAGE_OPTS", "overlay.mountopt=nosuid,.imagestore=/ro", 1);
	ok(cstore_options_load(o, NULL, &err));
	ck_assert_str_eq(o->run_root, "/from/override");
	ck_assert_str_eq(o->driver, "vfs");
	ck_assert_str_eq(o->mountopt, "nosuid");
	ck_assert_str_eq(o->image_stores[0], "/ro");
	ck_assert_uint_eq(o->size, 0);
	setenv("STORAGE_OPTS", "overlay.mount_program=/x", 1);
	fails(cstore_options_load(o, NULL, &err), CSTORE_E_INVALID);
	says("STORAGE_OPTS");
	setenv("STORAGE_OPTS", "", 1);
	setenv("STORAGE_DRIVER", "zfs", 1);
	fails(cstore_options_load(o, NULL, &err), CSTORE_E_INVALID);
	says("zfs");
	unsetenv("STORAGE_DRIVER");
	setenv("CONTAINERS_STORAGE_CONF_OVERRIDE", at("none.conf"), 1);
	fails(cstore_options_load(o, NULL, &err), CSTORE_E_NOT_FOUND);
	unsetenv("STORAGE_OPTS");
	unsetenv("CONTAINERS_STORAGE_CONF_OVERRIDE");
	unsetenv("CONTAINERS_STORAGE_CONF");
}
END_TEST

START_TEST(the_users_file_has_drop_ins)
{
	ck_assert_int_eq(mkdir(at("xdg"), 0700) | mkdir(at("xdg/containers"), 0700) | mkdir(at("xdg/containers/storage.conf.d"), 0700), 0);
	put(at("xdg/containers/storage.conf"), "[storage]\ngraphroot = \"/main\"\nrunroot = \"/main\"\nimagestore = \"/main/i\"\n");
	put(at("xdg/containers/storage.conf.d/zz-test-20.conf"), "[storage]\nrunroot = \"/twenty\"\n");
	put(at("xdg/containers/storage.conf.d/zz-test-10.conf"), "[storage]\nrunroot = \"/ten\"\nimagestore = \"/ten/i\"\n");
	put(at("xdg/containers/storage.conf.d/zz-test-30.txt"), "[storage]\nrunroot = \"/thirty\"\n");
	setenv("XDG_CONFIG_HOME", at("xdg"), 1);
	ok(cstore_options_load(o, NULL, &err));
	unsetenv("XDG_CONFIG_HOME");
	ck_assert_str_eq(o->graph_root, "/main");
	ck_assert_str_eq(o->run_root, "/twenty");
	ck_assert_str_eq(o->image_store, "/ten/i");
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
	fails(cstore_options_set_driver(o, "btrfs"), -EINVAL);
	ok(cstore_options_set_driver(o, "vfs"));
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
	tcase_add_test(t, every_key_of_the_store_is_read);
	tcase_add_test(t, a_store_inside_itself_is_refused);
	tcase_add_test(t, later_files_and_variables_win);
	tcase_add_test(t, the_users_file_has_drop_ins);
	tcase_add_test(t, a_missing_file_is_not_found);
	tcase_add_test(t, the_environment_names_the_file);
	tcase_add_test(t, driver_options_are_those_of_upstream);
	tcase_add_test(t, roots_are_absolute);
	return run_suite("options", all, 1);
}
