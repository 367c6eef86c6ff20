/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/eventfd.h>
#include <unistd.h>

#include "session_case.h"

struct host host;
struct session *session;
struct reader reader;
struct str out; /* what the client will say next */
bool attention;
unsigned cancelled;
int user_data;

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

void setup(void)
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

void teardown(void)
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

int feed_by(size_t n)
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

int feed(void)
{
	return feed_by(0);
}

void pull(void)
{
	uint8_t buf[1000];
	size_t n;

	do {
		ck_assert_int_eq(session_pull(session, buf, sizeof(buf), &n), 0);
		str_append_mem(&reader.bytes, buf, n);
	} while (n);
}

bool next(struct frame *f)
{
	pull();
	return reader_next_important(&reader, f);
}

bool has_header(const char *line)
{
	_cleanup_free_ char *with_end = strf("%s\n", line);

	return reader.headers.data && strstr(reader.headers.data, with_end);
}

void expect_headers(uint32_t id, unsigned flags)
{
	struct frame f;

	ck_assert(next(&f));
	ck_assert_uint_eq(f.type, F_HEADERS);
	ck_assert_uint_eq(f.id, id);
	ck_assert_uint_eq(f.flags & END_STREAM, flags);
}

void expect_error(uint32_t id, const char *status)
{
	expect_headers(id, END_STREAM);
	ck_assert_msg(has_header(status), "%s", reader.headers.data);
	ck_assert(has_header("content-type: application/grpc"));
}

void expect_reset(uint32_t id, uint32_t code)
{
	struct frame f;

	ck_assert(next(&f));
	ck_assert_uint_eq(f.type, F_RST_STREAM);
	ck_assert_uint_eq(f.id, id);
	ck_assert_uint_eq(get_u32(f.p), code);
}

void expect_silence(void)
{
	struct frame f;

	ck_assert(!next(&f));
}

void expect_reply(uint32_t id, const void *p, size_t n)
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

void note_cancel(void *user)
{
	cancelled++;
}

struct crisvc_call *pop_ready(void)
{
	bool news;

	return mailbox_pop(&host.box, &news);
}

struct crisvc_call *pop(void)
{
	struct crisvc_call *c = pop_ready();

	ck_assert_ptr_nonnull(c);
	crisvc_call_on_cancel(c, note_cancel, NULL);
	return c;
}

void answer(struct crisvc_call *c, const char *text)
{
	ck_assert_int_eq(crisvc_call_reply(c, text, strlen(text)), 0);
	mailbox_collect(&host.box);
}

void put_call(uint32_t id, const char *text)
{
	put_request(&out, id, 0, PATH, NULL);
	put_message(&out, id, END_STREAM, text, strlen(text));
}

void expect_usable(uint32_t id)
{
	put_call(id, "still here?");
	ck_assert_int_eq(feed(), 0);
	answer(pop(), "yes");
	expect_reply(id, "yes", 3);
}

int run_session_case(TCase *tc)
{
	Suite *s = suite_create("session");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
