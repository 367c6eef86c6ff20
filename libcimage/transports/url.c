/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's own parser is used, so that what is checked here is where libcurl then connects to. */
#include <curl/curl.h>
#include <strings.h>
#include "url.h"

void url_done(struct url *u)
{
	free(u->text);
	free(u->scheme);
	free(u->host);
	free(u->port);
	free(u->shown);
	*u = (struct url){ 0 };
}

/* NULL also when the part is not there. */
static char *part(CURLU *h, CURLUPart what, unsigned int flags)
{
	char *s = NULL, *copy;

	if (curl_url_get(h, what, &s, flags))
		return NULL;
	copy = strdup(s);
	curl_free(s);
	return copy;
}

static int read_parts(CURLU *h, struct url *u)
{
	curl_url_set(h, CURLUPART_FRAGMENT, NULL, 0);
	u->text = part(h, CURLUPART_URL, 0);
	u->scheme = part(h, CURLUPART_SCHEME, 0);
	u->host = part(h, CURLUPART_HOST, 0);
	u->port = part(h, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	curl_url_set(h, CURLUPART_QUERY, NULL, 0);
	u->shown = part(h, CURLUPART_URL, 0);
	return u->text && u->scheme && u->host && u->port && u->shown ? 0 : -ENOMEM;
}

static const char *problem_of(CURLU *h, const struct url *base, const char *text)
{
	_cleanup_free_ char *scheme = NULL, *user = NULL, *password = NULL;

	if (strlen(text) > URL_MAX)
		return "too long";
	if ((base && curl_url_set(h, CURLUPART_URL, base->text, 0)) ||
	    curl_url_set(h, CURLUPART_URL, text, 0))
		return "malformed";
	scheme = part(h, CURLUPART_SCHEME, 0);
	if (!scheme || (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0))
		return "neither http nor https";
	user = part(h, CURLUPART_USER, 0);
	password = part(h, CURLUPART_PASSWORD, 0);
	return user || password ? "it has a user name in it" : NULL;
}

int url_parse(const struct url *base, const char *text, struct url *ret, struct cimage_error *err)
{
	CURLU *h = curl_url();
	struct url u = { 0 };
	const char *problem;
	int r;

	if (!h)
		return err_oom(err);
	problem = problem_of(h, base, text);
	if (problem)
		r = err_set(err, CIMAGE_E_INVALID, "URL \"%s\": %s", SHOW(text), problem);
	else
		r = read_parts(h, &u) ? err_oom(err) : 0;
	curl_url_cleanup(h);
	if (r)
		url_done(&u);
	else
		*ret = u;
	return r;
}

int url_add_query(struct url *u, const char *name, const char *value)
{
	_cleanup_free_ char *pair = strf("%s=%s", name, value);
	CURLU *h = curl_url();
	char *text = NULL;

	if (h && pair && !curl_url_set(h, CURLUPART_URL, u->text, 0) &&
	    !curl_url_set(h, CURLUPART_QUERY, pair, CURLU_APPENDQUERY | CURLU_URLENCODE))
		text = part(h, CURLUPART_URL, 0);
	curl_url_cleanup(h);
	if (!text)
		return -ENOMEM;
	free(u->text);
	u->text = text;
	return 0;
}

bool url_same_origin(const struct url *a, const struct url *b)
{
	return !strcasecmp(a->scheme, b->scheme) && !strcasecmp(a->host, b->host) &&
	       streq(a->port, b->port);
}

bool url_is_https(const struct url *u)
{
	return !strcasecmp(u->scheme, "https");
}
