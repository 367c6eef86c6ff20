/* SPDX-License-Identifier: Apache-2.0 */
/* Which AppArmor profile a request means, and the kernel's list of them. */
#include <crisvc-cri.h>
#include "apparmor.h"
#include "errors.h"
#include "unit.h"

static struct cb_error error;

static int ask(int type, const char *ref, const char *old, struct apparmor_choice *ret)
{
	Runtime__V1__SecurityProfile p = RUNTIME__V1__SECURITY_PROFILE__INIT;

	p.profile_type = (Runtime__V1__SecurityProfile__ProfileType)type;
	p.localhost_ref = (char *)(uintptr_t)ref;
	return apparmor_choose(type < 0 ? NULL : &p, old, "usual", ret, &error);
}

START_TEST(requests_name_a_profile)
{
	static const struct {
		int type;		/* -1: only the old text */
		const char *ref, *old, *name;
		bool asked;
	} cases[] = {
		{ -1, "", "", "usual", false }, { -1, "", "runtime/default", "usual", true }, { -1, "", "unconfined", NULL, true },
		{ -1, "", "localhost/mine", "mine", true }, { 0, "", "localhost/mine", "usual", true }, { 1, "", "localhost/mine", NULL, true },
		{ 2, "other", "localhost/mine", "other", true }, { 2, "localhost/other", "", "other", true },
	};
	struct apparmor_choice c;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(ask(cases[i].type, cases[i].ref, cases[i].old, &c), 0);
		ck_assert_pstr_eq(c.name, cases[i].name);
		ck_assert_int_eq(c.asked, cases[i].asked);
	}
}
END_TEST

START_TEST(requests_that_name_none_are_invalid)
{
	struct apparmor_choice c;

	ck_assert_int_eq(ask(2, "", "", &c), E_INVALID);
	ck_assert_int_eq(ask(2, "localhost/", "", &c), E_INVALID);
	ck_assert_int_eq(ask(3, "x", "", &c), E_INVALID);
	ck_assert_int_eq(ask(-1, "", "mine", &c), E_INVALID);
	ck_assert_int_eq(ask(-1, "", "localhost/", &c), E_INVALID);
	ck_assert_int_eq(ask(-1, "", "runtime/default ", &c), E_INVALID);
}
END_TEST

START_TEST(whole_names_are_found_in_the_list)
{
	static const char list[] = "/usr/bin/man (enforce)\ncrio-default (enforce)\na b (complain)\nlast (kill)";

	ck_assert(apparmor_list_has(list, "crio-default"));
	ck_assert(apparmor_list_has(list, "/usr/bin/man"));
	ck_assert(apparmor_list_has(list, "a b"));
	ck_assert(apparmor_list_has(list, "last"));
	ck_assert(!apparmor_list_has(list, "crio"));
	ck_assert(!apparmor_list_has(list, "default"));
	ck_assert(!apparmor_list_has(list, "b"));
	ck_assert(!apparmor_list_has(list, ""));
	ck_assert(!apparmor_list_has("", "x"));
}
END_TEST

START_TEST(without_apparmor_only_an_own_profile_is_an_error)
{
	const char *name = "x";

	if (apparmor_enabled())
		return;
	ck_assert_int_eq(apparmor_check(&(struct apparmor_choice){ .name = "usual", .asked = true }, "usual", &name, &error), 0);
	ck_assert_ptr_null(name);
	ck_assert_int_eq(apparmor_check(&(struct apparmor_choice){ .asked = true }, "usual", &name, &error), 0);
	ck_assert_int_eq(apparmor_check(&(struct apparmor_choice){ .name = "own", .asked = true }, "usual", &name, &error), E_UNSUPPORTED);
}
END_TEST

UNIT_MAIN("apparmor", requests_name_a_profile, requests_that_name_none_are_invalid, whole_names_are_found_in_the_list,
	  without_apparmor_only_an_own_profile_is_an_error)
