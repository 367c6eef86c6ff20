/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Following a log while it is written, rotated and closed. A child follows; what it shows comes
 * back over a pipe, so every case waits for bytes and never for time. The server is played by
 * ctl_call() below, which answers what the case has put into shared memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cbase/io.h>
#include "ctl_main.h"

#define T "2026-11-23T20:00:00.1Z stdout F "

enum server { RUNNING, EXITED, NOT_FOUND, AWAY };

static struct {
	atomic_int server, asked, interrupted;
} * shared;

static char dir[] = "/tmp/test-follow-XXXXXX", path[64];
static int output = -1, interrupt_fd = -1, writer = -1;
static pid_t child;

void *ctl_call(struct ctl *c, const char *method, const ProtobufCMessage *request,
	       long long timeout, struct crisvc_error *err)
{
	/* ContainerStatusResponse.status.state */
	static const uint8_t running[] = { 0x0a, 2, 0x18, 1 }, exited[] = { 0x0a, 2, 0x18, 2 };
	int state = atomic_load(&shared->server);
	ProtobufCMessage *m;

	atomic_fetch_add(&shared->asked, 1);
	memset(err, 0, sizeof(*err));
	err->code = state == AWAY ? CRISVC_E_DISCONNECTED : CRISVC_E_STATUS;
	err->grpc_status = CRISVC_NOT_FOUND;
	if (state == AWAY || state == NOT_FOUND ||
	    crisvc_cri_unpack(&runtime__v1__container_status_response__descriptor,
			      state == EXITED ? exited : running, 4, &m, NULL))
		return NULL;
	return m;
}

void ctl_complain(struct ctl *c, const char *method, const struct crisvc_error *err)
{
}

static void count_interrupt(void *unused)
{
	atomic_fetch_add(&shared->interrupted, 1);
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/0.log", dir);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
	interrupt_fd = eventfd(0, EFD_CLOEXEC);
	alarm(30);
}

static void teardown(void)
{
	close_fd(output);
	close_fd(interrupt_fd);
	munmap(shared, sizeof(*shared));
	rm_rf_at(AT_FDCWD, dir);
}

static int open_writer(void)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	writer = fd;
	return fd;
}

static void put(int fd, const char *text)
{
	ck_assert_int_eq(write_all(fd, text, strlen(text)), 0);
}

static void start(off_t offset)
{
	int p[2];

	ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
	child = fork();
	if (!child) {
		struct log_view view;
		struct follow f = { .container = "c",
				    .path = path,
				    .view = &view,
				    .offset = offset,
				    .interrupt_fd = interrupt_fd,
				    .on_interrupt = count_interrupt };
		int r;

		close(p[0]);
		close(writer);	/* else it would never see the last writer close */
		dup2(p[1], 1);
		close(p[1]);
		log_view_init(&view, false);
		r = follow_log(&f);
		log_view_done(&view);
		_exit(r);
	}
	close(p[1]);
	output = p[0];
}

static void expect(const char *text)
{
	char got[200] = "";
	size_t n = 0, want = strlen(text);
	ssize_t r;

	while (n < want && (r = read(output, got + n, want - n)) > 0)
		n += (size_t)r;
	ck_assert_str_eq(got, text);
}

static void expect_end(int status)
{
	char c;
	int s;

	ck_assert_int_eq(read(output, &c, 1), 0);
	ck_assert_int_eq(waitpid(child, &s, 0), child);
	ck_assert(WIFEXITED(s));
	ck_assert_int_eq(WEXITSTATUS(s), status);
}

START_TEST(the_log_of_an_ended_container_is_shown_and_over)
{
	close(open_writer());
	put(open_writer(), T "one\n" T "two\n");
	atomic_store(&shared->server, EXITED);
	start(0);
	expect("one\ntwo\n");
	expect_end(0);
	ck_assert_int_eq(atomic_load(&shared->asked), 1);
}
END_TEST

START_TEST(lines_come_as_they_are_written_and_nobody_is_asked)
{
	int fd = open_writer();

	put(fd, T "one\n");
	start(0);
	expect("one\n");
	put(fd, T "two\n" T "thr");
	expect("two\n");
	put(fd, "ee\n");
	expect("three\n");
	ck_assert_int_le(atomic_load(&shared->asked), 1); /* only at the beginning */
	put(fd, T "last\n");
	atomic_store(&shared->server, EXITED);
	close(fd);
	expect("last\n");
	expect_end(0);
	ck_assert_int_eq(atomic_load(&shared->asked), 2);
}
END_TEST

