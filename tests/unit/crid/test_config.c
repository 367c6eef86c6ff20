/* SPDX-License-Identifier: Apache-2.0 */
/* Where the configuration is from, in which order, what is wrong with it, and how it is printed. */
#include "config_case.h"

/* ---- sources and their order ---- */

START_TEST(without_files_everything_is_the_default)
{
	const struct runtime_handler *h;

	ok(read_with("-c", "", "--config-dir=", NULL));
	ck_assert_uint_eq(strv_len(warnings), 0);
	ck_assert_str_eq(conf->config_file, "");
	ck_assert_str_eq(conf->root, "");
	ck_assert_str_eq(conf->listen, "/var/run/crio/crio.sock");
	ck_assert_str_eq(conf->log_dir, "/var/log/crio/pods");
	ck_assert_str_eq(conf->cgroup_manager, "");
	ck_assert_str_eq(conf->namespaces_dir, "/var/run");
	ck_assert_str_eq(conf->network_dir, "/etc/cni/net.d/");
	ck_assert_int_eq(conf->grpc_max_recv_msg_size, 83886080);
	ck_assert_int_eq(conf->ctr_stop_timeout, 30);
	ck_assert_int_eq(conf->pids_limit, -1);
	ck_assert_int_eq(conf->log_size_max, -1);
	ck_assert(conf->drop_infra_ctr);
	ck_assert(!conf->read_only);
	list_is(conf->plugin_dirs, "/opt/cni/bin/");
	list_is(conf->default_env, "");
	list_is(conf->default_capabilities,
		"CHOWN|DAC_OVERRIDE|FSETID|FOWNER|SETGID|SETUID|SETPCAP|NET_BIND_SERVICE|KILL");
	ck_assert_uint_eq(conf->n_runtimes, 1);
	h = config_runtime(conf, "");
	ck_assert_ptr_nonnull(h);
	ck_assert_str_eq(h->name, "crun");
	ck_assert_str_eq(h->runtime_type, "oci");
	ck_assert_str_eq(h->runtime_root, "/run/crun");
	ck_assert_int_eq(h->container_create_timeout, 240);
	ck_assert_int_eq(h->container_min_memory, 500 * 1024);
	ck_assert_ptr_null(config_runtime(conf, "runc"));
}
END_TEST

START_TEST(later_sources_win)
{
	put("crio.conf",
	    "[crio.image]\npause_image = \"file\"\n[crio]\nlog_dir = \"/file\"\nversion_file = \"/file\"\n"
	    "clean_shutdown_file = \"/file\"\nroot = \"/file\"\n");
	put("d/20-b",
	    "[crio]\nlog_dir = \"/b\"\nversion_file = \"/b\"\nclean_shutdown_file = \"/b\"\n");
	put("d/10-a.conf", "[crio]\nlog_dir = \"/a\"\nroot = \"/a\"\n");
	setenv("CONTAINER_VERSION_FILE", "/env", 1);
	setenv("CONTAINER_CLEAN_SHUTDOWN_FILE", "/env", 1);
	ok(read_with("--clean-shutdown-file", "/flag", NULL));
	ck_assert_uint_eq(strv_len(warnings), 0);
	ck_assert_str_eq(conf->pause_image, "file");
	ck_assert_str_eq(conf->root, "/a");
	ck_assert_str_eq(conf->log_dir, "/b");
	ck_assert_str_eq(conf->version_file, "/env");
	ck_assert_str_eq(conf->clean_shutdown_file, "/flag");
}
END_TEST

START_TEST(directories_of_drop_ins_are_read_in_their_place)
{
	ck_assert_int_eq(mkdir(path_of("d/5"), 0700), 0);
	put("d/4", "[crio]\nlog_dir = \"/4\"\nroot = \"/4\"\nrunroot = \"/4\"");
	put("d/5/z", "[crio]\nlog_dir = \"/5\"\nroot = \"/5\"");
	put("d/6", "[crio]\nlog_dir = \"/6\"");
	put("else", "[crio]\nversion_file = \"/linked\"");
	ck_assert_int_eq(symlink(path_of("else"), path_of("d/7.conf")), 0);
	ok(read_with(NULL));
	ck_assert_str_eq(conf->runroot, "/4");
	ck_assert_str_eq(conf->root, "/5");
	ck_assert_str_eq(conf->log_dir, "/6");
	ck_assert_str_eq(conf->version_file, "/linked");
}
END_TEST

