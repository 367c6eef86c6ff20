/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1 on the same socket, see also test_http.c. */
#include "server_case.h"

/* ---- HTTP/1 on the same socket ---- */

#define GET "GET /x HTTP/1.1\r\nHost: x\r\n\r\n"

static struct crisvc_http *waiting;

/* Paths that begin with /x are answered at once. */
static void on_request(struct crisvc_http *h, void *user)
{
	ck_assert_ptr_eq(user, &waiting);
	if (str_starts(crisvc_http_path(h), "/x")) {
		ck_assert_int_eq(crisvc_http_reply(h, 200, "text/plain", "hello", 5), 0);
		return;
	}
	crisvc_http_on_cancel(h, note_cancel, NULL);
	waiting = h;
}

static int dial_and_say(const char *text)
{
	int fd = dial();

	ck_assert_int_eq(crisvc_server_set_http(server, on_request, &waiting), 0);
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	return fd;
}

/* What came, and whether that was all of it. */
static void expect_text(int fd, const char *end, bool all)
{
	char buf[4096];
	ssize_t n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);

	ck_assert_int_gt(n, (ssize_t)strlen(end));
	buf[n] = '\0';
	ck_assert(str_starts(buf, "HTTP/1.1 "));
	ck_assert_str_eq(buf + n - strlen(end), end);
	n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	ck_assert_int_eq(n, all ? 0 : -1);
}

START_TEST(both_protocols_are_served)
{
	int fd = dial_and_say(GET), call = dial_and_call();

	turn();
	expect_text(fd, "\r\n\r\nhello", true);
	crisvc_call_reply(pop(), "grpc", 4);
	turn();
	expect_reply(call, "grpc");
	ck_assert_uint_eq(server->conns.n, 2);
	close_fd(fd);
	turn();
	ck_assert_uint_eq(server->conns.n, 1);
	close_fd(call);
}
END_TEST

START_TEST(http2_that_trickles_in_is_served)
{
	_cleanup_str_ struct str out = STR_INIT;
	int fd = dial_and_say("P");

	str_append(&out, &PREFACE[1]);
	put_frame(&out, F_SETTINGS, 0, 0, "", 0);
	put_request(&out, 1, 0, PATH, NULL);
	put_message(&out, 1, END_STREAM, "q", 1);
	turn();
	for (size_t i = 0; i < out.len; i++) {
		ck_assert_int_eq(send(fd, out.data + i, 1, MSG_NOSIGNAL), 1);
		turn();
	}
	crisvc_call_reply(pop(), "slow", 4);
	turn();
	expect_reply(fd, "slow");
	fake_now += LIMIT_HTTP_READ_NS; /* concerns HTTP/1 only */
	turn();
	ck_assert_uint_eq(server->conns.n, 1);
	close_fd(fd);
}
END_TEST

START_TEST(http_client_that_stops_writing_can_read)
{
	int fd = dial_and_say("GET /wait HTTP/1.1\nHost: x\n\n");

	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	turn();
	ck_assert(!readable(crisvc_server_get_fd(server), 0)); /* does not spin */
	ck_assert_uint_eq(crisvc_server_pending(server), 1);
	crisvc_http_reply(waiting, 200, NULL, "late", 4);
	turn();
	expect_text(fd, "\r\n\r\nlate", true);
	ck_assert_uint_eq(server->conns.n, 0);
	ck_assert_uint_eq(cancelled, 0);
	close_fd(fd);
}
END_TEST

START_TEST(http_client_that_leaves_cancels_its_request)
{
	int fd = dial_and_say("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");

	turn();
	ck_assert_uint_eq(cancelled, 0);
	close_fd(fd);
	turn();
	ck_assert_uint_eq(cancelled, 1);
	ck_assert_uint_eq(server->conns.n, 0);
	crisvc_http_reply(waiting, 200, NULL, "nobody", 6);
	turn();
	ck_assert_uint_eq(crisvc_server_pending(server), 0);
}
END_TEST

