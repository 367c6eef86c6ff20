/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

static struct ocispec *empty(void)
{
	struct ocispec *s = NULL;

	ck_assert_int_eq(ocispec_new_as(OCISPEC_CONFIG, &s), 0);
	return s;
}

START_TEST(each_type_lands_where_the_specification_has_it)
{
	const char *flags[] = { "SCHED_FLAG_RESET_ON_FORK", NULL };
	struct ocispec *s = empty();

	ck_assert_int_eq(ocispec_set_unsigned(s, "linux.resources.cpu.burst", UINT64_MAX), 0);
	ck_assert_int_eq(ocispec_set_number(s, "linux.resources.cpu.idle", -1), 0);
	ck_assert_int_eq(ocispec_set_text(s, "linux.resources.cpu.cpus", "0-3"), 0);
	ck_assert_int_eq(ocispec_set_list(s, "process.scheduler.flags", flags), 0);
	ck_assert_int_eq(ocispec_set_text(s, "process.scheduler.policy", "SCHED_FIFO"), 0);
	ck_assert_int_eq(ocispec_set_flag(s, "linux.resources.memory.disableOOMKiller", 0), 0);
	ck_assert_int_eq(ocispec_set_number(s, "linux.timeOffsets.boottime.secs", -5), 0);
	ck_assert_int_eq(ocispec_set_text(s, "linux.sysctl.net.core.somaxconn", "1"), 0);
	ck_assert_int_eq(ocispec_set_text(s, "linux.netDevices.eth0.100.name", "lan"), 0);
	ck_prints(s, "{\"process\":{\"scheduler\":{\"policy\":\"SCHED_FIFO\",\"flags\":[\"SCHED_FLAG_RESET_ON_FORK\"]}},"
		     "\"linux\":{\"sysctl\":{\"net.core.somaxconn\":\"1\"},\"resources\":{\"memory\":{\"disableOOMKiller\":false},"
		     "\"cpu\":{\"burst\":18446744073709551615,\"cpus\":\"0-3\",\"idle\":-1}},"
		     "\"netDevices\":{\"eth0.100\":{\"name\":\"lan\"}},\"timeOffsets\":{\"boottime\":{\"secs\":-5}}}}");
}
END_TEST

