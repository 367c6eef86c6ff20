/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check and repair. The parts run from what others are read by to what is only read: files of records,
 * references, directories of layers, their content, data of images, garbage. Each part reports what
 * it finds and, in a repair, mends it at once, so that the next part sees the mended store.
 *
 * Garbage is only removed from a store whose records are whole: what a lost record named is not garbage.
 */
#include <stdarg.h>
#include <string.h>
#include "problem.h"
#include "layer.h"

#define PROBLEMS_MAX 100000 /* a report is read by people */

struct cstore_problem {
	int kind;
	bool mended;
	char *object, *text;
};

struct cstore_report {
	struct cstore_problem **items;
	size_t count, room;
};

/* ---- reports ---- */

static void problem_free(struct cstore_problem *p)
{
	if (!p)
		return;
	free(p->object);
	free(p->text);
	free(p);
}

PUBLIC struct cstore_report *cstore_report_free(struct cstore_report *r)
{
	if (!r)
		return NULL;
	for (size_t i = 0; i < r->count; i++)
		problem_free(r->items[i]);
	free(r->items);
	free(r);
	return NULL;
}
CB_DEFINE_CLEANUP(struct cstore_report *, cstore_report_free)

PUBLIC size_t cstore_report_count(const struct cstore_report *r)
{
	return r ? r->count : 0;
}

PUBLIC const struct cstore_problem *cstore_report_get(const struct cstore_report *r, size_t i)
{
	return r && i < r->count ? r->items[i] : NULL;
}

PUBLIC int cstore_problem_kind(const struct cstore_problem *p)
{
	return p->kind;
}
PUBLIC const char *cstore_problem_object(const struct cstore_problem *p)
{
	return p->object;
}
PUBLIC const char *cstore_problem_text(const struct cstore_problem *p)
{
	return p->text;
}
PUBLIC int cstore_problem_mended(const struct cstore_problem *p)
{
	return p->mended;
}

/* Names of files are in it: whatever bytes they are, it becomes one line of UTF-8. */
static char *one_line(const char *text)
{
	_cleanup_str_ struct str s = STR_INIT;

	str_append_utf8(&s, text, strlen(text));
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.data[i] < 0x20 || s.data[i] == 0x7f)
			s.data[i] = '?';
	return str_take(&s, NULL);
}

static int add(struct cstore_report *r, struct cstore_problem *p)
{
	struct cstore_problem **bigger;
	size_t room = r->room ? 2 * r->room : 16;

	if (r->count == r->room) {
		bigger = realloc(r->items, room * sizeof(struct cstore_problem *));
		if (!bigger)
			return -ENOMEM;
		r->items = bigger;
		r->room = room;
	}
	r->items[r->count++] = p;
	return 0;
}

void check_report(struct check *c, int kind, bool mended, const char *object, const char *fmt, ...)
{
	_cleanup_str_ struct str text = STR_INIT;
	struct cstore_problem *p;
	va_list ap;

	if (c->report->count == PROBLEMS_MAX)
		return;
	va_start(ap, fmt);
	str_vappendf(&text, fmt, ap);
	va_end(ap);
	p = calloc(1, sizeof(*p));
	if (p) {
		p->kind = kind;
		p->mended = mended;
		p->object = one_line(object);
		p->text = str_failed(&text) ? NULL : one_line(text.data);
	}
	if (!p || !p->object || !p->text || add(c->report, p)) {
		problem_free(p);
		c->failed = -ENOMEM;
	}
}

void check_broken(struct check *c, const char *layer)
{
	if (!strv_has(c->broken, layer) && strv_push(&c->broken, layer))
		c->failed = -ENOMEM;
}

void check_take_back(struct check *c, size_t count, const char *layer)
{
	size_t kept = 0;

	while (c->report->count > count)
		problem_free(c->report->items[--c->report->count]);
	for (size_t i = 0; c->broken && c->broken[i]; i++) {
		if (streq(c->broken[i], layer))
			free(c->broken[i]);
		else
			c->broken[kept++] = c->broken[i];
	}
	if (c->broken)
		c->broken[kept] = NULL;
}

int check_cancelled(const struct check *c, struct cstore_error *err)
{
	const int *cancel = c->options->cancel;

	return cancel && *(const volatile int *)cancel
		       ? err_set(err, CSTORE_E_CANCELLED, "cancelled")
		       : 0;
}

/* ---- what is left ---- */

static bool sound(const struct check *c)
{
	for (size_t i = 0; i < c->report->count; i++)
		if (c->report->items[i]->kind <= CSTORE_PROBLEM_REFERENCE)
			return false;
	return true;
}

static int report_unrecorded(struct check *c, struct records *r, const char *dir, const char *suffix,
			     char ***found, struct cstore_error *err)
{
	size_t known = strv_len(*found);
	int e = find_unrecorded(r, dir, suffix, found, err);

	for (size_t i = known; i < strv_len(*found) && !e; i++)
		check_report(c, CSTORE_PROBLEM_GARBAGE, c->mend && sound(c), dir,
			     "%s has no record", (*found)[i]);
	return e;
}

