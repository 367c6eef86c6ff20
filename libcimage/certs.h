/* SPDX-License-Identifier: Apache-2.0 */
/* containers-certs.d(5): certificate authorities and client certificates of one registry. */
#ifndef CIMAGE_CERTS_H
#define CIMAGE_CERTS_H

#include "common.h"

struct certs {
	char *ca;	/* PEM of all *.crt, or NULL */
	char *cert;	/* PEM of the client certificate, with its key; both or none */
	char *key;
};

void certs_done(struct certs *c);
/* Reads one directory; *ret_exists: is there one? If not, ret is untouched. */
int certs_load(const char *dir, struct certs *ret, bool *ret_exists, struct cimage_error *err);
/* The machine's trusted authorities as PEM; NULL when there are none. */
int certs_load_system(char **ret, struct cimage_error *err);

#endif
