/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging in and out: credentials written to where they will be looked for. That is the first place
 * registries.conf names: a helper for all, or the auth file, where a helper may be named for the one
 * registry. Files are replaced whole, and keep what is not understood here. A key is a registry,
 * host[:port], or a part of one, host[:port]/namespace/..., which only files can hold.
 */
#include <cbase/io.h>
#include <cbase/json.h>
#include <fcntl.h>
#include <sys/file.h>
#include "auth_helper.h"
#include "context.h"
#include "module.h"
#include "ref.h"
#include "registries.h"

#define FILES_NAME "containers-auth.json"

struct key {
	const char *text;
	char *host;		/* [owned] */
	bool has_path;
};

static int key_parse(const char *text, struct key *ret, struct cimage_error *err)
{
	_cleanup_free_ char *inside = strf("%s/x", text);
	_cleanup_(cimage_ref_freep) struct cimage_ref *ref = NULL;
	size_t n = strcspn(text, "/");
	int r;

	if (!inside)
		return err_oom(err);
	r = cimage_ref_parse(inside, 0, &ref, err);
	if (r || !ref_domain_valid(text, n) || cimage_ref_tag(ref) || cimage_ref_digest(ref))
		return err_set(err, CIMAGE_E_INVALID,
			       "\"%s\" is not a registry: HOST[:PORT][/NAMESPACE...], without tag "
			       "and digest",
			       SHOW(text));
	*ret = (struct key){ .text = text, .host = strndup(text, n), .has_path = text[n] == '/' };
	return ret->host ? 0 : err_oom(err);
}

/* ---- the file ---- */

struct store {
	char *path;
	int dir, lock;		/* of the file; the lock is on the directory */
	const char *name;
	struct json_doc *doc;
};

static void store_done(struct store *s)
{
	close_fd(s->lock);
	close_fd(s->dir);
	json_doc_free(s->doc);
	free(s->path);
}

