/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signedIdentity: is the docker reference that was signed one for this image?
 *
 * Nothing gets a default tag here: "name" alone in a signature is not "name:latest".
 */
#include <cbase/json.h>
#include "policy.h"

static bool is_name_only(const struct cimage_ref *r)
{
	return !cimage_ref_tag(r) && !cimage_ref_digest(r);
}

static bool same_name(const struct cimage_ref *a, const struct cimage_ref *b)
{
	return streq(cimage_ref_name(a), cimage_ref_name(b));
}

static bool same(const struct cimage_ref *a, const struct cimage_ref *b)
{
	return !is_name_only(a) && !is_name_only(b) &&
	       streq(cimage_ref_string(a), cimage_ref_string(b));
}

/* By digest the image was verified to have it already, so that any tag of the repository will do. */
static bool repo_digest_or_exact(const struct cimage_ref *image, const struct cimage_ref *signed_ref)
{
	if (is_name_only(signed_ref))
		return false;
	return cimage_ref_tag(image) ? same(image, signed_ref)
				     : cimage_ref_digest(image) && same_name(image, signed_ref);
}

bool identity_prefix_valid(const char *prefix)
{
	_cleanup_free_ char *inside = strf("%s/x", prefix);
	_cleanup_(cimage_ref_freep) struct cimage_ref *ref = NULL;

	return *prefix && inside && !cimage_ref_parse(inside, 0, &ref, NULL) && is_name_only(ref);
}

/* The image's reference with the prefix exchanged; itself when the prefix does not cover it. */
static struct cimage_ref *remap(const struct json *identity, const struct cimage_ref *image)
{
	const char *from = json_get_string(identity, "prefix");
	const char *to = json_get_string(identity, "signedPrefix");
	const char *name = cimage_ref_name(image), *text = cimage_ref_string(image);
	_cleanup_free_ char *mapped = NULL;
	struct cimage_ref *ref = NULL;
	size_t n = strlen(from);

	if (!strncmp(name, from, n) && (!name[n] || name[n] == '/'))
		mapped = strf("%s%s", to, text + n);
	else
		mapped = strdup(text);
	if (!mapped || cimage_ref_parse(mapped, 0, &ref, NULL))
		return NULL;
	/* a result that means something else once normalised is no result */
	if (!streq(cimage_ref_string(ref), mapped))
		ref = cimage_ref_free(ref);
	return ref;
}

static bool matches_fixed(const struct json *identity, const char *type,
			  const struct cimage_ref *signed_ref)
{
	_cleanup_(cimage_ref_freep) struct cimage_ref *wanted = NULL;
	bool whole = streq(type, "exactReference");

	if (cimage_ref_parse(json_get_string(identity,
					     whole ? "dockerReference" : "dockerRepository"),
			     0, &wanted, NULL))
		return false;
	return whole ? same(wanted, signed_ref) : same_name(wanted, signed_ref);
}

bool identity_matches(const struct json *identity, const struct cimage_ref *image,
		      const char *signed_reference)
{
	_cleanup_(cimage_ref_freep) struct cimage_ref *signed_ref = NULL, *mapped = NULL;
	const char *type = identity ? json_get_string(identity, "type") : "matchRepoDigestOrExact";

	if (cimage_ref_parse(signed_reference, 0, &signed_ref, NULL))
		return false;
	if (streq(type, "exactReference") || streq(type, "exactRepository"))
		return matches_fixed(identity, type, signed_ref);
	if (!image)
		return false;
	if (streq(type, "matchExact"))
		return same(image, signed_ref);
	if (streq(type, "matchRepository"))
		return same_name(image, signed_ref);
	if (streq(type, "matchRepoDigestOrExact"))
		return repo_digest_or_exact(image, signed_ref);
	if (!streq(type, "remapIdentity"))
		return false;
	mapped = remap(identity, image);
	return mapped && repo_digest_or_exact(mapped, signed_ref);
}
