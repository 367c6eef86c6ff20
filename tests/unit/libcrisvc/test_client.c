/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client, against the real server in a thread and against servers that say what a test wants.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cbase/cleanup.h>
#include <cbase/io.h>

#include "crisvc.h"
#include "peer.h"

#define MS ((int64_t)1000000)

static char dir[] = "/tmp/crisvc-test-XXXXXX", path[64];
static struct crisvc_client *client;
static struct crisvc_error err;

static int listen_on_path(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	unlink(path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(fd, 10), 0);
	return fd;
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	ck_assert_int_eq(crisvc_client_new(path, &client, &err), 0);
}

static void teardown(void)
{
	client = crisvc_client_free(client);
	unlink(path);
	rmdir(dir);
}

static int call_for(const char *method, const char *request, int timeout_ms, const char *expected)
{
	_cleanup_free_ void *reply = NULL;
	size_t len = 0;
	int r;

	memset(&err, 0, sizeof(err));
	r = crisvc_client_call(client, method, request, strlen(request), timeout_ms, &reply, &len,
			       &err);
	if (!r) {
		ck_assert_ptr_nonnull(expected);
		ck_assert_uint_eq(len, strlen(expected));
		ck_assert_mem_eq(reply, expected, len);
	} else {
		ck_assert_ptr_null(reply);
		ck_assert_int_eq(err.code, r > 0 ? r : 0);
	}
	return r;
}

/* ---- with the real server ---- */

struct real {
	pthread_t thread;
	struct crisvc_server *server;
	int ended; /* what crisvc_server_run() gave */
};

static atomic_uint n_cancelled, n_sent;

static void on_cancel(void *call)
{
	atomic_fetch_add(&n_cancelled, 1);
	crisvc_call_fail(call, CRISVC_CANCELLED, NULL);
}

/* Messages of 10 KiB for as long as there is room. */
static void fill(void *call)
{
	static char kib[10 << 10];

	while (!crisvc_call_send(call, kib, sizeof(kib)))
		atomic_fetch_add(&n_sent, 1);
}

static void count(struct crisvc_call *c, const char *request, size_t len)
{
	_cleanup_free_ char *text = strf("%.*s", (int)len, request);
	int n = atoi(text);
	char message[16];

	for (int i = 0; i < n; i++) {
		snprintf(message, sizeof(message), "%d", i);
		ck_assert_int_eq(crisvc_call_send(c, message, strlen(message)), 0);
	}
	if (text[len - 1] == '!')
		crisvc_call_fail(c, CRISVC_DATA_LOSS, "no more");
	else
		crisvc_call_end(c);
}

static void tell_metadata(struct crisvc_call *c)
{
	_cleanup_str_ struct str all = STR_INIT;
	const char *name, *value;

	for (size_t i = 0; (name = crisvc_call_metadata(c, i, &value)); i++)
		str_appendf(&all, "%s=%s\n", name, value);
	crisvc_call_reply(c, all.data, all.len);
}

static void serve(struct crisvc_call *c, void *user)
{
	const char *method = crisvc_call_path(c);
	const void *p;
	size_t n;

	p = crisvc_call_request(c, &n);
	if (streq(method, "/t/Echo")) {
		crisvc_call_reply(c, p, n);
	} else if (streq(method, "/t/Fail")) {
		crisvc_call_fail(c, CRISVC_FAILED_PRECONDITION, "wrong \xc3\xa9tat: 100%\n");
	} else if (streq(method, "/t/Count")) {
		count(c, p, n);
	} else if (streq(method, "/t/Metadata")) {
		tell_metadata(c);
	} else {
		crisvc_call_on_cancel(c, on_cancel, c);
		crisvc_call_on_room(c, fill, c);
		if (streq(method, "/t/Endless"))
			fill(c);
	}
}

static void *run_real(void *p)
{
	struct real *real = p;

	real->ended = crisvc_server_run(real->server, serve, NULL);
	return NULL;
}

