/* SPDX-License-Identifier: Apache-2.0 */
/* Where the daemon's helper programs are. */
#ifndef CRID_PROGRAM_H
#define CRID_PROGRAM_H

#include <cbase/err.h>

/*
 * The configured path if it is not empty; else NAME beside the running crid, or in SUBDIR beside it (the
 * build tree); else NAME in $PATH. [owned] absolute path; E_NOT_FOUND.
 */
int program_find(const char *configured, const char *name, const char *subdir, char **ret, struct cb_error *err);

#endif
