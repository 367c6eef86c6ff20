/* SPDX-License-Identifier: Apache-2.0 */
/* What the runtimes behind the handlers can do: the last members of struct runtime_handler. */
#ifndef CRID_HANDLERS_H
#define CRID_HANDLERS_H

#include "config.h"

struct ocispec;

/* Blocks. A runtime that does not answer is an error if it is the default one, else a warning. */
int handlers_probe(struct config *c, struct cb_error *err);
/*
 * idmap_mounts and recursive_ro of a program that says this to --version (NULL: nothing) and has these
 * features (NULL: it has no such command).
 */
void handler_set_mounts(struct runtime_handler *h, const char *version, const struct ocispec *features);

#endif