START_TEST(directories_in_each_other_have_a_limit)
{
	char path[200] = "d";
	int i;

	for (i = 0; i < 10; i++) {
		strcat(path, "/x");
		ck_assert_int_eq(mkdir(path_of(path), 0700), 0);
	}
	refused(read_with(NULL), "too many directories in each other");
}
END_TEST

START_TEST(the_environment_names_the_files_too)
{
	char *argv[] = { (char[]){ "crid" }, NULL };

	put("other.conf", "[crio]\nlog_dir = \"/other\"\n");
	setenv("CONTAINER_CONFIG", path_of("other.conf"), 1);
	setenv("CONTAINER_CONFIG_DIR", "", 1);
	ok(config_read(1, argv, &conf, &warnings, &error));
	ck_assert_str_eq(conf->log_dir, "/other");
	ck_assert_str_eq(conf->config_file, path_of("other.conf"));
}
END_TEST

START_TEST(a_relative_config_file_is_below_the_current_directory)
{
	put("crio.conf", "[crio]\nlog_dir = \"/x\"\n");
	ck_assert_int_eq(chdir(dir), 0);
	ok(read_with("-c", "crio.conf", NULL));
	ck_assert_str_eq(conf->config_file, path_of("crio.conf"));
	ck_assert_str_eq(conf->log_dir, "/x");
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(a_missing_file_that_was_named_is_an_error)
{
	ck_assert_int_eq(read_with("-c", path_of("none"), NULL), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error.message, path_of("none")));
	ok(read_with("-d", path_of("none"), NULL));
}
END_TEST

START_TEST(files_that_are_no_files_are_refused)
{
	_cleanup_free_ char *big = malloc((1 << 20) + 2);

	ck_assert_int_eq(mkfifo(path_of("d/fifo"), 0600), 0);
	refused(read_with(NULL), "d/fifo: is no regular file");
	ck_assert_int_eq(unlink(path_of("d/fifo")), 0);
	memset(big, '\n', (1 << 20) + 1);
	big[(1 << 20) + 1] = '\0';
	put("d/big", big);
	refused(read_with(NULL), "d/big: is larger than 1048576 bytes");
	ck_assert_int_eq(unlink(path_of("d/big")), 0);
	ck_assert_int_eq(symlink("nowhere", path_of("d/broken")), 0);
	ck_assert_int_eq(read_with(NULL), -ENOENT);
}
END_TEST

START_TEST(malformed_toml_is_named_by_file_and_line)
{
	put("d/x.conf", "[crio]\nlog_dir = \n");
	refused(read_with(NULL), "d/x.conf: line 2: ");
	put("d/x.conf", "[crio]\nlog_dir = \"\xff\"\n");
	ck_assert_int_eq(read_with(NULL), E_INVALID);
	put("d/x.conf", "[crio]\nlog_dir = \"/a\\u0000b\"\n");
	ck_assert_int_eq(read_with(NULL), E_INVALID);
}
END_TEST

/* ---- warnings and types ---- */

START_TEST(unknown_keys_and_tables_are_warned_about)
{
	ok(read_text(
		"top = 1\n[crio]\nlog_dirr = \"/x\"\n[crio.runtime]\nrdt_config_file = \"/p\"\n"
		"[crio.metrics]\nenable_metrics = true\nnonsense = 1\n[crio.wrong]\na = 1\n[other.table]\nb = 2\n"
		"[crio.runtime.workloads.w]\nx = 1\n[crio.runtime.runtimes.crun]\nno_sync_log = true\nfoo = 1\n"));
	warned("crio.conf", "top: unknown option, ignored");
	warned("crio.conf", "crio.log_dirr: unknown option, ignored");
	warned("crio.conf",
	       "crio.runtime.rdt_config_file: not supported yet by this version, ignored");
	warned("crio.conf",
	       "crio.metrics.enable_metrics: not supported yet by this version, ignored");
	warned("crio.conf", "crio.metrics.nonsense: unknown option, ignored");
	warned("crio.conf", "crio.wrong: unknown option, ignored");
	warned("crio.conf", "other: unknown option, ignored");
	warned("crio.conf", "crio.runtime.workloads: not supported yet by this version, ignored");
	warned("crio.conf",
	       "crio.runtime.runtimes.crun.no_sync_log: not supported yet by this version, ignored");
	warned("crio.conf", "crio.runtime.runtimes.crun.foo: unknown option, ignored");
	ck_assert_uint_eq(strv_len(warnings), 10);
}
END_TEST

