/* SPDX-License-Identifier: Apache-2.0 */
/* Network configurations, as lists and as single plugins, up to the documents that plugins get. */
#include "private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void plan_all(const struct cnic_network *n)
{
	static const struct call call = {
		.command = "ADD", .container_id = "c", .netns = "/n", .ifname = "e"
	};
	char *dirs[] = { (char *)(uintptr_t) "/bin", NULL };
	struct cnic c = { .o.plugin_dirs = dirs };

	for (size_t i = 0; i < n->n_plugins; i++) {
		_cleanup_plan_ struct plan plan = { 0 };
		_cleanup_json_ struct json_doc *doc = NULL;

		if (!plugin_type_valid(n->plugins[i].type) || plan_plugin(&c, n, i, &call, &plan))
			abort();
		if (json_parse(plan.input, plan.input_len, 0, &doc, NULL) ||
		    strcmp(json_get_string(json_root(doc), "name"), n->name) != 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cnic_network *list = NULL, *single = NULL;
	struct cnic_error err;

	if (network_parse_list((const char *)data, size, -1, &list, &err) == 0)
		plan_all(list);
	else if (!utf8_valid(err.message, strlen(err.message)))
		abort();
	if (network_parse_single((const char *)data, size, &single, NULL) == 0)
		plan_all(single);
	network_unref(list);
	network_unref(single);
	return 0;
}
