/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CDI registry: specifications from directories, each directory outranking those before it, and
 * the devices they define by their qualified names. A device that two specifications of one rank
 * define is in conflict and cannot be had.
 */
#include "cdi.h"

#define CDI_DEVICES_MAX 65536

static void spec_free(struct cdi_spec *s)
{
	if (!s)
		return;
	ocispec_free(s->doc);
	free(s->path);
	free(s);
}

CB_DEFINE_CLEANUP(struct cdi_spec *, spec_free)

PUBLIC int ocispec_cdi_new(struct ocispec_cdi **ret)
{
	if (!ret)
		return -EINVAL;
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

PUBLIC struct ocispec_cdi *ocispec_cdi_free(struct ocispec_cdi *c)
{
	if (!c)
		return NULL;
	for (size_t i = 0; i < c->n_specs; i++)
		spec_free(c->specs[i]);
	for (size_t i = 0; i < c->n_devices; i++)
		free(c->devices[i].name);
	free(c->specs);
	free(c->devices);
	free(c);
	return NULL;
}

static int device_compare(const void *a, const void *b)
{
	return strcmp(((const struct cdi_device *)a)->name, ((const struct cdi_device *)b)->name);
}

static struct cdi_device *find(const struct ocispec_cdi *c, const char *name)
{
	const struct cdi_device key = { .name = (char *)(uintptr_t)name };

	return c->n_devices ? bsearch(&key, c->devices, c->n_devices, sizeof(key), device_compare) : NULL;
}

const struct cdi_device *cdi_find(const struct ocispec_cdi *c, const char *name)
{
	const struct cdi_device *d = find(c, name);

	return d && !d->conflict ? d : NULL;
}

/* The later rank wins; within one rank nobody does. */
static void meet(struct cdi_device *old, const struct cdi_spec *spec, const struct json *edits)
{
	if (spec->priority < old->spec->priority)
		return;
	old->conflict = spec->priority == old->spec->priority;
	old->spec = spec;
	old->edits = edits;
}

/* Room for all first, so that nothing is half added. */
static int reserve(struct ocispec_cdi *c, size_t devices, struct ocispec_error *err)
{
	struct cdi_spec **specs = realloc(c->specs, (c->n_specs + 1) * sizeof(*specs));
	struct cdi_device *list;

	if (!specs)
		return err_oom(err);
	c->specs = specs;
	if (c->n_devices + devices > CDI_DEVICES_MAX)
		return err_set(err, OCISPEC_E_LIMIT, "more than %d devices", CDI_DEVICES_MAX);
	list = realloc(c->devices, (c->n_devices + devices) * sizeof(*list));
	if (!list)
		return err_oom(err);
	c->devices = list;
	return 0;
}

static int add_devices(struct ocispec_cdi *c, const struct cdi_spec *spec, struct ocispec_error *err)
{
	const struct json *root = json_root(spec->doc->doc), *list = json_get(root, "devices");
	_cleanup_strv_ char **names = NULL;
	struct cdi_device *old;
	size_t before, i = 0;
	int r = 0;

	json_foreach(d, list)
		if (!r)
			r = strv_pushf(&names, "%s=%s", json_get_string(root, "kind"), json_get_string(d, "name"));
	if (r)
		return err_oom(err);
	r = reserve(c, list->count, err);
	if (r)
		return r;
	before = c->n_devices;
	json_foreach(d, list) {
		old = before ? bsearch(&(struct cdi_device){ .name = names[i] }, c->devices, before, sizeof(*old),
				       device_compare) : NULL;
		if (old)
			meet(old, spec, json_get(d, "containerEdits"));
		else
			c->devices[c->n_devices++] = (struct cdi_device){ take(names[i]), spec,
									  json_get(d, "containerEdits"), false };
		if (old)
			free(take(names[i]));
		i++;
	}
	if (names)
		names[0] = NULL;	/* all of them are taken */
	qsort(c->devices, c->n_devices, sizeof(*c->devices), device_compare);
	return 0;
}

static int add(struct ocispec_cdi *c, const char *path, int priority, const char *bytes, size_t len,
	       struct ocispec_error *err)
{
	_cleanup_(spec_freep) struct cdi_spec *spec = calloc(1, sizeof(*spec));
	int r;

	if (!spec)
		return err_oom(err);
	spec->priority = priority;
	spec->path = strdup(path);
	if (!spec->path)
		return err_oom(err);
	r = ocispec_parse_as(OCISPEC_CDI, bytes, len, &spec->doc, err);
	if (!r)
		r = cdi_check(spec->doc, err);
	if (!r)
		r = add_devices(c, spec, err);
	if (!r)
		c->specs[c->n_specs++] = take(spec);
	return r;
}

PUBLIC int ocispec_cdi_add(struct ocispec_cdi *c, const char *path, const char *bytes, size_t len,
			   struct ocispec_error *err)
{
	int r;

	if (!c || !path || !bytes)
		return err_sysr(err, -EINVAL, "add CDI specification");
	r = add(c, path, c->directories++, bytes, len, err);
	return r ? err_ctx(err, r, "CDI specification %s", path) : 0;
}

static int add_file(void *user, const char *path, const char *name, const char *bytes, size_t len,
		    struct ocispec_error *err)
{
	struct ocispec_cdi *c = user;

	return add(c, path, c->directories, bytes, len, err);
}

PUBLIC int ocispec_cdi_load(struct ocispec_cdi *c, const char *dir, ocispec_finding_fn report, void *user,
			    struct ocispec_error *err)
{
	static const char *const endings[] = { ".json", ".yaml", NULL };
	int r;

	if (!c || !dir)
		return err_sysr(err, -EINVAL, "load CDI specifications");
	r = directory_load(dir, endings, add_file, c, report, user, err);
	c->directories++;
	return r;
}

PUBLIC size_t ocispec_cdi_count(const struct ocispec_cdi *c)
{
	return c ? c->n_devices : 0;
}

PUBLIC const char *ocispec_cdi_device(const struct ocispec_cdi *c, size_t i, const char **ret_spec, int *ret_conflict)
{
	if (!c || i >= c->n_devices)
		return NULL;
	if (ret_spec)
		*ret_spec = c->devices[i].spec->path;
	if (ret_conflict)
		*ret_conflict = c->devices[i].conflict;
	return c->devices[i].name;
}