START_TEST(flags_and_variables_to_come_are_warned_about_once)
{
	setenv("CONTAINER_BLOCKIO_RELOAD", "true", 1);
	setenv("PULL_IN_A_CGROUP", "true", 1);
	ok(read_with("--rdt-config-file", "/r", "--blockio-reload", "--log-journald=true", "--tz", "Local",
		     NULL));
	warned(NULL,
	       "environment variable CONTAINER_BLOCKIO_RELOAD: not supported yet by this version, ignored");
	warned(NULL,
	       "environment variable PULL_IN_A_CGROUP: not supported yet by this version, ignored");
	warned(NULL, "flag --rdt-config-file: not supported yet by this version, ignored");
	warned(NULL, "flag --blockio-reload: not supported yet by this version, ignored");
	warned(NULL, "flag --log-journald: not supported yet by this version, ignored");
	warned(NULL, "flag --tz: not supported yet by this version, ignored");
	ck_assert_uint_eq(strv_len(warnings), 6);
}
END_TEST

START_TEST(wrong_types_are_errors_with_file_and_key)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "[crio]\nlog_dir = 5", "crio.log_dir: must be a string, not a number" },
		{ "[crio]\nlog_dir = [\"/a\"]", "crio.log_dir: must be a string, not a list" },
		{ "[crio.runtime]\npids_limit = \"5\"",
		  "crio.runtime.pids_limit: must be an integer, not a string" },
		{ "[crio.runtime]\npids_limit = 5.5",
		  "crio.runtime.pids_limit: \"5.5\" is not an integer" },
		{ "[crio.runtime]\nread_only = \"true\"",
		  "crio.runtime.read_only: must be true or false, not a string" },
		{ "[crio.runtime]\ndefault_env = \"A=B\"",
		  "crio.runtime.default_env: must be a list of strings, not a string" },
		{ "[crio.runtime]\ndefault_env = [\"A=B\", 1]",
		  "crio.runtime.default_env: must be a list of strings, not a number" },
		{ "crio = 5", "crio: must be a table, not a number" },
		{ "[crio]\nruntime = []", "crio.runtime: must be a table, not a list" },
		{ "[[crio.runtime]]\nx = 1", "crio.runtime: must be a table, not a list" },
		{ "[crio.runtime]\nruntimes = 1",
		  "crio.runtime.runtimes: must be a table of tables, not a number" },
		{ "[crio.runtime.runtimes]\nrunc = \"/x\"",
		  "crio.runtime.runtimes.runc: must be a table, not a string" },
		{ "[crio.runtime.runtimes.runc]\nruntime_path = 1",
		  "crio.runtime.runtimes.runc.runtime_path: must be a string, not a number" },
		{ "[crio.runtime.runtimes.runc]\ncontainer_min_memory = 12",
		  "crio.runtime.runtimes.runc.container_min_memory: must be a string, not a number" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *whole = strf("%s: %s", path_of("crio.conf"), cases[i].message);

		refused(read_text(cases[i].text), whole);
	}
}
END_TEST

/* ---- flags ---- */

START_TEST(flags_have_the_forms_of_cri_o)
{
	ok(read_with("-r", "/r", "-s=overlay", "--log-level", "DEBUG", "-log-dir", "/one-dash",
		     "--pids-limit", "-1", "--read-only", "--drop-infra-ctr=false",
		     "--pause-command=", NULL));
	ck_assert_str_eq(conf->root, "/r");
	ck_assert_str_eq(conf->storage_driver, "overlay");
	ck_assert_str_eq(conf->log_level, "debug");
	ck_assert_str_eq(conf->log_dir, "/one-dash");
	ck_assert_str_eq(conf->pause_command, "");
	ck_assert(conf->read_only);
	ck_assert(!conf->drop_infra_ctr);
}
END_TEST

