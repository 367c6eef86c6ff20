/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration, read from files made for each case in a directory of its own. Check runs each
 * case in a process of its own, so the environment may be changed freely.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cbase/io.h>
#include "../../../crid/config_table.h"
#include "../../../crid/errors.h"

static char dir[] = "/tmp/test-config-XXXXXX";
static struct config *conf;
static char **warnings;
static struct cb_error error;

static const char *path_of(const char *name)
{
	static char path[4][300];
	static int i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
	return path[i];
}

static void put(const char *name, const char *text)
{
	ck_assert_int_eq(write_file(path_of(name), 0600, text, strlen(text), 0), 0);
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(mkdir(path_of("d"), 0700), 0);
	ck_assert_int_eq(mkdir(path_of("bin"), 0700), 0);
	put("crio.conf", "");
}

static void teardown(void)
{
	config_free(conf);
	strv_free(warnings);
	ck_assert_int_eq(rm_rf_at(AT_FDCWD, dir), 0);
}

/* config_read() of DIR/crio.conf and DIR/d with these flags; the last is NULL. */
static int read_with(const char *first, ...)
{
	char *argv[40] = { strdup("crid"), strdup("-c"), strdup(path_of("crio.conf")),
			   strdup("--config-dir"), strdup(path_of("d")) };
	int argc = 5, r;
	va_list ap;

	conf = config_free(conf);
	warnings = strv_free(warnings);
	memset(&error, 0, sizeof(error));
	va_start(ap, first);
	for (; first; first = va_arg(ap, const char *))
		argv[argc++] = strdup(first);
	va_end(ap);
	r = config_read(argc, argv, &conf, &warnings, &error);
	while (argc)
		free(argv[--argc]);
	return r;
}

static int read_text(const char *text)
{
	put("crio.conf", text);
	return read_with(NULL);
}

#define ok(r) ck_assert_msg((r) == 0, "%s", error.message)
#define refused(r, text)                                                                           \
	do {                                                                                       \
		ck_assert_int_eq((r), E_INVALID);                                                  \
		ck_assert_int_eq(error.code, E_INVALID);                                           \
		ck_assert_msg(strstr(error.message, (text)), "\"%s\" is not in: %s", (text),       \
			      error.message);                                                      \
	} while (0)

static void warned(const char *name, const char *text)
{
	_cleanup_free_ char *whole =
		strf("%s%s%s", name ? path_of(name) : "", name ? ": " : "", text);

	ck_assert_msg(strv_has(warnings, whole), "no warning \"%s\", but %zu others: %s", whole,
		      strv_len(warnings), warnings ? warnings[0] : "");
}

static void list_is(char **v, const char *joined)
{
	_cleanup_free_ char *s = strv_join(v, "|");

	ck_assert_str_eq(s, joined);
}

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

/* ---- values ---- */

START_TEST(relative_paths_are_refused)
{
	refused(read_text("[crio]\nlog_dir = \"logs\""),
		"crio.log_dir: \"logs\" is not an absolute path");
	refused(read_text("[crio.network]\nplugin_dirs = [\"/a\", \"b\"]"),
		"crio.network.plugin_dirs: \"b\" is not an absolute path");
	refused(read_text("[crio.runtime.runtimes.crun]\nruntime_path = \"crun\""),
		"crio.runtime.runtimes.crun.runtime_path: \"crun\" is not an absolute path");
	put("crio.conf", "");
	refused(read_with("--conmon", "./conmon", NULL),
		"flag --conmon: \"./conmon\" is not an absolute path");
}
END_TEST

START_TEST(the_socket_may_be_a_url_and_must_fit)
{
	char path[130];

	ok(read_with("--listen", "unix:///run/x.sock", NULL));
	ck_assert_str_eq(conf->listen, "/run/x.sock");
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[108] = '\0';
	refused(read_with("--listen", path, NULL), "at most 107 bytes");
	path[107] = '\0';
	ok(read_with("--listen", path, NULL));
	refused(read_with("--listen", "", NULL), "must not be empty");
}
END_TEST

START_TEST(cgroup_managers_are_two)
{
	ok(read_text("[crio.runtime]\ncgroup_manager = \"systemd\""));
	ck_assert_str_eq(conf->cgroup_manager, "systemd");
	ok(read_with("--cgroup-manager=cgroupfs", NULL));
	ck_assert_str_eq(conf->cgroup_manager, "cgroupfs");
	refused(read_with("--cgroup-manager=other", NULL), "\"other\" is none of cgroupfs, systemd");
}
END_TEST