static void real_start(struct real *real)
{
	static const char *const methods[] = { "/t/Echo",  "/t/Fail",	  "/t/Never",
					       "/t/Count", "/t/Metadata", "/t/Endless" };

	*real = (struct real){ .ended = -1 };
	n_cancelled = n_sent = 0;
	ck_assert_int_eq(crisvc_server_new(&real->server), 0);
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		ck_assert_int_eq(crisvc_server_add_method(real->server, methods[i], NULL), 0);
	ck_assert_int_eq(crisvc_server_listen(real->server, listen_on_path()), 0);
	ck_assert_int_eq(pthread_create(&real->thread, NULL, run_real, real), 0);
}

/* At once: a stopped server would wait for a client that does not look at its socket. */
static void real_stop(struct real *real)
{
	crisvc_server_stop(real->server);
	crisvc_server_stop(real->server);
	pthread_join(real->thread, NULL);
	ck_assert_int_eq(real->ended, 0);
	crisvc_server_free(real->server);
}

START_TEST(call_is_answered_again_and_again)
{
	struct real real;

	real_start(&real);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(call_for("/t/Echo", "hello", 10000, "hello"), 0);
	ck_assert_int_eq(call_for("/t/Echo", "", -1, ""), 0);
	real_stop(&real);
}
END_TEST

START_TEST(large_messages_go_both_ways)
{
	size_t n = ((size_t)80 << 20), len = 0;
	_cleanup_free_ char *big = malloc(n + 1);
	_cleanup_free_ void *reply = NULL;
	struct real real;

	for (size_t i = 0; i < n; i++)
		big[i] = (char)(i % 251);
	real_start(&real);
	ck_assert_int_eq(crisvc_client_call(client, "/t/Echo", big, n, 30000, &reply, &len, &err),
			 0);
	ck_assert_uint_eq(len, n);
	ck_assert_int_eq(memcmp(reply, big, n), 0);
	ck_assert_int_eq(
		crisvc_client_call(client, "/t/Echo", big, n + 1, 30000, &reply, &len, &err),
		CRISVC_E_LIMIT);
	real_stop(&real);
}
END_TEST

START_TEST(status_and_message_arrive)
{
	struct real real;

	real_start(&real);
	ck_assert_int_eq(call_for("/t/Fail", "x", 10000, NULL), CRISVC_E_STATUS);
	ck_assert_int_eq(err.grpc_status, CRISVC_FAILED_PRECONDITION);
	ck_assert_str_eq(err.message, "wrong \xc3\xa9tat: 100%\n");
	ck_assert_int_eq(call_for("/t/Nothing", "x", 10000, NULL), CRISVC_E_STATUS);
	ck_assert_int_eq(err.grpc_status, CRISVC_UNIMPLEMENTED);
	ck_assert_int_eq(crisvc_client_call(client, "/t/Fail", "", 0, 1000, &(void *){ NULL },
					    &(size_t){ 0 }, NULL),
			 CRISVC_E_STATUS);
	real_stop(&real);
}
END_TEST

START_TEST(deadline_ends_the_call_and_not_the_client)
{
	struct real real;
	int64_t start;

	real_start(&real);
	start = mono_ns();
	ck_assert_int_eq(call_for("/t/Never", "x", 50, NULL), CRISVC_E_DEADLINE);
	ck_assert_int_eq(err.grpc_status, CRISVC_DEADLINE_EXCEEDED);
	ck_assert_int_ge(mono_ns() - start, 50 * MS);
	ck_assert_int_eq(call_for("/t/Echo", "alive", 10000, "alive"), 0);
	ck_assert_int_eq(call_for("/t/Echo", "alive", 0, NULL), CRISVC_E_DEADLINE);
	real_stop(&real);
}
END_TEST

START_TEST(client_connects_again_after_a_restart)
{
	struct real real;

	for (int i = 0; i < 3; i++) {
		real_start(&real);
		ck_assert_int_eq(call_for("/t/Echo", "hello", 10000, "hello"), 0);
		real_stop(&real);
	}
	ck_assert_int_eq(call_for("/t/Echo", "hello", 10000, NULL), CRISVC_E_DISCONNECTED);
	ck_assert_int_eq(err.sys_errno, ECONNREFUSED);
}
END_TEST

START_TEST(missing_socket_is_disconnected)
{
	ck_assert_int_eq(call_for("/t/Echo", "", 1000, NULL), CRISVC_E_DISCONNECTED);
	ck_assert_int_eq(err.sys_errno, ENOENT);
	ck_assert_ptr_nonnull(strstr(err.message, path));
}
END_TEST

