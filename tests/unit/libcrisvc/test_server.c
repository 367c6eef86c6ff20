/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets, threads and time around the engine. server.c is compiled into this file so that its
 * clock can be a variable; clients are raw frames on socket pairs' ends that nothing else touches.
 */
#include <cbase/io.h>
#include <stdint.h>

static int64_t fake_now;
#define mono_ns() fake_now
#include "server.c"
#undef mono_ns

#include <check.h>
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "peer.h"

#define PATH "/a.B/C"

static struct crisvc_server *server;
static struct sockaddr_un addr;
static unsigned cancelled;
static int fds_before;

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int make_listener(int type)
{
	socklen_t len = sizeof(addr);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	/* autobind: an abstract name that the kernel picks */
	addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(sa_family_t)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	return fd;
}

static int64_t real_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SECOND_NS + ts.tv_nsec;
}

static void setup(void)
{
	int fd;

	fds_before = count_fds();
	fake_now = real_now() + 3600 * SECOND_NS; /* the timerfd will not fire */
	cancelled = 0;
	ck_assert_int_eq(crisvc_server_new(&server), 0);
	ck_assert_int_eq(crisvc_server_add_method(server, PATH, NULL), 0);
	fd = make_listener(SOCK_STREAM);
	ck_assert_int_eq(listen(fd, 512), 0);
	ck_assert_int_eq(crisvc_server_listen(server, fd), 0);
}

static void teardown(void)
{
	server = crisvc_server_free(server);
	ck_assert_ptr_null(server);
	ck_assert_int_eq(count_fds(), fds_before);
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/* Turns until the server has nothing to do. */
static void turn(void)
{
	do
		ck_assert_int_eq(crisvc_server_dispatch(server), 0);
	while (readable(crisvc_server_get_fd(server), 0));
}

/* ---- a client ---- */

static int dial(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(sa_family_t) + 6; /* NUL and five digits */

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, len), 0);
	return fd;
}

static void say(int fd, struct str *out)
{
	ck_assert_int_eq(send(fd, out->data, out->len, MSG_NOSIGNAL), (ssize_t)out->len);
	str_reset(out);
}

/* A new connection with one call on it. */
static int dial_and_call(void)
{
	_cleanup_str_ struct str out = STR_INIT;
	int fd = dial();

	str_append(&out, PREFACE);
	put_frame(&out, F_SETTINGS, 0, 0, "", 0);
	put_request(&out, 1, 0, PATH, NULL);
	put_message(&out, 1, END_STREAM, "q", 1);
	say(fd, &out);
	return fd;
}

static int dial_and_greet(void)
{
	_cleanup_str_ struct str out = STR_INIT;
	int fd = dial();

	str_append(&out, PREFACE);
	put_frame(&out, F_SETTINGS, 0, 0, "", 0);
	say(fd, &out);
	return fd;
}

/* What has arrived so far; returns false at the end of the connection. */
static bool hear(int fd, struct reader *r)
{
	char buf[65536];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		str_append_mem(&r->bytes, buf, (size_t)n);
	return n < 0 && errno == EAGAIN;
}

static bool closed(int fd)
{
	char buf[65536];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		;
	return n == 0 || errno == ECONNRESET;
}

static void expect_reply(int fd, const char *text)
{
	struct reader r;
	struct frame f;

	reader_init(&r);
	ck_assert(hear(fd, &r));
	ck_assert(reader_next_important(&r, &f));
	ck_assert_uint_eq(f.type, F_HEADERS);
	ck_assert(reader_next_important(&r, &f));
	ck_assert_uint_eq(f.type, F_DATA);
	ck_assert_uint_eq(f.n, 5 + strlen(text));
	ck_assert_mem_eq(f.p + 5, text, strlen(text));
	ck_assert(reader_next_important(&r, &f));
	ck_assert_ptr_nonnull(strstr(r.headers.data, "grpc-status: 0\n"));
	reader_done(&r);
}

static void note_cancel(void *user)
{
	cancelled++;
}

