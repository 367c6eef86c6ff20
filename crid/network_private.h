/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of network.c look at. */
#ifndef CRID_NETWORK_PRIVATE_H
#define CRID_NETWORK_PRIVATE_H

#include <stdint.h>
#include <cbase/str.h>
#include "network.h"

/*
 * A Kubernetes quantity ("10M", "1.5Gi", "1e3", "-2"), rounded up to a whole number, at most
 * INT64_MAX. 0; -EINVAL; -ERANGE more than 18 digits.
 */
int quantity_parse(const char *text, int64_t *ret);

/*
 * Appends the capability arguments of a pod as a JSON object. E_INVALID: malformed bandwidth
 * annotation.
 */
int network_capabilities(const struct network_pod *p, struct str *out, struct cb_error *err);

#endif
