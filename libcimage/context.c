/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The context: settings of the caller, and the configuration files behind them.
 *
 * Files are read once, on first use or by cimage_context_prepare(), and never again: all that happens
 * with one context sees one state of the configuration. Who wants to see a changed file makes a new
 * context, which costs nothing until it is used. A file that could not be read is tried again.
 */
#include <fcntl.h>
#include <pwd.h>
#include <cbase/io.h>
#include "auth_helper.h"
#include "context.h"
#include "crypt.h"
#include "policy.h"
#include "registries.h"
#include "registries_d.h"

#define SYSTEM_REGISTRIES_CONF "/etc/containers/registries.conf"
#define SYSTEM_REGISTRIES_DIR "/etc/containers/registries.conf.d"
#define STALL_TIMEOUT 60 /* s */
#define STALL_TIMEOUT_MAX 3600
#define SYSTEM_BLOB_CACHE "/var/lib/containers/cache/cimage-blobs"
#define SYSTEM_POLICY "/etc/containers/policy.json"
#define SYSTEM_ALIASES "/var/cache/containers/short-name-aliases.conf"

PUBLIC int cimage_context_new(struct cimage_context **ret)
{
	struct cimage_context *c;

	if (!ret)
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	*ret = c;
	return 0;
}

static void free_secret(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

/* What was read. */
static void forget(struct cimage_context *c)
{
	c->registries = registries_free(c->registries);
	c->policy = policy_free(c->policy);
	c->auth = auth_files_free(c->auth);
	c->certs = known_certs_free(c->certs);
	c->stores = registries_d_free(c->stores);
	c->helpers = helper_cache_free(c->helpers);
	free(take(c->ca_bundle));
}

PUBLIC struct cimage_context *cimage_context_free(struct cimage_context *c)
{
	if (!c)
		return NULL;
	forget(c);
	free(c->registries_conf);
	free(c->registries_conf_dir);
	free(c->policy_path);
	free(c->auth_path);
	free(c->certs_dir);
	free(c->certs_path);
	free(c->user);
	free_secret(c->password);
	free(c->os);
	free(c->arch);
	free(c->variant);
	free(c->user_agent);
	free(c->short_name_mode);
	free(c->transport_dir);
	free(c->registries_d);
	free(c->blob_cache);
	free(c->sign_key);
	free_secret(c->sign_passphrase);
	free(c->sigstore_key);
	free_secret(c->sigstore_passphrase);
	crypt_keys_free(c->decryption);
	crypt_keys_free(c->encryption);
	pthread_mutex_destroy(&c->lock);
	free(c);
	return NULL;
}

static int replace(char **where, const char *text)
{
	char *copy = NULL;

	if (text) {
		copy = strdup(text);
		if (!copy)
			return -ENOMEM;
	}
	free_secret(*where);
	*where = copy;
	return 0;
}

PUBLIC int cimage_context_set_registries_conf(struct cimage_context *c, const char *path)
{
	return c ? replace(&c->registries_conf, path) : -EINVAL;
}

PUBLIC int cimage_context_set_registries_conf_dir(struct cimage_context *c, const char *path)
{
	return c ? replace(&c->registries_conf_dir, path) : -EINVAL;
}

PUBLIC int cimage_context_set_policy(struct cimage_context *c, const char *path)
{
	return c ? replace(&c->policy_path, path) : -EINVAL;
}

PUBLIC int cimage_context_set_auth_file(struct cimage_context *c, const char *path)
{
	return c ? replace(&c->auth_path, path) : -EINVAL;
}

PUBLIC int cimage_context_set_certs(struct cimage_context *c, const char *path)
{
	return c ? replace(&c->certs_path, path) : -EINVAL;
}

PUBLIC int cimage_context_set_certs_dir(struct cimage_context *c, const char *path)
{
	return c ? replace(&c->certs_dir, path) : -EINVAL;
}

PUBLIC int cimage_context_set_credentials(struct cimage_context *c, const char *user,
					  const char *password)
{
	int r;

	/* ':' separates the two in the Authorization header */
	if (!c || !user != !password || (user && strchr(user, ':')))
		return -EINVAL;
	r = replace(&c->user, user);
	return r ? r : replace(&c->password, password);
}

PUBLIC int cimage_context_set_platform(struct cimage_context *c, const char *os, const char *arch,
				       const char *variant)
{
	int r;

	if (!c)
		return -EINVAL;
	if ((r = replace(&c->os, os)) || (r = replace(&c->arch, arch)))
		return r;
	return replace(&c->variant, variant);
}

/* It becomes a header line. */
PUBLIC int cimage_context_set_user_agent(struct cimage_context *c, const char *text)
{
	const char *p;

	if (!c)
		return -EINVAL;
	for (p = text; p && *p; p++)
		if (*p < 0x20 || *p >= 0x7f)
			return -EINVAL;
	return replace(&c->user_agent, text);
}

PUBLIC int cimage_context_set_short_name_mode(struct cimage_context *c, const char *mode)
{
	if (!c || (mode && !streq(mode, "enforcing") && !streq(mode, "permissive") &&
		   !streq(mode, "disabled")))
		return -EINVAL;
	return replace(&c->short_name_mode, mode);
}

PUBLIC int cimage_context_set_cancel(struct cimage_context *c, const int *cancel)
{
	if (!c)
		return -EINVAL;
	c->cancel = cancel;
	return 0;
}

PUBLIC int cimage_context_set_prefer_gzip(struct cimage_context *c, int prefer)
{
	if (!c)
		return -EINVAL;
	c->prefer_gzip = prefer;
	return 0;
}

PUBLIC int cimage_context_set_blob_cache(struct cimage_context *c, const char *path)
{
	return c ? replace(&c->blob_cache, path) : -EINVAL;
}

PUBLIC int cimage_context_set_stall_timeout(struct cimage_context *c, int seconds)
{
	if (!c || seconds < 1 || seconds > STALL_TIMEOUT_MAX)
		return -EINVAL;
	c->stall_timeout = seconds;
	return 0;
}

PUBLIC int cimage_context_stall_timeout(const struct cimage_context *c)
{
	return c->stall_timeout ? c->stall_timeout : STALL_TIMEOUT;
}

PUBLIC int cimage_context_set_insecure(struct cimage_context *c, int insecure)
{
	if (!c)
		return -EINVAL;
	c->insecure = insecure;
	return 0;
}

PUBLIC int cimage_context_set_transport_dir(struct cimage_context *c, const char *path)
{
	return c ? replace(&c->transport_dir, path) : -EINVAL;
}

PUBLIC int cimage_context_set_registries_d(struct cimage_context *c, const char *path)
{
	return c ? replace(&c->registries_d, path) : -EINVAL;
}

/* A line break ends what gpg takes for the passphrase. */
PUBLIC int cimage_context_set_sign_key(struct cimage_context *c, const char *key,
				       const char *passphrase)
{
	int r;

	if (!c || (passphrase && strchr(passphrase, '\n')))
		return -EINVAL;
	r = replace(&c->sign_key, key);
	return r ? r : replace(&c->sign_passphrase, passphrase);
}

PUBLIC int cimage_context_set_sigstore_key(struct cimage_context *c, const char *path,
					   const char *passphrase)
{
	int r;

	if (!c)
		return -EINVAL;
	r = replace(&c->sigstore_key, path);
	return r ? r : replace(&c->sigstore_passphrase, passphrase);
}

PUBLIC int cimage_context_set_gpg_verify(struct cimage_context *c, cimage_gpg_verify_fn *fn,
					 void *user)
{
	if (!c)
		return -EINVAL;
	c->gpg_verify = fn;
	c->gpg_user = user;
	return 0;
}

char *context_home(void)
{
	const char *env = secure_getenv("HOME");
	struct passwd pw, *found = NULL;
	char buf[4096];

	if (env && *env)
		return strdup(env);
	if (getpwuid_r(getuid(), &pw, buf, sizeof(buf), &found) || !found || !found->pw_dir)
		return strdup("");
	return strdup(found->pw_dir);
}

char *context_blob_cache(const struct cimage_context *c)
{
	const char *data = secure_getenv("XDG_DATA_HOME");
	_cleanup_free_ char *home = context_home();

	if (c->blob_cache)
		return strdup(c->blob_cache);
	if (!geteuid())
		return strdup(SYSTEM_BLOB_CACHE);
	if (data && *data)
		return strf("%s/containers/cache/cimage-blobs", data);
	return home ? strf("%s/.local/share/containers/cache/cimage-blobs", home) : NULL;
}

static int load_aliases(struct registries *reg, const char *home, struct cimage_error *err)
{
	const char *cache = secure_getenv("XDG_CACHE_HOME");
	_cleanup_free_ char *path = NULL;

	if (!geteuid())
		path = strdup(SYSTEM_ALIASES);
	else if (cache && *cache)
		path = strf("%s/containers/short-name-aliases.conf", cache);
	else
		path = strf("%s/.cache/containers/short-name-aliases.conf", home);
	return path ? registries_load_aliases(reg, path, err) : err_oom(err);
}

/* The drop-in directories: the one the caller chose, or those that go with the main file in use. */
static int load_drop_ins(struct cimage_context *c, struct registries *reg, const char *user_dir,
			 bool user_file, struct cimage_error *err)
{
	int r;

	if (c->registries_conf_dir)
		return *c->registries_conf_dir
			       ? registries_load_dir(reg, c->registries_conf_dir, err)
			       : 0;
	if (!user_file) {
		r = registries_load_dir(reg, SYSTEM_REGISTRIES_DIR, err);
		if (r)
			return r;
	}
	return registries_load_dir(reg, user_dir, err);
}

static int load_registries(struct cimage_context *c, struct registries *reg,
			   struct cimage_error *err)
{
	_cleanup_free_ char *home = context_home(), *user_file = NULL, *user_dir = NULL;
	const char *path = SYSTEM_REGISTRIES_CONF;
	bool use_user_file;
	int r;

	if (!home)
		return err_oom(err);
	user_file = strf("%s/.config/containers/registries.conf", home);
	user_dir = strf("%s/.config/containers/registries.conf.d", home);
	if (!user_file || !user_dir)
		return err_oom(err);
	use_user_file = !c->registries_conf && !access(user_file, F_OK);
	if (c->registries_conf)
		path = c->registries_conf;
	else if (use_user_file)
		path = user_file;
	if ((r = registries_load(reg, path, !c->registries_conf, err)) ||
	    (r = load_drop_ins(c, reg, user_dir, use_user_file, err)))
		return r;
	return load_aliases(reg, home, err);
}

int context_registries(struct cimage_context *c, const struct registries **ret,
		       struct cimage_error *err)
{
	_cleanup_(registries_freep) struct registries *reg = NULL;
	int r = 0;

	pthread_mutex_lock(&c->lock);
	if (!c->registries) {
		reg = calloc(1, sizeof(*reg));
		r = reg ? load_registries(c, reg, err) : err_oom(err);
		if (!r)
			c->registries = take(reg);
	}
	if (!r)
		*ret = c->registries;
	pthread_mutex_unlock(&c->lock);
	return r;
}

static int load_policy(struct cimage_context *c, struct policy **ret, struct cimage_error *err)
{
	_cleanup_free_ char *home = context_home(), *user_file = NULL, *text = NULL;
	const char *path = c->policy_path;
	size_t n;
	int r;

	user_file = home ? strf("%s/.config/containers/policy.json", home) : NULL;
	if (!user_file)
		return err_oom(err);
	if (!path)
		path = access(user_file, F_OK) ? SYSTEM_POLICY : user_file;
	r = read_file(path, CONFIG_FILE_MAX, &text, &n);
	if (r == -ENOENT && !c->policy_path)
		return err_set(err, CIMAGE_E_INVALID,
			       "there is no signature policy: neither %s nor %s exists", user_file,
			       SYSTEM_POLICY);
	if (r)
		return err_sysr(err, r, "read signature policy %s", path);
	return policy_parse(text, n, path, ret, err);
}

int context_policy(struct cimage_context *c, struct policy **ret, struct cimage_error *err)
{
	int r = 0;

	pthread_mutex_lock(&c->lock);
	if (!c->policy)
		r = load_policy(c, &c->policy, err);
	if (!r)
		*ret = c->policy;
	pthread_mutex_unlock(&c->lock);
	return r;
}

int context_auth(struct cimage_context *c, const struct auth_files **ret, struct cimage_error *err)
{
	_cleanup_free_ char *home = NULL;
	int r = 0;

	pthread_mutex_lock(&c->lock);
	if (!c->auth) {
		home = context_home();
		r = home ? auth_load(c->auth_path, home, &c->auth, err) : err_oom(err);
	}
	if (!r)
		*ret = c->auth;
	pthread_mutex_unlock(&c->lock);
	return r;
}

PUBLIC const char *cimage_context_user_agent(const struct cimage_context *c)
{
	return c->user_agent ? c->user_agent : "libcimage/" CIMAGE_VERSION;
}

PUBLIC int cimage_context_cancelled(const struct cimage_context *c)
{
	return c->cancel && __atomic_load_n(c->cancel, __ATOMIC_RELAXED);
}

/* Read into a copy, which then takes the place of what there was. */
PUBLIC int cimage_context_reload(struct cimage_context *c, struct cimage_error *err)
{
	struct cimage_context fresh;
	const struct registries *reg;
	const struct registries_d *stores;
	const struct auth_files *auth;
	struct policy *policy;
	int r;

	if (!c)
		return -EINVAL;
	fresh = *c;
	fresh.registries = NULL;
	fresh.policy = NULL;
	fresh.auth = NULL;
	fresh.certs = NULL;
	fresh.stores = NULL;
	fresh.helpers = NULL;
	fresh.ca_bundle = NULL;
	pthread_mutex_init(&fresh.lock, NULL);
	(void)((r = context_registries(&fresh, &reg, err)) ||
	       (r = context_stores(&fresh, &stores, err)) ||
	       (r = context_auth(&fresh, &auth, err)) ||
	       (r = c->policy ? context_policy(&fresh, &policy, err) : 0));
	pthread_mutex_destroy(&fresh.lock);
	if (r) {
		forget(&fresh);
		return r;
	}
	forget(c);
	c->registries = fresh.registries;
	c->policy = fresh.policy;
	c->auth = fresh.auth;
	c->stores = fresh.stores;
	return 0;
}
