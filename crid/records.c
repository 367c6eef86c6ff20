/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRI-O's records (see records.h). Scalars of config.json are in one table per kind of object, used
 * to write and to read; what has a shape of its own (labels, metadata, volumes) is JSON inside the
 * annotation.
 */
#include <cbase/io.h>
#include <cbase/json.h>
#include "cgroup_path.h"
#include "errors.h"
#include "records.h"

#define K "io.kubernetes.cri-o."
#define MANAGER "io.container.manager"
#define SPOOFED "spoofed.crio.io"

/* ---- metadata of the store's record ---- */

static int doc_text(struct json_doc *doc, char **ret)
{
	struct str s = STR_INIT;
	char *text;

	if (json_format(doc, json_root(doc), 0, &s)) {
		str_done(&s);
		return -ENOMEM;
	}
	text = str_take(&s, NULL);
	if (!text)
		return -ENOMEM;
	*ret = text;
	return 0;
}

static void set_common(struct json_doc *d, struct json *o, const char *pod_name, const char *pod_id,
		       const char *image, const char *image_id, const char *name, const char *meta_name)
{
	json_set_string(d, o, "pod-name", pod_name);
	json_set_string(d, o, "pod-id", pod_id);
	json_set_string(d, o, "image-name", image);
	json_set_string(d, o, "image-id", image_id);
	json_set_string(d, o, "name", name);
	json_set_string(d, o, "metadata-name", meta_name);
}

static void set_tail(struct json_doc *d, struct json *o, const char *mount_label, int64_t created, uint32_t attempt,
		     bool pod, bool privileged)
{
	if (mount_label && *mount_label)
		json_set_string(d, o, "mountlabel", mount_label);
	json_set_int(d, o, "created-at", created / 1000000000);
	if (attempt)
		json_set_int(d, o, "attempt", attempt);
	if (pod)
		json_set_bool(d, o, "pod", true);
	if (privileged)
		json_set_bool(d, o, "privileged", true);
}

int pod_metadata(const struct pod_info *i, char **ret)
{
	_cleanup_json_ struct json_doc *d = json_doc_new();
	struct json *o = json_root(d);

	if (!d)
		return -ENOMEM;
	set_common(d, o, i->name, i->id, i->image, i->image_id, i->infra_name, i->meta_name);
	json_set_string(d, o, "uid", i->meta_uid);
	json_set_string(d, o, "namespace", i->meta_namespace);
	set_tail(d, o, i->mount_label, i->created, i->attempt, true, i->privileged);
	return doc_text(d, ret);
}

int container_metadata(const struct container_info *i, char **ret)
{
	_cleanup_json_ struct json_doc *d = json_doc_new();
	struct json *o = json_root(d);

	if (!d)
		return -ENOMEM;
	set_common(d, o, i->pod_name, i->pod_id, i->image, i->image_id, i->name, i->meta_name);
	set_tail(d, o, i->mount_label, i->created, i->attempt, false, i->privileged);
	return doc_text(d, ret);
}

void record_metadata_parse(const char *text, struct record_metadata *ret)
{
	_cleanup_json_ struct json_doc *d = NULL;
	const char *name, *id;

	*ret = (struct record_metadata){ 0 };
	if (!text || json_parse(text, strlen(text), 0, &d, NULL))
		return;
	name = json_get_string(json_root(d), "pod-name");
	id = json_get_string(json_root(d), "pod-id");
	if (!name || !*name || !id || !str_is_hex(id, 64))
		return;
	ret->ours = true;
	ret->pod = json_get_bool(json_root(d), "pod", false);
	memcpy(ret->pod_id, id, sizeof(ret->pod_id));
}

/* ---- annotations with JSON inside ---- */

static int annotate(struct ocispec *s, const char *key, const char *value)
{
	return value ? ocispec_set_annotation(s, key, value) : 0;
}

static int annotate_doc(struct ocispec *s, const char *key, struct json_doc *d)
{
	_cleanup_free_ char *text = NULL;

	if (!d || doc_text(d, &text))
		return -ENOMEM;
	return ocispec_set_annotation(s, key, text);
}

