/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run: a pod with one container, from nothing to nothing. The steps stand in order in run_steps(),
 * and clean_up() undoes as many of them as were done, whatever ended the command.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <cbase/io.h>
#include "run.h"

#define CREATE_TIMEOUT 300 /* seconds; CNI plugins and runtimes may be slow */
#define STOP_GRACE 5		/* seconds after Ctrl-C */

static struct run_options options;

enum step { STEP_PULL, STEP_POD, STEP_CREATE, STEP_START, N_STEPS };

struct run {
	struct ctl *c;
	struct run_config config;
	char *image;	       /* id */
	char *pod, *container; /* ids */
	char *log_dir;	       /* made by us, and removed */
	char *log_path, *ip;
	int64_t took[N_STEPS]; /* ns; 0: not done */
	int interrupt_fd;
};

static int keep_copy(char **p, const char *s)
{
	*p = strdup(s);
	if (*p)
		return 0;
	complain("out of memory");
	return EXIT_NOT_RUN;
}

static int get_image(struct run *r, const char *name)
{
	int64_t start = mono_ns();

	r->image = options.pull ? strdup("") : image_id(r->c, name);
	if (!r->image)
		return EXIT_NOT_RUN;
	if (*r->image)
		return 0;
	free(r->image);
	r->image = image_pull(r->c, name, options.creds);
	r->took[STEP_PULL] = mono_ns() - start;
	return r->image ? 0 : EXIT_NOT_RUN;
}

/* A pod that stays keeps its log where the server puts logs. */
static int make_log_dir(struct run *r)
{
	const char *tmp = getenv("TMPDIR");
	struct stat st;

	if (options.log_dir && options.log_dir[0] != '/') {
		complain("--log-dir must be an absolute path");
		return EXIT_USAGE;
	}
	if (options.log_dir || options.detach || options.keep)
		return 0;
	r->log_dir =
		strf("%s/crid-ctl-XXXXXX", tmp && *tmp == '/' && !stat(tmp, &st) ? tmp : "/tmp");
	if (r->log_dir && mkdtemp(r->log_dir))
		return 0;
	complain("make a directory for the log: %s", strerror(errno));
	free(take(r->log_dir));
	return EXIT_NOT_RUN;
}

static int run_pod(struct run *r)
{
	CRI(RunPodSandboxRequest) request = RUNTIME__V1__RUN_POD_SANDBOX_REQUEST__INIT;
	_cleanup_reply_ CRI(RunPodSandboxResponse) *reply = NULL;
	int64_t start = mono_ns();

	request.config = &r->config.pod;
	request.runtime_handler = pb(options.runtime ? options.runtime : "");
	reply = ctl_ask(r->c, "RunPodSandbox", &request.base, CREATE_TIMEOUT);
	r->took[STEP_POD] = mono_ns() - start;
	return reply ? keep_copy(&r->pod, reply->pod_sandbox_id) : EXIT_NOT_RUN;
}

static int create_container(struct run *r)
{
	CRI(CreateContainerRequest) request = RUNTIME__V1__CREATE_CONTAINER_REQUEST__INIT;
	_cleanup_reply_ CRI(CreateContainerResponse) *reply = NULL;
	int64_t start = mono_ns();

	request.pod_sandbox_id = r->pod;
	request.config = &r->config.container;
	request.sandbox_config = &r->config.pod;
	reply = ctl_ask(r->c, "CreateContainer", &request.base, CREATE_TIMEOUT);
	r->took[STEP_CREATE] = mono_ns() - start;
	return reply ? keep_copy(&r->container, reply->container_id) : EXIT_NOT_RUN;
}

static int start_container(struct run *r)
{
	CRI(StartContainerRequest) request = RUNTIME__V1__START_CONTAINER_REQUEST__INIT;
	int64_t start = mono_ns();
	int failed;

	request.container_id = r->container;
	failed = ctl_tell(r->c, "StartContainer", &request.base, CREATE_TIMEOUT);
	r->took[STEP_START] = mono_ns() - start;
	return failed ? EXIT_NOT_RUN : 0;
}

static CRI(ContainerStatusResponse) * container_status(struct run *r)
{
	CRI(ContainerStatusRequest) request = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;
	CRI(ContainerStatusResponse) * reply;

	request.container_id = r->container;
	reply = ctl_ask(r->c, "ContainerStatus", &request.base, CALL_TIMEOUT);
	if (!reply || reply->status)
		return reply;
	complain("ContainerStatus: the answer has no status");
	crisvc_cri_free(&reply->base);
	return NULL;
}

