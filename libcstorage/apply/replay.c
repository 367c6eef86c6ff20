/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads tar-split entries one after the other: raw bytes come out as they are, and for a file its content,
 * whose checksum is compared at its end. A file that is not there does not stop the reading: what is missing
 * becomes zeros, so that everything behind it can still be looked at.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cbase/json.h>
#include "replay.h"

int replay_init(struct replay *r, int split_fd, struct cstore_error *err)
{
	*r = (struct replay){ .job = { .blob_fd = split_fd }, .line = STR_INIT, .fd = -1 };
	return stream_init(&r->in, &r->job, err);
}

void replay_done(struct replay *r)
{
	stream_done(&r->in);
	str_done(&r->line);
	free(r->raw);
	free(r->name);
	close_fd(r->fd);
}

static int damaged(struct cstore_error *err, const char *why)
{
	return err_set(err, CSTORE_E_DAMAGED, "tar-split: %s", why);
}

/* One line into r->line, without its end; nothing at the end of the file. */
static int read_line(struct replay *r, struct cstore_error *err)
{
	const uint8_t *p, *end;
	size_t n;
	int e;

	str_reset(&r->line);
	do {
		e = stream_peek(&r->in, &p, &n, err);
		if (e)
			return e > 0 ? damaged(err, "it cannot be unpacked") : e;
		if (!n) {
			r->eof = r->line.len == 0;
			return r->eof ? 0 : damaged(err, "it is cut off");
		}
		end = memchr(p, '\n', n);
		n = end ? (size_t)(end - p) : n;
		str_append_mem(&r->line, p, n);
		stream_consume(&r->in, end ? n + 1 : n);
		if (str_failed(&r->line))
			return err_oom(err);
		if (r->line.len > REPLAY_LINE_MAX)
			return damaged(err, "an entry is too long");
	} while (!end);
	return 0;
}

static int decode(const char *text, char **ret, size_t *ret_len, struct cstore_error *err)
{
	int e = base64_decode(text ? text : "", text ? strlen(text) : 0, ret, ret_len);

	return e == -ENOMEM ? err_oom(err) : e ? damaged(err, "an entry is no base64") : 0;
}

static void lost(struct replay *r, const char *what)
{
	if (!r->bad && r->damaged)
		r->damaged(r->user, r->name, what);
	r->bad = true;
}

static int start_file(struct replay *r, const struct json *entry, struct cstore_error *err)
{
	const char *raw = json_get_string(entry, "name_raw"), *text = json_get_string(entry, "name");
	_cleanup_free_ char *crc = NULL;
	int64_t size = json_get_int(entry, "size", 0);
	size_t n = 0;
	int e;

	free(take(r->name));
	if (!raw && !text)
		return damaged(err, "a file has no name");
	e = raw ? decode(raw, &r->name, &n, err) : 0;
	if (!raw && !(r->name = strdup(text)))
		return err_oom(err);
	if (!e && raw && strlen(r->name) != n)
		return damaged(err, "a name has a NUL");
	if (e || size <= 0)
		return e || !size ? e : damaged(err, "a size is negative");
	e = decode(json_get_string(entry, "payload"), &crc, &n, err);
	if (e)
		return e;
	if (n != 8)
		return damaged(err, "a checksum has not eight bytes");
	r->want_crc = 0;
	for (int i = 0; i < 8; i++)
		r->want_crc = r->want_crc << 8 | (unsigned char)crc[i];
	r->size = r->left = (uint64_t)size;
	r->crc = 0;
	r->bad = false;
	r->fd = r->open(r->user, r->name, r->size);
	if (r->fd == -ENOMEM)
		return err_oom(err);
	if (r->fd < 0)
		lost(r, r->fd == -ENOENT ? "it is missing" : "it cannot be opened as a file");
	return 0;
}

static int start_entry(struct replay *r, struct cstore_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	int64_t type;
	int e = read_line(r, err);

	if (e || r->eof)
		return e;
	e = json_parse(r->line.data, r->line.len, 0, &doc, NULL);
	if (e)
		return e == -ENOMEM ? err_oom(err) : damaged(err, "an entry is no JSON");
	type = json_get_int(json_root(doc), "type", 0);
	if (type == 1)
		return start_file(r, json_root(doc), err);
	if (type != 2)
		return damaged(err, "an entry is of unknown type");
	free(take(r->raw));
	r->raw_at = 0;
	return decode(json_get_string(json_root(doc), "payload"), &r->raw, &r->raw_len, err);
}

static void finish_file(struct replay *r)
{
	struct stat st;

	if (r->crc != r->want_crc)
		lost(r, "its content is altered");
	else if (r->fd >= 0 && (fstat(r->fd, &st) < 0 || (uint64_t)st.st_size != r->size))
		lost(r, "it is longer than it was");
	r->fd = close_fd(r->fd);
}

static int read_file_part(struct replay *r, void *p, size_t n, size_t *ret_got, struct cstore_error *err)
{
	ssize_t k = 0;

	n = r->left < n ? (size_t)r->left : n;
	if (r->fd >= 0 && !r->bad) {
		do {
			k = read(r->fd, p, n);
		} while (k < 0 && errno == EINTR);
		if (k < 0 && errno == ENOMEM)
			return err_oom(err);
		if (k <= 0)
			lost(r, k < 0 ? "it cannot be read" : "it is shorter than it was");
	}
	if (k <= 0) {
		memset(p, 0, n);
		k = (ssize_t)n;
	} else {
		r->crc = crc64_update(r->crc, p, (size_t)k);
	}
	r->left -= (uint64_t)k;
	if (!r->left)
		finish_file(r);
	*ret_got = (size_t)k;
	return 0;
}

int replay_read(struct replay *r, void *p, size_t n, size_t *ret_got, struct cstore_error *err)
{
	int e;

	while (r->raw_at == r->raw_len && !r->left && !r->eof) {
		e = start_entry(r, err);
		if (e)
			return e;
	}
	if (r->left)
		return read_file_part(r, p, n, ret_got, err);
	n = r->raw_len - r->raw_at < n ? r->raw_len - r->raw_at : n;
	if (n)
		memcpy(p, r->raw + r->raw_at, n);
	r->raw_at += n;
	*ret_got = n;
	return 0;
}
