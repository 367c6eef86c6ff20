/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.seccomp and seccomp profiles, for validate.c. Names of calls and architectures are looked up
 * in libseccomp when its module is there: a name it does not know is a warning, because runtimes
 * leave such calls to the default action, which for a misspelled one is not what was meant.
 */
#include "validate.h"

static const char *const actions[] = {
	"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
	"SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP", NULL
};
static const char *const operators[] = {
	"SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT",
	"SCMP_CMP_MASKED_EQ", NULL
};
static const char *const flags[] = {
	"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
	"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", NULL
};

struct member_path {
	char text[200];
};

static struct member_path member(const char *prefix, const char *path)
{
	struct member_path p;

	snprintf(p.text, sizeof(p.text), "%s%s", prefix, path);
	return p;
}

static const struct seccomp_module *library(const struct validation *v)
{
	return v->seccomp.table;
}

static void check_errno(struct validation *v, const struct json *o, const char *action, const char *name,
			const char *path)
{
	int64_t number;

	if (json_int(json_get(o, name), &number))
		return;
	if (number > 4095)
		doubt(v, path, "no errno is as high as %lld", (long long)number);
	if (action && !streq(action, "SCMP_ACT_ERRNO") && !streq(action, "SCMP_ACT_TRACE"))
		wrong(v, path, "goes with SCMP_ACT_ERRNO and SCMP_ACT_TRACE only");
}

static void check_rule(struct validation *v, const struct json *rule, size_t i, const char *prefix)
{
	struct member_path list = member(prefix, "syscalls");
	const char *action = json_get_string(rule, "action"), *one = json_get_string(rule, "name");
	const struct json *names = json_get(rule, "names");

	if (!word_in(action, actions))
		wrong(v, element(list.text, i, "action").text, "\"%s\" is not an action", action ? action : "");
	check_errno(v, rule, action, "errnoRet", element(list.text, i, "errnoRet").text);
	if ((!names || !names->count) && (!one || !*one || *prefix))
		wrong(v, element(list.text, i, "names").text, "missing or empty");
	json_foreach(n, names)
		if (library(v) && !library(v)->knows_call(n->string))
			doubt(v, element(list.text, i, "names").text, "libseccomp knows no call \"%.60s\"", n->string);
	if (one && *one && library(v) && !library(v)->knows_call(one))
		doubt(v, element(list.text, i, "name").text, "libseccomp knows no call \"%.60s\"", one);
	json_foreach(a, json_get(rule, "args")) {
		if (json_get_int(a, "index", 0) > 5)
			wrong(v, element(list.text, i, "args").text, "a call has arguments 0 to 5 only");
		if (!word_in(json_get_string(a, "op"), operators))
			wrong(v, element(list.text, i, "args").text, "not an operator, as \"SCMP_CMP_EQ\"");
	}
}

void validate_seccomp(struct validation *v, const struct json *seccomp, const char *prefix)
{
	const char *action = json_get_string(seccomp, "defaultAction");
	size_t i = 0;

	if (module_open("seccomp", &v->seccomp, NULL))
		doubt(v, member(prefix, "syscalls").text, "names were not checked: the seccomp module is not installed");
	if (!word_in(action, actions))
		wrong(v, member(prefix, "defaultAction").text, "\"%s\" is not an action", action ? action : "");
	check_errno(v, seccomp, action, "defaultErrnoRet", member(prefix, "defaultErrnoRet").text);
	json_foreach(a, json_get(seccomp, "architectures"))
		if (library(v) && !library(v)->knows_architecture(a->string))
			wrong(v, member(prefix, "architectures").text, "libseccomp knows no \"%.60s\"", a->string);
	json_foreach(f, json_get(seccomp, "flags"))
		if (!word_in(f->string, flags))
			wrong(v, member(prefix, "flags").text, "\"%.60s\" is not a flag", f->string);
	if (json_get_string(seccomp, "listenerMetadata") && !json_get_string(seccomp, "listenerPath"))
		wrong(v, member(prefix, "listenerMetadata").text, "needs listenerPath");
	json_foreach(rule, json_get(seccomp, "syscalls"))
		check_rule(v, rule, i++, prefix);
	module_close(&v->seccomp);
	v->seccomp.table = NULL;
}
