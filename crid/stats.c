/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See stats.h. A question goes: asked -> (sampled by a round that began later) -> (layers known, or patience
 * over) -> answered. A round is one job with the objects of all questions that wait when it starts. What is
 * no older than collection_period is not measured again.
 */
#include <stdlib.h>
#include <sys/statvfs.h>
#include <cbase/io.h>
#include "cgroup_path.h"
#include "errors.h"
#include "log.h"
#include "stats.h"

struct stats_question {
	struct stats_question *next;
	struct daemon *d;
	struct waiters caller;
	ProtobufCMessage *q;
	stats_reply reply;
	bool detail;
	bool in_round, sampled;
	struct loop_timer *patience;	/* NULL: it is over, or was not needed */
	struct stats_slot **slots;
	size_t n, room;
};

struct target {
	struct stats_slot *slot;
	struct stats_sample *sample;		/* made by the job */
	uint64_t bytes, inodes;			/* of a writable layer */
	bool measured;
	int64_t when, mono;
};

/* A round of the sampler, or of measuring layers. */
struct round {
	struct job job;
	struct daemon *d;
	bool detail;
	size_t n;
	struct target targets[];
};

struct stats {
	struct stats_question *questions;
	bool sampling, measuring;
	unsigned round;
};

static struct stats *stats_of(struct daemon *d)
{
	if (!d->stats)
		d->stats = calloc(1, sizeof(*d->stats));
	if (!d->stats)
		abort();
	return d->stats;
}

/* ---- slots ---- */

static void sample_free(struct stats_sample *s)
{
	if (s)
		free(s->interfaces);
	free(s);
}

struct stats_slot *stats_slot_unref(struct stats_slot *s)
{
	if (s && --s->refs == 0) {
		container_info_unref(s->container);
		pod_info_unref(s->pod);
		sample_free(s->sample);
		free(s);
	}
	return NULL;
}

static void add_slot(struct stats_question *s, struct stats_slot *slot)
{
	size_t room = s->room ? 2 * s->room : 16;
	struct stats_slot **bigger;

	if (s->n == s->room) {
		bigger = realloc(s->slots, room * sizeof(*bigger));
		if (!bigger)
			abort();
		s->slots = bigger;
		s->room = room;
	}
	slot->refs++;
	s->slots[s->n++] = slot;
}

static struct stats_slot *slot_of(struct stats_slot **slot)
{
	if (!*slot)
		*slot = calloc(1, sizeof(**slot));
	if (!*slot)
		abort();
	(*slot)->refs += !(*slot)->refs;
	return *slot;
}

void stats_question_container(struct stats_question *s, struct container *c)
{
	struct stats_slot *slot = slot_of(&c->stats);

	if (!slot->container)
		slot->container = container_info_ref(c->info);
	slot->init = c->st.init.pid;
	add_slot(s, slot);
}

void stats_question_pod(struct stats_question *s, struct pod *p)
{
	struct stats_slot *slot = slot_of(&p->stats);

	if (!slot->pod)
		slot->pod = pod_info_ref(p->info);
	add_slot(s, slot);
}

/* ---- questions ---- */

struct stats_question *stats_question_new(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q, bool detail,
					  stats_reply reply)
{
	struct stats_question *s = calloc(1, sizeof(*s));

	if (!s) {
		call_fail(call, -ENOMEM, &(struct cb_error){ .message = "out of memory" });
		crisvc_cri_free(q);
		return NULL;
	}
	*s = (struct stats_question){ .d = d, .q = q, .detail = detail, .reply = reply };
	waiters_add(&s->caller, call);
	return s;
}

static void question_free(struct stats_question *s)
{
	struct stats_question **at;

	for (at = &stats_of(s->d)->questions; *at && *at != s; at = &(*at)->next)
		;
	if (*at)
		*at = s->next;
	while (s->n)
		stats_slot_unref(s->slots[--s->n]);
	free(s->slots);
	loop_cancel(s->patience);
	waiters_give_up(&s->caller);
	crisvc_cri_free(s->q);
	free(s);
}

static bool layers_known(const struct stats_question *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->slots[i]->container && !s->slots[i]->layer_mono)
			return false;
	return true;
}

