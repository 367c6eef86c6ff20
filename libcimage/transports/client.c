/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry client: starts calls, moves them on, and knows the requests for what is there (/v2/,
 * manifests, blobs, tags); upload.c has those that change it. All calls of one client run in one loop, client_drive(). It is re-entered for
 * tokens: the inner loop moves every exchange, but treats only its own calls as ended, so the outer
 * ones just wait for their loop.
 *
 * The Authorization header goes to the registry's own origin (a token service's: to that one) and
 * nowhere else, wherever an answer leads. Whether TLS
 * may be unverified or missing is decided for each place on its own.
 */
#include <cbase/digest.h>
#include <cbase/io.h>
#include <cbase/json.h>
#include <strings.h>
#include "client.h"

/* How long a pause of the loop may be: a cancel must be seen. */
#define TICK_MS 200
#define TAGS_MAX 200000u
#define TAG_PAGES_MAX 1000

int call_init(struct call *c, const struct url *base, const char *text, struct cimage_error *err)
{
	*c = (struct call){ .limit = ERROR_BODY_MAX };
	return url_parse(base, text, &c->first, err);
}

void call_done(struct client *cl, struct call *c)
{
	exchange_done(cl->http, &c->x);
	url_done(&c->first);
	url_done(&c->now);
	if (c->form)
		explicit_bzero(c->form, strlen(c->form));
	free(c->form);
	free(c->extra_scope);
}

int client_tolerates(struct client *cl, const struct url *u, bool *ret, struct cimage_error *err)
{
	_cleanup_free_ char *with_port = strf("%s:%s", u->host, u->port);
	bool default_port = streq(u->port, url_is_https(u) ? "443" : "80");
	int insecure = 0, r;

	if (!with_port)
		return err_oom(err);
	/* a token service or blob store of the same machine belongs to the registry */
	if (cl->base.host && !strcasecmp(u->host, cl->base.host) &&
	    cimage_endpoint_is_insecure(cl->endpoint)) {
		*ret = true;
		return 0;
	}
	r = cimage_context_host_is_insecure(cl->ctx, with_port, &insecure, err);
	if (!r && !insecure && default_port)
		r = cimage_context_host_is_insecure(cl->ctx, u->host, &insecure, err);
	if (!r)
		*ret = insecure;
	return r;
}

/* A blob's bytes; wraps the request's data() to keep the position. */
static int on_data(void *user, const void *data, size_t n)
{
	struct call *c = user;
	const char *p = data;
	size_t drop;
	int r;

	if (!c->placed) {
		unsigned long long first = 0;

		if (c->x.res.status == 206 &&
		    (!c->delivered || !c->x.res.content_range ||
		     sscanf(c->x.res.content_range, "bytes %llu-", &first) != 1 ||
		     first != c->delivered))
			return CIMAGE_E_INVALID;
		c->discard = c->x.res.status == 206 ? 0 : c->delivered;
		c->placed = true;
	}
	drop = c->discard < n ? (size_t)c->discard : n;
	if (drop < n) {
		r = c->blob->data(c->blob->user, p + drop, n - drop);
		if (r)
			return r;
		c->delivered += n - drop;
	}
	c->discard -= drop;
	return 0;
}

static int start(struct client *cl, struct call *c, struct cimage_error *err)
{
	const struct url *u = c->now.text ? &c->now : &c->first;
	struct http_request req = {
		.url = u->text,
		.form = c->form,
		.method = c->method,
		.body = c->body,
		.body_len = c->body_len,
		.content_type = c->content_type,
		.content_range = c->content_range[0] ? c->content_range : NULL,
		.accept = c->accept,
		.offset = c->delivered,
		.limit = c->limit,
		.data = c->blob ? on_data : NULL,
		.user = c,
		.resume_fd = c->blob ? c->blob->resume_fd : -1,
	};
	bool tolerated = false;
	int r;

	r = client_tolerates(cl, u, &tolerated, err);
	if (r)
		return r;
	if (!url_is_https(u) && !tolerated && c->auth != AUTH_NONE)
		return err_set(
			err, CIMAGE_E_TLS,
			"GET %s: refused, it is not https, and registries.conf does not call "
			"%s insecure",
			u->shown, u->host);
	req.verify = !tolerated;
	req.client_cert = c->auth != AUTH_NONE && url_is_https(u) && url_same_origin(u, &cl->base);
	if (c->auth != AUTH_NONE &&
	    url_same_origin(u, c->auth == AUTH_TOKEN_SERVICE ? &c->first : &cl->base)) {
		if (c->auth == AUTH_TOKEN_SERVICE)
			req.authorization = c->form ? NULL : cl->basic;
		else
			r = client_authorization(cl, c->extra_scope, &req.authorization, err);
		if (r)
			return r;
	}
	c->placed = false;
	r = http_start(cl->http, &c->x, &req, err);
	if (!r)
		c->state = CALL_RUNNING;
	return r;
}

