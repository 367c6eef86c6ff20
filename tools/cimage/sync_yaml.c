/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of cimage sync --src yaml, as skopeo-sync(1) has it: for each registry its images with their tags or digests
 * (none: all tags), or with a regular expression for tags, and how to talk to it. What is not known is refused:
 * a list that is understood in part would copy in part.
 */
#include <cbase/io.h>
#include <errno.h>
#include <regex.h>
#include <yaml.h>
#include "sync.h"

#define FILE_MAX (1u << 20)

struct list {
	yaml_document_t doc;
	const char *path, *registry;
	struct items *items;
};

static int refuse(const struct list *l, const yaml_node_t *n, const char *what)
{
	complain("%s, line %zu: %s", l->path, n ? n->start_mark.line + 1 : 0, what);
	return EXIT_FAILURE;
}

/* NULL unless it is text. */
static const char *text_of(const yaml_node_t *n)
{
	return n && n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
}

/* Calls each() with all members of a mapping. */
static int for_members(struct list *l, const yaml_node_t *n, int (*each)(struct list *l, const char *key, yaml_node_t *v, void *user),
		       void *user)
{
	const yaml_node_pair_t *p;
	int r = 0;

	if (!n || n->type != YAML_MAPPING_NODE)
		return refuse(l, n, "this is no list of names with values");
	for (p = n->data.mapping.pairs.start; !r && p < n->data.mapping.pairs.top; p++) {
		const yaml_node_t *key = yaml_document_get_node(&l->doc, p->key);

		r = text_of(key) ? each(l, text_of(key), yaml_document_get_node(&l->doc, p->value), user)
				 : refuse(l, key, "this is no name");
	}
	return r;
}

static int on_credential(struct list *l, const char *key, yaml_node_t *v, void *user)
{
	const char **both = user;

	if (!text_of(v) || (!streq(key, "username") && !streq(key, "password")))
		return refuse(l, v, "credentials are a username and a password");
	both[streq(key, "password")] = text_of(v);
	return 0;
}

struct registry {
	struct side side;
	char *creds;
	yaml_node_t *images, *by_regex;
};

static int on_setting(struct list *l, const char *key, yaml_node_t *v, void *user)
{
	struct registry *g = user;
	const char *both[2] = { NULL, NULL };

	if (streq(key, "images")) {
		g->images = v;
	} else if (streq(key, "images-by-tag-regex")) {
		g->by_regex = v;
	} else if (streq(key, "tls-verify") && text_of(v)) {
		g->side.tls_verify = text_of(v);
	} else if (streq(key, "cert-dir") && text_of(v)) {
		g->side.cert_dir = text_of(v);
	} else if (streq(key, "credentials")) {
		int r = for_members(l, v, on_credential, both);

		if (r)
			return r;
		free(g->creds);
		g->creds = strf("%s:%s", both[0] ? both[0] : "", both[1] ? both[1] : "");
		g->side.creds = g->creds;
		return g->creds ? 0 : EXIT_FAILURE;
	} else {
		return refuse(l, v, "this is no setting of a registry");
	}
	return 0;
}

/* Tags and digests; an empty list means all tags. */
static int on_image(struct list *l, const char *name, yaml_node_t *v, void *user)
{
	_cleanup_free_ char *all = strf("%s/%s", l->registry, name);
	const yaml_node_item_t *i;
	int r = 0;

	if (!v || v->type != YAML_SEQUENCE_NODE)
		return refuse(l, v, "this is no list of tags");
	if (v->data.sequence.items.start == v->data.sequence.items.top)
		return all ? sync_find(user, all, NULL, NULL, l->items) : EXIT_FAILURE;
	for (i = v->data.sequence.items.start; !r && i < v->data.sequence.items.top; i++) {
		const yaml_node_t *n = yaml_document_get_node(&l->doc, *i);
		const char *tag = text_of(n);
		_cleanup_free_ char *one = tag ? strf("%s/%s%c%s", l->registry, name, strchr(tag, ':') ? '@' : ':', tag) : NULL;

		r = !tag ? refuse(l, n, "this is no tag") : one ? sync_find(user, one, NULL, NULL, l->items) : EXIT_FAILURE;
	}
	return r;
}

static bool matches(void *user, const char *tag)
{
	return !regexec(user, tag, 0, NULL, 0);
}

static int on_regex(struct list *l, const char *name, yaml_node_t *v, void *user)
{
	_cleanup_free_ char *all = strf("%s/%s", l->registry, name);
	regex_t regex;
	int r;

	if (!text_of(v) || regcomp(&regex, text_of(v), REG_EXTENDED | REG_NOSUB))
		return refuse(l, v, "this is no regular expression");
	r = all ? sync_find(user, all, matches, &regex, l->items) : EXIT_FAILURE;
	regfree(&regex);
	return r;
}

static int on_registry(struct list *l, const char *name, yaml_node_t *v, void *user)
{
	struct registry g = { .creds = NULL };
	struct cimage_context *c;
	int r;

	l->registry = name;
	r = for_members(l, v, on_setting, &g);
	if (!r)
		r = sync_context(l->items, &g.side, &c);
	if (!r && g.images)
		r = for_members(l, g.images, on_image, c);
	if (!r && g.by_regex)
		r = for_members(l, g.by_regex, on_regex, c);
	if (g.creds)
		explicit_bzero(g.creds, strlen(g.creds));
	free(g.creds);
	return r;
}

int sync_find_yaml(const char *path, struct items *items)
{
	_cleanup_free_ char *text = NULL;
	struct list l = { .path = path, .items = items };
	yaml_parser_t parser;
	size_t n;
	int r = read_file(path, FILE_MAX, &text, &n);

	if (r) {
		complain("read %s: %s", path, strerror(-r));
		return EXIT_FAILURE;
	}
	if (!yaml_parser_initialize(&parser))
		return EXIT_FAILURE;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
	if (!yaml_parser_load(&parser, &l.doc)) {
		complain("%s, line %zu: %s", path, parser.problem_mark.line + 1, parser.problem ? parser.problem : "no YAML");
		yaml_parser_delete(&parser);
		return EXIT_FAILURE;
	}
	r = for_members(&l, yaml_document_get_root_node(&l.doc), on_registry, NULL);
	yaml_document_delete(&l.doc);
	yaml_parser_delete(&parser);
	return r;
}
