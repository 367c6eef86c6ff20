/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who a container runs as: the CRI's and the image's user strings looked up in the root file
 * system's own passwd and group files, which are hostile: opened with openat2 inside the root,
 * only regular files, at most USERS_FILE_MAX bytes, parsed line by line without ever trusting
 * their form.
 */
#ifndef CRID_USERS_H
#define CRID_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cbase/err.h>
#include "idmaps.h"

#define USERS_FILE_MAX (1u << 20)
#define USERS_GROUPS_MAX 65536 /* as NGROUPS_MAX of the kernel */

struct user_request {
	int root_fd;			   /* of the mounted root file system */
	const char *image_user;		   /* "user[:group]" of the image config; "" none */
	const char *run_as_username;	   /* "" none */
	int64_t run_as_user, run_as_group; /* -1: not given */
	const int64_t *supplemental;	   /* of the CRI */
	size_t n_supplemental;
	bool strict; /* SupplementalGroupsPolicy Strict: image groups left out */
};

struct user {
	uint32_t uid, gid;
	uint32_t owner_uid, owner_gid; /* of its files, seen from outside a user namespace */
	uint32_t *groups; /* [owned] always holds gid first; no duplicates */
	size_t n_groups;
	char *home; /* [owned] home directory from passwd, "" when the uid has no entry */
	bool in_passwd, in_group; /* do uid and gid have entries? */
};

/*
 * Selector: run_as_username, else run_as_user, else the image's user, else root. run_as_group
 * without a user is E_INVALID; so is an unknown name ("unable to find user x: no matching
 * entries in passwd file") and an id outside 0..2^31-1.
 */
int user_resolve(const struct user_request *q, struct user *ret, struct cb_error *err);
/* Looks up owner_uid and owner_gid; E_INVALID when the maps lack uid, gid or a group. */
int user_map(struct user *u, const struct id_maps *maps, struct cb_error *err);
void user_done(struct user *u);

/*
 * A copy of the rootfs' /etc/passwd with a line for a uid that has none ("1234:x:1234:0:1234
 * user:<home>:/sbin/nologin"), and /etc/group with a line for the gid. [owned] text; E_NOT_FOUND
 * when nothing needs to be added or the file is missing, group/other writable, or the user's own
 * (it may edit it itself). Control bytes and ':' in home are refused (E_INVALID).
 */
int user_passwd_text(int root_fd, const struct user *u, const char *home, char **ret,
		     size_t *ret_len, struct cb_error *err);
int user_group_text(int root_fd, const struct user *u, char **ret, size_t *ret_len,
		    struct cb_error *err);

#endif
