/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP/2 engine of the server, fed with raw frames and without a socket; the clock is a
 * variable.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cbase/cleanup.h>

#include "crisvc.h"
#include "limit.h"
#include "peer.h"
#include "stream.h"

#define PATH "/runtime.v1.RuntimeService/Version"
#define SETTINGS_NONE "", 0

static struct host host;
static struct session *session;
static struct reader reader;
static struct str out; /* what the client will say next */
static bool attention;
static unsigned cancelled;
static int user_data;

static char method_path[] = PATH;
static const struct method method = { method_path, &user_data };

static const struct method *find(struct host *h, const char *path)
{
	return streq(path, PATH) ? &method : NULL;
}

static void note_attention(void *user)
{
	attention = true;
}

static void setup(void)
{
	host = (struct host){ .find_method = find,
			      .want_attention = note_attention,
			      .max_recv = 1 << 20,
			      .now = 1000 * SECOND_NS };
	host.requests.max = LIMIT_REQUEST_BYTES;
	host.output.max = LIMIT_OUTPUT;
	mailbox_init(&host.box, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), &host.requests, 1 << 20);
	ck_assert_int_eq(session_new(&host, NULL, &session), 0);
	reader_init(&reader);
	cancelled = 0;
	str_append(&out, PREFACE);
	put_frame(&out, F_SETTINGS, 0, 0, SETTINGS_NONE);
}

static void teardown(void)
{
	session_free(session);
	mailbox_done(&host.box);
	close(host.box.wake_fd);
	ck_assert_uint_eq(host.timers.n, 0);
	timers_done(&host.timers);
	ck_assert_uint_eq(atomic_load(&host.requests.used), 0);
	ck_assert_uint_eq(atomic_load(&host.output.used), 0);
	reader_done(&reader);
	str_done(&out);
}

/* The client speaks; n bytes at a time, 0: at once. */
static int feed_by(size_t n)
{
	int r = 0;

	if (!n)
		n = out.len;
	for (size_t i = 0; !r && i < out.len; i += n)
		r = session_feed(session, (const uint8_t *)out.data + i,
				 n < out.len - i ? n : out.len - i);
	str_reset(&out);
	return r;
}

static int feed(void)
{
	return feed_by(0);
}

/* The client listens. */
static void pull(void)
{
	uint8_t buf[1000];
	size_t n;

	do {
		ck_assert_int_eq(session_pull(session, buf, sizeof(buf), &n), 0);
		str_append_mem(&reader.bytes, buf, n);
	} while (n);
}

static bool next(struct frame *f)
{
	pull();
	return reader_next_important(&reader, f);
}

static bool has_header(const char *line)
{
	_cleanup_free_ char *with_end = strf("%s\n", line);

	return reader.headers.data && strstr(reader.headers.data, with_end);
}

static void expect_headers(uint32_t id, unsigned flags)
{
	struct frame f;

	ck_assert(next(&f));
	ck_assert_uint_eq(f.type, F_HEADERS);
	ck_assert_uint_eq(f.id, id);
	ck_assert_uint_eq(f.flags & END_STREAM, flags);
}

/* An answer without a message, whose status line (and more) is given. */
static void expect_error(uint32_t id, const char *status)
{
	expect_headers(id, END_STREAM);
	ck_assert_msg(has_header(status), "%s", reader.headers.data);
	ck_assert(has_header("content-type: application/grpc"));
}

static void expect_reset(uint32_t id, uint32_t code)
{
	struct frame f;

	ck_assert(next(&f));
	ck_assert_uint_eq(f.type, F_RST_STREAM);
	ck_assert_uint_eq(f.id, id);
	ck_assert_uint_eq(get_u32(f.p), code);
}

static void expect_silence(void)
{
	struct frame f;

	ck_assert(!next(&f));
}

static void expect_reply(uint32_t id, const void *p, size_t n)
{
	struct frame f;

	expect_headers(id, 0);
	ck_assert(has_header(":status: 200"));
	ck_assert(has_header("content-type: application/grpc"));
	ck_assert(next(&f));
	ck_assert_uint_eq(f.type, F_DATA);
	ck_assert_uint_eq(f.flags, 0);
	ck_assert_uint_eq(f.n, n + 5);
	ck_assert_uint_eq(f.p[0], 0);
	ck_assert_uint_eq(get_u32(f.p + 1), n);
	ck_assert_mem_eq(f.p + 5, p, n);
	expect_headers(id, END_STREAM);
	ck_assert(has_header("grpc-status: 0"));
}

static void note_cancel(void *user)
{
	cancelled++;
}

static struct crisvc_call *pop_ready(void)
{
	bool news;

	return mailbox_pop(&host.box, &news);
}

static struct crisvc_call *pop(void)
{
	struct crisvc_call *c = pop_ready();

	ck_assert_ptr_nonnull(c);
	crisvc_call_on_cancel(c, note_cancel, NULL);
	return c;
}

static void answer(struct crisvc_call *c, const char *text)
{
	ck_assert_int_eq(crisvc_call_reply(c, text, strlen(text)), 0);
	mailbox_collect(&host.box);
}

static void put_call(uint32_t id, const char *text)
{
	put_request(&out, id, 0, PATH, NULL);
	put_message(&out, id, END_STREAM, text, strlen(text));
}

/* Is this connection still good for a whole call? */
static void expect_usable(uint32_t id)
{
	put_call(id, "still here?");
	ck_assert_int_eq(feed(), 0);
	answer(pop(), "yes");
	expect_reply(id, "yes", 3);
}

/* ---- calls ---- */

START_TEST(unary_call_is_answered)
{
	struct crisvc_call *c;
	const void *p;
	size_t n;

	put_call(1, "question");
	ck_assert_int_eq(feed_by((size_t)_i), 0);
	c = pop();
	ck_assert_str_eq(crisvc_call_path(c), PATH);
	ck_assert_ptr_eq(crisvc_call_method_user(c), &user_data);
	ck_assert_int_eq(crisvc_call_deadline(c), 0);
	p = crisvc_call_request(c, &n);
	ck_assert_uint_eq(n, 8);
	ck_assert_mem_eq(p, "question", 8);
	ck_assert_uint_eq(mailbox_pending(&host.box), 1);
	attention = false;
	answer(c, "answer");
	ck_assert(attention);
	ck_assert_uint_eq(mailbox_pending(&host.box), 0);
	expect_reply(1, "answer", 6);
	expect_silence();
	ck_assert_uint_eq(session_streams(session), 0);
	ck_assert_uint_eq(cancelled, 0);
}
END_TEST

START_TEST(message_cut_into_frames_is_joined)
{
	static const char bytes[] = "\0\0\0\0\4ab";
	struct crisvc_call *c;
	const void *p;
	size_t n;

	put_request(&out, 1, 0, PATH, NULL);
	put_frame(&out, F_DATA, 0, 1, bytes, 2);
	put_frame(&out, F_DATA, 0, 1, "", 0);
	put_frame(&out, F_DATA, 0, 1, bytes + 2, 5);
	put_frame(&out, F_DATA, 0, 1, "cd", 2);
	put_frame(&out, F_DATA, END_STREAM, 1, "", 0);
	ck_assert_int_eq(feed(), 0);
	c = pop();
	p = crisvc_call_request(c, &n);
	ck_assert_uint_eq(n, 4);
	ck_assert_mem_eq(p, "abcd", 4);
	answer(c, "");
	expect_reply(1, "", 0);
}
END_TEST

