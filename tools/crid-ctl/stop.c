/* SPDX-License-Identifier: Apache-2.0 */
/* Ends of pods and containers: stop, rm. */
#include "ctl.h"

/* Seconds of grace, now and for stop: rm -f kills at once unless it is told otherwise. */
static long long opt_grace, opt_stop_grace = 10;
static bool opt_force, opt_all;

static int stop_container(struct ctl *c, const char *id)
{
	CRI(StopContainerRequest) request = RUNTIME__V1__STOP_CONTAINER_REQUEST__INIT;

	request.container_id = pb(id);
	request.timeout = opt_grace;
	return ctl_tell(c, "StopContainer", &request.base, opt_grace + CALL_TIMEOUT);
}

/* The server stops the containers too, but only here they get the grace that the user wants. */
static int stop_pod(struct ctl *c, const char *id)
{
	CRI(StopPodSandboxRequest) request = RUNTIME__V1__STOP_POD_SANDBOX_REQUEST__INIT;
	_cleanup_reply_ CRI(ListContainersResponse) *all = list_containers(c);
	size_t i;

	for (i = 0; all && i < all->n_containers; i++) {
		const CRI(Container) *p = all->containers[i];

		if (streq(p->pod_sandbox_id, id) &&
		    p->state == RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING &&
		    stop_container(c, p->id))
			return EXIT_FAILURE;
	}
	request.pod_sandbox_id = pb(id);
	return all ? ctl_tell(c, "StopPodSandbox", &request.base, 2 * CALL_TIMEOUT) : EXIT_FAILURE;
}

static int stop_object(struct ctl *c, const struct object *o)
{
	return o->kind == OBJECT_POD ? stop_pod(c, o->id) : stop_container(c, o->id);
}

static int remove_object(struct ctl *c, const struct object *o)
{
	CRI(RemovePodSandboxRequest) pod = RUNTIME__V1__REMOVE_POD_SANDBOX_REQUEST__INIT;
	CRI(RemoveContainerRequest) container = RUNTIME__V1__REMOVE_CONTAINER_REQUEST__INIT;

	if (o->running && !opt_force) {
		complain("%s %s is running: stop it first, or use rm -f",
			 o->kind == OBJECT_POD ? "pod" : "container", o->name);
		return EXIT_FAILURE;
	}
	if (o->running && stop_object(c, o))
		return EXIT_FAILURE;
	pod.pod_sandbox_id = o->id;
	container.container_id = o->id;
	if (o->kind == OBJECT_POD)
		return ctl_tell(c, "RemovePodSandbox", &pod.base, 2 * CALL_TIMEOUT);
	return ctl_tell(c, "RemoveContainer", &container.base, 2 * CALL_TIMEOUT);
}

/* All named objects, also when one fails. */
static int each(struct ctl *c, int n, char **names, int (*act)(struct ctl *, const struct object *))
{
	int i, r = EXIT_SUCCESS;

	for (i = 0; i < n; i++) {
		_cleanup_(object_done) struct object o = { 0 };

		if (object_find(c, OBJECT_POD | OBJECT_CONTAINER, names[i], &o) || act(c, &o))
			r = EXIT_FAILURE;
		else if (!c->quiet)
			puts(o.id);
	}
	return r;
}

static int run_stop(void *user, int argc, char **argv)
{
	struct ctl *c = user;
	opt_grace = opt_stop_grace;
	return each(c, argc, argv, stop_object);
}

static const struct opt stop_options[] = {
	{ 't', "time", OPT_INT, &opt_stop_grace, "SECONDS",
	  "grace period of a container before it is killed (10)" },
	{ 0 },
};

const struct command cmd_stop = {
	"stop",
	"POD|CONTAINER...",
	"stop pods or containers",
	"Each is named by its id, the beginning of its id, or its name.",
	stop_options,
	false,
	1,
	-1,
	run_stop,
};

static int remove_all(struct ctl *c)
{
	_cleanup_reply_ CRI(ListPodSandboxResponse) *pods = list_pods(c);
	int r = pods ? EXIT_SUCCESS : EXIT_FAILURE;
	size_t i;

	for (i = 0; pods && i < pods->n_items; i++) {
		const CRI(PodSandbox) *p = pods->items[i];
		struct object o = { OBJECT_POD, p->id, p->metadata ? p->metadata->name : p->id,
				    p->state == RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY };

		if (remove_object(c, &o))
			r = EXIT_FAILURE;
		else if (!c->quiet)
			puts(o.id);
	}
	return r;
}

static int run_rm(void *user, int argc, char **argv)
{
	struct ctl *c = user;
	if (!opt_all && !argc) {
		complain("rm needs names, or --all");
		return EXIT_USAGE;
	}
	return opt_all ? remove_all(c) : each(c, argc, argv, remove_object);
}

static const struct opt rm_options[] = {
	{ 'f', "force", OPT_FLAG, &opt_force, NULL, "stop what is running" },
	{ 'a', "all", OPT_FLAG, &opt_all, NULL, "all pods" },
	{ 't', "time", OPT_INT, &opt_grace, "SECONDS",
	  "grace period of a container before it is killed (0)" },
	{ 0 },
};

const struct command cmd_rm = {
	"rm",
	"POD|CONTAINER...",
	"remove pods, with their containers, or containers",
	"Each is named by its id, the beginning of its id, or its name. A pod comes before a\n"
	"container of the same name.",
	rm_options,
	false,
	0,
	-1,
	run_rm,
};
