/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime's commands against a program that notes how it was called and answers as it is told. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "errors.h"
#include "reaper.h"
#include "runtime.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char dir[64], program[128];
static char *monitor_env[] = { (char[]){ "A=1" }, (char[]){ "PATH=/monitor" }, NULL };
static char name[] = "fake", root[] = "/root", nowhere[] = "/nonexistent/runtime";
static struct runtime_handler handler;
static struct config config;
static struct cb_error error;

static void put(const char *file, const char *text, mode_t mode)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	ck_assert_int_eq(write_file(path, mode, text, strlen(text), 0), 0);
}

static char *get(const char *file)
{
	char path[128], *text;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	ck_assert_int_eq(read_file(path, 65536, &text, NULL), 0);
	return text;
}

static void setup(void)
{
	strcpy(dir, "/tmp/crid-runtime-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	/* DIR/COMMAND.rc, .out and .err say how a command ends */
	put("runtime",
	    "#!/bin/sh\n"
	    "PATH=/usr/bin:/bin\n"
	    "cd \"${0%/*}\"\n"
	    "echo \"$*\" >>calls\n"
	    "env | sort >env\n"
	    "for c; do case $c in --root|/root) ;; *) break;; esac; done\n"
	    "[ -e ./$c.out ] && cat ./$c.out\n"
	    "[ -e ./$c.err ] && cat ./$c.err >&2\n"
	    "[ -e ./$c.rc ] && exit $(cat ./$c.rc)\n"
	    "exit 0\n",
	    0755);
	snprintf(program, sizeof(program), "%s/runtime", dir);
	handler = (struct runtime_handler){
		.name = name,
		.runtime_path = program,
		.runtime_root = root,
		.monitor_env = monitor_env,
		.container_create_timeout = 60,
	};
	ck_assert_int_eq(setenv("PATH", "/daemon:/usr/bin:/bin", 1), 0);
	ck_assert_int_eq(setenv("SECRET", "x", 1), 0);
	ck_assert_int_eq(unsetenv("XDG_RUNTIME_DIR"), 0);
	reaper_start();
}

static void teardown(void)
{
	ck_assert_int_eq(rm_rf_at(AT_FDCWD, dir), 0);
}

static void fails(const char *command, const char *text)
{
	char file[32];

	snprintf(file, sizeof(file), "%s.rc", command);
	put(file, "1", 0644);
	snprintf(file, sizeof(file), "%s.err", command);
	put(file, text, 0644);
}

START_TEST(commands_have_crio_arguments)
{
	_cleanup_free_ char *calls = NULL;

	ck_assert_int_eq(runtime_start(&config, &handler, ID, &error), 0);
	ck_assert_int_eq(runtime_kill(&config, &handler, ID, SIGTERM, false, &error), 0);
	ck_assert_int_eq(runtime_kill(&config, &handler, ID, SIGKILL, false, &error), 0);
	ck_assert_int_eq(runtime_kill(&config, &handler, ID, SIGKILL, true, &error), 0);
	ck_assert_int_eq(runtime_delete(&config, &handler, ID, &error), 0);
	calls = get("calls");
	ck_assert_str_eq(calls, "--root /root start " ID "\n"
				"--root /root kill " ID " 15\n"
				"--root /root kill " ID " KILL\n"
				"--root /root kill -a " ID " 9\n"
				"--root /root delete --force " ID "\n");
}
END_TEST

START_TEST(environment_is_not_the_daemons)
{
	_cleanup_strv_ char **env = NULL;
	_cleanup_free_ char *joined = NULL, *seen = NULL;

	ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", "/x", 1), 0);
	ck_assert_int_eq(runtime_env(&handler, &env), 0);
	joined = strv_join(env, " ");
	ck_assert_str_eq(joined,
			 "A=1 PATH=/daemon:/usr/bin:/bin CRI_O_EXTERNAL=1 XDG_RUNTIME_DIR=/x");
	ck_assert_int_eq(runtime_start(&config, &handler, ID, &error), 0);
	seen = get("env");
	ck_assert_ptr_nonnull(strstr(seen, "A=1\nCRI_O_EXTERNAL=1\n"));
	ck_assert_ptr_null(strstr(seen, "SECRET"));
}
END_TEST

START_TEST(state_is_given_back)
{
	_cleanup_free_ char *text = NULL;
	size_t n;

	put("state.out", "{\"status\":\"created\"}\n", 0644);
	ck_assert_int_eq(runtime_state(&config, &handler, ID, &text, &n, &error), 0);
	ck_assert_str_eq(text, "{\"status\":\"created\"}\n");
	ck_assert_uint_eq(n, strlen(text));
}
END_TEST

START_TEST(errors_carry_the_undecorated_text)
{
	fails("start", "time=\"2026-11-23T21:05:05Z\" level=warning msg=\"cgroup: old\"\n"
		       "time=\"2026-11-23T21:05:05Z\" level=error msg=\"exec: \\\"no\\\\such\\\": "
		       "not found\\nin $PATH\" x=1\n");
	ck_assert_int_eq(runtime_start(&config, &handler, ID, &error), E_FAILED);
	ck_assert_str_eq(error.message, "fake start: exec: \"no\\such\": not found in $PATH");
	fails("start", "2026-11-23T21:05:05.947265Z: one\nand two\n");
	ck_assert_int_eq(runtime_start(&config, &handler, ID, &error), E_FAILED);
	ck_assert_str_eq(error.message, "fake start: one; and two");
	fails("start", "time=\"x\" level=warning msg=\"only \xff\x1b[1m this\"");
	ck_assert_int_eq(runtime_start(&config, &handler, ID, &error), E_FAILED);
	ck_assert_str_eq(error.message, "fake start: only \xef\xbf\xbd [1m this");
	fails("start", "");
	ck_assert_int_eq(runtime_start(&config, &handler, ID, &error), E_FAILED);
	ck_assert_str_eq(error.message, "fake start: exit status 1");
}
END_TEST

START_TEST(truncated_decoration_is_harmless)
{
	static const char full[] =
		"time=\"2026-11-23T21:05:05Z\" level=error msg=\"container \\\"x\\\" y\"";

	for (size_t n = 0; n < sizeof(full); n++) {
		_cleanup_free_ char *exact = malloc(n ? n : 1);
		_cleanup_str_ struct str out = STR_INIT;

		memcpy(exact, full, n);
		runtime_message(&out, exact, n);
		ck_assert(!str_failed(&out));
	}
}
END_TEST

START_TEST(missing_containers_are_not_found)
{
	static const char *const texts[] = {
		"time=\"2026-11-23T21:05:05Z\" level=error msg=\"container does not exist\"\n",
		"error opening file `/run/crun/" ID "/status`: No such file or directory\n",
		"container `" ID "` does not exist\n",
		"cannot open directory '/run/crun/" ID "': No such file or directory\n",
	};
	_cleanup_free_ char *text = NULL;
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		fails("start", texts[i]);
		fails("state", texts[i]);
		fails("delete", texts[i]);
		fails("kill", texts[i]);
		ck_assert_int_eq(runtime_start(&config, &handler, ID, &error), E_NOT_FOUND);
		ck_assert_int_eq(runtime_state(&config, &handler, ID, &text, &n, &error),
				 E_NOT_FOUND);
		ck_assert_int_eq(runtime_kill(&config, &handler, ID, 15, false, &error),
				 E_NOT_FOUND);
		ck_assert_int_eq(runtime_delete(&config, &handler, ID, &error), 0);
	}
}
END_TEST

