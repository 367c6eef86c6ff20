/* SPDX-License-Identifier: Apache-2.0 */
/* Files of cgroups as kernels wrote them, and as none should. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include "cgroup_usage.h"

static struct cgroup_usage parse(bool v2, const char *file, const char *text)
{
	struct cgroup_usage u;

	cgroup_usage_init(&u);
	cgroup_usage_parse(v2, file, text, &u);
	return u;
}

#define V1(file, text) parse(false, (file), (text))
#define V2(file, text) parse(true, (file), (text))
#define ck_value(got, expected) ck_assert_uint_eq((got), (expected))

static const char v1_memory_stat[] =
	"cache 1\nrss 2\nrss_huge 0\nmapped_file 3\npgfault 4\ninactive_file 5\nhierarchical_memory_limit 9223372036854771712\n"
	"total_cache 20971520\ntotal_rss 4096\ntotal_mapped_file 8192\ntotal_pgpgin 7\ntotal_pgfault 1234\ntotal_pgmajfault 5\n"
	"total_inactive_anon 1\ntotal_inactive_file 1048576\ntotal_unevictable 0\n";

START_TEST(v1_memory_stat_counts_the_whole_subtree)
{
	struct cgroup_usage u = V1("memory.stat", v1_memory_stat);

	ck_value(u.cache, 20971520);
	ck_value(u.rss, 4096);
	ck_value(u.mapped, 8192);
	ck_value(u.faults, 1234);
	ck_value(u.major_faults, 5);
	ck_value(u.inactive_file, 1048576);
	ck_value(u.memory, USAGE_UNKNOWN);
}
END_TEST

START_TEST(v2_memory_stat_has_other_names)
{
	struct cgroup_usage u = V2("memory.stat", "anon 100\nfile 200\nkernel 300\nfile_mapped 50\ninactive_file 60\nanon_thp 9\npgfault 7\npgmajfault 1\n");

	ck_value(u.rss, 100);
	ck_value(u.cache, 200);
	ck_value(u.kernel, 300);
	ck_value(u.mapped, 50);
	ck_value(u.inactive_file, 60);
	ck_value(u.faults, 7);
	ck_value(u.major_faults, 1);
}
END_TEST

START_TEST(processor_times_become_nanoseconds)
{
	struct cgroup_usage u = V1("cpuacct.stat", "user 12\nsystem 3\n");

	ck_value(u.cpu_user, 120000000);
	ck_value(u.cpu_system, 30000000);
	ck_value(V1("cpuacct.usage", "123456789\n").cpu, 123456789);
	u = V1("cpu.stat", "nr_periods 10\nnr_throttled 2\nthrottled_time 3000\nnr_bursts 0\n");
	ck_value(u.periods, 10);
	ck_value(u.throttled, 2);
	ck_value(u.throttled_time, 3000);
	u = V2("cpu.stat", "usage_usec 1000\nuser_usec 600\nsystem_usec 400\nnr_periods 10\nnr_throttled 2\nthrottled_usec 3\n");
	ck_value(u.cpu, 1000000);
	ck_value(u.cpu_user, 600000);
	ck_value(u.cpu_system, 400000);
	ck_value(u.throttled_time, 3000);
}
END_TEST

START_TEST(limits_without_limit_are_unlimited)
{
	ck_value(V2("memory.max", "max\n").memory_limit, USAGE_UNLIMITED);
	ck_value(V2("memory.max", "104857600\n").memory_limit, 104857600);
	ck_value(V1("memory.limit_in_bytes", "9223372036854771712\n").memory_limit, USAGE_UNLIMITED);
	ck_value(V1("memory.limit_in_bytes", "104857600\n").memory_limit, 104857600);
	ck_value(V1("pids.max", "max\n").tasks_limit, USAGE_UNLIMITED);
	ck_value(V2("pids.max", "77\n").tasks_limit, 77);
	ck_value(V2("memory.current", "max\n").memory, USAGE_UNKNOWN);	/* no limit, so no such word */
}
END_TEST

START_TEST(oom_kills_are_counted)
{
	ck_value(V1("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n").oom_kills, 3);
	ck_value(V2("memory.events", "low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n").oom_kills, 1);
	ck_value(V2("memory.events", "low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\n").memory_failures, 12);
}
END_TEST

START_TEST(pressure)
{
	struct cgroup_usage u = V2("memory.pressure", "some avg10=1.50 avg60=0.07 avg300=12.34 total=987654321\nfull avg10=0.00 avg60=0.00 avg300=0.01 total=5\n");

	ck_assert(u.memory_psi.there && !u.cpu_psi.there && !u.io_psi.there);
	ck_value(u.memory_psi.some.total, 987654321);
	ck_assert_double_eq_tol(u.memory_psi.some.avg10, 1.5, 1e-9);
	ck_assert_double_eq_tol(u.memory_psi.some.avg60, 0.07, 1e-9);
	ck_assert_double_eq_tol(u.memory_psi.some.avg300, 12.34, 1e-9);
	ck_value(u.memory_psi.full.total, 5);
	ck_assert_double_eq_tol(u.memory_psi.full.avg300, 0.01, 1e-9);
}
END_TEST

START_TEST(pressure_of_processor_without_full_line)
{
	struct cgroup_usage u = V2("cpu.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=42\n");

	ck_assert(u.cpu_psi.there);
	ck_value(u.cpu_psi.some.total, 42);
	ck_value(u.cpu_psi.full.total, 0);
}
END_TEST