START_TEST(the_beginning_may_be_left_out)
{
	put(open_writer(), T "one\n" T "two\n");
	atomic_store(&shared->server, EXITED);
	start((off_t)strlen(T "one\n"));
	expect("two\n");
	expect_end(0);
}
END_TEST

START_TEST(a_rotated_log_is_read_to_its_end_and_the_new_one_after_it)
{
	char old[80];
	int fd = open_writer();

	snprintf(old, sizeof(old), "%s.1", path);
	start(0);
	put(fd, T "one\n");
	expect("one\n");
	ck_assert_int_eq(rename(path, old), 0);
	put(fd, T "two\n"); /* the writer still has the old file */
	expect("two\n");
	put(fd, T "three\n");
	close(fd);
	fd = open_writer();
	put(fd, T "four\n");
	expect("three\nfour\n");
	atomic_store(&shared->server, EXITED);
	close(fd);
	expect_end(0);
}
END_TEST

START_TEST(a_file_moved_into_place_is_a_new_log)
{
	char tmp[80];
	int fd = open_writer(), next;

	snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	put(fd, T "one\n");
	start(0);
	expect("one\n");
	next = open(tmp, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	put(next, T "two\n");
	ck_assert_int_eq(rename(tmp, path), 0);
	expect("two\n");
	atomic_store(&shared->server, EXITED);
	close(fd);
	close(next);
	expect_end(0);
}
END_TEST

START_TEST(a_log_that_became_shorter_begins_anew)
{
	int fd = open_writer();

	put(fd, T "a long first line\n");
	start(0);
	expect("a long first line\n");
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	put(fd, T "two\n");
	expect("two\n");
	atomic_store(&shared->server, EXITED);
	close(fd);
	expect_end(0);
}
END_TEST

START_TEST(a_removed_container_ends_it)
{
	put(open_writer(), T "one\n");
	atomic_store(&shared->server, NOT_FOUND);
	start(0);
	expect("one\n");
	expect_end(0);
}
END_TEST

START_TEST(a_server_that_comes_back_is_asked_again)
{
	int fd = open_writer();

	put(fd, T "one\n");
	close(fd);
	atomic_store(&shared->server, AWAY);
	start(0);
	expect("one\n");
	while (atomic_load(&shared->asked) < 3)
		sched_yield();
	atomic_store(&shared->server, EXITED);
	expect_end(0);
}
END_TEST

START_TEST(an_interrupt_is_told_once_and_the_rest_still_shown)
{
	static const uint64_t one = 1;
	int fd = open_writer();

	start(0);
	put(fd, T "one\n");
	expect("one\n");
	ck_assert_int_eq(write(interrupt_fd, &one, sizeof(one)), sizeof(one));
	while (!atomic_load(&shared->interrupted))
		sched_yield();
	put(fd, T "bye\n");
	expect("bye\n");
	atomic_store(&shared->server, EXITED);
	close(fd);
	expect_end(0);
	ck_assert_int_eq(atomic_load(&shared->interrupted), 1);
}
END_TEST

START_TEST(output_without_reader_counts_as_an_interrupt)
{
	int fd = open_writer(), s;

	start(0);
	put(fd, T "one\n");
	expect("one\n");
	output = close_fd(output);
	put(fd, T "two\n");
	while (!atomic_load(&shared->interrupted))
		sched_yield();
	atomic_store(&shared->server, EXITED);
	close(fd);
	ck_assert_int_eq(waitpid(child, &s, 0), child);
	ck_assert(WIFEXITED(s));
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	start(0);
	expect_end(EXIT_FAILURE);
	ck_assert_int_eq(unlink(path), 0);
	output = close_fd(output);
	start(0);
	expect_end(EXIT_FAILURE);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_log_of_an_ended_container_is_shown_and_over,
		lines_come_as_they_are_written_and_nobody_is_asked,
		the_beginning_may_be_left_out,
		a_rotated_log_is_read_to_its_end_and_the_new_one_after_it,
		a_file_moved_into_place_is_a_new_log,
		a_log_that_became_shorter_begins_anew,
		a_removed_container_ends_it,
		a_server_that_comes_back_is_asked_again,
		an_interrupt_is_told_once_and_the_rest_still_shown,
		output_without_reader_counts_as_an_interrupt,
		what_is_no_file_is_refused,
	};
	Suite *s = suite_create("follow");
	TCase *tc = tcase_create("follow");
	SRunner *sr;
	size_t i;
	int failed;

	signal(SIGPIPE, SIG_IGN);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 40);
	for (i = 0; i < ARRAY_SIZE(tests); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