static void settle(struct stats_question *s)
{
	struct crisvc_call *call;

	if (!s->sampled || (s->patience && !layers_known(s)))
		return;
	call = waiters_take(&s->caller);
	if (call)
		s->reply(s->d, call, s->q);
	question_free(s);
}

static void settle_all(struct daemon *d)
{
	struct stats_question *s, *next;

	for (s = stats_of(d)->questions; s; s = next) {
		next = s->next;
		settle(s);
	}
}

static void on_patience(void *user)
{
	struct stats_question *s = user;

	s->patience = NULL;
	settle(s);
}

static int64_t period(const struct daemon *d)
{
	return d->config->collection_period * 1000000000ll;
}

/* ---- rounds ---- */

/* The slots of the questions for which want() is true, each once. */
static struct round *new_round(struct daemon *d, bool (*want)(const struct daemon *d, const struct stats_question *s,
							      const struct stats_slot *slot))
{
	struct stats *st = stats_of(d);
	struct stats_question *s;
	struct round *r;
	size_t n = 0, i;

	for (s = st->questions; s; s = s->next)
		n += s->n;
	r = calloc(1, sizeof(*r) + n * sizeof(r->targets[0]));
	if (!r)
		abort();
	r->d = d;
	st->round++;
	for (s = st->questions; s; s = s->next)
		for (i = 0; i < s->n; i++) {
			struct stats_slot *slot = s->slots[i];

			if (slot->round == st->round || !want(d, s, slot))
				continue;
			slot->round = st->round;
			slot->refs++;
			r->targets[r->n++].slot = slot;
		}
	return r;
}

static void round_free(struct round *r)
{
	for (size_t i = 0; i < r->n; i++)
		stats_slot_unref(r->targets[i].slot);
	free(r);
}

/* ---- the sampler ---- */

static void measure_disk(const struct stats_slot *slot, struct stats_sample *s)
{
	struct statvfs f;

	s->has_disk = !statvfs(slot->container->dir, &f);
	if (!s->has_disk)
		return;
	s->disk_bytes = (uint64_t)f.f_blocks * f.f_frsize;
	s->disk_inodes = f.f_files;
	s->disk_inodes_free = f.f_ffree;
}

/* [owned] of a pod: the parent it was given, which all its containers are in; "" when it was given none. */
static char *cgroup_of(const struct stats_slot *slot)
{
	const struct pod_info *pod = slot->pod;

	if (slot->container)
		return strdup(slot->container->cgroup_path);
	return *pod->cgroup_parent ? cgroup_above(pod->cgroup_path) : strdup("");
}

/* On the sampler's thread: of the slot it reads what never changes. */
static struct stats_sample *measure(const struct stats_slot *slot, bool detail)
{
	_cleanup_free_ char *cgroup = cgroup_of(slot);
	struct stats_sample *s = cgroup ? calloc(1, sizeof(*s)) : NULL;
	struct cb_error err = { 0 };

	if (!s)
		return NULL;
	s->has_cgroup = *cgroup && !cgroup_usage_read(cgroup, detail, &s->cgroup);
	if (!s->has_cgroup) {
		cgroup_usage_init(&s->cgroup);
		s->cgroup.when = now_ns();
		s->cgroup.mono = mono_ns();
	}
	if (slot->pod && *slot->pod->netns && netns_usage_read(slot->pod->netns, &s->interfaces, &s->n_interfaces, &err))
		log_debug("stats of pod %s: %s", slot->pod->id, err.message);
	s->detailed = detail;
	if (slot->container && detail) {
		measure_disk(slot, s);
		s->has_processes = process_usage_read(cgroup, slot->init, &s->processes);
	}
	return s;
}

static void run_sampling(struct job *job)
{
	struct round *r = (struct round *)job;

	for (size_t i = 0; i < r->n; i++)
		r->targets[i].sample = measure(r->targets[i].slot, r->detail);
}

static void set_rate(struct stats_slot *slot, const struct cgroup_usage *u)
{
	int64_t since = u->mono - slot->base_mono;

	if (u->cpu == USAGE_UNKNOWN || (slot->base_mono && since < STATS_RATE_NS))
		return;
	slot->has_rate = slot->base_mono && u->cpu >= slot->base_cpu;
	if (slot->has_rate)
		slot->rate = (uint64_t)((double)(u->cpu - slot->base_cpu) * 1e9 / (double)since);
	slot->base_mono = u->mono;
	slot->base_cpu = u->cpu;
}

