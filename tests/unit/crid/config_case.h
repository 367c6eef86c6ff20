/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What test_config.c and test_config_values.c share: the configuration is read from files made for each case in a
 * directory of its own. Check runs each case in a process of its own, so the environment may be changed freely.
 */
#ifndef TEST_CONFIG_CASE_H
#define TEST_CONFIG_CASE_H

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

static inline const char *path_of(const char *name)
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

static inline int run_cases(const char *name, const TTest *const *tests, size_t n)
{
	Suite *s = suite_create(name);
	TCase *tc = tcase_create(name);
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
