/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of CRI logs, their text, and where their last lines begin. */
#include <sys/mman.h>
#include "ctl_main.h"

#define T "2026-11-23T20:00:00.123456789+00:00"

static bool parses(const char *line, struct log_line *l)
{
	return log_line_parse(line, strlen(line), l);
}

START_TEST(whole_and_partial_lines_are_told_apart)
{
	struct log_line l;

	ck_assert(parses(T " stdout F some text ", &l));
	ck_assert_int_eq(l.stream, 1);
	ck_assert(!l.partial);
	ck_assert_uint_eq(l.len, 10);
	ck_assert_int_eq(memcmp(l.text, "some text ", 10), 0);
	ck_assert_uint_eq(l.time_len, strlen(T));
	ck_assert(parses("2026-11-23T20:00:00Z stderr P:x:y z", &l));
	ck_assert_int_eq(l.stream, 2);
	ck_assert(l.partial);
	ck_assert_uint_eq(l.len, 1);
}
END_TEST

START_TEST(empty_text_may_lack_its_blank)
{
	struct log_line l;

	ck_assert(parses(T " stdout F ", &l));
	ck_assert_uint_eq(l.len, 0);
	ck_assert(parses(T " stdout F", &l));
	ck_assert_uint_eq(l.len, 0);
}
END_TEST

START_TEST(other_lines_are_none)
{
	static const char *const lines[] = {
		"",
		" ",
		"text",
		T,
		T " ",
		T " stdout",
		T " stdout ",
		T " stdin F x",
		T " stdout X x",
		T " stdout FF x",
		T " stdout  x",
		T "  stdout F x",
		"yesterday-at-noon-or-so stdout F x",
		"2026-11-23 20:00:00 stdout F x",
		T " stdoutx F x",
	};
	struct log_line l;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lines); i++)
		ck_assert_msg(!parses(lines[i], &l), "\"%s\"", lines[i]);
}
END_TEST

/* A view whose two streams are strings, "out|err". */
struct shown {
	struct log_view v;
	char *text[3];
	size_t len[3];
	char both[1000];
};

static void shown_init(struct shown *s, bool timestamps)
{
	int i;

	memset(s, 0, sizeof(*s));
	log_view_init(&s->v, timestamps);
	for (i = 1; i < 3; i++)
		s->v.file[i] = open_memstream(&s->text[i], &s->len[i]);
}

static const char *shown_text(struct shown *s)
{
	log_view_end(&s->v);
	snprintf(s->both, sizeof(s->both), "%s|%s", s->text[1], s->text[2]);
	return s->both;
}

static void shown_done(struct shown *s)
{
	int i;

	for (i = 1; i < 3; i++) {
		fclose(s->v.file[i]);
		free(s->text[i]);
	}
	log_view_done(&s->v);
}

static const char log_text[] = T " stdout P one, \n" T " stderr F oops\n" T " stdout F two\n" T
				 " stdout F \n" T " stdout P no newline\n";

START_TEST(parts_are_joined_and_streams_kept_apart)
{
	struct shown s;

	shown_init(&s, false);
	log_view_feed(&s.v, log_text, strlen(log_text));
	ck_assert_str_eq(shown_text(&s), "one, two\n\nno newline|oops\n");
	shown_done(&s);
}
END_TEST

START_TEST(pieces_of_any_size_give_the_same)
{
	size_t size, at, n = strlen(log_text);

	for (size = 1; size < 40; size++) {
		struct shown s;

		shown_init(&s, false);
		for (at = 0; at < n; at += size)
			log_view_feed(&s.v, log_text + at, at + size < n ? size : n - at);
		ck_assert_str_eq(shown_text(&s), "one, two\n\nno newline|oops\n");
		shown_done(&s);
	}
}
END_TEST

START_TEST(timestamps_begin_whole_lines_only)
{
	struct shown s;

	shown_init(&s, true);
	log_view_feed(&s.v, log_text, strlen(log_text));
	ck_assert_str_eq(shown_text(&s), T " one, two\n" T " \n" T " no newline|" T " oops\n");
	shown_done(&s);
}
END_TEST

START_TEST(what_is_no_cri_line_goes_to_stderr)
{
	static const char text[] = "panic!\n" T " stdout F x\n" T " stdout F cut of";
	struct shown s;

	shown_init(&s, false);
	log_view_feed(&s.v, text, strlen(text));
	ck_assert_str_eq(shown_text(&s), "x\ncut of\n|panic!\n");
	shown_done(&s);
}
END_TEST

START_TEST(a_line_without_end_does_not_fill_the_memory)
{
	_cleanup_free_ char *mib = malloc(1 << 20);
	struct shown s;
	size_t i;

	memset(mib, 'x', 1 << 20);
	shown_init(&s, false);
	for (i = 0; i < 40; i++) {
		log_view_feed(&s.v, mib, 1 << 20);
		ck_assert_uint_le(s.v.rest.len, 17 << 20);
	}
	shown_done(&s);
}
END_TEST

static off_t tail_of(const char *text, size_t n, long long tail)
{
	_cleanup_close_ int fd = memfd_create("log", MFD_CLOEXEC);
	off_t offset = -1;

	ck_assert_int_eq(write(fd, text, n), (ssize_t)n);
	ck_assert_int_eq(log_tail_offset(fd, tail, &offset), 0);
	return offset;
}

START_TEST(tails_begin_behind_a_newline)
{
	static char big[300000];

	ck_assert_int_eq(tail_of("", 0, 5), 0);
	ck_assert_int_eq(tail_of("a\nb\nc\n", 6, 0), 6);
	ck_assert_int_eq(tail_of("a\nb\nc\n", 6, 1), 4);
	ck_assert_int_eq(tail_of("a\nb\nc", 5, 1), 4);
	ck_assert_int_eq(tail_of("a\nb\nc\n", 6, 2), 2);
	ck_assert_int_eq(tail_of("a\nb\nc\n", 6, 3), 0);
	ck_assert_int_eq(tail_of("a\nb\nc\n", 6, 99), 0);
	memset(big, 'x', sizeof(big));
	big[99999] = '\n';
	ck_assert_int_eq(tail_of(big, sizeof(big), 1), 100000);
	ck_assert_int_eq(tail_of(big, sizeof(big), 2), 0);
	big[300000 - 65536 - 1] = '\n'; /* at the edge of a block */
	ck_assert_int_eq(tail_of(big, sizeof(big), 1), 300000 - 65536);
	ck_assert_int_eq(tail_of(big, sizeof(big), 2), 100000);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		whole_and_partial_lines_are_told_apart,
		empty_text_may_lack_its_blank,
		other_lines_are_none,
		parts_are_joined_and_streams_kept_apart,
		pieces_of_any_size_give_the_same,
		timestamps_begin_whole_lines_only,
		what_is_no_cri_line_goes_to_stderr,
		a_line_without_end_does_not_fill_the_memory,
		tails_begin_behind_a_newline,
	};

	return run_tests("log", tests, ARRAY_SIZE(tests));
}
