/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One signature as bytes, see signature.h. Simple signatures have no marker of their own: the first
 * byte of an OpenPGP message tells them (RFC 4880, 4.2: compressed data, one-pass signature,
 * signature). Nothing here says whether a signature is right.
 */
#include <cbase/json.h>
#include "signature.h"

#define FORMAT_SIMPLE "simple-signing"
#define FORMAT_SIGSTORE "sigstore-json"

void signature_done(struct signature *s)
{
	free(s->bytes);
	free(s->media_type);
	strv_free(s->annotations);
	*s = (struct signature){ 0 };
}

const char *signature_annotation(const struct signature *s, const char *key)
{
	size_t i;

	for (i = 0; s->annotations && s->annotations[i]; i += 2)
		if (streq(s->annotations[i], key))
			return s->annotations[i + 1];
	return NULL;
}

static int copy_bytes(struct signature *s, const char *p, size_t n)
{
	s->bytes = malloc(n + 1);
	if (!s->bytes)
		return -ENOMEM;
	memcpy(s->bytes, p, n);
	s->bytes[n] = '\0';
	s->len = n;
	return 0;
}

/* Other text would be another one when it is written again. */
static bool is_text(const char *s)
{
	return s && utf8_valid(s, strlen(s));
}

static int read_annotations(const struct json *v, struct signature *s, struct cimage_error *err)
{
	json_foreach(item, v) {
		if (!is_text(json_string(item)) || !is_text(item->key))
			return err_set(err, CIMAGE_E_INVALID, "annotation \"%s\" is not a string",
				       SHOW(item->key));
		if (strv_push(&s->annotations, item->key) ||
		    strv_push(&s->annotations, json_string(item)))
			return err_oom(err);
	}
	return 0;
}

static int read_sigstore(const char *text, size_t n, struct signature *s, struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	const struct json *root, *annotations;
	const char *payload, *type;
	int r = json_parse(text, n, JSON_UNIQUE_KEYS, &doc, NULL);

	if (r == -ENOMEM)
		return err_oom(err);
	root = doc ? json_root(doc) : NULL;
	payload = json_get_string(root, "payload");
	type = json_get_string(root, "mimeType");
	annotations = json_get(root, "annotations");
	if (!payload || !is_text(type) || (annotations && annotations->type != JSON_OBJECT))
		return err_set(err, CIMAGE_E_INVALID, "not the JSON of a sigstore signature");
	r = base64_decode(payload, strlen(payload), &s->bytes, &s->len);
	if (r == -EINVAL)
		return err_set(err, CIMAGE_E_INVALID, "the payload is not base64");
	s->media_type = strdup(type);
	if (r || !s->media_type)
		return err_oom(err);
	return read_annotations(annotations, s, err);
}

static bool is_openpgp(unsigned char first)
{
	static const unsigned char firsts[] = { 0xa0, 0xa1, 0xa2, 0xa3, 0xc8, 0x90, 0x91, 0x92,
						0x3d, 0xc4, 0x88, 0x89, 0x8a, 0x8b, 0xc2 };

	return memchr(firsts, first, sizeof(firsts));
}

static bool has_format(const char *bytes, size_t n, const char *name, size_t *ret_skip)
{
	size_t len = strlen(name);

	*ret_skip = len + 2;
	return n >= len + 2 && !bytes[0] && !memcmp(bytes + 1, name, len) && bytes[len + 1] == '\n';
}

int signature_parse(const char *bytes, size_t n, struct signature *ret, struct cimage_error *err)
{
	struct signature s = { .kind = SIGNATURE_SIMPLE };
	size_t skip;
	int r;

	if (n > SIGNATURE_BYTES_MAX)
		return err_set(err, CIMAGE_E_LIMIT, "signature: larger than %u bytes",
			       SIGNATURE_BYTES_MAX);
	if (n && is_openpgp((unsigned char)bytes[0])) {
		r = copy_bytes(&s, bytes, n) ? err_oom(err) : 0;
	} else if (has_format(bytes, n, FORMAT_SIMPLE, &skip)) {
		r = copy_bytes(&s, bytes + skip, n - skip) ? err_oom(err) : 0;
	} else if (has_format(bytes, n, FORMAT_SIGSTORE, &skip)) {
		s.kind = SIGNATURE_SIGSTORE;
		r = read_sigstore(bytes + skip, n - skip, &s, err);
	} else {
		r = err_set(err, CIMAGE_E_INVALID, "unknown format");
	}
	if (r) {
		signature_done(&s);
		return err_ctx(err, r, "signature");
	}
	*ret = s;
	return 0;
}

int signature_format(const struct signature *s, struct str *out)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	_cleanup_str_ struct str b64 = STR_INIT;
	struct json *annotations;
	size_t i;

	if (s->kind == SIGNATURE_SIMPLE) {
		str_append_mem(out, s->bytes, s->len);
		return str_failed(out) ? -ENOMEM : 0;
	}
	doc = json_doc_new();
	str_append_base64(&b64, s->bytes, s->len);
	if (!doc || str_failed(&b64))
		return -ENOMEM;
	json_set_string(doc, json_root(doc), "mimeType", s->media_type);
	json_set_string(doc, json_root(doc), "payload", b64.data ? b64.data : "");
	annotations = json_set_object(doc, json_root(doc), "annotations");
	for (i = 0; s->annotations && s->annotations[i]; i += 2)
		json_set_string(doc, annotations, s->annotations[i], s->annotations[i + 1]);
	str_append_mem(out, "\0" FORMAT_SIGSTORE "\n", sizeof("\0" FORMAT_SIGSTORE "\n") - 1);
	return json_format(doc, json_root(doc), 0, out);
}
