/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See inspect.h. One table of paths; each answers at once, but for /crid/pulls?after=N, whose askers
 * wait in a list until a pull changes. Changes come in bursts, so answers are at least
 * PULLS_INTERVAL apart.
 */
#include <malloc.h>
#include <cbase/io.h>
#include <cbase/json.h>
#include "containers.h"
#include "cri_pairs.h"
#include "inspect.h"
#include "log.h"
#include "pods.h"
#include "pulls.h"

#define PULLS_INTERVAL 100000000ll	/* ns */
#define TEXT "text/plain; charset=utf-8"
#define JSON "application/json"

struct watcher {
	struct watcher *next;
	struct inspect *in;
	struct crisvc_http *request;
};

struct inspect {
	struct daemon *d;
	struct watcher *watchers;
	int64_t version;		/* of the pulls */
	int64_t told;			/* CLOCK_MONOTONIC ns: when they were told last */
	struct loop_timer *timer;
};

/* ---- answers ---- */

static void reply_text(struct crisvc_http *h, int status, const char *text)
{
	crisvc_http_reply(h, status, TEXT, text, strlen(text));
}

/* Takes over s. */
static void reply(struct crisvc_http *h, const char *type, struct str *s)
{
	if (s->failed)
		reply_text(h, 500, "out of memory\n");
	else
		crisvc_http_reply(h, 200, type, s->data, s->len);
	str_done(s);
}

static void quote(struct str *s, const char *text)
{
	json_quote(s, text ? text : "", text ? strlen(text) : 0, 0);
}

static void member(struct str *s, const char *key, const char *value)
{
	str_appendf(s, "\"%s\":", key);
	quote(s, value);
	str_append_char(s, ',');
}

/* ---- CRI-O's ---- */

static void get_info(struct inspect *in, struct crisvc_http *h, const char *unused)
{
	static const char ids[] = "[{\"container_id\":0,\"host_id\":0,\"size\":4294967295}]";
	struct str s = STR_INIT;

	str_append_char(&s, '{');
	member(&s, "storage_driver", cstore_driver(in->d->sv.store));
	member(&s, "storage_image", "");	/* an image store of its own, which is not there */
	member(&s, "storage_root", cstore_graph_root(in->d->sv.store));
	member(&s, "cgroup_driver", in->d->config->cgroup_manager);
	str_appendf(&s, "\"default_id_mappings\":{\"uids\":%s,\"gids\":%s}}", ids, ids);
	reply(h, JSON, &s);
}

static void get_config(struct inspect *in, struct crisvc_http *h, const char *unused)
{
	struct str s = STR_INIT;

	if (config_print(in->d->config, true, &s))
		s.failed = true;
	reply(h, "application/toml", &s);
}

static void append_pairs(struct str *s, const char *key, char *const *pairs)
{
	_cleanup_json_ struct json_doc *d = json_doc_new();

	for (; d && pairs && pairs[0]; pairs += 2)
		json_set_string(d, json_root(d), pairs[0], pairs[1]);
	str_appendf(s, "\"%s\":", key);
	if (!d || json_format(d, json_root(d), JSON_SORT_KEYS, s))
		s->failed = true;
	str_append_char(s, ',');
}

/* Those of config.json, made again: the file is not read here. c is NULL for the pod's. */
static void append_crio_annotations(struct str *s, const struct pod *p, const struct container *c)
{
	_cleanup_json_ struct json_doc *d = json_doc_new();
	struct ocispec *spec = NULL;
	const char *key, *value;
	size_t i;
	int r = d ? ocispec_new(&spec) : -ENOMEM;

	if (!r)
		r = c ? container_annotate(spec, c->info, p->info) : pod_annotate(spec, p->info);
	for (i = 0; !r && i < ocispec_annotation_count(spec); i++) {
		ocispec_annotation_at(spec, i, &key, &value);
		json_set_string(d, json_root(d), key, value);
	}
	str_append(s, "\"crio_annotations\":");
	if (r || json_format(d, json_root(d), JSON_SORT_KEYS, s))
		s->failed = true;
	str_append_char(s, ',');
	ocispec_free(spec);
}

/* What comes after the annotations. */
static void append_tail(struct str *s, const struct pod *p, const char *log_path, const char *root)
{
	char **ips = p->network_down ? NULL : p->info->ips;

	member(s, "log_path", log_path);
	member(s, "root", root);
	member(s, "sandbox", p->info->id);
	str_append(s, "\"ip_addresses\":");
	str_append(s, ips && *ips ? "[" : "null");
	for (; ips && *ips; ips++) {
		quote(s, *ips);
		str_append_char(s, ips[1] ? ',' : ']');
	}
	str_appendf(s, ",\"host_network\":%s}", p->info->network == NS_NODE ? "true" : "false");
}

