/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image config (OCI image spec, config.md; Docker's is the same but for fields nobody here
 * reads), as far as starting a container needs it.
 *
 * The handle keeps the parsed document and vectors of pointers into it. A field of the wrong type
 * refuses the whole config: it would mean something else to another reader. null is as absent.
 */
#include <cbase/io.h>
#include <cbase/json.h>
#include "config.h"

struct cimage_config {
	struct json_doc *doc;
	const char *user, *working_dir, *stop_signal, *os, *architecture, *variant;
	const char **entrypoint, **cmd, **env, **volumes, **labels;
	const char **diff_ids;
	int64_t created;
};

static const struct json *member(const struct json *obj, const char *key)
{
	const struct json *v = json_get(obj, key);

	return v && v->type != JSON_NULL ? v : NULL;
}

static int refuse(struct cimage_error *err, const char *key, const char *wanted)
{
	return err_set(err, CIMAGE_E_INVALID, "image config: \"%s\" is not %s", key, wanted);
}

/* "" when there is none. */
static int get_string(const struct json *obj, const char *key, const char **ret,
		      struct cimage_error *err)
{
	const struct json *v = member(obj, key);

	*ret = v ? json_string(v) : "";
	return *ret ? 0 : refuse(err, key, "a string");
}

static int get_strings(struct json_doc *doc, const struct json *obj, const char *key,
		       const char ***ret, struct cimage_error *err)
{
	const struct json *v = member(obj, key);
	size_t n = 0;

	if (v && v->type != JSON_ARRAY)
		return refuse(err, key, "a list of strings");
	*ret = json_alloc(doc, ((v ? v->count : 0) + 1) * sizeof(**ret));
	if (!*ret)
		return err_oom(err);
	json_foreach(item, v) {
		(*ret)[n] = json_string(item);
		if (!(*ret)[n++])
			return refuse(err, key, "a list of strings");
	}
	return 0;
}

/* The member names of an object. Their values ({} each) mean nothing. */
static int get_keys(struct json_doc *doc, const struct json *obj, const char *key,
		    const char ***ret, struct cimage_error *err)
{
	const struct json *v = member(obj, key);
	size_t n = 0;

	if (v && v->type != JSON_OBJECT)
		return refuse(err, key, "an object");
	*ret = json_alloc(doc, ((v ? v->count : 0) + 1) * sizeof(**ret));
	if (!*ret)
		return err_oom(err);
	json_foreach(item, v)
		(*ret)[n++] = item->key;
	return 0;
}

static int get_pairs(struct json_doc *doc, const struct json *obj, const char *key,
		     const char ***ret, struct cimage_error *err)
{
	const struct json *v = member(obj, key);
	size_t n = 0;

	if (v && v->type != JSON_OBJECT)
		return refuse(err, key, "an object of strings");
	*ret = json_alloc(doc, ((v ? v->count : 0) * 2 + 1) * sizeof(**ret));
	if (!*ret)
		return err_oom(err);
	json_foreach(item, v) {
		(*ret)[n++] = item->key;
		(*ret)[n] = item->type == JSON_NULL ? "" : json_string(item);
		if (!(*ret)[n++])
			return refuse(err, key, "an object of strings");
	}
	return 0;
}

static int get_object(const struct json *obj, const char *key, const struct json **ret,
		      struct cimage_error *err)
{
	*ret = member(obj, key);
	return *ret && (*ret)->type != JSON_OBJECT ? refuse(err, key, "an object") : 0;
}

static int read_fields(struct cimage_config *c, struct cimage_error *err)
{
	const struct json *root = json_root(c->doc), *config, *rootfs;
	const char *created;
	int r;

	if (root->type != JSON_OBJECT)
		return err_set(err, CIMAGE_E_INVALID, "image config: not a JSON object");
	if ((r = get_string(root, "os", &c->os, err)) ||
	    (r = get_string(root, "architecture", &c->architecture, err)) ||
	    (r = get_string(root, "variant", &c->variant, err)) ||
	    (r = get_string(root, "created", &created, err)) ||
	    (r = get_object(root, "config", &config, err)) ||
	    (r = get_object(root, "rootfs", &rootfs, err)) ||
	    (r = get_strings(c->doc, rootfs, "diff_ids", &c->diff_ids, err)))
		return r;
	if (time_parse(created, &c->created))
		c->created = 0;
	if ((r = get_string(config, "User", &c->user, err)) ||
	    (r = get_string(config, "WorkingDir", &c->working_dir, err)) ||
	    (r = get_string(config, "StopSignal", &c->stop_signal, err)) ||
	    (r = get_strings(c->doc, config, "Entrypoint", &c->entrypoint, err)) ||
	    (r = get_strings(c->doc, config, "Cmd", &c->cmd, err)) ||
	    (r = get_strings(c->doc, config, "Env", &c->env, err)) ||
	    (r = get_keys(c->doc, config, "Volumes", &c->volumes, err)))
		return r;
	return get_pairs(c->doc, config, "Labels", &c->labels, err);
}

PUBLIC int cimage_config_parse(const char *bytes, size_t len, struct cimage_config **ret,
			       struct cimage_error *err)
{
	_cleanup_(cimage_config_freep) struct cimage_config *c = NULL;
	struct cb_error why = { 0 };
	int r;

	if (!bytes || !ret)
		return -EINVAL;
	if (len > CIMAGE_MANIFEST_MAX)
		return err_set(err, CIMAGE_E_LIMIT, "image config: larger than %u bytes",
			       CIMAGE_MANIFEST_MAX);
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_oom(err);
	r = json_parse(bytes, len, JSON_REPAIR, &c->doc, &why);
	if (r == -EINVAL)
		return err_set(err, CIMAGE_E_INVALID, "image config: %s", SHOW(why.message));
	if (r)
		return err_oom(err);
	r = read_fields(c, err);
	if (r)
		return r;
	*ret = take(c);
	return 0;
}

PUBLIC struct cimage_config *cimage_config_free(struct cimage_config *c)
{
	if (c)
		json_doc_free(c->doc);
	free(c);
	return NULL;
}

/* clang-format off */
const char *const *config_diff_ids(const struct cimage_config *c) { return c->diff_ids; }
PUBLIC const char *cimage_config_user(const struct cimage_config *c) { return c->user; }
PUBLIC const char *cimage_config_working_dir(const struct cimage_config *c) { return c->working_dir; }
PUBLIC const char *cimage_config_stop_signal(const struct cimage_config *c) { return c->stop_signal; }
PUBLIC const char *cimage_config_os(const struct cimage_config *c) { return c->os; }
PUBLIC const char *cimage_config_architecture(const struct cimage_config *c) { return c->architecture; }
PUBLIC const char *const *cimage_config_entrypoint(const struct cimage_config *c) { return c->entrypoint; }
PUBLIC const char *const *cimage_config_cmd(const struct cimage_config *c) { return c->cmd; }
PUBLIC const char *const *cimage_config_env(const struct cimage_config *c) { return c->env; }
PUBLIC const char *const *cimage_config_volumes(const struct cimage_config *c) { return c->volumes; }
PUBLIC const char *const *cimage_config_labels(const struct cimage_config *c) { return c->labels; }
PUBLIC int64_t cimage_config_created(const struct cimage_config *c) { return c->created; }
/* clang-format on */
