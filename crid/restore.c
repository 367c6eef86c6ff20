/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See restore.h. A record of the store leads to its config.json and state.json. No state.json: the
 * object was not finished when the daemon died. Pods come first, because a container needs its pod.
 */
#include <signal.h>
#include <sys/pidfd.h>
#include <cbase/io.h>
#include <cbase/json.h>
#include "containers.h"
#include "errors.h"
#include "leftover.h"
#include "log.h"
#include "namespaces.h"
#include "op_container.h"
#include "op_pod.h"
#include "pods.h"
#include "restore.h"
#include "runtime.h"

struct found {
	const char *id;
	struct record_metadata meta;
	char *dir, *run_dir;
	struct ocispec *spec;		/* NULL: none */
	struct object_state st;
	bool finished;			/* has a state.json */
	bool damaged;
};

static void found_done(struct found *f)
{
	free(f->dir);
	free(f->run_dir);
	ocispec_free(f->spec);
}

/* ---- reading one record ---- */

static void set_aside(struct found *f, const struct cb_error *err)
{
	log_error("%s %s is damaged and left alone: %s", f->meta.pod ? "pod" : "container", f->id, err->message);
	f->damaged = true;
}

static void read_files(struct found *f)
{
	struct cb_error err = { 0 };
	int r;

	r = config_json_load(f->dir, &f->spec, &err);
	if (r == E_NOT_FOUND)
		return;
	if (!r) {
		r = state_load(f->meta.pod && pod_is_spoofed(f->spec) ? f->run_dir : f->dir, &f->st, &err);
		f->finished = !r;
		if (r == E_NOT_FOUND)
			return;
	}
	if (r)
		set_aside(f, &err);
}

static void read_record(struct daemon *d, const struct cstore_container *record, struct found *f)
{
	struct cstore_error e = { 0 };

	*f = (struct found){ .id = cstore_container_id(record) };
	object_state_init(&f->st);
	record_metadata_parse(cstore_container_metadata(record), &f->meta);
	if (!f->meta.ours)
		return;
	if (cstore_container_dir(d->sv.store, f->id, &f->dir, &e) ||
	    cstore_container_run_dir(d->sv.store, f->id, &f->run_dir, &e)) {
		log_error("container record %s: %s", f->id, e.message);
		f->damaged = true;
		return;
	}
	read_files(f);
}

static int by_age(const void *a, const void *b)
{
	int64_t x = ((const struct found *)a)->st.created, y = ((const struct found *)b)->st.created;

	return (x > y) - (x < y);
}

/* ---- pods ---- */

/* The record leads to the files; what they say must be about the same object. */
static int check_id(const struct found *f, const char *id, struct cb_error *err)
{
	return streq(f->id, id) ? 0 : err_set(err, E_INVALID, "its config.json is that of %s", id);
}

/* What there is of a pod that never got a config.json: its id is enough to delete it. */
static void undo_nameless_pod(struct daemon *d, const struct found *f)
{
	struct pod_info *i = pod_info_new();

	if (!i)
		return;
	i->id = arena_strdup(&i->arena, f->id);
	i->name = i->infra_name = i->meta_name = i->meta_namespace = i->meta_uid = "";
	i->dir = f->dir;
	i->run_dir = f->run_dir;
	i->spoofed = true;
	i->network = NS_NODE;
	op_pod_undo(&d->sv, i);
	pod_info_unref(i);
}

/* As long as it is known, also when the network is down: its containers carry them in their annotations. */
static void restore_addresses(struct pod_info *i)
{
	struct cb_error err = { 0 };
	_cleanup_strv_ char **ips = NULL;

	if (!*i->cni_result)
		return;
	if (network_addresses(i->cni_result, &ips, &err))
		log_warn("pod %s: its addresses: %s", i->id, err.message);
	else
		i->ips = arena_strv(&i->arena, ips);
}

static int watch_process(const struct process_id *p)
{
	return p->pid ? process_open(p->pid, p->start_time) : -1;
}

/* Takes over i. */
static void keep_half(struct daemon *d, struct pod_info *i, const struct object_state *st)
{
	struct pod *p = pod_add(d, i, POD_STOPPING, st);

	if (p)
		p->half = true;
}

