/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A runtime without containers: answers some calls of CRI so that clients can be tried on it.
 *
 *	echo_server SOCKET
 *
 * Version	answers at once
 * Status	answers from another thread
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

#include <crisvc-cri.h>
#include <crisvc.h>

static unsigned cancelled;

static void reply(struct crisvc_call *call, const ProtobufCMessage *m)
{
	void *bytes;
	size_t len;

	if (crisvc_cri_pack(m, &bytes, &len)) {
		crisvc_call_fail(call, CRISVC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	crisvc_call_reply(call, bytes, len);
	free(bytes);
}

static void reply_stdout(struct crisvc_call *call, const void *p, size_t n)
{
	Runtime__V1__ExecSyncResponse response = RUNTIME__V1__EXEC_SYNC_RESPONSE__INIT;
	union {
		const void *c;
		uint8_t *p;
	} u = { .c = p };

	response.stdout = (ProtobufCBinaryData){ n, u.p };
	reply(call, &response.base);
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
	reply(call, &response.base);
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

static void version(struct crisvc_call *call)
{
	Runtime__V1__VersionResponse response = RUNTIME__V1__VERSION_RESPONSE__INIT;
	char version_[] = "0.1.0", name[] = "echo", runtime_version[] = "0.1.0", api[] = "v1";

	response.version = version_;
	response.runtime_name = name;
	response.runtime_version = runtime_version;
	response.runtime_api_version = api;
	reply(call, &response.base);
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

static void exec_sync(struct crisvc_call *call, const Runtime__V1__ExecSyncRequest *request)
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

static void serve(struct crisvc_call *call)
{
	const struct crisvc_cri_method *m = crisvc_call_method_user(call);
	const char *field = NULL;
	ProtobufCMessage *request;
	const void *bytes;
	char text[128];
	size_t len;

	bytes = crisvc_call_request(call, &len);
	if (crisvc_cri_unpack(m->request, bytes, len, &request, &field)) {
		snprintf(text, sizeof(text), "%s: field \"%s\" is malformed", m->name,
			 field ? field : "?");
		crisvc_call_fail(call, CRISVC_INVALID_ARGUMENT, text);
		return;
	}
	if (!strcmp(m->name, "Version"))
		version(call);
	else if (!strcmp(m->name, "Status"))
		start_job(call, 0, answer_status);
	else
		exec_sync(call, (const Runtime__V1__ExecSyncRequest *)request);
	crisvc_cri_free(request);
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
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 128))
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
			serve(call);
		if (fds[1].fd < 0 && crisvc_server_pending(server) == 0)
			return crisvc_server_dispatch(server); /* the last answers */
	}
}

int main(int argc, char **argv)
{
	static const char *const served[] = { "Version", "Status", "ExecSync" };
	struct crisvc_server *server = NULL;
	const struct crisvc_cri_method *m;
	int fd, r, signals;
	sigset_t term;

	if (argc != 2) {
		fprintf(stderr, "usage: %s SOCKET\n", argv[0]);
		return 2;
	}
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL);
	signals = signalfd(-1, &term, SFD_CLOEXEC);
	fd = listen_on(argv[1]);
	if (fd < 0 || signals < 0) {
		perror(argv[1]);
		return 1;
	}
	r = crisvc_server_new(&server);
	for (size_t i = 0; !r && i < sizeof(served) / sizeof(served[0]); i++) {
		m = crisvc_cri_method_by_name(served[i]);
		union {
			const struct crisvc_cri_method *c;
			void *p;
		} u = { .c = m };

		r = crisvc_server_add_method(server, m->path, u.p);
	}
	if (!r)
		r = crisvc_server_listen(server, fd);
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
