/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a CRI log, as the container wrote it: stdout to stdout, stderr to stderr, parts of a
 * line joined again. It takes the file in pieces of any size. What is no CRI line goes to stderr as
 * it is, so that nothing of a damaged log is hidden.
 */
#include <errno.h>
#include <unistd.h>
#include "ctl.h"

#define LINE_MAX_BYTES (16u << 20) /* a longer one is shown in pieces */
#define TAIL_BLOCK 65536

void log_view_init(struct log_view *v, bool timestamps)
{
	*v = (struct log_view){ .timestamps = timestamps,
				.file = { NULL, stdout, stderr },
				.rest = STR_INIT };
}

void log_view_done(struct log_view *v)
{
	str_done(&v->rest);
}

static void show(struct log_view *v, const char *p, size_t n)
{
	struct log_line l;
	FILE *f;

	if (!log_line_parse(p, n, &l)) {
		fwrite(p, 1, n, v->file[2]);
		fputc('\n', v->file[2]);
		return;
	}
	f = v->file[l.stream];
	if (v->timestamps && !v->within[l.stream])
		fprintf(f, "%.*s ", (int)l.time_len, l.time);
	fwrite(l.text, 1, l.len, f);
	if (!l.partial)
		fputc('\n', f);
	v->within[l.stream] = l.partial;
}

void log_view_feed(struct log_view *v, const char *p, size_t n)
{
	const char *end = p + n, *newline;

	while (p < end && (newline = memchr(p, '\n', (size_t)(end - p)))) {
		if (v->rest.len) {
			str_append_mem(&v->rest, p, (size_t)(newline - p));
			show(v, v->rest.data, v->rest.len);
			str_reset(&v->rest);
		} else {
			show(v, p, (size_t)(newline - p));
		}
		p = newline + 1;
	}
	str_append_mem(&v->rest, p, (size_t)(end - p));
	if (v->rest.len > LINE_MAX_BYTES)
		log_view_end(v);
}

void log_view_end(struct log_view *v)
{
	if (v->rest.len)
		show(v, v->rest.data, v->rest.len);
	str_reset(&v->rest);
	log_view_flush(v);
}

void log_view_flush(struct log_view *v)
{
	fflush(v->file[1]);
	fflush(v->file[2]);
}

bool log_view_failed(const struct log_view *v)
{
	return ferror(v->file[1]) || ferror(v->file[2]);
}

/* Backwards block by block, counting newlines; one at the very end begins no line. */
int log_tail_offset(int fd, long long tail, off_t *ret)
{
	char block[TAIL_BLOCK];
	off_t end = lseek(fd, 0, SEEK_END), at = end;
	ssize_t n, i;

	if (end < 0)
		return -errno;
	if (tail == 0) {
		*ret = end;
		return 0;
	}
	while (at > 0) {
		off_t from = at > TAIL_BLOCK ? at - TAIL_BLOCK : 0;

		n = pread(fd, block, (size_t)(at - from), from);
		if (n < 0)
			return -errno;
		for (i = n - 1; i >= 0; i--) {
			if (block[i] == '\n' && from + i + 1 < end && --tail == 0) {
				*ret = from + i + 1;
				return 0;
			}
		}
		at = from;
	}
	*ret = 0;
	return 0;
}
