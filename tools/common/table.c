/* SPDX-License-Identifier: Apache-2.0 */
/* Aligned columns. A column is as wide as its widest cell, counted in characters, not bytes. */
#include <errno.h>
#include "tool.h"

#define GAP 3 /* spaces between columns */

void table_init(struct table *t, size_t columns, const char *const *header)
{
	size_t i;

	*t = (struct table){ .columns = columns };
	for (i = 0; i < columns; i++)
		table_add(t, header[i]);
}

void table_done(struct table *t)
{
	t->cells = strv_free(t->cells);
}

void table_add(struct table *t, const char *cell)
{
	_cleanup_str_ struct str s = STR_INIT;

	text_append_safe(&s, cell, false);
	if (strv_take(&t->cells, str_take(&s, NULL)))
		t->failed = true;
}

void table_addf(struct table *t, const char *fmt, ...)
{
	_cleanup_str_ struct str s = STR_INIT;
	va_list ap;

	va_start(ap, fmt);
	str_vappendf(&s, fmt, ap);
	va_end(ap);
	if (str_failed(&s))
		t->failed = true;
	else
		table_add(t, s.data ? s.data : "");
}

static size_t width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static size_t column_width(const struct table *t, size_t column)
{
	size_t i, w, widest = 0, n = strv_len(t->cells);

	for (i = column; i < n; i += t->columns) {
		w = width(t->cells[i]);
		if (w > widest)
			widest = w;
	}
	return widest;
}

int table_format(const struct table *t, struct str *out)
{
	_cleanup_free_ size_t *widths = calloc(t->columns, sizeof(*widths));
	size_t i, n = strv_len(t->cells), pad, blanks = 0;

	if (!widths || t->failed)
		return -ENOMEM;
	for (i = 0; i < t->columns; i++)
		widths[i] = column_width(t, i);
	for (i = 0; i < n; i++) {
		if (*t->cells[i]) /* blanks at the end of a line are never written */
			for (; blanks; blanks--)
				str_append_char(out, ' ');
		str_append(out, t->cells[i]);
		pad = widths[i % t->columns] - width(t->cells[i]) + GAP;
		blanks += pad;
		if ((i + 1) % t->columns == 0) {
			str_append_char(out, '\n');
			blanks = 0;
		}
	}
	return str_failed(out) ? -ENOMEM : 0;
}

int table_print(struct table *t, FILE *f)
{
	_cleanup_str_ struct str out = STR_INIT;
	int r = table_format(t, &out);

	table_done(t);
	if (r) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	fputs(out.data ? out.data : "", f);
	return EXIT_SUCCESS;
}
