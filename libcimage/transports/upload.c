/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Putting things into a registry (distribution-spec, "Push").
 *
 * A blob that fits into one chunk goes as a whole, with its digest, in one PUT. A larger one goes chunk
 * by chunk with PATCH: a chunk is kept until the registry has confirmed it, so that after a break the
 * upload is asked how far it came, and goes on there. Where it is continued (Location) changes with each answer, and
 * may be another host: that one gets no credentials.
 */
#include <cbase/digest.h>
#include <cbase/io.h>
#include <poll.h>
#include "client.h"

struct upload {
	struct client *cl;
	const struct cimage_put *b;
	char *location;
	uint64_t offset;	/* of the chunk, which the registry has all before of */
	char *chunk;
	size_t len, size;
	bool ended;		/* the stream did */
};

static const char *name_of(const struct upload *u)
{
	return u->b->digest ? u->b->digest : u->b->media_type ? u->b->media_type : "blob";
}

int client_has_blob(struct client *cl, const char *digest, bool *ret, struct cimage_error *err)
{
	_cleanup_free_ char *what = strf("blobs/%s", digest);
	struct call c;
	int r;

	if (!what)
		return err_oom(err);
	r = call_init_in_repository(cl, &c, what, err);
	if (!r) {
		c.method = "HEAD";
		c.any_status = true;
		r = client_drive(cl, &c, 1, err);
	}
	/* a registry that does not know, or forbids to ask, does not have it */
	if (!r)
		*ret = c.x.res.status == 200;
	call_done(cl, &c);
	return r;
}

/* Where the next request of the upload goes. */
static int take_location(char **location, struct call *c, struct cimage_error *err)
{
	struct url next = { 0 };
	int r;

	if (!c->x.res.location)
		return err_set(err, CIMAGE_E_INVALID, "%s %s: the answer has no Location",
			       c->method, c->first.shown);
	r = url_parse(&c->first, c->x.res.location, &next, err);
	if (r)
		return r;
	free(*location);
	*location = strdup(next.text);
	url_done(&next);
	return *location ? 0 : err_oom(err);
}

static int begin(struct client *cl, const char *query, const char *scope, struct call *c,
		 struct cimage_error *err)
{
	_cleanup_free_ char *what = strf("blobs/uploads/%s", query);
	int r;

	*c = (struct call){ 0 };
	r = what ? call_init_in_repository(cl, c, what, err) : err_oom(err);
	if (r)
		return r;
	c->method = "POST";
	c->limit = ERROR_BODY_MAX;
	if (scope && !(c->extra_scope = strdup(scope)))
		return err_oom(err);
	return client_drive(cl, c, 1, err);
}

/* An upload that nothing came of. */
static void cancel(struct client *cl, const char *location)
{
	struct call c;

	if (!location || cimage_context_cancelled(cl->ctx))
		return;
	if (!call_init_in_repository(cl, &c, location, NULL)) {
		c.method = "DELETE";
		c.any_status = true;
		(void)client_drive(cl, &c, 1, NULL);
	}
	call_done(cl, &c);
}

int client_mount(struct client *cl, const char *digest, const char *from, bool *ret,
		 struct cimage_error *err)
{
	_cleanup_free_ char *query = strf("?mount=%s&from=%s", digest, from);
	_cleanup_free_ char *scope = strf("repository:%s:pull", from), *location = NULL;
	struct call c;
	int r;

	*ret = false;
	if (!query || !scope)
		return err_oom(err);
	r = begin(cl, query, scope, &c, err);
	if (r == CIMAGE_E_CANCELLED || r < 0) {
		call_done(cl, &c);
		return r;
	}
	*ret = !r && c.x.res.status == 201;
	if (!r && c.x.res.status == 202 && !take_location(&location, &c, NULL)) {
		call_done(cl, &c);
		cancel(cl, location); /* it began an upload instead */
		return 0;
	}
	call_done(cl, &c);
	return 0; /* whatever it is, the bytes can be sent */
}

/* ---- chunks ---- */

static int fill(struct upload *u, struct cimage_stream *s, struct cimage_error *err)
{
	size_t n = 1;
	int r = 0;

	while (!r && u->len < u->size && n) {
		r = s->read(s, u->chunk + u->len, u->size - u->len, &n, err);
		if (!r)
			u->len += n;
	}
	u->ended = !r && !n;
	return r;
}

static int send_part(struct upload *u, const char *method, const char *location, const char *p,
		     size_t n, bool ranged, struct call *c, struct cimage_error *err)
{
	int r = call_init_in_repository(u->cl, c, location, err);

	if (r)
		return r;
	c->method = method;
	c->once = true;
	c->body = p;
	c->body_len = n;
	c->limit = ERROR_BODY_MAX;
	c->content_type = "application/octet-stream";
	if (ranged)
		snprintf(c->content_range, sizeof(c->content_range), "%llu-%llu",
			 (unsigned long long)u->offset, (unsigned long long)(u->offset + n - 1));
	return client_drive(u->cl, c, 1, err);
}

/* How many bytes the registry has; false: it does not say. */
static bool ask_offset(struct upload *u, uint64_t *ret)
{
	unsigned long long last;
	struct call c;
	bool known = false;

	if (!call_init_in_repository(u->cl, &c, u->location, NULL)) {
		c.limit = ERROR_BODY_MAX;
		c.any_status = true;
		if (!client_drive(u->cl, &c, 1, NULL) && c.x.res.status == 204) {
			/* "0-0" is one byte, or none: docker-registry says so of a new upload */
			known = c.x.res.range && sscanf(c.x.res.range, "0-%llu", &last) == 1;
			*ret = known && last ? last + 1 : 0;
			if (known)
				(void)take_location(&u->location, &c, NULL);
		}
	}
	call_done(u->cl, &c);
	return known;
}

