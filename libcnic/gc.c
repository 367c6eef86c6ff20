/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GC: what the caller does not name as valid has no right to a lease. First the cached attachments
 * of the network that are not valid get DEL, from what the cache knows of them; then, from CNI
 * 1.1.0 on, every plugin is told the valid ones, so that it can release what no cache remembers.
 * One failure does not end it; all are told.
 */
#include "private.h"

struct gc {
	struct cnic *c;
	struct cnic_network *network;
	const char *const *valid; /* container id, interface, ... NULL */
	int64_t deadline;
	int r; /* of the first failure */
	struct cnic_error *err;
};

static void note(struct gc *gc, int r, const struct cnic_error *why)
{
	if (gc->r) {
		err_add(gc->err, "; ", why->message);
		return;
	}
	gc->r = r;
	if (gc->err)
		*gc->err = *why;
}

static bool is_valid(const struct gc *gc, const struct record *rec)
{
	for (const char *const *v = gc->valid; v && v[0]; v += 2)
		if (streq(v[0], rec->container_id) && streq(v[1], rec->ifname))
			return true;
	return false;
}

/*
 * The namespace of the record, when it can still be that one: a path of a process may be another's
 * by now, and a plugin would take that one's interface away.
 */
static const char *netns_now(const struct record *rec)
{
	const char *path = json_get_string(json_root(rec->doc), "netns");

	return path && *path == '/' && !str_starts(path, "/proc/") && access(path, F_OK) == 0
		       ? path
		       : "";
}

static int release(const struct record *rec, void *arg)
{
	struct gc *gc = arg;
	struct cnic_error why = { 0 };
	struct request q = {
		.container_id = rec->container_id,
		.ifname = rec->ifname,
		.netns = netns_now(rec),
		.deadline = gc->deadline,
	};
	int r;

	if (!streq(rec->network, gc->network->name) || is_valid(gc, rec) ||
	    !name_valid(rec->container_id) || !ifname_valid(rec->ifname))
		return 0;
	r = detach(gc->c, &q, gc->network->name, false, &why);
	if (r) {
		err_ctx(&why, r, "failed to delete stale attachment %.64s %s", q.container_id,
			q.ifname);
		note(gc, r, &why);
	}
	return 0;
}

static void tell_plugins(struct gc *gc)
{
	struct call call = { .command = "GC", .valid = gc->valid };

	for (size_t i = 0; i < gc->network->n_plugins; i++) {
		struct cnic_error why = { 0 };
		int r = plugin_call(gc->c, gc->network, i, &call, gc->deadline, NULL, &why);

		if (r)
			note(gc, r, &why);
	}
}

PUBLIC int cnic_gc(struct cnic *c, const char *network, const char *const *valid, int timeout_ms,
		   struct cnic_error *err)
{
	static const char *const nothing[] = { NULL };
	_cleanup_network_ struct cnic_network *n = NULL;
	struct gc gc = { .c = c, .valid = valid ? valid : nothing, .err = err };
	int r;

	err_start(err);
	if (!c)
		return err_sysr(err, -EINVAL, "collect network garbage");
	for (const char *const *v = gc.valid; *v; v += 2)
		if (!name_valid(v[0]) || !v[1] || !ifname_valid(v[1]))
			return err_set(err, CNIC_E_INVALID, "invalid attachment %zu",
				       (size_t)(v - gc.valid) / 2);
	r = network_find(c, network && *network ? network : NULL, &n, err);
	if (r || n->disable_gc)
		return r;
	gc.network = n;
	gc.deadline = deadline_after(timeout_ms);
	r = cache_each(c, NULL, release, &gc, err);
	if (r)
		return r;
	if (version_at_least(n->version, "1.1.0"))
		tell_plugins(&gc);
	return gc.r;
}
