/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar-split: a gzip stream of JSON objects, one per line. Type 2 has raw bytes of the archive, type 1
 * stands for the content of a file of the layer, with its size and CRC-64. Members and spelling are
 * those of Go's encoding/json for the struct that other programs use.
 */
#include <errno.h>
#include <cbase/json.h>
#include "tarsplit.h"

int tarsplit_init(struct tarsplit *t, int fd)
{
	*t = (struct tarsplit){ .segment = STR_INIT, .line = STR_INIT };
	return gzip_out_new(fd, &t->out);
}

void tarsplit_done(struct tarsplit *t)
{
	str_done(&t->segment);
	str_done(&t->line);
	t->out = gzip_out_free(t->out);
}

static int put_line(struct tarsplit *t)
{
	int r;

	str_appendf(&t->line, ",\"position\":%llu}\n", (unsigned long long)t->position++);
	if (str_failed(&t->line))
		return -ENOMEM;
	r = gzip_out_write(t->out, t->line.data, t->line.len);
	str_reset(&t->line);
	return r;
}

static int put_segment(struct tarsplit *t)
{
	if (!t->segment.len)
		return 0;
	str_append(&t->line, "{\"type\":2,\"payload\":\"");
	str_append_base64(&t->line, t->segment.data, t->segment.len);
	str_append(&t->line, "\"");
	str_reset(&t->segment);
	return put_line(t);
}

int tarsplit_raw(struct tarsplit *t, const void *p, size_t n)
{
	const char *at = p;
	size_t room;
	int r;

	while (n) {
		room = TARSPLIT_SEGMENT_MAX - t->segment.len;
		room = n < room ? n : room;
		str_append_mem(&t->segment, at, room);
		if (str_failed(&t->segment))
			return -ENOMEM;
		at += room;
		n -= room;
		r = t->segment.len == TARSPLIT_SEGMENT_MAX ? put_segment(t) : 0;
		if (r)
			return r;
	}
	return 0;
}

void tarsplit_content(struct tarsplit *t, const void *p, size_t n)
{
	t->crc = crc64_update(t->crc, p, n);
}

int tarsplit_member(struct tarsplit *t, const char *name, uint64_t size)
{
	size_t len = strlen(name);
	unsigned char crc[8];
	int r = put_segment(t);

	if (r)
		return r;
	str_append(&t->line, "{\"type\":1");
	if (utf8_valid(name, len)) {
		str_append(&t->line, ",\"name\":");
		json_quote(&t->line, name, len, 0);
	} else {
		str_append(&t->line, ",\"name_raw\":\"");
		str_append_base64(&t->line, name, len);
		str_append(&t->line, "\"");
	}
	if (size) {
		for (int i = 0; i < 8; i++)
			crc[i] = (unsigned char)(t->crc >> (56 - 8 * i));
		str_appendf(&t->line, ",\"size\":%llu,\"payload\":\"", (unsigned long long)size);
		str_append_base64(&t->line, crc, sizeof(crc));
		str_append(&t->line, "\"");
	} else {
		str_append(&t->line, ",\"payload\":null");
	}
	t->crc = 0;
	return put_line(t);
}

int tarsplit_finish(struct tarsplit *t)
{
	int r = put_segment(t);

	return r ? r : gzip_out_finish(t->out);
}
