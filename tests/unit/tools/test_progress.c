/* SPDX-License-Identifier: Apache-2.0 */
/* How far a pull is: what the server says, and how it is shown. */
#include "ctl_main.h"

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct bars bars;
static struct str out;

static int64_t parse(const char *text)
{
	int64_t version = -1;

	ck_assert(progress_parse(text, strlen(text), "x:1", &bars, &version));
	return version;
}

static int draw(int rows, int columns, int drawn)
{
	bars.drawn = drawn;
	return bars_draw(&bars, rows, columns, &out);
}

static void end(void)
{
	bars_done(&bars);
	str_done(&out);
	out = (struct str)STR_INIT;
}

static const char two[] =
	"{\"version\":7,\"new\":1,\"pulls\":["
	"{\"image\":\"other\",\"layers\":[{\"layer\":\"sha256:o\",\"done\":1,\"size\":2}]},"
	"{\"image\":\"x:1\",\"reference\":\"r\",\"layers\":["
	"{\"layer\":\"" A "\",\"done\":500000,\"size\":1000000},"
	"{\"layer\":\"" B "\",\"done\":20,\"size\":20}]}]}";

START_TEST(layers_of_the_image_are_taken)
{
	ck_assert_int_eq(parse(two), 7);
	ck_assert_uint_eq(bars.n, 2);
	ck_assert_str_eq(bars.bar[0].name, "aaaaaaaaaaaaa");
	ck_assert_int_eq(bars.bar[0].done, 500000);
	ck_assert_int_eq(bars.bar[1].size, 20);
	/* what is not mentioned any more stays */
	ck_assert_int_eq(parse("{\"version\":8,\"pulls\":[{\"image\":\"x:1\",\"layers\":["
			       "{\"layer\":\"" A "\",\"done\":1000000,\"size\":1000000}]}]}"),
			 8);
	ck_assert_uint_eq(bars.n, 2);
	ck_assert_int_eq(bars.bar[0].done, 1000000);
	ck_assert_int_eq(parse("{\"version\":9,\"pulls\":[]}"), 9);
	ck_assert_uint_eq(bars.n, 2);
	end();
}
END_TEST

START_TEST(other_answers_are_refused)
{
	static const char *const texts[] = {
		"",
		"null",
		"[]",
		"{}",
		"404 page not found\n",
		"{\"pulls\":[]}",
		"{\"version\":1}",
		"{\"version\":\"1\",\"pulls\":[]}",
	};
	int64_t version;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		ck_assert_msg(!progress_parse(texts[i], strlen(texts[i]), "x:1", &bars, &version),
			      "%s", texts[i]);
	ck_assert_uint_eq(bars.n, 0);
}
END_TEST

START_TEST(odd_numbers_and_names_are_harmless)
{
	_cleanup_str_ struct str many = STR_INIT;

	parse("{\"version\":1,\"pulls\":[null,1,{\"image\":1},{\"image\":\"x:1\"},{\"image\":\"x:"
	      "1\",\"layers\":["
	      "{\"layer\":\"\\u001b[2J\",\"done\":-5,\"size\":10},{\"layer\":\"b\",\"done\":50,"
	      "\"size\":10},"
	      "{\"layer\":\"c\",\"done\":1,\"size\":-1},{\"layer\":5},{}]}]}");
	ck_assert_uint_eq(bars.n, 3);
	ck_assert_str_eq(bars.bar[0].name, "?[2J");
	ck_assert_int_eq(bars.bar[0].done, 0);
	ck_assert_int_eq(bars.bar[1].done, 10);
	ck_assert_int_eq(bars.bar[2].size, 0);
	str_append(&many, "{\"version\":1,\"pulls\":[{\"image\":\"x:1\",\"layers\":[{}");
	for (int i = 0; i < 2 * BARS_MAX; i++)
		str_appendf(&many, ",{\"layer\":\"%d\",\"done\":1,\"size\":2}", i);
	str_append(&many, "]}]}");
	parse(many.data);
	ck_assert_uint_eq(bars.n, BARS_MAX);
	end();
}
END_TEST

START_TEST(terminal_has_a_bar_for_each_layer)
{
	parse(two);
	ck_assert_int_eq(draw(24, 60, 0), 2);
	ck_assert_str_eq(out.data,
			 "\raaaaaaaaaaaaa    500kB /     1MB  [########        ]   50%\033[K\n"
			 "\rbbbbbbbbbbbbb      20B /     20B  [################]  100%\033[K\n");
	str_reset(&out);
	ck_assert_int_eq(draw(24, 200, 2), 2);
	ck_assert(str_starts(out.data, "\033[2A\raaaaaaaaaaaaa    500kB /     1MB  "
				       "[####################                    ]   50%\033[K\n"));
	end();
}
END_TEST

START_TEST(narrow_and_low_terminals)
{
	parse(two);
	for (int columns = 1; columns < 60; columns++) {
		const char *line;

		str_reset(&out);
		ck_assert_int_eq(draw(24, columns, 0), 2);
		line = out.data + 1;
		ck_assert_int_lt(strchr(line, '\033') - line, columns);
	}
	str_reset(&out);
	ck_assert_int_eq(draw(2, 80, 2), 1);
	ck_assert_str_eq(out.data, "\033[2A\r1 of 2 complete  500kB / 1MB\033[K\n\033[J");
	str_reset(&out);
	bars_done(&bars);
	ck_assert_int_eq(draw(24, 80, 0), 0);
	ck_assert_uint_eq(out.len, 0);
	end();
}
END_TEST

START_TEST(each_complete_layer_has_one_line)
{
	parse(two);
	bars_lines(&bars, false, &out);
	ck_assert_str_eq(out.data, "bbbbbbbbbbbbb  20B\n");
	bars_lines(&bars, false, &out);
	ck_assert_str_eq(out.data, "bbbbbbbbbbbbb  20B\n");
	bars_lines(&bars, true, &out);
	ck_assert_str_eq(out.data, "bbbbbbbbbbbbb  20B\naaaaaaaaaaaaa  1MB\n");
	end();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		layers_of_the_image_are_taken,	    other_answers_are_refused,
		odd_numbers_and_names_are_harmless, terminal_has_a_bar_for_each_layer,
		narrow_and_low_terminals,	    each_complete_layer_has_one_line,
	};

	return run_tests("progress", tests, ARRAY_SIZE(tests));
}