static void restore_pod(struct daemon *d, struct found *f)
{
	struct cb_error err = { 0 };
	struct pod_info *i = NULL;
	struct pod *p;
	bool stopped;

	if (!f->spec) {
		log_info("pod %s was not finished: undone", f->id);
		undo_nameless_pod(d, f);
		return;
	}
	if (pod_info_load(f->spec, f->dir, f->run_dir, &i, &err) || check_id(f, i->id, &err)) {
		set_aside(f, &err);
		pod_info_unref(i);
		return;
	}
	if (!f->finished) {
		log_info("pod %s (%s) was not finished: undone", i->id, i->name);
		if (!i->spoofed)
			leftover_kill_monitors(i->id);
		if (op_pod_undo(&d->sv, i))
			keep_half(d, i, &f->st);
		else
			pod_info_unref(i);
		return;
	}
	stopped = marker_is_set(pod_state_dir(i), "stopped");
	restore_addresses(i);
	p = pod_add(d, i, stopped ? POD_NOTREADY : POD_READY, &f->st);
	if (!p)
		return;
	p->network_down = marker_is_set(pod_state_dir(i), "network-stopped");
	if (!i->spoofed)
		pod_add_infra(p, watch_process(&f->st.init), watch_process(&f->st.monitor));
}

/* ---- containers ---- */

static void undo_container(struct daemon *d, const struct found *f, struct container_info *i)
{
	struct container_info *minimal = i ? i : container_info_new();

	log_info("container %s was not finished: undone", f->id);
	if (!minimal)
		return;
	if (!i) {
		minimal->id = arena_strdup(&minimal->arena, f->id);
		minimal->name = "";
	}
	leftover_kill_monitors(f->id);
	op_container_undo(&d->sv, minimal);
	container_info_unref(minimal);
}

/* state.json may be one step behind: the daemon died between runtime start and writing it. */
static bool runtime_says_running(struct daemon *d, const struct container_info *i)
{
	const struct runtime_handler *h = config_runtime(d->config, i->handler);
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ struct json_doc *doc = NULL;
	struct cb_error err = { 0 };
	const char *status;
	size_t n;

	if (!h || runtime_state(d->config, h, i->id, &text, &n, &err) || json_parse(text, n, 0, &doc, NULL))
		return false;
	status = json_get_string(json_root(doc), "status");
	return status && streq(status, "running");
}

static enum container_state state_now(struct daemon *d, const struct container_info *i, struct object_state *st)
{
	struct cb_error err = { 0 };
	bool created = streq(st->status, "created") || streq(st->status, "creating");

	if (streq(st->status, "stopped") || !op_container_ended(&d->sv, i, false, st, &err))
		return CONTAINER_EXITED;
	if (created && runtime_says_running(d, i)) {
		st->status = "running";
		st->started = now_ns();
		created = false;
	}
	return created ? CONTAINER_CREATED : CONTAINER_RUNNING;
}

static struct pod *pod_of(struct daemon *d, const char *id)
{
	struct pod *p;

	for (p = d->pods; p && !streq(p->info->id, id); p = p->next)
		;
	return p;
}

/* Is there a pod of which only the files are damaged? */
static bool has_damaged(const struct found *all, size_t n, const char *id)
{
	for (; n; n--, all++)
		if (all->damaged && streq(all->id, id))
			return true;
	return false;
}

static void restore_container(struct daemon *d, struct found *f, const struct found *all, size_t n)
{
	struct container_info *i = NULL;
	struct cb_error err = { 0 };
	enum container_state state;
	struct container *c;
	struct pod *p = pod_of(d, f->meta.pod_id);

	if (!p && has_damaged(all, n, f->meta.pod_id)) {
		err_set(&err, E_INVALID, "pod %s is", f->meta.pod_id);
		set_aside(f, &err);
		return;
	}
	if (f->spec && (container_info_load(f->spec, f->dir, f->run_dir, &i, &err) || check_id(f, i->id, &err))) {
		set_aside(f, &err);
		container_info_unref(i);
		return;
	}
	if (i && p)
		i->handler = arena_strdup(&i->arena, p->info->handler);
	if (!i || !f->finished || !p) {
		undo_container(d, f, i);
		return;
	}
	state = state_now(d, i, &f->st);
	c = container_add(p, i, state, &f->st, false);
	if (c)
		c->restored = true;
	if (c && state != CONTAINER_EXITED)
		container_watch(c, watch_process(&f->st.init), watch_process(&f->st.monitor));
}

/* ---- removing everything ---- */

static void kill_process(const struct process_id *p)
{
	_cleanup_close_ int fd = watch_process(p);

	if (fd >= 0)
		pidfd_send_signal(fd, SIGKILL, NULL, 0);
}

static void wipe_pod(struct daemon *d, struct pod *p)
{
	struct container *c;

	log_info("removing pod %s (%s) of before", p->info->id, p->info->name);
	for (c = p->containers; c; c = c->next) {
		kill_process(&c->st.init);
		op_container_undo(&d->sv, c->info);
	}
	kill_process(&p->st.init);
	if (op_pod_undo(&d->sv, p->info))
		keep_half(d, pod_info_ref(p->info), &p->st);
	pod_release(p);
}

