/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints: the places one reference may be fetched from, each with all that is needed to talk to
 * it: whether TLS may be missing, the credentials that are for it, its certificate files.
 *
 * The caller's credentials are for the registry that the reference names. A mirror elsewhere gets
 * what the auth files say for the mirror's own name, never those.
 */
#include "auth_helper.h"
#include "certs.h"
#include "context.h"
#include "ref.h"
#include "registries.h"

struct cimage_endpoint {
	struct cimage_ref *ref;
	bool insecure, mirror;
	struct credentials creds;
	const struct certs *certs; /* of the context */
};

/* What certs.d has for a registry: also that it has nothing, so that nothing is read twice. */
struct known_certs {
	struct known_certs *next;
	struct certs certs;
	char domain[];
};

struct known_certs *known_certs_free(struct known_certs *k)
{
	struct known_certs *next;

	for (; k; k = next) {
		next = k->next;
		certs_done(&k->certs);
		free(k);
	}
	return NULL;
}

static int load_certs(struct cimage_context *c, const char *domain, struct certs *ret,
		      struct cimage_error *err)
{
	_cleanup_free_ char *home = context_home(), *user_dir = NULL;
	const char *dirs[] = { c->certs_dir, NULL, NULL };
	bool exists = false;
	size_t i;
	int r;

	if (c->certs_path)
		return certs_load(c->certs_path, ret, &exists, err);
	user_dir = home ? strf("%s/.config/containers/certs.d", home) : NULL;
	if (!user_dir)
		return err_oom(err);
	if (!c->certs_dir) {
		dirs[0] = user_dir;
		dirs[1] = "/etc/containers/certs.d";
		dirs[2] = "/etc/docker/certs.d";
	}
	for (i = 0; i < ARRAY_SIZE(dirs) && dirs[i] && !exists; i++) {
		_cleanup_free_ char *dir = strf("%s/%s", dirs[i], domain);

		r = dir ? certs_load(dir, ret, &exists, err) : err_oom(err);
		if (r)
			return r;
	}
	return 0;
}

static int find_certs(struct cimage_context *c, const char *domain, const struct certs **ret,
		      struct cimage_error *err)
{
	struct known_certs *k;
	int r = 0;

	pthread_mutex_lock(&c->lock);
	for (k = c->certs; k && !streq(k->domain, domain); k = k->next)
		;
	if (!k) {
		k = calloc(1, sizeof(*k) + strlen(domain) + 1);
		r = k ? load_certs(c, domain, &k->certs, err) : err_oom(err);
		if (r) {
			free(k);
		} else {
			strcpy(k->domain, domain);
			k->next = c->certs;
			c->certs = k;
		}
	}
	if (!r)
		*ret = &k->certs;
	pthread_mutex_unlock(&c->lock);
	return r;
}

static int copy_credentials(const struct cimage_context *c, struct credentials *ret,
			    struct cimage_error *err)
{
	ret->user = strdup(c->user);
	ret->password = strdup(c->password);
	return ret->user && ret->password ? 0 : err_oom(err);
}

/* The sources of credentials in the order that registries.conf gives. */
static int find_credentials(struct cimage_context *c, const struct registries *reg,
			    const struct cimage_ref *ref, struct credentials *ret,
			    struct cimage_error *err)
{
	char files_name[] = "containers-auth.json", *only_files[] = { files_name, NULL };
	char *const *h = reg->helpers && reg->helpers[0] ? reg->helpers : only_files;
	const struct auth_files *files;
	int r = context_auth(c, &files, err);

