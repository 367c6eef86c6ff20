/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See streaming.h. On the daemon's loop:
 *
 *	BOUND	only the address is taken, and a connection (to what? there are no URLs) or a call loads
 *	LOADING	an operation loads the library and makes the server; calls wait
 *	AWAKE	the streaming thread has the server; tokens are made on the daemon's loop
 *
 * AWAKE -> BOUND when there was neither connection nor token for IDLE_SECONDS: what the server had goes
 * back to the system, but for the library's pages.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <cbase/io.h>
#include "errors.h"
#include "log.h"
#include "streaming_private.h"

#define LIBRARY "libcrisvc-streaming.so.0"
#define IDLE_SECONDS 2
#define STACK_SIZE (256u << 10)
#define BACKLOG 128

enum state { BOUND, LOADING, AWAKE };

struct waiting {
	struct waiting *next;
	struct crisvc_call *call;
	struct stream_target *target;
	const ProtobufCMessageDescriptor *response;
};

struct streaming {
	struct daemon *d;
	enum state state;
	int fd;				/* the listening socket; the server has a copy */
	char *base;			/* "https://127.0.0.1:38567" */
	struct loop_source *source;	/* of fd, while BOUND */
	struct waiting *waiting, **last;

	struct job load;
	int r;
	struct cb_error err;

	struct crisvc_streaming *server;
	struct streaming_thread t;
	pthread_t thread;
	struct loop_source *dispatch;	/* these two belong to the thread */
	struct loop_timer *idle;
};

/* ---- targets ---- */

struct stream_target *stream_target_new(void)
{
	struct stream_target *t = calloc(1, sizeof(*t));

	if (t)
		t->arena = (struct arena)ARENA_INIT;
	return t;
}

struct stream_target *stream_target_free(struct stream_target *t)
{
	if (!t)
		return NULL;
	arena_done(&t->arena);
	free(t);
	return NULL;
}

static void release_target(void *data)
{
	stream_target_free(data);
}

/* ---- the address ---- */

struct address {
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t len;
};

/* Where packets to the world would come from; nothing is sent. */
static void address_of_route(struct address *a)
{
	struct sockaddr_in world = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0xc0000201) };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	a->len = sizeof(a->v4);
	if (fd < 0 || connect(fd, (struct sockaddr *)&world, sizeof(world)) < 0 || getsockname(fd, &a->sa, &a->len) < 0)
		a->v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void address_parse(const char *text, uint16_t port, struct address *a)
{
	*a = (struct address){ 0 };
	if (inet_pton(AF_INET6, text, &a->v6.sin6_addr) == 1) {
		a->v6.sin6_family = AF_INET6;
		a->v6.sin6_port = htons(port);
		a->len = sizeof(a->v6);
		return;
	}
	if (*text && inet_pton(AF_INET, text, &a->v4.sin_addr) == 1) {
		a->v4.sin_family = AF_INET;
		a->len = sizeof(a->v4);
	} else {
		address_of_route(a);
	}
	a->v4.sin_port = htons(port);
}

static char *base_url(const struct config *c, int fd)
{
	struct address a = { .len = sizeof(a.v6) };
	const char *scheme = c->stream_enable_tls ? "https" : "http";
	char text[INET6_ADDRSTRLEN] = "";

	if (getsockname(fd, &a.sa, &a.len) < 0)
		return NULL;
	if (a.sa.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &a.v6.sin6_addr, text, sizeof(text));
		return strf("%s://[%s]:%u", scheme, text, ntohs(a.v6.sin6_port));
	}
	inet_ntop(AF_INET, &a.v4.sin_addr, text, sizeof(text));
	return strf("%s://%s:%u", scheme, text, ntohs(a.v4.sin_port));
}

static int bind_address(struct streaming *s, struct cb_error *err)
{
	const struct config *c = s->d->config;
	long long port = 0;
	struct address a;
	int one = 1;

	str_to_i64(c->stream_port, &port);
	address_parse(c->stream_address, (uint16_t)port, &a);
	s->fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0 || setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(s->fd, &a.sa, a.len) < 0 || listen(s->fd, BACKLOG) < 0)
		return err_sys(err, "listen for streams on %s port %s", c->stream_address, c->stream_port);
	s->base = base_url(c, s->fd);
	return s->base ? 0 : err_oom(err);
}

/* ---- the library ---- */