/* Where the log is and which address the pod has. */
static int look_up(struct run *r)
{
	CRI(PodSandboxStatusRequest) request = RUNTIME__V1__POD_SANDBOX_STATUS_REQUEST__INIT;
	_cleanup_reply_ CRI(ContainerStatusResponse) *container = container_status(r);
	_cleanup_reply_ CRI(PodSandboxStatusResponse) *pod = NULL;
	bool has_ip;

	request.pod_sandbox_id = r->pod;
	pod = container ? ctl_ask(r->c, "PodSandboxStatus", &request.base, CALL_TIMEOUT) : NULL;
	if (!pod || keep_copy(&r->log_path, container->status->log_path))
		return EXIT_NOT_RUN;
	has_ip = !options.host_network && pod->status && pod->status->network &&
		 *pod->status->network->ip;
	return keep_copy(&r->ip, has_ip ? pod->status->network->ip : "");
}

static void print_timings(const struct run *r)
{
	static const char *const header[] = { "STEP", "TIME" };
	static const char *const names[N_STEPS] = { "pull", "pod", "create", "start" };
	struct table t;
	size_t i;

	table_init(&t, ARRAY_SIZE(header), header);
	for (i = 0; i < N_STEPS; i++) {
		_cleanup_str_ struct str s = STR_INIT;

		if (r->took[i])
			text_seconds(r->took[i], &s);
		table_add(&t, names[i]);
		table_add(&t, s.data ? s.data : "(present)");
	}
	table_add(&t, "pod IP");
	table_add(&t, *r->ip ? r->ip : options.host_network ? "(of the host)" : "(none)");
	fflush(stdout);
	table_print(&t, stderr);
}

static int print_ids(const struct run *r)
{
	_cleanup_json_ struct json_doc *doc = NULL;

	if (r->c->json) {
		doc = json_doc_new();
		if (doc) {
			json_set_string(doc, json_root(doc), "podSandboxId", r->pod);
			json_set_string(doc, json_root(doc), "containerId", r->container);
		}
		return json_print(doc);
	}
	if (r->c->quiet)
		puts(r->container);
	else
		printf("pod        %s\ncontainer  %s\n", r->pod, r->container);
	return 0;
}

static void stop_on_interrupt(void *user)
{
	CRI(StopContainerRequest) request = RUNTIME__V1__STOP_CONTAINER_REQUEST__INIT;
	struct run *r = user;

	request.container_id = r->container;
	request.timeout = STOP_GRACE;
	ctl_tell(r->c, "StopContainer", &request.base, STOP_GRACE + CALL_TIMEOUT);
}

static int exit_status(struct run *r)
{
	_cleanup_reply_ CRI(ContainerStatusResponse) *reply = container_status(r);

	if (!reply)
		return EXIT_NOT_RUN;
	if (reply->status->exit_code && *reply->status->reason &&
	    !streq(reply->status->reason, "Error") && !streq(reply->status->reason, "Completed"))
		complain("the container ended with exit status %d: %s%s%s",
			 reply->status->exit_code, reply->status->reason,
			 *reply->status->message ? ": " : "", reply->status->message);
	return reply->status->exit_code & 0xff;
}

static int stream_log(struct run *r)
{
	_cleanup_(log_view_done) struct log_view view;
	struct follow f = { .c = r->c,
			    .container = r->container,
			    .path = r->log_path,
			    .view = &view,
			    .interrupt_fd = r->interrupt_fd,
			    .on_interrupt = stop_on_interrupt,
			    .user = r };
	int failed;

	log_view_init(&view, false);
	if (r->log_path[0] != '/') {
		complain("the container has no log file");
		return EXIT_NOT_RUN;
	}
	failed = follow_log(&f);
	return failed ? EXIT_NOT_RUN : exit_status(r);
}

static int run_steps(struct run *r, const char *image, int argc, char **argv)
{
	int (*const steps[])(struct run *) = { run_pod, create_container, start_container,
					       look_up };
	const char *log_dir;
	size_t i;
	int failed;

	failed = get_image(
		r, image); /* nothing to clean up yet: Ctrl-C just ends it, and with it the pull */
	if (!failed)
		failed = interrupt_init(&r->interrupt_fd, PODS_LEFT);
	if (!failed)
		failed = make_log_dir(r);
	log_dir = options.log_dir ? options.log_dir : r->log_dir ? r->log_dir : "";
	if (!failed)
		failed =
			run_config_fill(&r->config, &options, r->image, image, log_dir, argc, argv);
	for (i = 0; i < ARRAY_SIZE(steps) && !failed; i++)
		failed = interrupted() ? EXIT_NOT_RUN : steps[i](r);
	if (failed)
		return failed;
	if (options.timings)
		print_timings(r);
	return options.detach ? print_ids(r) : stream_log(r);
}