static void wait_seconds(struct upload *u, int seconds)
{
	int64_t end = mono_ns() + seconds * INT64_C(1000000000);

	while (mono_ns() < end && !cimage_context_cancelled(u->cl->ctx))
		poll(NULL, 0, 100);
}

static int start(struct upload *u, struct cimage_error *err)
{
	long long wanted;
	struct call c;
	char *grown;
	int r;

	r = begin(u->cl, "", NULL, &c, err);
	if (!r)
		r = take_location(&u->location, &c, err);
	if (!r && c.x.res.chunk_min && !str_to_i64(c.x.res.chunk_min, &wanted) &&
	    wanted > (long long)u->size) {
		if (wanted > UPLOAD_CHUNK_MAX)
			r = err_set(err, CIMAGE_E_LIMIT, "the registry wants chunks of %lld bytes",
				    wanted);
		else if (!(grown = realloc(u->chunk, (size_t)wanted)))
			r = err_oom(err);
		else
			u->chunk = grown, u->size = (size_t)wanted;
	}
	call_done(u->cl, &c);
	return r;
}

/*
 * Where to go on after a chunk that did not get through. docker-registry knows no more about an upload that broke in
 * the middle of a chunk; of the first chunk everything is still here, so another upload can begin.
 */
static int recover(struct upload *u, int r, size_t *ret_sent, struct cimage_error *err)
{
	uint64_t has;

	*ret_sent = 0;
	if (ask_offset(u, &has) && has >= u->offset && has <= u->offset + u->len) {
		*ret_sent = (size_t)(has - u->offset);
		return 0;
	}
	if (!u->offset)
		return start(u, err);
	return r == CIMAGE_E_NOT_FOUND ? err_set(err, CIMAGE_E_UNAVAILABLE,
						 "the connection broke, and the registry forgot the upload")
				       : r;
}

/* Sends the chunk, from where the registry has it after a break. */
static int send_chunk(struct upload *u, struct cimage_error *err)
{
	size_t sent = 0;
	int attempt, r;

	for (attempt = 1;; attempt++) {
		struct call c;

		u->offset += sent;
		memmove(u->chunk, u->chunk + sent, u->len - sent);
		u->len -= sent;
		if (!u->len)
			return 0;
		r = send_part(u, "PATCH", u->location, u->chunk, u->len, true, &c, err);
		if (!r)
			r = take_location(&u->location, &c, err);
		call_done(u->cl, &c);
		if (!r) {
			u->offset += u->len;
			u->len = 0;
			return 0;
		}
		/* 404 and 416: libcurl has sent it again by itself, or the registry has lost it */
		if ((r != CIMAGE_E_UNAVAILABLE && r != CIMAGE_E_NOT_FOUND) || attempt == UPLOAD_ATTEMPTS)
			return r;
		wait_seconds(u, 1 << (attempt - 1));
		if (cimage_context_cancelled(u->cl->ctx))
			return err_set(err, CIMAGE_E_CANCELLED, "cancelled");
		r = recover(u, r, &sent, err);
		if (r)
			return r;
	}
}

static int finish(struct upload *u, const char *p, size_t n, struct cimage_error *err)
{
	struct url url = { 0 };
	struct call c;
	int r;

	r = url_parse(NULL, u->location, &url, err);
	if (!r && url_add_query(&url, "digest", u->b->digest))
		r = err_oom(err);
	if (!r) {
		r = send_part(u, "PUT", url.text, p, n, false, &c, err);
		call_done(u->cl, &c);
	}
	url_done(&url);
	return r;
}

static int upload(struct upload *u, struct cimage_stream *s, struct cimage_error *err)
{
	int r;

	r = fill(u, s, err);
	if (!r)
		r = start(u, err);
	if (!r && !u->ended)
		r = fill(u, s, err); /* if the registry wanted larger ones */
	if (!r && u->ended)
		return finish(u, u->chunk, u->len, err);
	while (!r && u->len) {
		r = send_chunk(u, err);
		if (!r && !u->ended)
			r = fill(u, s, err);
	}
	return r ? r : finish(u, NULL, 0, err);
}

int client_put_blob(struct client *cl, const struct cimage_put *b, struct cimage_stream *s,
		    struct cimage_error *err)
{
	struct upload u = { .cl = cl, .b = b, .size = UPLOAD_CHUNK };
	int r;

	u.chunk = malloc(u.size);
	r = u.chunk ? upload(&u, s, err) : err_oom(err);
	if (r)
		cancel(cl, u.location);
	free(u.chunk);
	free(u.location);
	return r ? err_ctx(err, r, "upload %s", name_of(&u)) : 0;
}

int client_put_manifest(struct client *cl, const char *reference, const char *bytes, size_t n,
			const char *media_type, struct cimage_error *err)
{
	_cleanup_free_ char *what = strf("manifests/%s", reference);
	struct call c;
	int r;

	if (!what)
		return err_oom(err);
	r = call_init_in_repository(cl, &c, what, err);
	if (!r) {
		c.method = "PUT";
		c.body = bytes;
		c.body_len = n;
		c.content_type = media_type;
		c.limit = ERROR_BODY_MAX;
		r = client_drive(cl, &c, 1, err);
	}
	call_done(cl, &c);
	return r;
}
