/* SPDX-License-Identifier: Apache-2.0 */
#include <cbase/json.h>
#include "policy.h"
#include "unit.h"

#define YES "[{\"type\":\"insecureAcceptAnything\"}]"
#define NO "[{\"type\":\"reject\"}]"

static struct policy *policy(const char *text)
{
	struct cimage_error err = { 0 };
	struct policy *p = NULL;

	ck_assert_msg(policy_parse(text, strlen(text), "p.json", &p, &err) == 0, "%s: %s", text, err.message);
	return p;
}

static void refused(const char *text)
{
	struct cimage_error err = { 0 };
	struct policy *p = (void *)1;

	ck_assert_msg(policy_parse(text, strlen(text), "p.json", &p, &err) == CIMAGE_E_INVALID, "%s", text);
	ck_assert_ptr_eq(p, (void *)1);
	ck_assert_ptr_nonnull(strstr(err.message, "p.json"));
}

/* What judging needs; -1: rejected whatever the image is. */
static int needs(const struct policy *p, const char *name)
{
	struct cimage_ref *ref = ref_of(name);
	struct cimage_error err = { 0 };
	struct policy_subject s;
	unsigned int n = 99;
	int r;

	ck_assert_int_eq(policy_subject_docker(ref, &s), 0);
	r = policy_prejudge(p, &s, &n, &err);
	ck_assert(r == 0 || r == CIMAGE_E_POLICY);
	ck_assert_int_eq(err.code, r);
	policy_subject_done(&s);
	cimage_ref_free(ref);
	return r ? -1 : (int)n;
}

static bool accepts(const struct policy *p, const char *name)
{
	return needs(p, name) == 0;
}

START_TEST(the_most_specific_scope_decides)
{
	struct policy *p = policy("{\"default\":" NO ",\"transports\":{\"docker\":{"
		"\"h.io:5\":" YES ",\"h.io:5/team\":" NO ",\"h.io:5/team/app\":" YES ",\"h.io:5/team/app:bad\":" NO ","
		"\"h.io:5/team/app@" SHA "\":" NO "}}}");

	ck_assert(accepts(p, "h.io:5/x:t"));
	ck_assert(!accepts(p, "h.io:5/team/x:t"));
	ck_assert(accepts(p, "h.io:5/team/app:t"));
	ck_assert(!accepts(p, "h.io:5/team/app:bad"));
	ck_assert(!accepts(p, "h.io:5/team/app@" SHA));
	ck_assert(accepts(p, "h.io:5/teams/x:t"));
	ck_assert(!accepts(p, "h.io/x:t"));
	ck_assert(!accepts(p, "other.io/x:t"));
	policy_free(p);
}
END_TEST

START_TEST(wildcards_come_after_paths_and_before_defaults)
{
	struct policy *p = policy("{\"default\":" NO ",\"transports\":{\"docker\":{\"\":" NO ",\"*.example.com\":" YES ","
		"\"*.deep.example.com\":" NO ",\"a.example.com/x\":" NO "}}}");

	ck_assert(accepts(p, "b.example.com/x:t"));
	ck_assert(accepts(p, "b.example.com:5000/x:t"));
	ck_assert(accepts(p, "c.b.example.com/x:t"));
	ck_assert(!accepts(p, "c.deep.example.com/x:t"));
	ck_assert(!accepts(p, "a.example.com/x:t"));
	ck_assert(accepts(p, "a.example.com/y:t"));
	ck_assert(!accepts(p, "example.com/y:t"));
	ck_assert(!accepts(p, "example.org/y:t"));
	policy_free(p);
}
END_TEST

START_TEST(defaults_of_transport_and_file)
{
	struct policy *p = policy("{\"default\":" NO ",\"transports\":{\"docker\":{\"\":" YES "},\"dir\":{\"\":" NO "}}}");

	ck_assert(accepts(p, "h.io/x:t"));
	policy_free(p);
	p = policy("{\"default\":" NO ",\"transports\":{\"dir\":{\"\":" YES "}}}");
	ck_assert(!accepts(p, "h.io/x:t"));
	policy_free(p);
	p = policy("{\"default\":" YES "}");
	ck_assert(accepts(p, "h.io/x:t"));
	policy_free(p);
}
END_TEST

