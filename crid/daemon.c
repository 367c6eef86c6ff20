/* SPDX-License-Identifier: Apache-2.0 */
/* Finding objects of the table. Lists are walked: a node has hundreds of containers, not millions. */
#include <cbase/str.h>
#include "containers.h"
#include "daemon.h"
#include "pods.h"

/* An exact id wins; a prefix counts when it fits one object only. */
struct search {
	const char *id;
	size_t len;
	void *found;
	bool exact, several;
};

static void consider(struct search *s, const char *id, void *object)
{
	if (!s->len || s->exact || strncmp(id, s->id, s->len))
		return;
	s->several = s->found;
	s->found = object;
	s->exact = s->len == 64;
	if (s->exact)
		s->several = false;
}

struct pod *daemon_find_pod(struct daemon *d, const char *id)
{
	struct search s = { .id = id, .len = strlen(id) };
	struct pod *p;

	for (p = d->pods; p; p = p->next)
		if (pod_visible(p))
			consider(&s, p->info->id, p);
	return s.several ? NULL : s.found;
}

struct container *daemon_find_container(struct daemon *d, const char *id)
{
	struct search s = { .id = id, .len = strlen(id) };
	struct container *c;
	struct pod *p;

	for (p = d->pods; p; p = p->next)
		for (c = p->containers; c; c = c->next)
			if (container_visible(c))
				consider(&s, c->info->id, c);
	return s.several ? NULL : s.found;
}

struct pod *daemon_find_pod_by_name(struct daemon *d, const char *name)
{
	struct pod *p;

	for (p = d->pods; p; p = p->next)
		if (streq(p->info->name, name))
			return p;
	return NULL;
}

/* containers/storage draws again when the short form would read as a number; so do we. */
int daemon_new_id(char id[65])
{
	int r;

	do {
		r = random_hex(32, id);
		if (r)
			return r;
	} while (strspn(id, "0123456789") >= 12);
	return 0;
}
