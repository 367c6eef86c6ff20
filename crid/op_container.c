/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making, starting, ending and deleting a container; see op_container.h. A container without
 * state.json was not finished; the next start deletes it.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <cbase/io.h>
#include "cgroup.h"
#include "cgroup_path.h"
#include "cgroup_usage.h"
#include "container_volumes.h"
#include "errors.h"
#include "leftover.h"
#include "log.h"
#include "oom_log.h"
#include "runtime.h"
#include "undo.h"

#define EXIT_CODE_LOST 255
#define GRACE_MAX (365 * 86400) /* seconds */

struct making {
	const struct services *sv;
	const struct container_make *q;
	struct container_info *i;
	struct container_spec b;
	struct object_state st;
	struct undo undo;
	struct cb_error *err;
};

static void undo_record(void *user)
{
	struct making *m = user;

	op_container_undo(m->sv, m->i);
}

static int make_record(struct making *m)
{
	_cleanup_free_ char *metadata = NULL, *layer = strf("%s-layer", m->i->name);
	const struct id_maps *maps = &m->q->pod->maps;
	struct cstore_error e = { 0 };
	struct cstore_container_spec spec = {
		.size = sizeof(spec),
		.id = m->i->id,
		.names = (const char *const[]){ m->i->name, NULL },
		.image = m->i->image_id,
		.layer_name = layer,
		.is_volatile = 1,
	};
	int r;

	if (!layer || container_metadata(m->i, &metadata))
		return err_oom(m->err);
	spec.metadata = metadata;
	spec.mount_label = m->i->mount_label;
	spec.process_label = m->i->process_label;
	spec.uid_map = maps->uids;
	spec.gid_map = maps->gids;
	spec.uid_map_count = maps->n_uids;
	spec.gid_map_count = maps->n_gids;
	r = cstore_container_create(m->sv->store, &spec, &e);
	if (r)
		return err_from_cstore(m->err, r, &e);
	undo_push(&m->undo, undo_record, m);
	return 0;
}

static int make_dirs(struct making *m)
{
	_cleanup_free_ char *dir = NULL, *run_dir = NULL, *path = NULL, *cgroup = NULL;
	struct arena *a = &m->i->arena;
	struct cstore_error e = { 0 };
	int r;

	r = cstore_container_dir(m->sv->store, m->i->id, &dir, &e);
	if (!r)
		r = cstore_container_run_dir(m->sv->store, m->i->id, &run_dir, &e);
	if (!r)
		r = cstore_container_mount(m->sv->store, m->i->id, &path, &e);
	if (r)
		return err_from_cstore(m->err, r, &e);
	r = cgroup_path(m->sv->config->systemd_cgroups, m->q->pod->cgroup_parent, m->i->id, &cgroup, m->err);
	if (r)
		return r;
	m->i->dir = arena_strdup(a, dir);
	m->i->run_dir = arena_strdup(a, run_dir);
	m->i->mount_point = arena_strdup(a, path);
	m->i->cgroup_path = arena_strdup(a, cgroup);
	if (arena_failed(a))
		return err_oom(m->err);
	if (id_maps_used(&m->q->pod->maps)) {
		r = id_maps_open_path(path, m->err);
		if (!r)
			r = id_maps_open_path(run_dir, m->err);
		if (r)
			return r;
	}
	m->b.root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return m->b.root_fd < 0 ? err_sys(m->err, "open root file system %s", path) : 0;
}

/* ---- image ---- */

/* The stop signal: of the request (a CRI number by name), else of the image, else TERM. */
static void set_stop_signal(struct making *m, const struct cimage_config *image)
{
	const ProtobufCEnumValue *v = NULL;
	const char *name = "";

	if (m->q->config->stop_signal)
		v = protobuf_c_enum_descriptor_get_value(&runtime__v1__signal__descriptor, (int)m->q->config->stop_signal);
	if (v)
		name = str_starts(v->name, "SIGNAL_") ? v->name + strlen("SIGNAL_") : v->name;
	else if (image)
		name = cimage_config_stop_signal(image);
	m->i->stop_signal_name = arena_strdup(&m->i->arena, name);
	m->i->stop_signal = *name ? ocispec_signal_number(name) : SIGTERM;
	if (m->i->stop_signal <= 0) {
		log_warn("container %s: stop signal \"%s\" is unknown, SIGTERM is used", m->i->id, name);
		m->i->stop_signal = SIGTERM;
	}
}

