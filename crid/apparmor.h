/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AppArmor profiles of containers. Where the kernel has no AppArmor nothing is confined, and asking for a
 * profile of one's own is an error.
 */
#ifndef CRID_APPARMOR_H
#define CRID_APPARMOR_H

#include <stdbool.h>
#include <stddef.h>
#include <cbase/err.h>

struct Runtime__V1__SecurityProfile;	/* of CRI */

bool apparmor_enabled(void);
/* Loads the built-in profile when it is the configured one and not there. What fails is logged; blocks. */
void apparmor_start(const char *default_profile);

/* What a request means. name NULL: unconfined. */
struct apparmor_choice {
	const char *name;	/* [borrowed] */
	bool asked;		/* by the request; else it is what containers have that say nothing */
};

/* profile wins over old, the deprecated text ("localhost/NAME", "runtime/default", "unconfined"). E_INVALID. */
int apparmor_choose(const struct Runtime__V1__SecurityProfile *profile, const char *old, const char *default_profile,
		    struct apparmor_choice *ret, struct cb_error *err);
/*
 * The profile to be set, [borrowed] of choice, or NULL. E_INVALID: it is not loaded; E_UNSUPPORTED: asked for
 * one of its own without AppArmor.
 */
int apparmor_check(const struct apparmor_choice *choice, const char *default_profile, const char **ret, struct cb_error *err);

/* Is there a line "NAME (mode)" in the kernel's list? */
bool apparmor_list_has(const char *list, const char *name);
/* The built-in profile's text. */
extern const char apparmor_builtin_profile[];
#define APPARMOR_BUILTIN "crio-default"

#endif
