/* SPDX-License-Identifier: Apache-2.0 */
/* What log_at() writes to descriptor 2, caught in a pipe. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
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
		space_ = strstr(caught, " level=");                                                \
		(const char *)(space_ ? space_ + 1 : caught);                                      \
	})

START_TEST(line_has_time_level_and_message)
{
	int64_t when, now = now_ns();

	ck_assert_str_eq(CATCH(log_info("pod %d", 7)), "level=info msg=\"pod 7\"\n");
	ck_assert(str_starts(caught, "time=\""));
	*strchr(caught, ' ') = 'T';
	*strchr(caught, ' ') = '\0';
	ck_assert_uint_eq(strlen(caught), strlen("time=\"2026-11-24T03:00:33.512000000Z\""));
	caught[strlen(caught) - 1] = '\0';
	ck_assert_int_eq(time_parse(caught + strlen("time=\""), &when), 0);
	ck_assert(when >= now && when < now + 60000000000);
}
END_TEST

START_TEST(level_decides)
{
	ck_assert_str_eq(log_level_name(), "info");
	ck_assert_str_eq(CATCH(log_debug("x")), "");
	ck_assert_int_eq(log_set_level("debug"), 0);
	ck_assert_str_eq(CATCH(log_debug("x")), "level=debug msg=\"x\"\n");
	ck_assert_int_eq(log_set_level("warning"), 0);
	ck_assert_str_eq(log_level_name(), "warn");
	ck_assert_str_eq(CATCH(log_warn("x")), "level=warning msg=\"x\"\n");
	ck_assert_str_eq(CATCH(log_info("x")), "");
	ck_assert_int_eq(log_set_level("panic"), 0);
	ck_assert_str_eq(CATCH(log_error("x")), "");
	ck_assert_int_eq(log_set_level("loud"), -EINVAL);
	ck_assert_str_eq(log_level_name(), "fatal");
}
END_TEST

#define MSG(text) "level=info msg=\"" text "\"\n"

START_TEST(control_bytes_are_escaped)
{
	ck_assert_str_eq(CATCH(log_info("a\nb\tc\x1b[1m\x7f")), MSG("a\\nb\\tc\\x1b[1m\\x7f"));
	ck_assert_str_eq(CATCH(log_info("%s", "\xc2\x9b"
					      "1m \xc3\xa9 \xe2\x82\xac")),
			 MSG("\\xc2\\x9b1m \xc3\xa9 \xe2\x82\xac"));
	ck_assert_str_eq(CATCH(log_info("%s", "\xff\xe2\x82")), MSG("\\xff\\xe2\\x82"));
	ck_assert_str_eq(CATCH(log_info("%s", "\" level=fatal msg=\"\\")), MSG("\\\" level=fatal msg=\\\"\\\\"));
}
END_TEST

START_TEST(json_is_json)
{
	log_set_json(true);
	(void)CATCH(log_info("a\"\\\n\x1b\xff"));
	ck_assert(str_starts(caught, "{\"time\":\"20"));
	ck_assert(str_ends(caught, "Z\",\"level\":\"info\",\"msg\":\"a\\\"\\\\\\n\\u001b\\ufffd\"}\n"));
	log_request_set(&(struct log_request){ .id = { 1, 2 }, .name = "/x" });
	(void)CATCH(log_info("b"));
	ck_assert(str_ends(caught, ",\"msg\":\"b\",\"id\":\"00000000-0000-4001-8000-000000000002\",\"name\":\"/x\"}\n"));
}
END_TEST

START_TEST(request_is_told_until_it_is_over)
{
	struct log_request a = log_request_new("/runtime.v1.RuntimeService/Version"), b = log_request_new("/b");
	const char *line;

	ck_assert(a.id[0] != b.id[0]);
	log_request_set(&a);
	line = CATCH(log_info("x"));
	ck_assert(str_starts(line, "level=info msg=\"x\" id="));
	ck_assert(str_ends(line, " name=/runtime.v1.RuntimeService/Version\n"));
	ck_assert_uint_eq(strlen(line), strlen("level=info msg=\"x\" id= name=/runtime.v1.RuntimeService/Version\n") + 36);
	ck_assert_str_eq(log_request_get().name, a.name);
	log_request_set(NULL);
	ck_assert_str_eq(CATCH(log_info("x")), MSG("x"));
}
END_TEST

START_TEST(filter_decides)
{
	struct cb_error err = { 0 };

	ck_assert_int_eq(log_set_filter("^pod|image$", &err), 0);
	ck_assert_str_eq(CATCH(log_info("container")), "");
	ck_assert_str_eq(CATCH(log_info("pod x")), MSG("pod x"));
	ck_assert_str_eq(CATCH(log_info("no image")), MSG("no image"));
	ck_assert_int_ne(log_set_filter("a(", &err), 0);
	ck_assert_ptr_nonnull(strstr(err.message, "\"a(\" is no regular expression: "));
	ck_assert_str_eq(CATCH(log_info("container")), "");	/* the one of before */
	ck_assert_int_eq(log_set_filter("", &err), 0);
	ck_assert_str_eq(CATCH(log_info("container")), MSG("container"));
}
END_TEST

