/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which system calls a container may make: none is refused, or those of the default profile (built in,
 * or a file of the configuration), or those of a file that the request names. Files are read for each
 * container, so what an administrator changes counts for the next one.
 */
#include <cbase/io.h>
#include "container_spec.h"
#include "errors.h"
#include "log.h"

typedef Runtime__V1__SecurityProfile profile;

/* CRI-O's: a file of the configuration that is not there is no reason to run nothing. */
enum { MAY_BE_MISSING = 1 };

static int read_profile(const char *path, struct ocispec **ret, struct cb_error *err)
{
	_cleanup_free_ char *text = NULL;
	struct ocispec_error e = { 0 };
	size_t len;
	int r = read_file(path, OCISPEC_DOCUMENT_MAX, &text, &len);

	if (r == -ENOENT)
		return err_set(err, E_NOT_FOUND, "%s does not exist", path);
	if (r)
		return err_sysr(err, r, "read %s", path);
	r = ocispec_parse_as(OCISPEC_PROFILE, text, len, ret, &e);
	return r ? err_set(err, E_INVALID, "%s: %s", path, e.message) : 0;
}

static int set_default(struct container_spec *b, struct cb_error *err)
{
	return container_spec_result(b, ocispec_set_default_seccomp(b->spec, b->sv->kernel_version), "seccomp", err);
}

static int set_file(struct container_spec *b, const char *path, int flags, struct cb_error *err)
{
	struct ocispec_error e = { 0 };
	struct ocispec *p = NULL;
	int r = read_profile(path, &p, err);

	if (r == E_NOT_FOUND && (flags & MAY_BE_MISSING)) {
		log_warn("seccomp profile %s does not exist, the built-in one is used", path);
		return set_default(b, err);
	}
	if (!r && ocispec_set_seccomp_profile(b->spec, p, b->sv->kernel_version, &e))
		r = err_set(err, E_INVALID, "%s: %s", path, e.message);
	ocispec_free(p);
	return r ? err_ctx(err, r < 0 ? r : E_INVALID, "container %s: seccomp profile", b->info->name) : 0;
}

static int set_named(struct container_spec *b, const char *ref, struct cb_error *err)
{
	if (str_starts(ref, "localhost/"))
		ref += strlen("localhost/");
	if (*ref != '/')
		return err_set(err, E_INVALID, "container %s: seccomp profile \"%s\" is not an absolute path", b->info->name, ref);
	b->info->seccomp = arena_strdup(&b->info->arena, ref);
	return set_file(b, ref, 0, err);
}

int container_spec_seccomp(struct container_spec *b, const Runtime__V1__LinuxContainerSecurityContext *q,
			   struct cb_error *err)
{
	const struct config *c = b->sv->config;
	const profile *p = q ? q->seccomp : NULL;
	const char *file = *b->handler->seccomp_profile ? b->handler->seccomp_profile : c->seccomp_profile;

	b->info->seccomp = "Unconfined";
	if (q && q->privileged)
		return *c->privileged_seccomp_profile ? set_named(b, c->privileged_seccomp_profile, err) : 0;
	if (!p || p->profile_type == RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__Unconfined)
		return 0;
	if (p->profile_type == RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__Localhost)
		return set_named(b, p->localhost_ref, err);
	b->info->seccomp = "";
	return *file ? set_file(b, file, MAY_BE_MISSING, err) : set_default(b, err);
}

void container_spec_hand_filter(struct container_spec *b)
{
	struct ocispec_error e = { 0 };
	int r;

	if (!b->handler->is_crun)
		return;
	r = ocispec_hand_filter_to_crun(b->spec, b->sv->filters, &e);
	if (r && r != OCISPEC_E_NOT_FOUND)
		log_warn("container %s: %s compiles its own seccomp filter: %s", b->info->id, b->handler->name, e.message);
}
