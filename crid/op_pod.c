/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making, stopping and deleting a pod.
 *
 * What must survive a crash is on disk before the step it describes: the store's record and a first
 * config.json with the paths of the pins exist before namespaces are made and CNI ADD runs. A pod
 * without state.json was not finished; the next start deletes it with the same functions.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <cbase/io.h>
#include <cimage.h>
#include "annotations.h"
#include "cgroup.h"
#include "errors.h"
#include "leftover.h"
#include "log.h"
#include "namespaces.h"
#include "op_pod.h"
#include "pod_spec.h"
#include "runtime.h"
#include "undo.h"

#define SHM_SIZE (64ll << 20)
#define RESOLV_CONF_MAX (64u << 10)

struct making {
	const struct services *sv;
	const Runtime__V1__PodSandboxConfig *c;
	struct pod_info *i;
	struct object_state st;
	struct pins pins;
	struct undo undo;
	bool half;
	struct cb_error *err;
};

/* ---- steps ---- */

static void undo_record(void *user)
{
	struct making *m = user;

	m->half = op_pod_undo(m->sv, m->i) != 0;
}

/* The store's record: from here on the pod exists on disk, and undoing it is deleting it. */
static int make_record(struct making *m)
{
	_cleanup_free_ char *metadata = NULL, *layer = strf("%s-layer", m->i->infra_name);
	struct cstore_error e = { 0 };
	struct cstore_container_spec spec = {
		.size = sizeof(spec),
		.id = m->i->id,
		.names = (const char *const[]){ m->i->infra_name, m->i->name, NULL },
		.image = m->i->image_id,
		.layer_name = layer,
		.is_volatile = 1,
	};
	int r;

	if (!layer || pod_metadata(m->i, &metadata))
		return err_oom(m->err);
	spec.metadata = metadata;
	spec.mount_label = m->i->mount_label;
	spec.process_label = m->i->process_label;
	spec.uid_map = m->i->maps.uids;
	spec.gid_map = m->i->maps.gids;
	spec.uid_map_count = m->i->maps.n_uids;
	spec.gid_map_count = m->i->maps.n_gids;
	r = cstore_container_create(m->sv->store, &spec, &e);
	if (r)
		return err_from_cstore(m->err, r, &e);
	undo_push(&m->undo, undo_record, m);
	return 0;
}

static int make_dirs(struct making *m)
{
	_cleanup_free_ char *dir = NULL, *run_dir = NULL;
	struct pod_info *i = m->i;
	struct arena *a = &i->arena;
	struct cstore_error e = { 0 };
	int r;

	r = cstore_container_dir(m->sv->store, i->id, &dir, &e);
	if (!r)
		r = cstore_container_run_dir(m->sv->store, i->id, &run_dir, &e);
	if (r)
		return err_from_cstore(m->err, r, &e);
	i->dir = arena_strdup(a, dir);
	i->run_dir = arena_strdup(a, run_dir);
	i->resolv_path = arena_printf(a, "%s/resolv.conf", run_dir);
	i->hostname_path = arena_printf(a, "%s/hostname", run_dir);
	i->containerenv_path = arena_printf(a, "%s/.containerenv", i->spoofed ? run_dir : dir);
	i->shm_path = i->ipc == NS_NODE ? "/dev/shm" : arena_printf(a, "%s/shm", run_dir);
	if (arena_failed(a))
		return err_oom(m->err);
	r = i->log_dir ? mkdir_p(i->log_dir, 0700) : 0;
	if (r)
		return err_sysr(m->err, r, "make log directory %s", i->log_dir);
	return id_maps_used(&i->maps) ? id_maps_open_path(run_dir, m->err) : 0;
}

static int plan_pins(struct making *m)
{
	struct arena *a = &m->i->arena;
	int r;

	r = pins_plan(m->sv->config, &m->i->maps, &m->pins, m->err);
	if (r)
		return r;
	m->i->netns = arena_strdup(a, m->pins.net);
	m->i->ipcns = m->i->ipc == NS_NODE ? "" : arena_strdup(a, m->pins.ipc);
	m->i->utsns = arena_strdup(a, m->pins.uts);
	m->i->userns = m->pins.user ? arena_strdup(a, m->pins.user) : "";
	return arena_failed(a) ? err_oom(m->err) : 0;
}