START_TEST(empty_request_and_reply)
{
	struct crisvc_call *c;
	size_t n = 1;

	put_call(1, "");
	ck_assert_int_eq(feed(), 0);
	c = pop();
	ck_assert_ptr_nonnull(crisvc_call_request(c, &n));
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(crisvc_call_reply(c, NULL, 0), 0);
	mailbox_collect(&host.box);
	expect_reply(1, "", 0);
}
END_TEST

START_TEST(failure_is_trailers_only_with_encoded_message)
{
	put_call(1, "");
	ck_assert_int_eq(feed(), 0);
	ck_assert_int_eq(crisvc_call_fail(pop(), CRISVC_NOT_FOUND, "no \xc3\xa9 100%\n"), 0);
	mailbox_collect(&host.box);
	expect_error(1, "grpc-status: 5");
	ck_assert(has_header(":status: 200"));
	ck_assert(has_header("grpc-message: no %C3%A9 100%25%0A"));
}
END_TEST

START_TEST(failure_with_impossible_status_is_unknown)
{
	put_call(1, "");
	put_call(3, "");
	ck_assert_int_eq(feed(), 0);
	ck_assert_int_eq(crisvc_call_fail(pop(), 0, NULL), 0);
	ck_assert_int_eq(crisvc_call_fail(pop(), 17, NULL), 0);
	mailbox_collect(&host.box);
	expect_error(1, "grpc-status: 2");
	expect_error(3, "grpc-status: 2");
}
END_TEST

START_TEST(long_error_message_is_cut)
{
	_cleanup_free_ char *text = malloc(20001);
	const char *line;

	memset(text, 'x', 20000);
	text[20000] = '\0';
	put_call(1, "");
	ck_assert_int_eq(feed(), 0);
	ck_assert_int_eq(crisvc_call_fail(pop(), CRISVC_INTERNAL, text), 0);
	mailbox_collect(&host.box);
	expect_error(1, "grpc-status: 13");
	line = strstr(reader.headers.data, "grpc-message: ");
	ck_assert_uint_eq(strcspn(line, "\n"), strlen("grpc-message: ") + LIMIT_STATUS_MESSAGE);
}
END_TEST

START_TEST(reply_larger_than_the_limit_becomes_resource_exhausted)
{
	_cleanup_free_ char *big = calloc(1, (1 << 20) + 1);

	put_call(1, "");
	ck_assert_int_eq(feed(), 0);
	ck_assert_int_eq(crisvc_call_reply(pop(), big, (1 << 20) + 1), -EMSGSIZE);
	mailbox_collect(&host.box);
	expect_error(1, "grpc-status: 8");
}
END_TEST

/* ---- several messages ---- */

static void send_text(struct crisvc_call *c, const char *text)
{
	ck_assert_int_eq(crisvc_call_send(c, text, strlen(text)), 0);
}

static void expect_message(const char *text)
{
	struct frame f;

	ck_assert(next(&f));
	ck_assert_uint_eq(f.type, F_DATA);
	ck_assert_uint_eq(f.flags, 0);
	ck_assert_uint_eq(f.n, 5 + strlen(text));
	ck_assert_mem_eq(f.p + 5, text, strlen(text));
}

static void expect_trailers(uint32_t id, const char *status)
{
	struct frame f;

	ck_assert(next(&f));
	if (f.type == F_DATA) { /* an empty one may come first */
		ck_assert_uint_eq(f.n, 0);
		ck_assert(next(&f));
	}
	ck_assert_uint_eq(f.type, F_HEADERS);
	ck_assert_uint_eq(f.id, id);
	ck_assert_uint_eq(f.flags & END_STREAM, END_STREAM);
	ck_assert_msg(has_header(status), "%s", reader.headers.data);
}

static struct crisvc_call *call_1(void)
{
	put_call(1, "");
	ck_assert_int_eq(feed(), 0);
	return pop();
}

START_TEST(several_messages_and_a_late_status_are_sent_in_order)
{
	struct crisvc_call *c = call_1();

	send_text(c, "one");
	mailbox_collect(&host.box);
	expect_headers(1, 0);
	expect_message("one");
	expect_silence();
	send_text(c, "two");
	mailbox_collect(&host.box);
	expect_message("two");
	expect_silence();
	ck_assert_int_eq(crisvc_call_fail(c, CRISVC_ABORTED, "enough"), 0);
	mailbox_collect(&host.box);
	expect_trailers(1, "grpc-status: 10");
	ck_assert(has_header("grpc-message: enough"));
	expect_usable(3);
}
END_TEST

START_TEST(messages_and_their_end_may_be_handed_in_at_once)
{
	struct crisvc_call *c = call_1();
	struct frame f;

	send_text(c, "a");
	send_text(c, "");
	ck_assert_int_eq(crisvc_call_reply(c, "b", 1), 0);
	mailbox_collect(&host.box);
	expect_headers(1, 0);
	ck_assert(next(&f));
	ck_assert_uint_eq(f.n, 17);
	ck_assert_mem_eq(f.p, "\0\0\0\0\1a\0\0\0\0\0\0\0\0\0\1b", 17);
	expect_trailers(1, "grpc-status: 0");
}
END_TEST

START_TEST(answer_without_messages_may_be_ok)
{
	ck_assert_int_eq(crisvc_call_end(call_1()), 0);
	mailbox_collect(&host.box);
	expect_headers(1, 0);
	expect_trailers(1, "grpc-status: 0");
}
END_TEST

static unsigned rooms;

static void note_room(void *user)
{
	rooms++;
}

static void open_window(uint32_t id, uint32_t n)
{
	_cleanup_str_ struct str update = STR_INIT;

	put_u32(&update, n);
	put_frame(&out, F_WINDOW_UPDATE, 0, id, update.data, 4);
	ck_assert_int_eq(feed(), 0);
	pull();
	mailbox_collect(&host.box);
}

/* The client grants 65535 bytes; 100 KiB may wait behind them. */
static unsigned send_until_refused(struct crisvc_call *c)
{
	static const char kib[1024 - 5];
	unsigned n = 0;
	int r;

	while (!(r = crisvc_call_send(c, kib, sizeof(kib)))) {
		n++;
		mailbox_collect(&host.box);
		pull();
		ck_assert_uint_lt(n, 1000);
	}
	ck_assert_int_eq(r, CRISVC_E_AGAIN);
	return n;
}

START_TEST(sender_waits_for_a_client_that_does_not_read)
{
	struct crisvc_call *c = call_1();

	rooms = 0;
	host.box.max_queued = 100 << 10;
	crisvc_call_on_room(c, note_room, NULL);
	ck_assert_uint_eq(send_until_refused(c), 163);	  /* 64 KiB less a byte are away */
	ck_assert_int_eq(crisvc_call_send(c, "x", 1), 0); /* a small one fits */
	ck_assert_int_eq(crisvc_call_send(c, "x", 1019), CRISVC_E_AGAIN);
	ck_assert_uint_lt(atomic_load(&host.output.used), 101 << 10);
	open_window(0, 1 << 30);
	ck_assert_uint_eq(rooms, 0);
	open_window(1, 10 << 10);
	ck_assert_uint_eq(rooms, 0); /* not for every frame */
	open_window(1, 45 << 10);
	ck_assert_uint_eq(rooms, 1);
	open_window(1, 10 << 10);
	ck_assert_uint_eq(rooms, 1); /* once for each refusal */
	ck_assert_uint_eq(send_until_refused(c), 65);
	open_window(1, 1 << 20);
	ck_assert_uint_eq(rooms, 2);
	ck_assert_uint_eq(cancelled, 0);
	ck_assert_int_eq(crisvc_call_end(c), 0);
	mailbox_collect(&host.box);
	ck_assert_uint_eq(atomic_load(&host.output.used), 0);
}
END_TEST

