/* SPDX-License-Identifier: Apache-2.0 */
/*
 * challenge := scheme [ SP param *( "," param ) ], several of them separated by "," too. A word
 * that is followed by "=" is a parameter of the challenge before it, any other begins a challenge.
 */
#include <strings.h>
#include "challenge.h"

struct scanner {
	const char *p;
};

static bool is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static void skip(struct scanner *s, const char *set)
{
	s->p += strspn(s->p, set);
}

/* The length of the word here; 0: none. */
static size_t word(const struct scanner *s)
{
	size_t n = 0;

	while (is_token_char(s->p[n]))
		n++;
	return n;
}

/* Quoted or plain, [owned]; *ret NULL when malformed. */
static int read_value(struct scanner *s, char **ret)
{
	_cleanup_str_ struct str v = STR_INIT;

	*ret = NULL;
	if (*s->p != '"') {
		size_t n = strcspn(s->p, ", \t");

		str_append_mem(&v, s->p, n);
		s->p += n;
	} else {
		for (s->p++; *s->p && *s->p != '"'; s->p++) {
			if (*s->p == '\\' && s->p[1])
				s->p++;
			str_append_char(&v, *s->p);
		}
		if (!*s->p)
			return 0;
		s->p++;
	}
	*ret = str_take(&v, NULL);
	return *ret ? 0 : -ENOMEM;
}

static void set_param(struct challenge *c, const char *name, size_t n, char *value)
{
	const struct {
		const char *name;
		char **where;
	} known[] = {
		{ "realm", &c->realm },
		{ "service", &c->service },
		{ "scope", &c->scope },
		{ "error", &c->error },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (strlen(known[i].name) != n || strncasecmp(known[i].name, name, n) != 0 ||
		    *known[i].where)
			continue;
		*known[i].where = value;
		return;
	}
	free(value);
}

static enum challenge_scheme scheme_of(const char *s, size_t n)
{
	if (n == 5 && !strncasecmp(s, "Basic", 5))
		return CHALLENGE_BASIC;
	return n == 6 && !strncasecmp(s, "Bearer", 6) ? CHALLENGE_BEARER : CHALLENGE_OTHER;
}

static int parse_header(const char *header, struct challenge *out, size_t *count)
{
	struct scanner s = { header };
	struct challenge *now = NULL;
	const char *name;
	char *value;
	size_t n;
	int r;

	for (;;) {
		skip(&s, ", \t");
		name = s.p;
		n = word(&s);
		if (!n)
			return 0;
		s.p += n;
		skip(&s, " \t");
		if (*s.p != '=') {
			if (*count == CHALLENGES_MAX)
				return 0;
			now = &out[(*count)++];
			now->scheme = scheme_of(name, n);
			continue;
		}
		s.p++;
		skip(&s, " \t");
		r = read_value(&s, &value);
		if (r)
			return r;
		if (!value)
			return 0;
		if (now)
			set_param(now, name, n, value);
		else
			free(value);
	}
}

int challenges_parse(char *const *headers, struct challenge **ret, size_t *ret_count)
{
	struct challenge *out = calloc(CHALLENGES_MAX, sizeof(*out));
	size_t count = 0;

	if (!out)
		return -ENOMEM;
	for (; headers && *headers; headers++) {
		if (!parse_header(*headers, out, &count))
			continue;
		challenges_free(out, count);
		return -ENOMEM;
	}
	*ret = out;
	*ret_count = count;
	return 0;
}

struct challenge *challenges_free(struct challenge *c, size_t count)
{
	size_t i;

	for (i = 0; c && i < count; i++) {
		free(c[i].realm);
		free(c[i].service);
		free(c[i].scope);
		free(c[i].error);
	}
	free(c);
	return NULL;
}