static int annotate_pairs(struct ocispec *s, const char *key, char *const *pairs)
{
	_cleanup_json_ struct json_doc *d = json_doc_new();

	for (; d && pairs && pairs[0]; pairs += 2)
		json_set_string(d, json_root(d), pairs[0], pairs[1]);
	return annotate_doc(s, key, d);
}

static int annotate_bool(struct ocispec *s, const char *key, bool b)
{
	return ocispec_set_annotation(s, key, b ? "true" : "false");
}

static int annotate_time(struct ocispec *s, const char *key, int64_t ns)
{
	char text[TIME_MAX_LEN];

	time_format(ns, text);
	return ocispec_set_annotation(s, key, text);
}

/*
 * May a pod's own annotation appear in the document that the runtime reads? Some command runtimes,
 * systemd or us; they stay visible in CRI (in K"Annotations") and have no effect.
 */
static bool annotation_is_plain(const char *key)
{
	static const char *const refused[] = {
		"io.kubernetes.cri-o.", "io.container.manager", "io.podman.", "io.kubernetes.cri.",
		"org.opencontainers.image.stopSignal",
	};
	size_t i;

	if (ocispec_annotation_commands(key))
		return false;
	for (i = 0; i < ARRAY_SIZE(refused); i++)
		if (str_starts(key, refused[i]))
			return false;
	return !str_ends(key, ".crio.io") && !strstr(key, ".crio.io/");
}

static int annotate_plain(struct ocispec *s, char *const *pairs)
{
	int r;

	for (; pairs && pairs[0]; pairs += 2) {
		if (!annotation_is_plain(pairs[0]))
			continue;
		r = ocispec_set_annotation(s, pairs[0], pairs[1]);
		if (r)
			return r;
	}
	return 0;
}

static char **load_pairs(struct arena *a, const struct ocispec *s, const char *key)
{
	const char *text = ocispec_get_annotation(s, key);
	_cleanup_json_ struct json_doc *d = NULL;
	struct json *o;
	char **pairs;
	size_t n = 0;

	if (!text || json_parse(text, strlen(text), 0, &d, NULL))
		return NULL;
	o = json_root(d);
	pairs = arena_alloc(a, (2 * o->count + 1) * sizeof(*pairs));
	json_foreach(item, pairs && o->type == JSON_OBJECT ? o : NULL) {
		if (!json_string(item))
			continue;
		pairs[n++] = arena_strdup(a, item->key);
		pairs[n++] = arena_strdup(a, json_string(item));
	}
	return pairs;
}

/* ---- scalars by table ---- */

enum field_type { STRING, BOOL };

struct field {
	const char *key;
	size_t offset;
	enum field_type type;
};

#define POD(key, member, type) { K key, offsetof(struct pod_info, member), type }
#define CTR(key, member, type) { K key, offsetof(struct container_info, member), type }

static const struct field pod_fields[] = {
	POD("Name", name, STRING),
	POD("ContainerID", id, STRING),
	POD("ContainerName", infra_name, STRING),
	POD("SandboxID", id, STRING),
	POD("SandboxName", name, STRING),
	POD("Namespace", meta_namespace, STRING),
	POD("KubeName", meta_name, STRING),
	POD("HostName", hostname, STRING),
	POD("CgroupParent", cgroup_parent, STRING),
	POD("RuntimeHandler", handler, STRING),
	POD("SeccompProfilePath", seccomp, STRING),
	POD("PortMappings", port_mappings, STRING),
	POD("Image", image, STRING),
	POD("ImageName", image_name, STRING),
	POD("MountPoint", mount_point, STRING),
	POD("ResolvPath", resolv_path, STRING),
	POD("HostnamePath", hostname_path, STRING),
	POD("ShmPath", shm_path, STRING),
	POD("CNIResult", cni_result, STRING),
	POD("PrivilegedRuntime", privileged, BOOL),
};

static const struct field container_fields[] = {
	CTR("Name", name, STRING),
	CTR("ContainerID", id, STRING),
	CTR("SandboxID", pod_id, STRING),
	CTR("SandboxName", pod_name, STRING),
	CTR("Image", image, STRING),
	CTR("UserRequestedImage", user_image, STRING),
	CTR("ImageName", image_name, STRING),
	CTR("ImageRef", image_id, STRING),
	CTR("ImageRepoDigests", repo_digests, STRING),
	CTR("LogPath", log_path, STRING),
	CTR("MountPoint", mount_point, STRING),
	CTR("SeccompProfilePath", seccomp, STRING),
	CTR("TTY", tty, BOOL),
	CTR("Stdin", stdin, BOOL),
	CTR("StdinOnce", stdin_once, BOOL),
};