START_TEST(one_message_may_be_larger_than_the_room)
{
	_cleanup_free_ char *big = calloc(1, 200000);
	struct crisvc_call *c = call_1();

	host.box.max_queued = 0;
	ck_assert_int_eq(crisvc_call_send(c, big, 200000), 0);
	ck_assert_int_eq(crisvc_call_send(c, "", 0), CRISVC_E_AGAIN);
	mailbox_collect(&host.box);
	pull();
	ck_assert_int_eq(crisvc_call_send(c, "", 0), CRISVC_E_AGAIN);
	open_window(0, 1 << 20);
	open_window(1, 1 << 20);
	ck_assert_int_eq(crisvc_call_send(c, "", 0), 0);
	ck_assert_int_eq(crisvc_call_send(c, big, (1 << 20) + 1), -EMSGSIZE);
	ck_assert_int_eq(crisvc_call_end(c), 0);
	mailbox_collect(&host.box);
}
END_TEST

START_TEST(sender_learns_that_its_client_left)
{
	struct crisvc_call *c = call_1();
	struct frame f;

	rooms = 0;
	host.box.max_queued = 1000;
	crisvc_call_on_room(c, note_room, NULL);
	send_until_refused(c);
	put_reset(&out, 1, NGHTTP2_CANCEL);
	ck_assert_int_eq(feed(), 0);
	ck_assert_uint_eq(cancelled, 1);
	ck_assert_int_eq(crisvc_call_send(c, "x", 1), CRISVC_E_DISCONNECTED);
	mailbox_collect(&host.box);
	ck_assert_uint_eq(rooms, 0);
	ck_assert_uint_eq(atomic_load(&host.output.used), 0);
	ck_assert_int_eq(crisvc_call_end(c), 0);
	mailbox_collect(&host.box);
	ck_assert_uint_eq(host.box.n_calls, 0);
	open_window(0, 1000);
	while (next(&f))
		;
	expect_usable(3);
}
END_TEST

static void end_from_callback(void *user)
{
	ck_assert_int_eq(crisvc_call_send(user, "last", 4), 0);
	ck_assert_int_eq(crisvc_call_end(user), 0);
}

START_TEST(callback_may_send_and_end)
{
	struct crisvc_call *c = call_1();

	host.box.max_queued = 0;
	crisvc_call_on_room(c, end_from_callback, c);
	send_until_refused(c);
	open_window(0, 1 << 20);
	open_window(1, 1 << 20);
	mailbox_collect(&host.box);
	pull();
	ck_assert_uint_eq(host.box.n_calls, 0);
	ck_assert_uint_eq(session_streams(session), 0);
}
END_TEST

START_TEST(deadline_ends_a_stream_of_messages)
{
	struct crisvc_call *c;

	put_request(&out, 1, 0, PATH, "grpc-timeout", "2S", NULL);
	put_message(&out, 1, END_STREAM, "", 0);
	ck_assert_int_eq(feed(), 0);
	c = pop();
	send_text(c, "one");
	mailbox_collect(&host.box);
	expect_headers(1, 0);
	expect_message("one");
	host.now += 2 * SECOND_NS;
	timers_run(&host.timers, host.now);
	expect_trailers(1, "grpc-status: 4");
	ck_assert_uint_eq(cancelled, 1);
	ck_assert_int_eq(crisvc_call_send(c, "two", 3), CRISVC_E_DISCONNECTED);
	crisvc_call_end(c);
	mailbox_collect(&host.box);
	expect_silence();
}
END_TEST

/* ---- metadata ---- */

START_TEST(metadata_comes_in_and_trailers_go_out)
{
	const char *value = NULL;
	struct crisvc_call *c;

	put_request(&out, 1, 0, PATH, "user-agent", "test", "x-a", "1", "grpc-accept-encoding",
		    "gzip", "x-a", "", "b-bin", "AAEC", NULL);
	put_message(&out, 1, END_STREAM, "", 0);
	ck_assert_int_eq(feed(), 0);
	c = pop();
	ck_assert_str_eq(crisvc_call_metadata(c, 0, &value), "user-agent");
	ck_assert_str_eq(value, "test");
	ck_assert_str_eq(crisvc_call_metadata(c, 1, &value), "x-a");
	ck_assert_str_eq(value, "1");
	ck_assert_str_eq(crisvc_call_metadata(c, 2, &value), "x-a");
	ck_assert_str_eq(value, "");
	ck_assert_str_eq(crisvc_call_metadata(c, 3, &value), "b-bin");
	ck_assert_str_eq(value, "AAEC");
	ck_assert_ptr_null(crisvc_call_metadata(c, 4, &value));
	ck_assert_int_eq(crisvc_call_add_trailer(c, "x-b", "two words"), 0);
	ck_assert_int_eq(crisvc_call_add_trailer(c, "x-c", ""), 0);
	answer(c, "");
	expect_headers(1, 0);
	expect_message("");
	expect_trailers(1, "grpc-status: 0");
	ck_assert(has_header("x-b: two words"));
	ck_assert(has_header("x-c: "));
}
END_TEST

START_TEST(trailers_go_with_errors_and_are_checked)
{
	static const char *const bad[][2] = {
		{ "", "x" },
		{ "Upper", "x" },
		{ ":path", "x" },
		{ "grpc-status", "0" },
		{ "te", "trailers" },
		{ "a b", "x" },
		{ "connection", "close" },
		{ "a", "x\r\nb: c" },
		{ "a", " x" },
		{ "a", "x " },
		{ "a", "\xff" },
		{ "a\n", "x" },
	};
	struct crisvc_call *c = call_1();
	char name[16];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(crisvc_call_add_trailer(c, bad[i][0], bad[i][1]), -EINVAL);
	for (int i = 0; i < LIMIT_TRAILERS; i++) {
		snprintf(name, sizeof(name), "x-%d", i);
		ck_assert_int_eq(crisvc_call_add_trailer(c, name, "v"), 0);
	}
	ck_assert_int_eq(crisvc_call_add_trailer(c, "x", "v"), -E2BIG);
	crisvc_call_fail(c, CRISVC_NOT_FOUND, "no");
	mailbox_collect(&host.box);
	expect_error(1, "grpc-status: 5");
	ck_assert(has_header("x-0: v"));
	ck_assert(has_header("x-15: v"));
}
END_TEST

/* ---- what requests must look like ---- */

static const struct {
	const char *name, *value; /* added to a request */
	const char *status;	  /* NULL: the call is made */
	const char *more;	  /* another line of the answer */
} headers[] = {
	{ "grpc-encoding", "identity", NULL, NULL },
	{ "user-agent", "grpc-go/1.65.0", NULL, NULL },
	{ "x-bin-bin", "AAEC", NULL, NULL },
	{ "grpc-timeout", "1x", "grpc-status: 13", ":status: 400" },
	{ "grpc-timeout", "100000000S", "grpc-status: 13", ":status: 400" },
	{ "grpc-timeout", "0n", "grpc-status: 4", ":status: 200" },
};

START_TEST(header_is_accepted_or_answered)
{
	put_request(&out, 1, 0, PATH, headers[_i].name, headers[_i].value, NULL);
	put_message(&out, 1, END_STREAM, "", 0);
	ck_assert_int_eq(feed(), 0);
	if (!headers[_i].status) {
		answer(pop(), "ok");
		expect_reply(1, "ok", 2);
	} else {
		ck_assert_ptr_null(pop_ready());
		expect_error(1, headers[_i].status);
		ck_assert(has_header(headers[_i].more));
	}
	expect_usable(3);
}
END_TEST

