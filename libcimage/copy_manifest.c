/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests as they shall be at a destination: the source's document with what changed in it, so that
 * what is not understood stays. From one kind of manifest to the other only the media types differ,
 * and, from v2s2 to OCI, the config, of which OCI keeps what it knows: as containers/image does, so
 * that the same image gets the same digests.
 */
#include "copy.h"
#include "crypt.h"

static const struct {
	const char *media_type;
	enum manifest_type manifest;
	struct layer_kind kind;
} layer_types[] = {
	{ "application/vnd.docker.image.rootfs.diff.tar", MANIFEST_DOCKER, { FORM_PLAIN, 0, 0 } },
	{ "application/vnd.docker.image.rootfs.diff.tar.gzip", MANIFEST_DOCKER, { FORM_GZIP, 0, 0 } },
	{ "application/vnd.docker.image.rootfs.diff.tar.zstd", MANIFEST_DOCKER, { FORM_ZSTD, 0, 0 } },
	{ "application/vnd.docker.image.rootfs.foreign.diff.tar", MANIFEST_DOCKER, { FORM_PLAIN, 1, 0 } },
	{ "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", MANIFEST_DOCKER, { FORM_GZIP, 1, 0 } },
	{ "application/vnd.oci.image.layer.v1.tar", MANIFEST_OCI, { FORM_PLAIN, 0, 0 } },
	{ "application/vnd.oci.image.layer.v1.tar+gzip", MANIFEST_OCI, { FORM_GZIP, 0, 0 } },
	{ "application/vnd.oci.image.layer.v1.tar+zstd", MANIFEST_OCI, { FORM_ZSTD, 0, 0 } },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar", MANIFEST_OCI, { FORM_PLAIN, 1, 0 } },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", MANIFEST_OCI, { FORM_GZIP, 1, 0 } },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", MANIFEST_OCI, { FORM_ZSTD, 1, 0 } },
};

#define ENCRYPTED "+encrypted"

struct layer_kind layer_kind_of(const char *media_type)
{
	struct layer_kind kind = { FORM_UNKNOWN, false, str_ends(media_type, ENCRYPTED) };
	size_t n = strlen(media_type) - (kind.encrypted ? strlen(ENCRYPTED) : 0), i;

	for (i = 0; i < ARRAY_SIZE(layer_types); i++)
		if (!strncmp(layer_types[i].media_type, media_type, n) &&
		    !layer_types[i].media_type[n]) {
			kind.form = layer_types[i].kind.form;
			kind.foreign = layer_types[i].kind.foreign;
		}
	return kind;
}

const char *layer_kind_type(enum manifest_type t, const struct layer_kind *k, char buf[128])
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(layer_types); i++)
		if (layer_types[i].manifest == t && layer_types[i].kind.form == k->form &&
		    layer_types[i].kind.foreign == k->foreign) {
			snprintf(buf, 128, "%s%s", layer_types[i].media_type,
				 k->encrypted ? ENCRYPTED : "");
			return k->encrypted && t != MANIFEST_OCI ? NULL : buf;
		}
	return NULL;
}

/* ---- one image ---- */

static void remove_starting(struct json *obj, const char *prefix)
{
	struct json *item, *next;

	for (item = obj ? obj->first : NULL; item; item = next) {
		next = item->next;
		if (str_starts(item->key, prefix))
			json_remove_item(obj, item);
	}
}

/* In the order in which Go's programs write such a descriptor, so that digests are the same. */
static void set_descriptor(struct json_doc *doc, struct json *node, enum manifest_type type,
			   const char *media_type, const char *digest, int64_t size)
{
	struct json *old = json_copy(doc, node);
	const char *at;

	while (node->first)
		json_remove_item(node, node->first);
	json_set_string(doc, node, "mediaType", media_type);
	for (at = type == MANIFEST_OCI ? "ds" : "sd"; *at; at++) {
		if (*at == 'd')
			json_set_string(doc, node, "digest", digest);
		else
			json_set_int(doc, node, "size", size);
	}
	json_foreach(item, old)
		if (!json_get(node, item->key))
			json_set(doc, node, item->key, json_copy(doc, item));
}

