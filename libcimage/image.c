/* SPDX-License-Identifier: Apache-2.0 */
/* See image.h: built by fetch.c step by step, complete when a sink sees it. */
#include "config.h"
#include "image.h"

struct cimage_image *image_free(struct cimage_image *i)
{
	if (!i)
		return NULL;
	free(i->manifest.bytes);
	free(i->list.bytes);
	free(i->config.bytes);
	manifest_free(i->parsed);
	cimage_config_free(i->parsed_config);
	free(i->layers);
	cimage_signatures_done(&i->signatures);
	free(i);
	return NULL;
}

int image_complete(struct cimage_image *i, struct cimage_error *err)
{
	const char *const *diff_ids;
	size_t n, count = i->parsed->layer_count;
	int r;

	r = cimage_config_parse(i->config.bytes, i->config.len, &i->parsed_config, err);
	if (r)
		return r;
	diff_ids = config_diff_ids(i->parsed_config);
	for (n = 0; diff_ids[n]; n++)
		if (!digest_valid(diff_ids[n]))
			return err_set(err, CIMAGE_E_INVALID,
				       "image config: \"%s\" is not a diff id", SHOW(diff_ids[n]));
	if (n != count)
		return err_set(err, CIMAGE_E_INVALID,
			       "the image config has %zu diff ids, the manifest %zu layers", n,
			       count);
	i->layers = calloc(count + 1, sizeof(*i->layers));
	if (!i->layers)
		return err_oom(err);
	for (n = 0; n < count; n++)
		i->layers[n] = (struct cimage_layer){
			.digest = i->parsed->layers[n].digest,
			.media_type = i->parsed->layers[n].media_type,
			.size = i->parsed->layers[n].size,
			.diff_id = diff_ids[n],
		};
	return 0;
}

static const char *bytes_of(const struct document *d, size_t *ret_len)
{
	if (ret_len)
		*ret_len = d->len;
	return d->bytes;
}

PUBLIC const char *cimage_image_id(const struct cimage_image *i)
{
	return digest_hex(i->config.digest);
}

PUBLIC const char *cimage_image_manifest(const struct cimage_image *i, size_t *ret_len)
{
	return bytes_of(&i->manifest, ret_len);
}

PUBLIC const char *cimage_image_manifest_digest(const struct cimage_image *i)
{
	return i->manifest.digest;
}

PUBLIC const char *cimage_image_manifest_type(const struct cimage_image *i)
{
	return manifest_type_name(i->parsed->type);
}

PUBLIC const char *cimage_image_list(const struct cimage_image *i, size_t *ret_len)
{
	return bytes_of(&i->list, ret_len);
}

PUBLIC const char *cimage_image_list_digest(const struct cimage_image *i)
{
	return i->list.bytes ? i->list.digest : NULL;
}

PUBLIC const char *cimage_image_config(const struct cimage_image *i, size_t *ret_len)
{
	return bytes_of(&i->config, ret_len);
}

PUBLIC const char *cimage_image_config_digest(const struct cimage_image *i)
{
	return i->config.digest;
}

PUBLIC int64_t cimage_image_created(const struct cimage_image *i)
{
	return cimage_config_created(i->parsed_config);
}

PUBLIC size_t cimage_image_layer_count(const struct cimage_image *i)
{
	return i->parsed->layer_count;
}

PUBLIC const struct cimage_layer *cimage_image_layer(const struct cimage_image *i, size_t n)
{
	return n < i->parsed->layer_count ? &i->layers[n] : NULL;
}

PUBLIC const struct cimage_signatures *cimage_image_signatures(const struct cimage_image *i)
{
	return &i->signatures;
}