static int save_config(struct making *m)
{
	_cleanup_(pod_spec_freep) struct ocispec *s = NULL;
	int r;

	r = pod_spec_build(m->sv, m->i, &s, m->err);
	return r ? r : config_json_save(s, m->i->dir, m->i->run_dir, m->err);
}

/* ---- files of the pod ---- */

static void append_list(struct str *s, const char *keyword, char **v, size_t n)
{
	size_t i;

	if (!n)
		return;
	str_append(s, keyword);
	for (i = 0; i < n; i++)
		str_appendf(s, " %s", v[i]);
	str_append_char(s, '\n');
}

static bool has_blank_or_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f)
			return true;
	return false;
}

static int check_dns_words(struct making *m, const char *what, char **v, size_t n)
{
	for (; n; n--, v++)
		if (!**v || has_blank_or_control(*v))
			return err_set(m->err, E_INVALID, "dns_config: %s \"%s\" has blanks or control bytes", what, *v);
	return 0;
}

/* A file of the pod, which root of the pod may change. */
static int write_pod_file(struct making *m, const char *path, const char *text, size_t len)
{
	uint32_t uid, gid;
	int r = write_file(path, 0644, text, len, 0);

	if (r)
		return err_sysr(m->err, r, "write %s", path);
	id_maps_root(&m->i->maps, &uid, &gid);
	if ((uid || gid) && chown(path, uid, gid) < 0)
		return err_sys(m->err, "give %s to the pod", path);
	return m->sv->selinux ? selinux_relabel(path, m->i->mount_label, m->err) : 0;
}

static int write_resolv_conf(struct making *m)
{
	const Runtime__V1__DNSConfig *dns = m->c->dns_config;
	_cleanup_str_ struct str s = STR_INIT;
	_cleanup_free_ char *host = NULL;
	size_t i, len;
	int r;

	if (dns && (dns->n_servers || dns->n_searches || dns->n_options)) {
		if (check_dns_words(m, "server", dns->servers, dns->n_servers) ||
		    check_dns_words(m, "search domain", dns->searches, dns->n_searches) ||
		    check_dns_words(m, "option", dns->options, dns->n_options))
			return E_INVALID;
		append_list(&s, "search", dns->searches, dns->n_searches);
		for (i = 0; i < dns->n_servers; i++)
			str_appendf(&s, "nameserver %s\n", dns->servers[i]);
		append_list(&s, "options", dns->options, dns->n_options);
	} else {
		r = read_file("/etc/resolv.conf", RESOLV_CONF_MAX, &host, &len);
		if (r && r != -ENOENT)
			return err_sysr(m->err, r, "read /etc/resolv.conf");
		str_append_mem(&s, host ? host : "", host ? len : 0);
	}
	return s.failed ? err_oom(m->err) : write_pod_file(m, m->i->resolv_path, s.data ? s.data : "", s.len);
}

static int write_small_files(struct making *m)
{
	_cleanup_free_ char *hostname = strf("%s\n", m->i->hostname);
	int r;

	r = hostname ? write_pod_file(m, m->i->hostname_path, hostname, strlen(hostname)) : err_oom(m->err);
	if (!r)
		r = write_pod_file(m, m->i->containerenv_path, "", 0);
	return r ? r : write_resolv_conf(m);
}

static int mount_shm(struct making *m)
{
	const char *path = m->i->shm_path;
	const char *size_text = annotation_get(m->i->annotations, ANNOTATION_SHM_SIZE, "");
	int64_t size = SHM_SIZE;
	char options[512];
	uint32_t uid, gid;
	int n, r;

	if (m->i->ipc == NS_NODE)
		return 0;
	r = size_text ? annotation_parse_size(size_text, &size, m->err) : 0;
	if (r)
		return err_ctx(m->err, r, "size of /dev/shm");
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(m->err, "make %s", path);
	id_maps_root(&m->i->maps, &uid, &gid);
	n = snprintf(options, sizeof(options), "mode=1777,size=%lld,uid=%u,gid=%u", (long long)size, uid, gid);
	if (m->sv->selinux)
		snprintf(options + n, sizeof(options) - (size_t)n, ",context=\"%.300s\"", m->i->mount_label);
	if (mount("shm", path, "tmpfs", MS_NOEXEC | MS_NOSUID | MS_NODEV, options) < 0)
		return err_sys(m->err, "mount a tmpfs on %s", path);
	return 0;
}

/* ---- network ---- */