START_TEST(http_client_with_a_body_gets_its_answer)
{
	static char body[100000];
	int fd = dial_and_say("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n");

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(send(fd, body, sizeof(body), MSG_NOSIGNAL), sizeof(body));
		turn();
	}
	expect_text(fd, "\r\n\r\nhello", true);
	fake_now += LIMIT_HTTP_LINGER_NS;
	turn();
	ck_assert_uint_eq(server->conns.n, 0);
	close_fd(fd);
}
END_TEST

START_TEST(http_client_that_is_slow_or_silent_is_closed)
{
	int slow = dial_and_say("GET / HTTP/1.1\r\n"), silent = dial(),
	    other = dial_and_say("\x16\x03\x01");

	turn();
	ck_assert(closed(other));
	fake_now += LIMIT_HTTP_READ_NS - 1;
	turn();
	ck_assert(!closed(slow));
	ck_assert(!closed(silent));
	fake_now += 1;
	turn();
	ck_assert(closed(slow));
	ck_assert(closed(silent));
	ck_assert_uint_eq(server->conns.n, 0);
	close_fd(slow);
	close_fd(silent);
	close_fd(other);
}
END_TEST

START_TEST(unfinished_http_makes_room_before_idle_calls)
{
	int fds[LIMIT_CONNECTIONS], last;

	fds[0] = dial_and_greet(); /* idle for longest */
	turn();
	for (int i = 1; i < LIMIT_CONNECTIONS; i++) {
		fake_now += 1;
		fds[i] = dial_and_say(i % 2 ? "GET / HTTP/1.1\r\n" : "P");
		turn();
	}
	last = dial_and_call();
	turn();
	ck_assert_uint_eq(server->conns.n, LIMIT_CONNECTIONS);
	ck_assert(!closed(fds[0]));
	ck_assert(closed(fds[1]));
	ck_assert(!closed(fds[2]));
	crisvc_call_reply(pop(), "last", 4);
	turn();
	expect_reply(last, "last");
	close_fd(last);
	for (int i = 0; i < LIMIT_CONNECTIONS; i++)
		close_fd(fds[i]);
}
END_TEST

START_TEST(http_client_that_does_not_read_is_closed)
{
	_cleanup_free_ char *much = calloc(1, 4 << 20);
	int fd = dial_and_say("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");

	turn();
	crisvc_http_reply(waiting, 200, NULL, much, 4 << 20);
	turn();
	ck_assert_uint_eq(server->conns.n, 1);
	fake_now += LIMIT_STALL_NS;
	turn();
	ck_assert_uint_eq(server->conns.n, 0);
	close_fd(fd);
}
END_TEST

START_TEST(server_can_be_freed_with_http_in_every_state)
{
	int fds[] = {
		dial(),
		dial_and_say("G"),
		dial_and_say("GET / HTTP"),
		dial_and_say("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"),
		dial_and_say(GET),
	};

	turn();
	server = crisvc_server_free(server);
	ck_assert_uint_eq(cancelled, 0);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		close_fd(fds[i]);
}
END_TEST

START_TEST(without_a_handler_http1_is_closed)
{
	int fd = dial();

	ck_assert_int_eq(send(fd, GET, strlen(GET), MSG_NOSIGNAL), (ssize_t)strlen(GET));
	turn();
	ck_assert(closed(fd));
	ck_assert_int_eq(crisvc_server_set_http(server, NULL, NULL), -EINVAL);
	close_fd(fd);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		both_protocols_are_served,
		http2_that_trickles_in_is_served,
		http_client_that_stops_writing_can_read,
		http_client_that_leaves_cancels_its_request,
		http_client_with_a_body_gets_its_answer,
		http_client_that_is_slow_or_silent_is_closed,
		unfinished_http_makes_room_before_idle_calls,
		http_client_that_does_not_read_is_closed,
		server_can_be_freed_with_http_in_every_state,
		without_a_handler_http1_is_closed,
	};

	return run_cases("server, HTTP/1", tests, ARRAY_SIZE(tests));
}
