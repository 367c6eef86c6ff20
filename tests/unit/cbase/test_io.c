/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <cbase/io.h>
#include "main.h"

static char dir[64];
static int dirfd_;

static void setup(void)
{
	strcpy(dir, "/tmp/cbase-io-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void teardown(void)
{
	close(dirfd_);
	ck_assert_int_eq(rm_rf_at(AT_FDCWD, dir), 0);
	ck_assert_int_ne(access(dir, F_OK), 0);
}

static int entries(void)
{
	DIR *d = opendir(dir);
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

START_TEST(written_files_are_whole_and_leave_no_temporary)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t n;

	ck_assert_int_eq(write_file_at(dirfd_, "f", 0640, "one", 3, 0), 0);
	ck_assert_int_eq(write_file_at(dirfd_, "f", 0600, "fourth", 6, 0), 0);
	ck_assert_int_eq(read_file_at(dirfd_, "f", 6, &text, &n), 0);
	ck_assert_str_eq(text, "fourth");
	ck_assert_int_eq(entries(), 1);
	free(text);
	ck_assert_int_eq(write_file_at(dirfd_, "f", 0640, "three", 5, IO_DURABLE), 0);
	ck_assert_int_eq(read_file_at(dirfd_, "f", 5, &text, &n), 0);
	ck_assert_str_eq(text, "three");
	ck_assert_uint_eq(n, 5);
	fstatat(dirfd_, "f", &st, 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
	ck_assert_int_eq(entries(), 1);
}
END_TEST

START_TEST(reading_has_a_limit_and_takes_only_files)
{
	char *text = NULL;
	size_t n;

	ck_assert_int_eq(write_file_at(dirfd_, "f", 0600, "123456", 6, 0), 0);
	ck_assert_int_eq(read_file_at(dirfd_, "f", 5, &text, &n), -EFBIG);
	ck_assert_int_eq(mkfifoat(dirfd_, "fifo", 0600), 0);
	ck_assert_int_eq(read_file_at(dirfd_, "fifo", 5, &text, &n), -EINVAL);
	ck_assert_int_eq(read_file_at(dirfd_, ".", 5, &text, &n), -EISDIR);
	ck_assert_int_eq(read_file_at(dirfd_, "none", 5, &text, &n), -ENOENT);
	ck_assert_int_eq(read_file("/dev/zero", 5, &text, &n), -EINVAL);
	ck_assert_ptr_null(text);
}
END_TEST

START_TEST(sweep_takes_only_what_writers_leave)
{
	close(openat(dirfd_, ".tmp-f-0123456789abcdef", O_CREAT | O_CLOEXEC, 0600));
	close(openat(dirfd_, ".tmp-f-0123456789abcde", O_CREAT | O_CLOEXEC, 0600));
	close(openat(dirfd_, "f-0123456789abcdef", O_CREAT | O_CLOEXEC, 0600));
	ck_assert_int_eq(sweep_temp_files(dirfd_), 0);
	ck_assert_int_eq(entries(), 2);
	ck_assert_int_ne(faccessat(dirfd_, ".tmp-f-0123456789abcdef", F_OK, 0), 0);
}
END_TEST

START_TEST(paths_cannot_leave_their_root)
{
	int fd;

	ck_assert_int_eq(symlinkat("/etc", dirfd_, "abs"), 0);
	ck_assert_int_eq(symlinkat("../../../../etc", dirfd_, "rel"), 0);
	ck_assert_int_eq(open_in_root(dirfd_, "abs/passwd", O_RDONLY, 0), -ENOENT);
	ck_assert_int_eq(open_in_root(dirfd_, "rel/passwd", O_RDONLY, 0), -ENOENT);
	ck_assert_int_eq(open_beneath(dirfd_, "abs/passwd", O_RDONLY, 0), -EXDEV);
	ck_assert_int_eq(open_beneath(dirfd_, "../x", O_RDONLY, 0), -EXDEV);
	ck_assert_int_eq(mkdirat(dirfd_, "etc", 0755), 0);
	fd = open_in_root(dirfd_, "/rel/../abs", O_PATH | O_DIRECTORY, 0);
	ck_assert_int_ge(fd, 0);
	close(fd);
}
END_TEST

START_TEST(removal_goes_deeper_than_a_path_and_follows_no_link)
{
	char name[101];
	int at = dup(dirfd_), next, i;

	memset(name, 'd', 100);
	name[100] = '\0';
	ck_assert_int_eq(symlinkat("/etc", dirfd_, "link"), 0);
	for (i = 0; i < 1000; i++) {
		ck_assert_int_eq(mkdirat(at, name, 0700), 0);
		next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ck_assert_int_ge(next, 0);
		close(at);
		at = next;
	}
	close(at);
	ck_assert_int_eq(rm_rf_at(dirfd_, name), 0);
	ck_assert_int_eq(rm_rf_at(dirfd_, "link"), 0);
	ck_assert_int_eq(rm_rf_at(dirfd_, "never there"), 0);
	ck_assert_int_eq(entries(), 0);
	ck_assert_int_eq(access("/etc/passwd", F_OK), 0);
}
END_TEST

START_TEST(times_are_written_and_read_as_go_does)
{
	static const struct {
		int64_t ns;
		const char *text;
	} same[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ 1795470113830250495, "2026-11-23T21:41:53.830250495Z" },
		{ 1500000000, "1970-01-01T00:00:01.5Z" },
		{ -1, "1969-12-31T23:59:59.999999999Z" },
		{ TIME_ZERO_NS, "0001-01-01T00:00:00Z" },
	};
	char text[TIME_MAX_LEN];
	int64_t ns;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(same); i++) {
		time_format(same[i].ns, text);
		ck_assert_str_eq(text, same[i].text);
		ck_assert_int_eq(time_parse(text, &ns), 0);
		ck_assert_int_eq(ns, same[i].ns);
	}
	ck_assert_int_eq(time_parse("2026-11-23T21:41:53+01:30", &ns), 0);
	ck_assert_int_eq(ns, 1795464713000000000);
	ck_assert_int_eq(time_parse("2026-11-23", &ns), -EINVAL);
	ck_assert_int_eq(time_parse("2026-13-23T00:00:00Z", &ns), -EINVAL);
	ck_assert_int_eq(time_parse("9999-11-23T00:00:00Z", &ns), -EINVAL);
}
END_TEST

START_TEST(durations_are_read_as_go_does)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = {
		{ "0", 0 }, { "4h0m0s", 14400000000000 }, { "1.5h", 5400000000000 }, { "300ms", 300000000 },
		{ "-1s", -1000000000 }, { "+2m", 120000000000 }, { ".5s", 500000000 }, { "7us", 7000 }, { "1h2ns", 3600000000002 },
	};
	static const char *const bad[] = { "", "4", "h", "1 h", "1e3s", "1..5s", "1d", "--1s", "5sx" };
	int64_t ns;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		ck_assert_int_eq(duration_parse(good[i].text, &ns), 0);
		ck_assert_int_eq(ns, good[i].ns);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(duration_parse(bad[i], &ns), -EINVAL);
	ck_assert_int_eq(duration_parse("9999999h", &ns), -ERANGE);
}
END_TEST

static void add(TCase *c)
{
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, written_files_are_whole_and_leave_no_temporary);
	tcase_add_test(c, reading_has_a_limit_and_takes_only_files);
	tcase_add_test(c, sweep_takes_only_what_writers_leave);
	tcase_add_test(c, paths_cannot_leave_their_root);
	tcase_add_test(c, removal_goes_deeper_than_a_path_and_follows_no_link);
	tcase_add_test(c, times_are_written_and_read_as_go_does);
	tcase_add_test(c, durations_are_read_as_go_does);
}

int main(void)
{
	return run_case("io", add);
}