static int save_fields(struct ocispec *s, const struct field *f, size_t n, const void *object)
{
	const char *at;
	size_t i;
	int r;

	for (i = 0; i < n; i++) {
		at = (const char *)object + f[i].offset;
		if (f[i].type == BOOL)
			r = annotate_bool(s, f[i].key, *(const bool *)at);
		else
			r = annotate(s, f[i].key, *(const char *const *)(const void *)at);
		if (r)
			return r;
	}
	return 0;
}

static void load_fields(const struct ocispec *s, const struct field *f, size_t n, void *object, struct arena *a)
{
	const char *text;
	size_t i;

	for (i = 0; i < n; i++) {
		text = ocispec_get_annotation(s, f[i].key);
		if (!text)
			continue;
		if (f[i].type == BOOL)
			*(bool *)((char *)object + f[i].offset) = streq(text, "true");
		else
			*(const char **)(void *)((char *)object + f[i].offset) = arena_strdup(a, text);
	}
}

/* ---- pods ---- */

static void set_mappings(struct json_doc *d, struct json *o, const char *key, const struct cstore_id_range *r, size_t n)
{
	struct json *list = json_set_array(d, o, key), *m;

	for (size_t i = 0; i < n; i++) {
		m = json_new_object(d);
		json_append(d, list, m);
		json_set_int(d, m, "host_id", r[i].host_id);
		if (r[i].container_id)
			json_set_int(d, m, "container_id", r[i].container_id);
		json_set_int(d, m, "length", r[i].count);
	}
}

/* As it came in the request; mode POD is the zero that is left out. */
static void set_userns_options(struct json_doc *d, const struct id_maps *m)
{
	struct json *o;

	if (!id_maps_used(m))
		return;
	o = json_set_object(d, json_root(d), "userns_options");
	set_mappings(d, o, "uids", m->uids, m->n_uids);
	set_mappings(d, o, "gids", m->gids, m->n_gids);
}

static int annotate_pod_shapes(struct ocispec *s, const struct pod_info *i)
{
	_cleanup_json_ struct json_doc *meta = json_doc_new(), *ns = json_doc_new();
	int r;

	if (!meta || !ns)
		return -ENOMEM;
	json_set_string(meta, json_root(meta), "name", i->meta_name);
	json_set_string(meta, json_root(meta), "uid", i->meta_uid);
	json_set_string(meta, json_root(meta), "namespace", i->meta_namespace);
	if (i->attempt)
		json_set_int(meta, json_root(meta), "attempt", i->attempt);
	if (i->network)
		json_set_int(ns, json_root(ns), "network", i->network);
	if (i->pid)
		json_set_int(ns, json_root(ns), "pid", i->pid);
	if (i->ipc)
		json_set_int(ns, json_root(ns), "ipc", i->ipc);
	set_userns_options(ns, &i->maps);
	r = annotate_doc(s, K "Metadata", meta);
	if (!r)
		r = annotate_doc(s, K "NamespaceOptions", ns);
	if (!r)
		r = annotate_pairs(s, K "Labels", i->labels);
	return r ? r : annotate_pairs(s, K "Annotations", i->annotations);
}

int pod_annotate(struct ocispec *s, const struct pod_info *i)
{
	int r;

	r = annotate_plain(s, i->annotations);
	if (!r)
		r = annotate_plain(s, i->labels);
	if (!r)
		r = save_fields(s, pod_fields, ARRAY_SIZE(pod_fields), i);
	if (!r)
		r = annotate_pod_shapes(s, i);
	if (!r)
		r = annotate_time(s, K "Created", i->created);
	if (!r)
		r = annotate(s, K "ContainerType", "sandbox");
	if (!r)
		r = annotate_bool(s, K "HostNetwork", i->network == NS_NODE);
	if (!r)
		r = annotate(s, "pod-linux-overhead.crio.io", i->overhead);
	if (!r)
		r = annotate(s, "pod-linux-resources.crio.io", i->resources);
	if (!r)
		r = annotate(s, MANAGER, "cri-o");
	if (!r && i->spoofed)
		r = annotate(s, SPOOFED, "true");
	if (!r && i->log_dir) {
		_cleanup_free_ char *log = strf("%s/%s.log", i->log_dir, i->id);

		r = log ? annotate(s, K "LogPath", log) : -ENOMEM;
	}
	return r;
}

