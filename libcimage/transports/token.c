/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authorization (distribution's token authentication): the registry's challenge says Basic, or Bearer
 * with the address of a token service. A token is for one repository and what shall be done there, is asked for when it
 * is needed first, and again when it has run out.
 */
#include <cbase/io.h>
#include <cbase/json.h>
#include "client.h"

#define TOKEN_SECONDS_MIN 60
#define CLIENT_ID "libcimage"

/* The first challenge that can be met. */
static const struct challenge *choose(const struct client *cl)
{
	size_t i;

	for (i = 0; i < cl->challenge_count; i++) {
		const struct challenge *c = &cl->challenges[i];

		if ((c->scheme == CHALLENGE_BASIC && cl->basic) ||
		    (c->scheme == CHALLENGE_BEARER && c->realm))
			return c;
	}
	return NULL;
}

static void token_done(struct token *t)
{
	if (t->value)
		explicit_bzero(t->value, strlen(t->value));
	free(t->value);
	free(t->scope);
	*t = (struct token){ 0 };
}

static bool is_header_safe(const char *s)
{
	for (; *s; s++)
		if (*s <= 0x20 || *s >= 0x7f)
			return false;
	return true;
}

static int read_token(const struct str *body, struct token *t, const char *realm,
		      struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	const char *value;
	int64_t seconds;

	if (json_parse(body->data ? body->data : "", body->len, 0, &doc, NULL))
		return err_set(err, CIMAGE_E_INVALID, "token service %s: the answer is not JSON",
			       realm);
	value = json_get_string(json_root(doc), "token");
	if (!value || !*value)
		value = json_get_string(json_root(doc), "access_token");
	if (!value || !*value || strlen(value) > TOKEN_MAX || !is_header_safe(value))
		return err_set(err, CIMAGE_E_INVALID,
			       "token service %s: the answer has no usable token", realm);
	seconds = json_get_int(json_root(doc), "expires_in", TOKEN_SECONDS_MIN);
	if (seconds < TOKEN_SECONDS_MIN)
		seconds = TOKEN_SECONDS_MIN;
	if (seconds > 86400)
		seconds = 86400;
	t->value = strf("Bearer %s", value);
	t->expires = mono_ns() + seconds * 1000000000;
	return t->value ? 0 : err_oom(err);
}

static char *own_scope(const struct client *cl)
{
	if (cl->no_repository)
		return strdup("");
	return strf("repository:%s:%s", cimage_ref_path(cimage_endpoint_ref(cl->endpoint)),
		    cl->actions);
}

/* GET with the credentials, if any: the scopes go into the query. */
static int fill_get(struct client *cl, struct call *c, const struct challenge *ch,
		    const char *scope, const char *extra_scope)
{
	const char *user = cimage_endpoint_user(cl->endpoint);
	int r = 0;

	if (user)
		r = url_add_query(&c->first, "account", user);
	if (!r && ch->service)
		r = url_add_query(&c->first, "service", ch->service);
	if (!r && *scope)
		r = url_add_query(&c->first, "scope", scope);
	if (!r && extra_scope)
		r = url_add_query(&c->first, "scope", extra_scope);
	return r;
}

static int add_field(struct str *form, const char *name, const char *value)
{
	char *escaped = curl_easy_escape(NULL, value, 0);

	if (!escaped)
		return -ENOMEM;
	str_appendf(form, "%s%s=%s", form->len ? "&" : "", name, escaped);
	curl_free(escaped);
	return 0;
}

/* POST of a refresh token, as OAuth 2 has it. */
static int fill_post(struct client *cl, struct call *c, const struct challenge *ch,
		     const char *scope, const char *extra_scope)
{
	_cleanup_free_ char *scopes = extra_scope ? strf("%s %s", scope, extra_scope)
						  : strdup(scope);
	_cleanup_str_ struct str form = STR_INIT;

	if (!scopes || add_field(&form, "grant_type", "refresh_token") ||
	    add_field(&form, "refresh_token", cimage_endpoint_identity_token(cl->endpoint)) ||
	    (ch->service && add_field(&form, "service", ch->service)) ||
	    add_field(&form, "client_id", CLIENT_ID) || add_field(&form, "scope", scopes))
		return -ENOMEM;
	c->form = str_take(&form, NULL);
	return c->form ? 0 : -ENOMEM;
}

static int get_token(struct client *cl, const struct challenge *ch, const char *extra_scope,
		     struct token *ret, struct cimage_error *err)
{
	_cleanup_free_ char *scope = own_scope(cl);
	struct token t = { 0 };
	struct call c;
	int r;

	if (!scope)
		return err_oom(err);
	r = call_init(&c, &cl->base, ch->realm, err);
	if (r)
		return err_ctx(err, r, "token service");
	c.auth = AUTH_TOKEN_SERVICE;
	c.limit = TOKEN_BODY_MAX;
	r = cimage_endpoint_identity_token(cl->endpoint) ? fill_post(cl, &c, ch, scope, extra_scope)
							 : fill_get(cl, &c, ch, scope, extra_scope);
	r = r ? err_oom(err) : client_drive(cl, &c, 1, err);
	if (!r)
		r = read_token(&c.x.body, &t, c.first.shown, err);
	if (!r && extra_scope && !(t.scope = strdup(extra_scope))) {
		token_done(&t);
		r = err_oom(err);
	}
	if (!r) {
		token_done(ret);
		*ret = t;
	}
	if (c.x.body.data)
		explicit_bzero(c.x.body.data, c.x.body.len);
	call_done(cl, &c);
	return r;
}

static struct token *find_token(struct client *cl, const char *extra_scope)
{
	return &cl->tokens[extra_scope ? 1 : 0];
}

int client_authorization(struct client *cl, const char *extra_scope, const char **ret,
			 struct cimage_error *err)
{
	const struct challenge *ch = choose(cl);
	struct token *t = find_token(cl, extra_scope);
	int r;

	*ret = NULL;
	if (!ch)
		return 0;
	if (ch->scheme == CHALLENGE_BASIC) {
		*ret = cl->basic;
		return 0;
	}
	if (!t->value || mono_ns() >= t->expires ||
	    (extra_scope && !streq(extra_scope, t->scope))) {
		r = get_token(cl, ch, extra_scope, t, err);
		if (r)
			return r;
	}
	*ret = t->value;
	return 0;
}

void client_forget_token(struct client *cl, const char *extra_scope)
{
	token_done(find_token(cl, extra_scope));
}
