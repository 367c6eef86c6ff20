/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl_main.h"

static bool flag, other;
static const char *text;
static char **list;
static long long number;

static const struct opt first[] = {
	{ 'f', "flag", OPT_FLAG, &flag, NULL, "" },
	{ 'o', "other", OPT_FLAG, &other, NULL, "" },
	{ 't', "text", OPT_STRING, &text, "T", "" },
	{ 0 },
};
static const struct opt second[] = {
	{ 0, "list", OPT_LIST, &list, "L", "" },
	{ 'n', "number", OPT_INT, &number, "N", "" },
	{ 't', "shadowed", OPT_FLAG, &flag, NULL, "" },
	{ 0 },
};
static const struct opt *const tables[] = { first, second, NULL };

static char *left[20];
static int n_left;
static bool help;

static int parse(bool stop, const char *line)
{
	static char **words;
	int i;

	flag = other = help = false;
	text = NULL;
	number = 0;
	list = strv_free(list);
	words = strv_free(words);
	ck_assert_int_eq(strv_split(line, ' ', &words), 0);
	n_left = (int)strv_len(words);
	for (i = 0; i < n_left; i++)
		left[i] = words[i];
	return options_parse(tables, stop, &n_left, left, &help);
}

START_TEST(all_forms_are_understood)
{
	ck_assert_int_eq(parse(false, "-fo --text=a b --list x --list=y -n5 c"), 0);
	ck_assert(flag);
	ck_assert(other);
	ck_assert_str_eq(text, "a");
	ck_assert_uint_eq(strv_len(list), 2);
	ck_assert_str_eq(list[1], "y");
	ck_assert_int_eq(number, 5);
	ck_assert_int_eq(n_left, 2);
	ck_assert_str_eq(left[0], "b");
	ck_assert_str_eq(left[1], "c");
	ck_assert_int_eq(parse(false, "-ft v -n 6 --flag=false"), 0);
	ck_assert_str_eq(text, "v");
	ck_assert_int_eq(number, 6);
	ck_assert(!flag);
}
END_TEST

START_TEST(a_command_line_is_left_alone)
{
	ck_assert_int_eq(parse(true, "-f image -f --number"), 0);
	ck_assert(flag);
	ck_assert_int_eq(n_left, 3);
	ck_assert_str_eq(left[1], "-f");
	ck_assert_int_eq(parse(false, "a -- -f"), 0);
	ck_assert(!flag);
	ck_assert_int_eq(n_left, 2);
	ck_assert_str_eq(left[1], "-f");
	ck_assert_int_eq(parse(true, "-- -f"), 0);
	ck_assert_str_eq(left[0], "-f");
}
END_TEST

START_TEST(help_is_noticed_anywhere)
{
	ck_assert_int_eq(parse(false, "a -h"), 0);
	ck_assert(help);
	ck_assert_int_eq(parse(true, "a -h"), 0);
	ck_assert(!help);
}
END_TEST

START_TEST(mistakes_are_usage_errors)
{
	static const char *const wrong[] = {
		"--nothing",  "-x",  "--text",	"-t",	"-n x", "-n -1", "--number=99999999999",
		"--flag=yes", "-fx", "--tex a", "--=a",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		ck_assert_msg(parse(false, wrong[i]) == EXIT_USAGE, "%s", wrong[i]);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		all_forms_are_understood,
		a_command_line_is_left_alone,
		help_is_noticed_anywhere,
		mistakes_are_usage_errors,
	};

	return run_tests("options", tests, ARRAY_SIZE(tests));
}
