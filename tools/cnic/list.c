/* SPDX-License-Identifier: Apache-2.0 */
/* list, status, gc: networks, and what is attached to them. */
#include "cnic_tool.h"

static bool attachments, all;
static char **keep;

/* ---- list ---- */

static const struct opt list_options[] = {
	{ 'a', "attachments", OPT_FLAG, &attachments, NULL, "list what is attached, from the cache" },
	{ 0 },
};

static void join(struct str *s, const struct cnic_network *n,
		 const char *(*get)(const struct cnic_network *, size_t))
{
	const char *one;

	for (size_t i = 0; (one = get(n, i)); i++)
		str_appendf(s, "%s%s", i ? "," : "", one);
}

static void put_list(struct json_doc *doc, struct json *to, const char *key, const struct cnic_network *n,
		     const char *(*get)(const struct cnic_network *, size_t))
{
	struct json *list = json_set_array(doc, to, key);
	const char *one;

	for (size_t i = 0; (one = get(n, i)); i++)
		json_append_string(doc, list, one);
}

static int networks_json(struct cnic_network *const *v, const char *standard)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	struct json *list = doc ? json_set_array(doc, json_root(doc), "networks") : NULL;

	for (; list && *v; v++) {
		struct json *e = json_new_object(doc);

		json_set_string(doc, e, "name", cnic_network_name(*v));
		json_set_bool(doc, e, "default", standard && streq(standard, cnic_network_name(*v)));
		json_set_string(doc, e, "cniVersion", cnic_network_version(*v));
		put_list(doc, e, "plugins", *v, cnic_network_plugin);
		put_list(doc, e, "capabilities", *v, cnic_network_capability);
		json_set_string(doc, e, "file", cnic_network_file(*v));
		json_append(doc, list, e);
	}
	return json_print(doc);
}

static int networks_table(struct cnic_network *const *v, const char *standard)
{
	static const char *const header[] = { "NETWORK", "VERSION", "PLUGINS", "CAPABILITIES", "FILE" };
	struct table table;

	table_init(&table, ARRAY_SIZE(header), header);
	for (; *v; v++) {
		_cleanup_str_ struct str plugins = STR_INIT, capabilities = STR_INIT;

		join(&plugins, *v, cnic_network_plugin);
		join(&capabilities, *v, cnic_network_capability);
		table_addf(&table, "%s%s", cnic_network_name(*v),
			   standard && streq(standard, cnic_network_name(*v)) ? " (default)" : "");
		table_add(&table, cnic_network_version(*v));
		table_add(&table, plugins.len ? plugins.data : "-");
		table_add(&table, capabilities.len ? capabilities.data : "-");
		table_add(&table, cnic_network_file(*v));
	}
	return table_print(&table, stdout);
}

static int list_networks(struct tool *t)
{
	_cleanup_free_ char *standard = NULL;
	struct cnic_network **v = NULL;
	int r;

	if (*t->trouble)
		complain("%s", t->trouble);
	if (cnic_networks(t->cnic, &v)) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	cnic_default_network(t->cnic, &standard);
	r = t->json ? networks_json(v, standard) : networks_table(v, standard);
	cnic_networks_free(v);
	return r;
}

struct listing {
	struct json_doc *doc; /* with --json */
	struct json *list;
	struct table table;
};

static int list_one(void *user, const struct cnic_attachment *a, const struct cnic_result *result)
{
	_cleanup_str_ struct str ips = STR_INIT;
	struct listing *l = user;
	struct json *e, *addresses;

	for (size_t i = 0; i < cnic_result_ip_count(result); i++)
		str_appendf(&ips, "%s%s", i ? "," : "", cnic_result_ip(result, i));
	if (!l->doc) {
		table_add(&l->table, a->network);
		table_add(&l->table, a->container_id);
		table_add(&l->table, a->ifname);
		table_add(&l->table, !result ? "damaged" : ips.len ? ips.data : "-");
		table_add(&l->table, a->netns ? a->netns : "-");
		return 0;
	}
	e = json_new_object(l->doc);
	json_set_string(l->doc, e, "network", a->network);
	json_set_string(l->doc, e, "container", a->container_id);
	json_set_string(l->doc, e, "interface", a->ifname);
	addresses = json_set_array(l->doc, e, "addresses");
	for (size_t i = 0; i < cnic_result_ip_count(result); i++)
		json_append_string(l->doc, addresses, cnic_result_ip(result, i));
	json_set_bool(l->doc, e, "damaged", !result);
	json_set_string(l->doc, e, "netns", a->netns ? a->netns : "");
	json_append(l->doc, l->list, e);
	return 0;
}

static int list_attachments(struct tool *t, const char *container)
{
	static const char *const header[] = { "NETWORK", "CONTAINER", "INTERFACE", "ADDRESSES", "NETNS" };
	_cleanup_json_ struct json_doc *doc = t->json ? json_doc_new() : NULL;
	struct listing l = { .doc = doc };
	struct cnic_error err = { 0 };
	int r;

	if (t->json && !doc) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	if (doc)
		l.list = json_set_array(doc, json_root(doc), "attachments");
	table_init(&l.table, ARRAY_SIZE(header), header);
	r = cnic_cached_each(t->cnic, container, list_one, &l, &err);
	if (r || doc) {
		table_done(&l.table);
		return r ? failed(t, r, &err) : json_print(doc);
	}
	return table_print(&l.table, stdout);
}