static const struct {
	const char *what;
	const char *fields[12]; /* all of the request */
	uint32_t reset;		/* 0: answered */
	const char *status, *http;
} requests[] = {
	{ "get",
	  { ":method", "GET", ":scheme", "http", ":path", PATH, "content-type",
	    "application/grpc" },
	  0,
	  "grpc-status: 13",
	  ":status: 405" },
	{ "no content-type",
	  { ":method", "POST", ":scheme", "http", ":path", PATH },
	  0,
	  "grpc-status: 13",
	  ":status: 415" },
	{ "json",
	  { ":method", "POST", ":scheme", "http", ":path", PATH, "content-type",
	    "application/json" },
	  0,
	  "grpc-status: 13",
	  ":status: 415" },
	{ "unknown",
	  { ":method", "POST", ":scheme", "http", ":path", "/a.B/C", "content-type",
	    "application/grpc" },
	  0,
	  "grpc-status: 12",
	  "grpc-message: unknown method /a.B/C" },
	{ "longer",
	  { ":method", "POST", ":scheme", "http", ":path", PATH "x", "content-type",
	    "application/grpc" },
	  0,
	  "grpc-status: 12",
	  ":status: 200" },
	{ "slashes",
	  { ":method", "POST", ":scheme", "http", ":path", "/" PATH, "content-type",
	    "application/grpc" },
	  0,
	  "grpc-status: 12",
	  ":status: 200" },
	{ "escape",
	  { ":method", "POST", ":scheme", "http", ":path", "/runtime.v1.RuntimeService/%56ersion",
	    "content-type", "application/grpc" },
	  0,
	  "grpc-status: 12",
	  ":status: 200" },
	/* CVE-2026-33186 */
	{ "no slash",
	  { ":method", "POST", ":scheme", "http", ":path", "runtime.v1.RuntimeService/Version",
	    "content-type", "application/grpc" },
	  NGHTTP2_PROTOCOL_ERROR,
	  NULL,
	  NULL },
	{ "empty path",
	  { ":method", "POST", ":scheme", "http", ":path", "", "content-type", "application/grpc" },
	  NGHTTP2_PROTOCOL_ERROR,
	  NULL,
	  NULL },
	{ "no path",
	  { ":method", "POST", ":scheme", "http", "content-type", "application/grpc" },
	  NGHTTP2_PROTOCOL_ERROR,
	  NULL,
	  NULL },
	{ "no method",
	  { ":scheme", "http", ":path", PATH, "content-type", "application/grpc" },
	  NGHTTP2_PROTOCOL_ERROR,
	  NULL,
	  NULL },
	{ "no scheme",
	  { ":method", "POST", ":path", PATH, "content-type", "application/grpc" },
	  NGHTTP2_PROTOCOL_ERROR,
	  NULL,
	  NULL },
	{ "two paths",
	  { ":method", "POST", ":scheme", "http", ":path", PATH, ":path", PATH },
	  NGHTTP2_PROTOCOL_ERROR,
	  NULL,
	  NULL },
	{ "late pseudo",
	  { ":method", "POST", ":scheme", "http", "te", "trailers", ":path", PATH },
	  NGHTTP2_PROTOCOL_ERROR,
	  NULL,
	  NULL },
	{ "odd pseudo",
	  { ":method", "POST", ":scheme", "http", ":path", PATH, ":protocol", "x" },
	  NGHTTP2_PROTOCOL_ERROR,
	  NULL,
	  NULL },
	{ "upper case",
	  { ":method", "POST", ":scheme", "http", ":path", PATH, "Content-Type",
	    "application/grpc" },
	  NGHTTP2_PROTOCOL_ERROR,
	  NULL,
	  NULL },
	{ "connection",
	  { ":method", "POST", ":scheme", "http", ":path", PATH, "connection", "close" },
	  NGHTTP2_PROTOCOL_ERROR,
	  NULL,
	  NULL },
	{ "te",
	  { ":method", "POST", ":scheme", "http", ":path", PATH, "te", "gzip" },
	  NGHTTP2_PROTOCOL_ERROR,
	  NULL,
	  NULL },
	{ "line feed",
	  { ":method", "POST", ":scheme", "http", ":path", PATH, "x", "a\nb: c" },
	  NGHTTP2_PROTOCOL_ERROR,
	  NULL,
	  NULL },
	{ "two timeouts",
	  { ":method", "POST", ":scheme", "http", ":path", PATH, "grpc-timeout", "1S",
	    "grpc-timeout", "2S" },
	  NGHTTP2_PROTOCOL_ERROR,
	  NULL,
	  NULL },
};

START_TEST(request_headers_are_checked)
{
	_cleanup_str_ struct str block = STR_INIT;

	for (int i = 0; i < 12 && requests[_i].fields[i]; i += 2)
		put_field(&block, requests[_i].fields[i], requests[_i].fields[i + 1]);
	put_frame(&out, F_HEADERS, END_HEADERS, 1, block.data, block.len);
	put_message(&out, 1, END_STREAM, "", 0);
	ck_assert_int_eq(feed(), 0);
	ck_assert_ptr_null(pop_ready());
	if (requests[_i].reset) {
		expect_reset(1, requests[_i].reset);
	} else {
		expect_error(1, requests[_i].status);
		ck_assert_msg(has_header(requests[_i].http), "%s", reader.headers.data);
	}
	expect_usable(3);
}
END_TEST

START_TEST(authority_may_be_the_path_of_a_socket)
{
	_cleanup_str_ struct str block = STR_INIT;

	put_field(&block, ":method", "POST");
	put_field(&block, ":scheme", "http");
	put_field(&block, ":path", PATH);
	put_field(&block, ":authority", "/run/crio/crio.sock");
	put_field(&block, "content-type", "application/grpc+proto");
	put_frame(&out, F_HEADERS, END_HEADERS, 1, block.data, block.len);
	put_message(&out, 1, END_STREAM, "", 0);
	ck_assert_int_eq(feed(), 0);
	answer(pop(), "ok");
	expect_reply(1, "ok", 2);
}
END_TEST

static const struct {
	const char *body;
	size_t n;
	const char *encoding, *status;
} bodies[] = {
#define BODY(b) b, sizeof(b) - 1
	{ BODY(""), NULL, "grpc-status: 12" },			     /* no message */
	{ BODY("\0\0\0\0\1a\0\0\0\0\1b"), NULL, "grpc-status: 12" }, /* two */
	{ BODY("\0\0\0\0\1ab"), NULL, "grpc-status: 12" },	     /* one and a bit */
	{ BODY("\0\0\0\0\2a"), NULL, "grpc-status: 13" },	     /* cut */
	{ BODY("\0\0\0"), NULL, "grpc-status: 13" },
	{ BODY("\2\0\0\0\0"), NULL, "grpc-status: 13" },  /* flag */
	{ BODY("\1\0\0\0\1a"), NULL, "grpc-status: 13" }, /* compressed, not said how */
	{ BODY("\1\0\0\0\1a"), "identity", "grpc-status: 13" },
	{ BODY("\1\0\0\0\1a"), "gzip", "grpc-status: 12" },
	{ BODY("\0\0\x10\0\1"), NULL, "grpc-status: 8" }, /* 1 MiB + 1 */
	{ BODY("\0\xff\xff\xff\xff"), NULL, "grpc-status: 8" },
};

START_TEST(request_body_is_checked)
{
	put_request(&out, 1, 0, PATH, bodies[_i].encoding ? "grpc-encoding" : NULL,
		    bodies[_i].encoding, NULL);
	put_frame(&out, F_DATA, END_STREAM, 1, bodies[_i].body, bodies[_i].n);
	ck_assert_int_eq(feed(), 0);
	ck_assert_ptr_null(pop_ready());
	expect_error(1, bodies[_i].status);
	if (bodies[_i].encoding && streq(bodies[_i].encoding, "gzip"))
		ck_assert(has_header("grpc-accept-encoding: identity"));
	expect_usable(3);
}
END_TEST

