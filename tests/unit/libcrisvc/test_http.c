/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP/1 engine of the server, without a socket; the clock is a variable. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cbase/cleanup.h>
#include <cbase/str.h>

#include "crisvc.h"
#include "http.h"
#include "limit.h"

static struct host host;
static struct http *http;
static struct crisvc_http *request; /* what the handler got */
static unsigned requests, cancelled;
static bool attention;

static void note_attention(void *user)
{
	attention = true;
}

static void note_request(struct host *h, struct crisvc_http *r)
{
	request = r;
	requests++;
}

static void note_cancel(void *user)
{
	cancelled++;
}

static void setup(void)
{
	host = (struct host){ .want_attention = note_attention,
			      .on_http = note_request,
			      .now = 1000 * SECOND_NS };
	host.requests.max = LIMIT_REQUEST_BYTES;
	host.output.max = LIMIT_OUTPUT;
	mailbox_init(&host.box, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), &host.requests, 1 << 20);
	ck_assert_int_eq(http_new(&host, NULL, &http), 0);
	request = NULL;
	requests = cancelled = 0;
}

static void teardown(void)
{
	http = http_free(http);
	ck_assert_uint_eq(host.n_http, 0);
	ck_assert_uint_eq(host.output.used, 0);
	mailbox_done(&host.box);
	timers_done(&host.timers);
	close(host.box.wake_fd);
}

static void again(void)
{
	teardown();
	setup();
}

static void say(const char *text)
{
	ck_assert_int_eq(http_feed(http, text, strlen(text)), 0);
}

/* All that is to be sent now, pulled in pieces of size, without the line of the date. */
static char *hear_in(size_t size)
{
	struct str s = STR_INIT;
	unsigned char buf[65536];
	char *text, *date;
	size_t n;

	mailbox_collect(&host.box);
	while ((n = http_pull(http, buf, size)))
		str_append_mem(&s, buf, n);
	text = str_take(&s, NULL);
	date = strstr(text, "Date: ");
	if (date) {
		ck_assert_int_eq(sscanf(date, "Date: %*3c, %*2d %*3c %*4d %*2d:%*2d:%*2d GMT%n",
					(int[]){ 0 }),
				 0);
		memmove(date, strchr(date, '\n') + 1, strlen(strchr(date, '\n')));
	}
	return text;
}

static void expect_in(size_t size, const char *want)
{
	_cleanup_free_ char *text = hear_in(size);

	ck_assert_str_eq(text, want);
}

static void expect(const char *want)
{
	expect_in(65536, want);
}

static void expect_status(int status)
{
	_cleanup_free_ char *text = hear_in(65536);
	char begin[32];

	snprintf(begin, sizeof(begin), "HTTP/1.1 %d ", status);
	if (!str_starts(text, begin))
		ck_abort_msg("want %d, got %s", status, text);
	ck_assert_ptr_nonnull(strstr(text, "\r\nConnection: close\r\n"));
	ck_assert(http_all_said(http));
}

#define GET "GET /info HTTP/1.1\r\nHost: x\r\n\r\n"

/* ---- requests ---- */