START_TEST(list_flags_are_repeated_or_comma_separated_and_replace_the_file)
{
	put("crio.conf", "[crio.runtime]\ndefault_env = [\"X=file\"]\nconmon_env = [\"Y=file\"]\n"
			 "[crio.network]\nplugin_dirs = [\"/file\"]\n");
	setenv("CONTAINER_CNI_PLUGIN_DIR", "/env1,/env2", 1);
	setenv("CONTAINER_CONMON_ENV", "", 1);
	ok(read_with("--default-env", "A=1,B=2", "--default-env=C=3", NULL));
	list_is(conf->default_env, "A=1|B=2|C=3");
	list_is(conf->plugin_dirs, "/env1|/env2");
	list_is(conf->conmon_env, "");
	ok(read_with("--cni-plugin-dir", "/flag", NULL));
	list_is(conf->plugin_dirs, "/flag");
	list_is(conf->default_env, "X=file");
}
END_TEST

START_TEST(wrong_flags_are_errors)
{
	refused(read_with("--log-dirr", "/x", NULL), "unknown flag --log-dirr");
	refused(read_with("--no-pivot=maybe", NULL),
		"flag --no-pivot: \"maybe\" is neither true nor false");
	refused(read_with("--pids-limit", "many", NULL),
		"flag --pids-limit: \"many\" is not an integer");
	refused(read_with("--pids-limit", "99999999999999999999", NULL), "out of range");
	refused(read_with("--log-dir", NULL), "flag --log-dir needs a value");
	refused(read_with("extra", NULL), "unexpected argument \"extra\"");
	refused(read_with("--", "extra", NULL), "unexpected argument \"extra\"");
	refused(read_with("--pause-image", "\xc3\x28", NULL),
		"flag --pause-image: is not valid UTF-8");
	setenv("CONTAINER_NO_PIVOT", "7", 1);
	refused(read_with(NULL), "environment variable CONTAINER_NO_PIVOT: \"7\" is neither");
}
END_TEST

START_TEST(the_verb_is_behind_the_global_flags)
{
	char *a[] = { (char[]){ "crid" },      (char[]){ "-c" },
		      (char[]){ "" },	       (char[]){ "--no-pivot" },
		      (char[]){ "--root=/x" }, (char[]){ "config" },
		      (char[]){ "--default" }, NULL };
	char *b[] = { (char[]){ "crid" }, (char[]){ "--help" }, NULL };

	ck_assert_int_eq(config_find_verb(7, a), 5);
	ck_assert_int_eq(config_find_verb(5, a), 0);
	ck_assert_int_eq(config_find_verb(2, b), 0);
	ck_assert_int_eq(config_find_verb(1, b), 0);
}
END_TEST

/* ---- printing ---- */

START_TEST(defaults_print_as_comments_and_headers_only)
{
	_cleanup_str_ struct str out = STR_INIT;
	_cleanup_strv_ char **lines = NULL;
	char **line;

	ok(read_with("-c", "", "-d", "", NULL));
	ck_assert_int_eq(config_print(conf, false, &out), 0);
	ck_assert_int_eq(strv_split(out.data, '\n', &lines), 0);
	for (line = lines; *line; line++) {
		ck_assert_msg(**line == '#' || **line == '[', "active line: %s", *line);
		ck_assert_msg(strlen(*line) <= 100, "long line: %s", *line);
	}
	ck_assert_ptr_nonnull(strstr(out.data, "\n# log_dir = \"/var/log/crio/pods\"\n"));
	ck_assert_ptr_nonnull(
		strstr(out.data, "\n# plugin_dirs = [\n# \t\"/opt/cni/bin/\",\n# ]\n"));
}
END_TEST

static void print_twice(bool all)
{
	_cleanup_str_ struct str first = STR_INIT, second = STR_INIT;

	ck_assert_int_eq(config_print(conf, all, &first), 0);
	ok(read_text(first.data));
	ck_assert_uint_eq(strv_len(warnings), 0);
	ck_assert_int_eq(config_print(conf, all, &second), 0);
	ck_assert_str_eq(first.data, second.data);
}

