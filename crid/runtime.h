/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OCI runtime's commands other than create and exec (those go through conmon). All run on
 * operation threads with a deadline and CRI-O's argument order and environment.
 */
#ifndef CRID_RUNTIME_H
#define CRID_RUNTIME_H

#include "config.h"

/* E_FAILED with what the runtime printed; E_NOT_FOUND when it says there is no such container or process. */
int runtime_start(const struct config *c, const struct runtime_handler *h, const char *id, struct cb_error *err);
int runtime_kill(const struct config *c, const struct runtime_handler *h, const char *id, int sig, bool all,
		 struct cb_error *err);
/* delete --force; a container the runtime does not know is success. */
int runtime_delete(const struct config *c, const struct runtime_handler *h, const char *id, struct cb_error *err);
/* Text of `state`: [owned] JSON. */
int runtime_state(const struct config *c, const struct runtime_handler *h, const char *id, char **ret,
		  size_t *ret_len, struct cb_error *err);
/*
 * The newest ociVersion that this runtime accepts, asked once at start: from `features` (ociVersionMax)
 * where it has that command, else "1.0.2". [owned]. Also checks that the program runs at all.
 */
int runtime_probe(const struct config *c, const struct runtime_handler *h, char **ret_oci_version, struct cb_error *err);

#endif
