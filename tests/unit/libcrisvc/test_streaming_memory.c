/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of the streaming server fails once (those inside of zlib and wslay do not): each time the
 * connection ends or somebody is told, nothing hangs, and nothing leaks (under ASan).
 */
#include <check.h>
#include <stdio.h>
#include <sys/socket.h>

#include "failing.h"
#include "streaming/private.h"
#include "streaming/spdy_header.h"

static int started, finished;

/* Output to send and nobody who takes the input, as long as it lives. */
static void start(void *user, struct crisvc_stream *s)
{
	struct crisvc_stream_io io = { .size = sizeof(io), .in = -1, .out = -1, .err = -1 };
	int pair[2], kind = crisvc_stream_kind(s);

	started++;
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	must(write(pair[1], "output", 6) == 6);
	shutdown(pair[1], SHUT_WR);
	crisvc_stream_set_user(s, (void *)(intptr_t)pair[1]);
	io.in = io.out = pair[0];
	if (crisvc_stream_port(s) == 81) {
		close_fd(pair[0]);
		crisvc_stream_fail(s, "refused");
		return;
	}
	crisvc_stream_run(s, &io);
	if (kind == CRISVC_STREAM_EXEC)
		crisvc_stream_exit(s, 7);
}

static void done(void *user, struct crisvc_stream *s)
{
	finished++;
	close((int)(intptr_t)crisvc_stream_user(s));
}

static void drain(struct crisvc_streaming *s, int fd)
{
	static char buf[1 << 16];

	for (int i = 0; i < 4; i++) {
		must(crisvc_streaming_dispatch(s) == 0);
		while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
	}
}

/* One client of a server of its own; the token belongs where head has @. */
static void serve(const struct str *head, const struct str *words)
{
	static const uint16_t ports[] = { 80, 81 };
	struct crisvc_stream_backend backend = { .size = sizeof(backend), .start = start, .done = done };
	struct crisvc_stream_request q = { .size = sizeof(q), .kind = CRISVC_STREAM_EXEC };
	char token[CRISVC_STREAMING_TOKEN_SIZE], text[1024];
	struct crisvc_streaming *s = NULL;
	int pair[2], n;

	started = finished = 0;
	if (strstr(head->data, "/portforward/"))
		q = (struct crisvc_stream_request){ .size = sizeof(q), .kind = CRISVC_STREAM_PORT_FORWARD, .ports = ports, .n_ports = 2 };
	else
		q.flags = CRISVC_STREAM_STDIN | CRISVC_STREAM_STDOUT | CRISVC_STREAM_TTY;
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	if (crisvc_streaming_new(&backend, NULL, &s) || crisvc_streaming_expect(s, &q, token, NULL) || conn_new(s, pair[0])) {
		close_fd(pair[0]);
	} else {
		const char *at = strchr(head->data, '@');

		n = snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - head->data), head->data, token, at + 1);
		send(pair[1], text, (size_t)n, MSG_NOSIGNAL); /* it may be closed already */
		drain(s, pair[1]);
		send(pair[1], words->data, words->len, MSG_NOSIGNAL);
		drain(s, pair[1]);
	}
	close_fd(pair[1]);
	if (s)
		must(crisvc_streaming_dispatch(s) == 0);
	crisvc_streaming_free(s);
	must(started == finished);
}

/* ---- SPDY ---- */

static z_stream client;

static void number(struct str *out, uint32_t v)
{
	for (int i = 24; i >= 0; i -= 8)
		str_append_char(out, (char)(v >> i));
}

static void bytes(struct str *out, const char *text)
{
	number(out, (uint32_t)strlen(text));
	str_append(out, text);
}

static void put_wire(struct str *out, uint32_t id, const char *type, const char *port)
{
	_cleanup_str_ struct str plain = STR_INIT;
	uint8_t block[1024];
	size_t n;

	number(&plain, *port ? 3 : 1);
	bytes(&plain, "streamtype");
	bytes(&plain, type);
	if (*port) {
		bytes(&plain, "port");
		bytes(&plain, port);
		bytes(&plain, "requestid");
		bytes(&plain, port);
	}
	client.next_in = (Bytef *)plain.data;
	client.avail_in = (uInt)plain.len;
	client.next_out = block;
	client.avail_out = sizeof(block);
	must(deflate(&client, Z_SYNC_FLUSH) == Z_OK);
	n = sizeof(block) - client.avail_out;
	number(out, 0x80030001);
	number(out, (uint32_t)(10 + n));
	number(out, id);
	number(out, 0);
	str_append_mem(out, "\0\0", 2);
	str_append_mem(out, (char *)block, n);
}

