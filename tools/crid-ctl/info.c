/* SPDX-License-Identifier: Apache-2.0 */
/* The server: info, version. */
#include "ctl.h"

static CRI(VersionResponse) * ask_version(struct ctl *c)
{
	CRI(VersionRequest) request = RUNTIME__V1__VERSION_REQUEST__INIT;

	request.version = pb("0.1.0");
	return ctl_ask(c, "Version", &request.base, CALL_TIMEOUT);
}

static int run_version(void *user, int argc, char **argv)
{
	struct ctl *c = user;
	static const char *const header[] = { "crid-ctl", CRID_VERSION };
	_cleanup_reply_ CRI(VersionResponse) *v = ask_version(c);
	struct table t;

	if (!v)
		return EXIT_FAILURE;
	if (c->json)
		return message_print(v, 0);
	table_init(&t, 2, header);
	table_add(&t, "runtime");
	table_addf(&t, "%s %s", v->runtime_name, v->runtime_version);
	table_add(&t, "CRI");
	table_add(&t, v->runtime_api_version);
	return table_print(&t, stdout);
}

const struct command cmd_version = {
	"version", "",	 "show the versions of this program and of the server",
	NULL,	   NULL, false,
	0,	   0,	 run_version,
};

static int print_conditions(const CRI(StatusResponse) * s)
{
	static const char *const header[] = { "CONDITION", "STATUS", "REASON", "MESSAGE" };
	struct table t;
	size_t i;

	table_init(&t, ARRAY_SIZE(header), header);
	for (i = 0; s->status && i < s->status->n_conditions; i++) {
		const CRI(RuntimeCondition) *cond = s->status->conditions[i];

		table_add(&t, cond->type);
		table_add(&t, cond->status ? "true" : "false");
		table_add(&t, cond->reason);
		table_add(&t, cond->message);
	}
	return table_print(&t, stdout);
}

static int print_handlers(const CRI(StatusResponse) * s)
{
	static const char *const header[] = { "RUNTIME", "USER NAMESPACES", "RECURSIVE READ-ONLY" };
	struct table t;
	size_t i;

	table_init(&t, ARRAY_SIZE(header), header);
	for (i = 0; i < s->n_runtime_handlers; i++) {
		const CRI(RuntimeHandler) *h = s->runtime_handlers[i];

		table_add(&t, *h->name ? h->name : "(default)");
		table_add(&t, h->features && h->features->user_namespaces ? "yes" : "no");
		table_add(&t,
			  h->features && h->features->recursive_read_only_mounts ? "yes" : "no");
	}
	return table_print(&t, stdout);
}

static int run_info(void *user, int argc, char **argv)
{
	struct ctl *c = user;
	CRI(StatusRequest) request = RUNTIME__V1__STATUS_REQUEST__INIT;
	_cleanup_reply_ CRI(StatusResponse) *s = NULL;
	int r;

	request.verbose = c->json;
	s = ctl_ask(c, "Status", &request.base, CALL_TIMEOUT);
	if (!s)
		return EXIT_FAILURE;
	if (c->json)
		return message_print(s, MESSAGE_PARSE_INFO);
	r = print_conditions(s);
	if (!r && s->n_runtime_handlers) {
		puts("");
		r = print_handlers(s);
	}
	return r;
}

const struct command cmd_info = {
	"info", "",   "show whether the server is ready, and its runtimes; --json shows all",
	NULL,	NULL, false,
	0,	0,    run_info,
};
