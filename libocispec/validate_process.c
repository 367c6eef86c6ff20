/* SPDX-License-Identifier: Apache-2.0 */
/* process and hooks (config.md), for validate.c. */
#include "validate.h"

static void check_env(struct validation *v, const struct json *env, const char *where)
{
	size_t i = 0;

	json_foreach(e, env) {
		if (e->string[0] == '=' || !strchr(e->string, '='))
			doubt(v, element(where, i, NULL).text, "\"%.60s\" is not NAME=value", e->string);
		i++;
	}
}

/* The sets a process is given must lie within the bounding set, or the kernel says no. */
static void check_capabilities(struct validation *v)
{
	static const char *const sets[] = { "bounding", "effective", "inheritable", "permitted", "ambient" };
	const struct json *caps = path_get(v->s, "process.capabilities");
	const struct json *permitted = json_get(caps, "permitted"), *inheritable = json_get(caps, "inheritable");

	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		char path[64];

		snprintf(path, sizeof(path), "process.capabilities.%s", sets[i]);
		json_foreach(c, json_get(caps, sets[i])) {
			const char *known = ocispec_capability_name(c->string);

			if (!known)
				doubt(v, path, "\"%s\" is not known; runtimes leave it out", c->string);
			else if (!streq(known, c->string))
				wrong(v, path, "\"%s\" is not spelled %s", c->string, known);
			else if (streq(sets[i], "effective") && !capability_in(permitted, c->string))
				doubt(v, path, "%s is not in the permitted set", c->string);
			else if (streq(sets[i], "ambient") &&
				 (!capability_in(permitted, c->string) || !capability_in(inheritable, c->string)))
				doubt(v, path, "%s is not in both the permitted and the inheritable set", c->string);
		}
	}
}

static uint64_t number(const struct json *o, const char *member)
{
	const struct json *v = json_get(o, member);

	return v && v->type == JSON_NUMBER ? strtoull(v->string, NULL, 10) : 0;
}

static void check_rlimits(struct validation *v)
{
	size_t i = 0;

	json_foreach(l, path_get(v->s, "process.rlimits")) {
		const char *type = json_get_string(l, "type");

		if (!type || !rlimit_known(type))
			wrong(v, element("process.rlimits", i, "type").text, "\"%s\" is not a limit", type ? type : "");
		if (number(l, "soft") > number(l, "hard"))
			wrong(v, element("process.rlimits", i, NULL).text, "soft is above hard");
		for (const struct json *o = l->next; type && o; o = o->next)
			if (json_get_string(o, "type") && streq(json_get_string(o, "type"), type))
				wrong(v, element("process.rlimits", i, "type").text, "%s twice", type);
		i++;
	}
}

static void check_scheduling(struct validation *v)
{
	static const char *const policies[] = {
		"SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE", NULL
	};
	static const char *const classes[] = { "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE", NULL };
	int64_t n;

	if (path_get(v->s, "process.scheduler") &&
	    !word_in(ocispec_get_text(v->s, "process.scheduler.policy"), policies))
		wrong(v, "process.scheduler.policy", "not a policy, as \"SCHED_OTHER\"");
	if (ocispec_get_number(v->s, "process.scheduler.nice", &n) == 0 && (n < -20 || n > 19))
		wrong(v, "process.scheduler.nice", "not from -20 to 19");
	if (path_get(v->s, "process.ioPriority") && !word_in(ocispec_get_text(v->s, "process.ioPriority.class"), classes))
		wrong(v, "process.ioPriority.class", "not a class, as \"IOPRIO_CLASS_BE\"");
	if (ocispec_get_number(v->s, "process.ioPriority.priority", &n) == 0 && (n < 0 || n > 7))
		wrong(v, "process.ioPriority.priority", "not from 0 to 7");
	if (ocispec_get_number(v->s, "process.oomScoreAdj", &n) == 0 && (n < -1000 || n > 1000))
		wrong(v, "process.oomScoreAdj", "not from -1000 to 1000");
	if (ocispec_get_number(v->s, "process.user.umask", &n) == 0 && n > 0777)
		wrong(v, "process.user.umask", "above 0777");
}

void validate_process(struct validation *v)
{
	const char *cwd = ocispec_get_text(v->s, "process.cwd");

	if (!path_get(v->s, "process")) {
		doubt(v, "process", "missing: the container can be created, but not started");
		return;
	}
	if (!cwd || *cwd != '/')
		wrong(v, "process.cwd", "not an absolute path");
	if (!ocispec_count(v->s, "process.args"))
		wrong(v, "process.args", "missing or empty");
	if (path_get(v->s, "process.consoleSize") && !ocispec_get_terminal(v->s))
		doubt(v, "process.consoleSize", "counts only with a terminal");
	check_env(v, path_get(v->s, "process.env"), "process.env");
	check_capabilities(v);
	check_rlimits(v);
	check_scheduling(v);
}

void validate_hooks(struct validation *v)
{
	json_foreach(stage, path_get(v->s, "hooks")) {
		char where[64];
		size_t i = 0;

		snprintf(where, sizeof(where), "hooks.%.40s", stage->key);
		if (streq(stage->key, "prestart") && stage->count)
			doubt(v, where, "deprecated: use createRuntime");
		json_foreach(h, stage->type == JSON_ARRAY ? stage : NULL) {
			const char *path = json_get_string(h, "path");
			int64_t timeout;

			if (!path || *path != '/')
				wrong(v, element(where, i, "path").text, "not an absolute path");
			if (json_int(json_get(h, "timeout"), &timeout) == 0 && timeout <= 0)
				wrong(v, element(where, i, "timeout").text, "not above 0");
			check_env(v, json_get(h, "env"), element(where, i, "env").text);
			i++;
		}
	}
}