START_TEST(other_missing_things_are_failures)
{
	static const char *const texts[] = {
		"executable file `nosuch` not found in $PATH: No such file or directory\n",
		"time=\"x\" level=error msg=\"runc create failed: exec: \\\"x\\\": executable file "
		"not found in $PATH\"\n",
		"cannot open `/run/crun/" ID "/exec.fifo`: No such file or directory\n",
		"error running hook: container prepare: /usr/bin/hook does not exist\n",
		"container `" ID "` is not running\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		fails("start", texts[i]);
		ck_assert_int_eq(runtime_start(&config, &handler, ID, &error), E_FAILED);
	}
}
END_TEST

START_TEST(killing_the_dead_is_not_found)
{
	static const char *const texts[] = {
		"kill container: No such process\n",
		"time=\"x\" level=error msg=\"container not running\"\n",
		"container `" ID "` is not running\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		fails("kill", texts[i]);
		ck_assert_int_eq(runtime_kill(&config, &handler, ID, 15, false, &error),
				 E_NOT_FOUND);
	}
	fails("kill", "operation not permitted\n");
	ck_assert_int_eq(runtime_kill(&config, &handler, ID, 15, false, &error), E_FAILED);
}
END_TEST

START_TEST(failed_delete_is_success_when_nothing_is_left)
{
	fails("delete", "kill container: No such process\n");
	ck_assert_int_eq(runtime_delete(&config, &handler, ID, &error), E_FAILED);
	fails("state", "container does not exist\n");
	ck_assert_int_eq(runtime_delete(&config, &handler, ID, &error), 0);
}
END_TEST

