/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.so, see yaml_module.h. Aliases are written out; what that makes of a file is limited. */
#include <cbase/json.h>
#include <yaml.h>
#include "yaml_module.h"

#define DEPTH_MAX 32
#define JSON_MAX (8u << 20)

static void write_scalar(const yaml_node_t *n, bool is_key, struct str *out)
{
	static const char *const literal[] = { "true", "false", "null", "~", "True", "False", "" };
	static const char *const json[] = { "true", "false", "null", "null", "true", "false", "null" };
	const char *s = (const char *)n->data.scalar.value;
	size_t i;

	for (i = 0; !is_key && i < ARRAY_SIZE(literal); i++) {
		if (n->data.scalar.style != YAML_PLAIN_SCALAR_STYLE || !streq(s, literal[i]))
			continue;
		str_append(out, json[i]);
		return;
	}
	json_quote(out, s, n->data.scalar.length, 0);
}

static bool write_node(yaml_document_t *doc, int id, int depth, bool is_key, struct str *out)
{
	const yaml_node_t *n = yaml_document_get_node(doc, id);
	const yaml_node_pair_t *pair;
	const yaml_node_item_t *item;

	if (!n || depth > DEPTH_MAX || out->len > JSON_MAX ||
	    (is_key && n->type != YAML_SCALAR_NODE))
		return false;
	switch (n->type) {
	case YAML_SCALAR_NODE:
		write_scalar(n, is_key, out);
		return true;
	case YAML_SEQUENCE_NODE:
		str_append_char(out, '[');
		for (item = n->data.sequence.items.start; item < n->data.sequence.items.top; item++) {
			if (item > n->data.sequence.items.start)
				str_append_char(out, ',');
			if (!write_node(doc, *item, depth + 1, false, out))
				return false;
		}
		str_append_char(out, ']');
		return true;
	case YAML_MAPPING_NODE:
		str_append_char(out, '{');
		for (pair = n->data.mapping.pairs.start; pair < n->data.mapping.pairs.top; pair++) {
			if (pair > n->data.mapping.pairs.start)
				str_append_char(out, ',');
			if (!write_node(doc, pair->key, depth + 1, true, out))
				return false;
			str_append_char(out, ':');
			if (!write_node(doc, pair->value, depth + 1, false, out))
				return false;
		}
		str_append_char(out, '}');
		return true;
	case YAML_NO_NODE:
		break;
	}
	return false;
}

static int to_json(const char *text, size_t n, char **ret, size_t *ret_len, struct cimage_error *err)
{
	struct str out = STR_INIT;
	yaml_document_t doc;
	yaml_parser_t parser;
	bool good = true;

	if (!yaml_parser_initialize(&parser))
		return err_oom(err);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
	if (!yaml_parser_load(&parser, &doc)) {
		err_set(err, CIMAGE_E_INVALID, "line %zu: %s", parser.problem_mark.line + 1,
			parser.problem ? parser.problem : "not YAML");
		yaml_parser_delete(&parser);
		return CIMAGE_E_INVALID;
	}
	if (!yaml_document_get_root_node(&doc))
		str_append(&out, "null");
	else
		good = write_node(&doc, 1, 0, false, &out);
	yaml_document_delete(&doc);
	yaml_parser_delete(&parser);
	if (!good) {
		str_done(&out);
		return err_set(err, CIMAGE_E_LIMIT, "nested too deeply, too large, or with keys that "
						    "are no text");
	}
	*ret = str_take(&out, ret_len);
	return *ret ? 0 : err_oom(err);
}

PUBLIC extern const struct yaml_module cimage_yaml_module;

const struct yaml_module cimage_yaml_module = { .abi = YAML_MODULE_ABI, .to_json = to_json };
