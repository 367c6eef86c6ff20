/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP/2 engine of the server: calls and what they must look like. */
#include "session_case.h"

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

int main(void)
{
	TCase *tc = tcase_create("calls");

	tcase_add_loop_test(tc, unary_call_is_answered, 0, 8);
	tcase_add_test(tc, message_cut_into_frames_is_joined);
	tcase_add_test(tc, empty_request_and_reply);
	tcase_add_test(tc, failure_is_trailers_only_with_encoded_message);
	tcase_add_test(tc, failure_with_impossible_status_is_unknown);
	tcase_add_test(tc, long_error_message_is_cut);
	tcase_add_test(tc, reply_larger_than_the_limit_becomes_resource_exhausted);
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
	return run_session_case(tc);
}
