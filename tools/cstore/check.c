/* SPDX-License-Identifier: Apache-2.0 */
/* Looking for damage, and mending it. */
#include "cstore_tool.h"

static bool opt_quick, opt_discard;

static void show(void *user, uint64_t done, uint64_t layers)
{
	work_show(user, "layers", done, layers);
}

static const char *problem_name(int kind)
{
	static const char *const names[] = {
		[CSTORE_PROBLEM_RECORDS] = "records",	  [CSTORE_PROBLEM_REFERENCE] = "reference",
		[CSTORE_PROBLEM_DIRECTORY] = "directory", [CSTORE_PROBLEM_CONTENT] = "content",
		[CSTORE_PROBLEM_ATTRIBUTES] = "attributes", [CSTORE_PROBLEM_DATA] = "data",
		[CSTORE_PROBLEM_GARBAGE] = "garbage",
	};

	return kind > 0 && (size_t)kind < ARRAY_SIZE(names) && names[kind] ? names[kind] : "other";
}

static int print_json(const struct cstore_report *report)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	struct json *array;

	if (!doc) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	array = json_new_array(doc);
	json_set_root(doc, array);
	for (size_t i = 0; i < cstore_report_count(report); i++) {
		const struct cstore_problem *p = cstore_report_get(report, i);
		struct json *o = json_new_object(doc);

		json_set_string(doc, o, "kind", problem_name(cstore_problem_kind(p)));
		json_set_string(doc, o, "object", cstore_problem_object(p));
		json_set_string(doc, o, "problem", cstore_problem_text(p));
		json_set_bool(doc, o, "mended", cstore_problem_mended(p));
		json_append(doc, array, o);
	}
	return json_print(doc);
}

static int print_table(const struct cstore_report *report)
{
	static const char *const header[] = { "KIND", "OBJECT", "PROBLEM", "MENDED" };
	struct table table;

	if (!cstore_report_count(report))
		return EXIT_SUCCESS;
	table_init(&table, ARRAY_SIZE(header), header);
	for (size_t i = 0; i < cstore_report_count(report); i++) {
		const struct cstore_problem *p = cstore_report_get(report, i);
		_cleanup_str_ struct str object = STR_INIT, text = STR_INIT;

		text_append_safe(&object, cstore_problem_object(p), false);
		text_append_safe(&text, cstore_problem_text(p), false);
		table_add(&table, problem_name(cstore_problem_kind(p)));
		table_add(&table, object.data ? object.data : "");
		table_add(&table, text.data ? text.data : "");
		table_add(&table, cstore_problem_mended(p) ? "yes" : "no");
	}
	return table_print(&table, stdout);
}

/* What is wrong with a thing that was discarded is wrong no more. */
static bool settled(struct tool *t, const struct cstore_problem *p)
{
	const char *object = cstore_problem_object(p);
	struct cstore_layer *layer = NULL;
	struct cstore_image *image = NULL;
	int r = 0;

	if (cstore_problem_mended(p))
		return true;
	if (str_starts(object, "layer "))
		r = cstore_layer_lookup(t->store, object + 6, &layer, NULL);
	else if (str_starts(object, "image "))
		r = cstore_image_lookup(t->store, object + 6, &image, NULL);
	cstore_layer_free(layer);
	cstore_image_free(image);
	return r == CSTORE_E_NOT_FOUND;
}

/* The status says whether something is wrong with the store now. */
static int judge(struct tool *t, const struct cstore_report *report, bool repair)
{
	size_t n = cstore_report_count(report), open = 0;
	int r = t->json ? print_json(report) : print_table(report);

	for (size_t i = 0; i < n; i++)
		open += !settled(t, cstore_report_get(report, i));
	if (open && !repair)
		complain("%zu problem%s; \"cstore repair\" mends what can be mended", open,
			 open == 1 ? "" : "s");
	else if (open)
		complain("%zu problem%s left; --discard deletes images whose content is lost, "
			 "so that they can be pulled again", open, open == 1 ? "" : "s");
	return r ? r : open ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(struct tool *t, bool repair)
{
	struct cstore_check_options o = { .size = sizeof(o), .quick = opt_quick, .discard = opt_discard };
	struct cstore_report *report = NULL;
	struct cstore_error err = { 0 };
	struct work work;
	int r = work_start(&work, repair ? "what was mended stays so" : "nothing is left behind");

	if (r)
		return r;
	o.progress = show;
	o.user = &work;
	o.cancel = &work.cancel;
	r = repair ? cstore_repair(t->store, &o, &report, &err) : cstore_check(t->store, &o, &report, &err);
	work_done(&work);
	r = r ? failed(r, &err) : judge(t, report, repair);
	cstore_report_free(report);
	return r;
}

static int run_check(void *user, int argc, char **argv)
{
	return run(user, false);
}

static int run_repair(void *user, int argc, char **argv)
{
	return run(user, true);
}

static const struct opt check_options[] = {
	{ 0, "quick", OPT_FLAG, &opt_quick, NULL, "records and directories only, not the content of layers" },
	{ 0 },
};
static const struct opt repair_options[] = {
	{ 0, "quick", OPT_FLAG, &opt_quick, NULL, "records and directories only, not the content of layers" },
	{ 0, "discard", OPT_FLAG, &opt_discard, NULL, "delete images that cannot be mended and no container uses" },
	{ 0 },
};

const struct command cmd_check = {
	.name = "check", .args = "", .summary = "look for damage in records, directories and content",
	.details = "Exits with 1 when something is wrong.", .options = check_options, .run = run_check,
};
const struct command cmd_repair = {
	.name = "repair", .args = "", .summary = "mend what check finds", .options = repair_options, .run = run_repair,
	.details = "Damaged records are set aside, not dropped. Exits with 1 when something is left.",
};