START_TEST(what_is_printed_reads_back)
{
	static const char text[] =
		"[crio]\nroot = \"/r \\\"\\\\\\t\\u007f\\u0001\\u00e4\"\nstorage_option = [\"a\", \"b,c\", \"\"]\n"
		"[crio.runtime]\ndefault_runtime = \"x.y\"\nread_only = true\npids_limit = 7\n"
		"[crio.runtime.runtimes.\"x.y\"]\nruntime_root = \"/other\"\ncontainer_min_memory = \"3GiB\"\n"
		"[crio.runtime.runtimes.crun]\n[crio.image]\npause_command = \"\"\n";
	int all;

	for (all = 0; all < 2; all++) {
		ok(read_text(text));
		print_twice(all);
		ck_assert_str_eq(conf->root, "/r \"\\\t\x7f\x01\xc3\xa4");
		list_is(conf->storage_option, "a|b,c|");
		ck_assert_str_eq(config_runtime(conf, "")->runtime_root, "/other");
		ck_assert_int_eq(config_runtime(conf, "")->container_min_memory, 3LL << 30);
		ck_assert_int_eq(config_runtime(conf, "crun")->container_min_memory, 12 << 20);
		ck_assert_str_eq(conf->pause_command, "");
		ck_assert_int_eq(conf->pids_limit, 7);
		ck_assert(conf->read_only);
	}
}
END_TEST

START_TEST(old_plugin_dir_is_added_to_the_list)
{
	ok(read_text("[crio.network]\nplugin_dir = \"/usr/lib/cni\"\n"));
	list_is(conf->plugin_dirs, "/opt/cni/bin/|/usr/lib/cni");
	warned("crio.conf", "crio.network.plugin_dir: is an old name, plugin_dirs takes a list");
}
END_TEST

START_TEST(usage_has_every_flag)
{
	_cleanup_str_ struct str out = STR_INIT;
	size_t i;

	config_usage(&out);
	for (i = 0; i < config_n_options; i++) {
		_cleanup_free_ char *flag = strf("  --%s", config_options[i].flag);

		ck_assert_msg(strstr(out.data, flag), "%s is missing", flag);
	}
	ck_assert_ptr_nonnull(strstr(out.data, "CONTAINER_STOP_TIMEOUT"));
}
END_TEST

START_TEST(no_name_is_in_the_table_twice)
{
	size_t i, j;

	for (i = 0; i < config_n_options; i++) {
		const struct option *a = &config_options[i];

		for (j = 0; j < i; j++) {
			const struct option *b = &config_options[j];

			ck_assert_msg(!streq(a->flag, b->flag) && !streq(a->env, b->env) &&
					      (!a->letter || a->letter != b->letter) &&
					      (a->type == OPTION_RUNTIMES ||
					       a->offset != b->offset ||
					       b->type == OPTION_RUNTIMES),
				      "%s and %s", a->key, b->key);
		}
		for (j = 0; j < n_missing_options; j++)
			ck_assert_msg(!a->table || !missing_options[j].table ||
					      !streq(a->table, missing_options[j].table) ||
					      !streq(a->key, missing_options[j].key),
				      "%s is there and missing", a->key);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		without_files_everything_is_the_default,
		later_sources_win,
		directories_of_drop_ins_are_read_in_their_place,
		directories_in_each_other_have_a_limit,
		the_environment_names_the_files_too,
		a_relative_config_file_is_below_the_current_directory,
		a_missing_file_that_was_named_is_an_error,
		files_that_are_no_files_are_refused,
		malformed_toml_is_named_by_file_and_line,
		unknown_keys_and_tables_are_warned_about,
		flags_and_variables_to_come_are_warned_about_once,
		wrong_types_are_errors_with_file_and_key,
		flags_have_the_forms_of_cri_o,
		list_flags_are_repeated_or_comma_separated_and_replace_the_file,
		wrong_flags_are_errors,
		the_verb_is_behind_the_global_flags,
		defaults_print_as_comments_and_headers_only,
		what_is_printed_reads_back,
		old_plugin_dir_is_added_to_the_list,
		usage_has_every_flag,
		no_name_is_in_the_table_twice,
	};

	return run_cases("config", tests, ARRAY_SIZE(tests));
}