static int need(const struct ocispec *s, const char *key, const char **ret, struct cb_error *err)
{
	*ret = ocispec_get_annotation(s, key);
	return *ret ? 0 : err_set(err, E_INVALID, "annotation %s is missing", key);
}

/* The annotation's text as a document that lives in ret. */
static int need_json(const struct ocispec *s, const char *key, struct json_doc **ret, struct cb_error *err)
{
	struct cb_error why = { 0 };
	const char *text;
	int r;

	r = need(s, key, &text, err);
	if (r)
		return r;
	if (json_parse(text, strlen(text), 0, ret, &why))
		return err_set(err, E_INVALID, "annotation %s: %s", key, why.message);
	return 0;
}

static int load_pod_metadata(const struct ocispec *s, struct pod_info *i, struct cb_error *err)
{
	_cleanup_json_ struct json_doc *meta = NULL, *ns = NULL;
	struct json *m, *n;
	int r;

	r = need_json(s, K "Metadata", &meta, err);
	if (!r)
		r = need_json(s, K "NamespaceOptions", &ns, err);
	if (r)
		return r;
	m = json_root(meta);
	n = json_root(ns);
	i->meta_name = arena_strdup(&i->arena, json_get_string(m, "name"));
	i->meta_uid = arena_strdup(&i->arena, json_get_string(m, "uid"));
	i->meta_namespace = arena_strdup(&i->arena, json_get_string(m, "namespace"));
	i->attempt = (uint32_t)json_get_int(m, "attempt", 0);
	i->network = (enum ns_mode)json_get_int(n, "network", 0);
	i->pid = (enum ns_mode)json_get_int(n, "pid", 0);
	i->ipc = (enum ns_mode)json_get_int(n, "ipc", 0);
	if (!i->meta_name || !i->meta_uid || !i->meta_namespace)
		return err_set(err, E_INVALID, "annotation " K "Metadata lacks name, uid or namespace");
	return 0;
}

static int load_created(const struct ocispec *s, int64_t *ret, struct cb_error *err)
{
	const char *text;
	int r;

	r = need(s, K "Created", &text, err);
	if (r)
		return r;
	if (time_parse(text, ret) || *ret == TIME_ZERO_NS)
		return err_set(err, E_INVALID, "annotation " K "Created is no time: %s", text);
	return 0;
}

static const char *load_cgroup(struct arena *a, const struct ocispec *s)
{
	const char *text = ocispec_get_cgroups_path(s);
	_cleanup_free_ char *path = cgroup_from_spec(text ? text : "");

	return path ? arena_strdup(a, path) : NULL;
}

static const char *namespace_path(struct arena *a, const struct ocispec *s, const char *type)
{
	const char *path;

	return ocispec_get_namespace(s, type, &path) ? "" : arena_strdup(a, path);
}

static const char *dirname_of(struct arena *a, const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? arena_strndup(a, path, (size_t)(slash - path)) : "";
}

bool pod_is_spoofed(const struct ocispec *s)
{
	const char *text = ocispec_get_annotation(s, SPOOFED);

	if (!text)
		text = ocispec_get_annotation(s, K "Spoofed");
	return text && streq(text, "true");
}

int pod_info_load(const struct ocispec *s, const char *dir, const char *run_dir, struct pod_info **ret,
		  struct cb_error *err)
{
	struct pod_info *i = pod_info_new();
	struct arena *a;
	int r;

