/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials from auth.json and Docker's files, see containers-auth.json(5).
 *
 * The first file with usable credentials wins. Within a file the longest key that covers the
 * repository wins: host/namespace/repository, host/namespace, host; then any key that means the same
 * host when written as a URL, as Docker does. A helper that a file names for the registry comes before
 * the file's own entries.
 */
#include <cbase/io.h>
#include <cbase/json.h>
#include "auth_helper.h"

struct auth_file {
	char *name;
	struct json_doc *doc;
	bool legacy; /* ~/.dockercfg: the root is what "auths" is elsewhere */
};

struct auth_files {
	struct auth_file *items;
	size_t count;
};

void credentials_done(struct credentials *c)
{
	if (c->password)
		explicit_bzero(c->password, strlen(c->password));
	if (c->identity_token)
		explicit_bzero(c->identity_token, strlen(c->identity_token));
	free(c->user);
	free(c->password);
	free(c->identity_token);
	*c = (struct credentials){ 0 };
}

struct auth_files *auth_files_new(void)
{
	return calloc(1, sizeof(struct auth_files));
}

struct auth_files *auth_files_free(struct auth_files *a)
{
	size_t i;

	for (i = 0; a && i < a->count; i++) {
		free(a->items[i].name);
		json_doc_free(a->items[i].doc);
	}
	if (a)
		free(a->items);
	free(a);
	return NULL;
}

int auth_add(struct auth_files *a, const char *text, size_t n, const char *name, bool legacy,
	     struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	_cleanup_free_ char *copy = NULL;
	struct cb_error why = { 0 };
	struct auth_file *items;
	int r;

	r = json_parse(text, n, 0, &doc, &why);
	if (r == -ENOMEM)
		return err_oom(err);
	/* the parser's message may quote the text, which holds passwords */
	if (r || json_root(doc)->type != JSON_OBJECT)
		return err_set(err, CIMAGE_E_INVALID, "%s: not a JSON object", name);
	copy = strdup(name);
	items = realloc(a->items, (a->count + 1) * sizeof(*items));
	if (items)
		a->items = items;
	if (!items || !copy)
		return err_oom(err);
	items[a->count++] = (struct auth_file){ take(copy), take(doc), legacy };
	return 0;
}

/* Owns path. */
static int load_one(struct auth_files *a, char *path, bool legacy, struct cimage_error *err)
{
	_cleanup_free_ char *name = path, *text = NULL;
	size_t n = 0;
	int r;

	if (!name)
		return err_oom(err);
	r = read_file(name, CONFIG_FILE_MAX, &text, &n);
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r)
		return err_sysr(err, r, "read %s", name);
	r = auth_add(a, text, n, name, legacy, err);
	explicit_bzero(text, n);
	return r;
}

static char *dir_file(const char *env, const char *home, const char *otherwise, const char *file)
{
	const char *dir = secure_getenv(env);

	return dir && *dir ? strf("%s/%s", dir, file) : strf("%s/%s/%s", home, otherwise, file);
}

static char *runtime_file(void)
{
	const char *dir = secure_getenv("XDG_RUNTIME_DIR");

	if (dir && *dir)
		return strf("%s/containers/auth.json", dir);
	return strf("/run/containers/%u/auth.json", (unsigned int)getuid());
}

char *auth_write_path(const char *only)
{
	return only ? strdup(only) : runtime_file();
}

int auth_load(const char *only, const char *home, struct auth_files **ret, struct cimage_error *err)
{
	_cleanup_(auth_files_freep) struct auth_files *a = auth_files_new();
	int r;

	if (!a)
		return err_oom(err);
	if (only) {
		r = load_one(a, strdup(only), false, err);
	} else {
		r = load_one(a, runtime_file(), false, err);
		if (!r)
			r = load_one(a,
				     dir_file("XDG_CONFIG_HOME", home, ".config",
					      "containers/auth.json"),
				     false, err);
		if (!r)
			r = load_one(a, dir_file("DOCKER_CONFIG", home, ".docker", "config.json"),
				     false, err);
		if (!r)
			r = load_one(a, strf("%s/.dockercfg", home), true, err);
	}
	if (r)
		return r;
	*ret = take(a);
	return 0;
}

