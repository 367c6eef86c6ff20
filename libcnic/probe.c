/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which versions a plugin speaks: asked once by VERSION and remembered for as long as the file is
 * the same one, so that loading the configuration again costs a stat() per plugin.
 */
#include "private.h"

struct probe {
	struct probe *next;
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
	char **versions;
};

static struct probe *probe_free(struct probe *p)
{
	struct probe *next = p->next;

	strv_free(p->versions);
	free(p);
	return next;
}

void probes_free(struct probe *list)
{
	while (list)
		list = probe_free(list);
}

static bool time_equal(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_same(const struct probe *p, const struct stat *st)
{
	return p->dev == st->st_dev && p->ino == st->st_ino && p->size == st->st_size &&
	       time_equal(p->mtime, st->st_mtim) && time_equal(p->ctime, st->st_ctim);
}

/* -1: not remembered. */
static int recall(struct cnic *c, const struct stat *st, const char *version)
{
	int known = -1;

	pthread_mutex_lock(&c->lock);
	for (const struct probe *p = c->probes; p && known < 0; p = p->next)
		if (is_same(p, st))
			known = strv_has(p->versions, version);
	pthread_mutex_unlock(&c->lock);
	return known;
}

static int remember(struct cnic *c, const struct stat *st, char **versions)
{
	struct probe *p = calloc(1, sizeof(*p)), **at;
	size_t n = 0;

	if (!p) {
		strv_free(versions);
		return -ENOMEM;
	}
	*p = (struct probe){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = st->st_size,
		.mtime = st->st_mtim,
		.ctime = st->st_ctim,
		.versions = versions,
	};
	pthread_mutex_lock(&c->lock);
	p->next = c->probes;
	c->probes = p;
	for (at = &c->probes; *at && n < PROBES_MAX; at = &(*at)->next)
		n++;
	probes_free(*at); /* the oldest go */
	*at = NULL;
	pthread_mutex_unlock(&c->lock);
	return 0;
}

/* Plugins from before VERSION existed say so in exactly these words. */
static bool is_ancient(int r, const struct cnic_error *err)
{
	return r == CNIC_E_PLUGIN && str_starts(err->message, "unknown CNI_COMMAND: VERSION");
}

static int ask(struct cnic *c, const char *path, char ***ret, struct cnic_error *err)
{
	_cleanup_plan_ struct plan plan = { 0 };
	_cleanup_json_ struct json_doc *doc = NULL;
	struct cnic_error why = { 0 };
	const char *version;
	int r;

	r = plan_probe(c, &plan);
	if (r)
		return err_sysr(err, r, "ask for its versions");
	r = plugin_run(c, path, &plan, deadline_after(PROBE_TIMEOUT_MS), &doc, &why);
	if (is_ancient(r, &why))
		return strv_push(ret, CNI_VERSION_UNSET) ? err_oom(err) : 0;
	if (r) {
		err_copy(err, &why);
		return err_ctx(err, r, "ask for its versions");
	}
	version = json_get_string(json_root(doc), "cniVersion");
	if (!version || !*version)
		return err_set(err, CNIC_E_INVALID, "ask for its versions: missing field cniVersion");
	r = json_strv(json_get(json_root(doc), "supportedVersions"), ret);
	if (r)
		return err_oom(err);
	if (!strv_len(*ret)) /* such an answer comes from plugins of version 0.2.0 */
		return strv_push(ret, "0.1.0") || strv_push(ret, "0.2.0") ? err_oom(err) : 0;
	return 0;
}

int probe_supports(struct cnic *c, const char *type, const char *version, struct cnic_error *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_strv_ char **versions = NULL;
	struct stat st;
	int known, r;

	r = plugin_find(c, type, &path, &st, err);
	if (r)
		return r;
	known = recall(c, &st, version);
	if (known < 0) {
		r = ask(c, path, &versions, err);
		if (r)
			return err_ctx(err, r, "plugin %.64s", type);
		known = strv_has(versions, version);
		r = remember(c, &st, take(versions));
		if (r)
			return err_oom(err);
	}
	if (!known)
		return err_set(err, CNIC_E_INVALID,
			       "plugin %.64s does not support config version \"%.32s\"", type,
			       version);
	return 0;
}