static int find_garbage(struct check *c, struct cstore_error *err)
{
	struct cstore *s = c->store;
	const struct place *images = &s->places[s->image_place];
	_cleanup_free_ char *layers = strf("%s%s", images->home, s->driver == &driver_vfs ? "/dir" : "");
	const struct {
		struct records *records;
		const char *dirs[2], *suffix;
	} kinds[] = {
		{ &s->layers, { layers, s->layers_dir }, TAR_SPLIT },
		{ &s->layers, { s->image_place ? s->home : NULL }, NULL },
		{ &s->images, { images->images_dir }, NULL },
		{ &s->containers, { s->containers_dir, s->run_containers_dir }, NULL },
	};
	int r;

	if (!layers)
		return err_oom(err);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		_cleanup_strv_ char **found = NULL;

		r = kinds[i].records == &s->layers ? layers_lock(s, LOCK_SHARED, err)
						   : records_lock(kinds[i].records, LOCK_SHARED, err);
		for (size_t d = 0; d < 2 && kinds[i].dirs[d] && !r; d++)
			r = report_unrecorded(c, kinds[i].records, kinds[i].dirs[d],
					      kinds[i].suffix, &found, err);
		if (r)
			return r;
		records_unlock(kinds[i].records);
	}
	return 0;
}

static int check_garbage(struct check *c, struct cstore_error *err)
{
	int r = find_garbage(c, err);

	return r || !c->mend || !sound(c) ? r : cstore_collect_garbage(c->store, err);
}

/* Does the image stand on a layer that is beyond repair? */
static bool is_broken(struct check *c, const char *top)
{
	_cleanup_free_ char *id = strdup(top);
	struct json *layer;
	const char *parent;
	bool found = false;

	if (!id || layers_lock(c->store, LOCK_SHARED, NULL))
		return false;
	for (int i = 0; i < LOWERS_MAX && !found; i++) {
		found = strv_has(c->broken, id) || layer_get(c->store, id, &layer, NULL);
		parent = found ? NULL : json_get_string(layer, "parent");
		if (!parent || strlen(parent) != ID_LEN)
			break;
		strcpy(id, parent);
	}
	records_unlock(&c->store->layers);
	return found;
}

/* Images that can only be pulled again. */
static int discard_broken(struct check *c, struct cstore_error *err)
{
	struct cstore_image_list *images = NULL;
	struct cstore_error why;
	int r = cstore_image_list(c->store, &images, err);

	for (size_t i = 0; i < cstore_image_list_count(images) && !r; i++) {
		const struct cstore_image *image = cstore_image_list_get(images, i);
		_cleanup_free_ char *object = strf("image %s", cstore_image_id(image));
		const char *top = cstore_image_top_layer(image);
		int e;

		if (!object)
			r = err_oom(err);
		if (r || (!strv_has(c->spoilt, cstore_image_id(image)) && (!*top || !is_broken(c, top))))
			continue;
		e = c->options->discard
			    ? cstore_image_delete(c->store, cstore_image_id(image), &why)
			    : CSTORE_E_DAMAGED;
		check_report(c, CSTORE_PROBLEM_REFERENCE, e == 0, object,
			     "it has damaged layers or data%s%s", e ? "" : ": deleted",
			     c->options->discard && e ? ", and cannot be deleted" : "");
	}
	cstore_image_list_free(images);
	return r;
}

static int run(struct check *c, struct cstore_error *err)
{
	static int (*const parts[])(struct check *, struct cstore_error *) = {
		check_records, check_directories, check_content, check_data,
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(parts) && !r; i++) {
		r = check_cancelled(c, err);
		if (!r)
			r = parts[i](c, err);
		if (c->unreadable) /* the rest would only say that it cannot read this */
			return r;
	}
	if (!r)
		r = check_garbage(c, err);
	if (!r && c->mend && (c->broken || c->spoilt))
		r = discard_broken(c, err);
	return r || !c->failed ? r : err_oom(err);
}

static int check(struct cstore *s, const struct cstore_check_options *o, bool mend,
		 struct cstore_report **ret, struct cstore_error *err)
{
	static const struct cstore_check_options defaults = { .size = sizeof(defaults) };
	_cleanup_(cstore_report_freep) struct cstore_report *report = calloc(1, sizeof(*report));
	struct check c = { .store = s, .options = o ? o : &defaults, .mend = mend };
	int r;

	if (!s || !ret || c.options->size != sizeof(*o))
		return err_sysr(err, -EINVAL, "check store");
	if (!report)
		return err_oom(err);
	c.report = report;
	r = run(&c, err);
	strv_free(c.broken);
	strv_free(c.spoilt);
	if (r)
		return err_ctx(err, r, "%s store %s", mend ? "repair" : "check", s->graph_root);
	*ret = take(report);
	return 0;
}

PUBLIC int cstore_check(struct cstore *s, const struct cstore_check_options *o,
			struct cstore_report **ret, struct cstore_error *err)
{
	return check(s, o, false, ret, err);
}

PUBLIC int cstore_repair(struct cstore *s, const struct cstore_check_options *o,
			 struct cstore_report **ret, struct cstore_error *err)
{
	return check(s, o, true, ret, err);
}
