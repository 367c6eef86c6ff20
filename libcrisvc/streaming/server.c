/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server: one epoll instance that holds the listeners, a timerfd, the connections and the
 * descriptors of the backend; each is a struct source that knows what to call. An event may free other
 * objects of the same batch, so a freed one is only marked (its source has no descriptor any more) and
 * collected when the batch is over.
 */
#include "private.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include "tls.h"

#define EVENTS 64
#define ACCEPTS 32
#define IDLE_DEFAULT_NS (4 * 3600 * BOUND_SECOND)

struct listener {
	struct listener *next;
	struct crisvc_streaming *server;
	struct source source;
};

/* ---- sources ---- */

int source_watch(struct crisvc_streaming *s, struct source *x, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = x };
	int op = !events ? EPOLL_CTL_DEL : x->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (x->fd < 0 || x->events == events)
		return 0;
	if (epoll_ctl(s->epoll, op, x->fd, &e) < 0)
		return -errno;
	x->events = events;
	return 0;
}

void source_close(struct crisvc_streaming *s, struct source *x)
{
	/* somebody else (a child, a dup) may have it open, and then closing would leave it in the epoll */
	source_watch(s, x, 0);
	x->fd = close_fd(x->fd);
	x->events = 0;
}

/* ---- time ---- */

static int clock_update(struct crisvc_streaming *s)
{
	int64_t next = s->ready ? 0 : timers_next(&s->timers);
	struct itimerspec t = { 0 };

	if (next == s->clock_set)
		return 0;
	if (next != INT64_MAX) {
		t.it_value.tv_sec = next > 0 ? next / BOUND_SECOND : 0;
		t.it_value.tv_nsec = next > 0 ? next % BOUND_SECOND : 1;
	}
	if (timerfd_settime(s->clock.fd, TFD_TIMER_ABSTIME, &t, NULL) < 0)
		return -errno;
	s->clock_set = next;
	return 0;
}

void server_kick(struct crisvc_streaming *s)
{
	struct itimerspec t = { .it_value.tv_nsec = 1 };

	if (!timerfd_settime(s->clock.fd, TFD_TIMER_ABSTIME, &t, NULL))
		s->clock_set = 0;
}

static void on_clock(struct source *x, uint32_t events)
{
	struct crisvc_streaming *s = container_of(x, struct crisvc_streaming, clock);
	uint64_t n;

	if (read(x->fd, &n, sizeof(n)) == sizeof(n))
		s->clock_set = INT64_MAX;
	timers_run(&s->timers, mono_ns());
}

/* ---- accepting ---- */

static void listeners_watch(struct crisvc_streaming *s)
{
	bool open = s->n_conns < BOUND_CONNECTIONS && !s->accept_pause.pos;

	for (struct listener *l = s->listeners; l; l = l->next)
		source_watch(s, &l->source, open ? EPOLLIN : 0);
}

static void on_pause_over(struct timer *t)
{
}

static bool out_of_something(int e)
{
	return e == EMFILE || e == ENFILE || e == ENOBUFS || e == ENOMEM;
}

static void on_listener(struct source *x, uint32_t events)
{
	struct listener *l = container_of(x, struct listener, source);
	struct crisvc_streaming *s = l->server;
	int fd;

	for (int i = 0; i < ACCEPTS && s->n_conns < BOUND_CONNECTIONS; i++) {
		fd = accept4(x->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0 && conn_new(s, fd) == 0)
			continue;
		if (fd >= 0 || out_of_something(errno))
			timers_set(&s->timers, &s->accept_pause, mono_ns() + BOUND_ACCEPT_PAUSE_NS);
		if (fd < 0 && errno == ECONNABORTED)
			continue;
		close_fd(fd);
		break;
	}
}

PUBLIC int crisvc_streaming_listen(struct crisvc_streaming *s, int fd)
{
	int listening = 0, type = 0, r;
	socklen_t n = sizeof(int);
	struct listener *l;

	if (!s || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) < 0 || !listening ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0 || type != SOCK_STREAM)
		return -EINVAL;
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	*l = (struct listener){ .next = s->listeners, .server = s, .source = { fd, 0, on_listener } };
	r = source_watch(s, &l->source, EPOLLIN);
	if (r) {
		free(l);
		return r;
	}
	s->listeners = l;
	return 0;
}

/* ---- the life of the server ---- */

PUBLIC int crisvc_streaming_new(const struct crisvc_stream_backend *backend, void *user,
				struct crisvc_streaming **ret)
{
	struct crisvc_streaming *s;
	int r;

