/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams that are taken apart. Byte 0: 0 decompressing, 1 tar-split of an archive, 2 an archive out of a tar-split, 3 YAML.
 */
#include <cbase/digest.h>
#include <cbase/json.h>
#include "../fuzz.h"
#include "../codec_module.h"
#include "stream.h"
#include "tar_split.h"
#include "yaml_module.h"

#define OUTPUT_MAX (64u << 20)

extern const struct codec_module cimage_codec_module;
extern const struct yaml_module cimage_yaml_module;

static void drain(struct cimage_stream *s)
{
	static char buf[1 << 16];
	struct cimage_error err = { 0 };
	size_t n = 1, total = 0;
	int r = 0;

	while (!r && n && total < OUTPUT_MAX) {
		r = s->read(s, buf, sizeof(buf), &n, &err);
		total += n;
	}
	fuzz_said(r, &err);
	stream_close(s);
}

static int open_member(void *user, const char *name, struct cimage_stream **ret, struct cimage_error *err)
{
	return stream_fd(fuzz_file("hello\n", 6), ret, err);
}

static void ignore(void *user)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cimage_error err = { 0 };
	struct cimage_stream *s = NULL;
	_cleanup_json_ struct json_doc *doc = NULL;
	_cleanup_str_ struct str split = STR_INIT;
	_cleanup_free_ char *json = NULL;
	char digest[DIGEST_STR_MAX];
	int64_t total;
	size_t n;
	int r = 0, fd;

	if (!size--)
		return 0;
	switch (*data++ % 4) {
	case 0:
		require(!stream_fd(fuzz_file(data, size), &s, &err));
		r = cimage_codec_module.decompress(s, &s, &err);
		if (!r)
			drain(s);
		break;
	case 1:
		fd = fuzz_file(data, size);
		r = tar_split_make(fd, &split, digest, &total, &err);
		require(r || (split.len && total == (int64_t)size && digest_valid(digest)));
		close(fd);
		break;
	case 2:
		r = tar_split_join(memcpy(malloc(size + 1), data, size), size, open_member, NULL, ignore, &s, &err);
		if (!r)
			drain(s);
		break;
	case 3:
		r = cimage_yaml_module.to_json((const char *)data, size, &json, &n, &err);
		require(r || !json_parse(json, n, 0, &doc, NULL));
		break;
	}
	fuzz_said(r, &err);
	return 0;
}
