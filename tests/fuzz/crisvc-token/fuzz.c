/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP request with its URL: nothing comes before it. See ../crisvc-spdy/fuzz.c. */
#define FUZZ_REQUEST "%.0s%.0s"
#include "../crisvc-spdy/fuzz.c"
