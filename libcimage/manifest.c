/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests (OCI image spec, manifest.md and image-index.md; Docker's image manifest v2 schema 2).
 *
 * The same bytes must not mean one thing here and another thing elsewhere. So the media type of the
 * transfer and of the document must agree, members of another kind of manifest are refused, and so
 * are members that other parsers might confuse with known ones: repeated, in other letter case, or
 * not ASCII (Go's JSON ignores case, also that of some non-ASCII letters).
 */
#include <cbase/digest.h>
#include <cbase/json.h>
#include <strings.h>
#include "manifest.h"

static const char *const type_names[] = {
	[MANIFEST_DOCKER] = "application/vnd.docker.distribution.manifest.v2+json",
	[MANIFEST_DOCKER_LIST] = "application/vnd.docker.distribution.manifest.list.v2+json",
	[MANIFEST_OCI] = "application/vnd.oci.image.manifest.v1+json",
	[MANIFEST_OCI_INDEX] = "application/vnd.oci.image.index.v1+json",
	[MANIFEST_V1] = "application/vnd.docker.distribution.manifest.v1+json",
	[MANIFEST_V1_SIGNED] = "application/vnd.docker.distribution.manifest.v1+prettyjws",
};

#define DOCKER_V1 "application/vnd.docker.distribution.manifest.v1+"

#define ENCRYPTED "+encrypted"

static const char *const layer_types[] = {
	"application/vnd.docker.image.rootfs.diff.tar",
	"application/vnd.docker.image.rootfs.diff.tar.gzip",
	"application/vnd.docker.image.rootfs.diff.tar.zstd",
	"application/vnd.docker.image.rootfs.foreign.diff.tar",
	"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
	"application/vnd.oci.image.layer.v1.tar",
	"application/vnd.oci.image.layer.v1.tar+gzip",
	"application/vnd.oci.image.layer.v1.tar+zstd",
	"application/vnd.oci.image.layer.nondistributable.v1.tar",
	"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
	"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
};

static const char *const top_members[] = {
	"schemaVersion", "mediaType",  "config",       "layers",  "manifests",	 "fsLayers",
	"history",	 "signatures", "artifactType", "subject", "annotations", NULL,
};
static const char *const descriptor_members[] = {
	"mediaType", "digest",	     "size",	    "platform", "urls",
	"data",	     "artifactType", "annotations", NULL,
};
static const char *const platform_members[] = { "os", "architecture", "variant", NULL };

#define INVALID(err, ...) err_ctx(err, err_set(err, CIMAGE_E_INVALID, __VA_ARGS__), "manifest")

const char *manifest_type_name(enum manifest_type t)
{
	return type_names[t];
}

enum manifest_type manifest_type_of(const char *media_type)
{
	size_t i;

	for (i = MANIFEST_DOCKER; i < ARRAY_SIZE(type_names); i++)
		if (streq(media_type, type_names[i]))
			return (enum manifest_type)i;
	return MANIFEST_NONE;
}

bool manifest_is_list(const struct manifest *m)
{
	return m->type == MANIFEST_DOCKER_LIST || m->type == MANIFEST_OCI_INDEX;
}

static bool manifest_is_v1(const struct manifest *m)
{
	return m->type == MANIFEST_V1 || m->type == MANIFEST_V1_SIGNED;
}

struct manifest *manifest_free(struct manifest *m)
{
	if (m) {
		json_doc_free(m->doc);
		free(m->layers);
	}
	free(m);
	return NULL;
}

static bool is_ascii(const char *s)
{
	for (; *s; s++)
		if (*s & 0x80)
			return false;
	return true;
}

/* Linear in the members: the document is a stranger's. */
static int check_members(const struct json *obj, const char *const *known, struct cimage_error *err)
{
	unsigned int seen = 0;
	size_t i;

	json_foreach(item, obj) {
		if (!is_ascii(item->key))
			return INVALID(err, "ambiguous member \"%s\"", SHOW(item->key));
		for (i = 0; known[i]; i++) {
			if (strcasecmp(known[i], item->key) != 0)
				continue;
			if (!streq(known[i], item->key) || seen & 1u << i)
				return INVALID(err, "ambiguous member \"%s\"", SHOW(item->key));
			seen |= 1u << i;
		}
	}
	return 0;
}

static int read_descriptor(const struct json *v, const char *what, struct descriptor *ret,
			   struct cimage_error *err)
{
	const struct json *type = json_get(v, "mediaType");
	int r;

	if (!v || v->type != JSON_OBJECT)
		return INVALID(err, "the descriptor of %s is not an object", what);
	r = check_members(v, descriptor_members, err);
	if (r)
		return r;
	ret->node = v;
	ret->media_type = type ? json_string(type) : "";
	ret->digest = json_get_string(v, "digest");
	if (!ret->media_type)
		return INVALID(err, "%s: bad mediaType", what);
	if (!ret->digest || !digest_valid(ret->digest))
		return INVALID(err, "%s: bad or unsupported digest", what);
	if (json_int(json_get(v, "size"), &ret->size) || ret->size < 0)
		return INVALID(err, "%s: bad size", what);
	return 0;
}

static int check_layer_type(const char *type, struct cimage_error *err)
{
	size_t n = strlen(type), i;

	/* who fetches it decrypts it, or says that there is no key */
	if (str_ends(type, ENCRYPTED))
		n -= strlen(ENCRYPTED);
	for (i = 0; i < ARRAY_SIZE(layer_types); i++)
		if (strlen(layer_types[i]) == n && !memcmp(type, layer_types[i], n))
			return 0;
	return err_set(err, CIMAGE_E_UNSUPPORTED,
		       "manifest: layer media type \"%s\" is not supported", SHOW(type));
}

static int check_config_type(enum manifest_type t, const char *type, struct cimage_error *err)
{
	/* Docker once pushed configs as octet-stream, and such images are still around */
	if (t == MANIFEST_DOCKER ? streq(type, DOCKER_CONFIG_TYPE) ||
					   streq(type, "application/octet-stream") || !*type
				 : streq(type, OCI_CONFIG_TYPE))
		return 0;
	return err_set(err, CIMAGE_E_ARTIFACT,
		       "not a container image: the config media type is \"%s\"", SHOW(type));
}

static int read_layers(struct manifest *m, const struct json *layers, struct cimage_error *err)
{
	int r;

	if (!layers || layers->type != JSON_ARRAY)
		return INVALID(err, "\"layers\" is not a list");
	if (layers->count > LAYERS_MAX)
		return err_set(err, CIMAGE_E_LIMIT, "manifest: %zu layers, more than %d",
			       layers->count, LAYERS_MAX);
	m->layers = calloc(layers->count + 1, sizeof(*m->layers));
	if (!m->layers)
		return err_oom(err);
	json_foreach(item, layers) {
		r = read_descriptor(item, "a layer", &m->layers[m->layer_count++], err);
		if (r)
			return r;
	}
	return 0;
}

static int read_image(struct manifest *m, struct cimage_error *err)
{
	const struct json *root = json_root(m->doc);
	int r;

	r = read_descriptor(json_get(root, "config"), "the config", &m->config, err);
	if (r)
		return r;
	if (m->config.size > CIMAGE_MANIFEST_MAX)
		return err_set(err, CIMAGE_E_LIMIT,
			       "manifest: the config has %lld bytes, more than %u",
			       (long long)m->config.size, CIMAGE_MANIFEST_MAX);
	return read_layers(m, json_get(root, "layers"), err);
}

static bool has_any(const struct json *root, const char *const *names)
{
	for (; *names; names++)
		if (json_get(root, *names))
			return true;
	return false;
}

static int check_kind(struct manifest *m, struct cimage_error *err)
{
	static const char *const not_in_lists[] = { "config", "layers", "fsLayers", "history",
						    NULL };
	static const char *const not_in_images[] = { "manifests", "fsLayers", "history", NULL };
	static const char *const not_in_v1[] = { "config", "layers", "manifests", NULL };
	const struct json *root = json_root(m->doc);
	bool v1 = manifest_is_v1(m);

	if (json_get_int(root, "schemaVersion", -1) != (v1 ? 1 : 2))
		return INVALID(err, "schemaVersion is not %d", v1 ? 1 : 2);
	if (has_any(root, v1			  ? not_in_v1
			  : manifest_is_list(m) ? not_in_lists
						: not_in_images))
		return INVALID(err, "it has members of another kind of manifest");
	return 0;
}

/* "Type/Subtype; charset=x" as "type/subtype". */
static void plain_type(const char *content_type, char *out, size_t size)
{
	size_t i, n = strcspn(content_type, "; \t");

	if (n >= size)
		n = 0;
	for (i = 0; i < n; i++)
		out[i] = content_type[i] >= 'A' && content_type[i] <= 'Z' ? content_type[i] + 32
									  : content_type[i];
	out[n] = '\0';
}

static int old_schema(struct cimage_error *err)
{
	return err_set(
		err, CIMAGE_E_UNSUPPORTED,
		"the registry has only a Docker schema 1 manifest of this image, a "
		"format that is not supported; it has to be pushed again by a newer program");
}

/* The type of a document that neither the registry nor the document itself names. */
static enum manifest_type guess_type(const struct json *root)
{
	const char *config = json_get_string(json_get(root, "config"), "mediaType");

	if (json_get_int(root, "schemaVersion", -1) == 1)
		return json_get(root, "signatures") ? MANIFEST_V1_SIGNED : MANIFEST_V1;
	if (json_get(root, "manifests"))
		return MANIFEST_OCI_INDEX;
	return config && streq(config, DOCKER_CONFIG_TYPE) ? MANIFEST_DOCKER : MANIFEST_OCI;
}

static int find_type(const struct json *root, const char *content_type, enum manifest_type *ret,
		     struct cimage_error *err)
{
	const struct json *member = json_get(root, "mediaType");
	const char *own = member ? json_string(member) : "";
	enum manifest_type sent_type, own_type;
	char sent[128];

	plain_type(content_type ? content_type : "", sent, sizeof(sent));
	if (!own)
		return INVALID(err, "\"mediaType\" is not a string");
	sent_type = manifest_type_of(sent);
	own_type = manifest_type_of(own);
	if (sent_type && *own && own_type != sent_type)
		return INVALID(err, "sent as %s, but it calls itself \"%s\"", sent, SHOW(own));
	if (*own && !own_type)
		return err_set(err, CIMAGE_E_UNSUPPORTED,
			       "manifest: media type \"%s\" is not supported", SHOW(own));
	*ret = sent_type ? sent_type : own_type ? own_type : guess_type(root);
	return 0;
}

static int read_content(struct manifest *m, struct cimage_error *err)
{
	const struct json *list;

	if (manifest_is_v1(m))
		return schema1_read(m, err);
	if (!manifest_is_list(m))
		return read_image(m, err);
	list = json_get(json_root(m->doc), "manifests");
	return list && list->type == JSON_ARRAY ? 0 : INVALID(err, "\"manifests\" is not a list");
}

static int parse(const char *bytes, size_t n, const char *content_type, bool any,
		 struct manifest **ret, struct cimage_error *err)
{
	_cleanup_(manifest_freep) struct manifest *m = NULL;
	struct cb_error why = { 0 };
	const struct json *root;
	int r;

	if (n > CIMAGE_MANIFEST_MAX)
		return err_set(err, CIMAGE_E_LIMIT, "manifest: larger than %u bytes",
			       CIMAGE_MANIFEST_MAX);
	m = calloc(1, sizeof(*m));
	if (!m)
		return err_oom(err);
	r = json_parse(bytes, n, 0, &m->doc, &why);
	if (r == -EINVAL)
		return INVALID(err, "%s", SHOW(why.message));
	if (r)
		return err_oom(err);
	root = json_root(m->doc);
	if (root->type != JSON_OBJECT)
		return INVALID(err, "not a JSON object");
	if ((r = check_members(root, top_members, err)) ||
	    (r = find_type(root, content_type, &m->type, err)))
		return r;
	if (!any && (manifest_is_v1(m) || json_get_int(root, "schemaVersion", -1) == 1))
		return old_schema(err);
	if ((r = check_kind(m, err)) || (r = read_content(m, err)))
		return r;
	*ret = take(m);
	return 0;
}

int manifest_parse_any(const char *bytes, size_t n, const char *content_type, struct manifest **ret,
		       struct cimage_error *err)
{
	return parse(bytes, n, content_type, true, ret, err);
}

bool manifest_is_image(const struct manifest *m)
{
	return manifest_is_v1(m) || !check_config_type(m->type, m->config.media_type,
						       (struct cimage_error *)NULL);
}

int manifest_parse(const char *bytes, size_t n, const char *content_type, struct manifest **ret,
		   struct cimage_error *err)
{
	_cleanup_(manifest_freep) struct manifest *m = NULL;
	size_t i;
	int r;

	r = parse(bytes, n, content_type, false, &m, err);
	if (!r && !manifest_is_list(m))
		r = check_config_type(m->type, m->config.media_type, err);
	for (i = 0; !r && i < m->layer_count; i++)
		r = check_layer_type(m->layers[i].media_type, err);
	if (!r)
		*ret = take(m);
	return r;
}

/* Position in the platform's wishes; INT_MAX when it does not fit. Without a platform: the last wish. */
static int rank_of(const struct json *entry, const struct platform *p, bool oci)
{
	const struct json *v = json_get(entry, "platform");
	const char *os = json_get_string(v, "os"), *arch = json_get_string(v, "architecture");
	const char *variant = json_get_string(v, "variant");
	int i;

	if (!v || v->type == JSON_NULL)
		return oci ? PLATFORM_VARIANTS_MAX : INT32_MAX;
	if (!os || !arch || !streq(os, p->os) || !streq(arch, p->arch))
		return INT32_MAX;
	for (i = 0; p->variants[i]; i++)
		if (streq(p->variants[i], variant ? variant : ""))
			return i;
	return INT32_MAX;
}

/* Some registries carry the same image twice, with gzip and with zstd layers: the latter is annotated. */
static bool is_zstd(const struct json *entry)
{
	const char *s = json_get_string(json_get(entry, "annotations"),
					"io.github.containers.compression.zstd");

	return s && streq(s, "true");
}

int manifest_choose(const struct manifest *m, const struct platform *p, struct descriptor *ret,
		    struct cimage_error *err)
{
	const struct json *best = NULL;
	int best_rank = INT32_MAX, r;

	json_foreach(item, json_get(json_root(m->doc), "manifests")) {
		int rank;

		r = check_members(item, descriptor_members, err);
		if (!r)
			r = check_members(json_get(item, "platform"), platform_members, err);
		if (r)
			return r;
		rank = rank_of(item, p, m->type == MANIFEST_OCI_INDEX);
		if (rank < best_rank ||
		    (best && rank == best_rank && is_zstd(best) == p->prefer_gzip &&
		     is_zstd(item) != p->prefer_gzip)) {
			best = item;
			best_rank = rank;
		}
	}
	if (!best)
		return err_set(err, CIMAGE_E_PLATFORM,
			       "no image found in image index for architecture \"%s\", variant "
			       "\"%s\", OS \"%s\"",
			       SHOW(p->arch), SHOW(p->variants[0]), SHOW(p->os));
	return read_descriptor(best, "the chosen image", ret, err);
}