static struct network_pod network_pod(const struct pod_info *i)
{
	return (struct network_pod){
		.id = i->id, .name = i->meta_name, .namespace = i->meta_namespace, .uid = i->meta_uid,
		.netns = *i->netns ? i->netns : NULL, .cgroup_parent = i->cgroup_parent, .annotations = i->annotations,
	};
}

static int network_up(struct making *m)
{
	struct network_pod np = network_pod(m->i);
	_cleanup_free_ char *result = NULL;
	_cleanup_strv_ char **ips = NULL;
	int r;

	if (m->i->network == NS_NODE)
		return 0;
	r = network_setup(m->sv->network, &np, &ips, &result, m->err);
	if (r)
		return r;
	m->i->ips = arena_strv(&m->i->arena, ips);
	m->i->cni_result = arena_strdup(&m->i->arena, result ? result : "");
	if (arena_failed(&m->i->arena))
		return err_oom(m->err);
	return hostports_open(m->sv->hostports, m->i, m->err);
}

/* ---- the infra container, or its stand-in ---- */

static int mount_infra_root(struct making *m)
{
	struct cstore_error e = { 0 };
	_cleanup_free_ char *path = NULL;
	int r;

	if (m->i->spoofed) {
		m->i->mount_point = "";
		return 0;
	}
	r = cstore_container_mount(m->sv->store, m->i->id, &path, &e);
	if (r)
		return err_from_cstore(m->err, r, &e);
	m->i->mount_point = arena_strdup(&m->i->arena, path);
	if (!m->i->mount_point)
		return err_oom(m->err);
	return id_maps_used(&m->i->maps) ? id_maps_open_path(path, m->err) : 0;
}

static int start_infra(struct making *m)
{
	const struct runtime_handler *h = config_runtime(m->sv->config, m->i->handler);
	_cleanup_free_ char *log = strf("%s/%s.log", m->i->log_dir, m->i->id);
	struct conmon_create c = {
		.config = m->sv->config, .handler = h, .id = m->i->id, .name = m->i->infra_name,
		.bundle = m->i->run_dir, .persist_dir = m->i->dir, .log_path = log,
		.cgroup_path = m->i->cgroup_path,
	};
	int r;

	if (!log)
		return err_oom(m->err);
	r = conmon_create(&c, &m->st.init, &m->st.monitor, m->err);
	if (!r)
		r = runtime_start(m->sv->config, h, m->i->id, m->err);
	return r;
}

static int bring_up(struct making *m)
{
	int r;

	m->st.created = m->st.started = m->i->created;
	if (m->i->spoofed)
		return cgroup_make(m->i->cgroup_path, m->err);
	r = start_infra(m);
	m->st.status = "running";
	return r;
}

static int save_state(struct making *m)
{
	_cleanup_(pod_spec_freep) struct ocispec *s = NULL;
	int r;

	if (!m->i->spoofed) {
		r = config_json_load(m->i->dir, &s, m->err);
		if (r)
			return r;
	}
	return state_save(pod_state_dir(m->i), m->i->id, m->i->run_dir, s, &m->st, m->err);
}

static int make(struct making *m)
{
	int r;

	r = selinux_check(m->sv->selinux, m->i->process_label, m->err);
	if (!r)
		r = make_record(m);
	if (!r)
		r = make_dirs(m);
	if (!r)
		r = plan_pins(m);
	if (!r)
		r = mount_infra_root(m);
	if (!r)
		r = save_config(m);
	if (!r)
		r = pins_make(m->sv->config, &m->pins, m->i->network == NS_NODE, m->i->ipc == NS_NODE,
			      m->i->sysctls, m->err);
	if (!r)
		r = network_up(m);
	if (!r)
		r = write_small_files(m);
	if (!r)
		r = mount_shm(m);
	/* again, now with the addresses */
	if (!r)
		r = save_config(m);
	if (!r)
		r = bring_up(m);
	return r ? r : save_state(m);
}

int op_pod_make(const struct services *sv, const Runtime__V1__PodSandboxConfig *c, struct pod_info *info,
		struct object_state *ret_state, bool *ret_half, struct cb_error *err)
{
	struct making m = { .sv = sv, .c = c, .i = info, .err = err };
	int r;

	object_state_init(&m.st);
	r = make(&m);
	if (r)
		undo_run(&m.undo);
	else
		*ret_state = m.st;
	*ret_half = m.half;
	pins_done(&m.pins);
	return r;
}

