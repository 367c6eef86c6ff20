/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The object and its options. The loaded networks are one immutable set behind a lock: reload swaps
 * the set, operations hold a reference to the one they began with.
 */
#include "private.h"

PUBLIC int cnic_options_new(struct cnic_options **ret)
{
	struct cnic_options *o;

	if (!ret)
		return -EINVAL;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->run = run_default;
	o->cancel_fd = -1;
	*ret = o;
	return 0;
}

static void options_done(struct cnic_options *o)
{
	free(o->conf_dir);
	free(o->cache_dir);
	free(o->default_network);
	strv_free(o->plugin_dirs);
}

PUBLIC struct cnic_options *cnic_options_free(struct cnic_options *o)
{
	if (o)
		options_done(o);
	free(o);
	return NULL;
}

static int set_text(char **at, const char *s)
{
	char *copy = NULL;

	if (s) {
		copy = strdup(s);
		if (!copy)
			return -ENOMEM;
	}
	free(*at);
	*at = copy;
	return 0;
}

PUBLIC int cnic_options_set_conf_dir(struct cnic_options *o, const char *path)
{
	return o && path && *path == '/' ? set_text(&o->conf_dir, path) : -EINVAL;
}

PUBLIC int cnic_options_add_plugin_dir(struct cnic_options *o, const char *path)
{
	/* the plugins get all directories joined by ':' */
	return o && path && *path == '/' && !strchr(path, ':') ? strv_push(&o->plugin_dirs, path)
							       : -EINVAL;
}

PUBLIC int cnic_options_set_cache_dir(struct cnic_options *o, const char *path)
{
	return o && path && *path == '/' ? set_text(&o->cache_dir, path) : -EINVAL;
}

PUBLIC int cnic_options_set_default_network(struct cnic_options *o, const char *name)
{
	if (!o)
		return -EINVAL;
	if (name && *name && !name_valid(name))
		return CNIC_E_INVALID;
	return set_text(&o->default_network, name && *name ? name : NULL);
}

PUBLIC int cnic_options_set_runner(struct cnic_options *o, cnic_run_fn run, void *user)
{
	if (!o)
		return -EINVAL;
	o->run = run ? run : run_default;
	o->user = run ? user : NULL;
	return 0;
}

PUBLIC int cnic_options_set_cancel_fd(struct cnic_options *o, int fd)
{
	if (!o || fd < -1)
		return -EINVAL;
	o->cancel_fd = fd;
	return 0;
}

static int copy_options(struct cnic_options *to, const struct cnic_options *from)
{
	int r;

	to->run = from ? from->run : run_default;
	to->cancel_fd = from ? from->cancel_fd : -1;
	to->user = to->run == run_default ? &to->cancel_fd : from->user;
	r = set_text(&to->conf_dir, from && from->conf_dir ? from->conf_dir : "/etc/cni/net.d");
	if (r == 0)
		r = set_text(&to->cache_dir,
			     from && from->cache_dir ? from->cache_dir : "/var/lib/cni/results");
	if (r == 0)
		r = set_text(&to->default_network, from ? from->default_network : NULL);
	if (r == 0 && from && from->plugin_dirs)
		r = (to->plugin_dirs = strv_copy(from->plugin_dirs)) ? 0 : -ENOMEM;
	else if (r == 0)
		r = strv_push(&to->plugin_dirs, "/opt/cni/bin");
	return r;
}

PUBLIC struct cnic *cnic_free(struct cnic *c)
{
	if (!c)
		return NULL;
	options_done(&c->o);
	strv_free(c->base_env);
	network_set_unref(c->set);
	probes_free(c->probes);
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->reloading);
	free(c);
	return NULL;
}

CB_DEFINE_CLEANUP(struct cnic *, cnic_free)

/* Nothing loaded yet: an empty set that says so. */
static int empty_set(struct network_set **ret)
{
	struct network_set *set = calloc(1, sizeof(*set));

	if (!set)
		return -ENOMEM;
	atomic_init(&set->refs, 1);
	set->trouble = strdup("no CNI configuration has been loaded yet");
	*ret = set;
	return set->trouble ? 0 : -ENOMEM;
}

PUBLIC int cnic_new(const struct cnic_options *o, struct cnic **ret)
{
	_cleanup_(cnic_freep) struct cnic *c = NULL;
	int r;

	if (!ret)
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->reloading, NULL);
	r = copy_options(&c->o, o);
	if (r == 0)
		r = plan_base_env(environ, &c->base_env);
	if (r == 0)
		r = empty_set(&c->set);
	if (r)
		return r;
	*ret = take(c);
	return 0;
}

struct network_set *networks_now(struct cnic *c)
{
	struct network_set *set;

	pthread_mutex_lock(&c->lock);
	set = network_set_ref(c->set);
	pthread_mutex_unlock(&c->lock);
	return set;
}

static void swap_set(struct cnic *c, struct network_set *set)
{
	struct network_set *old;

	pthread_mutex_lock(&c->lock);
	old = c->set;
	c->set = network_set_ref(set);
	pthread_mutex_unlock(&c->lock);
	network_set_unref(old);
}

PUBLIC int cnic_reload(struct cnic *c, struct cnic_error *err)
{
	_cleanup_network_set_ struct network_set *set = NULL;
	int r;

	err_start(err);
	if (!c)
		return err_sysr(err, -EINVAL, "load CNI configuration");
	pthread_mutex_lock(&c->reloading);
	r = load_networks(c, &set, err);
	if (r == 0)
		swap_set(c, set);
	pthread_mutex_unlock(&c->reloading);
	if (r)
		return r;
	if (!set->standard)
		return err_set(err, CNIC_E_NO_NETWORK, "%s", set->trouble);
	err_set(err, 0, "%s", set->trouble);
	return 0;
}

void err_add(struct cnic_error *err, const char *before, const char *text)
{
	size_t len = err ? strlen(err->message) : 0;

	if (err && len + strlen(before) + 16 < sizeof(err->message))
		snprintf(err->message + len, sizeof(err->message) - len, "%s", before);
	else
		return;
	len = strlen(err->message);
	utf8_copy(err->message + len, sizeof(err->message) - len, text);
}
