/* SPDX-License-Identifier: Apache-2.0 */
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

static bool accepts(const struct policy *p, const char *name)
{
	struct cimage_ref *ref = ref_of(name);
	struct cimage_error err = { 0 };
	int r = policy_check_docker(p, ref, &err);

	ck_assert(r == 0 || r == CIMAGE_E_POLICY);
	ck_assert_int_eq(err.code, r);
	cimage_ref_free(ref);
	return !r;
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

START_TEST(signatures_are_understood_but_never_accepted)
{
	static const char *const signed_[] = {
		"{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":\"/k\"}",
		"{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPaths\":[\"/k\",\"/l\"]}",
		"{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyData\":\"YWJj\",\"signedIdentity\":{\"type\":\"matchExact\"}}",
		"{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":\"/k\",\"signedIdentity\":"
			"{\"type\":\"remapIdentity\",\"prefix\":\"a\",\"signedPrefix\":\"b\"}}",
		"{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":\"/k\",\"signedIdentity\":"
			"{\"type\":\"exactReference\",\"dockerReference\":\"h.io/x:t\"}}",
		"{\"type\":\"sigstoreSigned\",\"keyPath\":\"/k\"}",
		"{\"type\":\"sigstoreSigned\",\"keyDatas\":[\"YWJj\"],\"signedIdentity\":{\"type\":\"matchRepository\"}}",
		"{\"type\":\"sigstoreSigned\",\"fulcio\":{\"caPath\":\"/c\",\"oidcIssuer\":\"i\",\"subjectEmail\":\"e\"},"
			"\"rekorPublicKeyPath\":\"/r\"}",
		"{\"type\":\"sigstoreSigned\",\"pki\":{\"caRootsPath\":\"/c\",\"subjectHostname\":\"h\"}}",
		"{\"type\":\"signedBaseLayer\",\"baseLayerIdentity\":{\"type\":\"matchExact\"}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(signed_); i++) {
		char *text = strf("{\"default\":[{\"type\":\"insecureAcceptAnything\"},%s]}", signed_[i]);
		struct policy *p = policy(text);

		ck_assert_msg(!accepts(p, "h.io/x:t"), "%s", text);
		policy_free(p);
		free(text);
	}
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
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		refused(bad[i]);
}
END_TEST

RUN_TESTS("policy", the_most_specific_scope_decides, wildcards_come_after_paths_and_before_defaults,
	  defaults_of_transport_and_file, all_requirements_of_a_scope_count, signatures_are_understood_but_never_accepted,
	  what_is_not_understood_is_refused)
