/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A runtime without containers: answers some calls of CRI so that clients can be tried on it.
 *
 *	echo_server SOCKET [PORT]	the port is on 127.0.0.1
 *
 * Version	answers at once; sends metadata x-echo back as trailers
 * Status	answers from another thread
 * ImageFsInfo	nothing; crictl asks for it first
 * ListContainers	1000 containers
 * StreamContainers	the same, one by one
 * GetContainerEvents	events that are numbered by created_at, for as long as somebody reads them, or as
 *		  many as metadata x-events says. Not more than the client takes.
 * ExecSync	the "command" is carried out by this program: the first word says what to do
 *		  echo BYTES...		stdout has the words, separated by spaces
 *		  bytes N		stdout has N bytes, by position modulo 251
 *		  count			stdout has the total length of the words
 *		  fail CODE TEXT	fails with that gRPC status
 *		  sleep MILLISECONDS	answers later, from another thread; stdout is "slept"
 *		  never			never answers; counted when the client goes away
 *		  cancelled		stdout has how many "never" were counted so far
 *		  deadline		stdout has the milliseconds left, or "none"
 *
 * HTTP/1: GET /sent has the number of events that were made so far, /PATH says what was asked.
 *
 * SIGTERM drains: running calls are answered, then the program ends.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <netinet/in.h>

#include <crisvc-service.h>

static unsigned cancelled;

static void reply_stdout(struct crisvc_call *call, const void *p, size_t n)
{
	Runtime__V1__ExecSyncResponse response = RUNTIME__V1__EXEC_SYNC_RESPONSE__INIT;
	union {
		const void *c;
		uint8_t *p;
	} u = { .c = p };

	response.stdout = (ProtobufCBinaryData){ n, u.p };
	crisvc_cri_reply(call, &response.base);
}

static void reply_text(struct crisvc_call *call, const char *text)
{
	reply_stdout(call, text, strlen(text));
}

/* ---- calls that take time ---- */

struct job {
	struct crisvc_call *call;
	int ms;
	void (*answer)(struct crisvc_call *call);
};

static void answer_slept(struct crisvc_call *call)
{
	reply_text(call, "slept");
}

static void answer_status(struct crisvc_call *call)
{
	Runtime__V1__RuntimeCondition ready = RUNTIME__V1__RUNTIME_CONDITION__INIT;
	Runtime__V1__RuntimeStatus status = RUNTIME__V1__RUNTIME_STATUS__INIT;
	Runtime__V1__StatusResponse response = RUNTIME__V1__STATUS_RESPONSE__INIT;
	Runtime__V1__RuntimeCondition *conditions[] = { &ready };
	char type[] = "RuntimeReady";

	ready.type = type;
	ready.status = 1;
	status.n_conditions = 1;
	status.conditions = conditions;
	response.status = &status;
	crisvc_cri_reply(call, &response.base);
}