START_TEST(file_is_opened_again)
{
	char path[] = "/tmp/crid-log-XXXXXX", moved[64];
	_cleanup_free_ char *text = NULL, *old = NULL;
	struct cb_error err = { 0 };
	size_t n;

	close_fd(mkstemp(path));
	snprintf(moved, sizeof(moved), "%s.1", path);
	ck_assert_int_eq(log_open(path, &err), 0);
	ck_assert_str_eq(CATCH(log_info("one")), "");
	ck_assert_int_eq(rename(path, moved), 0);
	log_info("two");
	ck_assert_int_eq(log_open(path, &err), 0);
	log_info("three");
	ck_assert_int_eq(read_file(moved, 4096, &old, &n), 0);
	ck_assert(str_ends(old, MSG("two")));
	ck_assert_int_eq(read_file(path, 4096, &text, &n), 0);
	ck_assert(str_ends(text, MSG("three")));
	ck_assert_ptr_null(strstr(text, "two"));
	ck_assert_int_ne(log_open("/no/such/directory/log", &err), 0);
	log_info("four");
	unlink(path);
	unlink(moved);
}
END_TEST

START_TEST(journal_gets_priorities)
{
	struct stat st;
	char stream[64];
	int p[2], keep = dup(2);

	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(fstat(p[1], &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	dup2(p[1], 2);
	log_find_journal();
	log_warn("x");
	log_info("y");
	dup2(keep, 2);
	ck_assert_int_gt(read(p[0], caught, sizeof(caught) - 1), 0);
	ck_assert(str_starts(caught, "<4>time="));
	ck_assert_ptr_nonnull(strstr(caught, "\n<6>time="));
}
END_TEST

START_TEST(long_lines_are_cut)
{
	static char text[3 * LOG_LINE_MAX];
	const char *line;

	memset(text, 'x', sizeof(text) - 1);
	line = CATCH(log_info("%s", text));
	ck_assert_uint_le(strlen(caught), LOG_LINE_MAX);
	ck_assert(str_ends(line, "x [cut]\"\n"));
	memset(text, '\n', LOG_LINE_MAX / 2);
	text[LOG_LINE_MAX / 2] = '\0';
	line = CATCH(log_info("%s", text));
	ck_assert_uint_le(strlen(caught), LOG_LINE_MAX);
	ck_assert(str_ends(line, "\\n [cut]\"\n"));
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
	tcase_add_test(t, json_is_json);
	tcase_add_test(t, request_is_told_until_it_is_over);
	tcase_add_test(t, filter_decides);
	tcase_add_test(t, file_is_opened_again);
	tcase_add_test(t, journal_gets_priorities);
	tcase_add_test(t, long_lines_are_cut);
	tcase_add_test(t, errno_survives);
	suite_add_tcase(s, t);
	run = srunner_create(s);
	srunner_run_all(run, CK_ENV);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? 1 : 0;
}