/* Starts what can be started; *ret_wait: ms until something else could be. */
static int start_ready(struct client *cl, struct call *calls, size_t n, int *ret_wait,
		       struct cimage_error *err)
{
	int64_t now = mono_ns(), wait;
	size_t i, running = 0;
	int r;

	*ret_wait = TICK_MS;
	for (i = 0; i < n; i++)
		running += calls[i].state == CALL_RUNNING;
	for (i = 0; i < n && running < PARALLEL_MAX; i++) {
		if (calls[i].state != CALL_READY)
			continue;
		if (calls[i].not_before > now) {
			wait = (calls[i].not_before - now) / 1000000 + 1;
			if (wait < *ret_wait)
				*ret_wait = (int)wait;
			continue;
		}
		r = start(cl, &calls[i], err);
		if (r)
			return r;
		running++;
	}
	return 0;
}

int client_drive(struct client *cl, struct call *calls, size_t n, struct cimage_error *err)
{
	size_t i, left;
	int wait, r;

	for (;;) {
		if (cimage_context_cancelled(cl->ctx))
			return err_set(err, CIMAGE_E_CANCELLED, "cancelled");
		if ((r = start_ready(cl, calls, n, &wait, err)) ||
		    (r = http_pump(cl->http, wait, err)))
			return r;
		for (i = left = 0; i < n; i++) {
			if (calls[i].state == CALL_RUNNING && calls[i].x.state == EXCHANGE_ENDED) {
				r = call_ended(cl, &calls[i], err);
				if (r)
					return r;
			}
			left += calls[i].state != CALL_DONE;
		}
		if (!left)
			return 0;
	}
}

/* ---- the endpoint ---- */

static int set_basic(struct client *cl)
{
	const char *user = cimage_endpoint_user(cl->endpoint),
		   *password = cimage_endpoint_password(cl->endpoint);
	_cleanup_free_ char *plain = NULL;
	struct str s = STR_INIT;

	if (!user)
		return 0;
	plain = strf("%s:%s", user, password);
	if (!plain)
		return -ENOMEM;
	str_append(&s, "Basic ");
	str_append_base64(&s, plain, strlen(plain));
	explicit_bzero(plain, strlen(plain));
	cl->basic = str_take(&s, NULL);
	return cl->basic ? 0 : -ENOMEM;
}

static int set_base(struct client *cl, const char *scheme, struct cimage_error *err)
{
	const char *host = cimage_ref_domain(cimage_endpoint_ref(cl->endpoint));
	_cleanup_free_ char *text = NULL;

	if (streq(host, "docker.io"))
		host = "registry-1.docker.io";
	text = strf("%s://%s/v2/", scheme, host);
	url_done(&cl->base);
	return text ? url_parse(NULL, text, &cl->base, err) : err_oom(err);
}

static int ping(struct client *cl, const char *scheme, struct cimage_error *err)
{
	struct call c;
	int r;

	r = set_base(cl, scheme, err);
	if (!r)
		r = call_init(&c, NULL, cl->base.text, err);
	if (r)
		return r;
	c.any_401 = true;
	r = client_drive(cl, &c, 1, err);
	if (!r && challenges_parse(c.x.res.challenges, &cl->challenges, &cl->challenge_count))
		r = err_oom(err);
	if (!r)
		cl->has_extension = c.x.res.extension && streq(c.x.res.extension, "1");
	call_done(cl, &c);
	return r;
}

static int start_http(struct client *cl, struct cimage_error *err)
{
	const struct http_tls tls = {
		.ca = cimage_endpoint_ca(cl->endpoint),
		.cert = cimage_endpoint_client_cert(cl->endpoint),
		.key = cimage_endpoint_client_key(cl->endpoint),
	};
	struct http_tls all = tls;
	int r;

	r = cimage_context_ca_bundle(cl->ctx, &all.bundle, err);
	if (!r)
		r = http_new(cl->ctx, &all, &cl->http, err);
	return !r && set_basic(cl) ? err_oom(err) : r;
}

static int connect_endpoint(struct client *cl, struct cimage_error *err)
{
	struct cimage_error plain_err = { 0 };
	int r, plain;

	r = start_http(cl, err);
	if (!r)
		r = ping(cl, "https", err);
	if (!r || r == CIMAGE_E_CANCELLED || !cimage_endpoint_is_insecure(cl->endpoint))
		return r;
	plain = ping(cl, "http", &plain_err);
	if (!plain)
		return 0;
	if (err)
		*err = plain_err;
	return plain;
}