static int load_library(struct streaming_library *lib, struct cb_error *err)
{
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	const char *missing = NULL;

	if (!handle)
		return err_set(err, E_UNSUPPORTED, "load " LIBRARY ": %s", dlerror());
#define LOOK_UP(f)                                                                                 \
	*(void **)(void *)&lib->f = dlsym(handle, #f);                                             \
	if (!lib->f)                                                                               \
		missing = #f;
	STREAMING_FUNCTIONS(LOOK_UP)
#undef LOOK_UP
	dlclose(handle);
	return missing ? err_set(err, E_UNSUPPORTED, "load " LIBRARY ": it has no %s", missing) : 0;
}

static int set_up(struct streaming *s, struct crisvc_streaming *server, struct cb_error *err)
{
	const struct config *c = s->d->config;
	const struct streaming_library *lib = &s->t.lib;
	struct crisvc_streaming_error e = { 0 };
	int64_t idle;
	int r = 0, fd;

	if (*c->stream_idle_timeout && duration_parse(c->stream_idle_timeout, &idle) == 0)
		lib->crisvc_streaming_set_idle_timeout(server, idle);
	if (c->stream_enable_tls)
		r = lib->crisvc_streaming_set_tls_ciphers(server, (const char *const *)c->tls_cipher_suites);
	if (c->stream_enable_tls && !r)
		r = lib->crisvc_streaming_set_tls(server, c->stream_tls_cert, c->stream_tls_key, c->stream_tls_ca,
						  streq(c->tls_min_version, "VersionTLS13") ? 13 : 12, &e);
	if (r) {
		err_copy(err, &e);
		return r > 0 ? E_FAILED : r;
	}
	fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 3);
	r = fd < 0 ? -errno : lib->crisvc_streaming_listen(server, fd);
	if (r)
		close_fd(fd);
	return r ? err_sysr(err, r, "serve streams") : 0;
}

static void run_load(struct job *job)
{
	struct streaming *s = (struct streaming *)(void *)((char *)job - offsetof(struct streaming, load));
	const struct streaming_library *lib = &s->t.lib;
	struct crisvc_streaming *server = NULL;

	s->r = load_library(&s->t.lib, &s->err);
	if (s->r)
		return;
	s->r = lib->crisvc_streaming_new(&streaming_backend, &s->t, &server);
	if (s->r)
		err_sysr(&s->err, s->r, "make the streaming server");
	else
		s->r = set_up(s, server, &s->err);
	if (s->r) {
		lib->crisvc_streaming_free(server);
		return;
	}
	s->server = server;
}

/* ---- asleep and awake ---- */

static int wake(struct streaming *s);
static int rest(struct streaming *s);

static void sleep_now(struct streaming *s)
{
	s->dispatch = loop_remove(s->dispatch);
	s->t.jobs = jobs_free(s->t.jobs);
	if (s->t.loop)
		s->t.loop = loop_free(s->t.loop);
}

static void on_asleep(void *user)
{
	struct streaming *s = user;

	pthread_join(s->thread, NULL);
	sleep_now(s);
	/* a token may have been made since the thread decided */
	if (s->t.lib.crisvc_streaming_busy(s->server) && !wake(s))
		return;
	s->server = s->t.lib.crisvc_streaming_free(s->server);
	if (rest(s))
		log_error("streams: out of memory");
}

/* On the streaming thread, as are those below. */
static void on_idle(void *user);

static void look_again(struct streaming *s, int seconds)
{
	loop_cancel(s->idle);
	s->idle = NULL;
	loop_timer(s->t.loop, mono_ns() + seconds * 1000000000ll, on_idle, s, &s->idle);
}

/* That a token expires makes no event: such a minute is waited for here. */
static void on_idle(void *user)
{
	struct streaming *s = user;

	s->idle = NULL;
	if (!jobs_running(s->t.jobs) && !s->t.lib.crisvc_streaming_busy(s->server))
		loop_quit(s->t.loop);
	else
		look_again(s, CRISVC_STREAMING_TOKEN_SECONDS);
}

static void on_dispatch(void *user, uint32_t events)
{
	struct streaming *s = user;
	int r = s->t.lib.crisvc_streaming_dispatch(s->server);

	if (r) {
		log_error("the streaming server cannot go on: %s", strerror(-r));
		s->dispatch = loop_remove(s->dispatch);
	} else if (!s->t.lib.crisvc_streaming_busy(s->server)) {
		look_again(s, IDLE_SECONDS);
	}
}

static void *thread_main(void *user)
{
	struct streaming *s = user;

	loop_run(s->t.loop);
	s->dispatch = loop_remove(s->dispatch);
	s->idle = loop_cancel(s->idle);
	loop_post(s->d->loop, on_asleep, s);
	return NULL;
}