static int edit_layer(struct json_doc *doc, struct json *node, enum manifest_type type,
		      const struct copy_layer *l, struct cimage_error *err)
{
	struct json *annotations;
	const char *media_type;
	char buf[128];

	if (l->kind.form == FORM_UNKNOWN)
		return 0;
	media_type = layer_kind_type(type, &l->new_kind, buf);
	if (!media_type)
		return err_set(err, CIMAGE_E_UNSUPPORTED,
			       "a layer like %s cannot be in a manifest of type %s",
			       SHOW(l->d->media_type), manifest_type_name(type));
	set_descriptor(doc, node, type, media_type, l->new_digest, l->new_size);
	annotations = json_get(node, "annotations");
	if (l->decrypt)
		remove_starting(annotations, "org.opencontainers.image.enc.");
	if (l->decompress || l->compress)
		remove_starting(annotations, "io.github.containers.zstd-chunked.");
	if (l->encrypt)
		return crypt_annotate(l->encryption, doc,
				      json_child_object(doc, node, "annotations"), err);
	if (annotations && !annotations->count)
		json_remove(node, "annotations");
	return 0;
}

/* v2s1 has nothing that could stay. */
static struct json *new_image(struct json_doc *doc, size_t layers)
{
	struct json *root = json_root(doc), *list;
	size_t i;

	json_set_int(doc, root, "schemaVersion", 2);
	json_set_string(doc, root, "mediaType", "");
	json_set_object(doc, root, "config");
	list = json_set_array(doc, root, "layers");
	for (i = 0; i < layers; i++)
		json_append(doc, list, json_new_object(doc));
	return root;
}

int manifest_make(const struct copy *c, const struct manifest *old, enum manifest_type type,
		  const struct document *config, const struct copy_layer *layers, char **ret,
		  size_t *ret_len, struct cimage_error *err)
{
	bool v1 = old->type == MANIFEST_V1 || old->type == MANIFEST_V1_SIGNED;
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	_cleanup_str_ struct str out = STR_INIT;
	struct json *root, *node;
	size_t i;
	int r;

	if (!doc)
		return err_oom(err);
	if (!v1)
		json_set_root(doc, json_copy(doc, json_root(old->doc)));
	root = v1 ? new_image(doc, old->layer_count) : json_root(doc);
	json_set_string(doc, root, "mediaType", manifest_type_name(type));
	if (type != old->type)
		set_descriptor(doc, json_get(root, "config"), type,
			       type == MANIFEST_OCI ? OCI_CONFIG_TYPE : DOCKER_CONFIG_TYPE,
			       config ? config->digest : old->config.digest,
			       config ? (int64_t)config->len : old->config.size);
	node = json_get(root, "layers");
	node = node ? node->first : NULL;
	for (i = 0; node && i < old->layer_count; i++) {
		struct json *next = node->next;

		if (old->layers[i].empty) {
			json_remove_item(json_get(root, "layers"), node);
		} else {
			r = edit_layer(doc, node, type, &layers[i], err);
			if (r)
				return r;
		}
		node = next;
	}
	if (json_failed(doc) || json_format(doc, root, 0, &out))
		return err_oom(err);
	*ret = str_take(&out, ret_len);
	return *ret ? 0 : err_oom(err);
}

int list_make(const struct manifest *old, enum manifest_type type, const struct made_manifest *made,
	      char **ret, size_t *ret_len, struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	_cleanup_str_ struct str out = STR_INIT;
	struct json *root;
	size_t i = 0;

	if (!doc)
		return err_oom(err);
	json_set_root(doc, json_copy(doc, json_root(old->doc)));
	root = json_root(doc);
	json_set_string(doc, root, "mediaType", manifest_type_name(type));
	json_foreach(item, json_get(root, "manifests")) {
		const struct made_manifest *m = &made[i++];

		if (!m->doc.bytes)
			continue;
		json_set_string(doc, item, "mediaType", manifest_type_name(m->type));
		json_set_string(doc, item, "digest", m->doc.digest);
		json_set_int(doc, item, "size", (int64_t)m->doc.len);
	}
	if (json_failed(doc) || json_format(doc, root, 0, &out))
		return err_oom(err);
	*ret = str_take(&out, ret_len);
	return *ret ? 0 : err_oom(err);
}

/* ---- the config ---- */

