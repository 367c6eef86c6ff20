/* SPDX-License-Identifier: Apache-2.0 */
/* See handlers.h. Each runtime is asked once, at start or when the configuration is read again. */
#include <stdio.h>
#include <sys/utsname.h>
#include <cbase/str.h>
#include <ocispec.h>
#include "errors.h"
#include "handlers.h"
#include "log.h"
#include "runtime.h"

/* A version that the runtime surely takes. */
static char *choose_version(const struct ocispec *features)
{
	char version[OCISPEC_VERSION_LEN];

	if (ocispec_runtime_version(features, version))
		strcpy(version, OCISPEC_VERSION_DEFAULT);
	return strdup(version);
}

static bool kernel_at_least(unsigned major, unsigned minor)
{
	unsigned have_major, have_minor;
	struct utsname u;

	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &have_major, &have_minor) != 2)
		return false;
	return have_major > major || (have_major == major && have_minor >= minor);
}

/* crun could do both long before it had a command to say so; 1.8.1 is the first that was tried. */
static bool is_crun_since_1_8_1(const char *version)
{
	unsigned a, b, c = 0;

	return version && sscanf(version, "crun version %u.%u.%u", &a, &b, &c) >= 2 &&
		(a > 1 || (a == 1 && (b > 8 || (b == 8 && c >= 1))));
}

static bool has_item(const struct ocispec *features, const char *path, const char *text)
{
	const char *item;

	for (size_t i = 0; (item = ocispec_get_item(features, path, i)); i++)
		if (streq(item, text))
			return true;
	return false;
}

void handler_set_mounts(struct runtime_handler *h, const char *version, const struct ocispec *features)
{
	bool known = !features && is_crun_since_1_8_1(version);

	/* the first kernels with mount_setattr(), and with overlayfs on id-mapped layers */
	h->recursive_ro = kernel_at_least(5, 12) && (known || (features && has_item(features, "mountOptions", "rro")));
	h->idmap_mounts = kernel_at_least(5, 19) &&
		(known || (features && ocispec_get_flag(features, "linux.mountExtensions.idmap.enabled", 0) == 1));
}

static int probe_runtime(const struct config *c, struct runtime_handler *h, struct cb_error *err)
{
	_cleanup_free_ char *version = NULL, *features = NULL;
	struct ocispec *f = NULL;
	int r = runtime_probe(c, h, &version, &features, err);

	if (r && streq(h->name, c->default_runtime))
		return err_ctx(err, r, "runtime %s", h->name);
	if (r)
		log_warn("runtime handler %s: %s", h->name, err->message);
	/* what an old one prints instead of features says nothing */
	if (features)
		ocispec_parse_as(OCISPEC_FEATURES, features, strlen(features), &f, NULL);
	h->oci_version = choose_version(f);
	handler_set_mounts(h, version, f);
	ocispec_free(f);
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
