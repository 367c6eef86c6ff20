/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing byte string, and NULL-terminated vectors of strings.
 *
 * Appending never fails loudly: the first failed allocation is remembered in the string and
 * everything after it does nothing; str_take() (or str_failed()) tells at the end. The content is
 * always followed by a NUL that does not count.
 */
#ifndef CBASE_STR_H
#define CBASE_STR_H

#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include "cleanup.h"

struct str {
	char *data;		/* NULL while nothing was appended */
	size_t len, size;
	bool failed;
};

#define STR_INIT { NULL, 0, 0, false }

void str_done(struct str *s);
void str_reset(struct str *s);			/* keeps the memory */
void str_append_mem(struct str *s, const void *p, size_t n);
void str_append(struct str *s, const char *text);
void str_append_char(struct str *s, char c);
void str_appendf(struct str *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
void str_vappendf(struct str *s, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
char *str_reserve(struct str *s, size_t n);	/* room for n more bytes at the end; NULL when out of memory */
static inline bool str_failed(const struct str *s) { return s->failed; }
/* The bytes as an own NUL-terminated string (free()), or NULL when an append failed; empty gives "". */
char *str_take(struct str *s, size_t *ret_len);

#define _cleanup_str_ _cleanup_(str_done)

static inline bool streq(const char *a, const char *b) { return strcmp(a, b) == 0; }
static inline bool str_starts(const char *s, const char *prefix) { return strncmp(s, prefix, strlen(prefix)) == 0; }
bool str_ends(const char *s, const char *suffix);
bool str_is_hex(const char *s, size_t n);	/* exactly n lower-case hex digits and the NUL */
char *strf(const char *fmt, ...) PRINTF_LIKE(1, 2);	/* NULL when out of memory */

/* base 10, the whole string, no sign but '-', no spaces; 0, or -EINVAL/-ERANGE */
int str_to_i64(const char *s, long long *ret);

/* Valid UTF-8 without NUL (shortest forms, no surrogates, up to U+10FFFF). */
bool utf8_valid(const char *s, size_t n);
/* As much of s as fits, cut between characters, NUL added. */
void utf8_copy(char *buf, size_t size, const char *s);
/* Appends s with every invalid byte and every NUL replaced by U+FFFD. */
void str_append_utf8(struct str *s, const char *p, size_t n);

/* Standard base64 with padding. base64_decode: 0, -EINVAL, -ENOMEM; ret is [owned], NUL added. */
void str_append_base64(struct str *s, const void *p, size_t n);
int base64_decode(const char *s, size_t n, char **ret, size_t *ret_len);
void hex_encode(const unsigned char *p, size_t n, char *out);	/* writes 2n digits and a NUL */
int random_hex(size_t bytes, char *out);	/* 2*bytes digits and a NUL from getrandom(); 0 or -errno */

/* Vectors of owned strings ended by NULL; a NULL vector is empty. */
char **strv_free(char **v);			/* returns NULL */
size_t strv_len(char *const *v);
int strv_push(char ***v, const char *s);	/* copies; 0 or -ENOMEM */
int strv_take(char ***v, char *s);		/* owns s also on failure; s == NULL gives -ENOMEM */
int strv_pushf(char ***v, const char *fmt, ...) PRINTF_LIKE(2, 3);
char **strv_copy(char *const *v);
bool strv_has(char *const *v, const char *s);
int strv_split(const char *s, char sep, char ***ret);	/* empty parts left out */
char *strv_join(char *const *v, const char *sep);
CB_DEFINE_CLEANUP(char **, strv_free)
#define _cleanup_strv_ _cleanup_(strv_freep)

#endif
