/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What others add to a container: OCI hooks from directories, CDI devices. The directories are read
 * for each container that they may be for, so nothing has to be watched and an idle daemon keeps nothing;
 * they have few files, most of the time none. A file that is wrong is logged and left out, as CRI-O does
 * while it runs; the daemon does not start with one.
 */
#include "container_spec.h"
#include "errors.h"
#include "log.h"

CB_DEFINE_CLEANUP(struct ocispec_hooks *, ocispec_hooks_free)
CB_DEFINE_CLEANUP(struct ocispec_cdi *, ocispec_cdi_free)

static void tell(void *user, int severity, const char *path, const char *message)
{
	log_warn("%s: %s (left out)", (const char *)user, message);
}

int hooks_check(const struct config *c, struct cb_error *err)
{
	_cleanup_(ocispec_hooks_freep) struct ocispec_hooks *h = NULL;
	struct ocispec_error e = { 0 };
	int r = ocispec_hooks_new(&h);

	for (char **dir = c->hooks_dir; !r && dir && *dir; dir++) {
		r = ocispec_hooks_load(h, *dir, NULL, NULL, &e);
		if (r == OCISPEC_E_NOT_FOUND)
			r = 0;
	}
	return r ? err_ctx(err, err_from_ocispec(err, r, &e), "hooks_dir") : 0;
}

/* Those of the pod lie over those of the container. */
static int merged_annotations(const struct container_spec *b, char ***ret)
{
	_cleanup_strv_ char **pairs = strv_copy(b->make->pod->annotations);
	int r = pairs ? 0 : -ENOMEM;

	for (char **a = b->info->annotations; !r && a && a[0]; a += 2) {
		if (pairs_get(b->make->pod->annotations, a[0]))
			continue;
		r = strv_push(&pairs, a[0]);
		if (!r)
			r = strv_push(&pairs, a[1]);
	}
	if (!r)
		*ret = take(pairs);
	return r;
}

static int add_hooks(struct container_spec *b, struct cb_error *err)
{
	_cleanup_(ocispec_hooks_freep) struct ocispec_hooks *h = NULL;
	_cleanup_strv_ char **pairs = NULL;
	struct ocispec_error e = { 0 };
	char **dirs = b->sv->config->hooks_dir, label[] = "hooks_dir";
	int r;

	if (!dirs || ocispec_hooks_new(&h))
		return dirs ? err_oom(err) : 0;
	for (; *dirs; dirs++) {
		r = ocispec_hooks_load(h, *dirs, tell, label, &e);
		if (r < 0)
			return err_from_ocispec(err, r, &e);
	}
	if (!ocispec_hooks_count(h))
		return 0;
	if (merged_annotations(b, &pairs))
		return err_oom(err);
	r = ocispec_hooks_apply(h, b->spec, (const char *const *)pairs, b->info->n_mounts > 0, &e);
	return r ? err_ctx(err, err_from_ocispec(err, r, &e), "container %s", b->info->name) : 0;
}

static bool wants_cdi(const struct container_spec *b)
{
	for (char **a = b->info->annotations; a && a[0]; a += 2)
		if (str_starts(a[0], "cdi.k8s.io/"))
			return true;
	return b->make->config->n_cdi_devices > 0;
}

static int cdi_names(const struct container_spec *b, char ***ret)
{
	const Runtime__V1__ContainerConfig *c = b->make->config;
	int r = 0;

	for (size_t i = 0; i < c->n_cdi_devices && !r; i++)
		r = strv_push(ret, c->cdi_devices[i]->name);
	return r;
}

static int add_cdi_devices(struct container_spec *b, struct cb_error *err)
{
	_cleanup_(ocispec_cdi_freep) struct ocispec_cdi *c = NULL;
	_cleanup_strv_ char **names = NULL;
	struct ocispec_error e = { 0 };
	char **dirs = b->sv->config->cdi_spec_dirs, label[] = "cdi_spec_dirs";
	int r = 0;

	if (!wants_cdi(b))
		return 0;
	if (ocispec_cdi_new(&c) || cdi_names(b, &names))
		return err_oom(err);
	for (; dirs && *dirs && r >= 0; dirs++)
		r = ocispec_cdi_load(c, *dirs, tell, label, &e);
	if (r >= 0)
		r = ocispec_cdi_inject(c, b->spec, (const char *const *)names,
				       (const char *const *)b->info->annotations, &e);
	if (r == OCISPEC_E_NOT_FOUND)	/* the container is not what cannot be found */
		return err_set(err, E_FAILED, "container %s: CDI device injection failed: %s", b->info->name, e.message);
	return r ? err_ctx(err, err_from_ocispec(err, r, &e), "container %s: CDI device injection failed", b->info->name) : 0;
}

int container_spec_inject(struct container_spec *b, struct cb_error *err)
{
	int r = add_hooks(b, err);

	return r ? r : add_cdi_devices(b, err);
}