START_TEST(paths_are_checked)
{
	struct crisvc_client *c = NULL;
	char longest[200];

	memset(longest, 'x', sizeof(longest) - 1);
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(crisvc_client_new("run/x.sock", &c, NULL), -EINVAL);
	ck_assert_int_eq(crisvc_client_new("tcp://x:1", &c, &err), -EINVAL);
	ck_assert_int_eq(crisvc_client_new(longest, &c, &err), -ENAMETOOLONG);
	ck_assert_int_eq(crisvc_client_new("unix:///run/x.sock", &c, &err), 0);
	ck_assert_ptr_null(crisvc_client_free(c));
	ck_assert_ptr_null(crisvc_client_free(NULL));
	ck_assert_int_eq(call_for("t/Echo", "", 1000, NULL), -EINVAL);
}
END_TEST

/* ---- streams of messages ---- */

static struct crisvc_stream *stream_of(const char *method, const char *request, int timeout_ms)
{
	struct crisvc_stream *st = NULL;

	ck_assert_int_eq(crisvc_client_stream(client, method, request, strlen(request), timeout_ms,
					      &st, &err),
			 0);
	return st;
}

static int next(struct crisvc_stream *st, int timeout_ms, const char *expected)
{
	_cleanup_free_ void *message = NULL;
	size_t len = 0;
	int r;

	memset(&err, 0, sizeof(err));
	r = crisvc_stream_next(st, timeout_ms, &message, &len, &err);
	if (!r) {
		ck_assert_ptr_nonnull(message);
		ck_assert(!expected ||
			  (len == strlen(expected) && !memcmp(message, expected, len)));
	} else {
		ck_assert_ptr_null(message);
		ck_assert_int_eq(err.code, r > 0 ? r : 0);
	}
	return r;
}

START_TEST(stream_gives_messages_in_order_and_ends)
{
	struct crisvc_stream *st;
	struct real real;
	char text[16];

	real_start(&real);
	st = stream_of("/t/Count", "5000", 10000);
	for (int i = 0; i < 5000; i++) {
		snprintf(text, sizeof(text), "%d", i);
		ck_assert_int_eq(next(st, -1, text), 0);
	}
	ck_assert_int_eq(next(st, -1, NULL), CRISVC_E_END);
	ck_assert_int_eq(next(st, -1, NULL), CRISVC_E_END);
	ck_assert_ptr_null(crisvc_stream_free(st));
	st = stream_of("/t/Count", "1!", -1);
	ck_assert_int_eq(next(st, -1, "0"), 0);
	ck_assert_int_eq(next(st, -1, NULL), CRISVC_E_STATUS);
	ck_assert_int_eq(err.grpc_status, CRISVC_DATA_LOSS);
	ck_assert_str_eq(err.message, "no more");
	crisvc_stream_free(st);
	st = stream_of("/t/Count", "0", -1);
	ck_assert_int_eq(next(st, -1, NULL), CRISVC_E_END);
	crisvc_stream_free(st);
	st = stream_of("/t/Nothing", "", -1);
	ck_assert_int_eq(next(st, -1, NULL), CRISVC_E_STATUS);
	ck_assert_int_eq(err.grpc_status, CRISVC_UNIMPLEMENTED);
	crisvc_stream_free(st);
	real_stop(&real);
}
END_TEST

START_TEST(unread_stream_waits_and_delays_nobody)
{
	struct crisvc_stream *st, *other;
	unsigned before;
	struct real real;

	real_start(&real);
	st = stream_of("/t/Endless", "", -1);
	for (int i = 0; i < 200; i++) /* these move the bytes of all */
		ck_assert_int_eq(call_for("/t/Echo", "x", -1, "x"), 0);
	/* what the client holds and the server has queued, 1 MiB each */
	before = atomic_load(&n_sent);
	ck_assert_uint_ge(before, 100);
	ck_assert_uint_le(before, 210);
	other = stream_of("/t/Count", "3", -1);
	ck_assert_int_eq(next(other, -1, "0"), 0);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(next(st, -1, NULL), 0);
	ck_assert_uint_ge(atomic_load(&n_sent), 1000);
	ck_assert_int_eq(next(other, -1, "1"), 0);
	crisvc_stream_free(other);
	crisvc_stream_free(st);
	ck_assert_int_eq(call_for("/t/Echo", "x", -1, "x"), 0);
	ck_assert_uint_eq(atomic_load(&n_cancelled), 1); /* "other" was over */
	real_stop(&real);
}
END_TEST

