/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ADD: the list forwards, each plugin seeing the result of the one before. What succeeded is cached
 * before it is told; what failed is undone.
 */
#include "private.h"

/* DEL of plugins count-1 .. 0, whatever each says; their complaints are added to the error. */
static void undo(struct cnic *c, const struct cnic_network *n, size_t count, const struct call *added,
		 const struct cnic_result *previous, int timeout_ms, struct cnic_error *err)
{
	int64_t deadline = deadline_after(timeout_ms < 0 || timeout_ms > UNDO_MAX_MS ? UNDO_MAX_MS :
					  timeout_ms < UNDO_MIN_MS		     ? UNDO_MIN_MS :
										       timeout_ms);
	struct call call = *added;

	call.command = "DEL";
	call.finish = true;
	call.previous = version_at_least(n->version, "0.4.0") ? previous : NULL;
	while (count-- > 0) {
		struct cnic_error why = { 0 };

		if (plugin_call(c, n, count, &call, deadline, NULL, &why))
			err_add(err, "; undo: ", why.message);
	}
}

/* ret_done: plugins that may have left something behind. */
static int add_all(struct cnic *c, const struct cnic_network *n, struct call *call, int64_t deadline,
		   size_t *ret_done, struct cnic_result **result, struct cnic_error *err)
{
	for (size_t i = 0; i < n->n_plugins; i++) {
		struct cnic_result *next = NULL;
		int r;

		*ret_done = i + 1;
		call->previous = *result;
		r = plugin_call(c, n, i, call, deadline, &next, err);
		if (r)
			return r;
		cnic_result_free(*result);
		*result = next;
	}
	return 0;
}

static int attach(struct cnic *c, const struct request *q, const struct cnic_network *n,
		  struct cnic_result **ret, struct cnic_error *err)
{
	_cleanup_result_ struct cnic_result *result = NULL;
	struct call call = {
		.command = "ADD",
		.container_id = q->container_id,
		.netns = q->netns,
		.ifname = q->ifname,
		.args = q->args,
		.capabilities = json_root(q->capabilities),
	};
	size_t done = 0;
	int r;

	r = add_all(c, n, &call, q->deadline, &done, &result, err);
	if (r == 0)
		r = cache_save(c, n, &call, result, err);
	if (r) {
		undo(c, n, done, &call, result, q->timeout_ms, err);
		return r;
	}
	if (ret)
		*ret = take(result);
	return 0;
}

PUBLIC int cnic_attach(struct cnic *c, const struct cnic_attachment *a, struct cnic_result **ret,
		       struct cnic_error *err)
{
	_cleanup_request_ struct request q = { 0 };
	_cleanup_network_ struct cnic_network *n = NULL;
	int r;

	r = request_read(&q, c, a, true, err);
	if (r == 0)
		r = network_find(c, q.network, &n, err);
	return r ? r : attach(c, &q, n, ret, err);
}