enum { KEEP_EMPTY = 1, SORTED = 2 }; /* else: left out when it is empty, as Go's omitempty does */

struct field {
	const char *name;
	int flags;
	const struct field *fields; /* of an object, or of the objects in a list; NULL: all of it */
};

static const struct field container_fields[] = {
	{ "User", 0, NULL },	   { "ExposedPorts", SORTED, NULL }, { "Env", 0, NULL },
	{ "Entrypoint", 0, NULL }, { "Cmd", 0, NULL },		     { "Volumes", SORTED, NULL },
	{ "WorkingDir", 0, NULL }, { "Labels", SORTED, NULL },	     { "StopSignal", 0, NULL },
	{ NULL, 0, NULL },
};
static const struct field rootfs_fields[] = {
	{ "type", KEEP_EMPTY, NULL },
	{ "diff_ids", KEEP_EMPTY, NULL },
	{ NULL, 0, NULL },
};
static const struct field history_fields[] = {
	{ "created", 0, NULL }, { "created_by", 0, NULL },  { "author", 0, NULL },
	{ "comment", 0, NULL }, { "empty_layer", 0, NULL }, { NULL, 0, NULL },
};
static const struct field config_fields[] = {
	{ "created", 0, NULL },
	{ "author", 0, NULL },
	{ "architecture", KEEP_EMPTY, NULL },
	{ "variant", 0, NULL },
	{ "os", KEEP_EMPTY, NULL },
	{ "os.version", 0, NULL },
	{ "os.features", 0, NULL },
	{ "config", KEEP_EMPTY, container_fields },
	{ "rootfs", KEEP_EMPTY, rootfs_fields },
	{ "history", 0, history_fields },
	{ NULL, 0, NULL },
};

static bool is_empty(const struct json *v)
{
	switch (v->type) {
	case JSON_NULL:
		return true;
	case JSON_BOOL:
		return !v->boolean;
	case JSON_NUMBER:
		return streq(v->string, "0");
	case JSON_STRING:
		return !v->len;
	default:
		return !v->count;
	}
}

/* Go prints maps in the order of their keys. */
static struct json *copy_sorted(struct json_doc *doc, const struct json *v)
{
	struct json *to = json_new_object(doc);
	const struct json *last = NULL, *least;

	if (v->type != JSON_OBJECT)
		return json_copy(doc, v);
	do {
		least = NULL;
		json_foreach(item, v)
			if ((!last || strcmp(item->key, last->key) > 0) &&
			    (!least || strcmp(item->key, least->key) < 0))
				least = item;
		if (least)
			json_set(doc, to, least->key, json_copy(doc, least));
		last = least;
	} while (least);
	return to;
}

static struct json *keep_fields(struct json_doc *doc, const struct json *from,
				const struct field *fields)
{
	struct json *to = json_new_object(doc), *v;
	const struct field *f;

	for (f = fields; f->name; f++) {
		const struct json *old = json_get(from, f->name);

		if (!old || (is_empty(old) && !(f->flags & KEEP_EMPTY)))
			continue;
		if (!f->fields) {
			v = f->flags & SORTED ? copy_sorted(doc, old) : json_copy(doc, old);
		} else if (old->type == JSON_ARRAY) {
			v = json_new_array(doc);
			json_foreach(item, old)
				json_append(doc, v, keep_fields(doc, item, f->fields));
		} else {
			v = keep_fields(doc, old, f->fields);
		}
		json_set(doc, to, f->name, v);
	}
	return to;
}

int config_to_oci(const struct document *config, char **ret, size_t *ret_len,
		  struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *old = NULL, *doc = json_doc_new();
	_cleanup_str_ struct str out = STR_INIT;

	if (json_parse(config->bytes, config->len, JSON_REPAIR, &old, NULL) ||
	    json_root(old)->type != JSON_OBJECT)
		return err_set(err, CIMAGE_E_INVALID, "image config %s: not a JSON object",
			       config->digest);
	if (!doc)
		return err_oom(err);
	json_set_root(doc, keep_fields(doc, json_root(old), config_fields));
	if (json_failed(doc) || json_format(doc, json_root(doc), 0, &out))
		return err_oom(err);
	*ret = str_take(&out, ret_len);
	return *ret ? 0 : err_oom(err);
}