static bool is_docker_hub(const char *host, size_t n)
{
	static const char *const names[] = { "docker.io", "index.docker.io",
					     "registry-1.docker.io" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == n && !strncmp(names[i], host, n))
			return true;
	return false;
}

/* A key may be a URL: "https://index.docker.io/v1/". */
bool auth_key_means(const char *key, const char *host, bool legacy)
{
	size_t skip = str_starts(key, "http://") ? 7 : str_starts(key, "https://") ? 8 : 0, n;

	key += skip;
	n = strcspn(key, "/");
	/* a path belongs to a URL; else the key is for that part of the registry only */
	if (key[n] && !skip && !legacy)
		return false;
	if (is_docker_hub(key, n) && is_docker_hub(host, strlen(host)))
		return true;
	return strlen(host) == n && !strncmp(key, host, n);
}

/* The entry that covers the repository, or NULL. */
static const struct json *find_entry(const struct auth_file *f, const struct cimage_ref *ref,
				     char *buf)
{
	const struct json *auths = f->legacy ? json_root(f->doc)
					     : json_get(json_root(f->doc), "auths");
	const struct json *v;
	char *slash;

	strcpy(buf, cimage_ref_name(ref));
	while (!f->legacy) {
		v = json_get(auths, buf);
		if (v)
			return v;
		slash = strrchr(buf, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	json_foreach(item, auths && auths->type == JSON_OBJECT ? auths : NULL)
		if (auth_key_means(item->key, cimage_ref_domain(ref), f->legacy))
			return item;
	return NULL;
}

/* "user:password" in base64. Without ':' there is nothing to use, as Docker sees it. */
static int decode(const char *auth, struct credentials *ret)
{
	_cleanup_free_ char *plain = NULL;
	size_t n;
	char *colon;
	int r;

	r = base64_decode(auth, strlen(auth), &plain, &n);
	if (r)
		return r;
	while (n && !plain[n - 1]) /* some tools pad with NUL */
		n--;
	if (memchr(plain, '\0', n))
		r = -EINVAL;
	colon = r ? NULL : memchr(plain, ':', n);
	if (colon) {
		ret->user = strndup(plain, (size_t)(colon - plain));
		ret->password = strdup(colon + 1);
		if (!ret->user || !ret->password)
			r = -ENOMEM;
	}
	explicit_bzero(plain, n);
	return r;
}

static int read_entry(const struct auth_file *f, const struct json *entry, struct credentials *ret,
		      struct cimage_error *err)
{
	const char *auth = json_get_string(entry, "auth");
	const char *token = json_get_string(entry, "identitytoken");
	int r;

	r = auth ? decode(auth, ret) : 0;
	if (!r && token && *token) {
		ret->identity_token = strdup(token);
		r = ret->identity_token ? 0 : -ENOMEM;
	}
	if (!r)
		return 0;
	credentials_done(ret);
	if (r == -ENOMEM)
		return err_oom(err);
	return err_set(err, CIMAGE_E_INVALID,
		       "%s: the credentials of \"%s\" are not base64 of user:password", f->name,
		       SHOW(entry->key));
}

int auth_find(const struct auth_files *a, const struct cimage_ref *ref, struct helper_cache **cache,
	      struct credentials *ret, struct cimage_error *err)
{
	_cleanup_free_ char *buf = malloc(strlen(cimage_ref_name(ref)) + 1);
	const struct json *entry;
	const char *helper;
	size_t i;
	int r;

	if (!buf)
		return err_oom(err);
	for (i = 0; i < a->count; i++) {
		const struct auth_file *f = &a->items[i];

		helper = f->legacy ? NULL
				   : json_get_string(json_get(json_root(f->doc), "credHelpers"),
						     cimage_ref_domain(ref));
		entry = helper ? NULL : find_entry(f, ref, buf);
		r = helper  ? helper_get(cache, helper, cimage_ref_domain(ref), ret, err)
		    : entry ? read_entry(f, entry, ret, err)
			    : 0;
		if (r || ret->user || ret->identity_token)
			return r;
	}
	return 0;
}
