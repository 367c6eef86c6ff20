/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading modules: NAME.so from the first of these directories that has it: the one set in the
 * context, $CIMAGE_TRANSPORT_DIR, where modules lie relative to the running libcimage.so (build tree,
 * or an installed tree that was moved), the installed directory.
 *
 * A module is loaded once and stays: it may have started threads or hold state of libcurl. Loaded
 * transports and those that the program registered are in one list; the lock is held while loading,
 * so that two threads do not load the same.
 */
#include <dlfcn.h>
#include <pthread.h>
#include "context.h"
#include "module.h"

#define TRANSPORTS_MAX 16

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct cimage_transport *transports[TRANSPORTS_MAX];
static size_t transport_count;

/* Modules that are no transports, once loaded; as many as module.h has, and one that stays empty. */
static struct table {
	const char *name;
	const void *found;
} tables[10];

static bool name_valid(const char *s)
{
	return *s && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(s);
}

static const struct cimage_transport *find(const char *name)
{
	size_t i;

	for (i = 0; i < transport_count; i++)
		if (streq(transports[i]->name, name))
			return transports[i];
	return NULL;
}

/* Of ABI 1 only the first members are there, and open() must be. */
static bool is_usable(const struct cimage_transport *t)
{
	if (t->abi < 1 || t->abi > CIMAGE_TRANSPORT_ABI || !t->name)
		return false;
	if (!t->close || !t->manifest || !t->blobs)
		return t->abi > 1 && t->destination && !t->open && !t->open_place;
	return t->open || (t->abi > 1 && t->open_place);
}

/* With the lock held. */
static int add(const struct cimage_transport *t)
{
	if (!is_usable(t) || !name_valid(t->name))
		return -EINVAL;
	if (find(t->name))
		return -EEXIST;
	if (transport_count == TRANSPORTS_MAX)
		return -ENOSPC;
	transports[transport_count++] = t;
	return 0;
}

PUBLIC int cimage_transport_register(const struct cimage_transport *t)
{
	int r;

	if (!t)
		return -EINVAL;
	pthread_mutex_lock(&lock);
	r = add(t);
	pthread_mutex_unlock(&lock);
	return r;
}

/* The directory this library was loaded from; NULL when that cannot be said (linked statically). */
static char *own_dir(void)
{
	const char *slash;
	Dl_info info;

	if (!dladdr((void *)&transport_count, &info) || !info.dli_fname)
		return NULL;
	slash = strrchr(info.dli_fname, '/');
	return slash ? strndup(info.dli_fname, (size_t)(slash - info.dli_fname)) : NULL;
}

static int candidates(const struct cimage_context *c, const char *name, char ***ret)
{
	const char *env = secure_getenv("CIMAGE_TRANSPORT_DIR");
	_cleanup_free_ char *own = own_dir();
	_cleanup_strv_ char **v = NULL;
	int r = 0;

	if (c->transport_dir)
		r = strv_pushf(&v, "%s/%s.so", c->transport_dir, name);
	if (!r && env && *env)
		r = strv_pushf(&v, "%s/%s.so", env, name);
	if (!r && own && !streq(own, CIMAGE_LIBDIR))
		r = strv_pushf(&v, "%s/transports/%s.so", own, name);
	if (!r && own)
		r = strv_pushf(&v, "%s/cimage/transports/%s.so", own, name);
	if (!r)
		r = strv_pushf(&v, "%s/cimage/transports/%s.so", CIMAGE_LIBDIR, name);
	if (!r)
		*ret = take(v);
	return r;
}

