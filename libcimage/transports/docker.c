/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker.so: images in registries. The endpoints of a reference are tried in order until one gives
 * the manifest; all that follows comes from that one. A mirror with another content than the digest
 * that was asked for counts as one that does not have the image.
 */
#include <cbase/digest.h>
#include <cbase/io.h>
#include <dlfcn.h>
#include "client.h"
#include "docker.h"

struct cimage_source {
	struct cimage_context *ctx;
	struct cimage_endpoint **endpoints;
	struct client *client; /* of the endpoint that is used; NULL: not chosen yet */
};

/*
 * Name lookups load the modules that nsswitch.conf names; a library that is loaded already is found
 * without its file. Those of the C library itself are no files.
 */
static void load_name_services(void)
{
	_cleanup_free_ char *text = NULL;
	char *line, *word, *rest;

	if (read_file("/etc/nsswitch.conf", 1 << 16, &text, NULL))
		return;
	line = str_starts(text, "hosts:") ? text : strstr(text, "\nhosts:");
	if (!line)
		return;
	line += line == text ? 6 : 7;
	line[strcspn(line, "\n#")] = '\0';
	for (word = strtok_r(line, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
		_cleanup_free_ char *name = strf("libnss_%s.so.2", word);

		if (name && strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(word) &&
		    !streq(word, "files") && !streq(word, "dns"))
			(void)dlopen(name, RTLD_NOW | RTLD_LOCAL); /* stays */
	}
}

static int docker_prepare(struct cimage_context *c, struct cimage_error *err)
{
	load_name_services();
	return http_global_init(err);
}

static void docker_close(struct cimage_source *s)
{
	if (!s)
		return;
	client_free(s->client);
	cimage_endpoints_free(s->endpoints);
	free(s);
}

static int docker_open(struct cimage_context *c, const struct cimage_ref *ref,
		       struct cimage_source **ret, struct cimage_error *err)
{
	struct cimage_source *s;
	int r;

	r = http_global_init(err);
	if (r)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->ctx = c;
	r = cimage_context_endpoints(c, ref, &s->endpoints, err);
	if (r) {
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* "//REFERENCE", with a tag or a digest but not both: which of them would be meant? */
static int docker_parse(struct cimage_context *c, const char *text, struct cimage_place_parts *ret,
			struct cimage_error *err)
{
	int r;

	if (!str_starts(text, "//"))
		return err_set(err, CIMAGE_E_INVALID, "a registry's image is docker://NAME");
	r = cimage_ref_parse(text + 2, 1, &ret->ref, err);
	if (r)
		return r;
	if (cimage_ref_tag(ret->ref) && cimage_ref_digest(ret->ref))
		return err_set(err, CIMAGE_E_INVALID, "both a tag and a digest is one too many");
	ret->text = strf("docker://%s", cimage_ref_string(ret->ref));
	return ret->text ? 0 : err_oom(err);
}

static int try_endpoint(struct cimage_source *s, const struct cimage_endpoint *e,
			struct client **ret_client, char **ret, size_t *ret_len, char **ret_type,
			struct cimage_error *err)
{
	const struct cimage_ref *ref = cimage_endpoint_ref(e);
	const char *digest = cimage_ref_digest(ref);
	_cleanup_free_ char *bytes = NULL, *type = NULL;
	struct client *cl;
	size_t len;
	int r;

	r = client_new(s->ctx, e, ACTIONS_PULL, &cl, err);
	if (r)
		return r;
	r = client_manifest(cl, digest ? digest : cimage_ref_tag(ref), &bytes, &len, &type, err);
	if (!r && digest && !digest_matches(digest, bytes, len))
		r = err_set(err, CIMAGE_E_DIGEST, "the manifest does not match the digest %s",
			    digest);
	if (r) {
		client_free(cl);
		return r;
	}
	*ret_client = cl;
	*ret = take(bytes);
	*ret_len = len;
	*ret_type = take(type);
	return 0;
}

/* All endpoints in order; what went wrong at the mirrors is kept for the message. */
static int first_manifest(struct cimage_source *s, char **ret, size_t *ret_len, char **ret_type,
			  struct cimage_error *err)
{
	_cleanup_str_ struct str mirrors = STR_INIT;
	struct cimage_error one = { 0 };
	struct cimage_endpoint **e;
	int r = -ENOENT;

	for (e = s->endpoints; *e; e++) {
		r = try_endpoint(s, *e, &s->client, ret, ret_len, ret_type, &one);
		if (!r || r == CIMAGE_E_CANCELLED || r == -ENOMEM)
			break;
		if (e[1])
			str_appendf(&mirrors, "%s%s: %s", mirrors.len ? "; " : "",
				    cimage_ref_string(cimage_endpoint_ref(*e)), one.message);
	}
	if (r && err)
		*err = one;
	if (r && mirrors.len)
		err_ctx(err, r, "(mirrors also failed: [%.600s])", mirrors.data);
	return r;
}

static int docker_manifest(struct cimage_source *s, const char *digest, char **ret, size_t *ret_len,
			   char **ret_type, struct cimage_error *err)
{
	if (!s->client)
		return digest ? -EINVAL : first_manifest(s, ret, ret_len, ret_type, err);
	if (!digest)
		return -EINVAL;
	return client_manifest(s->client, digest, ret, ret_len, ret_type, err);
}

static int docker_blobs(struct cimage_source *s, struct cimage_blob_request *r, size_t n,
			struct cimage_error *err)
{
	return s->client ? client_blobs(s->client, r, n, err) : -EINVAL;
}

static int docker_signatures(struct cimage_source *s, const char *digest,
			     struct cimage_signatures *ret, struct cimage_error *err)
{
	return s->client ? client_signatures(s->client, digest, ret, err) : -EINVAL;
}

/* ---- without an image ---- */

int docker_client(struct cimage_context *c, const struct cimage_place *place, const char *actions,
		  struct cimage_endpoint ***ret_endpoints, struct client **ret,
		  struct cimage_error *err)
{
	struct cimage_endpoint **endpoints = NULL, **e;
	int r = http_global_init(err);

	if (!r)
		r = cimage_context_endpoints(c, cimage_place_ref(place), &endpoints, err);
	if (r)
		return r;
	for (e = endpoints; e[1]; e++)
		; /* mirrors are only for pulling */
	r = client_new(c, *e, actions, ret, err);
	if (r)
		cimage_endpoints_free(endpoints);
	else
		*ret_endpoints = endpoints;
	return r;
}

static int docker_tags(struct cimage_context *c, const struct cimage_place *place, char ***ret,
		       struct cimage_error *err)
{
	struct cimage_endpoint **endpoints;
	struct client *cl;
	int r = docker_client(c, place, ACTIONS_PULL, &endpoints, &cl, err);

	if (r)
		return r;
	r = client_tags(cl, ret, err);
	client_free(cl);
	cimage_endpoints_free(endpoints);
	return r;
}

static int docker_remove(struct cimage_context *c, const struct cimage_place *place,
			 struct cimage_error *err)
{
	const struct cimage_ref *ref;
	struct cimage_endpoint **endpoints;
	struct client *cl;
	int r = docker_client(c, place, ACTIONS_DELETE, &endpoints, &cl, err);

	if (r)
		return r;
	ref = cimage_place_ref(place);
	r = client_delete_manifest(
		cl, cimage_ref_digest(ref) ? cimage_ref_digest(ref) : cimage_ref_tag(ref), err);
	client_free(cl);
	cimage_endpoints_free(endpoints);
	return r;
}

PUBLIC extern const struct cimage_transport cimage_transport_module;

const struct cimage_transport cimage_transport_module = {
	.abi = CIMAGE_TRANSPORT_ABI,
	.name = "docker",
	.prepare = docker_prepare,
	.open = docker_open,
	.close = docker_close,
	.manifest = docker_manifest,
	.blobs = docker_blobs,
	.parse = docker_parse,
	.destination = &docker_destination,
	.tags = docker_tags,
	.remove = docker_remove,
	.signatures = docker_signatures,
	.login = client_login,
};