START_TEST(stream_without_news_is_again_or_over_its_deadline)
{
	struct crisvc_stream *st;
	struct real real;
	int64_t before;

	real_start(&real);
	st = stream_of("/t/Never", "", -1);
	before = mono_ns();
	ck_assert_int_eq(next(st, 0, NULL), CRISVC_E_AGAIN);
	ck_assert_int_eq(next(st, 10, NULL), CRISVC_E_AGAIN);
	ck_assert_int_ge(mono_ns() - before, 10 * MS);
	crisvc_stream_free(st);
	before = mono_ns();
	st = stream_of("/t/Never", "", 100);
	ck_assert_int_eq(next(st, -1, NULL), CRISVC_E_DEADLINE);
	ck_assert_int_eq(err.grpc_status, CRISVC_DEADLINE_EXCEEDED);
	ck_assert_int_ge(mono_ns() - before, 100 * MS);
	ck_assert_int_eq(next(st, 0, NULL), CRISVC_E_DEADLINE);
	crisvc_stream_free(st);
	ck_assert_int_eq(call_for("/t/Echo", "x", -1, "x"), 0);
	ck_assert_uint_eq(atomic_load(&n_cancelled), 2);
	real_stop(&real);
}
END_TEST

START_TEST(lost_stream_is_told_and_made_anew)
{
	struct crisvc_stream *a, *b;
	struct real real;

	real_start(&real);
	a = stream_of("/t/Never", "", -1);
	b = stream_of("/t/Never", "", -1);
	ck_assert_int_eq(next(a, 0, NULL), CRISVC_E_AGAIN);
	real_stop(&real);
	ck_assert_int_eq(next(a, -1, NULL), CRISVC_E_DISCONNECTED);
	ck_assert_int_eq(next(b, -1, NULL), CRISVC_E_DISCONNECTED);
	ck_assert_int_eq(next(a, -1, NULL), CRISVC_E_DISCONNECTED);
	crisvc_stream_free(a);
	real_start(&real);
	a = stream_of("/t/Count", "1", -1);
	ck_assert_int_eq(next(b, -1, NULL), CRISVC_E_DISCONNECTED);
	crisvc_stream_free(b);
	ck_assert_int_eq(next(a, -1, "0"), 0);
	client = crisvc_client_free(client);
	ck_assert_int_eq(next(a, -1, NULL), CRISVC_E_DISCONNECTED);
	crisvc_stream_free(a);
	real_stop(&real);
}
END_TEST

START_TEST(stopped_server_lets_a_stream_end)
{
	struct crisvc_stream *st;
	struct real real;

	real_start(&real);
	st = stream_of("/t/Endless", "", -1);
	ck_assert_int_eq(next(st, -1, NULL), 0);
	crisvc_server_stop(real.server);
	for (int i = 0; i < 500; i++) /* goes on while there is GOAWAY on the way */
		ck_assert_int_eq(next(st, -1, NULL), 0);
	crisvc_stream_free(st);
	client = crisvc_client_free(client);
	pthread_join(real.thread, NULL);
	ck_assert_int_eq(real.ended, 0);
	ck_assert_uint_eq(atomic_load(&n_cancelled), 1);
	crisvc_server_free(real.server);
}
END_TEST

START_TEST(metadata_goes_with_every_call)
{
	struct real real;

	real_start(&real);
	ck_assert_int_eq(crisvc_client_add_metadata(client, "x-a", "1"), 0);
	ck_assert_int_eq(crisvc_client_add_metadata(client, "b-bin", "AAEC"), 0);
	ck_assert_int_eq(crisvc_client_add_metadata(client, "Bad", "x"), -EINVAL);
	ck_assert_int_eq(crisvc_client_add_metadata(client, "grpc-timeout", "1S"), -EINVAL);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(call_for("/t/Metadata", "", 1000,
					  "user-agent=libcrisvc/0.1\nx-a=1\nb-bin=AAEC\n"),
				 0);
	real_stop(&real);
}
END_TEST

