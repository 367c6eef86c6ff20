/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of a program that has no other: turns that wait, until it is told to stop. */
#include <errno.h>

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
	unsigned stops;
	int r = 0;

	if (!s || !fn)
		return -EINVAL;
	while (!r) {
		r = server_turn(s, -1);
		serve_ready(s, fn, user);
		stops = server_stops(s);
		if (stops && !r)
			r = crisvc_server_drain(s);
		if (stops > 1 || (stops && server_idle(s)))
			return r;
	}
	return r;
}
