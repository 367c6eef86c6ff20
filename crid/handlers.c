/* SPDX-License-Identifier: Apache-2.0 */
/* See handlers.h. Each runtime is asked once, at start or when the configuration is read again. */
#include <cbase/str.h>
#include <ocispec.h>
#include "errors.h"
#include "handlers.h"
#include "log.h"
#include "runtime.h"

/* A version that the runtime surely takes; what it prints instead of features says nothing. */
static char *choose_version(const char *features)
{
	char version[OCISPEC_VERSION_LEN];
	struct ocispec *f = NULL;

	if (features)
		ocispec_parse_as(OCISPEC_FEATURES, features, strlen(features), &f, NULL);
	if (ocispec_runtime_version(f, version))
		strcpy(version, OCISPEC_VERSION_DEFAULT);
	ocispec_free(f);
	return strdup(version);
}

static int probe_runtime(const struct config *c, struct runtime_handler *h, struct cb_error *err)
{
	_cleanup_free_ char *version = NULL, *features = NULL;
	int r = runtime_probe(c, h, &version, &features, err);

	if (r && streq(h->name, c->default_runtime))
		return err_ctx(err, r, "runtime %s", h->name);
	if (r)
		log_warn("runtime handler %s: %s", h->name, err->message);
	h->oci_version = choose_version(features);
	h->is_crun = version && str_starts(version, "crun version ");
	return h->oci_version ? 0 : err_oom(err);
}

int handlers_probe(struct config *c, struct cb_error *err)
{
	int r = 0;

	for (size_t i = 0; i < c->n_runtimes && !r; i++)
		r = probe_runtime(c, &c->runtimes[i], err);
	return r;
}