static int load_image(struct making *m, struct cimage_config **ret)
{
	_cleanup_free_ char *key = strf("sha256:%s", m->i->image_id), *text = NULL;
	struct cstore_error se = { 0 };
	struct cimage_error ie = { 0 };
	size_t len;
	int r;

	if (!key)
		return err_oom(m->err);
	r = cstore_image_data(m->sv->store, m->i->image_id, key, CIMAGE_MANIFEST_MAX, &text, &len, &se);
	if (r)
		return err_from_cstore(m->err, r, &se);
	r = cimage_config_parse(text, len, ret, &ie);
	if (r)
		return err_from_cimage(m->err, r, &ie);
	set_stop_signal(m, *ret);
	return 0;
}

/*
 * How the scope of the container ends when the machine is shut down: before the daemon, and not killed before
 * its grace period is over.
 */
static int order_unit(struct making *m)
{
	const char *text = pairs_get(m->i->annotations, "io.kubernetes.pod.terminationGracePeriod");
	char timeout[48];
	long long grace;
	int r;

	if (!m->sv->config->systemd_cgroups)
		return 0;
	r = ocispec_set_annotation(m->b.spec, "org.systemd.property.DefaultDependencies", "true");
	if (!r)
		r = ocispec_set_annotation(m->b.spec, "org.systemd.property.After", "['crid.service', 'crio.service']");
	if (!r && text && str_to_i64(text, &grace) == 0 && grace > 0 && grace <= GRACE_MAX) {
		snprintf(timeout, sizeof(timeout), "uint64 %lld000000", grace);
		r = ocispec_set_annotation(m->b.spec, "org.systemd.property.TimeoutStopUSec", timeout);
	}
	return r ? err_sysr(m->err, r, "build config.json of container %s", m->i->name) : 0;
}

/* What is an order to the runtime is only in the bundle's document, never in what is kept and read again. */
static int save_spec(struct making *m)
{
	int r = config_json_write(m->b.spec, m->i->dir, m->err);

	if (r)
		return r;
	container_spec_hand_filter(&m->b);
	r = order_unit(m);
	if (r)
		return r;
	r = config_json_write(m->b.spec, m->i->run_dir, m->err);
	ocispec_drop_commands(m->b.spec, NULL, NULL);
	return r;
}

static int build_spec(struct making *m)
{
	struct cimage_config *image = NULL;
	int r;

	r = load_image(m, &image);
	if (r)
		return r;
	m->b.image = image;
	r = container_spec_build(&m->b, m->err);
	cimage_config_free(image);
	return r ? r : save_spec(m);
}

/* ---- monitor ---- */

/* conmon makes the log file; the directory of a container below the pod's is the kubelet's. */
static int check_log_path(struct making *m)
{
	const char *path = m->i->log_path;

	if (strchr(path, ':') || strstr(path, "/../"))
		return err_set(m->err, E_INVALID, "log path %s has a ':' or a '..'", path);
	return 0;
}

static void undo_log(void *user)
{
	struct making *m = user;

	unlink(m->i->log_path);
}

static int run_monitor(struct making *m)
{
	struct conmon_create c = {
		.config = m->sv->config, .handler = m->b.handler, .id = m->i->id, .name = m->i->name,
		.bundle = m->i->run_dir, .persist_dir = m->i->dir, .log_path = m->i->log_path,
		.cgroup_path = m->i->cgroup_path,
		.tty = m->i->tty, .stdin = m->i->stdin, .stdin_once = m->i->stdin_once,
	};
	int r;

	r = check_log_path(m);
	if (r)
		return r;
	undo_push(&m->undo, undo_log, m);
	r = conmon_create(&c, &m->st.init, &m->st.monitor, m->err);
	if (r)
		return r;
	m->st.status = "created";
	m->st.created = m->i->created;
	return state_save(m->i->dir, m->i->id, m->i->run_dir, m->b.spec, &m->st, m->err);
}

int op_container_make(const struct services *sv, const struct container_make *q, struct container_info *info,
		      struct object_state *ret_state, struct cb_error *err)
{
	struct making m = { .sv = sv, .q = q, .i = info, .err = err };
	int r;

	object_state_init(&m.st);
	m.b = (struct container_spec){ .sv = sv, .make = q, .info = info, .root_fd = -1, .pidns_fd = -1,
		.handler = config_runtime(sv->config, q->pod->handler) };
	r = container_spec_labels(&m.b, err);
	if (!r)
		r = make_record(&m);
	if (!r)
		r = make_dirs(&m);
	if (!r)
		r = build_spec(&m);
	if (!r)
		r = run_monitor(&m);
	close_fd(m.b.root_fd);
	close_fd(m.b.pidns_fd);
	if (r)
		undo_run(&m.undo);
	else
		*ret_state = m.st;
	user_done(&m.b.user);
	ocispec_free(m.b.spec);
	return r;
}

/* ---- start and end ---- */

