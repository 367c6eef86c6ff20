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
/* update --resources -; resources is the OCI object, JSON. */
int runtime_update(const struct config *c, const struct runtime_handler *h, const char *id, const char *resources,
		   struct cb_error *err);
/* delete --force; a container the runtime does not know is success. */
int runtime_delete(const struct config *c, const struct runtime_handler *h, const char *id,
		   struct cb_error *err);
/* Text of `state`: [owned] JSON. */
int runtime_state(const struct config *c, const struct runtime_handler *h, const char *id,
		  char **ret, size_t *ret_len, struct cb_error *err);
/*
 * What the runtime prints for --version and for `features`, both [owned]; the latter NULL where it has
 * no such command (crun before 1.8.6). Asked once at start, which also shows that the program runs.
 */
int runtime_probe(const struct config *c, const struct runtime_handler *h, char **ret_version,
		  char **ret_features, struct cb_error *err);

#endif
