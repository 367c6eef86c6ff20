/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop of a program that has no other. Nothing here that a program could not do itself with the
 * public functions.
 */
#include <errno.h>
#include <poll.h>

#include "private.h"
#include "server.h"

static void serve_ready(struct crisvc_server *s, void (*fn)(struct crisvc_call *call, void *user),
			void *user)
{
	struct crisvc_call *call;

	while ((call = crisvc_server_pop_call(s)))
		fn(call, user);
}

PUBLIC int crisvc_server_run(struct crisvc_server *s,
			     void (*fn)(struct crisvc_call *call, void *user), void *user)
{
	struct pollfd p = { .fd = crisvc_server_get_fd(s), .events = POLLIN };
	unsigned stops;
	int r = 0;

	if (!s || !fn)
		return -EINVAL;
	while (!r) {
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return -errno;
		r = crisvc_server_dispatch(s);
		serve_ready(s, fn, user);
		stops = server_stops(s);
		if (stops && !r)
			r = crisvc_server_drain(s);
		if (stops > 1 || (stops && server_idle(s)))
			return r;
	}
	return r;
}