/* state.json carries the document's annotations, so it is read again for every change of state. */
static int save_state(const struct container_info *i, const struct object_state *st, struct cb_error *err)
{
	struct ocispec *s = NULL;
	int r;

	r = config_json_load(i->dir, &s, err);
	if (r)
		return r;
	r = state_save(i->dir, i->id, i->run_dir, s, st, err);
	ocispec_free(s);
	return r;
}

int op_container_start(const struct services *sv, const struct container_info *i, struct object_state *st,
		       struct cb_error *err)
{
	const struct runtime_handler *h = config_runtime(sv->config, i->handler);
	int r;

	if (!h)
		return err_set(err, E_NOT_FOUND, "runtime handler %s is not configured", i->handler);
	r = runtime_start(sv->config, h, i->id, err);
	if (r)
		return r;
	st->status = "running";
	st->started = now_ns();
	return save_state(i, st, err);
}

static bool alive(const struct process_id *p)
{
	int fd = p->pid ? process_open(p->pid, p->start_time) : -ESRCH;

	close_fd(fd);
	return fd >= 0;
}

/*
 * Killed for want of memory? The monitor says so with a file, which on v1 may come after the exit code; the
 * cgroup's own counter is there before the process is gone. A scope may be gone before either of them has looked.
 * A process of the container that was killed before does not make a stop an OOM kill.
 */
static bool was_oom_killed(const struct container_info *i, int code, bool killed_by_us)
{
	return code == 128 + SIGKILL && !killed_by_us &&
	       (conmon_oom(i->run_dir, i->dir) || cgroup_oom_kills(i->cgroup_path) ||
		(cgroup_is_scope(i->cgroup_path) && oom_log_has(i->id)));
}

int op_container_ended(const struct services *sv, const struct container_info *i, bool killed_by_us, struct object_state *st,
		       struct cb_error *err)
{
	/* the order matters: a monitor that is dead now had written the code before */
	bool monitored = alive(&st->monitor);
	_cleanup_free_ char *exit_file = strf("%s/%s", sv->config->container_exits_dir, i->id);
	const struct runtime_handler *h = config_runtime(sv->config, i->handler);
	int r, code;
	int64_t finished;

	r = conmon_exit_code(i->dir, &code, &finished, err);
	if (r) {
		if (monitored || alive(&st->init))
			return err_set(err, E_NOT_FOUND, "container %s has not ended", i->id);
		log_warn("container %s ended and its monitor left no exit code: %s", i->id, err->message);
		code = EXIT_CODE_LOST;
		finished = now_ns();
	}
	st->status = "stopped";
	st->exit_code = code;
	st->has_exit_code = true;
	st->finished = finished;
	st->oom_killed = was_oom_killed(i, code, killed_by_us);
	/* the next start finds out again */
	if (save_state(i, st, err))
		log_error("container %s ended: %s", i->id, err->message);
	/* in a shared pid namespace its children live on */
	if (h && i->pid != NS_CONTAINER)
		runtime_kill(sv->config, h, i->id, SIGKILL, true, NULL);
	if (exit_file)
		unlink(exit_file);
	cstore_container_unmount(sv->store, i->id, 0, NULL);
	container_volumes_unmount(i);
	return 0;
}

/* ---- deleting ---- */

int op_container_delete(const struct services *sv, const struct container_info *i, struct cb_error *err)
{
	const struct runtime_handler *h = config_runtime(sv->config, i->handler);
	_cleanup_free_ char *exit_file = strf("%s/%s", sv->config->container_exits_dir, i->id);
	_cleanup_free_ char *attach = strf("%s/%s", sv->config->container_attach_socket_dir, i->id);
	struct cstore_error e = { 0 };
	int r;

	if (!exit_file || !attach)
		return err_oom(err);
	if (h) {
		r = runtime_delete(sv->config, h, i->id, err);
		if (r)
			return r;
	}
	unlink(exit_file);
	unlink(attach);
	cstore_container_unmount(sv->store, i->id, 1, NULL);
	container_volumes_unmount(i);
	r = cstore_container_delete(sv->store, i->id, &e);
	return r && r != CSTORE_E_NOT_FOUND ? err_from_cstore(err, r, &e) : 0;
}

void op_container_undo(const struct services *sv, const struct container_info *i)
{
	struct cb_error err = { 0 };

	leftover_kill_commands(sv->config, i->id);
	if (op_container_delete(sv, i, &err))
		log_warn("undo container %s: %s", i->id, err.message);
	/* a runtime that was killed while creating knows nothing of what it had made */
	if (*i->cgroup_path && cgroup_remove(i->cgroup_path, &err))
		log_warn("undo container %s: %s", i->id, err.message);
}