static int probe(const char *features, char **version, char **printed)
{
	put("features.out", features, 0644);
	return runtime_probe(&config, &handler, version, printed, &error);
}

START_TEST(probe_asks_version_and_features)
{
	char *version = NULL, *features = NULL;

	put("--version.out", "fake version 1\n", 0644);
	ck_assert_int_eq(probe("{\"ociVersionMax\":\"1.0.2-dev\"}", &version, &features), 0);
	ck_assert_str_eq(version, "fake version 1\n");
	ck_assert_str_eq(features, "{\"ociVersionMax\":\"1.0.2-dev\"}");
	free(version);
	free(features);
	fails("features", "unknown command features\n");
	ck_assert_int_eq(probe("", &version, &features), 0);
	ck_assert_ptr_null(features);
	free(version);
}
END_TEST

START_TEST(probe_fails_when_the_program_does_not_run)
{
	char *version = NULL, *features = NULL;

	fails("--version", "cannot load library\n");
	ck_assert_int_ne(probe("{}", &version, &features), 0);
	ck_assert_str_eq(error.message, "fake --version: cannot load library");
	handler.runtime_path = nowhere;
	ck_assert_int_ne(probe("{}", &version, &features), 0);
	ck_assert_ptr_null(version);
	ck_assert_ptr_nonnull(strstr(error.message, "/nonexistent/runtime"));
}
END_TEST

START_TEST(descriptors_are_not_leaked)
{
	size_t before = open_fds();

	fails("kill", "no\n");
	for (int i = 0; i < 3; i++) {
		runtime_kill(&config, &handler, ID, 15, false, NULL);
		runtime_start(&config, &handler, ID, NULL);
	}
	ck_assert_uint_eq(open_fds(), before);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("runtime");
	TCase *t = tcase_create("runtime");
	SRunner *run;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, commands_have_crio_arguments);
	tcase_add_test(t, environment_is_not_the_daemons);
	tcase_add_test(t, state_is_given_back);
	tcase_add_test(t, errors_carry_the_undecorated_text);
	tcase_add_test(t, truncated_decoration_is_harmless);
	tcase_add_test(t, missing_containers_are_not_found);
	tcase_add_test(t, other_missing_things_are_failures);
	tcase_add_test(t, killing_the_dead_is_not_found);
	tcase_add_test(t, failed_delete_is_success_when_nothing_is_left);
	tcase_add_test(t, probe_asks_version_and_features);
	tcase_add_test(t, probe_fails_when_the_program_does_not_run);
	tcase_add_test(t, descriptors_are_not_leaked);
	suite_add_tcase(s, t);
	run = srunner_create(s);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? 1 : 0;
}