	if (!i)
		return err_oom(err);
	a = &i->arena;
	load_fields(s, pod_fields, ARRAY_SIZE(pod_fields), i, a);
	r = load_pod_metadata(s, i, err);
	if (!r)
		r = load_created(s, &i->created, err);
	if (!r && (!i->id || !str_is_hex(i->id, 64) || !i->name || !*i->name))
		r = err_set(err, E_INVALID, "annotation " K "Name or " K "ContainerID is missing");
	i->labels = load_pairs(a, s, K "Labels");
	i->annotations = load_pairs(a, s, K "Annotations");
	i->log_dir = dirname_of(a, ocispec_get_annotation(s, K "LogPath"));
	i->spoofed = pod_is_spoofed(s);
	i->netns = namespace_path(a, s, "network");
	i->ipcns = namespace_path(a, s, "ipc");
	i->utsns = namespace_path(a, s, "uts");
	i->userns = namespace_path(a, s, "user");
	i->process_label = arena_strdup(a, ocispec_get_text(s, "process.selinuxLabel") ?: "");
	i->mount_label = arena_strdup(a, ocispec_get_text(s, "linux.mountLabel") ?: "");
	if (!r && id_maps_from_spec(a, s, &i->maps))
		r = err_set(err, E_INVALID, "linux.uidMappings and gidMappings cannot be used");
	i->dir = arena_strdup(a, dir);
	i->run_dir = arena_strdup(a, run_dir);
	i->containerenv_path = arena_printf(a, "%s/.containerenv", i->spoofed ? run_dir : dir);
	i->cgroup_path = load_cgroup(a, s);
	/* CRI-O can do without these, and then they are where it puts them */
	if (!i->resolv_path)
		i->resolv_path = arena_printf(a, "%s/resolv.conf", run_dir);
	if (!i->hostname_path)
		i->hostname_path = arena_printf(a, "%s/hostname", run_dir);
	if (!i->shm_path)
		i->shm_path = i->ipc == NS_NODE ? "/dev/shm" : arena_printf(a, "%s/shm", run_dir);
	if (!i->mount_point)
		i->mount_point = "";
	if (!i->infra_name)
		i->infra_name = i->name;
	if (!r && arena_failed(a))
		r = err_oom(err);
	if (r) {
		pod_info_unref(i);
		return r;
	}
	*ret = i;
	return 0;
}

/* ---- containers ---- */

/* What few mounts have. */
static void set_mount_extras(struct json_doc *d, struct json *o, const struct mount_info *m)
{
	struct json *list;

	if (m->image) {
		list = json_set_object(d, o, "image");
		json_set_string(d, list, "image", m->image);
		json_set_string(d, list, "image_ref", m->image_ref);
		if (*m->image_sub_path)
			json_set_string(d, o, "image_sub_path", m->image_sub_path);
	}
	if (m->options) {
		list = json_set_array(d, o, "mount_options");
		for (char **v = m->options; *v; v++)
			json_append_string(d, list, *v);
	}
}

static int annotate_volumes(struct ocispec *s, const struct container_info *i)
{
	_cleanup_json_ struct json_doc *d = json_doc_new();
	const struct mount_info *m;
	struct json *list, *o;

	if (!d)
		return -ENOMEM;
	list = json_new_array(d);
	json_set_root(d, list);
	for (m = i->mounts; m && m < i->mounts + i->n_mounts; m++) {
		o = json_new_object(d);
		json_append(d, list, o);
		json_set_string(d, o, "container_path", m->container_path);
		json_set_string(d, o, "host_path", m->host_path);
		json_set_bool(d, o, "readonly", m->readonly);
		json_set_bool(d, o, "recursive_read_only", m->recursive_read_only);
		json_set_int(d, o, "propagation", m->propagation);
		json_set_bool(d, o, "selinux_relabel", m->selinux_relabel);
		set_mount_extras(d, o, m);
	}
	return annotate_doc(s, K "Volumes", d);
}

static int annotate_container_shapes(struct ocispec *s, const struct container_info *i)
{
	_cleanup_json_ struct json_doc *meta = json_doc_new();
	int r;

	if (!meta)
		return -ENOMEM;
	json_set_string(meta, json_root(meta), "name", i->meta_name);
	if (i->attempt)
		json_set_int(meta, json_root(meta), "attempt", i->attempt);
	r = annotate_doc(s, K "Metadata", meta);
	if (!r)
		r = annotate_volumes(s, i);
	if (!r)
		r = annotate_pairs(s, K "Labels", i->labels);
	return r ? r : annotate_pairs(s, K "Annotations", i->annotations);
}

