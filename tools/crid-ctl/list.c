/* SPDX-License-Identifier: Apache-2.0 */
/* What is there: pods, ps. */
#include <cbase/io.h>
#include "ctl.h"

static bool opt_all;

static void add_age(struct table *t, int64_t created)
{
	_cleanup_str_ struct str s = STR_INIT;

	text_age(created, now_ns(), &s);
	table_add(t, s.data ? s.data : "");
}

static void add_state(struct table *t, const ProtobufCEnumDescriptor *d, int state)
{
	_cleanup_str_ struct str s = STR_INIT;

	text_state(d, state, &s);
	table_add(t, s.data ? s.data : "");
}

static void add_pod(struct table *t, const CRI(PodSandbox) * p)
{
	char id[14];

	table_add(t, text_short_id(p->id, id));
	add_age(t, p->created_at);
	add_state(t, &runtime__v1__pod_sandbox_state__descriptor, (int)p->state);
	table_add(t, p->metadata ? p->metadata->name : "");
	table_add(t, p->metadata ? p->metadata->namespace_ : "");
	table_addf(t, "%u", p->metadata ? p->metadata->attempt : 0);
	table_add(t, *p->runtime_handler ? p->runtime_handler : "(default)");
}

static int run_pods(void *user, int argc, char **argv)
{
	struct ctl *c = user;
	static const char *const header[] = { "POD ID",	   "CREATED", "STATE",	"NAME",
					      "NAMESPACE", "ATTEMPT", "RUNTIME" };
	_cleanup_reply_ CRI(ListPodSandboxResponse) *pods = list_pods(c);
	struct table t;
	size_t i;

	if (!pods)
		return EXIT_FAILURE;
	if (c->json)
		return message_print(pods, 0);
	if (c->quiet) {
		for (i = 0; i < pods->n_items; i++)
			puts(pods->items[i]->id);
		return EXIT_SUCCESS;
	}
	table_init(&t, ARRAY_SIZE(header), header);
	for (i = 0; i < pods->n_items; i++)
		add_pod(&t, pods->items[i]);
	return table_print(&t, stdout);
}

const struct command cmd_pods = { "pods", "", "list pods", NULL, NULL, false, 0, 0, run_pods };

static const char *pod_name(const CRI(ListPodSandboxResponse) * pods, const char *id)
{
	size_t i;

	for (i = 0; i < pods->n_items; i++)
		if (streq(pods->items[i]->id, id) && pods->items[i]->metadata)
			return pods->items[i]->metadata->name;
	return "";
}

/* What the user asked for rather than the id that the kubelet makes of it. */
static const char *image_name(const CRI(Container) * p)
{
	if (p->image && *p->image->user_specified_image)
		return p->image->user_specified_image;
	return p->image && *p->image->image ? p->image->image : p->image_ref;
}

static void add_container(struct table *t, const CRI(Container) * p,
			  const CRI(ListPodSandboxResponse) * pods)
{
	const char *image = image_name(p);
	char id[14];

	table_add(t, text_short_id(p->id, id));
	if (str_starts(image, "sha256:") || str_is_hex(image, 64))
		table_add(t, text_short_id(image, id));
	else
		table_add(t, image);
	add_age(t, p->created_at);
	add_state(t, &runtime__v1__container_state__descriptor, (int)p->state);
	table_add(t, p->metadata ? p->metadata->name : "");
	table_addf(t, "%u", p->metadata ? p->metadata->attempt : 0);
	table_add(t, text_short_id(p->pod_sandbox_id, id));
	table_add(t, pod_name(pods, p->pod_sandbox_id));
}

static CRI(ListContainersResponse) * wanted_containers(struct ctl *c)
{
	CRI(ContainerStateValue) state = RUNTIME__V1__CONTAINER_STATE_VALUE__INIT;
	CRI(ContainerFilter) filter = RUNTIME__V1__CONTAINER_FILTER__INIT;
	CRI(ListContainersRequest) request = RUNTIME__V1__LIST_CONTAINERS_REQUEST__INIT;

	state.state = RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING;
	filter.state = &state;
	if (!opt_all)
		request.filter = &filter;
	return ctl_ask(c, "ListContainers", &request.base, CALL_TIMEOUT);
}

static int run_ps(void *user, int argc, char **argv)
{
	struct ctl *c = user;
	static const char *const header[] = { "CONTAINER", "IMAGE",   "CREATED", "STATE",
					      "NAME",	   "ATTEMPT", "POD ID",	 "POD" };
	_cleanup_reply_ CRI(ListContainersResponse) *all = wanted_containers(c);
	_cleanup_reply_ CRI(ListPodSandboxResponse) *pods = NULL;
	struct table t;
	size_t i;

	if (!all)
		return EXIT_FAILURE;
	if (c->json)
		return message_print(all, 0);
	if (c->quiet) {
		for (i = 0; i < all->n_containers; i++)
			puts(all->containers[i]->id);
		return EXIT_SUCCESS;
	}
	pods = list_pods(c);
	if (!pods)
		return EXIT_FAILURE;
	table_init(&t, ARRAY_SIZE(header), header);
	for (i = 0; i < all->n_containers; i++)
		add_container(&t, all->containers[i], pods);
	return table_print(&t, stdout);
}

static const struct opt ps_options[] = {
	{ 'a', "all", OPT_FLAG, &opt_all, NULL, "also containers that are not running" },
	{ 0 },
};

const struct command cmd_ps = { "ps", "",    "list running containers", NULL, ps_options, false, 0,
				0,    run_ps };
