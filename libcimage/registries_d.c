/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registries.d: a scope is an image, a repository, a namespace or a registry, and stands in one file
 * only. The manual says that the most specific scope decides alone; what everybody's implementation
 * does, and so this, is that what a scope leaves open is looked up in the next wider one.
 */
#include <cbase/io.h>
#include <cbase/json.h>
#include <dirent.h>
#include "context.h"
#include "module.h"
#include "policy.h"
#include "ref.h"
#include "registries_d.h"

#define SYSTEM_DIR "/etc/containers/registries.d"
#define DEFAULT_STORE "/var/lib/containers/sigstore"
#define USER_STORE ".local/share/containers/sigstore"

static void scope_done(struct store_scope *s)
{
	free(s->scope);
	free(s->lookaside);
	free(s->staging);
	free(s->file);
}

struct registries_d *registries_d_free(struct registries_d *d)
{
	while (d && d->count)
		scope_done(&d->items[--d->count]);
	if (d) {
		free(d->items);
		free(d->standard);
	}
	free(d);
	return NULL;
}

static const struct store_scope *find(const struct registries_d *d, const char *scope)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		if (streq(d->items[i].scope, scope))
			return &d->items[i];
	return NULL;
}

/* The first of the two names that has text; NULL in *ret when none has. */
static int read_url(const struct json *obj, const char *name, const char *old_name, char **ret)
{
	const char *s = json_get_string(obj, name);

	if (!s || !*s)
		s = json_get_string(obj, old_name);
	*ret = s && *s ? strdup(s) : NULL;
	return s && *s && !*ret ? -ENOMEM : 0;
}

static int add_scope(struct registries_d *d, const char *scope, const struct json *obj,
		     const char *file, struct cimage_error *err)
{
	const struct json *attachments = json_get(obj, "use-sigstore-attachments");
	const struct store_scope *other = find(d, scope);
	struct store_scope *items, s = { .attachments = -1 };

	if (other)
		return err_set(err, CIMAGE_E_INVALID,
			       "%s: %s%s%s is defined in %s already", file,
			       *scope ? "docker scope \"" : "default-docker", SHOW(scope),
			       *scope ? "\"" : "", other->file);
	if (obj->type != JSON_OBJECT && obj->type != JSON_NULL)
		return err_set(err, CIMAGE_E_INVALID, "%s: \"%s\" is not a mapping", file,
			       SHOW(scope));
	if (attachments && attachments->type == JSON_BOOL)
		s.attachments = attachments->boolean;
	else if (attachments && attachments->type != JSON_NULL)
		return err_set(err, CIMAGE_E_INVALID,
			       "%s: use-sigstore-attachments is not true or false", file);
	items = realloc(d->items, (d->count + 1) * sizeof(*items));
	if (!items)
		return err_oom(err);
	d->items = items;
	s.scope = strdup(scope);
	s.file = strdup(file);
	if (!s.scope || !s.file || read_url(obj, "lookaside", "sigstore", &s.lookaside) ||
	    read_url(obj, "lookaside-staging", "sigstore-staging", &s.staging)) {
		scope_done(&s);
		return err_oom(err);
	}
	items[d->count++] = s;
	return 0;
}

int registries_d_add(struct registries_d *d, const char *json, size_t n, const char *name,
		     struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	const struct json *root, *docker;
	int r = json_parse(json, n, JSON_UNIQUE_KEYS, &doc, NULL);

	if (r == -ENOMEM)
		return err_oom(err);
	root = doc ? json_root(doc) : NULL;
	docker = json_get(root, "docker");
	if (r || (root->type != JSON_OBJECT && root->type != JSON_NULL) ||
	    (docker && docker->type != JSON_OBJECT && docker->type != JSON_NULL))
		return err_set(err, CIMAGE_E_INVALID, "%s: not a mapping, or with a key twice", name);
	if (json_get(root, "default-docker"))
		r = add_scope(d, "", json_get(root, "default-docker"), name, err);
	json_foreach(item, docker && docker->type == JSON_OBJECT ? docker : NULL) {
		if (!r && !*item->key)
			r = err_set(err, CIMAGE_E_INVALID, "%s: an empty scope", name);
		if (!r)
			r = add_scope(d, item->key, item, name, err);
	}
	return r;
}

static int load_file(struct cimage_context *c, struct registries_d *d, const char *path,
		     struct cimage_error *err)
{
	_cleanup_free_ char *text = NULL, *json = NULL;
	const struct yaml_module *m;
	size_t n;
	int r = module_yaml(c, &m, err);

	if (r)
		return r;
	r = read_file(path, CONFIG_FILE_MAX, &text, &n);
	if (r == -ENOENT)
		return 0;
	if (r)
		return err_sysr(err, r, "read %s", path);
	r = m->to_json(text, n, &json, &n, err);
	if (r)
		return err_ctx(err, r, "%s", path);
	return registries_d_add(d, json, n, path, err);
}

static int is_yaml(const struct dirent *e)
{
	return str_ends(e->d_name, ".yaml");
}