/* What cannot be read was written shortly before the power went: there is nothing to keep it for. */
static void wipe_damaged(struct daemon *d, struct found *f)
{
	log_info("removing damaged %s %s of before", f->meta.pod ? "pod" : "container", f->id);
	if (f->meta.pod)
		undo_nameless_pod(d, f);
	else
		undo_container(d, f, NULL);
}

/* Their addresses are to be free again before the first pod of this boot asks for one. */
static void collect_network(struct daemon *d)
{
	_cleanup_strv_ char **pods = strv_copy(NULL);
	struct pod *p;

	for (p = d->pods; p; p = p->next)
		if (strv_push(&pods, p->info->id))
			return;
	if (pods)
		network_collect(d->sv.network, pods);
}

static void wipe(struct daemon *d, struct found *all, size_t n)
{
	struct pod *p, *next;
	size_t i;

	for (p = d->pods; p; p = next) {
		next = p->next;
		wipe_pod(d, p);
	}
	for (i = 0; i < n; i++)
		if (all[i].meta.ours && all[i].damaged)
			wipe_damaged(d, &all[i]);
	collect_network(d);
}

/* Those that pods of before were made from; they may be of a format that is read no more. */
static void wipe_images(struct daemon *d, const struct cstore_container_list *list)
{
	struct cstore_error e = { 0 };
	struct record_metadata meta;
	const struct cstore_container *c;
	size_t i;
	int r;

	for (i = 0; i < cstore_container_list_count(list); i++) {
		c = cstore_container_list_get(list, i);
		record_metadata_parse(cstore_container_metadata(c), &meta);
		r = meta.ours ? cstore_image_delete(d->sv.store, cstore_container_image(c), &e) : CSTORE_E_NOT_FOUND;
		if (!r)
			log_info("removed image %s of before", cstore_container_image(c));
		else if (r != CSTORE_E_NOT_FOUND && r != CSTORE_E_IN_USE)
			log_warn("remove image %s of before: %s", cstore_container_image(c), e.message);
	}
}

/* ---- all ---- */

/* What ended without a daemon is noticed now; an infra container takes its pod along. */
static void advance_all(struct daemon *d)
{
	struct container *c, *next_c;
	struct pod *p, *next;

	for (p = d->pods; p; p = next) {
		next = p->next;
		for (c = p->containers; c; c = next_c) {
			next_c = c->next;
			container_advance(c);
		}
		if (p->infra)
			container_advance(p->infra);
	}
}

/* A pod whose namespace is gone cannot be used: it is stopped as soon as the loop runs. */
static void stop_broken_pods(struct daemon *d)
{
	struct pod *p, *next;

	for (p = d->pods; p; p = next) {
		next = p->next;
		if (p->state != POD_READY || pin_exists(p->info->netns))
			continue;
		log_warn("pod %s: its network namespace is gone, it is stopped", p->info->id);
		pod_stop(p, NULL, 0);
	}
}

static bool has_record(void *user, const char *id)
{
	const struct cstore_container_list *list = user;
	size_t i;

	for (i = 0; i < cstore_container_list_count(list); i++)
		if (streq(cstore_container_id(cstore_container_list_get(list, i)), id))
			return true;
	return false;
}

int restore_all(struct daemon *d, enum wipe what, struct cb_error *err)
{
	struct cstore_container_list *list = NULL;
	_cleanup_free_ struct found *all = NULL;
	struct cstore_error e = { 0 };
	size_t i, n;
	int r;

	r = cstore_container_list(d->sv.store, &list, &e);
	if (r)
		return err_from_cstore(err, r, &e);
	n = cstore_container_list_count(list);
	all = calloc(n + 1, sizeof(*all));
	if (!all) {
		cstore_container_list_free(list);
		return err_oom(err);
	}
	leftover_settle(d->config, has_record, list);
	for (i = 0; i < n; i++)
		read_record(d, cstore_container_list_get(list, i), &all[i]);
	qsort(all, n, sizeof(*all), by_age);		/* lists are in the order in which things were made */
	for (i = 0; i < n; i++)
		if (all[i].meta.ours && all[i].meta.pod && !all[i].damaged)
			restore_pod(d, &all[i]);
	for (i = 0; i < n; i++)
		if (all[i].meta.ours && !all[i].meta.pod && !all[i].damaged)
			restore_container(d, &all[i], all, n);
	if (what != WIPE_NOTHING)
		wipe(d, all, n);
	if (what == WIPE_IMAGES)
		wipe_images(d, list);
	for (i = 0; i < n; i++)
		found_done(&all[i]);
	cstore_container_list_free(list);
	advance_all(d);
	stop_broken_pods(d);
	return 0;
}