START_TEST(request_without_body_has_no_message)
{
	put_request(&out, 1, END_STREAM, PATH, NULL);
	ck_assert_int_eq(feed(), 0);
	expect_error(1, "grpc-status: 12");
}
END_TEST

START_TEST(early_error_stops_a_sender_that_goes_on)
{
	put_request(&out, 1, 0, "/unknown", NULL);
	ck_assert_int_eq(feed(), 0);
	expect_error(1, "grpc-status: 12");
	expect_silence();
	put_message(&out, 1, 0, "more to come", 12);
	ck_assert_int_eq(feed(), 0);
	expect_reset(1, NGHTTP2_NO_ERROR);
	/* what was under way is dropped */
	put_message(&out, 1, END_STREAM, "late", 4);
	ck_assert_int_eq(feed(), 0);
	expect_usable(3);
}
END_TEST

START_TEST(early_error_waits_for_the_end)
{
	put_request(&out, 1, 0, "/unknown", NULL);
	ck_assert_int_eq(feed(), 0);
	expect_error(1, "grpc-status: 12");
	put_message(&out, 1, END_STREAM, "was on its way", 14);
	ck_assert_int_eq(feed(), 0);
	expect_silence();
	ck_assert_uint_eq(session_streams(session), 0);
	/* but not for ever */
	put_request(&out, 3, 0, "/unknown", NULL);
	ck_assert_int_eq(feed(), 0);
	expect_error(3, "grpc-status: 12");
	host.now += LIMIT_RECEIVE_NS;
	timers_run(&host.timers, host.now);
	expect_reset(3, NGHTTP2_NO_ERROR);
	ck_assert_uint_eq(session_streams(session), 0);
	expect_usable(5);
}
END_TEST

START_TEST(trailers_of_a_request_end_it)
{
	_cleanup_str_ struct str block = STR_INIT;

	put_request(&out, 1, 0, PATH, NULL);
	put_message(&out, 1, 0, "a", 1);
	put_field(&block, "x-trailer", "1");
	put_frame(&out, F_HEADERS, END_HEADERS | END_STREAM, 1, block.data, block.len);
	ck_assert_int_eq(feed(), 0);
	answer(pop(), "ok");
	expect_reply(1, "ok", 2);
}
END_TEST

START_TEST(second_headers_without_end_are_an_error)
{
	_cleanup_str_ struct str block = STR_INIT;

	put_request(&out, 1, 0, PATH, NULL);
	put_field(&block, "x", "1");
	put_frame(&out, F_HEADERS, END_HEADERS, 1, block.data, block.len);
	ck_assert_int_eq(feed(), 0);
	expect_reset(1, NGHTTP2_PROTOCOL_ERROR);
	expect_usable(3);
}
END_TEST

/* ---- deadlines and cancelling ---- */

START_TEST(deadline_is_answered_by_the_library)
{
	struct crisvc_call *c;

	put_request(&out, 1, 0, PATH, "grpc-timeout", "2S", NULL);
	put_message(&out, 1, END_STREAM, "", 0);
	ck_assert_int_eq(feed(), 0);
	c = pop();
	ck_assert_int_eq(crisvc_call_deadline(c), 1002 * SECOND_NS);
	host.now = 1002 * SECOND_NS - 1;
	timers_run(&host.timers, host.now);
	expect_silence();
	ck_assert_uint_eq(cancelled, 0);
	host.now++;
	timers_run(&host.timers, host.now);
	expect_error(1, "grpc-status: 4");
	ck_assert_uint_eq(cancelled, 1);
	/* the late answer goes nowhere */
	ck_assert_uint_eq(mailbox_pending(&host.box), 1);
	answer(c, "late");
	ck_assert_uint_eq(mailbox_pending(&host.box), 0);
	expect_silence();
	ck_assert_uint_eq(cancelled, 1);
	expect_usable(3);
}
END_TEST

START_TEST(request_that_does_not_arrive_is_given_up)
{
	put_request(&out, 1, 0, PATH, NULL);
	put_frame(&out, F_DATA, 0, 1, "\0\0\0\0\5a", 6);
	ck_assert_int_eq(feed(), 0);
	host.now += LIMIT_RECEIVE_NS;
	timers_run(&host.timers, host.now);
	expect_error(1, "grpc-status: 4");
	ck_assert_uint_eq(atomic_load(&host.requests.used), 0);
	expect_reset(1, NGHTTP2_NO_ERROR);
	ck_assert_uint_eq(session_streams(session), 0);
}
END_TEST

START_TEST(reset_cancels_the_call)
{
	struct crisvc_call *c;

	put_call(1, "");
	ck_assert_int_eq(feed(), 0);
	c = pop();
	put_reset(&out, 1, NGHTTP2_CANCEL);
	ck_assert_int_eq(feed(), 0);
	ck_assert_uint_eq(cancelled, 1);
	ck_assert_uint_eq(session_streams(session), 0);
	answer(c, "to nobody");
	expect_silence();
	expect_usable(3);
}
END_TEST

START_TEST(call_that_was_reset_before_anybody_saw_it_is_gone)
{
	put_call(1, "");
	put_reset(&out, 1, NGHTTP2_CANCEL);
	ck_assert_int_eq(feed(), 0);
	ck_assert_ptr_null(pop_ready());
	ck_assert_uint_eq(host.box.n_calls, 0);
}
END_TEST

START_TEST(lost_connection_cancels_the_call)
{
	struct crisvc_call *c;

	put_call(1, "");
	ck_assert_int_eq(feed(), 0);
	c = pop();
	session = session_free(session);
	ck_assert_uint_eq(cancelled, 1);
	answer(c, "to nobody");
	ck_assert_uint_eq(host.box.n_calls, 0);
}
END_TEST

START_TEST(callback_set_too_late_is_told_by_the_next_turn)
{
	struct crisvc_call *c;

	put_call(1, "");
	ck_assert_int_eq(feed(), 0);
	c = pop_ready();
	session = session_free(session);
	crisvc_call_on_cancel(c, note_cancel, NULL);
	ck_assert_uint_eq(cancelled, 0);
	mailbox_collect(&host.box);
	ck_assert_uint_eq(cancelled, 1);
	mailbox_collect(&host.box);
	ck_assert_uint_eq(cancelled, 1);
	answer(c, "");
}
END_TEST

static void fail_from_callback(void *user)
{
	cancelled++;
	crisvc_call_fail(user, CRISVC_CANCELLED, "gone");
}

START_TEST(callback_may_answer_the_call)
{
	struct crisvc_call *c;

	put_call(1, "");
	ck_assert_int_eq(feed(), 0);
	c = pop_ready();
	crisvc_call_on_cancel(c, fail_from_callback, c);
	put_reset(&out, 1, NGHTTP2_CANCEL);
	ck_assert_int_eq(feed(), 0);
	ck_assert_uint_eq(cancelled, 1);
	mailbox_collect(&host.box);
	ck_assert_uint_eq(host.box.n_calls, 0);
}
END_TEST

START_TEST(cancel_is_not_told_after_the_answer)
{
	struct crisvc_call *c;

	put_call(1, "");
	ck_assert_int_eq(feed(), 0);
	c = pop();
	ck_assert_int_eq(crisvc_call_reply(c, "", 0), 0);
	put_reset(&out, 1, NGHTTP2_CANCEL);
	ck_assert_int_eq(feed(), 0);
	mailbox_collect(&host.box);
	ck_assert_uint_eq(cancelled, 0);
	expect_silence();
}
END_TEST