static void put_data(struct str *out, uint32_t id, const char *text)
{
	number(out, id);
	bytes(out, text);
}

#define SPDY_HEAD                                                                                  \
	" HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"                                  \
	"X-Stream-Protocol-Version: v4.channel.k8s.io, portforward.k8s.io\r\n\r\n"

static void spdy_setup(void)
{
	client = (z_stream){ 0 };
	must(deflateInit(&client, 9) == Z_OK);
	must(deflateSetDictionary(&client, spdy_dictionary, SPDY_DICTIONARY_SIZE) == Z_OK);
}

static void spdy_teardown(void)
{
	deflateEnd(&client);
}

START_TEST(spdy_exec_survives_every_failed_allocation)
{
	_cleanup_str_ struct str head = STR_INIT, words = STR_INIT;

	str_append(&head, "POST /exec/@" SPDY_HEAD);
	put_wire(&words, 1, "error", "");
	put_wire(&words, 3, "stdin", "");
	put_wire(&words, 5, "stdout", "");
	put_wire(&words, 7, "resize", "");
	put_data(&words, 7, "{\"Width\":80,");
	put_data(&words, 7, "\"Height\":24}");
	put_data(&words, 3, "input");
	serve(&head, &words);
	ck_assert_int_eq(started, 1);
	ck_assert_int_ge(count_failures(serve, &head, &words), 15);
}
END_TEST

START_TEST(spdy_forward_survives_every_failed_allocation)
{
	_cleanup_str_ struct str head = STR_INIT, words = STR_INIT;

	str_append(&head, "POST /portforward/@" SPDY_HEAD);
	put_wire(&words, 1, "error", "80");
	put_wire(&words, 3, "data", "80");
	put_wire(&words, 5, "error", "81");
	put_wire(&words, 7, "data", "81");
	put_data(&words, 3, "input");
	serve(&head, &words);
	ck_assert_int_eq(started, 2);
	ck_assert_int_ge(count_failures(serve, &head, &words), 15);
}
END_TEST

/* ---- WebSocket ---- */

#define WS_HEAD(protocol)                                                                          \
	" HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"    \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " protocol "\r\n\r\n"

/* With a mask of zeros. */
static void put_frame(struct str *out, int op, const char *p, size_t n)
{
	str_append_char(out, (char)(0x80 | op));
	str_append_char(out, (char)(0x80 | n));
	str_append_mem(out, "\0\0\0\0", 4);
	str_append_mem(out, p, n);
}

START_TEST(websocket_survives_every_failed_allocation)
{
	static const char *const heads[] = { "GET /exec/@" WS_HEAD("v5.channel.k8s.io"), "GET /exec/@" WS_HEAD("v4.base64.channel.k8s.io"),
					     "GET /portforward/@" WS_HEAD("v4.channel.k8s.io") };
	_cleanup_str_ struct str head = STR_INIT, words = STR_INIT;

	str_append(&head, heads[_i]);
	if (_i == 1) {
		put_frame(&words, 1, "0aW5wdXQ=", 9);
		put_frame(&words, 1, "4eyJXaWR0aCI6ODB9", 17);
	} else {
		put_frame(&words, 2, "\0input", 6);
		put_frame(&words, 2, "\4{\"Width\":80,\"Height\":24}", 25);
		put_frame(&words, 2, "\377\0", 2);
	}
	put_frame(&words, 9, "ping", 4);
	serve(&head, &words);
	ck_assert_int_eq(started, _i == 2 ? 2 : 1);
	ck_assert_int_ge(count_failures(serve, &head, &words), 10);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("streaming memory");
	TCase *spdy = tcase_create("spdy"), *ws = tcase_create("websocket");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(spdy, spdy_setup, spdy_teardown);
	tcase_set_timeout(spdy, 60);
	tcase_set_timeout(ws, 60);
	tcase_add_test(spdy, spdy_exec_survives_every_failed_allocation);
	tcase_add_test(spdy, spdy_forward_survives_every_failed_allocation);
	tcase_add_loop_test(ws, websocket_survives_every_failed_allocation, 0, 3);
	suite_add_tcase(s, spdy);
	suite_add_tcase(s, ws);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
