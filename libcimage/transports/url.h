/* SPDX-License-Identifier: Apache-2.0 */
/* http and https URLs taken apart, for deciding who may see what. */
#ifndef CIMAGE_URL_H
#define CIMAGE_URL_H

#include "common.h"

#define URL_MAX 8192

struct url {
	char *text;		/* the whole, without fragment */
	char *scheme, *host, *port;
	char *shown;		/* without query, for messages */
};

void url_done(struct url *u);
/*
 * text may be relative to base (NULL: it is not). CIMAGE_E_INVALID: malformed, longer than URL_MAX,
 * neither http nor https, or with a user name in it.
 */
int url_parse(const struct url *base, const char *text, struct url *ret, struct cimage_error *err);
int url_add_query(struct url *u, const char *name, const char *value);	/* encodes; 0 or -ENOMEM */
bool url_same_origin(const struct url *a, const struct url *b);		/* scheme, host, port */
bool url_is_https(const struct url *u);

#endif
