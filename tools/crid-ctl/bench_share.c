/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's own share of starting a pod, which only the daemon can tell: the time in which none
 * of the programs lived that it waited for. crid answers GET /crid/stats on the socket of CRI with
 * totals (docs/inspect.md); any other server answers something else, or nothing.
 */
#include <math.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <cbase/io.h>
#include "bench.h"

#define ANSWER_MAX (1u << 20)
#define ANSWER_SECONDS 5

static const char *const kinds[SHARE_KINDS] = { "run_pod", "create_container", "start_container" };

bool share_parse(const char *answer, size_t n, struct share *ret)
{
	static const char ok[] = "HTTP/1.1 200 ";
	_cleanup_json_ struct json_doc *doc = NULL;
	const char *body = memmem(answer, n, "\r\n\r\n", 4);
	struct share s = { .known = true };
	size_t i;

	*ret = (struct share){ 0 };
	if (!body || n < strlen(ok) || memcmp(answer, ok, strlen(ok)))
		return false;
	body += 4;
	if (json_parse(body, (size_t)(answer + n - body), 0, &doc, NULL))
		return false;
	for (i = 0; i < SHARE_KINDS; i++) {
		struct json *kind = json_path(json_root(doc), "operations", kinds[i], NULL);

		if (json_int(json_get(kind, "own_ns"), &s.own_ns[i]) ||
		    json_int(json_get(kind, "count"), &s.count[i]))
			return false;
	}
	*ret = s;
	return true;
}

void share_read(const char *endpoint, struct share *ret)
{
	static const char request[] = "GET /crid/stats HTTP/1.1\r\nHost: localhost\r\n"
				      "Connection: close\r\n\r\n";
	struct timeval limit = { .tv_sec = ANSWER_SECONDS };
	_cleanup_free_ char *answer = NULL;
	_cleanup_close_ int fd = -1;
	size_t n;

	*ret = (struct share){ 0 };
	fd = unix_connect(endpoint);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    write_all(fd, request, strlen(request)) || read_fd(fd, ANSWER_MAX, &answer, &n))
		return;
	share_parse(answer, n, ret);
}

double share_between(const struct share *before, const struct share *after)
{
	double sum = 0;
	size_t i;

	if (!before->known || !after->known)
		return NAN;
	for (i = 0; i < SHARE_KINDS; i++)
		sum += stats_each((double)after->own_ns[i], (double)before->own_ns[i],
				  after->count[i] > before->count[i]
					  ? (size_t)(after->count[i] - before->count[i])
					  : 0);
	return sum / 1e6;
}
