/* SPDX-License-Identifier: Apache-2.0 */
/* add, del, check: one container on one or several networks. */
#include "cnic_tool.h"

#define NETWORKS_MAX 64

static const char *ifname, *capabilities;
static char **args;

static const struct opt options[] = {
	{ 'i', "ifname", OPT_STRING, &ifname, "NAME", "of the first network's interface (eth0)" },
	{ 'a', "arg", OPT_LIST, &args, "KEY=VALUE", "for CNI_ARGS; may be repeated" },
	{ 0, "capabilities", OPT_STRING, &capabilities, "JSON",
	  "object of capability arguments, such as {\"portMappings\":[...]}" },
	{ 0 },
};

static const struct opt check_options[] = {
	{ 'i', "ifname", OPT_STRING, &ifname, "NAME", "of the first network's interface (eth0)" },
	{ 0 },
};

/* What the arguments CONTAINER NETNS [NETWORK[:INTERFACE]...] say. */
struct request {
	size_t n;
	struct cnic_attachment a[NETWORKS_MAX];
	const struct cnic_attachment *v[NETWORKS_MAX];
	char **pairs;	/* of args: key, value, ... */
	char **strings; /* what a[] points to */
};

static void request_done(struct request *q)
{
	strv_free(q->pairs);
	strv_free(q->strings);
	strv_free(args);
	args = NULL;
}
#define _cleanup_request_ _cleanup_(request_done)

static int split_args(struct request *q)
{
	for (char **arg = args; arg && *arg; arg++) {
		const char *is = strchr(*arg, '=');

		if (!is || is == *arg) {
			complain("--arg takes KEY=VALUE, not \"%s\"", *arg);
			return EXIT_USAGE;
		}
		if (strv_pushf(&q->pairs, "%.*s", (int)(is - *arg), *arg) || strv_push(&q->pairs, is + 1)) {
			complain("out of memory");
			return EXIT_FAILURE;
		}
	}
	return 0;
}

/* The i-th interface is ethI where the user names none, the first one what --ifname says. */
static int name_network(struct request *q, size_t i, const char *text)
{
	const char *colon = text ? strchr(text, ':') : NULL;
	size_t len = colon ? (size_t)(colon - text) : text ? strlen(text) : 0;
	char *network = NULL, *name = NULL;

	if (text && !(network = strndup(text, len)))
		return -ENOMEM;
	if (network && strv_take(&q->strings, network))
		return -ENOMEM;
	name = colon ? strdup(colon + 1) : i == 0 && ifname ? strdup(ifname) : strf("eth%zu", i);
	if (!name || strv_take(&q->strings, name))
		return -ENOMEM;
	q->a[i].network = network;
	q->a[i].ifname = name;
	return 0;
}

static int read_request(struct tool *t, struct request *q, const char *netns, char *const *names, int n)
{
	int r = split_args(q);

	if (r)
		return r;
	if (n > NETWORKS_MAX) {
		complain("more than %d networks", NETWORKS_MAX);
		return EXIT_USAGE;
	}
	q->n = n ? (size_t)n : 1;
	for (size_t i = 0; i < q->n; i++) {
		q->a[i] = (struct cnic_attachment){
			.size = sizeof(q->a[i]),
			.netns = netns,
			.args = (const char *const *)q->pairs,
			.capabilities = capabilities,
			.timeout_ms = t->timeout_ms,
		};
		q->v[i] = &q->a[i];
		if (name_network(q, i, n ? names[i] : NULL)) {
			complain("out of memory");
			return EXIT_FAILURE;
		}
	}
	return 0;
}

static void set_container(struct request *q, const char *id)
{
	for (size_t i = 0; i < q->n; i++)
		q->a[i].container_id = id;
}

/* ---- add ---- */