static void *run_job(void *p)
{
	struct job *job = p;
	struct timespec ts = { job->ms / 1000, job->ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
	job->answer(job->call);
	free(job);
	return NULL;
}

static void start_job(struct crisvc_call *call, int ms, void (*answer)(struct crisvc_call *call))
{
	struct job *job = malloc(sizeof(*job));
	pthread_t thread;

	if (job)
		*job = (struct job){ call, ms, answer };
	if (!job || pthread_create(&thread, NULL, run_job, job)) {
		free(job);
		crisvc_call_fail(call, CRISVC_RESOURCE_EXHAUSTED, "no thread");
		return;
	}
	pthread_detach(thread); /* which owns the job */
}

/* The client of a "never" has gone: now the call can be answered, to nobody. */
static void on_cancel(void *user)
{
	struct crisvc_call *call = user;

	cancelled++;
	crisvc_call_fail(call, CRISVC_CANCELLED, NULL);
}

/* ---- methods ---- */

static void version(struct crisvc_call *call, const Runtime__V1__VersionRequest *q, void *user)
{
	Runtime__V1__VersionResponse response = RUNTIME__V1__VERSION_RESPONSE__INIT;
	char version_[] = "0.1.0", name_[] = "echo", runtime_version[] = "0.1.0", api[] = "v1";
	const char *name, *value;

	for (size_t i = 0; (name = crisvc_call_metadata(call, i, &value)); i++)
		if (!strncmp(name, "x-echo", 6))
			crisvc_call_add_trailer(call, name, value);
	response.version = version_;
	response.runtime_name = name_;
	response.runtime_version = runtime_version;
	response.runtime_api_version = api;
	crisvc_cri_reply(call, &response.base);
}

static void status(struct crisvc_call *call, const Runtime__V1__StatusRequest *q, void *user)
{
	start_job(call, 0, answer_status);
}

static void echo(struct crisvc_call *call, const Runtime__V1__ExecSyncRequest *request)
{
	size_t len = 0, n;
	char *text;

	for (size_t i = 1; i < request->n_cmd; i++)
		len += strlen(request->cmd[i]) + 1;
	text = malloc(len + 1);
	if (!text) {
		crisvc_call_fail(call, CRISVC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	len = 0;
	for (size_t i = 1; i < request->n_cmd; i++) {
		n = strlen(request->cmd[i]);
		memcpy(text + len, request->cmd[i], n);
		len += n;
		text[len++] = ' ';
	}
	reply_stdout(call, text, len ? len - 1 : 0);
	free(text);
}

static void send_bytes(struct crisvc_call *call, size_t n)
{
	unsigned char *p = malloc(n + 1);

	if (!p) {
		crisvc_call_fail(call, CRISVC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)(i % 251);
	reply_stdout(call, p, n);
	free(p);
}

static void count(struct crisvc_call *call, const Runtime__V1__ExecSyncRequest *request)
{
	size_t sum = 0;
	char text[32];

	for (size_t i = 1; i < request->n_cmd; i++)
		sum += strlen(request->cmd[i]);
	snprintf(text, sizeof(text), "%zu", sum);
	reply_text(call, text);
}

static void deadline(struct crisvc_call *call)
{
	int64_t at = crisvc_call_deadline(call);
	struct timespec now;
	char text[32] = "none";

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (at)
		snprintf(text, sizeof(text), "%lld",
			 (long long)((at - now.tv_sec * 1000000000LL - now.tv_nsec) / 1000000));
	reply_text(call, text);
}

static void exec_sync(struct crisvc_call *call, const Runtime__V1__ExecSyncRequest *request,
		      void *user)
{
	const char *what = request->n_cmd > 0 ? request->cmd[0] : "";
	const char *arg = request->n_cmd > 1 ? request->cmd[1] : "";
	char text[32];

	if (!strcmp(what, "echo")) {
		echo(call, request);
	} else if (!strcmp(what, "bytes")) {
		send_bytes(call, strtoul(arg, NULL, 10));
	} else if (!strcmp(what, "count")) {
		count(call, request);
	} else if (!strcmp(what, "fail")) {
		crisvc_call_fail(call, atoi(arg), request->n_cmd > 2 ? request->cmd[2] : NULL);
	} else if (!strcmp(what, "sleep")) {
		start_job(call, atoi(arg), answer_slept);
	} else if (!strcmp(what, "never")) {
		crisvc_call_on_cancel(call, on_cancel, call);
	} else if (!strcmp(what, "cancelled")) {
		snprintf(text, sizeof(text), "%u", cancelled);
		reply_text(call, text);
	} else if (!strcmp(what, "deadline")) {
		deadline(call);
	} else {
		crisvc_call_fail(call, CRISVC_INVALID_ARGUMENT, "unknown command");
	}
}

static void image_fs_info(struct crisvc_call *call, const Runtime__V1__ImageFsInfoRequest *q,
			  void *user)
{
	Runtime__V1__ImageFsInfoResponse response = RUNTIME__V1__IMAGE_FS_INFO_RESPONSE__INIT;

	crisvc_cri_reply(call, &response.base);
}

/* ---- lists ---- */

#define N_CONTAINERS 1000
#define N_LABELS 8

/* What a kubelet gives a container, more or less. */
static struct {
	char id[65], text[N_LABELS][2][48];
	Runtime__V1__ContainerMetadata metadata;
	Runtime__V1__ImageSpec image;
	Runtime__V1__Container__LabelsEntry labels[N_LABELS], *label_list[N_LABELS];
	Runtime__V1__Container container;
} containers[N_CONTAINERS];
static Runtime__V1__Container *container_list[N_CONTAINERS];

static void make_containers(void)
{
	static char image[] = "registry.k8s.io/pause:3.10", name[] = "container";

	for (size_t i = 0; i < N_CONTAINERS; i++) {
		Runtime__V1__Container *c = &containers[i].container;

		snprintf(containers[i].id, sizeof(containers[i].id), "%064zx", i);
		runtime__v1__container__init(c);
		runtime__v1__container_metadata__init(&containers[i].metadata);
		runtime__v1__image_spec__init(&containers[i].image);
		containers[i].metadata.name = name;
		containers[i].image.image = image;
		c->id = c->pod_sandbox_id = c->image_ref = containers[i].id;
		c->metadata = &containers[i].metadata;
		c->image = &containers[i].image;
		c->created_at = 1700000000000000000 + (int64_t)i;
		c->state = RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING;
		for (size_t j = 0; j < N_LABELS; j++) {
			Runtime__V1__Container__LabelsEntry *l = &containers[i].labels[j];

			runtime__v1__container__labels_entry__init(l);
			l->key = containers[i].text[j][0];
			l->value = containers[i].text[j][1];
			snprintf(l->key, 48, "io.kubernetes.example.label.%zu", j);
			snprintf(l->value, 48, "the-value-of-label-%zu-of-container-%zu", j, i);
			containers[i].label_list[j] = l;
		}
		c->n_labels = N_LABELS;
		c->labels = containers[i].label_list;
		container_list[i] = c;
	}
}

static void list_containers(struct crisvc_call *call, const Runtime__V1__ListContainersRequest *q,
			    void *user)
{
	Runtime__V1__ListContainersResponse response = RUNTIME__V1__LIST_CONTAINERS_RESPONSE__INIT;

	response.n_containers = N_CONTAINERS;
	response.containers = container_list;
	crisvc_cri_reply(call, &response.base);
}

/* ---- answers of many messages ---- */

struct feed {
	struct crisvc_call *call;
	int (*send)(struct feed *f); /* message next */
	size_t next, end;
};

static size_t events_sent;

static int send_container(struct feed *f)
{
	Runtime__V1__StreamContainersResponse r = RUNTIME__V1__STREAM_CONTAINERS_RESPONSE__INIT;

	r.n_containers = 1;
	r.containers = &container_list[f->next];
	return crisvc_cri_send(f->call, &r.base);
}

static int send_event(struct feed *f)
{
	Runtime__V1__ContainerEventResponse e = RUNTIME__V1__CONTAINER_EVENT_RESPONSE__INIT;
	int r;

	e.container_id = containers[f->next % N_CONTAINERS].id;
	e.container_event_type = RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_STARTED_EVENT;
	e.created_at = (int64_t)f->next;
	r = crisvc_cri_send(f->call, &e.base);
	events_sent += !r;
	return r;
}

/* As much as there is room for; the rest when there is room again. */
static void feed(void *user)
{
	struct feed *f = user;
	int r = 0;

	while (f->next < f->end && !(r = f->send(f)))
		f->next++;
	if (r == CRISVC_E_AGAIN)
		return;
	crisvc_call_end(f->call);
	free(f);
}

static void end_feed(void *user)
{
	struct feed *f = user;

	cancelled++;
	crisvc_call_end(f->call);
	free(f);
}

static void start_feed(struct crisvc_call *call, int (*send)(struct feed *f), size_t end)
{
	struct feed *f = malloc(sizeof(*f));

	if (!f) {
		crisvc_call_fail(call, CRISVC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	*f = (struct feed){ call, send, 0, end };
	crisvc_call_on_cancel(call, end_feed, f);
	crisvc_call_on_room(call, feed, f);
	feed(f);
}

static void stream_containers(struct crisvc_call *call,
			      const Runtime__V1__StreamContainersRequest *q, void *user)
{
	start_feed(call, send_container, N_CONTAINERS);
}

static void get_events(struct crisvc_call *call, const Runtime__V1__GetEventsRequest *q, void *user)
{
	const char *name, *value;
	size_t end = SIZE_MAX;

	for (size_t i = 0; (name = crisvc_call_metadata(call, i, &value)); i++)
		if (!strcmp(name, "x-events"))
			end = strtoul(value, NULL, 10);
	start_feed(call, send_event, end);
}

static const struct crisvc_cri_service service = {
	.Version = version,
	.Status = status,
	.ExecSync = exec_sync,
	.ImageFsInfo = image_fs_info,
	.ListContainers = list_containers,
	.StreamContainers = stream_containers,
	.GetContainerEvents = get_events,
};

/* ---- HTTP/1 ---- */

static void on_http(struct crisvc_http *h, void *user)
{
	char text[8192];
	int n;

	if (!strcmp(crisvc_http_path(h), "/sent"))
		n = snprintf(text, sizeof(text), "%zu\n", events_sent);
	else
		n = snprintf(text, sizeof(text), "%s %s?%s\n", crisvc_http_method(h),
			     crisvc_http_path(h), crisvc_http_query(h));
	crisvc_http_reply(h, 200, "text/plain", text, (size_t)n);
}

/* ---- main ---- */

static int listen_on(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(addr.sun_path))
		return -1;
	strcpy(addr.sun_path, path);
	unlink(path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, SOMAXCONN))
		return -1;
	return fd;
}

static int listen_on_port(const char *port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, SOMAXCONN))
		return -1;
	return fd;
}

static int loop(struct crisvc_server *server, int signals)
{
	struct pollfd fds[] = {
		{ .fd = crisvc_server_get_fd(server), .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
	};
	struct crisvc_call *call;

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (fds[1].revents) {
			crisvc_server_drain(server);
			fds[1].fd = -1;
		}
		if (crisvc_server_dispatch(server))
			return -EIO;
		while ((call = crisvc_server_pop_call(server)))
			crisvc_cri_service_call(&service, call, NULL);
		if (fds[1].fd < 0 && crisvc_server_pending(server) == 0)
			return crisvc_server_dispatch(server); /* the last answers */
	}
}

int main(int argc, char **argv)
{
	struct crisvc_server *server = NULL;
	int fd, port = -1, r, signals;
	sigset_t term;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: %s SOCKET [PORT]\n", argv[0]);
		return 2;
	}
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL);
	signals = signalfd(-1, &term, SFD_CLOEXEC);
	fd = listen_on(argv[1]);
	if (argc == 3)
		port = listen_on_port(argv[2]);
	if (fd < 0 || signals < 0 || (argc == 3 && port < 0)) {
		perror(argv[1]);
		return 1;
	}
	make_containers();
	r = crisvc_server_new(&server);
	if (!r)
		r = crisvc_cri_service_add(server, &service);
	if (!r)
		r = crisvc_server_set_http(server, on_http, NULL);
	if (!r)
		r = crisvc_server_listen(server, fd);
	if (!r && port >= 0)
		r = crisvc_server_listen(server, port);
	if (!r) {
		printf("listening on %s\n", argv[1]);
		fflush(stdout);
		r = loop(server, signals);
	}
	crisvc_server_free(server);
	unlink(argv[1]);
	if (r)
		fprintf(stderr, "%s: %s\n", argv[0], strerror(-r));
	return r ? 1 : 0;
}