static void append_head(struct str *s, const char *name, pid_t pid, const char *image, const char *ref, int64_t created)
{
	str_append_char(s, '{');
	member(s, "name", name);
	str_appendf(s, "\"pid\":%d,", (int)pid);
	member(s, "image", image);
	member(s, "image_ref", ref);
	str_appendf(s, "\"created_time\":%lld,", (long long)created);
}

static pid_t live_pid(const struct container *c)
{
	return c->state == CONTAINER_CREATED || c->state == CONTAINER_RUNNING ? c->st.init.pid : 0;
}

static void append_container(struct str *s, const struct container *c)
{
	const struct container_info *i = c->info;

	append_head(s, i->name, live_pid(c), i->image_name, i->image_ref && *i->image_ref ? i->image_ref : i->image_id,
		    c->st.created > 0 ? c->st.created : i->created);
	append_pairs(s, "labels", i->labels);
	append_pairs(s, "annotations", i->annotations);
	append_crio_annotations(s, c->pod, c);
	append_tail(s, c->pod, i->log_path, i->mount_point);
}

/* Without a process of its own any container of the pod stands for it. */
static pid_t pod_pid(const struct pod *p)
{
	const struct container *c;
	pid_t pid = 0;

	if (p->infra)
		return live_pid(p->infra);
	for (c = p->containers; c && !pid; c = c->next)
		pid = container_visible(c) ? live_pid(c) : 0;
	return pid;
}

static void append_infra(struct str *s, const struct pod *p)
{
	static char key[] = "spoofed.crio.io", yes[] = "true";
	static char *const spoofed[] = { key, yes, NULL };
	const struct pod_info *i = p->info;
	_cleanup_free_ char *log = strf("%s/%s.log", i->log_dir, i->id);

	append_head(s, i->infra_name, pod_pid(p), "", "", i->created);
	append_pairs(s, "labels", i->labels);
	append_pairs(s, "annotations", i->spoofed ? spoofed : i->annotations);
	if (i->spoofed)
		str_append(s, "\"crio_annotations\":null,");
	else
		append_crio_annotations(s, p, NULL);
	append_tail(s, p, i->spoofed ? "" : log, i->mount_point);
}

static void get_container(struct inspect *in, struct crisvc_http *h, const char *id)
{
	_cleanup_str_ struct str missing = STR_INIT;
	bool full = str_is_hex(id, 64);
	struct container *c = full ? daemon_find_container(in->d, id) : NULL;
	struct pod *p = full && !c ? daemon_find_pod(in->d, id) : NULL;
	struct str s = STR_INIT;

	if (c)
		append_container(&s, c);
	else if (p)
		append_infra(&s, p);
	if (c || p) {
		reply(h, JSON, &s);
		return;
	}
	str_appendf(&missing, "can't find the container with id %s\n", id);
	reply_text(h, missing.failed ? 500 : 404, missing.failed ? "out of memory\n" : missing.data);
}

/* ---- crid's ---- */

static void append_operations(struct str *s, const struct jobs *jobs)
{
	static const char *const names[OP_COUNT] = {
		[OP_RUN_POD] = "run_pod", [OP_STOP_NETWORK] = "stop_network", [OP_STOP_POD] = "stop_pod",
		[OP_REMOVE_POD] = "remove_pod", [OP_CREATE_CONTAINER] = "create_container",
		[OP_START_CONTAINER] = "start_container", [OP_END_CONTAINER] = "end_container",
		[OP_REMOVE_CONTAINER] = "remove_container",
		[OP_UPDATE_CONTAINER] = "update_container",
	};
	struct op_stats o;
	enum operation op;

	for (op = OP_UNMEASURED + 1; op < OP_COUNT; op++) {
		o = jobs_op_stats(jobs, op);
		str_appendf(s, "%s\"%s\":{\"count\":%llu,\"wall_ns\":%lld,\"own_ns\":%lld}", op > OP_UNMEASURED + 1 ? "," : "",
			    names[op], (unsigned long long)o.count, (long long)o.wall_ns, (long long)o.own_ns);
	}
}

