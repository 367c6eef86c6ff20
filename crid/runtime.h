/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OCI runtime's commands other than create and exec (those go through conmon). All run on
 * operation threads with a deadline and CRI-O's argument order and environment.
 */
#ifndef CRID_RUNTIME_H
#define CRID_RUNTIME_H

#include "config.h"
#include <cbase/str.h>

/*
 * The environment of the runtime and of conmon, [owned]: monitor_env, CRI_O_EXTERNAL=1, then
 * XDG_RUNTIME_DIR and PATH of the daemon when it has them. Each variable once; the last one
 * wins.
 */
int runtime_env(const struct runtime_handler *h, char ***ret);
/*
 * What a runtime printed on stderr, made fit for a message: log decoration of runc (time="..."
 * level=error msg="...") and crun (a time stamp) taken off, its warnings left out when there are
 * errors, lines joined by "; ", valid UTF-8.
 */
void runtime_message(struct str *out, const char *text, size_t n);

/*
 * E_FAILED with what the runtime printed; E_NOT_FOUND when it says there is no such container or
 * process.
 */
int runtime_start(const struct config *c, const struct runtime_handler *h, const char *id,
		  struct cb_error *err);
int runtime_kill(const struct config *c, const struct runtime_handler *h, const char *id, int sig,
		 bool all, struct cb_error *err);
/* delete --force; a container the runtime does not know is success. */
int runtime_delete(const struct config *c, const struct runtime_handler *h, const char *id,
		   struct cb_error *err);
/* Text of `state`: [owned] JSON. */
int runtime_state(const struct config *c, const struct runtime_handler *h, const char *id,
		  char **ret, size_t *ret_len, struct cb_error *err);
/*
 * An ociVersion that this runtime surely takes, asked once at start: what its `features`
 * declares as ociVersionMax without the pre-release part ("1.0.2-dev" of runc 1.1 gives
 * "1.0.2"), or "1.0.2" where it has no such command (crun 1.8.1 takes 1.0 and 1.1 and refuses
 * 1.3; runc takes anything). [owned]. Also checks that the program runs at all.
 */
int runtime_probe(const struct config *c, const struct runtime_handler *h, char **ret_oci_version,
		  struct cb_error *err);

#endif