START_TEST(message_limits_can_be_set)
{
	struct real real;

	real_start(&real);
	ck_assert_int_eq(crisvc_client_set_max_message(client, 3, 5), 0);
	ck_assert_int_eq(call_for("/t/Echo", "abc", 1000, "abc"), 0);
	ck_assert_int_eq(call_for("/t/Echo", "abcd", 1000, NULL), CRISVC_E_LIMIT);
	ck_assert_int_eq(call_for("/t/Echo", "abcdef", 1000, NULL), CRISVC_E_LIMIT);
	ck_assert_int_eq(call_for("/t/Echo", "abc", 1000, "abc"), 0);
	real_stop(&real);
}
END_TEST

/* ---- with servers that misbehave ---- */

/*
 * Accepts connections one after the other; each hears a whole request and says its part of the
 * script.
 */
struct fake {
	pthread_t thread;
	int listen_fd;
	const struct str *script; /* one per connection */
	int n_script;
	atomic_int accepted;
};

static void fake_hear(int fd)
{
	struct reader r = { 0 };
	struct frame f = { 0 };
	char buf[4096];
	ssize_t n;

	nghttp2_hd_inflate_new(&r.inflater);
	r.pos = strlen(PREFACE);
	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0) {
		str_append_mem(&r.bytes, buf, (size_t)n);
		while (r.bytes.len > r.pos && reader_next(&r, &f))
			if (f.type == F_DATA && f.flags & END_STREAM)
				goto done;
	}
done:
	reader_done(&r);
}