	if (!backend || !ret || backend->size != sizeof(*backend) || !backend->start)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->clock = (struct source){ timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), 0, on_clock };
	s->clock_set = INT64_MAX;
	s->accept_pause.fn = on_pause_over;
	s->backend = *backend;
	s->user = user;
	s->idle_ns = IDLE_DEFAULT_NS;
	tokens_init(&s->tokens);
	r = s->epoll < 0 || s->clock.fd < 0 ? -errno : source_watch(s, &s->clock, EPOLLIN);
	if (r) {
		crisvc_streaming_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

static void bury(struct crisvc_streaming *s)
{
	while (s->dead_conns) {
		struct conn *c = s->dead_conns;

		s->dead_conns = c->next_dead;
		if (c->protocol->free)
			c->protocol->free(c);
		free(c);
	}
	while (s->dead_streams) {
		struct crisvc_stream *x = s->dead_streams;

		s->dead_streams = x->next_dead;
		free(x);
	}
}

PUBLIC struct crisvc_streaming *crisvc_streaming_free(struct crisvc_streaming *s)
{
	struct listener *l;

	if (!s)
		return NULL;
	s->backend.cancel = NULL;
	while (s->conns)
		conn_abort(s->conns);
	while (s->streams)
		stream_free(s->streams);
	bury(s);
	while ((l = s->listeners)) {
		s->listeners = l->next;
		close_fd(l->source.fd);
		free(l);
	}
	timers_unset(&s->timers, &s->accept_pause);
	timers_done(&s->timers);
	tokens_done(&s->tokens);
	tls_files_free(s->tls);
	free(s->tls_ciphers);
	close_fd(s->clock.fd);
	close_fd(s->epoll);
	free(s);
	return NULL;
}

PUBLIC int crisvc_streaming_set_tls(struct crisvc_streaming *s, const char *cert, const char *key,
				    const char *ca, int min_version,
				    struct crisvc_streaming_error *err)
{
	const struct tls_settings settings = { cert, key, ca ? ca : "", s && s->tls_ciphers ? s->tls_ciphers : "",
					       min_version };
	struct tls_files *t;
	int r;

	if (!s || !cert || !key || (min_version != 12 && min_version != 13))
		return -EINVAL;
	r = tls_files_new(&settings, &t, err);
	if (r)
		return r;
	tls_files_free(s->tls);
	s->tls = t;
	return 0;
}

PUBLIC int crisvc_streaming_set_tls_ciphers(struct crisvc_streaming *s, const char *const *names)
{
	_cleanup_str_ struct str list = STR_INIT;

	if (!s)
		return -EINVAL;
	for (size_t i = 0; names && names[i]; i++)
		str_appendf(&list, "%s%s", i ? "," : "", names[i]);
	if (list.failed)
		return -ENOMEM;
	free(s->tls_ciphers);
	s->tls_ciphers = str_take(&list, NULL);
	return s->tls_ciphers ? 0 : -ENOMEM;
}

PUBLIC int crisvc_streaming_set_idle_timeout(struct crisvc_streaming *s, int64_t ns)
{
	if (!s || ns < 0)
		return -EINVAL;
	s->idle_ns = ns;
	return 0;
}

PUBLIC int crisvc_streaming_get_fd(const struct crisvc_streaming *s)
{
	return s ? s->epoll : -EINVAL;
}

PUBLIC int crisvc_streaming_dispatch(struct crisvc_streaming *s)
{
	struct epoll_event events[EVENTS];
	int n;

	if (!s)
		return -EINVAL;
	n = epoll_wait(s->epoll, events, EVENTS, 0);
	if (n < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n; i++) {
		struct source *x = events[i].data.ptr;

		if (x->fd >= 0)
			x->fn(x, events[i].events);
	}
	/* those that come back to the list have their next turn in the next dispatch */
	for (struct conn *c = take(s->ready), *next; c; c = next) {
		next = c->next_ready;
		c->queued = false;
		conn_run_ready(c);
	}
	bury(s);
	listeners_watch(s);
	return clock_update(s);
}

PUBLIC size_t crisvc_streaming_busy(struct crisvc_streaming *s)
{
	return s ? s->n_conns + s->n_streams + tokens_count(&s->tokens, mono_ns()) : 0;
}

/* ---- tokens ---- */

static int check_request(const struct crisvc_stream_request *q, struct crisvc_streaming_error *err)
{
	int any = CRISVC_STREAM_STDIN | CRISVC_STREAM_STDOUT | CRISVC_STREAM_STDERR;

	if (q->n_ports > BOUND_PORTS)
		return err_set(err, CRISVC_STREAMING_E_INVALID, "more than %d ports", BOUND_PORTS);
	if (q->kind == CRISVC_STREAM_PORT_FORWARD)
		return 0;
	if ((q->flags & CRISVC_STREAM_TTY) && (q->flags & CRISVC_STREAM_STDERR))
		return err_set(err, CRISVC_STREAMING_E_INVALID, "tty and stderr cannot both be true");
	if (!(q->flags & any))
		return err_set(err, CRISVC_STREAMING_E_INVALID,
			       "one of stdin, stdout, or stderr must be set");
	return 0;
}

PUBLIC int crisvc_streaming_expect(struct crisvc_streaming *s, const struct crisvc_stream_request *q,
				   char ret_token[CRISVC_STREAMING_TOKEN_SIZE],
				   struct crisvc_streaming_error *err)
{
	struct request *copy;
	int r;

	if (!s || !q || q->size != sizeof(*q) || q->kind < CRISVC_STREAM_EXEC ||
	    q->kind > CRISVC_STREAM_PORT_FORWARD || (q->n_ports && !q->ports))
		return err_sysr(err, -EINVAL, "make a token");
	r = check_request(q, err);
	if (r)
		return r;
	copy = calloc(1, sizeof(*copy) + q->n_ports * sizeof(*q->ports));
	if (!copy)
		return err_oom(err);
	*copy = (struct request){ .refs = 1, .kind = q->kind, .flags = q->flags, .data = q->data,
				  .release = q->release, .n_ports = q->n_ports };
	if (q->n_ports)
		memcpy(copy->ports, q->ports, q->n_ports * sizeof(*q->ports));
	r = tokens_add(&s->tokens, copy, mono_ns(), ret_token);
	if (!r)
		return 0;
	free(copy);
	return r > 0 ? err_set(err, r, "too many requests are waiting for their client: %d",
			       CRISVC_STREAMING_TOKENS_MAX)
		     : err_sysr(err, r, "make a token");
}
