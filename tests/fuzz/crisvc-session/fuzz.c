/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames into the server's core. The first two bytes of the input say how the rest, what the client
 * sends behind its preface, is cut into pieces, and what the application does with the calls:
 *
 *	byte 0	size of the pieces, 0: all at once
 *	byte 1	bits: 1 answer, 2 send first, 4 fail instead, 8 pull after each piece, 16 time passes,
 *		32 drain in the middle, 64 leave calls unanswered until the end, 128 small limits
 */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cbase/str.h>

#include "crisvc.h"
#include "limit.h"
#include "session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static char path[] = "/runtime.v1.RuntimeService/Version";
static const struct method method = { path, NULL };

static const struct method *find(struct host *h, const char *wanted)
{
	return streq(wanted, path) ? &method : NULL;
}

static void want_attention(void *user)
{
}

static void ignore(void *user)
{
}

static void answer(struct crisvc_call *c, unsigned how)
{
	const void *request;
	const char *value;
	size_t n;

	request = crisvc_call_request(c, &n);
	crisvc_call_on_cancel(c, ignore, NULL);
	crisvc_call_on_room(c, ignore, NULL);
	if (crisvc_call_metadata(c, 0, &value))
		crisvc_call_add_trailer(c, "x-first", value);
	for (int i = 0; how & 2 && i < 3; i++)
		crisvc_call_send(c, request, n);
	if (how & 4)
		crisvc_call_fail(c, (int)(n % 20), "failed: \xff%");
	else
		crisvc_call_reply(c, request, n);
}

static int step(struct host *host, struct session *s, const uint8_t *p, size_t n, unsigned how)
{
	struct crisvc_call *c;
	uint8_t buf[4096];
	size_t got = 1;
	bool news;
	int r = session_feed(s, p, n);

	while (!(how & 64) && (c = mailbox_pop(&host->box, &news)))
		if (how & 1)
			answer(c, how);
	mailbox_collect(&host->box);
	if (how & 16) {
		host->now += SECOND_NS;
		timers_run(&host->timers, host->now);
	}
	while (!r && how & 8 && got)
		r = session_pull(s, buf, sizeof(buf), &got);
	return r || session_done(s) || session_choked(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host host = { .find_method = find, .want_attention = want_attention };
	struct session *s = NULL;
	size_t piece, i;
	unsigned how;
	bool small;

	if (size < 2)
		return 0;
	piece = data[0] ? data[0] : size;
	how = data[1];
	small = how & 128;
	host.max_recv = small ? 100 : 1 << 20;
	host.requests.max = small ? 1000 : LIMIT_REQUEST_BYTES;
	host.output.max = small ? 1000 : LIMIT_OUTPUT;
	host.now = 1000 * SECOND_NS;
	host.keepalive = small ? SECOND_NS : 0;
	mailbox_init(&host.box, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), &host.requests, 1 << 20);
	if (session_new(&host, NULL, &s) ||
	    session_feed(s, (const uint8_t *)PREFACE, strlen(PREFACE)))
		abort();
	for (i = 2; i < size; i += piece) {
		if (how & 32 && i > size / 2)
			session_drain(s);
		if (step(&host, s, data + i, piece < size - i ? piece : size - i, how))
			break;
	}
	step(&host, s, (const uint8_t *)"", 0, (how & ~64u) | 8);
	session_free(s);
	mailbox_collect(&host.box);
	mailbox_silence(&host.box);
	mailbox_done(&host.box);
	close(host.box.wake_fd);
	/* nothing may be left of it */
	if (host.timers.n || host.n_streams || atomic_load(&host.requests.used) ||
	    atomic_load(&host.output.used))
		abort();
	timers_done(&host.timers);
	return 0;
}