START_TEST(low_timeouts_are_raised_with_a_warning)
{
	ok(read_text(
		"[crio.runtime]\nctr_stop_timeout = 29\n[crio.runtime.runtimes.crun]\ncontainer_create_timeout = 1\n"));
	ck_assert_int_eq(conf->ctr_stop_timeout, 30);
	ck_assert_int_eq(config_runtime(conf, "")->container_create_timeout, 30);
	warned("crio.conf",
	       "crio.runtime.ctr_stop_timeout: raised from 29 to 30 seconds, the least there is");
	ck_assert_uint_eq(strv_len(warnings), 2);
}
END_TEST

START_TEST(log_size_is_negative_or_at_least_8192)
{
	refused(read_with("--log-size-max", "8191", NULL), "at least 8192, not 8191");
	refused(read_with("--log-size-max=0", NULL), "at least 8192");
	ok(read_with("--log-size-max", "8192", NULL));
	ck_assert_int_eq(conf->log_size_max, 8192);
	ok(read_with("--log-size-max", "-5", NULL));
}
END_TEST

START_TEST(message_sizes_of_zero_are_the_default)
{
	ok(read_with("--grpc-max-send-msg-size", "0", "--grpc-max-recv-msg-size=-1", NULL));
	ck_assert_int_eq(conf->grpc_max_send_msg_size, 83886080);
	ck_assert_int_eq(conf->grpc_max_recv_msg_size, 83886080);
	refused(read_with("--grpc-max-send-msg-size", "2147483648", NULL), "at most");
}
END_TEST

START_TEST(names_of_levels_and_modes_are_checked)
{
	ok(read_with("--log-level", "Warning", NULL));
	ck_assert_str_eq(conf->log_level, "warn");
	refused(read_with("--log-level", "loud", NULL),
		"\"loud\" is none of fatal, panic, error, warn");
	refused(read_with("--short-name-mode", "permissive", NULL), "none of enforcing, disabled");
	ok(read_with("--conmon-cgroup", "system.slice", NULL));
	refused(read_with("--conmon-cgroup", "system", NULL), "neither \"pod\" nor a slice nor empty");
	ok(read_with("--conmon-cgroup", "pod", NULL));
	ck_assert_str_eq(conf->conmon_cgroup, "pod");
	ok(read_with("--tls-cipher-suites", "TLS_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", NULL));
	list_is(conf->tls_cipher_suites, "TLS_AES_128_GCM_SHA256|TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
	refused(read_with("--tls-cipher-suites", "TLS_AES_128_GCM_SHA256,TLS_RSA_WITH_RC4_128_SHA", NULL),
		"\"TLS_RSA_WITH_RC4_128_SHA\" is none of TLS_AES_128");
}
END_TEST

START_TEST(ulimits_are_checked_and_completed)
{
	ok(read_with("--default-ulimits", "nofile=1024:2048,core=0,memlock=-1,stack=8:-1", NULL));
	list_is(conf->default_ulimits, "nofile=1024:2048|core=0:0|memlock=-1:-1|stack=8:-1");
	refused(read_with("--default-ulimits", "nofile=3:2", NULL),
		"soft limit is above the hard one");
	refused(read_with("--default-ulimits", "nofile=-1:2", NULL),
		"soft limit is above the hard one");
	refused(read_with("--default-ulimits", "files=3:4", NULL), "\"files\" is none of as, core");
	refused(read_with("--default-ulimits", "nofile", NULL), "not NAME=SOFT:HARD");
	refused(read_with("--default-ulimits", "nofile=1:2:3", NULL), "two numbers");
	refused(read_with("--default-ulimits", "nofile=", NULL), "two numbers");
	refused(read_with("--default-ulimits", "nofile=-2", NULL), "two numbers");
}
END_TEST

START_TEST(capabilities_sysctls_and_variables_are_checked)
{
	ok(read_with("--default-capabilities", "cap_chown,NET_RAW", NULL));
	list_is(conf->default_capabilities, "CHOWN|NET_RAW");
	refused(read_with("--default-capabilities", "FLY", NULL), "\"FLY\" is no capability");
	ok(read_with("--default-capabilities=", NULL));
	list_is(conf->default_capabilities, "");
	ok(read_with("--default-sysctls", "net.ipv4.ip_forward=1,kernel.shm_rmid_forced=0", NULL));
	refused(read_with("--default-sysctls", "net.ipv4.ip_forward", NULL), "is not NAME=VALUE");
	refused(read_with("--default-sysctls", "../x=1", NULL), "is not NAME=VALUE");
	refused(read_with("--default-env", "A", NULL), "\"A\" is not NAME=VALUE");
	refused(read_with("--default-env", "=x", NULL), "\"=x\" is not NAME=VALUE");
}
END_TEST

/* ---- handlers ---- */

START_TEST(handlers_are_replaced_one_by_one_and_whole)
{
	const struct runtime_handler *h;

	put("crio.conf",
	    "[crio.runtime]\ndefault_runtime = \"runc\"\n[crio.runtime.runtimes.runc]\nruntime_path = \"/a/runc\"\n"
	    "monitor_env = [\"A=B\"]\ncontainer_min_memory = \"1 GiB\"\n[crio.runtime.runtimes.other]\n");
	put("d/1",
	    "[crio.runtime.runtimes.runc]\nruntime_path = \"/b/runc\"\nallowed_annotations = [\"x\"]\n");
	ok(read_with("--runtimes", "third:/c/third:/run/3,4th:/d", "--runtimes=5th:/e:", NULL));
	ck_assert_uint_eq(conf->n_runtimes, 6);
	h = config_runtime(conf, "");
	ck_assert_str_eq(h->name, "runc");
	ck_assert_str_eq(h->runtime_path, "/b/runc");
	ck_assert_str_eq(h->runtime_root, "/run/runc");
	ck_assert_int_eq(h->container_min_memory, 12 << 20);
	list_is(h->monitor_env, "");
	list_is(h->allowed_annotations, "x");
	ck_assert_ptr_nonnull(config_runtime(conf, "other"));
	ck_assert_ptr_nonnull(config_runtime(conf, "crun"));
	h = config_runtime(conf, "third");
	ck_assert_str_eq(h->runtime_path, "/c/third");
	ck_assert_str_eq(h->runtime_root, "/run/3");
	ck_assert_str_eq(config_runtime(conf, "4th")->runtime_root, "/run/4th");
	ck_assert_str_eq(config_runtime(conf, "5th")->runtime_root, "/run/5th");
}
END_TEST

START_TEST(sizes_have_units)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} good[] = {
		{ "0", 0 },	 { "500", 500 },    { "500b", 500 },	   { "2k", 2048 },
		{ "2KB", 2048 }, { "2 kib", 2048 }, { "12MiB", 12 << 20 }, { "1g", 1 << 30 },
	};
	static const char *const bad[] = { "",		 "k",	"-1",	"1x",
					   "1kk",	 "1bb", "1.5M", "99999999999999999999",
					   "9999999999T" };
	char text[200];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		snprintf(text, sizeof(text),
			 "[crio.runtime.runtimes.crun]\ncontainer_min_memory = \"%s\"\n",
			 good[i].text);
		ok(read_text(text));
		ck_assert_int_eq(config_runtime(conf, "crun")->container_min_memory, good[i].bytes);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text),
			 "[crio.runtime.runtimes.crun]\ncontainer_min_memory = \"%s\"\n", bad[i]);
		refused(read_text(text), "container_min_memory: ");
	}
}
END_TEST

