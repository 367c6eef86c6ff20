/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at places without copying: manifests, configs, tags; and removing what is there. */
#include "copy.h"
#include "digest_module.h"
#include "module.h"

PUBLIC int cimage_read_manifest(struct cimage_context *c, const struct cimage_place *p,
				const char *instance, char **ret, size_t *ret_len, char **ret_type,
				char **ret_digest, struct cimage_error *err)
{
	_cleanup_free_ char *type = NULL, *digest = NULL;
	struct document d = { 0 };
	struct reading from;
	int r;

	if (!c || !p || !ret)
		return -EINVAL;
	r = reading_open(&from, c, p, NULL, false, err);
	if (!r && instance) { /* docker knows where to ask only after it has asked */
		r = reading_manifest(&from, NULL, -1, &d, &type, err);
		free(take(type));
		free(d.bytes);
		d = (struct document){ 0 };
	}
	if (!r)
		r = reading_manifest(&from, instance, -1, &d, &type, err);
	reading_close(&from);
	if (!r && !(digest = strdup(d.digest)))
		r = err_oom(err);
	if (r) {
		free(d.bytes);
		return err_ctx(err, r, "read %s", cimage_place_string(p));
	}
	*ret = d.bytes;
	if (ret_len)
		*ret_len = d.len;
	if (ret_type)
		*ret_type = take(type);
	if (ret_digest)
		*ret_digest = take(digest);
	return 0;
}

PUBLIC void cimage_inspection_done(struct cimage_inspection *i)
{
	free(i->manifest);
	free(i->manifest_type);
	free(i->manifest_digest);
	free(i->config);
	*i = (struct cimage_inspection){ 0 };
}

static int inspect(struct reading *from, struct document *manifest, struct manifest **parsed,
		   struct document *config, struct cimage_error *err)
{
	_cleanup_(manifest_freep) struct manifest *list = NULL;
	_cleanup_free_ char *type = NULL;
	int r;

	r = reading_manifest(from, NULL, -1, manifest, &type, err);
	if (!r)
		r = manifest_parse_any(manifest->bytes, manifest->len, type, parsed, err);
	if (!r && manifest_is_list(*parsed)) {
		list = take(*parsed);
		free(manifest->bytes);
		*manifest = (struct document){ 0 };
		r = reading_chosen(from, list, true, manifest, parsed, err);
	}
	if (!r && (*parsed)->config.digest)
		r = reading_blob(from, (*parsed)->config.digest, (*parsed)->config.size, config, err);
	return r;
}

PUBLIC int cimage_inspect(struct cimage_context *c, const struct cimage_place *p,
			  struct cimage_inspection *ret, struct cimage_error *err)
{
	_cleanup_(manifest_freep) struct manifest *parsed = NULL;
	struct document manifest = { 0 }, config = { 0 };
	struct cimage_inspection i = { 0 };
	struct reading from;
	int r;

	if (!c || !p || !ret)
		return -EINVAL;
	r = reading_open(&from, c, p, NULL, false, err);
	if (!r)
		r = inspect(&from, &manifest, &parsed, &config, err);
	reading_close(&from);
	i.manifest = manifest.bytes;
	i.manifest_len = manifest.len;
	i.config = config.bytes;
	i.config_len = config.len;
	if (!r) {
		i.manifest_type = strdup(manifest_type_name(parsed->type));
		i.manifest_digest = strdup(manifest.digest);
		if (!i.manifest_type || !i.manifest_digest)
			r = err_oom(err);
	}
	if (r) {
		cimage_inspection_done(&i);
		return err_ctx(err, r, "read %s", cimage_place_string(p));
	}
	*ret = i;
	return 0;
}

PUBLIC int cimage_manifest_digest(struct cimage_context *c, const char *bytes, size_t n, char **ret,
				  struct cimage_error *err)
{
	_cleanup_free_ char *part = NULL;
	const struct digest_module *digests;
	char digest[DIGEST_STR_MAX];
	size_t part_len = 0;
	int r;

	if (!c || !bytes || !ret)
		return -EINVAL;
	r = module_digest(c, &digests, err);
	if (r)
		return r;
	r = manifest_signed_part(bytes, n, &part, &part_len);
	if (r)
		return r == -ENOMEM ? err_oom(err)
				    : err_set(err, CIMAGE_E_INVALID,
					      "manifest: its signatures are malformed");
	digests->sha256(part ? part : bytes, part ? part_len : n, digest);
	*ret = strdup(digest);
	return *ret ? 0 : err_oom(err);
}

PUBLIC int cimage_list_tags(struct cimage_context *c, const struct cimage_place *p, char ***ret,
			    struct cimage_error *err)
{
	const struct cimage_transport *t;

	if (!c || !p || !ret)
		return -EINVAL;
	t = place_ops(p);
	if (t->abi < 2 || !t->tags)
		return err_set(err, CIMAGE_E_UNSUPPORTED, "%s: has no tags to list", t->name);
	return err_ctx(err, t->tags(c, p, ret, err), "list tags of %s", cimage_place_string(p));
}

PUBLIC int cimage_remove(struct cimage_context *c, const struct cimage_place *p,
			 struct cimage_error *err)
{
	const struct cimage_transport *t;

	if (!c || !p)
		return -EINVAL;
	t = place_ops(p);
	if (t->abi < 2 || !t->remove)
		return err_set(err, CIMAGE_E_UNSUPPORTED, "%s: cannot remove an image", t->name);
	return err_ctx(err, t->remove(c, p, err), "remove %s", cimage_place_string(p));
}

PUBLIC int cimage_transports(struct cimage_context *c, char ***ret, struct cimage_error *err)
{
	return c && ret ? module_list(c, ret, err) : -EINVAL;
}