static int show_results(struct tool *t, const struct request *q, struct cnic_result *const *results)
{
	static const char *const header[] = { "NETWORK", "INTERFACE", "ADDRESSES" };
	_cleanup_free_ char *standard = NULL;
	struct table table;

	if (t->json) {
		for (size_t i = 0; i < q->n; i++)
			puts(cnic_result_json(results[i]));
		return EXIT_SUCCESS;
	}
	cnic_default_network(t->cnic, &standard);
	table_init(&table, ARRAY_SIZE(header), header);
	for (size_t i = 0; i < q->n; i++) {
		_cleanup_str_ struct str ips = STR_INIT;

		for (size_t k = 0; k < cnic_result_ip_count(results[i]); k++)
			str_appendf(&ips, "%s%s", k ? ", " : "", cnic_result_ip(results[i], k));
		table_add(&table, q->a[i].network ? q->a[i].network : standard ? standard : "-");
		table_add(&table, q->a[i].ifname);
		table_add(&table, ips.len ? ips.data : "-");
	}
	return table_print(&table, stdout);
}

static int run_add(void *user, int argc, char **argv)
{
	_cleanup_request_ struct request q = { 0 };
	struct cnic_result *results[NETWORKS_MAX] = { NULL };
	struct tool *t = user;
	struct cnic_error err = { 0 };
	int r;

	r = read_request(t, &q, argv[1], argv + 2, argc - 2);
	if (r)
		return r;
	set_container(&q, argv[0]);
	r = cnic_attach_all(t->cnic, q.v, q.n, results, &err);
	if (r)
		return failed(t, r, &err);
	r = show_results(t, &q, results);
	for (size_t i = 0; i < q.n; i++)
		cnic_result_free(results[i]);
	return r;
}

const struct command cmd_add = {
	.name = "add",
	.args = "CONTAINER NETNS [NETWORK[:INTERFACE]...]",
	.summary = "attach a network namespace to networks",
	.details = "CONTAINER is a name of your choice for the attachment, NETNS the path of a network\n"
		   "namespace such as /run/netns/x (made by \"ip netns add x\"). Without NETWORK it is the\n"
		   "default network; several are attached at once, all or none. With --json what is printed\n"
		   "is the CNI result, a line for each network.",
	.options = options,
	.min_args = 2,
	.max_args = -1,
	.run = run_add,
};

/* ---- del ---- */

static int run_del(void *user, int argc, char **argv)
{
	_cleanup_request_ struct request q = { 0 };
	struct tool *t = user;
	struct cnic_error err = { 0 };
	bool has_netns = argc > 1 && (*argv[1] == '/' || !*argv[1]);
	int r;

	r = read_request(t, &q, has_netns ? argv[1] : NULL, argv + 1 + has_netns, argc - 1 - has_netns);
	if (r)
		return r;
	set_container(&q, argv[0]);
	r = cnic_detach_all(t->cnic, q.v, q.n, &err);
	return r ? failed(t, r, &err) : EXIT_SUCCESS;
}

const struct command cmd_del = {
	.name = "del",
	.args = "CONTAINER [NETNS] [NETWORK[:INTERFACE]...]",
	.summary = "detach from networks",
	.details = "Without NETWORK it is every network that the container's interface is attached to.\n"
		   "NETNS may be left out when the namespace is gone; leases are released all the same.\n"
		   "What the attachment was made with comes from the cache; --arg and --capabilities are for\n"
		   "one that is not in it.",
	.options = options,
	.min_args = 1,
	.max_args = -1,
	.run = run_del,
};

/* ---- check ---- */

static int run_check(void *user, int argc, char **argv)
{
	_cleanup_request_ struct request q = { 0 };
	struct tool *t = user;
	struct cnic_error err = { 0 };
	int r;

	r = read_request(t, &q, argv[1], argv + 2, argc - 2);
	if (r)
		return r;
	set_container(&q, argv[0]);
	for (size_t i = 0; !r && i < q.n; i++)
		r = cnic_check(t->cnic, q.v[i], &err);
	if (r == CNIC_E_NOT_CACHED) {
		complain("%s", err.message);
		complain("\"cnic list --attachments\" shows what is attached");
		return EXIT_FAILURE;
	}
	return r ? failed(t, r, &err) : EXIT_SUCCESS;
}

const struct command cmd_check = {
	.name = "check",
	.args = "CONTAINER NETNS [NETWORK[:INTERFACE]...]",
	.summary = "ask the plugins whether an attachment is as they made it",
	.options = check_options,
	.min_args = 2,
	.max_args = -1,
	.run = run_check,
};
