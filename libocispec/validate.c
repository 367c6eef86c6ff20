/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the specification demands beyond the types, for a document of any kind. An error is what a
 * runtime must or will refuse; a warning is what it may, or what hardly was meant. All findings are
 * reported, in the order of the specification's chapters.
 */
#include <stdarg.h>
#include "cdi.h"
#include "validate.h"

void finding(struct validation *v, int severity, const char *path, const char *fmt, ...)
{
	char text[512], clean[OCISPEC_ERROR_MESSAGE_MAX];
	va_list ap;

	v->errors += severity == OCISPEC_FINDING_ERROR;
	if (!v->report)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	utf8_copy(clean, sizeof(clean), text);
	v->report(v->user, severity, path, clean);
}

struct element_path element(const char *list, size_t i, const char *member)
{
	struct element_path p;

	snprintf(p.text, sizeof(p.text), "%s[%zu]%s%s", list, i, member ? "." : "", member ? member : "");
	return p;
}

bool word_in(const char *word, const char *const *words)
{
	for (; word && *words; words++)
		if (streq(*words, word))
			return true;
	return false;
}

/* ---- config ---- */

static void check_version(struct validation *v, const char *path)
{
	const char *text = ocispec_get_text(v->s, path), *member;
	struct release version, since;
	size_t i = 0;

	if (!text || release_read(text, &version)) {
		wrong(v, path, "%s", text ? "not a version, as \"1.0.2\"" : "missing");
		return;
	}
	if (version.major != 1)
		doubt(v, path, "this is a specification that is not known here");
	while ((member = release_lacks(v->s, &version, &i, &since)))
		doubt(v, member, "is new in %u.%u.%u, the document says %s", since.major, since.minor, since.patch, text);
}

static void check_root(struct validation *v)
{
	const char *path = ocispec_get_root(v->s);

	if (!path_get(v->s, "root"))
		wrong(v, "root", "missing");
	else if (!path || !*path)
		wrong(v, "root.path", "missing");
}

static void check_mapping_pair(struct validation *v, const struct json *mount, size_t i)
{
	const struct json *uids = json_get(mount, "uidMappings"), *gids = json_get(mount, "gidMappings");

	if ((uids && uids->count) != (gids && gids->count))
		wrong(v, element("mounts", i, NULL).text, "has only one of uidMappings and gidMappings");
}

static void check_mounts(struct validation *v)
{
	size_t i = 0;

	json_foreach(m, path_get(v->s, "mounts")) {
		const char *d = json_get_string(m, "destination"), *source = json_get_string(m, "source");
		const struct json *options = json_get(m, "options");

		if (!d || !*d)
			wrong(v, element("mounts", i, "destination").text, "missing");
		else if (*d != '/')
			doubt(v, element("mounts", i, "destination").text, "\"%s\" is not absolute", d);
		if ((capability_in(options, "bind") || capability_in(options, "rbind")) && (!source || !*source))
			wrong(v, element("mounts", i, "source").text, "missing on a bind mount");
		if (capability_in(options, "ro") && capability_in(options, "rw"))
			doubt(v, element("mounts", i, "options").text, "both \"ro\" and \"rw\"; the later one counts");
		check_mapping_pair(v, m, i);
		i++;
	}
}

static void check_annotations(struct validation *v)
{
	size_t n = 0;

	json_foreach(a, path_get(v->s, "annotations")) {
		n++;
		if (!a->key || !*a->key)
			wrong(v, "annotations", "an empty key");
		else if (ocispec_annotation_commands(a->key))
			doubt(v, "annotations", "\"%s\" commands the runtime", a->key);
	}
}

static void validate_config(struct validation *v)
{
	check_version(v, "ociVersion");
	check_root(v);
	check_mounts(v);
	validate_process(v);
	if (ocispec_get_hostname(v->s) && ocispec_get_namespace(v->s, "uts", NULL))
		wrong(v, "hostname", "needs a uts namespace");
	if (ocispec_get_text(v->s, "domainname") && ocispec_get_namespace(v->s, "uts", NULL))
		wrong(v, "domainname", "needs a uts namespace");
	validate_hooks(v);
	check_annotations(v);
	validate_linux(v);
}

/* ---- the other kinds ---- */

static void validate_state(struct validation *v)
{
	static const char *const states[] = { "creating", "created", "running", "stopped", "paused", NULL };
	const char *status = ocispec_get_text(v->s, "status"), *id = ocispec_get_text(v->s, "id");
	const char *bundle = ocispec_get_text(v->s, "bundle");
	int64_t pid = 0;

	check_version(v, "ociVersion");
	if (!id || !*id)
		wrong(v, "id", "missing");
	if (!status || !*status)
		wrong(v, "status", "missing");
	else if (!word_in(status, states))
		doubt(v, "status", "\"%s\" is none of the specification", status);
	if (!bundle || *bundle != '/')
		wrong(v, "bundle", "not an absolute path");
	if (ocispec_get_number(v->s, "pid", &pid) == 0 && pid < 0)
		wrong(v, "pid", "negative");
	if (pid <= 0 && status && (streq(status, "created") || streq(status, "running")))
		wrong(v, "pid", "missing for a container that is %s", status);
}

static void validate_features(struct validation *v)
{
	const char *min = ocispec_get_text(v->s, "ociVersionMin"), *max = ocispec_get_text(v->s, "ociVersionMax");
	struct release a, b;

	if (min && release_read(min, &a))
		wrong(v, "ociVersionMin", "\"%s\" is not a version", min);
	else if (max && release_read(max, &b))
		wrong(v, "ociVersionMax", "\"%s\" is not a version", max);
	else if (min && max && release_compare(&a, &b) > 0)
		wrong(v, "ociVersionMin", "newer than ociVersionMax");
	if (!min)
		wrong(v, "ociVersionMin", "missing");
	if (!max)
		wrong(v, "ociVersionMax", "missing");
}

static void validate_profile(struct validation *v)
{
	_cleanup_(ocispec_freep) struct ocispec *probe = NULL;
	struct ocispec_error err = { 0 };

	if (!ocispec_new(&probe) && ocispec_set_seccomp_profile(probe, v->s, NULL, &err) > 0)
		wrong(v, "", "%s", err.message);
	validate_seccomp(v, json_root(v->s->doc), "");
}

static void validate_hook_file(struct validation *v)
{
	struct ocispec_hooks *h = NULL;
	struct ocispec_error err = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (ocispec_format(v->s, 0, &text, &len) || ocispec_hooks_new(&h))
		wrong(v, "", "out of memory");
	else if (ocispec_hooks_add(h, "file", text, len, &err))
		wrong(v, "", "%s", str_starts(err.message, "hook file: ") ? err.message + 11 : err.message);
	ocispec_hooks_free(h);
}

static void validate_cdi(struct validation *v)
{
	struct ocispec_error err = { 0 };

	if (cdi_check(v->s, &err))
		wrong(v, "", "%s", err.message);
}

PUBLIC int ocispec_validate(const struct ocispec *s, ocispec_finding_fn report, void *user)
{
	static const struct {
		const struct shape *shape;
		void (*validate)(struct validation *v);
	} kinds[] = {
		{ shape_config, validate_config },   { shape_state, validate_state },
		{ shape_features, validate_features }, { shape_profile, validate_profile },
		{ shape_hook_file, validate_hook_file }, { shape_cdi, validate_cdi },
	};
	struct validation v = { .s = s, .report = report, .user = user };

	if (!s)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].shape == s->shape)
			kinds[i].validate(&v);
	return v.errors ? OCISPEC_E_INVALID : 0;
}