START_TEST(handlers_that_make_no_sense_are_refused)
{
	refused(read_text("[crio.runtime]\ndefault_runtime = \"runc\"\n"),
		"crio.runtime.default_runtime: there is no table [crio.runtime.runtimes.runc]");
	refused(read_text("[crio.runtime.runtimes.\"../x\"]\n"),
		"\"../x\" is no name for a runtime handler");
	refused(read_text("[crio.runtime.runtimes.\"\"]\n"), "\"\" is no name");
	refused(read_text("[crio.runtime.runtimes.x]\nruntime_type = \"wasm\"\n"),
		"crio.runtime.runtimes.x.runtime_type: \"wasm\" is none of oci, vm, pod");
	put("crio.conf", "");
	refused(read_with("--runtimes", "x", NULL), "flag --runtimes: \"x\" is not NAME:PATH");
	refused(read_with("--runtimes", "x:", NULL), "is not NAME:PATH");
	refused(read_with("--runtimes", ":/x", NULL), "\"\" is no name");
}
END_TEST

static void program(const char *name)
{
	put(name, "#!/bin/sh\n");
	ck_assert_int_eq(chmod(path_of(name), 0700), 0);
}

START_TEST(programs_are_found_in_path)
{
	_cleanup_free_ char *search = strf("relative:%s", path_of("bin"));
	const struct runtime_handler *h;

	program("bin/crun");
	program("bin/conmon");
	program("bin/crid-pinns");
	program("bin/crid-worker");
	program("bin/crid-hostports");
	put("bin/runc", "not executable");
	setenv("PATH", search, 1);
	put("crio.conf",
	    "[crio.runtime]\nconmon_cgroup = \"pod\"\n[crio.runtime.runtimes.runc]\n[crio.runtime.runtimes.kata]\n"
	    "runtime_path = \"/bin/sh\"\nruntime_type = \"vm\"\n[crio.runtime.runtimes.my]\nruntime_path = \"/bin/sh\"\n"
	    "monitor_path = \"/bin/sh\"\nmonitor_env = [\"A=B\"]\n");
	ok(read_with(NULL));
	ok(config_resolve(conf, &warnings, &error));
	ck_assert_uint_eq(conf->n_runtimes, 2);
	h = config_runtime(conf, "crun");
	ck_assert_str_eq(h->runtime_path, path_of("bin/crun"));
	ck_assert_str_eq(h->monitor_path, path_of("bin/conmon"));
	ck_assert_str_eq(h->monitor_cgroup, "pod");
	list_is(h->monitor_env,
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	h = config_runtime(conf, "my");
	ck_assert_str_eq(h->monitor_path, "/bin/sh");
	list_is(h->monitor_env, "A=B");
	ck_assert_str_eq(conf->pinns_path, path_of("bin/crid-pinns"));
	ck_assert_str_eq(conf->worker_path, path_of("bin/crid-worker"));
	ck_assert_str_eq(conf->hostports_path, path_of("bin/crid-hostports"));
	ck_assert_uint_eq(strv_len(warnings), 2);
	warned(NULL,
	       "runtime handler \"runc\" is left out: there is no program runc in $PATH; install it or set "
	       "crio.runtime.runtimes.runc.runtime_path");
	warned(NULL,
	       "runtime handler \"kata\" is left out: crio.runtime.runtimes.kata.runtime_type: \"vm\" is not "
	       "supported yet by this version");
}
END_TEST

START_TEST(a_monitor_in_a_slice_needs_systemd)
{
	program("bin/crun");
	program("bin/conmon");
	setenv("PATH", path_of("bin"), 1);
	ok(read_with("--cgroup-manager=cgroupfs", "--conmon-cgroup=system.slice", NULL));
	refused(config_resolve(conf, &warnings, &error),
		"crio.runtime.runtimes.crun.monitor_cgroup: \"system.slice\" needs the systemd cgroup manager");
	if (access("/run/systemd/system", F_OK) == 0)
		return;
	ok(read_with("--cgroup-manager=systemd", NULL));
	refused(config_resolve(conf, &warnings, &error), "this machine is not run by systemd");
}
END_TEST

START_TEST(missing_programs_are_named)
{
	setenv("PATH", path_of("bin"), 1);
	ok(read_with(NULL));
	refused(config_resolve(conf, &warnings, &error),
		"default runtime \"crun\": there is no program crun in $PATH");
	program("bin/crun");
	ok(read_with(NULL));
	refused(config_resolve(conf, &warnings, &error), "there is no program conmon in $PATH");
	program("bin/conmon");
	ok(read_with(NULL));
	refused(config_resolve(conf, &warnings, &error),
		"no program crid-pinns beside crid or in $PATH");
	ok(read_with("--pinns-path", "/etc", NULL));
	refused(config_resolve(conf, &warnings, &error),
		"crio.runtime.pinns_path: /etc is no program");
}
END_TEST

START_TEST(a_missing_built_in_handler_is_left_out_silently)
{
	program("bin/runc");
	program("bin/conmon");
	setenv("PATH", path_of("bin"), 1);
	ok(read_text(
		"[crio.runtime]\ndefault_runtime = \"runc\"\npinns_path = \"/bin/sh\"\nworker_path = \"/bin/sh\"\n"
		"hostports_path = \"/bin/sh\"\n"
		"[crio.runtime.runtimes.runc]\n"));
	ok(config_resolve(conf, &warnings, &error));
	ck_assert_uint_eq(strv_len(warnings), 0);
	ck_assert_uint_eq(conf->n_runtimes, 1);
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
		relative_paths_are_refused,
		the_socket_may_be_a_url_and_must_fit,
		cgroup_managers_are_two,
		low_timeouts_are_raised_with_a_warning,
		log_size_is_negative_or_at_least_8192,
		message_sizes_of_zero_are_the_default,
		names_of_levels_and_modes_are_checked,
		ulimits_are_checked_and_completed,
		capabilities_sysctls_and_variables_are_checked,
		handlers_are_replaced_one_by_one_and_whole,
		sizes_have_units,
		handlers_that_make_no_sense_are_refused,
		programs_are_found_in_path,
		a_monitor_in_a_slice_needs_systemd,
		missing_programs_are_named,
		a_missing_built_in_handler_is_left_out_silently,
		defaults_print_as_comments_and_headers_only,
		what_is_printed_reads_back,
		old_plugin_dir_is_added_to_the_list,
		usage_has_every_flag,
		no_name_is_in_the_table_twice,
	};
	Suite *s = suite_create("config");
	TCase *tc = tcase_create("config");
	SRunner *sr;
	size_t i;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	for (i = 0; i < ARRAY_SIZE(tests); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