/* ---- flow control ---- */

START_TEST(large_reply_waits_for_the_window)
{
	_cleanup_str_ struct str update = STR_INIT;
	_cleanup_free_ char *big = malloc(200000);
	size_t got = 0, before;
	struct frame f;

	memset(big, 'b', 200000);
	put_call(1, "");
	ck_assert_int_eq(feed(), 0);
	ck_assert_int_eq(crisvc_call_reply(pop(), big, 200000), 0);
	mailbox_collect(&host.box);
	expect_headers(1, 0);
	while (next(&f))
		got += f.n;
	ck_assert_uint_eq(got, 65535); /* the initial window of RFC 9113 */
	ck_assert(session_has_output(session));
	before = session_progress(session);
	put_u32(&update, 1 << 20);
	put_frame(&out, F_WINDOW_UPDATE, 0, 0, update.data, 4);
	put_frame(&out, F_WINDOW_UPDATE, 0, 1, update.data, 4);
	ck_assert_int_eq(feed(), 0);
	while (next(&f) && f.type == F_DATA)
		got += f.n;
	ck_assert_uint_eq(got, 200005);
	ck_assert_uint_eq(f.type, F_HEADERS);
	ck_assert(has_header("grpc-status: 0"));
	ck_assert(!session_has_output(session));
	ck_assert_uint_gt(session_progress(session), before);
}
END_TEST

START_TEST(large_request_gets_windows_at_once)
{
	uint32_t connection = 65535, stream = 65535;
	struct frame f;

	ck_assert_int_eq(feed(), 0);
	pull();
	while (reader_next(&reader, &f)) {
		if (f.type == F_WINDOW_UPDATE && f.id == 0)
			connection += get_u32(f.p);
		if (f.type == F_SETTINGS && !(f.flags & ACK))
			for (size_t i = 0; i < f.n; i += 6)
				if (f.p[i + 1] == NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE)
					stream = get_u32(f.p + i + 2);
	}
	ck_assert_uint_eq(connection, WINDOW_CONNECTION);
	ck_assert_uint_eq(stream, WINDOW_STREAM);
}
END_TEST

/* ---- floods and limits ---- */

START_TEST(header_bomb_resets_the_stream_only)
{
	_cleanup_str_ struct str block = STR_INIT;
	char value[3064];

	/*
	 * "x" and 3064 bytes, as a literal that enters the dynamic table; then 12000 times its
	 * index, 62
	 */
	memset(value, 'v', sizeof(value));
	str_append_mem(&block, "\x40\x01x\x7f\xf9\x16", 6); /* 3064 = 127 + 0x79 + (0x16 << 7) */
	str_append_mem(&block, value, sizeof(value));
	for (int i = 0; i < 12000; i++)
		str_append_char(&block, (char)0xbe);
	put_frame(&out, F_HEADERS, END_HEADERS | END_STREAM, 1, block.data, block.len);
	ck_assert_int_eq(feed(), 0);
	expect_reset(1, NGHTTP2_ENHANCE_YOUR_CALM);
	expect_usable(3);
}
END_TEST

START_TEST(headers_just_below_the_limit_pass)
{
	char value[LIMIT_HEADER_BYTES - 1000 + 1];

	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	put_request(&out, 1, 0, PATH, "x", value, NULL);
	put_message(&out, 1, END_STREAM, "", 0);
	ck_assert_int_eq(feed(), 0);
	answer(pop(), "ok");
	expect_reply(1, "ok", 2);
}
END_TEST

START_TEST(continuation_flood_ends_the_connection)
{
	int r = 0;

	put_frame(&out, F_HEADERS, 0, 1, "\x82", 1);
	ck_assert_int_eq(feed(), 0);
	for (int i = 0; i < 100 && !r; i++) {
		put_frame(&out, F_CONTINUATION, 0, 1, "\0\1x\1y", 5);
		r = feed();
	}
	ck_assert_int_lt(r, 0);
}
END_TEST

/* Feeds until the session gives up; then it has said why, or cannot go on. */
static void expect_end(int r)
{
	uint8_t buf[4096];
	struct frame f;
	size_t n = 0;

	if (r)
		return;
	while (!session_pull(session, buf, sizeof(buf), &n) && n)
		str_append_mem(&reader.bytes, buf, n);
	while (reader_next_important(&reader, &f))
		if (f.type == F_GOAWAY)
			break;
	ck_assert_uint_eq(f.type, F_GOAWAY);
	ck_assert_uint_ne(get_u32(f.p + 4), NGHTTP2_NO_ERROR);
	ck_assert(session_done(session));
}

START_TEST(rapid_reset_ends_the_connection)
{
	uint32_t id = 1;
	int r = 0;

	for (int i = 0; i < LIMIT_RESET_BURST + 200 && !r; i++, id += 2) {
		put_call(id, "");
		put_reset(&out, id, NGHTTP2_CANCEL);
		r = feed();
		ck_assert_uint_eq(host.box.n_calls, 0);
	}
	expect_end(r);
}
END_TEST

/* CVE-2025-8671: the client makes us reset its streams, each in another way. */
static void put_provocation(uint32_t id, int which)
{
	_cleanup_str_ struct str p = STR_INIT;

	put_u32(&p, which ? 0x7fffffff : 0);
	switch (which) {
	case 0: /* a window update of nothing */
	case 1: /* ... of too much */
		put_frame(&out, F_WINDOW_UPDATE, 0, id, p.data, 4);
		break;
	case 2: /* a message behind the end */
		put_message(&out, id, END_STREAM, "", 0);
		break;
	case 3: /* headers behind the end */
		put_request(&out, id, END_STREAM, PATH, NULL);
		break;
	}
}

START_TEST(provoked_resets_end_the_connection)
{
	uint8_t buf[4096];
	uint32_t id = 1;
	size_t n = 0;
	int r = 0;

	put_frame(&out, F_SETTINGS, ACK, 0, SETTINGS_NONE);
	for (int i = 0; i < LIMIT_RESET_BURST + 200 && !r && !session_done(session); i++, id += 2) {
		put_call(id, "");
		put_provocation(id, _i);
		r = feed();
		while (!r && !session_pull(session, buf, sizeof(buf), &n) && n)
			str_append_mem(&reader.bytes, buf, n);
		ck_assert(session_done(session) || host.box.n_calls == 0);
	}
	ck_assert_uint_le(id, 2 * (LIMIT_RESET_BURST + 10));
	expect_end(r);
}
END_TEST

START_TEST(ping_flood_ends_the_connection_also_when_read)
{
	uint8_t buf[4096];
	int r = 0;
	size_t n;

	for (int i = 0; i < LIMIT_EMPTY_BURST + 100 && !r && !session_done(session); i++) {
		put_frame(&out, F_PING, 0, 0, "12345678", 8);
		r = feed();
		if (i < LIMIT_EMPTY_BURST - 100) {
			ck_assert_int_eq(r, 0);
			ck_assert_int_eq(session_pull(session, buf, sizeof(buf), &n), 0);
		}
	}
	expect_end(r);
}
END_TEST

START_TEST(slow_pings_are_fine)
{
	for (int i = 0; i < 3 * LIMIT_EMPTY_BURST; i++) {
		put_frame(&out, F_PING, 0, 0, "12345678", 8);
		ck_assert_int_eq(feed(), 0);
		pull();
		host.now += SECOND_NS / 500;
	}
	expect_usable(1);
}
END_TEST

