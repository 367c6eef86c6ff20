/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One Check program per file: RUN_TESTS() is its main(). scratch_setup() makes a directory with
 * conf/, bin/ and cache/; scratch_teardown() removes it and counts descriptors.
 */
#ifndef UNIT_H
#define UNIT_H

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "private.h"

#define RUN_TESTS_WITH(name, setup, teardown, ...)                                                 \
	int main(void)                                                                             \
	{                                                                                          \
		const TTest *all[] = { __VA_ARGS__ };                                              \
		return run_tests(name, setup, teardown, all, ARRAY_SIZE(all));                     \
	}
#define RUN_TESTS(name, ...) RUN_TESTS_WITH(name, NULL, NULL, __VA_ARGS__)

static inline int run_tests(const char *name, void (*setup)(void), void (*teardown)(void),
			    const TTest **all, size_t n)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(tcase, all[i]);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

#define UNUSED __attribute__((unused))

/* A vector of literals, for what takes vectors of owned strings and does not write to them. */
#define VECTOR(...)                                                                                \
	(char **)(uintptr_t)(const char *const[])                                                  \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

static char scratch[] = "/tmp/test-cnic-XXXXXX";
static size_t open_before;

static inline UNUSED size_t open_descriptors(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* A path in the scratch directory; the last eight stay valid. */
static inline UNUSED const char *at(const char *name)
{
	static char path[8][300];
	static int i;

	i = (i + 1) % 8;
	snprintf(path[i], sizeof(path[i]), "%s/%s", scratch, name);
	return path[i];
}

static inline UNUSED void put(const char *name, const char *text)
{
	ck_assert_int_eq(write_file(at(name), 0755, text, strlen(text), 0), 0);
}

static inline UNUSED char *get(const char *name)
{
	char *text = NULL;

	ck_assert_msg(read_file(at(name), 1 << 22, &text, NULL) == 0, "read %s", name);
	return text;
}

static inline UNUSED bool exists(const char *name)
{
	return access(at(name), F_OK) == 0;
}

static inline UNUSED void scratch_setup(void)
{
	strcpy(scratch + sizeof(scratch) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(scratch));
	ck_assert_int_eq(mkdir(at("conf"), 0700), 0);
	ck_assert_int_eq(mkdir(at("bin"), 0700), 0);
	open_before = open_descriptors();
}

static inline UNUSED void scratch_teardown(void)
{
	ck_assert_uint_eq(open_descriptors(), open_before);
	ck_assert_int_eq(rm_rf_at(AT_FDCWD, scratch), 0);
}

/*
 * A runner that starts nothing: every call is written down as "COMMAND TYPE", with what the plugin would
 * have seen, and answered from a list.
 */
struct answer_given {
	const char *call; /* "ADD one": only this call; NULL: any */
	const char *out;
	int status; /* wait status */
	int result; /* of the runner */
};

#define CALLS_MAX 64
static struct {
	const struct answer_given *answers;
	size_t n_answers;
	struct str log;		/* "ADD one;DEL one;" */
	char *input[CALLS_MAX]; /* of each call */
	char **env[CALLS_MAX];
	int timeout_ms[CALLS_MAX];
	size_t n;
	size_t probes; /* VERSION calls are counted only */
} fake;

static inline UNUSED const char *fake_env(size_t call, const char *name)
{
	size_t len = strlen(name);

	for (char **e = fake.env[call]; *e; e++)
		if (strncmp(*e, name, len) == 0 && (*e)[len] == '=')
			return *e + len + 1;
	return NULL;
}

static inline UNUSED int fake_run(void *user, const char *path, const char *const *env,
				  const char *input, size_t input_len, int timeout_ms,
				  char **ret_out, size_t *ret_out_len, char **ret_errout,
				  int *ret_status)
{
	const char *command = NULL, *type = strrchr(path, '/') + 1, *out = NULL;
	char call[64];

	for (const char *const *e = env; *e; e++)
		if (str_starts(*e, "CNI_COMMAND="))
			command = *e + strlen("CNI_COMMAND=");
	ck_assert_ptr_nonnull(command);
	*ret_status = 0;
	*ret_errout = strdup("");
	if (streq(command, "VERSION")) {
		fake.probes++;
		out = "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.1.0\",\"0.2.0\",\"0.3."
		      "1\",\"0.4.0\","
		      "\"1.0.0\",\"1.1.0\"]}";
		*ret_out = strdup(out);
		*ret_out_len = strlen(out);
		return 0;
	}
	snprintf(call, sizeof(call), "%s %s", command, type);
	str_appendf(&fake.log, "%s;", call);
	ck_assert_uint_lt(fake.n, CALLS_MAX);
	fake.input[fake.n] = strndup(input, input_len);
	fake.env[fake.n] = strv_copy((char **)(uintptr_t)env);
	fake.timeout_ms[fake.n++] = timeout_ms;
	for (size_t i = 0; i < fake.n_answers; i++) {
		const struct answer_given *a = &fake.answers[i];

		if (a->call && !streq(a->call, call))
			continue;
		if (a->result) {
			free(*ret_errout);
			*ret_errout = NULL;
			return a->result;
		}
		out = a->out;
		*ret_status = a->status;
		break;
	}
	*ret_out = strdup(out ? out : "");
	*ret_out_len = strlen(*ret_out);
	return 0;
}

static inline UNUSED void fake_answers(const struct answer_given *answers, size_t n)
{
	fake.answers = answers;
	fake.n_answers = n;
}

static inline UNUSED void fake_forget(void)
{
	for (size_t i = 0; i < fake.n; i++) {
		free(fake.input[i]);
		strv_free(fake.env[i]);
	}
	fake.n = 0;
	str_done(&fake.log);
	fake.log = (struct str)STR_INIT;
}

static inline UNUSED const char *fake_log(void)
{
	return fake.log.data ? fake.log.data : "";
}

/* A struct cnic on the scratch directories; with the fake runner or the real one. */
static inline UNUSED struct cnic *new_cnic(bool with_fake, const char *default_network)
{
	struct cnic_options *o = NULL;
	struct cnic *c = NULL;

	ck_assert_int_eq(cnic_options_new(&o), 0);
	ck_assert_int_eq(cnic_options_set_conf_dir(o, at("conf")), 0);
	ck_assert_int_eq(cnic_options_set_cache_dir(o, at("cache")), 0);
	ck_assert_int_eq(cnic_options_add_plugin_dir(o, at("bin")), 0);
	ck_assert_int_eq(cnic_options_set_default_network(o, default_network), 0);
	if (with_fake)
		ck_assert_int_eq(cnic_options_set_runner(o, fake_run, NULL), 0);
	ck_assert_int_eq(cnic_new(o, &c), 0);
	cnic_options_free(o);
	return c;
}

#endif