int container_annotate(struct ocispec *s, const struct container_info *i, const struct pod_info *pod)
{
	char key[sizeof(K) + 24];
	size_t n;
	int r;

	r = annotate_plain(s, pod->annotations);
	if (!r)
		r = annotate_plain(s, i->annotations);
	if (!r)
		r = annotate_plain(s, i->labels);
	if (!r)
		r = save_fields(s, container_fields, ARRAY_SIZE(container_fields), i);
	if (!r)
		r = annotate_container_shapes(s, i);
	if (!r)
		r = annotate_time(s, K "Created", i->created);
	if (!r)
		r = annotate(s, K "ContainerType", "container");
	if (!r)
		r = annotate(s, K "ResolvPath", pod->resolv_path);
	if (!r)
		r = annotate(s, MANAGER, "cri-o");
	if (!r && *i->stop_signal_name)
		r = annotate(s, "org.opencontainers.image.stopSignal", i->stop_signal_name);
	for (n = 0; !r && n < strv_len(pod->ips); n++) {
		snprintf(key, sizeof(key), K "IP.%zu", n);
		r = annotate(s, key, pod->ips[n]);
	}
	return r;
}

static void load_mount_extras(struct arena *a, const struct json *o, struct mount_info *m)
{
	const struct json *image = json_get(o, "image");
	const char *id = image ? json_get_string(image, "image") : NULL, *ref, *sub;
	_cleanup_strv_ char **options = NULL;

	if (!json_strv(json_get(o, "mount_options"), &options) && options)
		m->options = arena_strv(a, options);
	if (!id || !*id)
		return;
	ref = json_get_string(image, "image_ref");
	sub = json_get_string(o, "image_sub_path");
	m->image = arena_strdup(a, id);
	m->image_ref = arena_strdup(a, ref ? ref : id);
	m->image_sub_path = arena_strdup(a, sub ? sub : "");
}

static void load_volumes(const struct ocispec *s, struct container_info *i)
{
	const char *text = ocispec_get_annotation(s, K "Volumes");
	_cleanup_json_ struct json_doc *d = NULL;
	struct arena *a = &i->arena;
	struct mount_info *m;
	struct json *list;

	if (!text || json_parse(text, strlen(text), 0, &d, NULL))
		return;
	list = json_root(d);
	i->mounts = arena_alloc(a, list->count * sizeof(*i->mounts));
	json_foreach(item, i->mounts && list->type == JSON_ARRAY ? list : NULL) {
		const char *ctr = json_get_string(item, "container_path"), *host = json_get_string(item, "host_path");

		m = &i->mounts[i->n_mounts++];
		m->container_path = arena_strdup(a, ctr ? ctr : "");
		m->host_path = arena_strdup(a, host ? host : "");
		m->readonly = json_get_bool(item, "readonly", false);
		m->recursive_read_only = json_get_bool(item, "recursive_read_only", false);
		m->propagation = (int)json_get_int(item, "propagation", 0);
		m->selinux_relabel = json_get_bool(item, "selinux_relabel", false);
		load_mount_extras(a, item, m);
	}
}

static const char *text_of(const struct ocispec *s, struct arena *a, const char *path)
{
	const char *text = ocispec_get_text(s, path);

	return text ? arena_strdup(a, text) : "";
}

void resource_info_load(const struct ocispec *s, struct arena *a, struct resource_info *ret)
{
	*ret = (struct resource_info){ 0 };
	ocispec_get_number(s, "linux.resources.cpu.shares", &ret->cpu_shares);
	ocispec_get_number(s, "linux.resources.cpu.quota", &ret->cpu_quota);
	ocispec_get_number(s, "linux.resources.cpu.period", &ret->cpu_period);
	ocispec_get_number(s, "linux.resources.memory.limit", &ret->memory_limit);
	ocispec_get_number(s, "linux.resources.memory.swap", &ret->memory_swap);
	ocispec_get_number(s, "process.oomScoreAdj", &ret->oom_score_adj);
	ret->cpuset_cpus = text_of(s, a, "linux.resources.cpu.cpus");
	ret->cpuset_mems = text_of(s, a, "linux.resources.cpu.mems");
}

