/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of the library fails once (those inside of nghttp2 do not): each time somebody is
 * told or a connection ends, nothing hangs, and nothing leaks (under ASan).
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cbase/cleanup.h>

#include "channel.h"
#include "crisvc.h"
#include "failing.h"
#include "peer.h"

/* ---- a server ---- */

static struct sockaddr_un addr;
static socklen_t addr_len;

static int listener(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* an abstract name that the kernel picks */
	addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	addr_len = sizeof(addr);
	must(bind(fd, (struct sockaddr *)&addr, sizeof(sa_family_t)) == 0);
	must(getsockname(fd, (struct sockaddr *)&addr, &addr_len) == 0);
	must(listen(fd, 4) == 0);
	return fd;
}

static int dial(const struct str *words)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	must(connect(fd, (struct sockaddr *)&addr, addr_len) == 0);
	must(send(fd, words->data, words->len, MSG_NOSIGNAL) == (ssize_t)words->len);
	return fd;
}

static void on_http(struct crisvc_http *h, void *user)
{
	crisvc_http_add_header(h, "X-A", "b");
	crisvc_http_reply(h, 200, "text/plain", "fine", 4);
}

static void serve(struct crisvc_call *c)
{
	size_t n;
	const void *p = crisvc_call_request(c, &n);

	crisvc_call_add_trailer(c, "x-a", "b");
	if (n == 1) {
		crisvc_call_fail(c, CRISVC_ABORTED, "failed");
		return;
	}
	crisvc_call_send(c, p, n);
	crisvc_call_reply(c, p, n);
}

static void be_server(const struct str *grpc, const struct str *http)
{
	struct crisvc_server *s = NULL;
	int fd = listener(), a = dial(grpc), b = dial(http);
	struct crisvc_call *c;
	int r = crisvc_server_new(&s);

	if (!r)
		r = crisvc_server_add_method(s, "/a.B/C", NULL);
	if (!r)
		r = crisvc_server_set_http(s, on_http, NULL);
	if (!r)
		r = crisvc_server_listen(s, fd);
	if (r)
		close(fd);
	for (int i = 0; !r && i < 5; i++) {
		r = crisvc_server_dispatch(s);
		while (!r && (c = crisvc_server_pop_call(s)))
			serve(c);
	}
	crisvc_server_free(s);
	close(a);
	close(b);
}

START_TEST(server_survives_every_failed_allocation)
{
	_cleanup_str_ struct str grpc = STR_INIT, http = STR_INIT;
	char big[2000] = { 'x' };

	str_append(&grpc, PREFACE);
	put_frame(&grpc, F_SETTINGS, 0, 0, "", 0);
	put_request(&grpc, 1, 0, "/a.B/C", "grpc-timeout", "1H", "x-b", "c", NULL);
	put_message(&grpc, 1, END_STREAM, big, sizeof(big));
	put_request(&grpc, 3, 0, "/a.B/C", NULL);
	put_message(&grpc, 3, END_STREAM, "q", 1);
	put_request(&grpc, 5, 0, "/un/known", NULL);
	put_message(&grpc, 5, END_STREAM, "q", 1);
	str_append(&http, "GET /x?y HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_ge(count_failures(be_server, &grpc, &http), 25);
}
END_TEST

/* ---- a client ---- */

static void be_client(const struct str *answer, const struct str *unused)
{
	struct crisvc_error err = { 0 };
	struct exchange x;
	struct channel ch;
	void *message;
	int fds[2], r;
	size_t len;

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	channel_init(&ch, "/nowhere");
	r = exchange_init(&x, "request", 7, 10000, 1000, 1000, &err);
	if (r)
		close(fds[0]);
	else
		r = channel_open(&ch, fds[0], &err);
	if (!r)
		r = channel_submit(&ch, &x, "/a.B/C", &err);
	if (!r)
		must(send(fds[1], answer->data, answer->len, 0) == (ssize_t)answer->len);
	shutdown(fds[1], SHUT_WR);
	while (!r && !(r = channel_run(&ch, &x, 0, &err)) && exchange_take(&x, &message, &len)) {
		free(message);
		channel_resume(&ch, &x);
	}
	if (!r && !x.code)
		must(exchange_conclude(&x, &err) == CRISVC_E_STATUS);
	channel_drop(&ch, &x);
	exchange_done(&x);
	channel_done(&ch);
	close(fds[1]);
}

START_TEST(client_survives_every_failed_allocation)
{
	_cleanup_str_ struct str answer = STR_INIT, block = STR_INIT;

	put_frame(&answer, F_SETTINGS, 0, 0, "", 0);
	put_field(&block, ":status", "200");
	put_field(&block, "content-type", "application/grpc");
	put_frame(&answer, F_HEADERS, END_HEADERS, 1, block.data, block.len);
	put_message(&answer, 1, 0, "one", 3);
	put_message(&answer, 1, 0, "", 0);
	str_reset(&block);
	put_field(&block, "grpc-status", "5");
	put_field(&block, "grpc-message", "no%20such");
	put_frame(&answer, F_HEADERS, END_HEADERS | END_STREAM, 1, block.data, block.len);
	ck_assert_int_ge(count_failures(be_client, &answer, NULL), 6);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("memory");
	TCase *tc = tcase_create("memory");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, server_survives_every_failed_allocation);
	tcase_add_test(tc, client_survives_every_failed_allocation);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