static struct crisvc_call *pop(void)
{
	struct crisvc_call *c = crisvc_server_pop_call(server);

	ck_assert_ptr_nonnull(c);
	crisvc_call_on_cancel(c, note_cancel, NULL);
	return c;
}

/* ---- the descriptor ---- */

START_TEST(descriptor_is_readable_when_there_is_work)
{
	struct crisvc_call *c;
	int fd;

	turn();
	ck_assert(!readable(crisvc_server_get_fd(server), 0));
	fd = dial_and_call();
	ck_assert(readable(crisvc_server_get_fd(server), 0));
	turn();
	ck_assert(!readable(crisvc_server_get_fd(server), 0));
	c = pop();
	ck_assert_ptr_null(crisvc_server_pop_call(server));
	ck_assert(!readable(crisvc_server_get_fd(server), 0));
	ck_assert_int_eq(crisvc_call_reply(c, "a", 1), 0);
	ck_assert(readable(crisvc_server_get_fd(server), 0));
	turn();
	expect_reply(fd, "a");
	ck_assert_uint_eq(crisvc_server_pending(server), 0);
	close_fd(fd);
	turn();
	ck_assert_uint_eq(server->conns.n, 0);
}
END_TEST

START_TEST(answers_between_pops_go_out_with_the_last)
{
	int a = dial_and_call(), b = dial_and_call();

	turn();
	ck_assert_int_eq(crisvc_call_reply(pop(), "1", 1), 0);
	ck_assert_int_eq(crisvc_call_reply(pop(), "2", 1), 0);
	ck_assert(!readable(crisvc_server_get_fd(server), 0));
	ck_assert_ptr_null(crisvc_server_pop_call(server));
	expect_reply(a, "1");
	expect_reply(b, "2");
	ck_assert(!readable(crisvc_server_get_fd(server), 0));
	close_fd(a);
	close_fd(b);
}
END_TEST

static void *answer_call(void *call)
{
	crisvc_call_reply(call, "thread", 6);
	return NULL;
}

START_TEST(answer_of_a_thread_wakes_the_descriptor)
{
	int fd = dial_and_call();
	pthread_t t;

	turn();
	ck_assert_int_eq(pthread_create(&t, NULL, answer_call, pop()), 0);
	ck_assert(readable(crisvc_server_get_fd(server), 10000));
	turn();
	pthread_join(t, NULL);
	expect_reply(fd, "thread");
	close_fd(fd);
}
END_TEST

START_TEST(deadline_makes_the_descriptor_readable)
{
	_cleanup_str_ struct str out = STR_INIT;
	int fd = dial_and_greet();
	struct reader r;
	struct frame f;

	fake_now = real_now(); /* that of the timerfd */
	put_request(&out, 1, 0, PATH, "grpc-timeout", "20m", NULL);
	put_message(&out, 1, END_STREAM, "", 0);
	say(fd, &out);
	turn();
	ck_assert(!readable(crisvc_server_get_fd(server), 0));
	ck_assert(readable(crisvc_server_get_fd(server), 10000));
	fake_now += SECOND_NS;
	reader_init(&r);
	crisvc_call_fail(pop(), CRISVC_CANCELLED, "too late");
	turn();
	ck_assert(hear(fd, &r));
	ck_assert(reader_next_important(&r, &f));
	ck_assert_uint_eq(f.type, F_HEADERS);
	ck_assert_ptr_nonnull(strstr(r.headers.data, "grpc-status: 4\n"));
	reader_done(&r);
	close_fd(fd);
}
END_TEST

START_TEST(client_that_leaves_cancels_its_call_and_frees_its_connection)
{
	struct crisvc_call *c;
	int fd = dial_and_call();

	turn();
	c = pop();
	close_fd(fd);
	turn();
	ck_assert_uint_eq(cancelled, 1);
	ck_assert_uint_eq(server->conns.n, 0);
	ck_assert_uint_eq(crisvc_server_pending(server), 1);
	ck_assert_int_eq(crisvc_call_reply(c, "x", 1), 0);
	turn();
	ck_assert_uint_eq(crisvc_server_pending(server), 0);
	ck_assert_uint_eq(server->host.box.n_calls, 0);
}
END_TEST