static void clean_up(struct run *r, bool remove)
{
	CRI(StopPodSandboxRequest) stop = RUNTIME__V1__STOP_POD_SANDBOX_REQUEST__INIT;
	CRI(RemovePodSandboxRequest) rm = RUNTIME__V1__REMOVE_POD_SANDBOX_REQUEST__INIT;
	CRI(RemoveContainerRequest) rm_container = RUNTIME__V1__REMOVE_CONTAINER_REQUEST__INIT;

	if (remove && r->pod) {
		rm_container.container_id = r->container;
		stop.pod_sandbox_id = rm.pod_sandbox_id = r->pod;
		if (r->container)
			ctl_tell(r->c, "RemoveContainer", &rm_container.base, 2 * CALL_TIMEOUT);
		if (ctl_tell(r->c, "StopPodSandbox", &stop.base, 2 * CALL_TIMEOUT) ||
		    ctl_tell(r->c, "RemovePodSandbox", &rm.base, 2 * CALL_TIMEOUT))
			complain("pod %s is left behind; remove it with: crid-ctl rm -f %s", r->pod,
				 r->pod);
	}
	if (r->log_dir)
		rm_rf_at(AT_FDCWD, r->log_dir);
	run_config_done(&r->config);
	free(r->image);
	free(r->pod);
	free(r->container);
	free(r->log_dir);
	free(r->log_path);
	free(r->ip);
}

static int run_run(void *user, int argc, char **argv)
{
	struct ctl *c = user;
	struct run r = { .c = c, .interrupt_fd = -1 };
	int status = run_steps(&r, argv[0], argc - 1, argv + 1);
	bool stays = options.keep || (options.detach && status == 0);

	clean_up(&r, !stays);
	return status;
}

static const struct opt run_options[] = {
	{ 0, "name", OPT_STRING, &options.name, "NAME",
	  "of the pod and the container (run-XXXXXXXX)" },
	{ 0, "pull", OPT_FLAG, &options.pull, NULL, "pull the image even when it is there" },
	{ 0, "creds", OPT_STRING, &options.creds, "USER:PASSWORD",
	  "for the registry; - reads it from standard input" },
	{ 0, "env", OPT_LIST, &options.env, "NAME[=VALUE]",
	  "set a variable, or pass it on (repeatable)" },
	{ 0, "mount", OPT_LIST, &options.mounts, "SRC:DST[:ro]",
	  "bind-mount a path of the host (repeatable)" },
	{ 0, "hostname", OPT_STRING, &options.hostname, "NAME", "of the pod (its name)" },
	{ 0, "host-network", OPT_FLAG, &options.host_network, NULL, "use the network of the host" },
	{ 0, "dns", OPT_LIST, &options.dns, "ADDRESS", "name server (repeatable; as the host)" },
	{ 0, "runtime", OPT_STRING, &options.runtime, "HANDLER",
	  "runtime handler (the server's default)" },
	{ 't', "tty", OPT_FLAG, &options.tty, NULL,
	  "give the container a terminal; its input is empty" },
	{ 0, "log-dir", OPT_STRING, &options.log_dir, "DIR",
	  "directory for the log (a temporary one)" },
	{ 0, "timings", OPT_FLAG, &options.timings, NULL,
	  "show how long each step took, and the pod's IP, on stderr" },
	{ 0, "keep", OPT_FLAG, &options.keep, NULL, "remove nothing when the container has ended" },
	{ 'd', "detach", OPT_FLAG, &options.detach, NULL, "print the ids and leave it running" },
	{ 0 },
};

const struct command cmd_run = {
	"run",
	"IMAGE [ARGUMENT...]",
	"run a container in a pod of its own, and show its output",
	"The image is pulled when it is missing. The arguments replace those of the image, and\n"
	"are passed to its entrypoint if it has one. When the container has ended, or on Ctrl-C,\n"
	"everything is removed; the exit status is that of the container, or 125 when it did not\n"
	"come to run.",
	run_options,
	true,
	1,
	-1,
	run_run,
};