/* ---- stopping ---- */

int op_pod_network_down(const struct services *sv, const struct pod_info *i, struct cb_error *err)
{
	struct network_pod np = network_pod(i);
	int r;

	if (i->network == NS_NODE || marker_is_set(pod_state_dir(i), "network-stopped"))
		return 0;
	if (np.netns && !pin_exists(np.netns))
		np.netns = NULL;
	/* before the address is given back, which may be another pod's at once */
	hostports_close(sv->hostports, i);
	r = network_teardown(sv->network, &np, err);
	return r ? r : marker_set(pod_state_dir(i), "network-stopped", err);
}

static int unmount_shm(const struct pod_info *i, struct cb_error *err)
{
	if (i->ipc == NS_NODE || !i->shm_path || !str_starts(i->shm_path, i->run_dir))
		return 0;
	if (umount2(i->shm_path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
		return err_sys(err, "unmount %s", i->shm_path);
	return 0;
}

static int remove_pins(const struct services *sv, const struct pod_info *i, struct cb_error *err)
{
	struct pins pins = { .uuid = "" };
	int r;

	r = pins_set(&pins, *i->netns ? i->netns : NULL, *i->ipcns ? i->ipcns : NULL, *i->utsns ? i->utsns : NULL,
		     *i->userns ? i->userns : NULL);
	if (r)
		return err_oom(err);
	r = pins_remove(sv->config, &pins, err);
	pins_done(&pins);
	return r;
}

int op_pod_stopped(const struct services *sv, const struct pod_info *i, struct object_state *st, struct cb_error *err)
{
	struct cstore_error e = { 0 };
	int r;

	r = unmount_shm(i, err);
	if (!r)
		r = remove_pins(sv, i, err);
	if (r)
		return r;
	if (!i->spoofed) {
		r = cstore_container_unmount(sv->store, i->id, 0, &e);
		if (r && r != CSTORE_E_NOT_FOUND)
			return err_from_cstore(err, r, &e);
		return marker_set(i->dir, "stopped", err);
	}
	st->status = "stopped";
	if (st->finished == TIME_ZERO_NS)
		st->finished = now_ns();
	r = state_save(i->run_dir, i->id, i->run_dir, NULL, st, err);
	return r ? r : marker_set(i->run_dir, "stopped", err);
}

/* ---- deleting ---- */

static void unlink_leftovers(const struct config *c, const char *id)
{
	_cleanup_free_ char *exit_file = strf("%s/%s", c->container_exits_dir, id);
	_cleanup_free_ char *attach = strf("%s/%s", c->container_attach_socket_dir, id);

	if (exit_file)
		unlink(exit_file);
	if (attach)
		unlink(attach);
}

int op_pod_delete(const struct services *sv, const struct pod_info *i, struct cb_error *err)
{
	const struct runtime_handler *h = config_runtime(sv->config, i->handler);
	struct cstore_error e = { 0 };
	int r;

	if (!i->spoofed && h) {
		r = runtime_delete(sv->config, h, i->id, err);
		if (r)
			return r;
	}
	unlink_leftovers(sv->config, i->id);
	if (*i->cgroup_path) {
		r = cgroup_remove(i->cgroup_path, err);
		if (r)
			log_warn("remove pod %s: %s", i->id, err->message);
	}
	r = unmount_shm(i, err);
	if (r)
		return r;
	cstore_container_unmount(sv->store, i->id, 1, NULL);
	r = cstore_container_delete(sv->store, i->id, &e);
	return r && r != CSTORE_E_NOT_FOUND ? err_from_cstore(err, r, &e) : 0;
}

int op_pod_undo(const struct services *sv, const struct pod_info *i)
{
	struct cb_error err = { 0 };
	struct object_state st;
	int r;

	object_state_init(&st);
	if (!i->spoofed)
		leftover_kill_commands(sv->config, i->id);
	if (i->run_dir) {
		r = op_pod_network_down(sv, i, &err);
		if (r) {
			log_warn("undo pod %s: %s", i->id, err.message);
			return r;
		}
		if (op_pod_stopped(sv, i, &st, &err))
			log_warn("undo pod %s: %s", i->id, err.message);
	}
	if (op_pod_delete(sv, i, &err))
		log_warn("undo pod %s: %s", i->id, err.message);
	return 0;
}
