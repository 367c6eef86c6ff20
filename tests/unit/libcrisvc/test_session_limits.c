/* SPDX-License-Identifier: Apache-2.0 */
/* Floods, limits, and signs of life: each attack is the raw frames of it. */
#include "session_case.h"

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

/* The client reads what is said to it, so nothing piles up; it has to end all the same. */
START_TEST(flood_ends_the_connection_also_when_read)
{
	static const struct {
		unsigned type;
		uint32_t id;
		const char *p;
		size_t n;
	} floods[] = {
		{ F_PING, 0, "12345678", 8 },
		{ F_SETTINGS, 0, "", 0 },
		{ F_SETTINGS, 0, "\0\4\0\1\0\0", 6 },
		{ F_PRIORITY, 1, "\0\0\0\0\17", 5 },
	};
	uint8_t buf[4096];
	size_t n = 0;
	int r = 0, i;

	for (i = 0; i < LIMIT_EMPTY_BURST + 100 && !r && !session_done(session); i++) {
		put_frame(&out, floods[_i].type, 0, floods[_i].id, floods[_i].p, floods[_i].n);
		r = feed();
		while (!r && !session_pull(session, buf, sizeof(buf), &n) && n)
			str_append_mem(&reader.bytes, buf, n);
	}
	ck_assert_int_gt(i, LIMIT_EMPTY_BURST - 100);
	expect_end(r);
}
END_TEST

/* A client that grants byte by byte gets its answer, and costs no more than that. */
START_TEST(window_of_single_bytes_is_served)
{
	_cleanup_str_ struct str one = STR_INIT, none = STR_INIT;
	struct frame f;
	size_t got = 0;

	str_append_mem(&none, "\0\4\0\0\0\0", 6); /* INITIAL_WINDOW_SIZE 0 */
	put_frame(&out, F_SETTINGS, 0, 0, none.data, none.len);
	put_call(1, "");
	ck_assert_int_eq(feed(), 0);
	answer(pop(), "hello");
	expect_headers(1, 0);
	expect_silence();
	put_u32(&one, 1);
	for (int i = 0; i < 10; i++) {
		put_frame(&out, F_WINDOW_UPDATE, 0, 1, one.data, 4);
		ck_assert_int_eq(feed(), 0);
		ck_assert(next(&f));
		ck_assert_uint_eq(f.type, F_DATA);
		got += f.n;
		ck_assert_uint_eq(got, (size_t)i + 1);
	}
	expect_headers(1, END_STREAM);
	ck_assert(has_header("grpc-status: 0"));
	ck_assert_uint_eq(atomic_load(&host.output.used), 0);
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

int main(void)
{
	TCase *tc = tcase_create("limits");

	tcase_add_test(tc, header_bomb_resets_the_stream_only);
	tcase_add_test(tc, headers_just_below_the_limit_pass);
	tcase_add_test(tc, continuation_flood_ends_the_connection);
	tcase_add_test(tc, rapid_reset_ends_the_connection);
	tcase_add_test(tc, slow_pings_are_fine);
	tcase_add_test(tc, pings_that_are_not_read_end_the_connection);
	tcase_add_test(tc, settings_flood_ends_the_connection);
	tcase_add_loop_test(tc, flood_ends_the_connection_also_when_read, 0, 4);
	tcase_add_test(tc, window_of_single_bytes_is_served);
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
	return run_session_case(tc);
}