static int run_list(void *user, int argc, char **argv)
{
	return argc || attachments ? list_attachments(user, argc ? argv[0] : NULL) : list_networks(user);
}

const struct command cmd_list = {
	.name = "list",
	.args = "[CONTAINER]",
	.summary = "list networks, or what is attached",
	.details = "Without arguments: the networks, in the order of their files; files that cannot be used\n"
		   "are named on standard error. With --attachments or a CONTAINER: what is attached.",
	.options = list_options,
	.max_args = 1,
	.run = run_list,
};

/* ---- status ---- */

struct states {
	struct json_doc *doc; /* with --json */
	struct json *list;
	struct table table;
	bool bad;
};

static void state_of(struct tool *t, const char *network, struct states *s)
{
	struct cnic_error err = { 0 };
	int r = cnic_network_status(t->cnic, network, t->timeout_ms, &err);
	struct json *e;

	s->bad |= r != 0;
	if (!s->doc) {
		table_add(&s->table, network);
		table_add(&s->table, r ? "not ready" : "ready");
		table_add(&s->table, r ? err.message : "-");
		return;
	}
	e = json_new_object(s->doc);
	json_set_string(s->doc, e, "network", network);
	json_set_bool(s->doc, e, "ready", r == 0);
	json_set_int(s->doc, e, "code", err.plugin_code);
	json_set_string(s->doc, e, "message", r ? err.message : "");
	json_append(s->doc, s->list, e);
}

static int states_of_all(struct tool *t, struct states *s)
{
	struct cnic_network **v = NULL;

	if (cnic_networks(t->cnic, &v)) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	for (struct cnic_network **n = v; *n; n++)
		state_of(t, cnic_network_name(*n), s);
	cnic_networks_free(v);
	if (!t->loaded) {
		complain("%s", t->trouble);
		s->bad = true;
	}
	return 0;
}

static int run_status(void *user, int argc, char **argv)
{
	static const char *const header[] = { "NETWORK", "STATUS", "REASON" };
	struct tool *t = user;
	_cleanup_json_ struct json_doc *doc = t->json ? json_doc_new() : NULL;
	struct states s = { .doc = doc };
	int r = 0;

	if (t->json && !doc) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	if (doc)
		s.list = json_set_array(doc, json_root(doc), "networks");
	table_init(&s.table, ARRAY_SIZE(header), header);
	for (int i = 0; i < argc; i++)
		state_of(t, argv[i], &s);
	if (!argc)
		r = states_of_all(t, &s);
	if (r || doc)
		table_done(&s.table);
	if (!r)
		r = doc ? json_print(doc) : table_print(&s.table, stdout);
	return r ? r : s.bad ? EXIT_FAILURE : EXIT_SUCCESS;
}

const struct command cmd_status = {
	.name = "status",
	.args = "[NETWORK...]",
	.summary = "say whether networks are ready for new containers",
	.details = "From CNI 1.1.0 on the plugins are asked; before, they only have to be there. The exit status\n"
		   "is 0 when all networks that were asked for are ready.",
	.max_args = -1,
	.run = run_status,
};

/* ---- gc ---- */

static const struct opt gc_options[] = {
	{ 'k', "keep", OPT_LIST, &keep, "CONTAINER[:INTERFACE]",
	  "an attachment that stays (eth0); may be repeated" },
	{ 0, "all", OPT_FLAG, &all, NULL, "nothing is to stay" },
	{ 0 },
};

static int read_kept(char ***ret)
{
	_cleanup_strv_ char **pairs = NULL;
	int r = 0;

	for (char **k = keep; !r && k && *k; k++) {
		const char *colon = strchr(*k, ':');

		r = strv_pushf(&pairs, "%.*s", colon ? (int)(colon - *k) : (int)strlen(*k), *k);
		if (!r)
			r = strv_push(&pairs, colon ? colon + 1 : "eth0");
	}
	if (r)
		return r;
	*ret = take(pairs);
	return 0;
}

static int run_gc(void *user, int argc, char **argv)
{
	_cleanup_strv_ char **pairs = NULL;
	struct tool *t = user;
	struct cnic_error err = { 0 };
	int r;

	if (!keep == !all) {
		complain("gc detaches everything that is not named by --keep: give that, or --all");
		return EXIT_USAGE;
	}
	r = read_kept(&pairs);
	strv_free(keep);
	keep = NULL;
	if (r) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	r = cnic_gc(t->cnic, argc ? argv[0] : NULL, (const char *const *)pairs, t->timeout_ms, &err);
	return r ? failed(t, r, &err) : EXIT_SUCCESS;
}

const struct command cmd_gc = {
	.name = "gc",
	.args = "[NETWORK]",
	.summary = "detach what is not to stay, and let plugins release what they forgot",
	.options = gc_options,
	.max_args = 1,
	.run = run_gc,
};