/* Others wait meanwhile who go by the same lock; a directory can be locked without leaving a file. */
static int store_open(struct cimage_context *c, struct store *s, struct cimage_error *err)
{
	_cleanup_free_ char *text = NULL;
	char *slash;
	size_t n = 0;
	int r;

	*s = (struct store){ .path = auth_write_path(c->auth_path), .dir = -1, .lock = -1 };
	if (!s->path)
		return err_oom(err);
	slash = strrchr(s->path, '/');
	s->name = slash ? slash + 1 : s->path;
	if (slash && slash != s->path) {
		*slash = '\0';
		r = mkdir_p(s->path, 0700);
		s->dir = r ? -1 : open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		*slash = '/';
	} else {
		s->dir = open(slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (s->dir < 0 || flock(s->dir, LOCK_EX))
		return err_sys(err, "open the directory of %s", s->path);
	r = read_file_at(s->dir, s->name, CONFIG_FILE_MAX, &text, &n);
	if (r && r != -ENOENT)
		return err_sysr(err, r, "read %s", s->path);
	if (!r && n) {
		r = json_parse(text, n, 0, &s->doc, NULL);
		explicit_bzero(text, n);
		if (r || json_root(s->doc)->type != JSON_OBJECT)
			return err_set(err, CIMAGE_E_INVALID, "%s: not a JSON object", s->path);
	} else {
		s->doc = json_doc_new();
	}
	return s->doc ? 0 : err_oom(err);
}

static int store_save(struct store *s, struct cimage_error *err)
{
	struct str out = STR_INIT;
	int r = json_format(s->doc, json_root(s->doc), JSON_INDENT_TAB, &out);

	if (!r)
		r = write_file_at(s->dir, s->name, 0600, out.data, out.len, IO_DURABLE);
	if (out.data)
		explicit_bzero(out.data, out.len);
	str_done(&out);
	return r ? err_sysr(err, r, "write %s", s->path) : 0;
}

static const char *helper_of(const struct store *s, const struct key *k)
{
	return json_get_string(json_get(json_root(s->doc), "credHelpers"), k->host);
}

static int set_entry(struct store *s, const struct key *k, const char *user, const char *password,
		     struct cimage_error *err)
{
	_cleanup_free_ char *plain = strf("%s:%s", user, password);
	struct json *auths = json_child_object(s->doc, json_root(s->doc), "auths");
	struct str b64 = STR_INIT;

	if (!plain)
		return err_oom(err);
	str_append_base64(&b64, plain, strlen(plain));
	explicit_bzero(plain, strlen(plain));
	if (b64.data) {
		json_set_string(s->doc, json_set_object(s->doc, auths, k->text), "auth", b64.data);
		explicit_bzero(b64.data, b64.len);
	}
	str_done(&b64);
	return store_save(s, err);
}

static int set_in_file(struct cimage_context *c, const struct key *k, const char *user,
		       const char *password, char **ret_where, struct cimage_error *err)
{
	_cleanup_(store_done) struct store s;
	const char *helper;
	int r = store_open(c, &s, err);

	if (r)
		return r;
	helper = helper_of(&s, k);
	r = helper && !k->has_path ? helper_store(helper, k->host, user, password, err)
				   : set_entry(&s, k, user, password, err);
	if (!r && ret_where) {
		*ret_where = helper && !k->has_path ? strf("docker-credential-%s", helper)
						    : take(s.path);
		r = *ret_where ? 0 : err_oom(err);
	}
	return r;
}

/* ---- where registries.conf wants them ---- */

static int places(struct cimage_context *c, char *const **ret, struct cimage_error *err)
{
	static char files[] = FILES_NAME;
	static char *const only_files[] = { files, NULL };
	const struct registries *reg;
	int r = context_registries(c, &reg, err);

	if (!r)
		*ret = reg->helpers && reg->helpers[0] ? reg->helpers : only_files;
	return r;
}

PUBLIC int cimage_credentials_store(struct cimage_context *c, const char *key, const char *user,
				    const char *password, char **ret_where, struct cimage_error *err)
{
	struct key k = { 0 };
	char *const *place;
	int r;

	if (!c || !key || !user || !*user || strchr(user, ':') || !password)
		return -EINVAL;
	if ((r = key_parse(key, &k, err)) || (r = places(c, &place, err))) {
		free(k.host);
		return r;
	}
	if (streq(*place, FILES_NAME)) {
		r = set_in_file(c, &k, user, password, ret_where, err);
	} else if (k.has_path) {
		r = err_set(err, CIMAGE_E_UNSUPPORTED,
			    "the credential helper %s keeps credentials of whole registries only",
			    SHOW(*place));
	} else {
		r = helper_store(*place, k.host, user, password, err);
		if (!r && ret_where && !(*ret_where = strf("docker-credential-%s", *place)))
			r = err_oom(err);
	}
	free(k.host);
	return err_ctx(err, r, "store the credentials of %s", key);
}

/* ---- taking away ---- */

static int remove_in_file(struct cimage_context *c, const struct key *k, struct cimage_error *err)
{
	_cleanup_(store_done) struct store s;
	struct json *auths, *item, *next;
	size_t removed = 0;
	const char *helper;
	int r = store_open(c, &s, err);

	if (r)
		return r;
	helper = helper_of(&s, k);
	if (helper && !k->has_path)
		return helper_erase(helper, k->host, err);
	auths = json_get(json_root(s.doc), "auths");
	for (item = auths ? auths->first : NULL; item; item = next) {
		next = item->next;
		if (!streq(item->key, k->text) &&
		    (k->has_path || !auth_key_means(item->key, k->host, false)))
			continue;
		json_remove_item(auths, item);
		removed++;
	}
	return removed ? store_save(&s, err) : CIMAGE_E_NOT_FOUND;
}

static int remove_all_in_file(struct cimage_context *c, struct cimage_error *err)
{
	_cleanup_(store_done) struct store s;
	int r = store_open(c, &s, err);

	if (r)
		return r;
	json_foreach(item, json_get(json_root(s.doc), "credHelpers")) {
		if (!json_string(item))
			continue;
		r = helper_erase(json_string(item), item->key, err);
		if (r && r != CIMAGE_E_NOT_FOUND)
			return r;
	}
	json_set_object(s.doc, json_root(s.doc), "auths");
	json_remove(json_root(s.doc), "credHelpers");
	return store_save(&s, err);
}

static int remove_all_of(const char *helper, struct cimage_error *err)
{
	_cleanup_strv_ char **servers = NULL;
	size_t i;
	int r = helper_list(helper, &servers, err);

	for (i = 0; !r && servers && servers[i]; i++)
		r = helper_erase(helper, servers[i], err);
	return r;
}

PUBLIC int cimage_credentials_remove(struct cimage_context *c, const char *key,
				     struct cimage_error *err)
{
	struct key k = { 0 };
	char *const *place;
	bool found = false;
	int r;

	if (!c)
		return -EINVAL;
	r = key ? key_parse(key, &k, err) : 0;
	if (!r)
		r = places(c, &place, err);
	for (; !r && *place; place++) {
		bool files = streq(*place, FILES_NAME);

		if (key)
			r = files ? remove_in_file(c, &k, err) : helper_erase(*place, k.host, err);
		else
			r = files ? remove_all_in_file(c, err) : remove_all_of(*place, err);
		found |= !r;
		if (r == CIMAGE_E_NOT_FOUND)
			r = 0;
	}
	free(k.host);
	if (!r && !found)
		r = err_set(err, CIMAGE_E_NOT_FOUND, "not logged into %s", key ? key : "anything");
	return r;
}

PUBLIC int cimage_credentials_find(struct cimage_context *c, const char *key, char **ret_user,
				   struct cimage_error *err)
{
	_cleanup_(cimage_ref_freep) struct cimage_ref *ref = NULL;
	struct credentials creds = { 0 };
	_cleanup_free_ char *inside = NULL;
	struct key k = { 0 };
	int r;

	if (!c || !key || !ret_user)
		return -EINVAL;
	r = key_parse(key, &k, err);
	free(k.host);
	if (r)
		return r;
	inside = k.has_path ? strdup(key) : strf("%s/x", key);
	if (!inside)
		return err_oom(err);
	r = cimage_ref_parse(inside, 0, &ref, err);
	if (!r)
		r = context_credentials(c, ref, &creds, err);
	if (!r && !creds.user && !creds.identity_token)
		r = err_set(err, CIMAGE_E_NOT_FOUND, "not logged into %s", key);
	if (!r && !(*ret_user = strdup(creds.user ? creds.user : "<token>")))
		r = err_oom(err);
	credentials_done(&creds);
	return r;
}

PUBLIC int cimage_login(struct cimage_context *c, const char *host, struct cimage_error *err)
{
	_cleanup_free_ char *name = host ? strf("%s/login:latest", host) : NULL;
	_cleanup_(cimage_ref_freep) struct cimage_ref *ref = NULL;
	struct cimage_endpoint **e;
	const struct cimage_transport *t;
	size_t last;
	int r;

	if (!c || !host || !c->user)
		return -EINVAL;
	if (!name)
		return err_oom(err);
	if ((r = cimage_ref_parse(name, 0, &ref, err)) ||
	    (r = module_transport(c, "docker", &t, err)) ||
	    (r = cimage_context_endpoints(c, ref, &e, err)))
		return r;
	for (last = 0; e[last + 1]; last++) /* behind the mirrors */
		;
	r = t->abi > 1 && t->login ? t->login(c, e[last], err)
				   : err_set(err, CIMAGE_E_UNSUPPORTED, "no logging in");
	cimage_endpoints_free(e);
	return err_ctx(err, r, "log into %s", host);
}
