/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that do not read, connections without calls, and more of them than there may be. */
#include "server_case.h"

/* ---- large answers ---- */

#define BIG ((size_t)4 << 20)

static int call_for_big_answer(void)
{
	_cleanup_str_ struct str out = STR_INIT, window = STR_INIT;
	_cleanup_free_ char *big = malloc(BIG);
	int fd = dial_and_call();

	memset(big, 'b', BIG);
	put_u32(&window, 1 << 30);
	put_frame(&out, F_WINDOW_UPDATE, 0, 0, window.data, 4);
	put_frame(&out, F_WINDOW_UPDATE, 0, 1, window.data, 4);
	say(fd, &out);
	turn();
	ck_assert_int_eq(crisvc_call_reply(pop(), big, BIG), 0);
	/* not turn(): the answer is larger than what the socket takes */
	ck_assert_int_eq(crisvc_server_dispatch(server), 0);
	return fd;
}

START_TEST(slow_reader_gets_everything)
{
	int fd = call_for_big_answer();
	struct reader r;
	struct frame f;
	size_t got = 0;

	ck_assert(!readable(crisvc_server_get_fd(server),
			    0)); /* waits for the reader, does not spin */
	reader_init(&r);
	for (int i = 0; i < 10000; i++) {
		char buf[5000];
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (n > 0)
			str_append_mem(&r.bytes, buf, (size_t)n);
		else
			fake_now += SECOND_NS;
		turn();
	}
	while (reader_next_important(&r, &f))
		if (f.type == F_DATA)
			got += f.n;
	ck_assert_uint_eq(got, BIG + 5);
	ck_assert_uint_eq(f.type, F_HEADERS);
	ck_assert_ptr_nonnull(strstr(r.headers.data, "grpc-status: 0\n"));
	ck_assert_uint_eq(atomic_load(&server->host.output.used), 0);
	reader_done(&r);
	close_fd(fd);
}
END_TEST

START_TEST(reader_that_stops_is_closed)
{
	int fd = call_for_big_answer();

	fake_now += LIMIT_STALL_NS - 1;
	turn();
	ck_assert_uint_eq(server->conns.n, 1);
	fake_now += 1;
	turn();
	ck_assert_uint_eq(server->conns.n, 0);
	ck_assert(closed(fd));
	ck_assert_uint_eq(atomic_load(&server->host.output.used), 0);
	close_fd(fd);
}
END_TEST

START_TEST(client_that_opens_no_window_is_closed)
{
	_cleanup_free_ char *big = calloc(1, BIG);
	int fd = dial_and_call();

	turn();
	ck_assert_int_eq(crisvc_call_reply(pop(), big, BIG), 0);
	turn();
	ck_assert_uint_eq(server->conns.n, 1);
	fake_now += LIMIT_STALL_NS;
	turn();
	ck_assert_uint_eq(server->conns.n, 0);
	close_fd(fd);
}
END_TEST

/* More streams than allowed, each answered with a reset that the client does not read. */
START_TEST(client_that_does_not_read_is_not_read_either)
{
	_cleanup_str_ struct str out = STR_INIT;
	int fd = dial_and_greet();
	size_t sent = 0, pos = 0;
	uint32_t id = 1;

	turn();
	/* our SETTINGS are never acknowledged: then nghttp2 refuses streams one by one */
	for (int quiet = 0; quiet < 3 && sent < ((size_t)64 << 20);) {
		ssize_t n;

		if (pos == out.len) {
			str_reset(&out);
			pos = 0;
			for (int i = 0; i < 1000; i++, id += 2)
				put_request(&out, id, 0, PATH, NULL);
		}
		n = send(fd, out.data + pos, out.len - pos, MSG_NOSIGNAL | MSG_DONTWAIT);
		quiet = n > 0 ? 0 : quiet + 1;
		if (n > 0) {
			pos += (size_t)n;
			sent += (size_t)n;
		}
		turn();
	}
	ck_assert_uint_lt(sent, (size_t)64 << 20);
	ck_assert_uint_eq(server->conns.n, 1);
	fake_now += LIMIT_STALL_NS;
	turn();
	ck_assert_uint_eq(server->conns.n, 0);
	close_fd(fd);
}
END_TEST

START_TEST(idle_connection_is_kept)
{
	int fd = dial_and_greet();

	turn();
	fake_now += 1000 * LIMIT_STALL_NS;
	turn();
	ck_assert_uint_eq(server->conns.n, 1);
	close_fd(fd);
}
END_TEST

/* ---- many connections ---- */

START_TEST(oldest_idle_connection_makes_room)
{
	int fds[LIMIT_CONNECTIONS], busy, last;

	busy = dial_and_call(); /* the oldest, but it has a call */
	turn();
	for (int i = 1; i < LIMIT_CONNECTIONS; i++) {
		fake_now += SECOND_NS;
		fds[i] = dial_and_greet();
		turn();
	}
	ck_assert_uint_eq(server->conns.n, LIMIT_CONNECTIONS);
	last = dial_and_call();
	turn();
	ck_assert_uint_eq(server->conns.n, LIMIT_CONNECTIONS);
	ck_assert(closed(fds[1]));
	ck_assert(!closed(fds[2]));
	ck_assert(!closed(busy));
	crisvc_call_reply(pop(), "busy", 4);
	crisvc_call_reply(pop(), "last", 4);
	turn();
	expect_reply(last, "last");
	close_fd(busy);
	close_fd(last);
	for (int i = 1; i < LIMIT_CONNECTIONS; i++)
		close_fd(fds[i]);
}
END_TEST

START_TEST(when_all_are_busy_the_new_one_is_closed)
{
	int fds[LIMIT_CONNECTIONS], last;

	for (int i = 0; i < LIMIT_CONNECTIONS; i++) {
		fds[i] = dial_and_call();
		turn();
	}
	last = dial();
	turn();
	ck_assert(closed(last));
	ck_assert(!closed(fds[0]));
	close_fd(last);
	for (int i = 0; i < LIMIT_CONNECTIONS; i++)
		close_fd(fds[i]);
}
END_TEST

START_TEST(accepting_pauses_when_descriptors_run_out)
{
	struct rlimit old, none;
	int fd = dial_and_call();

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = (rlim_t)fd + 1; /* every descriptor below is in use */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(crisvc_server_dispatch(server), 0);
	ck_assert_uint_eq(server->conns.n, 0);
	ck_assert(!readable(crisvc_server_get_fd(server), 0)); /* does not spin */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	fake_now += LIMIT_ACCEPT_PAUSE_NS;
	turn();
	ck_assert_uint_eq(server->conns.n, 1);
	crisvc_call_reply(pop(), "late", 4);
	turn();
	expect_reply(fd, "late");
	close_fd(fd);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		slow_reader_gets_everything,
		reader_that_stops_is_closed,
		client_that_opens_no_window_is_closed,
		client_that_does_not_read_is_not_read_either,
		idle_connection_is_kept,
		oldest_idle_connection_makes_room,
		when_all_are_busy_the_new_one_is_closed,
		accepting_pauses_when_descriptors_run_out,
	};

	return run_cases("server, slow clients", tests, ARRAY_SIZE(tests));
}
