/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

struct wrong {
	const char *text, *message;
};

START_TEST(wrong_types_are_named_with_their_place)
{
	static const struct wrong wrong[] = {
		{ "{\"ociVersion\":1}", "ociVersion: expected a string without NUL" },
		{ "{\"process\":[]}", "process: expected an object" },
		{ "{\"process\":{\"terminal\":\"true\"}}",
		  "process.terminal: expected true or false" },
		{ "{\"process\":{\"args\":\"sh\"}}", "process.args: expected an array" },
		{ "{\"process\":{\"args\":[\"sh\",1]}}",
		  "process.args[1]: expected a string without NUL" },
		{ "{\"process\":{\"args\":[\"a\\u0000b\"]}}",
		  "process.args[0]: expected a string without NUL" },
		{ "{\"process\":{\"args\":[null]}}",
		  "process.args[0]: expected a string without NUL" },
		{ "{\"process\":{\"user\":{\"uid\":-1}}}",
		  "process.user.uid: expected an integer from 0 to 4294967295" },
		{ "{\"process\":{\"user\":{\"uid\":4294967296}}}",
		  "process.user.uid: expected an integer from 0 to 4294967295" },
		{ "{\"process\":{\"user\":{\"additionalGids\":[1,-2]}}}",
		  "process.user.additionalGids[1]: expected an integer from 0 to 4294967295" },
		{ "{\"process\":{\"oomScoreAdj\":1.5}}",
		  "process.oomScoreAdj: expected a 64-bit integer" },
		{ "{\"process\":{\"rlimits\":[{\"hard\":18446744073709551616}]}}",
		  "process.rlimits[0].hard: expected an unsigned 64-bit integer" },
		{ "{\"process\":{\"rlimits\":[{\"hard\":1e3}]}}",
		  "process.rlimits[0].hard: expected an unsigned 64-bit integer" },
		{ "{\"mounts\":[{},{\"options\":{}}]}", "mounts[1].options: expected an array" },
		{ "{\"mounts\":[1]}", "mounts[0]: expected an object" },
		{ "{\"annotations\":{\"a\":\"\",\"b\":2}}",
		  "annotations.b: expected a string without NUL" },
		{ "{\"annotations\":[]}", "annotations: expected an object" },
		{ "{\"linux\":{\"resources\":{\"memory\":{\"limit\":9223372036854775808}}}}",
		  "linux.resources.memory.limit: expected a 64-bit integer" },
		{ "{\"linux\":{\"seccomp\":{\"syscalls\":[{\"args\":[{\"op\":1}]}]}}}",
		  "linux.seccomp.syscalls[0].args[0].op: expected a string without NUL" },
		{ "{\"hooks\":{\"poststop\":[{\"timeout\":\"1\"}]}}",
		  "hooks.poststop[0].timeout: expected a 64-bit integer" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct ocispec_error err = { 0 };
		struct ocispec *s = NULL;

		ck_assert_msg(ocispec_parse(wrong[i].text, strlen(wrong[i].text), &s, &err) ==
				      OCISPEC_E_INVALID,
			      "%s", wrong[i].text);
		ck_assert_str_eq(err.message, wrong[i].message);
	}
}
END_TEST

START_TEST(extremes_of_the_types_are_fine)
{
	static const char text[] =
		"{\"process\":{\"user\":{\"uid\":4294967295},\"rlimits\":[{\"hard\":"
		"18446744073709551615}]},\"linux\":{\"resources\":{\"memory\":{\"limit\":-"
		"9223372036854775808,"
		"\"swappiness\":0}}}}";

	ck_prints(parsed(text), text);
}
END_TEST

START_TEST(a_long_key_does_not_flood_the_message)
{
	struct str text = STR_INIT;
	struct ocispec_error err = { 0 };
	struct ocispec *s = NULL;

	str_append(&text, "{\"annotations\":{\"");
	for (int i = 0; i < 100000; i++)
		str_append_char(&text, 'k');
	str_append(&text, "\":1}}");
	ck_assert_int_eq(ocispec_parse(text.data, text.len, &s, &err), OCISPEC_E_INVALID);
	ck_assert_uint_lt(strlen(err.message), 200);
	str_done(&text);
}
END_TEST

RUN_TESTS("shape", wrong_types_are_named_with_their_place, extremes_of_the_types_are_fine,
	  a_long_key_does_not_flood_the_message)
