/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.json as CRI-O writes it: the runtime's state of a container with CRI-O's own members beside.
 * It is written after each change and read by the next start, which compares the processes named in
 * it, by number and start time, with those that live.
 */
#include <unistd.h>
#include <cbase/io.h>
#include <cbase/json.h>
#include "errors.h"
#include "state_file.h"

static void set_time(struct json_doc *d, const char *key, int64_t ns)
{
	char text[TIME_MAX_LEN];

	time_format(ns, text);
	json_set_string(d, json_root(d), key, text);
}

static void set_runtime_state(struct json_doc *d, const char *id, const char *bundle, const struct ocispec *spec,
			      const struct object_state *st)
{
	struct json *o = json_root(d), *annotations;
	const char *key, *value;
	size_t i;

	json_set_string(d, o, "ociVersion", spec ? ocispec_get_text(spec, "ociVersion") ?: "" : "");
	json_set_string(d, o, "id", spec ? id : "");
	json_set_string(d, o, "status", st->status);
	if (st->init.pid && !streq(st->status, "stopped"))
		json_set_int(d, o, "pid", st->init.pid);
	json_set_string(d, o, "bundle", spec ? bundle : "");
	if (!spec || !ocispec_annotation_count(spec))
		return;
	annotations = json_set_object(d, o, "annotations");
	for (i = 0; i < ocispec_annotation_count(spec); i++) {
		struct json *v;

		ocispec_annotation_at(spec, i, &key, &value);
		v = json_new_string(d, value);
		if (v)
			v->key = json_strdup(d, key);
		/* names are unique already: no search for each */
		json_append(d, annotations, v);
	}
}

int state_save(const char *dir, const char *id, const char *bundle, const struct ocispec *spec,
	       const struct object_state *st, struct cb_error *err)
{
	_cleanup_free_ char *path = strf("%s/state.json", dir);
	_cleanup_json_ struct json_doc *d = json_doc_new();
	_cleanup_str_ struct str text = STR_INIT;
	struct json *o = json_root(d), *monitor;
	char start[24];
	int r;

	if (!d || !path)
		return err_oom(err);
	set_runtime_state(d, id, bundle, spec, st);
	set_time(d, "created", st->created);
	set_time(d, "started", st->started);
	set_time(d, "finished", st->finished);
	if (st->has_exit_code)
		json_set_int(d, o, "exitCode", st->exit_code);
	if (st->oom_killed)
		json_set_bool(d, o, "oomKilled", true);
	if (*st->error)
		json_set_string(d, o, "error", st->error);
	if (st->init.pid) {
		snprintf(start, sizeof(start), "%llu", (unsigned long long)st->init.start_time);
		json_set_int(d, o, "initPid", st->init.pid);
		json_set_string(d, o, "initStartTime", start);
	}
	set_time(d, "checkpointedTime", TIME_ZERO_NS);
	if (st->monitor.pid) {
		snprintf(start, sizeof(start), "%llu", (unsigned long long)st->monitor.start_time);
		monitor = json_set_object(d, o, "containerMonitorProcess");
		json_set_int(d, monitor, "pid", st->monitor.pid);
		json_set_string(d, monitor, "startTime", start);
	}
	if (json_format(d, o, 0, &text))
		return err_oom(err);
	str_append_char(&text, '\n');
	r = text.failed ? -ENOMEM : write_file(path, 0644, text.data, text.len, 0);
	return r ? err_sysr(err, r, "write %s", path) : 0;
}

static int64_t get_time(const struct json *o, const char *key)
{
	const char *text = json_get_string(o, key);
	int64_t ns;

	return !text || time_parse(text, &ns) ? TIME_ZERO_NS : ns;
}

static struct process_id get_process(const struct json *o, const char *pid, const char *start)
{
	const char *text = json_get_string(o, start);
	int64_t n = json_get_int(o, pid, 0);
	long long t;

	if (n <= 1 || n > INT32_MAX || !text || str_to_i64(text, &t))
		return (struct process_id){ 0 };
	return (struct process_id){ .pid = (pid_t)n, .start_time = (uint64_t)t };
}

int state_load(const char *dir, struct object_state *ret, struct cb_error *err)
{
	static const char *const known[] = { "creating", "created", "running", "stopped", "paused" };
	_cleanup_free_ char *path = strf("%s/state.json", dir), *text = NULL;
	_cleanup_json_ struct json_doc *d = NULL;
	struct cb_error why = { 0 };
	const char *status, *error;
	struct json *o;
	size_t len, i;
	int64_t code;
	int r;

	if (!path)
		return err_oom(err);
	r = read_file(path, STATE_JSON_MAX, &text, &len);
	if (r == -ENOENT)
		return err_set(err, E_NOT_FOUND, "%s does not exist", path);
	if (r)
		return err_sysr(err, r, "read %s", path);
	if (json_parse(text, len, 0, &d, &why) || json_root(d)->type != JSON_OBJECT)
		return err_set(err, E_INVALID, "%s: %s", path, *why.message ? why.message : "not an object");
	o = json_root(d);
	object_state_init(ret);
	status = json_get_string(o, "status");
	for (i = 0; status && i < ARRAY_SIZE(known); i++)
		if (streq(status, known[i]))
			ret->status = known[i];
	ret->created = get_time(o, "created");
	ret->started = get_time(o, "started");
	ret->finished = get_time(o, "finished");
	ret->has_exit_code = !json_int(json_get(o, "exitCode"), &code);
	ret->exit_code = ret->has_exit_code ? (int)code : 0;
	ret->oom_killed = json_get_bool(o, "oomKilled", false);
	error = json_get_string(o, "error");
	utf8_copy(ret->error, sizeof(ret->error), error ? error : "");
	ret->init = get_process(o, "initPid", "initStartTime");
	ret->monitor = get_process(json_get(o, "containerMonitorProcess"), "pid", "startTime");
	return 0;
}

/* ---- markers ---- */

int marker_set(const char *dir, const char *name, struct cb_error *err)
{
	_cleanup_free_ char *path = strf("%s/%s", dir, name);
	int r = path ? write_file(path, 0644, "", 0, 0) : -ENOMEM;

	return r ? err_sysr(err, r, "write %s/%s", dir, name) : 0;
}

bool marker_is_set(const char *dir, const char *name)
{
	_cleanup_free_ char *path = strf("%s/%s", dir, name);

	return path && access(path, F_OK) == 0;
}
