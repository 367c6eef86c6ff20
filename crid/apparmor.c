/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See apparmor.h. A profile is looked for in the kernel's list before the container is made, because what
 * a runtime says of one that is not loaded helps nobody. The built-in profile allows what a container
 * needs and denies writing to what of /proc and /sys is the host's; apparmor_parser compiles it.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <crisvc-cri.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "apparmor.h"
#include "errors.h"
#include "log.h"
#include "runtime.h"
#include "spawn.h"

#define PROFILES "/sys/kernel/security/apparmor/profiles"
#define LIST_MAX (8u << 20)
#define PARAMETER_MAX 65536	/* a letter; files of /sys seem a page long */
#define PARSER_OUTPUT_MAX 4096
#define PARSER_TIMEOUT_MS 60000

/* Needs no other file: no abstractions, no tunables. */
const char apparmor_builtin_profile[] =
	"profile " APPARMOR_BUILTIN " flags=(attach_disconnected,mediate_deleted) {\n"
	"  network,\n"
	"  capability,\n"
	"  file,\n"
	"  umount,\n"
	"  signal (receive) peer=unconfined,\n"
	"  signal (receive) peer=runc,\n"
	"  signal (receive) peer=crun,\n"
	"  signal (send, receive) peer=" APPARMOR_BUILTIN ",\n"
	"  ptrace (trace, read, tracedby, readby) peer=" APPARMOR_BUILTIN ",\n"
	"  unix,\n"
	"  deny mount,\n"
	/* in /proc only what belongs to processes, and kernel.shm*, as Docker has it */
	"  deny /proc/* w,\n"
	"  deny /proc/{[^1-9],[^1-9][^0-9],[^1-9s][^0-9y][^0-9s],[^1-9][^0-9][^0-9][^0-9]*}/** w,\n"
	"  deny /proc/sys/[^k]** w,\n"
	"  deny /proc/sys/kernel/{?,??,[^s][^h][^m]**} w,\n"
	"  deny /proc/sysrq-trigger rwklx,\n"
	"  deny /proc/kcore rwklx,\n"
	/* of /sys only cgroups */
	"  deny /sys/[^f]*/** wklx,\n"
	"  deny /sys/f[^s]*/** wklx,\n"
	"  deny /sys/fs/[^c]*/** wklx,\n"
	"  deny /sys/fs/c[^g]*/** wklx,\n"
	"  deny /sys/fs/cg[^r]*/** wklx,\n"
	"  deny /sys/firmware/** rwklx,\n"
	"  deny /sys/devices/virtual/powercap/** rwklx,\n"
	"  deny /sys/kernel/security/** rwklx,\n"
	"}\n";

bool apparmor_enabled(void)
{
	_cleanup_free_ char *text = NULL;

	return !read_file("/sys/module/apparmor/parameters/enabled", PARAMETER_MAX, &text, NULL) && *text == 'Y' && !access(PROFILES, F_OK);
}

bool apparmor_list_has(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (; n && list && *list; list = *list ? list + 1 : list) {
		if (!strncmp(list, name, n) && !strncmp(list + n, " (", 2))
			return true;
		list = strchrnul(list, '\n');
	}
	return false;
}

static int is_loaded(const char *name, bool *ret, struct cb_error *err)
{
	_cleanup_free_ char *list = NULL;
	int r = read_file(PROFILES, LIST_MAX, &list, NULL);

	if (r)
		return err_sysr(err, r, "read " PROFILES);
	*ret = apparmor_list_has(list, name);
	return 0;
}

static const char *find_parser(void)
{
	static const char *const places[] = { "/usr/sbin/apparmor_parser", "/sbin/apparmor_parser" };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (!access(places[i], X_OK))
			return places[i];
	return NULL;
}

