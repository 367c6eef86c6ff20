/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pulls: one crid-worker process each. The same image with the same credentials is pulled once,
 * whoever asks; a pull nobody waits for any more is cancelled.
 */
#ifndef CRID_PULLS_H
#define CRID_PULLS_H

#include "daemon.h"

/* PullImage. Takes over the call and the message. */
void pull_image(struct daemon *d, struct crisvc_call *call, Runtime__V1__PullImageRequest *q);
/* For the daemon itself: done(user, 0, NULL) when the image is in the table, else what went wrong. */
void pull_internal(struct daemon *d, const char *image, const char *auth_file,
		   void (*done)(void *user, int r, const struct cb_error *err), void *user);

/* For an operation thread: what a name may mean by registries.conf. [owned] full references, best first. */
int pull_candidates(const struct daemon *d, const char *name, char ***ret, struct cb_error *err);

/* Those that run, for people. */
size_t pulls_count(const struct daemon *d);
/* Appends the elements of a JSON array: "pulls" of /crid/pulls in docs/inspect.md. */
void pulls_print(const struct daemon *d, struct str *out);

#endif