static void start_sampling(struct daemon *d);

static void done_sampling(struct job *job)
{
	struct round *r = (struct round *)job;
	struct daemon *d = r->d;
	struct stats_question *s;

	for (size_t i = 0; i < r->n; i++) {
		struct target *t = &r->targets[i];

		if (!t->sample)
			continue;
		sample_free(t->slot->sample);
		t->slot->sample = t->sample;
		set_rate(t->slot, &t->sample->cgroup);
	}
	round_free(r);
	stats_of(d)->sampling = false;
	for (s = stats_of(d)->questions; s; s = s->next)
		s->sampled = s->sampled || s->in_round;
	settle_all(d);
	start_sampling(d);
}

static bool wants_sample(const struct daemon *d, const struct stats_question *s, const struct stats_slot *slot)
{
	return !s->sampled && (!slot->sample || (s->detail && !slot->sample->detailed) || slot->sample->cgroup.mono < mono_ns() - period(d));
}

static void start_sampling(struct daemon *d)
{
	struct stats *st = stats_of(d);
	struct stats_question *s;
	struct round *r;
	bool any = false;

	for (s = st->questions; s; s = s->next)
		any = any || !s->sampled;
	if (!any || st->sampling)
		return;
	r = new_round(d, wants_sample);
	r->job = (struct job){ .run = run_sampling, .done = done_sampling };
	for (s = st->questions; s; s = s->next) {
		r->detail = r->detail || (s->detail && !s->sampled);
		s->in_round = true;
	}
	st->sampling = true;
	jobs_submit(d->jobs, LANE_STATS, &r->job);
}

/* ---- writable layers ---- */

static void run_measuring(struct job *job)
{
	struct round *r = (struct round *)job;

	for (size_t i = 0; i < r->n; i++) {
		struct target *t = &r->targets[i];
		struct cstore_error err = { 0 };

		t->when = now_ns();
		t->mono = mono_ns();
		t->measured = !cstore_container_usage(r->d->sv.store, t->slot->container->id, &t->bytes, &t->inodes, &err);
		if (!t->measured)
			log_debug("writable layer of container %s: %s", t->slot->container->id, err.message);
	}
}

static void start_measuring(struct daemon *d);

static void done_measuring(struct job *job)
{
	struct round *r = (struct round *)job;
	struct daemon *d = r->d;

	for (size_t i = 0; i < r->n; i++) {
		const struct target *t = &r->targets[i];

		t->slot->layer_mono = t->mono;
		if (!t->measured)
			continue;
		t->slot->layer_when = t->when;
		t->slot->layer_bytes = t->bytes;
		t->slot->layer_inodes = t->inodes;
	}
	round_free(r);
	stats_of(d)->measuring = false;
	settle_all(d);
	start_measuring(d);
}

static bool wants_layer(const struct daemon *d, const struct stats_question *s, const struct stats_slot *slot)
{
	return slot->container && (!slot->layer_mono || slot->layer_mono < mono_ns() - STATS_LAYER_AGE_NS);
}

static void start_measuring(struct daemon *d)
{
	struct stats *st = stats_of(d);
	struct round *r;

	if (st->measuring)
		return;
	r = new_round(d, wants_layer);
	if (!r->n) {
		round_free(r);
		return;
	}
	r->job = (struct job){ .run = run_measuring, .done = done_measuring };
	st->measuring = true;
	jobs_submit(d->jobs, LANE_LAYERS, &r->job);
}

/* ---- asking ---- */

static bool all_fresh(const struct stats_question *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (wants_sample(s->d, s, s->slots[i]))
			return false;
	return true;
}

void stats_question_ask(struct stats_question *s)
{
	struct stats *st = stats_of(s->d);
	struct daemon *d = s->d;

	s->next = st->questions;
	st->questions = s;
	s->sampled = all_fresh(s);
	if (!layers_known(s))
		loop_timer(d->loop, mono_ns() + STATS_LAYER_PATIENCE_NS, on_patience, s, &s->patience);
	start_measuring(d);
	start_sampling(d);
	settle_all(d);
}

void stats_end(struct daemon *d)
{
	while (d->stats && d->stats->questions)
		question_free(d->stats->questions);
	free(d->stats);
	d->stats = NULL;
}