START_TEST(pings_that_are_not_read_end_the_connection)
{
	int r = 0;

	for (int i = 0; i < 2 * LIMIT_OUTBOUND_ACKS && !r; i++) {
		put_frame(&out, F_PING, 0, 0, "12345678", 8);
		r = feed();
	}
	ck_assert_int_lt(r, 0);
}
END_TEST

START_TEST(settings_flood_ends_the_connection)
{
	int r = 0;

	for (int i = 0; i < 2 * LIMIT_OUTBOUND_ACKS && !r; i++) {
		put_frame(&out, F_SETTINGS, 0, 0, SETTINGS_NONE);
		r = feed();
	}
	ck_assert_int_lt(r, 0);
}
END_TEST

START_TEST(empty_data_flood_ends_the_connection)
{
	int r = 0;

	put_request(&out, 1, 0, PATH, NULL);
	for (int i = 0; i < LIMIT_EMPTY_BURST + 100; i++)
		put_frame(&out, F_DATA, 0, 1, "", 0);
	r = feed();
	expect_end(r);
}
END_TEST

START_TEST(settings_with_too_many_entries_end_the_connection)
{
	char entries[6 * (LIMIT_SETTINGS + 1)] = { 0 };

	put_frame(&out, F_SETTINGS, 0, 0, entries, sizeof(entries));
	expect_end(feed());
}
END_TEST

START_TEST(too_many_streams_are_refused)
{
	uint32_t id = 1;

	put_frame(&out, F_SETTINGS, ACK, 0, SETTINGS_NONE);
	for (int i = 0; i < LIMIT_STREAMS; i++, id += 2)
		put_call(id, "");
	ck_assert_int_eq(feed(), 0);
	pull();
	put_frame(&out, F_SETTINGS, ACK, 0, SETTINGS_NONE);
	put_call(id, "");
	feed();
	ck_assert_uint_le(session_streams(session), LIMIT_STREAMS);
	ck_assert_uint_le(host.box.n_calls, LIMIT_STREAMS);
}
END_TEST

START_TEST(thousands_of_calls_are_answered_in_any_order)
{
	static struct crisvc_call *calls[LIMIT_STREAMS];
	struct frame f;
	int answers = 0;

	put_frame(&out, F_SETTINGS, ACK, 0, SETTINGS_NONE);
	for (uint32_t i = 0; i < LIMIT_STREAMS; i++)
		put_call(2 * i + 1, "");
	ck_assert_int_eq(feed(), 0);
	for (size_t i = 0; i < LIMIT_STREAMS; i++)
		calls[i] = pop();
	for (size_t i = 0; i < LIMIT_STREAMS; i++) /* 1663 and 4096 have no common divisor */
		answer(calls[i * 1663 % LIMIT_STREAMS], "a");
	while (next(&f))
		answers += f.type == F_HEADERS && f.flags & END_STREAM &&
			   has_header("grpc-status: 0");
	ck_assert_int_eq(answers, LIMIT_STREAMS);
	ck_assert_uint_eq(session_streams(session), 0);
	expect_usable(2 * LIMIT_STREAMS + 1);
}
END_TEST

START_TEST(streams_of_all_connections_have_a_limit)
{
	host.n_streams = LIMIT_ALL_STREAMS;
	put_call(1, "");
	ck_assert_int_eq(feed(), 0);
	expect_reset(1, NGHTTP2_REFUSED_STREAM);
	ck_assert_uint_eq(host.n_streams, LIMIT_ALL_STREAMS);
	host.n_streams = 0;
	expect_usable(3);
}
END_TEST

/* ---- keepalive ---- */

static void keepalive_session(void)
{
	session_free(session);
	host.keepalive = 60 * SECOND_NS;
	ck_assert_int_eq(session_new(&host, NULL, &session), 0);
	ck_assert_int_eq(feed(), 0);
	pull();
	reader.pos = reader.bytes.len;
}

static void let_pass(int64_t seconds)
{
	host.now += seconds * SECOND_NS;
	timers_run(&host.timers, host.now);
}

static bool was_asked(void)
{
	struct frame f;
	bool asked = false;

	pull();
	while (reader_next(&reader, &f))
		asked |= f.type == F_PING && !(f.flags & ACK);
	return asked;
}

START_TEST(silent_client_is_asked_and_ended)
{
	keepalive_session();
	let_pass(59);
	ck_assert(!was_asked());
	let_pass(1);
	ck_assert(was_asked());
	let_pass(19);
	ck_assert(!session_done(session));
	let_pass(1);
	ck_assert(session_done(session));
}
END_TEST

START_TEST(client_that_answers_is_kept)
{
	keepalive_session();
	for (int i = 0; i < 10; i++) {
		let_pass(60);
		ck_assert(was_asked());
		put_frame(&out, F_PING, ACK, 0, "\0\0\0\0\0\0\0\0", 8);
		ck_assert_int_eq(feed(), 0);
		let_pass(20);
		ck_assert(!session_done(session));
		let_pass(-20); /* where the timer was set from */
	}
	let_pass(30);
	expect_usable(1);
	let_pass(31);
	ck_assert(!was_asked());
}
END_TEST

START_TEST(too_many_unanswered_calls_are_resource_exhausted)
{
	uint32_t id = 1;

	/* abandoned by their clients, and still being worked on */
	for (int i = 0; i < LIMIT_CALLS; i++, id += 2) {
		put_call(id, "");
		ck_assert_int_eq(feed(), 0);
		pop();
		put_reset(&out, id, NGHTTP2_CANCEL);
		ck_assert_int_eq(feed(), 0);
		host.now += SECOND_NS; /* not a rapid reset */
		if (i % 500 == 499) {
			/* the rate of nghttp2 has its own clock: a new connection starts afresh */
			session_free(session);
			ck_assert_int_eq(session_new(&host, NULL, &session), 0);
			str_append(&out, PREFACE);
			put_frame(&out, F_SETTINGS, 0, 0, SETTINGS_NONE);
			id = (uint32_t)-1;
		}
	}
	reader_done(&reader);
	reader_init(&reader);
	put_call(id, "");
	ck_assert_int_eq(feed(), 0);
	ck_assert_ptr_null(pop_ready());
	expect_error(id, "grpc-status: 8");
	ck_assert_uint_eq(cancelled, LIMIT_CALLS);
}
END_TEST

START_TEST(request_bytes_have_a_common_limit)
{
	_cleanup_free_ char *big = calloc(1, 10000);

	host.requests.max = 15000;
	put_request(&out, 1, 0, PATH, NULL);
	put_message(&out, 1, END_STREAM, big, 10000);
	put_request(&out, 3, 0, PATH, NULL);
	put_message(&out, 3, END_STREAM, big, 10000);
	ck_assert_int_eq(feed(), 0);
	expect_error(3, "grpc-status: 8");
	answer(pop(), "ok");
	expect_reply(1, "ok", 2);
	put_request(&out, 5, 0, PATH, NULL);
	put_message(&out, 5, END_STREAM, big, 10000);
	ck_assert_int_eq(feed(), 0);
	answer(pop(), "ok");
	expect_reply(5, "ok", 2);
}
END_TEST