/* Replaces it, and writes no cache: the text is part of this program. */
static int load_builtin(struct cb_error *err)
{
	static const char *const env[] = { NULL };
	const char *path = find_parser(), *argv[] = { path, "-Kr", NULL };
	_cleanup_str_ struct str text = STR_INIT;
	_cleanup_free_ char *errout = NULL;
	struct spawn s = SPAWN_INIT;
	char buf[64];
	size_t n = 0;
	int status, r;

	if (!path)
		return err_set(err, E_NOT_FOUND, "there is no apparmor_parser");
	s.path = path;
	s.argv = argv;
	s.env = env;
	r = spawn_run(&s, apparmor_builtin_profile, strlen(apparmor_builtin_profile), PARSER_OUTPUT_MAX, PARSER_TIMEOUT_MS,
		      NULL, NULL, &errout, &n, &status, err);
	if (r || !status)
		return r;
	runtime_message(&text, errout, n);
	return err_set(err, E_FAILED, "%s: %s", path, text.len ? text.data : wait_status_text(status, buf));
}

void apparmor_start(const char *default_profile)
{
	struct cb_error err = { 0 };
	bool there = false;
	int r;

	if (!apparmor_enabled())
		return;
	r = is_loaded(default_profile, &there, &err);
	if (!r && !there)
		r = streq(default_profile, APPARMOR_BUILTIN) ? load_builtin(&err) : err_set(&err, E_NOT_FOUND, "it is not loaded");
	if (r)
		log_warn("AppArmor profile %s: %s: containers that ask for no other are not confined", default_profile, err.message);
	else if (!there)
		log_info("loaded the AppArmor profile %s", default_profile);
}

/* ---- containers ---- */

static int choose_old(const char *old, const char *default_profile, struct apparmor_choice *ret, struct cb_error *err)
{
	if (!*old || streq(old, "runtime/default"))
		*ret = (struct apparmor_choice){ .name = default_profile, .asked = *old };
	else if (streq(old, "unconfined"))
		*ret = (struct apparmor_choice){ .asked = true };
	else if (str_starts(old, "localhost/") && old[strlen("localhost/")])
		*ret = (struct apparmor_choice){ .name = old + strlen("localhost/"), .asked = true };
	else
		return err_set(err, E_INVALID, "AppArmor profile \"%.200s\" is not localhost/NAME, runtime/default or unconfined", old);
	return 0;
}

int apparmor_choose(const struct Runtime__V1__SecurityProfile *profile, const char *old, const char *default_profile,
		    struct apparmor_choice *ret, struct cb_error *err)
{
	const char *name;

	if (!profile)
		return choose_old(old, default_profile, ret, err);
	switch (profile->profile_type) {
	case RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault:
		*ret = (struct apparmor_choice){ .name = default_profile, .asked = true };
		return 0;
	case RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__Unconfined:
		*ret = (struct apparmor_choice){ .asked = true };
		return 0;
	case RUNTIME__V1__SECURITY_PROFILE__PROFILE_TYPE__Localhost:
		name = profile->localhost_ref;
		if (str_starts(name, "localhost/"))
			name += strlen("localhost/");
		if (!*name)
			return err_set(err, E_INVALID, "AppArmor profile of kind Localhost has no name");
		*ret = (struct apparmor_choice){ .name = name, .asked = true };
		return 0;
	default:
		return err_set(err, E_INVALID, "AppArmor profile type %d is unknown", (int)profile->profile_type);
	}
}

int apparmor_check(const struct apparmor_choice *choice, const char *default_profile, const char **ret, struct cb_error *err)
{
	bool there = false, own = choice->name && !streq(choice->name, default_profile);
	int r;

	*ret = NULL;
	if (!choice->name)
		return 0;
	if (!apparmor_enabled())
		return own ? err_set(err, E_UNSUPPORTED, "AppArmor profile %s: AppArmor is not enabled on this machine", choice->name) : 0;
	r = is_loaded(choice->name, &there, err);
	if (r)
		return r;
	if (!there)
		return choice->asked ? err_set(err, E_INVALID, "AppArmor profile %s is not loaded", choice->name) : 0;
	*ret = choice->name;
	return 0;
}
