/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <cbase/err.h>
#include <cbase/str.h>
#include "main.h"

START_TEST(messages_say_what_and_why)
{
	struct cb_error e = { 0 };

	ck_assert_int_eq(err_set(&e, 3, "pod %s does not exist", "x"), 3);
	ck_assert_int_eq(e.code, 3);
	ck_assert_int_eq(e.sys_errno, 0);
	ck_assert_str_eq(e.message, "pod x does not exist");
	errno = ENOENT;
	ck_assert_int_eq(err_ctx(&e, err_sys(&e, "open %s", "/y"), "pull %s", "z"), -ENOENT);
	ck_assert_int_eq(e.sys_errno, ENOENT);
	ck_assert_str_eq(e.message, "pull z: open /y: No such file or directory");
	ck_assert_int_eq(err_set((struct cb_error *)NULL, 5, "nobody reads %d", 1), 5);
}
END_TEST

START_TEST(long_messages_are_cut_between_characters)
{
	struct cb_error e = { 0 };
	char text[3 * CB_ERROR_MESSAGE_MAX] = "";
	size_t i;

	for (i = 0; i + 3 < sizeof(text); i += 2)
		strcpy(text + i, "\xc3\xa9");
	err_set(&e, 1, "x%s", text);
	ck_assert(utf8_valid(e.message, strlen(e.message)));
	err_ctx(&e, 1, "%s", text);
	ck_assert(utf8_valid(e.message, strlen(e.message)));
	ck_assert_uint_lt(strlen(e.message), CB_ERROR_MESSAGE_MAX);
}
END_TEST

static void add(TCase *c)
{
	tcase_add_test(c, messages_say_what_and_why);
	tcase_add_test(c, long_messages_are_cut_between_characters);
}

int main(void)
{
	return run_case("err", add);
}