int client_new(struct cimage_context *c, const struct cimage_endpoint *e, const char *actions,
	       struct client **ret, struct cimage_error *err)
{
	struct client *cl = calloc(1, sizeof(*cl));
	int r;

	if (!cl)
		return err_oom(err);
	cl->ctx = c;
	cl->endpoint = e;
	cl->actions = actions;
	r = connect_endpoint(cl, err);
	if (r)
		client_free(cl);
	else
		*ret = cl;
	return r;
}

static char *copy_text(const char *s, bool *failed)
{
	char *copy = s ? strdup(s) : NULL;

	*failed |= s && !copy;
	return copy;
}

static int copy_challenges(struct client *to, const struct client *from)
{
	bool failed = false;
	size_t i;

	to->challenges = calloc(from->challenge_count + 1, sizeof(*to->challenges));
	if (!to->challenges)
		return -ENOMEM;
	to->challenge_count = from->challenge_count;
	for (i = 0; i < from->challenge_count; i++) {
		const struct challenge *c = &from->challenges[i];

		to->challenges[i] = (struct challenge){ c->scheme, copy_text(c->realm, &failed),
							copy_text(c->service, &failed),
							copy_text(c->scope, &failed),
							copy_text(c->error, &failed) };
	}
	return failed ? -ENOMEM : 0;
}

int client_clone(const struct client *cl, struct client **ret, struct cimage_error *err)
{
	struct client *n = calloc(1, sizeof(*n));
	bool failed = false;
	int r;

	if (!n)
		return err_oom(err);
	n->ctx = cl->ctx;
	n->endpoint = cl->endpoint;
	n->actions = cl->actions;
	n->has_extension = cl->has_extension;
	n->tokens[0] = (struct token){ NULL, copy_text(cl->tokens[0].value, &failed),
				       cl->tokens[0].expires };
	r = failed || copy_challenges(n, cl) ? err_oom(err) : start_http(n, err);
	if (!r)
		r = url_parse(NULL, cl->base.text, &n->base, err);
	if (r)
		client_free(n);
	else
		*ret = n;
	return r;
}

int client_login(struct cimage_context *c, const struct cimage_endpoint *e,
		 struct cimage_error *err)
{
	_cleanup_free_ char *body = NULL;
	struct client *cl = NULL;
	size_t n;
	int r = client_new(c, e, ACTIONS_PULL, &cl, err);

	if (r)
		return r;
	cl->no_repository = true;
	r = client_get(cl, AUTH_REGISTRY, cl->base.text, ERROR_BODY_MAX, &body, &n, err);
	client_free(cl);
	return r;
}

struct client *client_free(struct client *cl)
{
	size_t i;

	if (!cl)
		return NULL;
	http_free(cl->http);
	url_done(&cl->base);
	challenges_free(cl->challenges, cl->challenge_count);
	if (cl->basic)
		explicit_bzero(cl->basic, strlen(cl->basic));
	free(cl->basic);
	for (i = 0; i < ARRAY_SIZE(cl->tokens); i++) {
		free(cl->tokens[i].scope);
		free(cl->tokens[i].value);
	}
	free(cl);
	return NULL;
}

/* ---- the two kinds of things a repository has ---- */

int call_init_in_repository(struct client *cl, struct call *c, const char *what,
			    struct cimage_error *err)
{
	_cleanup_free_ char *text = NULL;

	*c = (struct call){ 0 };
	if (*what == '/' || str_starts(what, "http:") || str_starts(what, "https:"))
		return call_init(c, &cl->base, what, err);
	text = strf("%s%s/%s", cl->base.text, cimage_ref_path(cimage_endpoint_ref(cl->endpoint)), what);
	return text ? call_init(c, NULL, text, err) : err_oom(err);
}

static int init_named(struct client *cl, struct call *c, const char *kind, const char *name,
		      struct cimage_error *err)
{
	_cleanup_free_ char *what = strf("%s/%s", kind, name);

	*c = (struct call){ 0 };
	return what ? call_init_in_repository(cl, c, what, err) : err_oom(err);
}

int client_manifest(struct client *cl, const char *reference, char **ret, size_t *ret_len,
		    char **ret_type, struct cimage_error *err)
{
	static const char *const accept[] = {
		"application/vnd.oci.image.manifest.v1+json",
		"application/vnd.docker.distribution.manifest.v2+json",
		"application/vnd.docker.distribution.manifest.v1+prettyjws", /* to say that it is too old */
		"application/vnd.docker.distribution.manifest.v1+json",
		"application/vnd.docker.distribution.manifest.list.v2+json",
		"application/vnd.oci.image.index.v1+json",
		NULL,
	};
	struct call c;
	int r;

	r = init_named(cl, &c, "manifests", reference, err);
	if (!r) {
		c.accept = accept;
		c.limit = CIMAGE_MANIFEST_MAX;
		r = client_drive(cl, &c, 1, err);
	}
	if (!r) {
		*ret_type = take(c.x.res.content_type);
		*ret = str_take(&c.x.body, ret_len);
		if (!*ret)
			r = err_oom(err);
	}
	call_done(cl, &c);
	return r;
}

