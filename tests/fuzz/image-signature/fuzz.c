/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of signatures: their stored form, what they sign, and registries.d as JSON; the first byte says which. */
#include "registries_d.h"
#include "signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int r, const struct cimage_error *err)
{
	if (r && (!err->message[0] || !utf8_valid(err->message, strlen(err->message))))
		abort();
}

/* What was read is written, and read again, as the same; of envelopes in envelopes only the outer one is gone. */
static void blob(const char *p, size_t n)
{
	struct cimage_error err = { 0 };
	struct signature s, again;
	struct str out = STR_INIT;
	int r = signature_parse(p, n, &s, &err);

	check(r, &err);
	if (r)
		return;
	if (signature_format(&s, &out) || signature_parse(out.data ? out.data : "", out.len, &again, &err)) {
		/* and what is in one may begin like no message */
		if (s.kind == SIGNATURE_SIGSTORE)
			abort();
	} else {
		if (s.kind == SIGNATURE_SIGSTORE && (again.len != s.len || memcmp(again.bytes, s.bytes, s.len)))
			abort();
		signature_done(&again);
	}
	(void)signature_annotation(&s, SIGSTORE_BUNDLE);
	str_done(&out);
	signature_done(&s);
}

static void payload(enum signature_kind kind, const char *p, size_t n)
{
	struct cimage_error err = { 0 };
	struct payload one, again;
	char *text;

	if (payload_parse(kind, p, n, &one, &err)) {
		check(1, &err);
		return;
	}
	text = payload_format(kind, one.digest, one.reference, 1);
	if (!text || payload_parse(kind, text, strlen(text), &again, &err) || !streq(one.digest, again.digest))
		abort();
	payload_done(&again);
	payload_done(&one);
	free(text);
}

static void stores(const char *p, size_t n)
{
	struct registries_d *d = calloc(1, sizeof(*d));
	struct cimage_error err = { 0 };
	struct cimage_ref *ref = NULL;
	const char *url;
	bool attachments;

	if (!d || cimage_ref_parse("a.h.io:5/x/y:t", 0, &ref, NULL))
		abort();
	check(registries_d_add(d, p, n, "f", &err), &err);
	if (registries_d_find(d, ref, n & 1, &url, &attachments))
		abort();
	cimage_ref_free(ref);
	registries_d_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data + 1;

	if (!size)
		return 0;
	switch (data[0] % 4) {
	case 0:
		blob(p, size - 1);
		break;
	case 1:
		payload(SIGNATURE_SIMPLE, p, size - 1);
		break;
	case 2:
		payload(SIGNATURE_SIGSTORE, p, size - 1);
		break;
	default:
		stores(p, size - 1);
	}
	return 0;
}