START_TEST(all_requirements_of_a_scope_count)
{
	struct policy *p = policy("{\"default\":[{\"type\":\"insecureAcceptAnything\"},{\"type\":\"reject\"}]}");

	ck_assert(!accepts(p, "h.io/x:t"));
	policy_free(p);
}
END_TEST

START_TEST(requirements_say_which_signatures_they_need)
{
	static const struct {
		const char *text;
		int needs;
	} all[] = {
		{ "{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":\"/k\"}", POLICY_NEEDS_GPG },
		{ "{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPaths\":[\"/k\",\"/l\"]}", POLICY_NEEDS_GPG },
		{ "{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyData\":\"YWJj\",\"signedIdentity\":{\"type\":\"matchExact\"}}",
		  POLICY_NEEDS_GPG },
		{ "{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":\"/k\",\"signedIdentity\":"
		  "{\"type\":\"remapIdentity\",\"prefix\":\"a\",\"signedPrefix\":\"b\"}}", POLICY_NEEDS_GPG },
		{ "{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":\"/k\",\"signedIdentity\":"
		  "{\"type\":\"exactReference\",\"dockerReference\":\"h.io/x:t\"}}", POLICY_NEEDS_GPG },
		{ "{\"type\":\"sigstoreSigned\",\"keyPath\":\"/k\"}", POLICY_NEEDS_SIGSTORE },
		{ "{\"type\":\"sigstoreSigned\",\"keyDatas\":[\"YWJj\"],\"signedIdentity\":{\"type\":\"matchRepository\"}}",
		  POLICY_NEEDS_SIGSTORE },
		{ "{\"type\":\"sigstoreSigned\",\"fulcio\":{\"caPath\":\"/c\",\"oidcIssuer\":\"i\",\"subjectEmail\":\"e\"},"
		  "\"rekorPublicKeyPath\":\"/r\"}", POLICY_NEEDS_SIGSTORE },
		{ "{\"type\":\"sigstoreSigned\",\"pki\":{\"caRootsPath\":\"/c\",\"subjectHostname\":\"h\"}}", POLICY_NEEDS_SIGSTORE },
		{ "{\"type\":\"sigstoreSigned\",\"keyPath\":\"/k\"},{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":\"/k\"}",
		  POLICY_NEEDS_SIGSTORE | POLICY_NEEDS_GPG },
		{ "{\"type\":\"signedBaseLayer\",\"baseLayerIdentity\":{\"type\":\"matchExact\"}}", -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		char *text = strf("{\"default\":[{\"type\":\"insecureAcceptAnything\"},%s]}", all[i].text);
		struct policy *p = policy(text);

		ck_assert_msg(needs(p, "h.io/x:t") == all[i].needs, "%s", text);
		policy_free(p);
		free(text);
	}
}
END_TEST

START_TEST(other_transports_are_looked_up_by_their_scopes)
{
	static const char *const scopes[] = { "/a/b:name", "/a/b", "/a", NULL };
	struct policy *p = policy("{\"default\":" NO ",\"transports\":{\"oci\":{\"/a\":" NO ",\"/a/b\":" YES ",\"/a/c\":" NO "},"
				  "\"docker-archive\":{\"\":" YES "}}}");
	struct policy_subject s;
	unsigned int n;

	ck_assert_int_eq(policy_subject_other("oci", scopes, NULL, "oci:/a/b:name", &s), 0);
	ck_assert_int_eq(policy_prejudge(p, &s, &n, NULL), 0);
	policy_subject_done(&s);
	ck_assert_int_eq(policy_subject_other("oci", scopes + 2, NULL, "oci:/a", &s), 0);
	ck_assert_int_eq(policy_prejudge(p, &s, &n, NULL), CIMAGE_E_POLICY);
	policy_subject_done(&s);
	ck_assert_int_eq(policy_subject_other("docker-archive", NULL, NULL, "docker-archive:/x", &s), 0);
	ck_assert_int_eq(policy_prejudge(p, &s, &n, NULL), 0);
	policy_subject_done(&s);
	ck_assert_int_eq(policy_subject_other("dir", scopes, NULL, "dir:/a/b", &s), 0);
	ck_assert_int_eq(policy_prejudge(p, &s, &n, NULL), CIMAGE_E_POLICY);
	policy_subject_done(&s);
	policy_free(p);
}
END_TEST

/* requirement, reference of the image, what was signed, verdict: as containers/image has it */
static const struct {
	const char *identity, *image, *signed_;
	bool good;
} identity_cases[] = {
	{ NULL, "h.io/x:t", "h.io/x:t", true },
	{ NULL, "h.io/x:t", "h.io/x:u", false },
	{ NULL, "h.io/x:t", "h.io/x", false },
	{ NULL, "h.io/x@" SHA, "h.io/x:any", true },
	{ NULL, "h.io/x@" SHA, "h.io/x", false },
	{ NULL, "h.io/x@" SHA, "h.io/y:t", false },
	{ NULL, "docker.io/library/x:t", "x:t", true },
	{ NULL, "h.io/x:t", "", false },
	{ NULL, "h.io/x:t", "H.io/X:t", false },
	{ NULL, NULL, "h.io/x:t", false },
	{ "{\"type\":\"matchExact\"}", "h.io/x@" SHA, "h.io/x:t", false },
	{ "{\"type\":\"matchExact\"}", "h.io/x@" SHA, "h.io/x@" SHA, true },
	{ "{\"type\":\"matchExact\"}", "h.io/x:t", "h.io/x:t", true },
	{ "{\"type\":\"matchRepository\"}", "h.io/x:t", "h.io/x:u", true },
	{ "{\"type\":\"matchRepository\"}", "h.io/x:t", "h.io/x", true },
	{ "{\"type\":\"matchRepository\"}", "h.io/x:t", "h.io/x/y:t", false },
	{ "{\"type\":\"exactReference\",\"dockerReference\":\"v.io/p:1\"}", "h.io/x:t", "v.io/p:1", true },
	{ "{\"type\":\"exactReference\",\"dockerReference\":\"v.io/p:1\"}", NULL, "v.io/p:1", true },
	{ "{\"type\":\"exactReference\",\"dockerReference\":\"v.io/p:1\"}", "h.io/x:t", "h.io/x:t", false },
	{ "{\"type\":\"exactRepository\",\"dockerRepository\":\"v.io/p\"}", "h.io/x:t", "v.io/p:2", true },
	{ "{\"type\":\"exactRepository\",\"dockerRepository\":\"v.io/p\"}", "h.io/x:t", "v.io/pp:2", false },
	{ "{\"type\":\"remapIdentity\",\"prefix\":\"m:5/v\",\"signedPrefix\":\"v.io\"}", "m:5/v/p:1", "v.io/p:1", true },
	{ "{\"type\":\"remapIdentity\",\"prefix\":\"m:5/v\",\"signedPrefix\":\"v.io\"}", "m:5/v/p:1", "m:5/v/p:1", false },
	{ "{\"type\":\"remapIdentity\",\"prefix\":\"m:5/v\",\"signedPrefix\":\"v.io\"}", "m:5/vv/p:1", "v.iov/p:1", false },
	{ "{\"type\":\"remapIdentity\",\"prefix\":\"m:5/v\",\"signedPrefix\":\"v.io\"}", "m:5/vv/p:1", "m:5/vv/p:1", true },
	{ "{\"type\":\"remapIdentity\",\"prefix\":\"m:5\",\"signedPrefix\":\"v.io\"}", "m:5/p@" SHA, "v.io/p:9", true },
	{ "{\"type\":\"remapIdentity\",\"prefix\":\"m:5/v\",\"signedPrefix\":\"v\"}", "m:5/v/p:1", "v/p:1", false },
};

START_TEST(signed_identity)
{
	const char *identity = identity_cases[_i].identity, *image = identity_cases[_i].image;
	struct json_doc *doc = NULL;
	struct cimage_ref *ref = image ? ref_of(image) : NULL;

	if (identity)
		ck_assert_int_eq(json_parse(identity, strlen(identity), 0, &doc, NULL), 0);
	ck_assert_msg(identity_matches(doc ? json_root(doc) : NULL, ref, identity_cases[_i].signed_) == identity_cases[_i].good,
		      "%s: %s signed as %s", identity ? identity : "default", image ? image : "nothing", identity_cases[_i].signed_);
	cimage_ref_free(ref);
	json_doc_free(doc);
}
END_TEST

START_TEST(what_is_not_understood_is_refused)
{
	static const char *const bad[] = {
		"", "[]", "{}", "{\"default\":[]}", "{\"default\":{}}", "{\"default\":null}", "{\"default\":" YES,
		"{\"default\":" YES "}x", "{\"default\":" YES ",\"default\":" NO "}", "{\"default\":" YES ",\"Default\":" NO "}",
		"{\"default\":" YES ",\"x\":1}", "{\"transports\":{}}", "{\"default\":" YES ",\"transports\":[]}",
		"{\"default\":" YES ",\"transports\":{\"docker\":[]}}", "{\"default\":" YES ",\"transports\":{\"docker\":{\"x\":[]}}}",
		"{\"default\":" YES ",\"transports\":{\"docker\":{\"x\":" NO ",\"x\":" YES "}}}",
		"{\"default\":" YES ",\"transports\":{\"docker\":{\"x\":" NO "},\"docker\":{}}}",
		"{\"default\":[{}]}", "{\"default\":[1]}", "{\"default\":[{\"type\":1}]}", "{\"default\":[{\"type\":\"Reject\"}]}",
		"{\"default\":[{\"type\":\"reject\",\"x\":1}]}", "{\"default\":[{\"type\":\"reject\",\"type\":\"insecureAcceptAnything\"}]}",
		"{\"default\":[{\"type\":\"signedBy\"}]}", "{\"default\":[{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\"}]}",
		"{\"default\":[{\"type\":\"signedBy\",\"keyPath\":\"/k\"}]}",
		"{\"default\":[{\"type\":\"signedBy\",\"keyType\":\"PGP\",\"keyPath\":\"/k\"}]}",
		"{\"default\":[{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":\"/k\",\"keyData\":\"YWJj\"}]}",
		"{\"default\":[{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPaths\":[]}]}",
		"{\"default\":[{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyData\":\"%%\"}]}",
		"{\"default\":[{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":\"/k\",\"signedIdentity\":{\"type\":\"x\"}}]}",
		"{\"default\":[{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":\"/k\",\"signedIdentity\":"
			"{\"type\":\"remapIdentity\",\"prefix\":\"a\"}}]}",
		"{\"default\":[{\"type\":\"sigstoreSigned\"}]}",
		"{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"/k\",\"fulcio\":{}}]}",
		"{\"default\":[{\"type\":\"sigstoreSigned\",\"fulcio\":{\"caPath\":\"/c\"}}]}",
		"{\"default\":[{\"type\":\"sigstoreSigned\",\"pki\":{\"caRootsPath\":\"/c\",\"type\":\"x\",\"subjectEmail\":\"e\"}}]}",
		"{\"default\":[{\"type\":\"signedBaseLayer\"}]}",
		/* without what makes them mean something */
		"{\"default\":[{\"type\":\"sigstoreSigned\",\"fulcio\":{\"caPath\":\"/c\",\"oidcIssuer\":\"i\",\"subjectEmail\":\"e\"}}]}",
		"{\"default\":[{\"type\":\"sigstoreSigned\",\"pki\":{\"caRootsPath\":\"/c\",\"subjectEmail\":\"e\"},\"rekorPublicKeyPath\":\"/r\"}]}",
		"{\"default\":[{\"type\":\"sigstoreSigned\",\"pki\":{\"caRootsPath\":\"/c\"}}]}",
		"{\"default\":[{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":\"/k\",\"signedIdentity\":"
			"{\"type\":\"exactReference\",\"dockerReference\":\"h.io/x\"}}]}",
		"{\"default\":[{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":\"/k\",\"signedIdentity\":"
			"{\"type\":\"remapIdentity\",\"prefix\":\"h.io/x:t\",\"signedPrefix\":\"b\"}}]}",
		"{\"default\":" YES ",\"transports\":{\"dir\":{\"/\":" YES "}}}",
		"{\"default\":" YES ",\"transports\":{\"oci\":{\"/a/../b\":" YES "}}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		refused(bad[i]);
}
END_TEST

RUN_LOOP_TESTS("policy", signed_identity, ARRAY_SIZE(identity_cases), the_most_specific_scope_decides,
	       wildcards_come_after_paths_and_before_defaults, defaults_of_transport_and_file, all_requirements_of_a_scope_count,
	       requirements_say_which_signatures_they_need, other_transports_are_looked_up_by_their_scopes,
	       what_is_not_understood_is_refused)