int client_get(struct client *cl, enum call_auth auth, const char *url, size_t limit, char **ret,
	       size_t *ret_len, struct cimage_error *err)
{
	struct call c;
	int r = call_init(&c, NULL, url, err);

	if (r)
		return r;
	c.auth = auth;
	c.limit = limit;
	r = client_drive(cl, &c, 1, err);
	if (!r) {
		*ret = str_take(&c.x.body, ret_len);
		if (!*ret)
			r = err_oom(err);
	}
	call_done(cl, &c);
	return r;
}

int client_blobs(struct client *cl, struct cimage_blob_request *requests, size_t n,
		 struct cimage_error *err)
{
	struct call *calls = calloc(n + 1, sizeof(*calls));
	size_t i;
	int r = 0;

	if (!calls)
		return err_oom(err);
	for (i = 0; i < n && !r; i++) {
		r = init_named(cl, &calls[i], "blobs", requests[i].digest, err);
		calls[i].blob = &requests[i];
	}
	if (!r && n)
		r = client_drive(cl, calls, n, err);
	for (i = 0; i < n; i++)
		call_done(cl, &calls[i]);
	free(calls);
	return r;
}

/* ---- tags ---- */

static int add_tags(const struct str *body, char ***tags, struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	const struct json *list;

	if (json_parse(body->data ? body->data : "", body->len, 0, &doc, NULL))
		return err_set(err, CIMAGE_E_INVALID, "the list of tags is not JSON");
	list = json_get(json_root(doc), "tags");
	json_foreach(item, list) {
		if (strv_len(*tags) >= TAGS_MAX)
			return err_set(err, CIMAGE_E_LIMIT, "more than %u tags", TAGS_MAX);
		if (json_string(item) && strv_push(tags, json_string(item)))
			return err_oom(err);
	}
	return 0;
}

/* The target of 'Link: </v2/x/tags/list?n=2&last=b>; rel="next"'; NULL: there is no more. */
static char *next_page(const char *link)
{
	const char *end = link && *link == '<' ? strchr(link, '>') : NULL;

	return end ? strndup(link + 1, (size_t)(end - link) - 1) : NULL;
}

int client_tags(struct client *cl, char ***ret, struct cimage_error *err)
{
	_cleanup_strv_ char **tags = calloc(1, sizeof(*tags));
	_cleanup_free_ char *page = strdup("tags/list");
	int r = tags && page ? 0 : err_oom(err), pages = 0;

	while (!r && page) {
		struct call c;

		r = call_init_in_repository(cl, &c, page, err);
		if (!r && !url_same_origin(&c.first, &cl->base))
			r = err_set(err, CIMAGE_E_INVALID, "the list of tags goes on elsewhere");
		free(take(page));
		if (!r) {
			c.limit = CIMAGE_MANIFEST_MAX;
			r = client_drive(cl, &c, 1, err);
		}
		if (!r)
			r = add_tags(&c.x.body, &tags, err);
		if (!r && ++pages < TAG_PAGES_MAX)
			page = next_page(c.x.res.link);
		call_done(cl, &c);
	}
	if (!r)
		*ret = take(tags);
	return r;
}

/* By tag too: what it names is asked for, since only digests can be deleted. */
int client_delete_manifest(struct client *cl, const char *reference, struct cimage_error *err)
{
	_cleanup_free_ char *bytes = NULL, *type = NULL, *digest = NULL;
	struct call c;
	size_t n;
	int r = 0;

	if (!strchr(reference, ':')) {
		char computed[DIGEST_STR_MAX];

		r = client_manifest(cl, reference, &bytes, &n, &type, err);
		if (r)
			return r;
		digest_sha256(bytes, n, computed);
		digest = strdup(computed);
		if (!digest)
			return err_oom(err);
	}
	r = init_named(cl, &c, "manifests", digest ? digest : reference, err);
	if (!r) {
		c.method = "DELETE";
		r = client_drive(cl, &c, 1, err);
	}
	if (r && c.x.res.status == 405 && err)
		r = err_set(err, CIMAGE_E_UNSUPPORTED, "this registry does not allow images to be deleted");
	call_done(cl, &c);
	return r;
}
