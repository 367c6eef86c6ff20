/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection may begin with: HTTP/1, the preface, anything. Byte 0: size of the pieces. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "crisvc.h"
#include "http.h"
#include "limit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void want_attention(void *user)
{
}

static void on_http(struct host *host, struct crisvc_http *h)
{
	const char *path = crisvc_http_path(h), *query = crisvc_http_query(h);

	if ((path[0] != '/' && strcmp(path, "*") != 0) || strpbrk(path, " ?\r\n") ||
	    !*crisvc_http_method(h))
		abort();
	crisvc_http_add_header(h, "X-Query", query);
	crisvc_http_reply(h, 200, "text/plain", path, strlen(path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host host = { .want_attention = want_attention,
			     .on_http = on_http,
			     .now = SECOND_NS };
	unsigned char buf[1000];
	struct http *h = NULL;
	size_t piece, i;
	int r = 0;

	host.output.max = LIMIT_OUTPUT;
	mailbox_init(&host.box, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), &host.requests, 1 << 20);
	if (http_new(&host, NULL, &h))
		abort();
	piece = size && data[0] ? data[0] : size;
	for (i = 1; i < size && !r; i += piece)
		r = http_feed(h, (const char *)data + i, piece < size - i ? piece : size - i);
	mailbox_collect(&host.box);
	while (!r && http_pull(h, buf, sizeof(buf)))
		;
	if (!r && http_all_said(h))
		http_linger(h);
	http_free(h);
	mailbox_done(&host.box);
	close(host.box.wake_fd);
	if (host.timers.n || host.n_http || atomic_load(&host.output.used))
		abort();
	timers_done(&host.timers);
	return 0;
}
