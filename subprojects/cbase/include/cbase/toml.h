/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TOML 1.0 into the same tree that json.h reads: tables become objects, dates and times strings.
 * Hand-written because Debian has no TOML library for C.
 */
#ifndef CBASE_TOML_H
#define CBASE_TOML_H

#include "json.h"

/* 0, -EINVAL (err has "line N: reason") or -ENOMEM. */
int toml_parse(const char *p, size_t n, struct json_doc **ret, struct cb_error *err);

#endif
