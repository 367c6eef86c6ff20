/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include "unit.h"

START_TEST(names_and_numbers_are_signals)
{
	ck_assert_int_eq(ocispec_signal_number("TERM"), SIGTERM);
	ck_assert_int_eq(ocispec_signal_number("SIGKILL"), SIGKILL);
	ck_assert_int_eq(ocispec_signal_number("sigusr1"), SIGUSR1);
	ck_assert_int_eq(ocispec_signal_number("WINCH"), SIGWINCH);
	ck_assert_int_eq(ocispec_signal_number("15"), 15);
	ck_assert_int_eq(ocispec_signal_number("1"), 1);
	ck_assert_int_eq(ocispec_signal_number("64"), 64);
}
END_TEST

START_TEST(realtime_signals_count_from_both_ends)
{
	ck_assert_int_eq(ocispec_signal_number("RTMIN"), 34);
	ck_assert_int_eq(ocispec_signal_number("SIGRTMIN+3"), 37);
	ck_assert_int_eq(ocispec_signal_number("RTMIN+30"), 64);
	ck_assert_int_eq(ocispec_signal_number("RTMAX"), 64);
	ck_assert_int_eq(ocispec_signal_number("SIGRTMAX-14"), 50);
}
END_TEST

START_TEST(anything_else_is_not_a_signal)
{
	static const char *const bad[] = {
		"",	    "SIG",	"0",	  "65",		"-1",
		"+9",	    "15 ",	" 15",	  "0x9",	"999999999999999999999",
		"RTMIN-1",  "RTMIN+31", "RTMIN+", "RTMIN+-1",	"RTMAX+1",
		"RTMAX-31", "RTMIN3",	"TERMX",  "SIGSIGTERM", "9.0",
		"٩",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(ocispec_signal_number(bad[i]) == -EINVAL, "%s", bad[i]);
	ck_assert_int_eq(ocispec_signal_number(NULL), -EINVAL);
}
END_TEST

RUN_TESTS("signal", names_and_numbers_are_signals, realtime_signals_count_from_both_ends,
	  anything_else_is_not_a_signal)
