/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of several messages, and metadata. */
#include "session_case.h"

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

int main(void)
{
	TCase *tc = tcase_create("messages");

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
	return run_session_case(tc);
}