/* Signals stay with the daemon's loop. */
static int start_thread(struct streaming *s)
{
	sigset_t all, old;
	pthread_attr_t attr;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&s->thread, &attr, thread_main, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

static int wake(struct streaming *s)
{
	int r;

	r = loop_new(&s->t.loop);
	if (!r)
		r = jobs_new(s->t.loop, &s->t.jobs);
	if (!r)
		r = loop_add(s->t.loop, s->t.lib.crisvc_streaming_get_fd(s->server), EPOLLIN, on_dispatch, s, &s->dispatch);
	if (!r)
		r = loop_timer(s->t.loop, mono_ns() + IDLE_SECONDS * 1000000000ll, on_idle, s, &s->idle);
	if (!r)
		r = start_thread(s);
	if (!r) {
		s->state = AWAKE;
		return 0;
	}
	log_error("start the streaming thread: %s", strerror(-r));
	s->idle = loop_cancel(s->idle);
	sleep_now(s);
	return r;
}

/* ---- calls ---- */

static void fail(struct crisvc_call *call, struct stream_target *t, int r, const struct cb_error *err)
{
	call_fail(call, r, err);
	stream_target_free(t);
}

static void answer(struct crisvc_call *call, char *url, const ProtobufCMessageDescriptor *response)
{
	/* they are three types with the same content */
	Runtime__V1__ExecResponse m = RUNTIME__V1__EXEC_RESPONSE__INIT;

	m.base.descriptor = response;
	m.url = url;
	call_reply(call, &m.base);
}

static void expect(struct streaming *s, struct crisvc_call *call, struct stream_target *t,
		   const ProtobufCMessageDescriptor *response)
{
	static const char *const paths[] = { "", "exec", "attach", "portforward" };
	struct crisvc_stream_request q = { .size = sizeof(q), .kind = t->kind, .flags = t->flags, .ports = t->ports,
		.n_ports = t->n_ports, .data = t, .release = release_target };
	char token[CRISVC_STREAMING_TOKEN_SIZE];
	struct crisvc_streaming_error e = { 0 };
	_cleanup_free_ char *url = NULL;
	struct cb_error err = { 0 };
	int r = s->t.lib.crisvc_streaming_expect(s->server, &q, token, &e);

	if (r) {
		err_copy(&err, &e);
		fail(call, t, r == CRISVC_STREAMING_E_LIMIT ? E_LIMIT : r > 0 ? E_INVALID : r, &err);
		return;
	}
	url = strf("%s/%s/%s", s->base, paths[t->kind], token);
	if (url)
		answer(call, url, response);
	else
		call_fail(call, err_oom(&err), &err);
}

static void done_load(struct job *job)
{
	struct streaming *s = (struct streaming *)(void *)((char *)job - offsetof(struct streaming, load));
	struct waiting *w;

	if (!s->r)
		s->r = wake(s);
	if (s->r) {
		err_ctx(&s->err, s->r, "streaming");
		log_error("%s", s->err.message);
		if (s->server)
			s->server = s->t.lib.crisvc_streaming_free(s->server);
		rest(s);
	}
	while ((w = s->waiting)) {
		s->waiting = w->next;
		if (s->r)
			fail(w->call, w->target, s->r, &s->err);
		else
			expect(s, w->call, w->target, w->response);
		free(w);
	}
	s->last = &s->waiting;
}

static void load(struct streaming *s)
{
	s->source = loop_remove(s->source);
	s->state = LOADING;
	s->err = (struct cb_error){ 0 };
	s->load = (struct job){ .run = run_load, .done = done_load };
	jobs_submit(s->d->jobs, LANE_EXEC, &s->load);
}

void streaming_expect(struct streaming *s, struct crisvc_call *call, struct stream_target *t,
		      const ProtobufCMessageDescriptor *response)
{
	struct waiting *w;

	if (s->state == AWAKE) {
		expect(s, call, t, response);
		return;
	}
	w = malloc(sizeof(*w));
	if (!w) {
		fail(call, t, -ENOMEM, &(struct cb_error){ .message = "out of memory" });
		return;
	}
	*w = (struct waiting){ .call = call, .target = t, .response = response };
	*s->last = w;
	s->last = &w->next;
	if (s->state == BOUND)
		load(s);
}

/* ---- beginning and end ---- */

static void on_first(void *user, uint32_t events)
{
	load(user);
}

static int rest(struct streaming *s)
{
	s->state = BOUND;
	return s->source ? 0 : loop_add(s->d->loop, s->fd, EPOLLIN, on_first, s, &s->source);
}

int streaming_new(struct daemon *d, struct streaming **ret, struct cb_error *err)
{
	struct streaming *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_oom(err);
	*s = (struct streaming){ .d = d, .fd = -1, .t.config = d->config };
	s->last = &s->waiting;
	r = bind_address(s, err);
	if (!r && rest(s))
		r = err_oom(err);
	if (r) {
		streaming_free(s);
		return r;
	}
	log_debug("streams are served on %s", s->base);
	*ret = s;
	return 0;
}

static void quit(void *user)
{
	loop_quit(user);
}

struct streaming *streaming_free(struct streaming *s)
{
	struct waiting *w;

	/* while the operation that loads uses it, the process is about to go as a whole */
	if (!s || s->state == LOADING)
		return NULL;
	loop_remove(s->source);
	if (s->state == AWAKE) {
		loop_post(s->t.loop, quit, s->t.loop);
		pthread_join(s->thread, NULL);
		s->t.jobs = jobs_free(s->t.jobs);
		s->t.lib.crisvc_streaming_free(s->server);
		sleep_now(s);
	}
	while ((w = s->waiting)) {
		s->waiting = w->next;
		fail(w->call, w->target, E_UNAVAILABLE, &(struct cb_error){ .message = "crid is stopping" });
		free(w);
	}
	close_fd(s->fd);
	free(s->base);
	free(s);
	return NULL;
}
