/* SPDX-License-Identifier: Apache-2.0 */
/* How far each part of long work is, on stderr: names, bytes done, bytes to do. */
#include <sys/ioctl.h>
#include <unistd.h>
#include <cbase/io.h>
#include "tool.h"

#define DEFAULT_ROWS 24
#define DEFAULT_COLUMNS 80

static struct bar *find(struct bars *b, const char *name)
{
	size_t i;

	for (i = 0; i < b->n; i++)
		if (streq(b->bar[i].name, name))
			return &b->bar[i];
	return NULL;
}

static struct bar *add(struct bars *b, const char *name)
{
	struct bar *all = realloc(b->bar, (b->n + 1) * sizeof(*all));

	if (!all)
		return NULL;
	b->bar = all;
	all += b->n++;
	*all = (struct bar){ 0 };
	snprintf(all->name, sizeof(all->name), "%s", name);
	return all;
}

void bars_set(struct bars *b, const char *name, int64_t done, int64_t size)
{
	_cleanup_str_ struct str safe = STR_INIT;
	struct bar *bar;
	char id[14];

	text_append_safe(&safe, name, false);
	text_short_id(safe.data ? safe.data : "", id);
	bar = find(b, id);
	if (!bar && b->n < BARS_MAX)
		bar = add(b, id);
	if (!bar)
		return;
	bar->size = size > 0 ? size : 0;
	bar->done = done < 0 ? 0 : done > bar->size ? bar->size : done;
}

void bars_done(struct bars *b)
{
	free(b->bar);
	*b = (struct bars){ 0 };
}

static void pad(struct str *out, size_t from, size_t width)
{
	while (out->len < from + width)
		str_append_char(out, ' ');
}

/* "3f4e1a2b5c6d7   1.2MB /  2.15MB  [#########           ]  56%", cut to the columns */
static void format_bar(const struct bar *l, size_t columns, struct str *out)
{
	_cleanup_str_ struct str done = STR_INIT, size = STR_INIT;
	int percent = l->size ? (int)(100 * (double)l->done / (double)l->size) : 100;
	size_t start = out->len, width, filled;

	text_size((uint64_t)l->done, &done);
	text_size((uint64_t)l->size, &size);
	str_appendf(out, "%-13s  %7s / %7s  ", l->name, done.data ? done.data : "",
		    size.data ? size.data : "");
	width = columns > out->len - start + 10 ? columns - (out->len - start) - 10 : 0;
	width = width > 40 ? 40 : width;
	if (width) {
		filled = width * (size_t)percent / 100;
		str_append_char(out, '[');
		for (size_t i = 0; i < width; i++)
			str_append_char(out, i < filled ? '#' : ' ');
		str_append(out, "]  ");
	}
	str_appendf(out, "%3d%%", percent);
	if (!out->failed && out->len - start >= columns)
		out->len = start + columns - 1;
}

static void format_sum(const struct bars *b, struct str *out)
{
	uint64_t done = 0, size = 0;
	size_t complete = 0;

	for (size_t i = 0; i < b->n; i++) {
		done += (uint64_t)b->bar[i].done;
		size += (uint64_t)b->bar[i].size;
		complete += b->bar[i].done == b->bar[i].size;
	}
	str_appendf(out, "%zu of %zu complete  ", complete, b->n);
	text_size(done, out);
	str_append(out, " / ");
	text_size(size, out);
}

int bars_draw(const struct bars *b, int rows, int columns, struct str *out)
{
	bool fits = b->n < (size_t)rows;
	int lines = !b->n ? 0 : fits ? (int)b->n : 1;

	if (b->drawn)
		str_appendf(out, "\033[%dA", b->drawn);
	for (int i = 0; i < lines; i++) {
		str_append_char(out, '\r');
		if (fits)
			format_bar(&b->bar[i], (size_t)columns, out);
		else
			format_sum(b, out);
		str_append(out, "\033[K\n");
	}
	if (lines < b->drawn)
		str_append(out, "\033[J");
	return lines;
}

void bars_lines(struct bars *b, bool all, struct str *out)
{
	for (size_t i = 0; i < b->n; i++) {
		struct bar *l = &b->bar[i];
		size_t start = out->len;

		if (l->told || (!all && l->done < l->size))
			continue;
		l->told = true;
		str_appendf(out, "%s", l->name);
		pad(out, start, 15);
		text_size((uint64_t)l->size, out);
		str_append_char(out, '\n');
	}
}

bool bars_on_terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term && *term && !streq(term, "dumb");
}

void bars_show(struct bars *b, bool complete)
{
	_cleanup_str_ struct str out = STR_INIT;
	struct winsize w = { 0 };

	for (size_t i = 0; complete && i < b->n; i++)
		b->bar[i].done = b->bar[i].size;
	if (bars_on_terminal()) {
		ioctl(STDERR_FILENO, TIOCGWINSZ, &w);
		b->drawn = bars_draw(b, w.ws_row ? w.ws_row : DEFAULT_ROWS,
				     w.ws_col ? w.ws_col : DEFAULT_COLUMNS, &out);
	} else {
		bars_lines(b, complete, &out);
	}
	if (out.len && !out.failed)
		write_all(STDERR_FILENO, out.data, out.len);
}