START_TEST(server_can_be_freed_with_calls_in_every_state)
{
	int a = dial_and_call(), b = dial_and_call(), c = dial_and_call(), d = dial();

	turn();
	crisvc_call_reply(pop(), "answered", 8);
	pop();
	server = crisvc_server_free(server);
	ck_assert_uint_eq(cancelled, 0);
	ck_assert(closed(a) && closed(b) && closed(c) && closed(d));
	close_fd(a);
	close_fd(b);
	close_fd(c);
	close_fd(d);
}
END_TEST

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

/* ---- goodbye ---- */

START_TEST(drain_refuses_new_connections_and_finishes_calls)
{
	int fd = dial_and_call(), late = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	turn();
	ck_assert_int_eq(crisvc_server_drain(server), 0);
	ck_assert(readable(crisvc_server_get_fd(server), 0));
	turn();
	ck_assert_int_lt(connect(late, (struct sockaddr *)&addr, sizeof(sa_family_t) + 6), 0);
	ck_assert_int_eq(errno, ECONNREFUSED);
	fake_now += LIMIT_DRAIN_NS;
	turn();
	ck_assert_uint_eq(server->conns.n, 1);
	crisvc_call_reply(pop(), "last words", 10);
	turn();
	ck_assert_uint_eq(server->conns.n, 0);
	ck_assert_uint_eq(crisvc_server_pending(server), 0);
	ck_assert_int_eq(crisvc_server_listen(server, late), -EINVAL);
	close_fd(late);
	close_fd(fd);
}
END_TEST

/* ---- arguments ---- */

START_TEST(only_listening_stream_sockets_are_taken)
{
	int dgram = make_listener(SOCK_DGRAM), quiet = make_listener(SOCK_STREAM),
	    packet = make_listener(SOCK_SEQPACKET);

	listen(packet, 1);
	ck_assert_int_eq(crisvc_server_listen(server, dgram), -EINVAL);
	ck_assert_int_eq(crisvc_server_listen(server, quiet), -EINVAL);
	ck_assert_int_eq(crisvc_server_listen(server, packet), -EINVAL);
	ck_assert_int_eq(crisvc_server_listen(server, -1), -EBADF);
	/* they are still ours */
	ck_assert_int_eq(close(dgram) | close(quiet) | close(packet), 0);
}
END_TEST

START_TEST(methods_are_paths_and_unique)
{
	ck_assert_int_eq(crisvc_server_add_method(server, "a.B/C", NULL), -EINVAL);
	ck_assert_int_eq(crisvc_server_add_method(server, NULL, NULL), -EINVAL);
	ck_assert_int_eq(crisvc_server_add_method(server, PATH, NULL), -EEXIST);
	ck_assert_int_eq(crisvc_server_add_method(server, "/a.B/A", NULL), 0);
	ck_assert_int_eq(crisvc_server_set_max_message(server, (size_t)1 << 40, 1), -EINVAL);
}
END_TEST

START_TEST(null_server_is_harmless)
{
	ck_assert_ptr_null(crisvc_server_free(NULL));
	ck_assert_ptr_null(crisvc_server_pop_call(NULL));
	ck_assert_int_eq(crisvc_server_dispatch(NULL), -EINVAL);
	ck_assert_int_eq(crisvc_server_drain(NULL), -EINVAL);
	ck_assert_uint_eq(crisvc_server_pending(NULL), 0);
	ck_assert_int_eq(crisvc_server_new(NULL), -EINVAL);
	ck_assert_int_eq(crisvc_call_reply(NULL, "", 0), -EINVAL);
	ck_assert_int_eq(crisvc_call_fail(NULL, 1, ""), -EINVAL);
}
END_TEST

/* ---- threads against leaving clients ---- */

#define WORKERS 4
#define ROUNDS 400

