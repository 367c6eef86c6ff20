/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets, threads and time around the engine, for the tests of server.c, which is compiled into them so that its clock
 * can be a variable; clients are raw frames on socket pairs' ends that nothing else touches.
 */
#ifndef SERVER_CASE_H
#define SERVER_CASE_H

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

static inline int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static inline int make_listener(int type)
{
	socklen_t len = sizeof(addr);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	/* autobind: an abstract name that the kernel picks */
	addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(sa_family_t)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	return fd;
}

static inline int64_t real_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SECOND_NS + ts.tv_nsec;
}

static inline void setup(void)
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

static inline void teardown(void)
{
	server = crisvc_server_free(server);
	ck_assert_ptr_null(server);
	ck_assert_int_eq(count_fds(), fds_before);
}

static inline bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/* Turns until the server has nothing to do. */
static inline void turn(void)
{
	do
		ck_assert_int_eq(crisvc_server_dispatch(server), 0);
	while (readable(crisvc_server_get_fd(server), 0));
}

/* ---- a client ---- */

static inline int dial(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(sa_family_t) + 6; /* NUL and five digits */

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, len), 0);
	return fd;
}

static inline void say(int fd, struct str *out)
{
	ck_assert_int_eq(send(fd, out->data, out->len, MSG_NOSIGNAL), (ssize_t)out->len);
	str_reset(out);
}

/* A new connection with one call on it. */
static inline int dial_and_call(void)
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

static inline int dial_and_greet(void)
{
	_cleanup_str_ struct str out = STR_INIT;
	int fd = dial();

	str_append(&out, PREFACE);
	put_frame(&out, F_SETTINGS, 0, 0, "", 0);
	say(fd, &out);
	return fd;
}

/* What has arrived so far; returns false at the end of the connection. */
static inline bool hear(int fd, struct reader *r)
{
	char buf[65536];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		str_append_mem(&r->bytes, buf, (size_t)n);
	return n < 0 && errno == EAGAIN;
}

static inline bool closed(int fd)
{
	char buf[65536];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		;
	return n == 0 || errno == ECONNRESET;
}

static inline void expect_reply(int fd, const char *text)
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

static inline void note_cancel(void *user)
{
	cancelled++;
}

static inline struct crisvc_call *pop(void)
{
	struct crisvc_call *c = crisvc_server_pop_call(server);

	ck_assert_ptr_nonnull(c);
	crisvc_call_on_cancel(c, note_cancel, NULL);
	return c;
}

/* The one suite of a test program. */
static inline int run_cases(const char *name, const TTest *const *tests, size_t n)
{
	Suite *s = suite_create(name);
	TCase *tc = tcase_create(name);
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}

#endif
