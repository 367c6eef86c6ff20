/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the JSON tree share. */
#ifndef CBASE_JSON_INTERNAL_H
#define CBASE_JSON_INTERNAL_H

#include <cbase/json.h>

struct json_doc *json_doc_empty(void);	/* without a root */
struct json *json_node(struct json_doc *doc, enum json_type type);
char *json_strndup(struct json_doc *doc, const char *s, size_t n);

#endif