/* One call in the hands of the application. */
struct job {
	struct crisvc_call *call;
	atomic_bool answered;
};

static struct job jobs[ROUNDS];
static atomic_int next_job, n_jobs;
static atomic_int told_late;

static void told(void *user)
{
	struct job *job = user;

	if (atomic_load(&job->answered))
		atomic_fetch_add(&told_late, 1);
}

static void *work(void *unused)
{
	int i = 0;

	while ((i = atomic_fetch_add(&next_job, 1)) < ROUNDS) {
		while (i >= atomic_load(&n_jobs))
			sched_yield();
		ck_assert_int_eq(crisvc_call_reply(jobs[i].call, "x", 1), 0);
		/* from here on nobody may be told */
		atomic_store(&jobs[i].answered, true);
	}
	return NULL;
}

START_TEST(nobody_is_told_of_a_cancel_after_the_answer)
{
	pthread_t threads[WORKERS];
	struct crisvc_call *c;
	int fd, n;

	for (int i = 0; i < WORKERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, NULL), 0);
	for (n = 0; n < ROUNDS;) {
		fd = dial_and_call();
		ck_assert_int_eq(crisvc_server_dispatch(server), 0);
		ck_assert_int_eq(crisvc_server_dispatch(server), 0);
		while ((c = crisvc_server_pop_call(server))) {
			jobs[n].call = c;
			crisvc_call_on_cancel(c, told, &jobs[n]);
			atomic_store(&n_jobs, ++n);
		}
		close_fd(fd);
		ck_assert_int_eq(crisvc_server_dispatch(server), 0);
	}
	for (int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	turn();
	ck_assert_int_eq(atomic_load(&told_late), 0);
	ck_assert_uint_eq(server->host.box.n_calls, 0);
	ck_assert_uint_eq(server->conns.n, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("server");
	TCase *tc = tcase_create("server");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, descriptor_is_readable_when_there_is_work);
	tcase_add_test(tc, answers_between_pops_go_out_with_the_last);
	tcase_add_test(tc, answer_of_a_thread_wakes_the_descriptor);
	tcase_add_test(tc, deadline_makes_the_descriptor_readable);
	tcase_add_test(tc, client_that_leaves_cancels_its_call_and_frees_its_connection);
	tcase_add_test(tc, server_can_be_freed_with_calls_in_every_state);
	tcase_add_test(tc, slow_reader_gets_everything);
	tcase_add_test(tc, reader_that_stops_is_closed);
	tcase_add_test(tc, client_that_opens_no_window_is_closed);
	tcase_add_test(tc, client_that_does_not_read_is_not_read_either);
	tcase_add_test(tc, idle_connection_is_kept);
	tcase_add_test(tc, oldest_idle_connection_makes_room);
	tcase_add_test(tc, when_all_are_busy_the_new_one_is_closed);
	tcase_add_test(tc, accepting_pauses_when_descriptors_run_out);
	tcase_add_test(tc, both_protocols_are_served);
	tcase_add_test(tc, http2_that_trickles_in_is_served);
	tcase_add_test(tc, http_client_that_stops_writing_can_read);
	tcase_add_test(tc, http_client_that_leaves_cancels_its_request);
	tcase_add_test(tc, http_client_with_a_body_gets_its_answer);
	tcase_add_test(tc, http_client_that_is_slow_or_silent_is_closed);
	tcase_add_test(tc, http_client_that_does_not_read_is_closed);
	tcase_add_test(tc, unfinished_http_makes_room_before_idle_calls);
	tcase_add_test(tc, server_can_be_freed_with_http_in_every_state);
	tcase_add_test(tc, without_a_handler_http1_is_closed);
	tcase_add_test(tc, drain_refuses_new_connections_and_finishes_calls);
	tcase_add_test(tc, only_listening_stream_sockets_are_taken);
	tcase_add_test(tc, methods_are_paths_and_unique);
	tcase_add_test(tc, null_server_is_harmless);
	tcase_add_test(tc, nobody_is_told_of_a_cancel_after_the_answer);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