	pthread_mutex_lock(&c->lock);
	for (; !r && *h && !ret->user && !ret->identity_token; h++) {
		if (streq(*h, files_name))
			r = auth_find(files, ref, &c->helpers, ret, err);
		else
			r = helper_get(&c->helpers, *h, cimage_ref_domain(ref), ret, err);
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

int context_credentials(struct cimage_context *c, const struct cimage_ref *ref,
			struct credentials *ret, struct cimage_error *err)
{
	const struct registries *reg;
	int r = context_registries(c, &reg, err);

	return r ? r : find_credentials(c, reg, ref, ret, err);
}

static struct cimage_endpoint *endpoint_free(struct cimage_endpoint *e)
{
	if (e) {
		cimage_ref_free(e->ref);
		credentials_done(&e->creds);
	}
	free(e);
	return NULL;
}

CB_DEFINE_CLEANUP(struct cimage_endpoint *, endpoint_free)

static int new_endpoint(struct cimage_context *c, const struct registries *reg,
			const char *logical_domain, struct pull_source *from,
			struct cimage_endpoint **ret, struct cimage_error *err)
{
	_cleanup_(endpoint_freep) struct cimage_endpoint *e = calloc(1, sizeof(*e));
	const char *domain = cimage_ref_domain(from->ref);
	int r;

	if (!e)
		return err_oom(err);
	e->ref = take(from->ref);
	e->insecure = from->insecure || c->insecure;
	e->mirror = from->mirror;
	if (c->user && streq(domain, logical_domain))
		r = copy_credentials(c, &e->creds, err);
	else
		r = find_credentials(c, reg, e->ref, &e->creds, err);
	if (!r)
		r = find_certs(c, domain, &e->certs, err);
	if (r)
		return err_ctx(err, r, "%s", domain);
	*ret = take(e);
	return 0;
}

PUBLIC struct cimage_endpoint **cimage_endpoints_free(struct cimage_endpoint **v)
{
	size_t i;

	for (i = 0; v && v[i]; i++)
		endpoint_free(v[i]);
	free(v);
	return NULL;
}

PUBLIC int cimage_context_endpoints(struct cimage_context *c, const struct cimage_ref *ref,
				    struct cimage_endpoint ***ret, struct cimage_error *err)
{
	struct pull_source *sources = NULL;
	struct cimage_endpoint **v;
	const struct registries *reg;
	size_t n = 0, i;
	int r;

	if (!c || !ref || !ret)
		return -EINVAL;
	r = context_registries(c, &reg, err);
	if (!r)
		r = registries_sources(reg, ref, &sources, &n, err);
	if (r)
		return r;
	v = calloc(n + 1, sizeof(*v));
	if (!v)
		r = err_oom(err);
	for (i = 0; !r && i < n; i++)
		r = new_endpoint(c, reg, cimage_ref_domain(ref), &sources[i], &v[i], err);
	pull_sources_free(sources, n);
	if (r) {
		cimage_endpoints_free(v);
		return r;
	}
	*ret = v;
	return 0;
}

/* clang-format off */
PUBLIC const struct cimage_ref *cimage_endpoint_ref(const struct cimage_endpoint *e) { return e->ref; }
PUBLIC int cimage_endpoint_is_insecure(const struct cimage_endpoint *e) { return e->insecure; }
PUBLIC int cimage_endpoint_is_mirror(const struct cimage_endpoint *e) { return e->mirror; }
PUBLIC const char *cimage_endpoint_user(const struct cimage_endpoint *e) { return e->creds.user; }
PUBLIC const char *cimage_endpoint_password(const struct cimage_endpoint *e) { return e->creds.password; }
PUBLIC const char *cimage_endpoint_identity_token(const struct cimage_endpoint *e) { return e->creds.identity_token; }
PUBLIC const char *cimage_endpoint_ca(const struct cimage_endpoint *e) { return e->certs->ca; }
PUBLIC const char *cimage_endpoint_client_cert(const struct cimage_endpoint *e) { return e->certs->cert; }
PUBLIC const char *cimage_endpoint_client_key(const struct cimage_endpoint *e) { return e->certs->key; }
/* clang-format on */

PUBLIC int cimage_context_host_is_insecure(struct cimage_context *c, const char *host, int *ret,
					   struct cimage_error *err)
{
	const struct registries *reg;
	const struct registry *found;
	int r;

	if (!c || !host || !ret)
		return -EINVAL;
	r = context_registries(c, &reg, err);
	if (r)
		return r;
	found = registries_find(reg, host);
	*ret = c->insecure || (found && found->insecure);
	return 0;
}

PUBLIC int cimage_context_ca_bundle(struct cimage_context *c, const char **ret,
				    struct cimage_error *err)
{
	char *pem = NULL;
	int r = 0;

	if (!c || !ret)
		return -EINVAL;
	pthread_mutex_lock(&c->lock);
	if (!c->ca_bundle) {
		r = certs_load_system(&pem, err);
		if (!r && !pem && !(pem = strdup("")))
			r = err_oom(err);
		if (!r)
			c->ca_bundle = pem;
	}
	if (!r)
		*ret = c->ca_bundle;
	pthread_mutex_unlock(&c->lock);
	return r;
}