START_TEST(request_has_method_path_and_query)
{
	say("GET /containers/a%2Fb?watch=1&x=?y HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n");
	ck_assert_uint_eq(requests, 1);
	ck_assert_str_eq(crisvc_http_method(request), "GET");
	ck_assert_str_eq(crisvc_http_path(request), "/containers/a%2Fb");
	ck_assert_str_eq(crisvc_http_query(request), "watch=1&x=?y");
	ck_assert(http_busy(http));
	ck_assert_int_eq(crisvc_http_reply(request, 200, "application/json", "{}", 2), 0);
	expect("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	       "Content-Length: 2\r\nConnection: close\r\n\r\n{}");
}
END_TEST

/* How people and a test of CRI-O write it. */
static const char *const accepted[] = {
	"GET /info HTTP/1.1\nHost: x\n\n",
	"GET /info HTTP/1.1\r\nHost: crio\r\n\n",
	"GET /info HTTP/1.1\nHost: x\n\r\n",
	"GET /info HTTP/1.0\r\n\r\n",
	"GET /info HTTP/1.0\n\n",
	"GET /info HTTP/1.1\r\nhOST:\r\n\r\n",
	"GET /info HTTP/1.1\r\nHost: /var/run/crio/crio.sock\r\nX: a\tb\xc3\xa4\r\n\r\n",
	"GET http://localhost/info HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"GET /info HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nbody that nobody reads",
	"POST /info HTTP/1.1\r\nHost: x\r\n\r\n",
	"PRX /info HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /info HTTP/1.9\r\nHost: x\r\n\r\n",
};

START_TEST(usual_requests_are_accepted)
{
	say(accepted[_i]);
	ck_assert_uint_eq(requests, 1);
	ck_assert_str_eq(crisvc_http_path(request), "/info");
	crisvc_http_reply(request, 404, NULL, NULL, 0);
	expect("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}
END_TEST

START_TEST(request_byte_by_byte)
{
	for (const char *p = GET; *p; p++) {
		ck_assert_uint_eq(requests, 0);
		ck_assert_int_eq(http_feed(http, p, 1), 0);
	}
	ck_assert_uint_eq(requests, 1);
	crisvc_http_reply(request, 200, "text/plain", "hello", 5);
	expect_in(1, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
		     "Content-Length: 5\r\nConnection: close\r\n\r\nhello");
	ck_assert_uint_eq(http_progress(http),
			  37 + strlen("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
				      "Content-Length: 5\r\nConnection: close\r\n\r\nhello"));
}
END_TEST

START_TEST(second_request_is_dropped)
{
	say(GET GET);
	say(GET);
	ck_assert_uint_eq(requests, 1);
	crisvc_http_reply(request, 200, NULL, NULL, 0);
	expect_status(200);
	say(GET);
	ck_assert_uint_eq(requests, 1);
}
END_TEST

static const struct {
	int status;
	const char *text;
} refused[] = {
	{ 400, "GET\r\n\r\n" },
	{ 400, "GET /\r\n\r\n" }, /* HTTP/0.9 */
	{ 400, "GET /  HTTP/1.1\r\nHost: x\r\n\r\n" },
	{ 400, "GET  / HTTP/1.1\r\nHost: x\r\n\r\n" },
	{ 400, "GET / a HTTP/1.1\r\nHost: x\r\n\r\n" },
	{ 400, "GET info HTTP/1.1\r\nHost: x\r\n\r\n" },
	{ 400, "GET http://host HTTP/1.1\r\nHost: x\r\n\r\n" },
	{ 400, "GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n" },
	{ 400, "GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n" },
	{ 400, "GET /\r HTTP/1.1\r\nHost: x\r\n\r\n" },
	{ 400, "G(T / HTTP/1.1\r\nHost: x\r\n\r\n" },
	{ 400, "GET / HTTP/11\r\nHost: x\r\n\r\n" },
	{ 400, "GET / HTTP/1.1x\r\nHost: x\r\n\r\n" },
	{ 400, "GET / http/1.1\r\nHost: x\r\n\r\n" },
	{ 505, "GET / HTTP/2.0\r\nHost: x\r\n\r\n" },
	{ 505, "GET / HTTP/1.x\r\nHost: x\r\n\r\n" },
	{ 400, "GET / HTTP/1.1\r\n\r\n" },
	{ 400, "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" },
	{ 400, "GET / HTTP/1.1\r\nHost : x\r\n\r\n" },
	{ 400, "GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n" },
	{ 400, "GET / HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n" },
	{ 400, "GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n" },
	{ 400, "GET / HTTP/1.1\r\nHost: x\ry: z\r\n\r\n" },
	{ 400, "GET / HTTP/1.1\r\nHost: \x7f\r\n\r\n" },
};

START_TEST(malformed_request_is_answered_and_not_handed_on)
{
	say(refused[_i].text);
	ck_assert_uint_eq(requests, 0);
	expect_status(refused[_i].status);
	ck_assert_uint_eq(mailbox_pending(&host.box), 0);
}
END_TEST

START_TEST(nul_anywhere_is_400)
{
	static const char text[] = "GET /info HTTP/1.0\r\nA: b\r\n\r\n";

	/* not in the bytes by which the end of the head is found */
	for (size_t i = 1; i < sizeof(text) - 1 - 4; i++) {
		char copy[sizeof(text)];

		memcpy(copy, text, sizeof(text));
		copy[i] = '\0';
		ck_assert_int_eq(http_feed(http, copy, sizeof(text) - 1), 0);
		ck_assert_msg(!requests, "NUL at %zu passed", i);
		expect_status(400);
		again();
	}
}
END_TEST

/* ---- limits ---- */

static void say_many(char c, size_t n)
{
	_cleanup_free_ char *p = malloc(n);

	memset(p, c, n);
	ck_assert_int_eq(http_feed(http, p, n), 0);
}

START_TEST(long_request_line_is_414)
{
	say("GET /");
	say_many('a', LIMIT_HTTP_LINE - 6);
	ck_assert(!http_has_output(http));
	say_many('a', 1);
	expect_status(414);
	again();
	say("GET /"); /* all at once, with its end behind the limit */
	say_many('a', LIMIT_HTTP_LINE);
	expect_status(414);
	say(" HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_uint_eq(requests, 0);
}
END_TEST

START_TEST(longest_line_and_head_are_accepted)
{
	static const char rest[] = " HTTP/1.0\r\n";
	size_t used;

	say("GET /");
	say_many('a', LIMIT_HTTP_LINE - 5 - strlen(rest));
	say(rest);
	say("A: ");
	used = LIMIT_HTTP_LINE + 3 + 4;
	say_many('b', LIMIT_HTTP_HEAD - used);
	say("\r\n\r\n");
	ck_assert_uint_eq(requests, 1);
	ck_assert_uint_eq(strlen(crisvc_http_path(request)), LIMIT_HTTP_LINE - 4 - strlen(rest));
	crisvc_http_reply(request, 200, NULL, NULL, 0);
}
END_TEST

START_TEST(long_head_is_431_and_takes_no_more_memory)
{
	say("GET / HTTP/1.1\r\n");
	for (int i = 0; i < 10000; i++)
		say("A: b\r\n");
	expect_status(431);
	ck_assert_uint_eq(requests, 0);
}
END_TEST

START_TEST(who_is_slow_is_closed)
{
	say("GET / HTTP/1.1\r\n");
	for (int i = 0; i < 10; i++) {
		host.now += LIMIT_HTTP_READ_NS / 10;
		ck_assert(!http_done(http));
		timers_run(&host.timers, host.now - 1);
		say("A: b\r\n"); /* trickling helps nothing */
	}
	attention = false;
	timers_run(&host.timers, host.now);
	ck_assert(http_done(http));
	ck_assert(attention);
}
END_TEST

START_TEST(who_is_silent_is_closed)
{
	timers_run(&host.timers, host.now + LIMIT_HTTP_READ_NS - 1);
	ck_assert(!http_done(http));
	timers_run(&host.timers, host.now + LIMIT_HTTP_READ_NS);
	ck_assert(http_done(http));
}
END_TEST

START_TEST(who_waits_for_the_application_is_not_closed)
{
	say(GET);
	timers_run(&host.timers, host.now + 3600 * SECOND_NS);
	ck_assert(!http_done(http));
	crisvc_http_reply(request, 200, NULL, NULL, 0);
	expect_status(200);
	ck_assert_int_eq(http_linger(http), 0);
	ck_assert(!http_done(http));
	timers_run(&host.timers, host.now + LIMIT_HTTP_LINGER_NS);
	ck_assert(http_done(http));
}
END_TEST

START_TEST(connections_have_a_limit)
{
	struct http *others[LIMIT_HTTP_CONNECTIONS];

	for (size_t i = 0; i < LIMIT_HTTP_CONNECTIONS; i++) {
		ck_assert_int_eq(http_new(&host, NULL, &others[i]), 0);
		ck_assert_int_eq(http_feed(others[i], "G", 1), 0);
	}
	say(GET);
	ck_assert_uint_eq(requests, 0);
	expect_status(503);
	for (size_t i = 0; i < LIMIT_HTTP_CONNECTIONS; i++)
		http_free(others[i]);
	ck_assert_uint_eq(host.n_http, 0);
}
END_TEST

START_TEST(calls_have_a_limit)
{
	host.box.n_calls = LIMIT_CALLS;
	say(GET);
	ck_assert_uint_eq(requests, 0);
	host.box.n_calls = 0;
	expect_status(503);
}
END_TEST

START_TEST(answers_have_a_limit)
{
	host.output.max = 4;
	say(GET);
	crisvc_http_reply(request, 200, "text/plain", "12345", 5);
	expect_status(503);
}
END_TEST

START_TEST(reply_larger_than_messages_may_be_is_500)
{
	_cleanup_free_ char *p = calloc(1, (1 << 20) + 1);

	say(GET);
	ck_assert_int_eq(crisvc_http_reply(request, 200, "text/plain", p, (1 << 20) + 1),
			 -EMSGSIZE);
	expect("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: "
	       "close\r\n\r\n");
}
END_TEST

/* ---- which protocol ---- */

START_TEST(http2_is_recognised_in_any_pieces)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	const char *held;
	size_t n;

	for (size_t first = 0; first < 4; first++) {
		ck_assert_int_eq(http_feed(http, preface, first), 0);
		ck_assert_int_eq(http_feed(http, preface + first, strlen(preface + first)),
				 HTTP_IS_HTTP2);
		held = http_held(http, &n);
		ck_assert_uint_eq(n, first);
		ck_assert(!n || !memcmp(held, "PRI", n));
		ck_assert_uint_eq(host.n_http, 0);
		again();
	}
}
END_TEST

START_TEST(what_is_neither_is_closed)
{
	static const char hello[] = "\x16\x03\x01\x02";

	ck_assert_int_lt(http_feed(http, hello, 4), 0);
	again();
	ck_assert_int_lt(http_feed(http, "\r\n", 2), 0);
	again();
	ck_assert_int_lt(http_feed(http, "get / HTTP/1.1\r\n", 16), 0);
}
END_TEST

/* ---- answers ---- */

START_TEST(headers_are_added)
{
	say("PUT /info HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_eq(crisvc_http_add_header(request, "Allow", "GET"), 0);
	ck_assert_int_eq(crisvc_http_add_header(request, "X-Y", ""), 0);
	ck_assert_int_eq(crisvc_http_add_header(request, "X Y", "a"), -EINVAL);
	ck_assert_int_eq(crisvc_http_add_header(request, "X", "a\r\nB: c"), -EINVAL);
	ck_assert_int_eq(crisvc_http_reply(request, 405, "text/plain\n", "", 0), -EINVAL);
	ck_assert_int_eq(crisvc_http_reply(request, 199, NULL, "", 0), -EINVAL);
	ck_assert_int_eq(crisvc_http_reply(request, 600, NULL, "", 0), -EINVAL);
	ck_assert_int_eq(crisvc_http_reply(request, 200, NULL, NULL, 1), -EINVAL);
	ck_assert_int_eq(crisvc_http_reply(request, 405, "text/plain", "no", 2), 0);
	expect("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\nX-Y: \r\nContent-Type: "
	       "text/plain\r\n"
	       "Content-Length: 2\r\nConnection: close\r\n\r\nno");
	ck_assert_int_eq(crisvc_http_reply(NULL, 200, NULL, NULL, 0), -EINVAL);
}
END_TEST

START_TEST(answer_to_head_has_no_body)
{
	say("HEAD /info HTTP/1.1\r\nHost: x\r\n\r\n");
	crisvc_http_reply(request, 299, NULL, "12345", 5);
	expect("HTTP/1.1 299 \r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
	ck_assert(http_all_said(http));
}
END_TEST

START_TEST(large_answer_in_odd_pieces)
{
	_cleanup_free_ char *p = malloc(100000), *text = NULL;

	for (int i = 0; i < 100000; i++)
		p[i] = (char)('a' + i % 23);
	say(GET);
	crisvc_http_reply(request, 200, NULL, p, 100000);
	free(p);
	p = NULL;
	text = hear_in(777);
	for (int i = 0; i < 100000; i++)
		ck_assert_int_eq(strstr(text, "\r\n\r\n")[4 + i], 'a' + i % 23);
	ck_assert(http_all_said(http));
}
END_TEST

/* ---- leaving ---- */

START_TEST(client_that_leaves_cancels_its_request)
{
	say(GET);
	crisvc_http_on_cancel(request, note_cancel, NULL);
	ck_assert_uint_eq(mailbox_pending(&host.box), 1);
	http = http_free(http);
	ck_assert_uint_eq(cancelled, 1);
	crisvc_http_reply(request, 200, "text/plain", "nobody", 6);
	mailbox_collect(&host.box);
	ck_assert_uint_eq(mailbox_pending(&host.box), 0);
	ck_assert_uint_eq(host.box.n_calls, 0);
}
END_TEST

START_TEST(unanswered_request_is_freed_with_the_server)
{
	say(GET);
	crisvc_http_add_header(request, "A", "b");
	mailbox_silence(&host.box);
}
END_TEST

START_TEST(half_closed_client_gets_its_answer)
{
	say(GET);
	ck_assert_int_eq(http_eof(http), 0);
	crisvc_http_reply(request, 200, NULL, NULL, 0);
	expect_status(200);
	ck_assert_int_eq(http_linger(http), 0);
	ck_assert(http_done(http)); /* it has nothing more to say */
}
END_TEST

START_TEST(end_before_the_end_of_the_head_closes)
{
	ck_assert_int_lt(http_eof(http), 0);
	again();
	say("GET / HTTP/1.1\r\nHost: x\r\n");
	ck_assert_int_lt(http_eof(http), 0);
	ck_assert_uint_eq(requests, 0);
}
END_TEST

START_TEST(drain_closes_what_is_not_whole)
{
	say(GET);
	http_drain(http);
	ck_assert(!http_done(http));
	crisvc_http_reply(request, 200, NULL, NULL, 0);
	expect_status(200);
	again();
	say("GET / HT");
	http_drain(http);
	ck_assert(http_done(http));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("http");
	TCase *t = tcase_create("http");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, request_has_method_path_and_query);
	tcase_add_loop_test(t, usual_requests_are_accepted, 0,
			    (int)(sizeof(accepted) / sizeof(accepted[0])));
	tcase_add_test(t, request_byte_by_byte);
	tcase_add_test(t, second_request_is_dropped);
	tcase_add_loop_test(t, malformed_request_is_answered_and_not_handed_on, 0,
			    (int)(sizeof(refused) / sizeof(refused[0])));
	tcase_add_test(t, nul_anywhere_is_400);
	tcase_add_test(t, long_request_line_is_414);
	tcase_add_test(t, longest_line_and_head_are_accepted);
	tcase_add_test(t, long_head_is_431_and_takes_no_more_memory);
	tcase_add_test(t, who_is_slow_is_closed);
	tcase_add_test(t, who_is_silent_is_closed);
	tcase_add_test(t, who_waits_for_the_application_is_not_closed);
	tcase_add_test(t, connections_have_a_limit);
	tcase_add_test(t, calls_have_a_limit);
	tcase_add_test(t, answers_have_a_limit);
	tcase_add_test(t, reply_larger_than_messages_may_be_is_500);
	tcase_add_test(t, http2_is_recognised_in_any_pieces);
	tcase_add_test(t, what_is_neither_is_closed);
	tcase_add_test(t, headers_are_added);
	tcase_add_test(t, answer_to_head_has_no_body);
	tcase_add_test(t, large_answer_in_odd_pieces);
	tcase_add_test(t, client_that_leaves_cancels_its_request);
	tcase_add_test(t, unanswered_request_is_freed_with_the_server);
	tcase_add_test(t, half_closed_client_gets_its_answer);
	tcase_add_test(t, end_before_the_end_of_the_head_closes);
	tcase_add_test(t, drain_closes_what_is_not_whole);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