static void get_stats(struct inspect *in, struct crisvc_http *h, const char *unused)
{
	struct mallinfo2 heap = mallinfo2();
	size_t pods = 0, containers = 0;
	struct str s = STR_INIT;
	struct container *c;
	struct pod *p;

	for (p = in->d->pods; p; p = p->next) {
		pods += pod_visible(p);
		for (c = p->containers; c; c = c->next)
			containers += container_visible(c);
	}
	str_appendf(&s, "{\"pods\":%zu,\"containers\":%zu,\"operations_running\":%zu,\"pulls\":%zu,\"execs\":%zu,"
		    "\"events_dropped\":%zu,\"threads\":%zu,\"heap_bytes\":%zu,\"operations\":{", pods, containers, jobs_running(in->d->jobs),
		    pulls_count(in->d), in->d->execs, in->d->events_dropped, jobs_threads(in->d->jobs) + 2, heap.uordblks + heap.hblkhd);
	append_operations(&s, in->d->jobs);
	str_append(&s, "}}");
	reply(h, JSON, &s);
}

static void reply_pulls(struct inspect *in, struct crisvc_http *h)
{
	struct str s = STR_INIT;

	str_appendf(&s, "{\"version\":%lld,\"pulls\":[", (long long)in->version);
	pulls_print(in->d, &s);
	str_append(&s, "]}");
	reply(h, JSON, &s);
}

/* The client went away. */
static void on_cancel(void *user)
{
	struct watcher *w = user, **at;

	for (at = &w->in->watchers; *at != w; at = &(*at)->next)
		;
	*at = w->next;
	crisvc_http_reply(w->request, 503, NULL, NULL, 0);
	free(w);
}

static void get_pulls(struct inspect *in, struct crisvc_http *h, const char *unused)
{
	const char *query = crisvc_http_query(h);
	struct watcher *w;
	long long after;

	if (!str_starts(query, "after=") || str_to_i64(query + strlen("after="), &after) || after != in->version) {
		reply_pulls(in, h);
		return;
	}
	w = malloc(sizeof(*w));
	if (!w) {
		reply_text(h, 500, "out of memory\n");
		return;
	}
	*w = (struct watcher){ .next = in->watchers, .in = in, .request = h };
	in->watchers = w;
	crisvc_http_on_cancel(h, on_cancel, w);
}

static void tell_watchers(void *user)
{
	struct inspect *in = user;
	struct watcher *w;

	in->timer = NULL;
	in->told = mono_ns();
	while ((w = in->watchers)) {
		in->watchers = w->next;
		reply_pulls(in, w->request);
		free(w);
	}
}

void inspect_pulls_changed(struct daemon *d)
{
	struct inspect *in = d->inspect;

	if (!in)
		return;
	in->version++;
	/* not here and now: the caller may be half way through a change */
	if (in->watchers && !in->timer &&
	    loop_timer(d->loop, in->told + PULLS_INTERVAL, tell_watchers, in, &in->timer))
		log_error("out of memory: nobody is told of the progress of pulls");
}

/* ---- requests ---- */

static const struct route {
	const char *path;	/* ends with a slash: what follows is given to fn */
	void (*fn)(struct inspect *in, struct crisvc_http *h, const char *rest);
} routes[] = {
	{ "/info", get_info },
	{ "/config", get_config },
	{ "/containers/", get_container },
	{ "/crid/stats", get_stats },
	{ "/crid/pulls", get_pulls },
};

static const struct route *find_route(const char *path, const char **ret_rest)
{
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(routes); i++) {
		n = strlen(routes[i].path);
		*ret_rest = path + n;
		if (streq(path, routes[i].path) && path[n - 1] != '/')
			return &routes[i];
		if (routes[i].path[n - 1] == '/' && str_starts(path, routes[i].path) && path[n] && !strchr(path + n, '/'))
			return &routes[i];
	}
	return NULL;
}

static void on_request(struct crisvc_http *h, void *user)
{
	const char *path = crisvc_http_path(h), *rest;
	const struct route *route = find_route(path, &rest);

	log_at(LOG_TRACE, "%s %s", crisvc_http_method(h), path);
	if (!route) {
		reply_text(h, 404, "404 page not found\n");
	} else if (!streq(crisvc_http_method(h), "GET")) {
		crisvc_http_add_header(h, "Allow", "GET");
		crisvc_http_reply(h, 405, NULL, NULL, 0);
	} else {
		route->fn(user, h, rest);
	}
}

int inspect_start(struct daemon *d)
{
	struct inspect *in = calloc(1, sizeof(*in));

	if (!in)
		return -ENOMEM;
	in->d = d;
	d->inspect = in;
	return crisvc_server_set_http(d->server, on_request, in);
}

void inspect_stop(struct daemon *d)
{
	struct inspect *in = d->inspect;

	if (!in)
		return;
	loop_cancel(in->timer);
	tell_watchers(in);
	d->inspect = NULL;
	free(in);
}