int registries_d_load(struct cimage_context *c, struct registries_d *d, const char *path,
		      struct cimage_error *err)
{
	struct dirent **names = NULL;
	int i, n = scandir(path, &names, is_yaml, alphasort), r = 0;

	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return err_sys(err, "read directory %s", path);
	for (i = 0; i < n; i++) {
		_cleanup_free_ char *file = strf("%s/%s", path, names[i]->d_name);

		if (!r)
			r = file ? load_file(c, d, file, err) : err_oom(err);
		free(names[i]);
	}
	free(names);
	return r;
}

static const char *url_of(const struct store_scope *s, bool write)
{
	return write && s->staging ? s->staging : s->lookaside;
}

int registries_d_find(const struct registries_d *d, const struct cimage_ref *ref, bool write,
		      const char **ret_url, bool *ret_attachments)
{
	struct policy_subject s;
	const struct store_scope *one;
	int attachments = -1, r = policy_subject_docker(ref, &s);
	size_t i;

	if (!r)
		r = strv_push(&s.scopes, "");
	if (r)
		return r;
	*ret_url = NULL;
	for (i = 0; s.scopes[i]; i++) {
		one = find(d, s.scopes[i]);
		if (one && !*ret_url)
			*ret_url = url_of(one, write);
		if (one && attachments < 0)
			attachments = one->attachments;
	}
	*ret_attachments = attachments > 0;
	policy_subject_done(&s);
	return 0;
}

/* ---- of a context ---- */

static char *store_dir(const struct cimage_context *c)
{
	_cleanup_free_ char *home = context_home(), *user = NULL;

	if (c->registries_d)
		return strdup(c->registries_d);
	user = home ? strf("%s/.config/containers/registries.d", home) : NULL;
	if (!user)
		return NULL;
	return access(user, F_OK) ? strdup(SYSTEM_DIR) : take(user);
}

static char *default_store(void)
{
	_cleanup_free_ char *home = NULL;

	if (!geteuid())
		return strdup("file://" DEFAULT_STORE);
	home = context_home();
	return home ? strf("file://%s/" USER_STORE, home) : NULL;
}

int context_stores(struct cimage_context *c, const struct registries_d **ret,
		   struct cimage_error *err)
{
	_cleanup_(registries_d_freep) struct registries_d *d = NULL;
	_cleanup_free_ char *dir = NULL;
	int r = 0;

	pthread_mutex_lock(&c->lock);
	if (!c->stores) {
		d = calloc(1, sizeof(*d));
		dir = store_dir(c);
		if (d)
			d->standard = default_store();
		r = d && d->standard && dir ? registries_d_load(c, d, dir, err) : err_oom(err);
		if (!r)
			c->stores = take(d);
	}
	*ret = c->stores;
	pthread_mutex_unlock(&c->lock);
	return r;
}

PUBLIC int cimage_context_signature_store(struct cimage_context *c, const struct cimage_ref *ref,
					  int write, char **ret_url, int *ret_attachments,
					  struct cimage_error *err)
{
	_cleanup_(cimage_ref_freep) struct cimage_ref *full = NULL;
	const struct registries_d *d;
	const char *base;
	bool attachments;
	size_t n;
	int r;

	if (!c || !ref || !ret_url || !ret_attachments)
		return -EINVAL;
	r = context_stores(c, &d, err);
	if (r)
		return r;
	if (ref_for_fetch(ref, &full) || registries_d_find(d, full, write, &base, &attachments))
		return err_oom(err);
	if (!base)
		base = d->standard;
	for (n = strlen(base); n && base[n - 1] == '/'; n--)
		;
	*ret_url = strf("%.*s/%s", (int)n, base, cimage_ref_path(ref));
	if (!*ret_url)
		return err_oom(err);
	*ret_attachments = attachments;
	return 0;
}

PUBLIC int cimage_context_read_paths(struct cimage_context *c, const struct cimage_ref *ref,
				     char ***ret, struct cimage_error *err)
{
	struct cimage_endpoint **endpoints = NULL;
	_cleanup_strv_ char **paths = NULL;
	size_t i;
	int attachments, r;

	if (!c || !ref || !ret)
		return -EINVAL;
	r = cimage_context_endpoints(c, ref, &endpoints, err);
	for (i = 0; !r && endpoints[i]; i++) {
		_cleanup_free_ char *url = NULL;
		char *slash;

		r = cimage_context_signature_store(c, cimage_endpoint_ref(endpoints[i]), 0, &url,
						   &attachments, err);
		/* the directory that has those of all digests; only it exists for sure */
		slash = r ? NULL : strrchr(url, '/');
		if (!slash || !str_starts(url, "file:///"))
			continue;
		*slash = '\0';
		if (strv_push(&paths, url + strlen("file://")))
			r = err_oom(err);
	}
	cimage_endpoints_free(endpoints);
	if (!r && !paths && !(paths = calloc(1, sizeof(*paths))))
		r = err_oom(err);
	if (!r)
		*ret = take(paths);
	return r;
}
