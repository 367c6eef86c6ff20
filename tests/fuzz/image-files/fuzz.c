/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the machine: registries.conf, policy.json, auth.json; the first byte says which. */
#include <cbase/json.h>
#include "auth.h"
#include "policy.h"
#include "registries.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int r, const struct cimage_error *err)
{
	if (r && (!err->message[0] || !utf8_valid(err->message, strlen(err->message))))
		abort();
}

static void registries(const char *text, size_t n, const struct cimage_ref *ref)
{
	struct cimage_error err = { 0 };
	struct registries *one = NULL, *all = calloc(1, sizeof(*all));
	struct pull_source *sources;
	size_t count;
	int r;

	check(registries_parse(text, n, "f", true, &one, &err), &err);
	if (one) {
		if (registries_merge(all, one))
			abort();
		r = registries_sources(all, ref, &sources, &count, &err);
		check(r, &err);
		if (!r)
			pull_sources_free(sources, count);
	}
	registries_free(one);
	registries_free(all);
}

static void policy(const char *text, size_t n, const struct cimage_ref *ref)
{
	struct cimage_error err = { 0 };
	struct policy *p = NULL;

	check(policy_parse(text, n, "f", &p, &err), &err);
	if (p) {
		struct policy_subject s;
		unsigned int needs;

		if (policy_subject_docker(ref, &s))
			abort();
		check(policy_prejudge(p, &s, &needs, &err), &err);
		json_foreach(req, policy_requirements(p, &s))
			(void)identity_matches(json_get(req, "signedIdentity"), ref, "h.io/x:t");
		policy_subject_done(&s);
	}
	policy_free(p);
}

static void auth(const char *text, size_t n, const struct cimage_ref *ref, bool legacy)
{
	struct auth_files *a = auth_files_new();
	struct cimage_error err = { 0 };
	struct credentials c = { 0 };
	int r = auth_add(a, text, n, "f", legacy, &err);

	check(r, &err);
	if (!r)
		check(auth_find(a, ref, NULL, &c, &err), &err);
	if (!c.user != !c.password)
		abort();
	credentials_done(&c);
	auth_files_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cimage_ref *ref = NULL;

	if (!size || cimage_ref_parse("a.h.io:5/x/y:t", 0, &ref, NULL))
		return 0;
	switch (data[0] % 4) {
	case 0:
		registries((const char *)data + 1, size - 1, ref);
		break;
	case 1:
		policy((const char *)data + 1, size - 1, ref);
		break;
	default:
		auth((const char *)data + 1, size - 1, ref, data[0] % 4 == 3);
	}
	cimage_ref_free(ref);
	return 0;
}
