/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nft table "crio-hostports" of one family: what is in it, what should be, and the nft script that
 * makes the one into the other. No I/O.
 *
 * Names, types and comments are CRI-O's, so that either program removes what the other made:
 *
 *	map hostports    proto . host port -> pod address . port
 *	map hostipports  host address . proto . host port -> the same
 *	set hairpins     pod address . pod address: a pod that talks to itself through its host port
 *
 * each element with a comment made of the pod's id. Of crid's own, in the table of IPv4 only:
 *
 *	set localnet     interfaces on which route_localnet was turned on for 127.0.0.1
 *	chain guard      drops what comes in on one of them for 127.0.0.0/8, which that would let in
 */
#ifndef CRID_HOSTPORTS_TABLE_H
#define CRID_HOSTPORTS_TABLE_H

#include <cbase/arena.h>
#include <cbase/json.h>

#define TABLE "crio-hostports"
#define COMMENT_LEN 16

struct element {
	struct element *next;
	const char *set;	/* "hostports", "hostipports", "hairpins" */
	const char *key, *value;	/* as in nft; value "" in a set */
	const char *comment;
	int proto, port;	/* of the host; 0 in hairpins */
	bool kept;		/* both there and wanted */
};

struct table {
	struct arena *arena;
	bool six;		/* of family ip6 */
	bool exists;
	struct element *there, *wanted;
	char **localnet;	/* interfaces in the set of that name */
};

void table_init(struct table *t, struct arena *arena, bool six);
void table_done(struct table *t);
/* What `nft -j -n list table` printed. -EINVAL, -ENOMEM. */
int table_read(struct table *t, const char *text, size_t n);

/*
 * One port, "ID ADDRESS PROTO HOST-ADDRESS HOST-PORT PORT", PROTO a number, HOST-ADDRESS "*" for any.
 * Of the other family: nothing. -EINVAL, -ENOMEM.
 */
int table_want(struct table *t, const char *line);
/* The comment of a pod's elements: base32 of the SHA-256 of its id, cut. */
void table_comment(const char *id, char out[COMMENT_LEN + 1]);

/*
 * Compares. Only elements with one of these comments may go, all if it is NULL. 0; -EEXIST: a wanted port
 * is another pod's, which *ret_taken tells [borrowed].
 */
int table_compare(struct table *t, char *const *comments, const struct element **ret_taken);
bool table_changes(const struct table *t);	/* by table_script() */
bool table_empty(const struct table *t);	/* after table_script(): then it deletes the table */
/* Interfaces are added to localnet. */
void table_script(const struct table *t, char *const *interfaces, struct str *out);

#endif
