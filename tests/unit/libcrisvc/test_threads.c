/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that threads may do to a server at once: workers answer, fail, send and end while the
 * dispatching thread reads, cancels and tells, and clients come, wait, give up and leave. Built with
 * ThreadSanitizer where that is there. Without libcheck, which forks.
 *
 *	test_threads [ROUNDS]
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "crisvc.h"

#define WORKERS 3
#define CLIENTS 4
#define MESSAGES 200
#define must(x) ((x) ? (void)0 : failed(__LINE__, #x))

static void failed(int line, const char *what)
{
	fprintf(stderr, "line %d: %s\n", line, what);
	abort();
}

static char path[] = "/tmp/crisvc-threads-XXXXXX";
static struct crisvc_server *server;
static int rounds;
static atomic_uint cancelled, rooms, ended;

/* ---- work: calls in a queue ---- */

struct job {
	STAILQ_ENTRY(job) link;
	struct crisvc_call *call; /* NULL: no more work */
	unsigned sent;
	bool parked, wanted; /* waits for room; there is reason to go on. Under the lock */
};

static STAILQ_HEAD(, job) queue = STAILQ_HEAD_INITIALIZER(queue);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;

/* Lock held. */
static void put(struct job *j)
{
	STAILQ_INSERT_TAIL(&queue, j, link);
	pthread_cond_signal(&news);
}

static void give(struct job *j)
{
	pthread_mutex_lock(&lock);
	put(j);
	pthread_mutex_unlock(&lock);
}

static struct job *get(void)
{
	struct job *j;

	pthread_mutex_lock(&lock);
	while (!(j = STAILQ_FIRST(&queue)))
		pthread_cond_wait(&news, &lock);
	STAILQ_REMOVE_HEAD(&queue, link);
	pthread_mutex_unlock(&lock);
	return j;
}

/* False when there is reason to go on at once. */
static bool park(struct job *j)
{
	bool parked;

	pthread_mutex_lock(&lock);
	parked = j->parked = !j->wanted;
	j->wanted = false;
	pthread_mutex_unlock(&lock);
	return parked;
}

static void go_on(struct job *j)
{
	pthread_mutex_lock(&lock);
	if (j->parked)
		put(j);
	else
		j->wanted = true;
	j->parked = false;
	pthread_mutex_unlock(&lock);
}

static void on_cancel(void *user)
{
	atomic_fetch_add(&cancelled, 1);
	go_on(user);
}

static void on_room(void *user)
{
	atomic_fetch_add(&rooms, 1);
	go_on(user);
}

/* The job is somebody else's when there was no room. */
static void send_all(struct job *j)
{
	static const char text[5000];
	int r = 0;

	do {
		while (j->sent < MESSAGES && !(r = crisvc_call_send(j->call, text, sizeof(text))))
			j->sent++;
		if (r == CRISVC_E_AGAIN && park(j))
			return;
	} while (r == CRISVC_E_AGAIN);
	crisvc_call_end(j->call);
	atomic_fetch_add(&ended, 1);
	free(j);
}

static void *work(void *unused)
{
	struct job *j;
	const void *p;
	size_t n;

	while ((j = get())->call) {
		p = crisvc_call_request(j->call, &n);
		if (!strcmp(crisvc_call_path(j->call), "/t/Stream")) {
			send_all(j);
			continue;
		}
		if (n && *(const char *)p == 'f')
			crisvc_call_fail(j->call, CRISVC_ABORTED, "failed");
		else
			crisvc_call_reply(j->call, p, n);
		free(j);
	}
	free(j);
	return NULL;
}

/* ---- the server ---- */

static void serve(struct crisvc_call *call, void *user)
{
	struct job *j = calloc(1, sizeof(*j));

	must(j);
	j->call = call;
	crisvc_call_on_cancel(call, on_cancel, j);
	crisvc_call_on_room(call, on_room, j);
	give(j);
}

static void *run(void *unused)
{
	must(crisvc_server_run(server, serve, NULL) == 0);
	return NULL;
}

static void start(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(addr.sun_path, path, sizeof(path));
	must(bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 && listen(fd, 64) == 0);
	must(crisvc_server_new(&server) == 0);
	must(crisvc_server_add_method(server, "/t/Echo", NULL) == 0);
	must(crisvc_server_add_method(server, "/t/Stream", NULL) == 0);
	must(crisvc_server_set_max_queued(server, 20000) == 0);
	must(crisvc_server_listen(server, fd) == 0);
}

/* ---- clients ---- */

static void call(struct crisvc_client *c, const char *text, int timeout_ms)
{
	struct crisvc_error err = { 0 };
	void *reply = NULL;
	size_t n = 0;
	int r = crisvc_client_call(c, "/t/Echo", text, strlen(text), timeout_ms, &reply, &n, &err);

	if (timeout_ms < 1000)
		must(!r || r == CRISVC_E_DEADLINE);
	else if (*text == 'f')
		must(r == CRISVC_E_STATUS && err.grpc_status == CRISVC_ABORTED);
	else
		must(!r && n == strlen(text) && !memcmp(reply, text, n));
	free(reply);
}

/* Takes some of the messages, or all and the end. */
static void stream(struct crisvc_client *c, int wanted)
{
	struct crisvc_stream *st = NULL;
	struct crisvc_error err = { 0 };
	void *message;
	int r = 0, got = 0;
	size_t n;

	must(crisvc_client_stream(c, "/t/Stream", "", 0, 60000, &st, &err) == 0);
	while (got < wanted && !(r = crisvc_stream_next(st, -1, &message, &n, &err))) {
		must(n == 5000);
		free(message);
		got++;
	}
	must(wanted > MESSAGES ? got == MESSAGES && r == CRISVC_E_END : got == wanted);
	crisvc_stream_free(st);
}

static void *be_client(void *p)
{
	struct crisvc_client *c = NULL;
	char text[32];

	for (int i = 0; i < rounds; i++) {
		if (!c)
			must(crisvc_client_new(path, &c, NULL) == 0);
		snprintf(text, sizeof(text), "%s %d", i % 3 ? "text" : "fail", i);
		call(c, text, 60000);
		call(c, "in vain, perhaps", 1);
		if (i % 4 == 0)
			stream(c, i % 8 ? MESSAGES + 1 : 3);
		if (i % 16 == 15)
			c = crisvc_client_free(c);
	}
	crisvc_client_free(c);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t loop, workers[WORKERS], clients[CLIENTS];

	rounds = argc > 1 ? atoi(argv[1]) : 200;
	close(mkstemp(path));
	unlink(path);
	start();
	must(pthread_create(&loop, NULL, run, NULL) == 0);
	for (int i = 0; i < WORKERS; i++)
		must(pthread_create(&workers[i], NULL, work, NULL) == 0);
	for (int i = 0; i < CLIENTS; i++)
		must(pthread_create(&clients[i], NULL, be_client, NULL) == 0);
	for (int i = 0; i < CLIENTS; i++)
		pthread_join(clients[i], NULL);
	crisvc_server_stop(server);
	pthread_join(loop, NULL); /* every call was answered */
	for (int i = 0; i < WORKERS; i++)
		give(calloc(1, sizeof(struct job)));
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	crisvc_server_free(server);
	unlink(path);
	printf("%u cancelled, %u times room, %u streams ended\n", cancelled, rooms, ended);
	must(ended == (unsigned)(CLIENTS * ((rounds + 3) / 4)) && rooms > 0);
	return 0;
}
