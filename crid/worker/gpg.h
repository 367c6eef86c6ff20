/* SPDX-License-Identifier: Apache-2.0 */
/* OpenPGP signatures are checked in a process of their own, which starts gpg. */
#ifndef WORKER_GPG_H
#define WORKER_GPG_H

#include <cimage.h>
#include <cbase/err.h>

/*
 * Forks it, for a process that will soon be unable to. It ends when *ret_fd is closed, and with the
 * process that called this. c: what has been prepared; only its module is used.
 */
int gpg_start(struct cimage_context *c, int *ret_fd, struct cb_error *err);
/* For cimage_context_set_gpg_verify(); user points to the descriptor. */
cimage_gpg_verify_fn gpg_ask;

#endif