static void *run_fake(void *p)
{
	struct fake *fake = p;
	char buf[4096];

	for (int i = 0; i < fake->n_script; i++) {
		int fd = accept4(fake->listen_fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			break;
		atomic_fetch_add(&fake->accepted, 1);
		fake_hear(fd);
		if (fake->script[i].len &&
		    send(fd, fake->script[i].data, fake->script[i].len, MSG_NOSIGNAL) >= 0) {
			shutdown(fd, SHUT_WR);
			while (recv(fd, buf, sizeof(buf), 0) > 0)
				;
		}
		close(fd);
	}
	return NULL;
}

static void fake_start(struct fake *fake, const struct str *script, int n)
{
	*fake = (struct fake){ .listen_fd = listen_on_path(), .script = script, .n_script = n };
	ck_assert_int_eq(pthread_create(&fake->thread, NULL, run_fake, fake), 0);
}

/* Returns how many connections there were. */
static int fake_stop(struct fake *fake)
{
	shutdown(fake->listen_fd, SHUT_RDWR);
	client = crisvc_client_free(client);
	pthread_join(fake->thread, NULL);
	close(fake->listen_fd);
	return atomic_load(&fake->accepted);
}

static void put_fields(struct str *out, unsigned flags, const char *const *fields)
{
	_cleanup_str_ struct str block = STR_INIT;

	for (; *fields; fields += 2)
		put_field(&block, fields[0], fields[1]);
	put_frame(out, F_HEADERS, flags | END_HEADERS, 1, block.data, block.len);
}

#define FIELDS(...)                                                                                \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}
#define RESPONSE FIELDS(":status", "200", "content-type", "application/grpc")
#define STATUS_0 FIELDS("grpc-status", "0")

static void put_answer(struct str *out, const char *text)
{
	put_frame(out, F_SETTINGS, 0, 0, "", 0);
	put_fields(out, 0, RESPONSE);
	put_message(out, 1, 0, text, strlen(text));
	put_fields(out, END_STREAM, STATUS_0);
}

static void done2(struct str (*script)[2])
{
	str_done(&(*script)[0]);
	str_done(&(*script)[1]);
}

START_TEST(refused_call_is_repeated)
{
	_cleanup_(done2) struct str script[2] = { STR_INIT, STR_INIT };
	struct fake fake;

	put_frame(&script[0], F_SETTINGS, 0, 0, "", 0);
	if (_i) {
		put_reset(&script[0], 1, NGHTTP2_REFUSED_STREAM);
	} else {
		_cleanup_str_ struct str goaway = STR_INIT;

		put_u32(&goaway, 0);
		put_u32(&goaway, NGHTTP2_NO_ERROR);
		put_frame(&script[0], F_GOAWAY, 0, 0, goaway.data, goaway.len);
	}
	put_answer(&script[1], "second");
	fake_start(&fake, script, 2);
	ck_assert_int_eq(call_for("/t/X", "x", 10000, "second"), 0);
	ck_assert_int_eq(fake_stop(&fake), 2);
}
END_TEST

START_TEST(refused_call_is_repeated_only_once)
{
	_cleanup_(done2) struct str script[2] = { STR_INIT, STR_INIT };
	struct fake fake;

	for (int i = 0; i < 2; i++) {
		put_frame(&script[i], F_SETTINGS, 0, 0, "", 0);
		put_reset(&script[i], 1, NGHTTP2_REFUSED_STREAM);
	}
	fake_start(&fake, script, 2);
	ck_assert_int_eq(call_for("/t/X", "x", 10000, NULL), CRISVC_E_STATUS);
	ck_assert_int_eq(err.grpc_status, CRISVC_UNAVAILABLE);
	ck_assert_int_eq(fake_stop(&fake), 2);
}
END_TEST

START_TEST(lost_call_is_not_repeated)
{
	_cleanup_(done2) struct str script[2] = { STR_INIT, STR_INIT };
	struct fake fake;

	if (_i) /* with and without a word before */
		put_frame(&script[0], F_SETTINGS, 0, 0, "", 0);
	put_answer(&script[1], "never");
	fake_start(&fake, script, 2);
	ck_assert_int_eq(call_for("/t/X", "x", 10000, NULL), CRISVC_E_DISCONNECTED);
	ck_assert_int_eq(fake_stop(&fake), 1);
}
END_TEST

enum {
	GARBAGE,
	HTTP_503,
	HTTP_404,
	NO_STATUS,
	NO_TYPE,
	NO_MESSAGE,
	TWO_MESSAGES,
	CUT_MESSAGE,
	TOO_LARGE,
	COMPRESSED,
	HUGE_HEADERS,
	RESET_CALM,
	RESET_CANCEL,
	BAD_STATUS,
	OK_BUT_LATE_ERROR,
	N_BAD
};

static void put_bad(struct str *out, int which)
{
	char value[8151];

	if (which == GARBAGE) {
		str_append(out, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
		return;
	}
	put_frame(out, F_SETTINGS, 0, 0, "", 0);
	switch (which) {
	case HTTP_503:
		put_fields(out, END_STREAM, FIELDS(":status", "503"));
		break;
	case HTTP_404:
		put_fields(out, END_STREAM, FIELDS(":status", "404", "content-type", "text/html"));
		break;
	case NO_STATUS:
		put_fields(out, 0, RESPONSE);
		put_message(out, 1, END_STREAM, "x", 1);
		break;
	case NO_TYPE:
		put_fields(out, 0, FIELDS(":status", "200"));
		put_message(out, 1, 0, "x", 1);
		put_fields(out, END_STREAM, STATUS_0);
		break;
	case NO_MESSAGE:
		put_fields(out, 0, RESPONSE);
		put_fields(out, END_STREAM, STATUS_0);
		break;
	case TWO_MESSAGES:
		put_fields(out, 0, RESPONSE);
		put_message(out, 1, 0, "x", 1);
		put_message(out, 1, 0, "y", 1);
		put_fields(out, END_STREAM, STATUS_0);
		break;
	case CUT_MESSAGE:
		put_fields(out, 0, RESPONSE);
		put_frame(out, F_DATA, 0, 1, "\0\0\0\0\5x", 6);
		put_fields(out, END_STREAM, STATUS_0);
		break;
	case TOO_LARGE:
		put_fields(out, 0, RESPONSE);
		put_frame(out, F_DATA, 0, 1, "\0\5\0\0\1x", 6); /* 80 MiB + 1 */
		break;
	case COMPRESSED:
		put_fields(out, 0, RESPONSE);
		put_frame(out, F_DATA, 0, 1, "\1\0\0\0\1x", 6);
		break;
	case HUGE_HEADERS:
		memset(value, 'v', sizeof(value) - 1);
		value[sizeof(value) - 1] = '\0';
		put_fields(out, 0,
			   FIELDS(":status", "200", "content-type", "application/grpc", "x", value,
				  "y", value));
		break;
	case RESET_CALM:
		put_reset(out, 1, NGHTTP2_ENHANCE_YOUR_CALM);
		break;
	case RESET_CANCEL:
		put_reset(out, 1, NGHTTP2_CANCEL);
		break;
	case BAD_STATUS:
		put_fields(out, END_STREAM,
			   FIELDS(":status", "200", "content-type", "application/grpc",
				  "grpc-status", "x"));
		break;
	case OK_BUT_LATE_ERROR:
		put_fields(out, 0, RESPONSE);
		put_message(out, 1, 0, "x", 1);
		put_fields(out, END_STREAM,
			   FIELDS("grpc-status", "15", "grpc-message", "half%20gone"));
		break;
	}
}

static const struct {
	int r, grpc_status;
} bad[N_BAD] = {
	[GARBAGE] = { CRISVC_E_PROTOCOL, 0 },
	[HTTP_503] = { CRISVC_E_STATUS, CRISVC_UNAVAILABLE },
	[HTTP_404] = { CRISVC_E_STATUS, CRISVC_UNIMPLEMENTED },
	[NO_STATUS] = { CRISVC_E_PROTOCOL, 0 },
	[NO_TYPE] = { CRISVC_E_PROTOCOL, 0 },
	[NO_MESSAGE] = { CRISVC_E_PROTOCOL, 0 },
	[TWO_MESSAGES] = { CRISVC_E_PROTOCOL, 0 },
	[CUT_MESSAGE] = { CRISVC_E_PROTOCOL, 0 },
	[TOO_LARGE] = { CRISVC_E_LIMIT, 0 },
	[COMPRESSED] = { CRISVC_E_PROTOCOL, 0 },
	[HUGE_HEADERS] = { CRISVC_E_LIMIT, 0 },
	[RESET_CALM] = { CRISVC_E_STATUS, CRISVC_RESOURCE_EXHAUSTED },
	[RESET_CANCEL] = { CRISVC_E_STATUS, CRISVC_CANCELLED },
	[BAD_STATUS] = { CRISVC_E_PROTOCOL, 0 },
	[OK_BUT_LATE_ERROR] = { CRISVC_E_STATUS, CRISVC_DATA_LOSS },
};

START_TEST(bad_answer_is_told_apart)
{
	_cleanup_str_ struct str script = STR_INIT;
	struct fake fake;

	put_bad(&script, _i);
	fake_start(&fake, &script, 1);
	ck_assert_int_eq(call_for("/t/X", "x", 10000, NULL), bad[_i].r);
	ck_assert_int_eq(err.grpc_status, bad[_i].grpc_status);
	ck_assert_str_ne(err.message, "");
	ck_assert_int_eq(fake_stop(&fake), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("client");
	TCase *tc = tcase_create("client");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, call_is_answered_again_and_again);
	tcase_add_test(tc, large_messages_go_both_ways);
	tcase_add_test(tc, status_and_message_arrive);
	tcase_add_test(tc, deadline_ends_the_call_and_not_the_client);
	tcase_add_test(tc, client_connects_again_after_a_restart);
	tcase_add_test(tc, missing_socket_is_disconnected);
	tcase_add_test(tc, paths_are_checked);
	tcase_add_test(tc, stream_gives_messages_in_order_and_ends);
	tcase_add_test(tc, unread_stream_waits_and_delays_nobody);
	tcase_add_test(tc, stream_without_news_is_again_or_over_its_deadline);
	tcase_add_test(tc, lost_stream_is_told_and_made_anew);
	tcase_add_test(tc, stopped_server_lets_a_stream_end);
	tcase_add_test(tc, metadata_goes_with_every_call);
	tcase_add_test(tc, message_limits_can_be_set);
	tcase_add_loop_test(tc, refused_call_is_repeated, 0, 2);
	tcase_add_test(tc, refused_call_is_repeated_only_once);
	tcase_add_loop_test(tc, lost_call_is_not_repeated, 0, 2);
	tcase_add_loop_test(tc, bad_answer_is_told_apart, 0, N_BAD);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
