/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places: "transport:what", where the text before the first colon chooses the module, and the module
 * says what the rest means. A place is immutable, and says nothing about whether there is anything.
 */
#include "module.h"
#include "place.h"

struct cimage_place {
	const struct cimage_transport *ops;
	struct cimage_place_parts parts; /* text is always set */
};

PUBLIC struct cimage_place *cimage_place_free(struct cimage_place *p)
{
	if (!p)
		return NULL;
	cimage_ref_free(p->parts.ref);
	free(p->parts.path);
	free(p->parts.name);
	strv_free(p->parts.scopes);
	free(p->parts.text);
	free(p);
	return NULL;
}

PUBLIC int cimage_place_parse(struct cimage_context *c, const char *text, struct cimage_place **ret,
			      struct cimage_error *err)
{
	_cleanup_(cimage_place_freep) struct cimage_place *p = NULL;
	_cleanup_free_ char *name = NULL;
	const char *colon;
	int r;

	if (!c || !text || !ret)
		return -EINVAL;
	colon = strchr(text, ':');
	if (!colon)
		return err_set(err, CIMAGE_E_INVALID,
			       "\"%s\" names no transport: write docker://%s for a registry, or "
			       "oci:, dir:, containers-storage: and the like",
			       SHOW(text), SHOW(text));
	name = strndup(text, (size_t)(colon - text));
	p = calloc(1, sizeof(*p));
	if (!name || !p)
		return err_oom(err);
	r = module_transport(c, name, &p->ops, err);
	if (!r && p->ops->parse)
		r = p->ops->parse(c, colon + 1, &p->parts, err);
	if (r)
		return err_ctx(err, r, "%s", SHOW(text));
	if (!p->parts.text && !(p->parts.text = strdup(text)))
		return err_oom(err);
	*ret = take(p);
	return 0;
}

int place_from_ref(struct cimage_context *c, const struct cimage_ref *ref,
		   struct cimage_place **ret, struct cimage_error *err)
{
	_cleanup_free_ char *text = strf("docker://%s", cimage_ref_string(ref));

	return text ? cimage_place_parse(c, text, ret, err) : err_oom(err);
}

const struct cimage_transport *place_ops(const struct cimage_place *p)
{
	return p->ops;
}

PUBLIC const char *const *cimage_place_scopes(const struct cimage_place *p)
{
	return (const char *const *)p->parts.scopes;
}

/* clang-format off */
PUBLIC const char *cimage_place_string(const struct cimage_place *p) { return p->parts.text; }
PUBLIC const char *cimage_place_transport(const struct cimage_place *p) { return p->ops->name; }
PUBLIC const struct cimage_ref *cimage_place_ref(const struct cimage_place *p) { return p->parts.ref; }
PUBLIC const char *cimage_place_path(const struct cimage_place *p) { return p->parts.path; }
PUBLIC const char *cimage_place_name(const struct cimage_place *p) { return p->parts.name; }
/* clang-format on */

/* ---- signatures ---- */

PUBLIC void cimage_signatures_done(struct cimage_signatures *s)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		free(s->items[i].bytes);
	free(s->items);
	*s = (struct cimage_signatures){ 0 };
}

PUBLIC int cimage_signatures_add(struct cimage_signatures *s, const char *bytes, size_t len)
{
	struct cimage_signature *grown;
	char *copy = malloc(len + 1);

	if (!copy)
		return -ENOMEM;
	grown = realloc(s->items, (s->count + 1) * sizeof(*grown));
	if (!grown) {
		free(copy);
		return -ENOMEM;
	}
	memcpy(copy, bytes, len);
	copy[len] = '\0';
	s->items = grown;
	grown[s->count++] = (struct cimage_signature){ copy, len };
	return 0;
}
