/* SPDX-License-Identifier: Apache-2.0 */
/* What values may be, and the runtime handlers. */
#include "config_case.h"

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

int main(void)
{
	const TTest *const tests[] = {
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
	};

	return run_cases("config values", tests, ARRAY_SIZE(tests));
}
