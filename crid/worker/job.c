/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The job comes from the daemon, which is trusted; it is checked all the same, so that a mistake
 * there shows here and not as a store made in the wrong place.
 */
#include "job.h"

#include <string.h>
#include "errors.h"

static int need_path(const struct json *root, const char *key, const char **ret,
		     struct cb_error *err)
{
	*ret = json_get_string(root, key);
	if (!*ret || **ret != '/')
		return err_set(err, E_INVALID, "job: \"%s\" is not an absolute path", key);
	return 0;
}

static int parse_store(const struct json *root, struct job *j, struct cb_error *err)
{
	int r;

	r = need_path(root, "graph_root", &j->graph_root, err);
	if (!r)
		r = need_path(root, "run_root", &j->run_root, err);
	if (r)
		return r;
	if (json_get(root, "image_store"))
		r = need_path(root, "image_store", &j->image_store, err);
	if (r)
		return r;
	j->transient = json_get_bool(root, "transient", false);
	j->driver = json_get_string(root, "driver");
	if (json_strv(json_get(root, "additional_stores"), &j->additional_stores) ||
	    json_strv(json_get(root, "driver_options"), &j->driver_options))
		return err_oom(err);
	return 0;
}

static int copy_secret(const struct json *root, const char *key, char **ret)
{
	const char *s = json_get_string(root, key);

	*ret = s ? strdup(s) : NULL;
	return s && !*ret ? -ENOMEM : 0;
}

static int parse_pull(const struct json *root, struct job *j, struct cb_error *err)
{
	j->image = json_get_string(root, "image");
	if (!j->image || !*j->image)
		return err_set(err, E_INVALID, "job: there is no \"image\"");
	j->policy = json_get_string(root, "policy");
	j->registries_conf = json_get_string(root, "registries_conf");
	j->registries_conf_dir = json_get_string(root, "registries_conf_dir");
	j->registries_d = json_get_string(root, "registries_d");
	j->ns = json_get_string(root, "namespace");
	j->namespaced_auth = json_get_string(root, "namespaced_auth");
	j->decryption_keys = json_get_string(root, "decryption_keys");
	j->auth_file = json_get_string(root, "auth_file");
	j->certs_dir = json_get_string(root, "certs_dir");
	j->short_name_mode = json_get_string(root, "short_name_mode");
	j->user_agent = json_get_string(root, "user_agent");
	if (copy_secret(root, "username", &j->username) ||
	    copy_secret(root, "password", &j->password))
		return err_oom(err);
	/* A password alone, or the reverse, names nobody. */
	if (!j->username != !j->password)
		return err_set(err, E_INVALID, "job: \"username\" and \"password\" go together");
	return 0;
}

static int parse_root(const struct json *root, struct job *j, struct cb_error *err)
{
	const char *kind = json_get_string(root, "job");
	int r;

	if (kind && streq(kind, "pull"))
		j->kind = JOB_PULL;
	else if (kind && streq(kind, "clean"))
		j->kind = JOB_CLEAN;
	else
		return err_set(err, E_INVALID, "job: \"job\" is neither \"pull\" nor \"clean\"");
	r = parse_store(root, j, err);
	return r || j->kind == JOB_CLEAN ? r : parse_pull(root, j, err);
}

int job_parse(const char *text, size_t len, struct job *ret, struct cb_error *err)
{
	struct job j = { 0 };
	int r;

	r = json_parse(text, len, JSON_UNIQUE_KEYS, &j.doc, err);
	if (r == -EINVAL)
		return err_set(err, E_INVALID, "job: not a JSON document");
	if (r)
		return err_oom(err);
	r = parse_root(json_root(j.doc), &j, err);
	if (r) {
		job_done(&j);
		return r;
	}
	*ret = j;
	return 0;
}

static void wipe(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void job_wipe_credentials(struct job *j)
{
	static const char *const keys[] = { "username", "password" };

	wipe(&j->username);
	wipe(&j->password);
	/* The document's own copy lies in its arena, which is ours to write to. */
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		struct json *v = json_get(json_root(j->doc), keys[i]);

		if (v && v->type == JSON_STRING)
			explicit_bzero((char *)(uintptr_t)v->string, v->len);
	}
}

void job_done(struct job *j)
{
	if (j->doc)
		job_wipe_credentials(j);
	j->additional_stores = strv_free(j->additional_stores);
	j->driver_options = strv_free(j->driver_options);
	j->doc = json_doc_free(j->doc);
}
