/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Releasing what is left in the network of pods that are gone: attachments that the cache still knows,
 * because their DEL failed or because the daemon never came to it, and, by the verb GC, what only the
 * plugins know. The cache may be shared with others (podman, another engine), so an attachment counts
 * as left only when a CRI server made it, no pod has its id, and its namespace is gone; and GC names
 * everything that is cached as valid, whosever it is.
 */
#include <cnic.h>
#include <string.h>
#include <cbase/json.h>
#include "log.h"
#include "namespaces.h"
#include "network_private.h"

#define GC_TIMEOUT_MS (30 * 1000)

/* Vectors of network, container id, interface, ...; of container id, interface, ... */
struct cached {
	char *const *pods;
	char **left, **valid;
};

/* What CRI-O's and containerd's network libraries always give, and podman never. */
static bool made_by_cri(const struct cnic_attachment *a)
{
	_cleanup_json_ struct json_doc *doc = NULL;

	return a->capabilities && !json_parse(a->capabilities, strlen(a->capabilities), 0, &doc, NULL) &&
	       json_get(json_root(doc), "io.kubernetes.cri.pod-annotations");
}

static bool is_left(const struct cached *c, const struct cnic_attachment *a)
{
	return str_is_hex(a->container_id, 64) && !strv_has(c->pods, a->container_id) && made_by_cri(a) &&
	       !(a->netns && *a->netns && pin_exists(a->netns));
}

static int look(void *user, const struct cnic_attachment *a, const struct cnic_result *result)
{
	struct cached *c = user;

	if (is_left(c, a))
		return strv_push(&c->left, a->network) || strv_push(&c->left, a->container_id) ||
		       strv_push(&c->left, a->ifname) ? -ENOMEM : 0;
	return strv_push(&c->valid, a->container_id) || strv_push(&c->valid, a->ifname) ? -ENOMEM : 0;
}

static int look_through(struct network *n, struct cached *c)
{
	struct cnic_error e = { 0 };
	int r = cnic_cached_each(n->cnic, NULL, look, c, &e);

	if (r)
		log_warn("CNI: %s", e.message);
	return r;
}

/* Is something left after that? */
static bool release(struct network *n, char *const *left)
{
	bool failed = false;

	for (; left && *left; left += 3) {
		struct cnic_attachment a = { .size = sizeof(a), .network = left[0], .container_id = left[1],
			.ifname = left[2], .timeout_ms = NETWORK_DEL_TIMEOUT_MS };
		struct cnic_error e = { 0 };
		int r = cnic_release(n->cnic, &a, &e);

		failed |= r != 0;
		if (r)
			log_warn("CNI: %s of network %s is no pod any more, and is kept: %s", left[1], left[0], e.message);
		else
			log_info("CNI: %s was no pod any more: its network %s is taken down", left[1], left[0]);
	}
	return failed;
}

static void tell_plugins(struct network *n, char *const *valid)
{
	struct cnic_network **networks = NULL;

	if (cnic_networks(n->cnic, &networks))
		return;
	for (struct cnic_network **one = networks; *one; one++) {
		struct cnic_error e = { 0 };

		network_free_leases(*one);
		if (cnic_gc(n->cnic, cnic_network_name(*one), (const char *const *)valid, GC_TIMEOUT_MS, &e))
			log_warn("CNI: %s", e.message);
	}
	cnic_networks_free(networks);
}

/* With nothing being attached, which would be in no list yet. */
static bool collect_by_plugins(struct network *n, char *const *pods)
{
	struct cached c = { .pods = pods };
	int r = -EBUSY;

	if (pthread_rwlock_trywrlock(&n->attaching))
		return false;
	r = look_through(n, &c);
	for (; !r && pods && *pods; pods++)
		r = strv_push(&c.valid, *pods) || strv_push(&c.valid, "eth0") ? -ENOMEM : 0;
	/* what could not be released is still there */
	for (char **left = c.left; !r && left && *left; left += 3)
		r = strv_push(&c.valid, left[1]) || strv_push(&c.valid, left[2]) ? -ENOMEM : 0;
	if (!r)
		tell_plugins(n, c.valid);
	pthread_rwlock_unlock(&n->attaching);
	strv_free(c.left);
	strv_free(c.valid);
	return !r;
}

bool network_collect(struct network *n, char *const *pods)
{
	struct cached c = { .pods = pods };
	bool left;

	atomic_store(&n->leftovers, false);
	left = look_through(n, &c) || release(n, c.left);
	strv_free(c.left);
	strv_free(c.valid);
	if (!collect_by_plugins(n, pods))
		left = true;
	if (left)
		atomic_store(&n->leftovers, true);
	return left;
}

bool network_has_leftovers(const struct network *n)
{
	return atomic_load(&n->leftovers);
}
