/* SPDX-License-Identifier: Apache-2.0 */
/* What log_at() writes to descriptor 2, caught in a pipe. */
#include <check.h>
#include <string.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "log.h"

static char caught[2 * LOG_LINE_MAX];

/* Runs the statement and gives what it wrote, without the time. */
#define CATCH(statement)                                                                           \
	__extension__({                                                                            \
		int p_[2], keep_ = dup(2);                                                         \
		ssize_t n_;                                                                        \
		char *space_;                                                                      \
                                                                                                   \
		ck_assert_int_eq(pipe(p_), 0);                                                     \
		dup2(p_[1], 2);                                                                    \
		close(p_[1]);                                                                      \
		statement;                                                                         \
		dup2(keep_, 2);                                                                    \
		close(keep_);                                                                      \
		n_ = read(p_[0], caught, sizeof(caught) - 1);                                      \
		close(p_[0]);                                                                      \
		ck_assert_int_ge(n_, 0);                                                           \
		caught[n_] = '\0';                                                                 \
		space_ = strchr(caught, ' ');                                                      \
		(const char *)(space_ ? space_ + 1 : caught);                                      \
	})

START_TEST(line_has_time_level_and_message)
{
	int64_t when, now = now_ns();

	ck_assert_str_eq(CATCH(log_info("pod %d", 7)), "info pod 7\n");
	*strchr(caught, ' ') = '\0';
	ck_assert_int_eq(time_parse(caught, &when), 0);
	ck_assert(when >= now && when < now + 60000000000);
}
END_TEST

START_TEST(level_decides)
{
	ck_assert_str_eq(log_level_name(), "info");
	ck_assert_str_eq(CATCH(log_debug("x")), "");
	ck_assert_int_eq(log_set_level("debug"), 0);
	ck_assert_str_eq(CATCH(log_debug("x")), "debug x\n");
	ck_assert_int_eq(log_set_level("warning"), 0);
	ck_assert_str_eq(log_level_name(), "warn");
	ck_assert_str_eq(CATCH(log_info("x")), "");
	ck_assert_int_eq(log_set_level("panic"), 0);
	ck_assert_str_eq(CATCH(log_error("x")), "");
	ck_assert_int_eq(log_set_level("loud"), -EINVAL);
	ck_assert_str_eq(log_level_name(), "fatal");
}
END_TEST

START_TEST(control_bytes_are_escaped)
{
	ck_assert_str_eq(CATCH(log_info("a\nb\tc\x1b[1m\x7f")), "info a\\nb\\tc\\x1b[1m\\x7f\n");
	ck_assert_str_eq(CATCH(log_info("%s", "\xc2\x9b"
					      "1m \xc3\xa9 \xe2\x82\xac")),
			 "info \\xc2\\x9b1m \xc3\xa9 \xe2\x82\xac\n");
	ck_assert_str_eq(CATCH(log_info("%s", "\xff\xe2\x82")), "info \\xff\\xe2\\x82\n");
}
END_TEST

START_TEST(long_lines_are_cut)
{
	static char text[3 * LOG_LINE_MAX];
	const char *line;

	memset(text, 'x', sizeof(text) - 1);
	line = CATCH(log_info("%s", text));
	ck_assert_uint_le(strlen(caught), LOG_LINE_MAX);
	ck_assert(str_ends(line, "x [cut]\n"));
	memset(text, '\n', LOG_LINE_MAX / 2);
	text[LOG_LINE_MAX / 2] = '\0';
	line = CATCH(log_info("%s", text));
	ck_assert_uint_le(strlen(caught), LOG_LINE_MAX);
	ck_assert(str_ends(line, "\\n [cut]\n"));
}
END_TEST

START_TEST(errno_survives)
{
	errno = ENOTTY;
	(void)CATCH(log_info("x"); ck_assert_int_eq(errno, ENOTTY));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log");
	TCase *t = tcase_create("log");
	SRunner *run;
	int failed;

	tcase_add_test(t, line_has_time_level_and_message);
	tcase_add_test(t, level_decides);
	tcase_add_test(t, control_bytes_are_escaped);
	tcase_add_test(t, long_lines_are_cut);
	tcase_add_test(t, errno_survives);
	suite_add_tcase(s, t);
	run = srunner_create(s);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? 1 : 0;
}