START_TEST(what_the_specification_does_not_know_changes_nothing)
{
	struct ocispec *s = empty();

	ck_assert_int_eq(ocispec_set_number(s, "linux.resources.cpu.speed", 1), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_number(s, "linux.resources.cpu.cpus", 1), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_number(s, "linux.resources.blockIO.weight", 65536), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_number(s, "process.scheduler.nice", 1ll << 31), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_text(s, "process.args", "x"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_text(s, "mounts.destination", "/x"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_text(s, "", "x"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_text(s, "linux..seccomp", "x"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_text(s, "linux.", "x"), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_number(s, "linux.timeOffsets.secs", 1), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_text(s, "hostname", "a\xff"), OCISPEC_E_INVALID);
	ck_prints(s, "{}");
}
END_TEST

START_TEST(any_value_goes_in_as_json)
{
	struct ocispec *s = empty();
	struct ocispec_error err = { 0 };
	const char device[] = "{\"major\":8,\"minor\":0,\"rate\":600}", bad[] = "{\"rate\":-1}";
	const char rdt[] = "{\"closID\":\"a\",\"new\":[1]}";
	char *text = NULL;

	ck_assert_int_eq(ocispec_append_json(s, "linux.resources.blockIO.throttleReadBpsDevice", device, strlen(device), &err), 0);
	ck_assert_int_eq(ocispec_append_json(s, "linux.resources.blockIO.throttleReadBpsDevice", bad, strlen(bad), &err),
			 OCISPEC_E_INVALID);
	ck_assert_str_eq(err.message, "linux.resources.blockIO.throttleReadBpsDevice: "
				      "throttleReadBpsDevice[0].rate: expected an unsigned 64-bit integer");
	ck_assert_int_eq(ocispec_append_json(s, "hostname", device, strlen(device), NULL), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_set_json(s, "linux.intelRdt", rdt, strlen(rdt), &err), 0);
	ck_assert_int_eq(ocispec_set_json(s, "linux.intelRdt", "{", 1, &err), OCISPEC_E_INVALID);
	ck_assert_uint_eq(ocispec_count(s, "linux.resources.blockIO.throttleReadBpsDevice"), 1);
	ck_assert_int_eq(ocispec_get_json(s, "linux.intelRdt", 0, &text), 0);
	ck_assert_str_eq(text, "{\"closID\":\"a\",\"new\":[1]}");
	free(text);
	ck_assert_int_eq(ocispec_unset(s, "linux.resources"), 0);
	ck_assert_int_eq(ocispec_unset(s, "linux.intelRdt"), 0);
	ck_prints(s, "{\"linux\":{}}");
}
END_TEST

START_TEST(reading_by_path)
{
	struct ocispec *s = parsed("{\"hostname\":\"h\",\"process\":{\"args\":[\"a\",\"b\"],\"terminal\":true,"
				   "\"oomScoreAdj\":-7},\"linux\":{\"sysctl\":{\"a.b\":\"c\"},\"seccomp\":null,"
				   "\"resources\":{\"memory\":{\"swappiness\":18446744073709551615}}}}");
	int64_t n = 0;

	ck_assert_str_eq(ocispec_get_text(s, "hostname"), "h");
	ck_assert_str_eq(ocispec_get_text(s, "linux.sysctl.a.b"), "c");
	ck_assert_ptr_null(ocispec_get_text(s, "process.args"));
	ck_assert_ptr_null(ocispec_get_text(s, "nothing"));
	ck_assert_str_eq(ocispec_get_item(s, "process.args", 1), "b");
	ck_assert_ptr_null(ocispec_get_item(s, "process.args", 2));
	ck_assert_uint_eq(ocispec_count(s, "process.args"), 2);
	ck_assert_int_eq(ocispec_get_flag(s, "process.terminal", 0), 1);
	ck_assert_int_eq(ocispec_get_flag(s, "process.noNewPrivileges", 7), 7);
	ck_assert_int_eq(ocispec_get_number(s, "process.oomScoreAdj", &n), 0);
	ck_assert_int_eq(n, -7);
	ck_assert_int_eq(ocispec_get_number(s, "linux.resources.memory.swappiness", &n), OCISPEC_E_INVALID);
	ck_assert_int_eq(ocispec_get_number(s, "hostname", &n), OCISPEC_E_NOT_FOUND);
	ck_assert_int_eq(ocispec_get_json(s, "linux.seccomp", 0, &(char *){ NULL }), OCISPEC_E_NOT_FOUND);
	ocispec_free(s);
}
END_TEST

START_TEST(other_kinds_have_their_own_members)
{
	static const char state[] = "{\"ociVersion\":\"1.0.2\",\"id\":\"x\",\"status\":\"running\",\"pid\":7,\"bundle\":\"/b\",\"rootfs\":\"/r\"}";
	static const char wrong[] = "{\"pid\":\"7\"}";
	struct ocispec_error err = { 0 };
	struct ocispec *s = NULL;

	ck_assert_int_eq(ocispec_parse_as(OCISPEC_STATE, state, strlen(state), &s, &err), 0);
	ck_assert_str_eq(ocispec_get_text(s, "status"), "running");
	ck_assert_ptr_null(ocispec_get_text(s, "hostname"));
	ck_assert_int_eq(ocispec_set_annotation(s, "k", "v"), 0);
	ck_prints(s, "{\"ociVersion\":\"1.0.2\",\"id\":\"x\",\"status\":\"running\",\"pid\":7,\"bundle\":\"/b\","
		     "\"rootfs\":\"/r\",\"annotations\":{\"k\":\"v\"}}");
	ck_assert_int_eq(ocispec_parse_as(OCISPEC_STATE, wrong, strlen(wrong), &s, &err), OCISPEC_E_INVALID);
	ck_assert_str_eq(err.message, "pid: expected a 64-bit integer");
	ck_assert_int_eq(ocispec_parse_as(99, wrong, strlen(wrong), &s, &err), -EINVAL);
	ck_assert_int_eq(ocispec_new_as(-1, &s), -EINVAL);
}
END_TEST

RUN_TESTS("path", each_type_lands_where_the_specification_has_it, what_the_specification_does_not_know_changes_nothing,
	  any_value_goes_in_as_json, reading_by_path, other_kinds_have_their_own_members)
