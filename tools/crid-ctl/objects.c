/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the pod or container that the user means. Nothing is done to one that may not be meant:
 * when several objects fit, they are listed and the user is asked for more of the id.
 */
#include "ctl.h"

#define CANDIDATES_SHOWN 10

struct match {
	struct object object;
	char *pod; /* id, of a container */
	int rank;  /* 3 the id, 2 the name, 1 the beginning of the id */
};

struct matches {
	struct match *list;
	size_t n;
	bool failed;
};

CRI(ListPodSandboxResponse) * list_pods(struct ctl *c)
{
	CRI(ListPodSandboxRequest) request = RUNTIME__V1__LIST_POD_SANDBOX_REQUEST__INIT;

	return ctl_ask(c, "ListPodSandbox", &request.base, CALL_TIMEOUT);
}

CRI(ListContainersResponse) * list_containers(struct ctl *c)
{
	CRI(ListContainersRequest) request = RUNTIME__V1__LIST_CONTAINERS_REQUEST__INIT;

	return ctl_ask(c, "ListContainers", &request.base, CALL_TIMEOUT);
}

void object_done(struct object *o)
{
	free(o->id);
	free(o->name);
	*o = (struct object){ 0 };
}

static void matches_done(struct matches *m)
{
	size_t i;

	for (i = 0; i < m->n; i++) {
		object_done(&m->list[i].object);
		free(m->list[i].pod);
	}
	free(m->list);
}

static int rank_of(const char *text, const char *id, const char *name)
{
	return streq(text, id) ? 3 : streq(text, name) ? 2 : str_starts(id, text) ? 1 : 0;
}

static void add(struct matches *m, enum object_kind kind, const char *id, const char *name,
		const char *pod, bool running, int rank)
{
	struct match *list;

	if (!rank)
		return;
	list = reallocarray(m->list, m->n + 1, sizeof(*list));
	if (!list) {
		m->failed = true;
		return;
	}
	m->list = list;
	list[m->n] =
		(struct match){ { kind, strdup(id), strdup(name), running }, strdup(pod), rank };
	if (!list[m->n].object.id || !list[m->n].object.name || !list[m->n].pod)
		m->failed = true;
	m->n++;
}

static int collect_pods(struct ctl *c, const char *text, struct matches *m)
{
	_cleanup_reply_ CRI(ListPodSandboxResponse) *pods = list_pods(c);
	size_t i;

	for (i = 0; pods && i < pods->n_items; i++) {
		const CRI(PodSandbox) *p = pods->items[i];
		const char *name = p->metadata ? p->metadata->name : "";

		add(m, OBJECT_POD, p->id, name, "",
		    p->state == RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY,
		    rank_of(text, p->id, name));
	}
	return pods ? 0 : EXIT_FAILURE;
}

static int collect_containers(struct ctl *c, const char *text, struct matches *m)
{
	_cleanup_reply_ CRI(ListContainersResponse) *all = list_containers(c);
	size_t i;

	for (i = 0; all && i < all->n_containers; i++) {
		const CRI(Container) *p = all->containers[i];
		const char *name = p->metadata ? p->metadata->name : "";

		add(m, OBJECT_CONTAINER, p->id, name, p->pod_sandbox_id,
		    p->state == RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING,
		    text ? rank_of(text, p->id, name) : 1);
	}
	return all ? 0 : EXIT_FAILURE;
}

static void keep(struct matches *m, bool (*wanted)(const struct match *, const void *),
		 const void *arg)
{
	size_t i, n = 0;

	for (i = 0; i < m->n; i++) {
		if (wanted(&m->list[i], arg)) {
			m->list[n++] = m->list[i];
			continue;
		}
		object_done(&m->list[i].object);
		free(m->list[i].pod);
	}
	m->n = n;
}

static bool has_rank(const struct match *m, const void *rank)
{
	return m->rank == *(const int *)rank;
}

static bool is_pod(const struct match *m, const void *unused)
{
	return m->object.kind == OBJECT_POD;
}

static bool is_in_pod(const struct match *m, const void *pod)
{
	return streq(m->pod, pod);
}

/* Only the best rank; then pods before containers. */
static void narrow(struct matches *m)
{
	int rank = 0;
	size_t i;

	for (i = 0; i < m->n; i++)
		if (m->list[i].rank > rank)
			rank = m->list[i].rank;
	keep(m, has_rank, &rank);
	for (i = 0; i < m->n; i++) {
		if (m->list[i].object.kind == OBJECT_POD && rank > 1) {
			keep(m, is_pod, NULL);
			break;
		}
	}
}

static int ambiguous(const struct matches *m, const char *text)
{
	size_t i;

	complain("\"%s\" may be any of %zu; give more of the id:", text, m->n);
	for (i = 0; i < m->n && i < CANDIDATES_SHOWN; i++) {
		_cleanup_str_ struct str s = STR_INIT;

		text_append_safe(&s, m->list[i].object.name, false);
		fprintf(stderr, "  %-9s  %s  %s\n",
			m->list[i].object.kind == OBJECT_POD ? "pod" : "container",
			m->list[i].object.id, s.data ? s.data : "");
	}
	return EXIT_FAILURE;
}

/* Where a container is wanted, a pod stands for its only one. */
static int container_of_pod(struct ctl *c, const char *text, struct matches *m)
{
	struct matches pods = { 0 };
	int r = collect_pods(c, text, &pods);

	narrow(&pods);
	if (!r && pods.n == 1) {
		r = collect_containers(c, NULL, m);
		keep(m, is_in_pod, pods.list[0].object.id);
		if (!r && !m->n)
			complain("pod %s has no container", text);
		if (!r && !m->n)
			r = EXIT_FAILURE;
	}
	matches_done(&pods);
	return r;
}

int object_find(struct ctl *c, int kinds, const char *text, struct object *ret)
{
	_cleanup_(matches_done) struct matches m = { 0 };
	int r = 0;

	if (!*text) {
		complain("an empty name means nothing");
		return EXIT_FAILURE;
	}
	if (kinds & OBJECT_POD)
		r = collect_pods(c, text, &m);
	if (!r && (kinds & OBJECT_CONTAINER))
		r = collect_containers(c, text, &m);
	narrow(&m);
	if (!r && !m.n && kinds == OBJECT_CONTAINER)
		r = container_of_pod(c, text, &m);
	if (r)
		return r;
	if (m.failed) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	if (m.n > 1)
		return ambiguous(&m, text);
	if (!m.n) {
		complain(
			"there is no %s%s%s \"%s\"; `crid-ctl pods` and `crid-ctl ps -a` list them",
			kinds & OBJECT_POD ? "pod" : "",
			kinds == (OBJECT_POD | OBJECT_CONTAINER) ? " or " : "",
			kinds & OBJECT_CONTAINER ? "container" : "", text);
		return EXIT_FAILURE;
	}
	*ret = m.list[0].object;
	m.list[0].object = (struct object){ 0 };
	return 0;
}
