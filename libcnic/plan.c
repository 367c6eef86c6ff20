/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one plugin call consists of: the environment and the document on stdin. Nothing here runs
 * anything, so every rule about what a plugin gets to see can be tested by itself.
 */
#include "private.h"

static const char *const own_variables[] = {
	"CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH",
};

void plan_done(struct plan *p)
{
	p->env = strv_free(p->env);
	free(p->input);
	p->input = NULL;
}

static bool is_own(const char *entry)
{
	for (size_t i = 0; i < ARRAY_SIZE(own_variables); i++) {
		size_t len = strlen(own_variables[i]);

		if (strncmp(entry, own_variables[i], len) == 0 && entry[len] == '=')
			return true;
	}
	return false;
}

int plan_base_env(char *const *environment, char ***ret)
{
	_cleanup_strv_ char **env = strv_copy(NULL);

	if (!env)
		return -ENOMEM;
	for (; environment && *environment; environment++)
		if (!is_own(*environment) && strv_push(&env, *environment))
			return -ENOMEM;
	*ret = take(env);
	return 0;
}

/* "K=V;K=V" */
static char *join_args(char *const *args)
{
	struct str s = STR_INIT;

	for (; args && args[0]; args += 2)
		str_appendf(&s, "%s%s=%s", s.len ? ";" : "", args[0], args[1]);
	return str_take(&s, NULL);
}

static int plan_env(const struct cnic *c, const struct call *call, const char *path, char ***ret)
{
	_cleanup_strv_ char **env = strv_copy(c->base_env);
	_cleanup_free_ char *args = join_args(call->args);

	if (!env || !args || !path || strv_pushf(&env, "CNI_COMMAND=%s", call->command) ||
	    strv_pushf(&env, "CNI_CONTAINERID=%s", call->container_id ? call->container_id : "") ||
	    strv_pushf(&env, "CNI_NETNS=%s", call->netns ? call->netns : "") ||
	    strv_pushf(&env, "CNI_IFNAME=%s", call->ifname ? call->ifname : "") ||
	    strv_pushf(&env, "CNI_ARGS=%s", args) || strv_pushf(&env, "CNI_PATH=%s", path))
		return -ENOMEM;
	*ret = take(env);
	return 0;
}

/* The capability arguments that this plugin says it understands. */
static void put_runtime_config(struct json_doc *doc, struct json *root, const struct json *conf,
			       const struct json *capabilities)
{
	struct json *given, *config = NULL;

	json_foreach(cap, json_get(conf, "capabilities")) {
		if (cap->type != JSON_BOOL || !cap->boolean)
			continue;
		given = json_get(capabilities, cap->key);
		if (!given)
			continue;
		if (!config)
			config = json_set_object(doc, root, "runtimeConfig");
		json_set(doc, config, cap->key, json_copy(doc, given));
	}
}

/* Under its name, and the one that the specification used by mistake. */
static void put_valid(struct json_doc *doc, struct json *root, const char *const *valid)
{
	static const char *const names[] = { "cni.dev/attachments", "cni.dev/valid-attachments" };
	struct json *list, *e;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		list = json_set_array(doc, root, names[i]);
		for (const char *const *v = valid; *v; v += 2) {
			e = json_new_object(doc);
			json_set_string(doc, e, "containerID", v[0]);
			json_set_string(doc, e, "ifname", v[1]);
			json_append(doc, list, e);
		}
	}
}

static int plan_input(const struct cnic_network *n, size_t i, const struct call *call, struct plan *plan)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	_cleanup_str_ struct str text = STR_INIT;
	struct json *root;

	root = doc ? json_copy(doc, n->plugins[i].conf) : NULL;
	if (!root)
		return -ENOMEM;
	json_set_string(doc, root, "name", n->name);
	json_set_string(doc, root, "cniVersion", n->version);
	if (call->previous)
		json_set(doc, root, "prevResult", result_as(call->previous, n->version, doc));
	if (call->valid)
		put_valid(doc, root, call->valid);
	put_runtime_config(doc, root, n->plugins[i].conf, call->capabilities);
	if (json_format(doc, root, JSON_SORT_KEYS, &text))
		return -ENOMEM;
	plan->input = str_take(&text, &plan->input_len);
	return plan->input ? 0 : -ENOMEM;
}

int plan_plugin(const struct cnic *c, const struct cnic_network *n, size_t i, const struct call *call,
		struct plan *ret)
{
	_cleanup_free_ char *path = strv_join(c->o.plugin_dirs, ":");
	_cleanup_plan_ struct plan plan = { 0 };
	int r;

	plan.finish = call->finish;
	r = plan_env(c, call, path, &plan.env);
	if (r == 0)
		r = plan_input(n, i, call, &plan);
	if (r)
		return r;
	*ret = plan;
	plan = (struct plan){ 0 };
	return 0;
}

/* VERSION takes no attachment; old plugins nevertheless insist on variables being there. */
int plan_probe(const struct cnic *c, struct plan *ret)
{
	static const struct call call = { .command = "VERSION",
					  .netns = "dummy",
					  .ifname = "dummy" };
	_cleanup_plan_ struct plan plan = { 0 };
	int r;

	r = plan_env(c, &call, "dummy", &plan.env);
	if (r)
		return r;
	plan.input = strdup("{\"cniVersion\":\"" CNI_VERSION_CURRENT "\"}");
	if (!plan.input)
		return -ENOMEM;
	plan.input_len = strlen(plan.input);
	*ret = plan;
	plan = (struct plan){ 0 };
	return 0;
}
