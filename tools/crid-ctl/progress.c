/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The progress of a pull, on stderr. CRI has no field for it, so a thread asks crid for it besides the
 * call: /crid/pulls?after=N is answered when something changed. Any other server answers
 * something else, and nothing is shown.
 *
 * On a terminal there is a line per layer, drawn again on each change; otherwise a line for each
 * layer that is complete.
 */
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <cbase/io.h>
#include "ctl.h"
#include "progress.h"

#define DEFAULT_ROWS 24
#define DEFAULT_COLUMNS 80

struct progress {
	pthread_t thread;
	const char *endpoint, *image;
	int stop_fd;
	bool terminal;
	struct progress_layers layers;
	int drawn; /* lines above the cursor */
};

/* ---- what is known ---- */

static struct progress_layer *find(struct progress_layers *ls, const char *name)
{
	size_t i;

	for (i = 0; i < ls->n; i++)
		if (streq(ls->layer[i].name, name))
			return &ls->layer[i];
	return NULL;
}

static struct progress_layer *add(struct progress_layers *ls, const char *name)
{
	struct progress_layer *all = realloc(ls->layer, (ls->n + 1) * sizeof(*all));

	if (!all)
		return NULL;
	ls->layer = all;
	all += ls->n++;
	*all = (struct progress_layer){ 0 };
	snprintf(all->name, sizeof(all->name), "%s", name);
	return all;
}

static void take_layer(struct progress_layers *ls, const struct json *v)
{
	_cleanup_str_ struct str safe = STR_INIT;
	const char *digest = json_get_string(v, "layer");
	int64_t done = json_get_int(v, "done", 0), size = json_get_int(v, "size", 0);
	struct progress_layer *l;
	char name[14];

	if (!digest)
		return;
	text_append_safe(&safe, digest, false);
	text_short_id(safe.data ? safe.data : "", name);
	l = find(ls, name);
	if (!l && ls->n < PROGRESS_LAYERS_MAX)
		l = add(ls, name);
	if (!l)
		return;
	l->size = size > 0 ? size : 0;
	l->done = done < 0 ? 0 : done > l->size ? l->size : done;
}

bool progress_parse(const char *text, size_t n, const char *image, struct progress_layers *layers,
		    int64_t *ret_version)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	const struct json *pulls;

	if (json_parse(text, n, 0, &doc, NULL))
		return false;
	pulls = json_get(json_root(doc), "pulls");
	if (!pulls || json_int(json_get(json_root(doc), "version"), ret_version))
		return false;
	json_foreach(pull, pulls) {
		const char *name = json_get_string(pull, "image");

		if (!name || !streq(name, image))
			continue;
		json_foreach(l, json_get(pull, "layers"))
			take_layer(layers, l);
	}
	return true;
}

void progress_layers_done(struct progress_layers *layers)
{
	free(layers->layer);
	*layers = (struct progress_layers){ 0 };
}

/* ---- as text ---- */

static void pad(struct str *out, size_t from, size_t width)
{
	while (out->len < from + width)
		str_append_char(out, ' ');
}

/* "3f4e1a2b5c6d7   1.2MB /  2.15MB  [#########           ]  56%", cut to the columns */
static void format_bar(const struct progress_layer *l, size_t columns, struct str *out)
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

static void format_sum(const struct progress_layers *ls, struct str *out)
{
	uint64_t done = 0, size = 0;
	size_t complete = 0;

	for (size_t i = 0; i < ls->n; i++) {
		done += (uint64_t)ls->layer[i].done;
		size += (uint64_t)ls->layer[i].size;
		complete += ls->layer[i].done == ls->layer[i].size;
	}
	str_appendf(out, "%zu of %zu layers  ", complete, ls->n);
	text_size(done, out);
	str_append(out, " / ");
	text_size(size, out);
}

int progress_draw(const struct progress_layers *ls, int rows, int columns, int drawn,
		  struct str *out)
{
	bool fits = ls->n < (size_t)rows;
	int lines = !ls->n ? 0 : fits ? (int)ls->n : 1;

	if (drawn)
		str_appendf(out, "\033[%dA", drawn);
	for (int i = 0; i < lines; i++) {
		str_append_char(out, '\r');
		if (fits)
			format_bar(&ls->layer[i], (size_t)columns, out);
		else
			format_sum(ls, out);
		str_append(out, "\033[K\n");
	}
	if (lines < drawn)
		str_append(out, "\033[J");
	return lines;
}

void progress_lines(struct progress_layers *ls, bool all, struct str *out)
{
	for (size_t i = 0; i < ls->n; i++) {
		struct progress_layer *l = &ls->layer[i];
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

/* ---- showing ---- */

static void show(struct progress *p, bool all)
{
	_cleanup_str_ struct str out = STR_INIT;
	struct winsize w = { 0 };

	for (size_t i = 0; all && i < p->layers.n; i++)
		p->layers.layer[i].done = p->layers.layer[i].size;
	if (p->terminal) {
		ioctl(STDERR_FILENO, TIOCGWINSZ, &w);
		p->drawn = progress_draw(&p->layers, w.ws_row ? w.ws_row : DEFAULT_ROWS,
					 w.ws_col ? w.ws_col : DEFAULT_COLUMNS, p->drawn, &out);
	} else {
		progress_lines(&p->layers, all, &out);
	}
	if (out.len && !out.failed)
		write_all(STDERR_FILENO, out.data, out.len);
}

static void *watch(void *user)
{
	struct progress *p = user;
	char path[64] = "/crid/pulls";
	int64_t version;

	for (;;) {
		_cleanup_str_ struct str answer = STR_INIT;

		if (http_get(p->endpoint, path, p->stop_fd, &answer) || !answer.data ||
		    !progress_parse(answer.data, answer.len, p->image, &p->layers, &version))
			return NULL;
		show(p, false);
		snprintf(path, sizeof(path), "/crid/pulls?after=%lld", (long long)version);
	}
}

static bool is_terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term && *term && !streq(term, "dumb");
}

struct progress *progress_start(const struct ctl *c, const char *image, bool lines)
{
	bool terminal = is_terminal();
	struct progress *p;

	if (c->quiet || c->json || (!terminal && !lines))
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->endpoint = c->endpoint;
	p->image = image;
	p->terminal = terminal;
	p->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (p->stop_fd < 0 || pthread_create(&p->thread, NULL, watch, p)) {
		close_fd(p->stop_fd);
		free(p);
		return NULL;
	}
	return p;
}

void progress_stop(struct progress *p, bool complete)
{
	static const uint64_t one = 1;

	if (!p)
		return;
	if (write(p->stop_fd, &one, sizeof(one)) < 0)
		return; /* cannot be; then the thread may go on */
	pthread_join(p->thread, NULL);
	if (complete)
		show(p, true);
	progress_layers_done(&p->layers);
	close_fd(p->stop_fd);
	free(p);
}
