/* SPDX-License-Identifier: Apache-2.0 */
/* The directory a layer is extracted into. */
#ifndef CSTORAGE_TREE_H
#define CSTORAGE_TREE_H

#include "../u64set.h"
#include "tar.h"

#define TREE_ENTRIES_MAX (1u << 21) /* members, and directories made because a member needs them */
#define TREE_IDS_MAX 1024	    /* users, and groups, that are recorded of one layer */

#define WHITEOUT ".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"
#define WHITEOUT_META ".wh..wh." /* other marks of aufs */
/* Of a directory that hides the lower ones of its name; userns: where nobody may set the first. */
#define OPAQUE_XATTR(userns) ((userns) ? "user.overlay.opaque" : "trusted.overlay.opaque")

/* The first TREE_IDS_MAX different ones, and the highest of all. */
struct id_list {
	uint32_t *ids; /* room for TREE_IDS_MAX */
	size_t count;
	uint32_t last, highest;
	struct u64set seen;
};

struct late_dir {
	char *path;
	struct timespec mtime, atime;
};

struct tree {
	int root;
	char *parent_path; /* of parent_fd; NULL: none open */
	int parent_fd;
	bool userns;	     /* we are in a user namespace: no devices, no attributes that are root's */
	bool removed;	     /* something, by the member being added */
	struct u64set names; /* keyed hashes of all cleaned names */
	uint64_t key[2];
	struct id_list uids, gids;
	struct late_dir *dirs; /* whose times are set at the end */
	size_t dir_count, dir_room;
	size_t entries;
};

int tree_init(struct tree *t, int root, struct cstore_error *err);
void tree_done(struct tree *t);
/*
 * Adds the member. For a file, *ret_fd is open for its content, and tree_finish_file() must follow;
 * for everything else it is -1. CSTORE_E_INVALID: its name leads out, was there before, or cannot be made.
 */
int tree_add(struct tree *t, const struct tar_member *m, int *ret_fd, struct cstore_error *err);
int tree_finish_file(struct tree *t, const struct tar_member *m, int fd, struct cstore_error *err);
/* After the last member. */
int tree_finish(struct tree *t, struct cstore_error *err);
/* The sorted users and groups; moves them out. */
void tree_ids(struct tree *t, struct apply_result *ret);

/*
 * Cleans a member's or link target's name lexically: relative to the root, without ".", ".." and
 * double slashes; "." for the root. false: it leads out, or is longer than out.
 */
bool tree_clean(const char *name, char out[TAR_NAME_MAX + 1]);

/* tree_attr.c: owner, mode, times and extended attributes. fd is not O_PATH. In a user namespace some are left out. */
bool attr_wanted(const char *xattr, bool userns); /* false: it is dropped */
int attr_set_fd(const struct tar_member *m, int fd, bool userns, struct cstore_error *err);
int attr_set_at(const struct tar_member *m, int dirfd, const char *name, bool userns, struct cstore_error *err);
/* A member that cannot be here and is not missed. */
static inline bool tree_leaves_out(const struct tree *t, const struct tar_member *m)
{
	return t->userns && (m->type == TAR_CHAR || m->type == TAR_BLOCKDEV);
}
void attr_times(const struct tar_member *m, struct timespec out[2]);

#endif