START_TEST(answers_that_nobody_reads_have_a_common_limit)
{
	_cleanup_free_ char *big = calloc(1, 1 << 20);

	host.output.max = 2500000;
	for (uint32_t id = 1; id < 7; id += 2)
		put_call(id, "");
	ck_assert_int_eq(feed(), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(crisvc_call_reply(pop(), big, 1 << 20), 0);
	mailbox_collect(&host.box);
	ck_assert_uint_eq(atomic_load(&host.output.used), 2 * ((1 << 20) + 5));
	expect_headers(1, 0);
	expect_headers(3, 0);
	expect_error(5, "grpc-status: 8");
}
END_TEST

START_TEST(garbage_is_refused)
{
	str_reset(&out);
	str_append(&out, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_lt(feed(), 0);
}
END_TEST

START_TEST(random_bytes_after_the_preface_do_no_harm)
{
	srand((unsigned)_i);
	for (int i = 0; i < 200; i++) {
		char p[64];

		for (size_t j = 0; j < sizeof(p); j++)
			p[j] = (char)(rand() % (rand() % 2 ? 256 : 10));
		if (rand() % 2)
			put_call((uint32_t)(2 * i + 1), "x");
		put_frame(&out, (unsigned)rand() % 12, (unsigned)rand() % 64, (uint32_t)rand() % 20,
			  p, (size_t)rand() % sizeof(p));
		if (feed())
			break;
		pull();
	}
}
END_TEST

/* ---- goodbye ---- */

START_TEST(drain_serves_what_was_sent_and_ends)
{
	struct crisvc_call *c;
	struct frame f;

	put_call(1, "");
	ck_assert_int_eq(feed(), 0);
	c = pop();
	session_drain(session);
	session_drain(session);
	ck_assert(next(&f));
	ck_assert_uint_eq(f.type, F_GOAWAY);
	ck_assert_uint_eq(get_u32(f.p), 0x7fffffff);
	ck_assert_uint_eq(get_u32(f.p + 4), NGHTTP2_NO_ERROR);
	ck_assert(next(&f));
	ck_assert_uint_eq(f.type, F_PING);
	/* sent before the client saw the GOAWAY */
	put_call(3, "");
	put_frame(&out, F_PING, ACK, 0, f.p, 8);
	ck_assert_int_eq(feed(), 0);
	ck_assert(next(&f));
	ck_assert_uint_eq(f.type, F_GOAWAY);
	ck_assert_uint_eq(get_u32(f.p), 3);
	/* sent after: ignored */
	put_call(5, "");
	ck_assert_int_eq(feed(), 0);
	answer(pop(), "three");
	expect_reply(3, "three", 5);
	ck_assert_ptr_null(pop_ready());
	ck_assert(!session_done(session));
	answer(c, "one");
	expect_reply(1, "one", 3);
	ck_assert(session_done(session));
}
END_TEST

START_TEST(drain_does_not_wait_for_a_silent_client)
{
	struct frame f;

	ck_assert_int_eq(feed(), 0);
	session_drain(session);
	pull();
	host.now += LIMIT_DRAIN_NS;
	timers_run(&host.timers, host.now);
	ck_assert(next(&f) && next(&f) && next(&f));
	ck_assert_uint_eq(f.type, F_GOAWAY);
	ck_assert(session_done(session));
}
END_TEST

static TCase *calls_case(void)
{
	TCase *tc = tcase_create("calls");

	tcase_add_loop_test(tc, unary_call_is_answered, 0, 8);
	tcase_add_test(tc, message_cut_into_frames_is_joined);
	tcase_add_test(tc, empty_request_and_reply);
	tcase_add_test(tc, failure_is_trailers_only_with_encoded_message);
	tcase_add_test(tc, failure_with_impossible_status_is_unknown);
	tcase_add_test(tc, long_error_message_is_cut);
	tcase_add_test(tc, reply_larger_than_the_limit_becomes_resource_exhausted);
	tcase_add_test(tc, several_messages_and_a_late_status_are_sent_in_order);
	tcase_add_test(tc, messages_and_their_end_may_be_handed_in_at_once);
	tcase_add_test(tc, answer_without_messages_may_be_ok);
	tcase_add_test(tc, sender_waits_for_a_client_that_does_not_read);
	tcase_add_test(tc, one_message_may_be_larger_than_the_room);
	tcase_add_test(tc, sender_learns_that_its_client_left);
	tcase_add_test(tc, callback_may_send_and_end);
	tcase_add_test(tc, deadline_ends_a_stream_of_messages);
	tcase_add_test(tc, metadata_comes_in_and_trailers_go_out);
	tcase_add_test(tc, trailers_go_with_errors_and_are_checked);
	tcase_add_loop_test(tc, header_is_accepted_or_answered, 0, ARRAY_SIZE(headers));
	tcase_add_loop_test(tc, request_headers_are_checked, 0, ARRAY_SIZE(requests));
	tcase_add_test(tc, authority_may_be_the_path_of_a_socket);
	tcase_add_loop_test(tc, request_body_is_checked, 0, ARRAY_SIZE(bodies));
	tcase_add_test(tc, request_without_body_has_no_message);
	tcase_add_test(tc, early_error_stops_a_sender_that_goes_on);
	tcase_add_test(tc, early_error_waits_for_the_end);
	tcase_add_test(tc, trailers_of_a_request_end_it);
	tcase_add_test(tc, second_headers_without_end_are_an_error);
	tcase_add_test(tc, deadline_is_answered_by_the_library);
	tcase_add_test(tc, request_that_does_not_arrive_is_given_up);
	tcase_add_test(tc, reset_cancels_the_call);
	tcase_add_test(tc, call_that_was_reset_before_anybody_saw_it_is_gone);
	tcase_add_test(tc, lost_connection_cancels_the_call);
	tcase_add_test(tc, callback_set_too_late_is_told_by_the_next_turn);
	tcase_add_test(tc, callback_may_answer_the_call);
	tcase_add_test(tc, cancel_is_not_told_after_the_answer);
	tcase_add_test(tc, large_reply_waits_for_the_window);
	tcase_add_test(tc, large_request_gets_windows_at_once);
	tcase_add_test(tc, drain_serves_what_was_sent_and_ends);
	tcase_add_test(tc, drain_does_not_wait_for_a_silent_client);
	return tc;
}

static TCase *limits_case(void)
{
	TCase *tc = tcase_create("limits");

	tcase_add_test(tc, header_bomb_resets_the_stream_only);
	tcase_add_test(tc, headers_just_below_the_limit_pass);
	tcase_add_test(tc, continuation_flood_ends_the_connection);
	tcase_add_test(tc, rapid_reset_ends_the_connection);
	tcase_add_test(tc, ping_flood_ends_the_connection_also_when_read);
	tcase_add_test(tc, slow_pings_are_fine);
	tcase_add_test(tc, pings_that_are_not_read_end_the_connection);
	tcase_add_test(tc, settings_flood_ends_the_connection);
	tcase_add_test(tc, empty_data_flood_ends_the_connection);
	tcase_add_test(tc, settings_with_too_many_entries_end_the_connection);
	tcase_add_test(tc, too_many_streams_are_refused);
	tcase_add_test(tc, thousands_of_calls_are_answered_in_any_order);
	tcase_add_test(tc, streams_of_all_connections_have_a_limit);
	tcase_add_test(tc, silent_client_is_asked_and_ended);
	tcase_add_test(tc, client_that_answers_is_kept);
	tcase_add_loop_test(tc, provoked_resets_end_the_connection, 0, 4);
	tcase_add_test(tc, too_many_unanswered_calls_are_resource_exhausted);
	tcase_add_test(tc, request_bytes_have_a_common_limit);
	tcase_add_test(tc, answers_that_nobody_reads_have_a_common_limit);
	tcase_add_test(tc, garbage_is_refused);
	tcase_add_loop_test(tc, random_bytes_after_the_preface_do_no_harm, 0, 50);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("session");
	TCase *cases[] = { calls_case(), limits_case() };
	SRunner *sr;
	int failed;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		tcase_add_checked_fixture(cases[i], setup, teardown);
		tcase_set_timeout(cases[i], 60);
		suite_add_tcase(s, cases[i]);
	}
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