static void load_user_and_resources(const struct ocispec *s, struct container_info *i)
{
	const char *path;

	ocispec_get_user(s, &i->uid, &i->gid);
	i->n_groups = ocispec_get_groups(s, NULL, 0);
	i->groups = arena_alloc(&i->arena, i->n_groups * sizeof(*i->groups));
	if (i->groups)
		ocispec_get_groups(s, i->groups, i->n_groups);
	resource_info_load(s, &i->arena, &i->resources);
	/* no pid namespace entry: the host's; a path: the pod's or a target's */
	i->pid = ocispec_get_namespace(s, "pid", &path) ? NS_NODE : *path ? NS_POD : NS_CONTAINER;
}

static int load_container_metadata(const struct ocispec *s, struct container_info *i, struct cb_error *err)
{
	_cleanup_json_ struct json_doc *meta = NULL;
	int r;

	r = need_json(s, K "Metadata", &meta, err);
	if (r)
		return r;
	i->meta_name = arena_strdup(&i->arena, json_get_string(json_root(meta), "name"));
	i->attempt = (uint32_t)json_get_int(json_root(meta), "attempt", 0);
	if (!i->meta_name)
		return err_set(err, E_INVALID, "annotation " K "Metadata lacks the name");
	return 0;
}

int container_info_load(const struct ocispec *s, const char *dir, const char *run_dir,
			struct container_info **ret, struct cb_error *err)
{
	struct container_info *i = container_info_new();
	const char *signal_name, *comma;
	struct arena *a;
	int r;

	if (!i)
		return err_oom(err);
	a = &i->arena;
	load_fields(s, container_fields, ARRAY_SIZE(container_fields), i, a);
	r = load_container_metadata(s, i, err);
	if (!r)
		r = load_created(s, &i->created, err);
	if (!r && (!i->id || !str_is_hex(i->id, 64) || !i->name || !*i->name || !i->pod_id || !i->log_path))
		r = err_set(err, E_INVALID, "annotation " K "Name, ContainerID, SandboxID or LogPath is missing");
	i->labels = load_pairs(a, s, K "Labels");
	i->annotations = load_pairs(a, s, K "Annotations");
	load_volumes(s, i);
	load_user_and_resources(s, i);
	comma = strchrnul(i->repo_digests, ',');
	i->image_ref = *i->repo_digests ? arena_strndup(a, i->repo_digests, (size_t)(comma - i->repo_digests)) : i->image_id;
	signal_name = ocispec_get_annotation(s, "org.opencontainers.image.stopSignal");
	i->stop_signal_name = arena_strdup(a, signal_name ? signal_name : "");
	i->stop_signal = signal_name ? ocispec_signal_number(signal_name) : -EINVAL;
	if (i->stop_signal <= 0)
		i->stop_signal = 15;
	i->dir = arena_strdup(a, dir);
	i->run_dir = arena_strdup(a, run_dir);
	i->cgroup_path = load_cgroup(a, s);
	if (!r && arena_failed(a))
		r = err_oom(err);
	if (r) {
		container_info_unref(i);
		return r;
	}
	*ret = i;
	return 0;
}

/* ---- config.json ---- */

int config_json_write(const struct ocispec *s, const char *dir, struct cb_error *err)
{
	_cleanup_free_ char *text = NULL, *path = strf("%s/config.json", dir);
	size_t len;
	int r;

	r = ocispec_format(s, OCISPEC_FORMAT_INDENT, &text, &len);
	if (r)
		return err_sysr(err, r, "format config.json");
	r = path ? write_file(path, 0644, text, len, 0) : -ENOMEM;
	return r ? err_sysr(err, r, "write %s/config.json", dir) : 0;
}

int config_json_save(const struct ocispec *s, const char *dir, const char *run_dir, struct cb_error *err)
{
	int r = config_json_write(s, dir, err);

	return r ? r : config_json_write(s, run_dir, err);
}

int config_json_load(const char *dir, struct ocispec **ret, struct cb_error *err)
{
	_cleanup_free_ char *path = strf("%s/config.json", dir), *text = NULL;
	struct ocispec_error why = { 0 };
	size_t len;
	int r;

	if (!path)
		return err_oom(err);
	r = read_file(path, CONFIG_JSON_MAX, &text, &len);
	if (r == -ENOENT)
		return err_set(err, E_NOT_FOUND, "%s does not exist", path);
	if (r)
		return err_sysr(err, r, "read %s", path);
	r = ocispec_parse(text, len, ret, &why);
	if (r)
		return err_set(err, E_INVALID, "%s: %s", path, why.message);
	return 0;
}