START_TEST(devices_of_v1)
{
	struct cgroup_usage u = V1("blkio.throttle.io_service_bytes_recursive",
				   "8:0 Read 4096\n8:0 Write 8192\n8:0 Sync 1\n8:0 Total 12289\n253:1 Read 5\nTotal 12294\n");

	cgroup_usage_parse(false, "blkio.throttle.io_serviced_recursive", "8:0 Read 1\n8:0 Write 2\nTotal 3\n", &u);
	ck_value(u.n_devices, 2);
	ck_value(u.devices[0].major, 8);
	ck_value(u.devices[0].minor, 0);
	ck_value(u.devices[0].read_bytes, 4096);
	ck_value(u.devices[0].write_bytes, 8192);
	ck_value(u.devices[0].reads, 1);
	ck_value(u.devices[0].writes, 2);
	ck_value(u.devices[1].major, 253);
	ck_value(u.devices[1].read_bytes, 5);
}
END_TEST

START_TEST(devices_of_v2_in_any_order)
{
	struct cgroup_usage u = V2("io.stat", "8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0\n"
				   "8:0 wios=4 rbytes=1 cost.usage=7 wbytes=2 rios=3\n253:0 \n");

	ck_value(u.n_devices, 3);
	ck_value(u.devices[0].minor, 16);
	ck_value(u.devices[0].read_bytes, 1459200);
	ck_value(u.devices[0].write_bytes, 314773504);
	ck_value(u.devices[0].reads, 192);
	ck_value(u.devices[0].writes, 353);
	ck_value(u.devices[1].read_bytes, 1);
	ck_value(u.devices[1].writes, 4);
}
END_TEST

START_TEST(devices_have_a_limit)
{
	char text[64 * 40] = "";
	struct cgroup_usage u;
	size_t n = 0;

	for (int i = 0; i < 40; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "8:%d rbytes=1 wbytes=1 rios=1 wios=1\n", i);
	u = V2("io.stat", text);
	ck_value(u.n_devices, USAGE_DEVICES_MAX);
}
END_TEST

START_TEST(working_set_is_never_negative)
{
	struct cgroup_usage u = V2("memory.current", "100\n");

	ck_value(cgroup_working_set(&u), 100);
	u.inactive_file = 60;
	ck_value(cgroup_working_set(&u), 40);
	u.inactive_file = 160;
	ck_value(cgroup_working_set(&u), 0);
}
END_TEST

static const char *const garbage[] = {
	"", "\n", "\n\n\n", " ", "-1\n", "+5\n", "0x10\n", "1e9\n", "99999999999999999999999\n", "18446744073709551615\n", "12abc\n", "max max\n",
	"anon\n", "anon \n", "anon -3\n", "anon 18446744073709551614\n", "usage_usec 18446744073709551615\n", "user 9999999999999999999\n",
	"some\n", "some total=\n", "some total=-1\n", "some avg10= avg60= avg300= total=x\n", "some avg10=1.5\nfull total=7\n", "full",
	"8:\n", ":0 Read 1\n", "8:0 Read\n", "8:0 Read -\n", "4294967296:4294967296 Read 18446744073709551616\n", "8:0 rbytes\n",
	"8:0 rbytes= wbytes=1\n", "8:0 =1 =2\n", "8:0 rbytes=99999999999999999999999999\n", "8:0 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=1\n",
};
static const char *const files[] = {
	"cpuacct.usage", "cpuacct.stat", "cpu.stat", "memory.stat", "memory.usage_in_bytes", "memory.limit_in_bytes", "memory.oom_control",
	"memory.current", "memory.max", "memory.events", "pids.current", "pids.max", "cpu.pressure", "io.pressure", "io.stat", "cpu.max",
	"cpu.weight", "blkio.throttle.io_service_bytes_recursive", "nothing.known",
};

START_TEST(garbage_is_unknown_and_harmless)
{
	for (size_t f = 0; f < sizeof(files) / sizeof(*files); f++) {
		struct cgroup_usage v1 = V1(files[f], garbage[_i]), v2 = V2(files[f], garbage[_i]);

		ck_value(v1.cpu_user, USAGE_UNKNOWN);
		ck_value(v1.tasks, USAGE_UNKNOWN);
		ck_assert(v2.rss == USAGE_UNKNOWN && v2.faults == USAGE_UNKNOWN && v2.oom_kills == USAGE_UNKNOWN);
		ck_assert(v1.n_devices <= 1 && v2.n_devices <= 1);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cgroup_usage");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, v1_memory_stat_counts_the_whole_subtree);
	tcase_add_test(t, v2_memory_stat_has_other_names);
	tcase_add_test(t, processor_times_become_nanoseconds);
	tcase_add_test(t, limits_without_limit_are_unlimited);
	tcase_add_test(t, oom_kills_are_counted);
	tcase_add_test(t, pressure);
	tcase_add_test(t, pressure_of_processor_without_full_line);
	tcase_add_test(t, devices_of_v1);
	tcase_add_test(t, devices_of_v2_in_any_order);
	tcase_add_test(t, devices_have_a_limit);
	tcase_add_test(t, working_set_is_never_negative);
	tcase_add_loop_test(t, garbage_is_unknown_and_harmless, 0, (int)(sizeof(garbage) / sizeof(*garbage)));
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