/* The address of symbol in the first NAME.so that is there. */
static int load(const struct cimage_context *c, const char *name, const char *symbol,
		const void **ret, struct cimage_error *err)
{
	_cleanup_strv_ char **paths = NULL;
	_cleanup_free_ char *joined = NULL;
	const void *found;
	void *handle;
	size_t i;

	if (candidates(c, name, &paths))
		return err_oom(err);
	for (i = 0; paths[i]; i++) {
		if (access(paths[i], F_OK))
			continue;
		handle = dlopen(paths[i], RTLD_NOW | RTLD_LOCAL);
		if (!handle)
			return err_set(err, CIMAGE_E_UNSUPPORTED, "load module %s: %s", name,
				       dlerror());
		found = dlsym(handle, symbol);
		if (!found) {
			dlclose(handle);
			return err_set(err, CIMAGE_E_UNSUPPORTED, "load module %s: it has no %s",
				       paths[i], symbol);
		}
		*ret = found;
		return 0;
	}
	joined = strv_join(paths, ", ");
	return err_set(err, CIMAGE_E_UNSUPPORTED, "module %s is not installed (looked for %s)",
		       name, joined ? joined : "?");
}

static int load_transport(const struct cimage_context *c, const char *name,
			  const struct cimage_transport **ret, struct cimage_error *err)
{
	const struct cimage_transport *t;
	const void *found;
	int r;

	if (!name_valid(name))
		return err_set(err, CIMAGE_E_UNSUPPORTED, "there is no transport \"%s\"",
			       SHOW(name));
	r = load(c, name, "cimage_transport_module", &found, err);
	if (r)
		return r;
	t = found;
	if (!is_usable(t) || !streq(t->name, name) || add(t))
		return err_set(err, CIMAGE_E_UNSUPPORTED,
			       "module %s is not a transport for this library", name);
	*ret = t;
	return 0;
}

int module_transport(const struct cimage_context *c, const char *name,
		     const struct cimage_transport **ret, struct cimage_error *err)
{
	const struct cimage_transport *t;
	int r = 0;

	pthread_mutex_lock(&lock);
	t = find(name);
	if (!t)
		r = load_transport(c, name, &t, err);
	pthread_mutex_unlock(&lock);
	if (!r)
		*ret = t;
	return r;
}

int module_table(const struct cimage_context *c, const char *name, int abi, const void **ret,
		 struct cimage_error *err)
{
	char symbol[64];
	struct table *t;
	int r = 0;

	snprintf(symbol, sizeof(symbol), "cimage_%s_module", name);
	pthread_mutex_lock(&lock);
	for (t = tables; t < tables + ARRAY_SIZE(tables) - 1 && t->name; t++)
		if (streq(t->name, name))
			break;
	if (!t->name) {
		r = load(c, name, symbol, &t->found, err);
		if (!r && *(const int *)t->found != abi)
			r = err_set(err, CIMAGE_E_UNSUPPORTED, "module %s is of another version",
				    name);
		if (!r)
			t->name = name;
	}
	if (!r)
		*ret = t->found;
	pthread_mutex_unlock(&lock);
	return r;
}

/* ---- what there is ---- */

static const char *const known[] = { "containers-storage", "dir", "docker",
				     "docker-archive", "docker-daemon", "oci", "oci-archive",
				     "ostree" };

static int is_installed(const struct cimage_context *c, const char *name, bool *ret)
{
	_cleanup_strv_ char **paths = NULL;
	size_t i;

	*ret = false;
	if (candidates(c, name, &paths))
		return -ENOMEM;
	for (i = 0; paths[i] && !*ret; i++)
		*ret = !access(paths[i], F_OK);
	return 0;
}

int module_list(const struct cimage_context *c, char ***ret, struct cimage_error *err)
{
	_cleanup_strv_ char **v = NULL;
	bool there = false;
	size_t i;
	int r = 0;

	pthread_mutex_lock(&lock);
	for (i = 0; !r && i < transport_count; i++)
		r = strv_push(&v, transports[i]->name);
	pthread_mutex_unlock(&lock);
	for (i = 0; !r && i < ARRAY_SIZE(known); i++) {
		r = is_installed(c, known[i], &there);
		if (!r && there && !strv_has(v, known[i]))
			r = strv_push(&v, known[i]);
	}
	if (r)
		return err_oom(err);
	*ret = take(v);
	return 0;
}
