/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Following a log to the end of its container, woken by inotify alone. Two watches: the file (more
 * was written; a writer closed it) and its directory (rotation put a new file in its place; what
 * was read is read to its end first). A writer that closes the file is the sign that the container
 * may have ended, and the only reason to ask the server; whether there is a writer at all when we
 * begin is told by a read lease, which the kernel grants only without one. Between the close of the
 * log and the moment when the server knows of the exit, the question is repeated with growing
 * pauses.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <cbase/io.h>
#include "ctl.h"

#define PAUSE_MIN_MS 10
#define PAUSE_MAX_MS 1000
#define SERVER_GONE_MS 30000 /* a daemon that restarts may be away for so long */

struct state {
	struct follow *f;
	int fd;		     /* the log */
	int notify, watch;   /* inotify, and its watch of the file */
	const char *name;    /* of the file in its directory */
	bool ask;	     /* the container may have ended */
	int pause;	     /* ms to the next question, 0: none is due */
	int64_t server_gone; /* when it stopped answering, 0: it answers */
	bool told;	     /* on_interrupt was called */
};

enum answer { ANSWER_RUNNING, ANSWER_ENDED, ANSWER_NONE };

static enum answer ask_state(struct state *s)
{
	CRI(ContainerStatusRequest) request = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;
	_cleanup_reply_ CRI(ContainerStatusResponse) *reply = NULL;
	struct crisvc_error err;

	request.container_id = pb(s->f->container);
	reply = ctl_call(s->f->c, "ContainerStatus", &request.base, CALL_TIMEOUT, &err);
	if (reply) {
		s->server_gone = 0;
		return reply->status && reply->status->state ==
						RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED
			       ? ANSWER_ENDED
			       : ANSWER_RUNNING;
	}
	if (err.code == CRISVC_E_STATUS && err.grpc_status == CRISVC_NOT_FOUND)
		return ANSWER_ENDED; /* removed meanwhile */
	if (!s->server_gone)
		s->server_gone = mono_ns();
	if ((mono_ns() - s->server_gone) / 1000000 < SERVER_GONE_MS)
		return ANSWER_RUNNING;
	ctl_complain(s->f->c, "ContainerStatus", &err);
	return ANSWER_NONE;
}

/* Surely nobody has the file open for writing. When the kernel cannot tell, it says the same. */
static bool has_no_writer(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_RDLCK))
		return errno != EAGAIN;
	fcntl(fd, F_SETLEASE, F_UNLCK);
	return true;
}

static int complain_file(const struct state *s, const char *what)
{
	complain("%s %s: %s", what, s->f->path, strerror(errno));
	return EXIT_FAILURE;
}

/* Opens what is at the path now, in place of what was. */
static int open_log(struct state *s, off_t offset)
{
	char link[40];
	struct stat st;

	s->fd = close_fd(s->fd);
	if (s->watch >= 0)
		inotify_rm_watch(s->notify, s->watch);
	s->watch = -1;
	s->fd = open(s->f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (s->fd < 0)
		return complain_file(s, "open");
	if (fstat(s->fd, &st) || !S_ISREG(st.st_mode)) {
		complain("%s is no regular file", s->f->path);
		return EXIT_FAILURE;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", s->fd);
	s->watch = inotify_add_watch(s->notify, link, IN_MODIFY | IN_CLOSE_WRITE);
	if (s->watch < 0)
		return complain_file(s, "watch");
	lseek(s->fd, offset <= st.st_size ? offset : 0, SEEK_SET);
	return 0;
}

static void interrupt(struct state *s)
{
	if (!s->told && s->f->on_interrupt)
		s->f->on_interrupt(s->f->user);
	s->told = true;
}

/* Nobody reads our output any more: that ends the container, if it is ours, or else us. */
static int reader_gone(struct state *s)
{
	interrupt(s);
	return s->f->on_interrupt ? 0 : EXIT_FAILURE;
}

/* Shows what there is; a file that became shorter begins anew. */
static int drain(struct state *s)
{
	char buf[65536];
	struct stat st;
	ssize_t n;

	if (!fstat(s->fd, &st) && st.st_size < lseek(s->fd, 0, SEEK_CUR))
		lseek(s->fd, 0, SEEK_SET);
	while ((n = read(s->fd, buf, sizeof(buf))) > 0)
		log_view_feed(s->f->view, buf, (size_t)n);
	log_view_flush(s->f->view);
	if (n < 0)
		return complain_file(s, "read");
	return log_view_failed(s->f->view) ? reader_gone(s) : 0;
}

static bool was_replaced(const struct state *s)
{
	struct stat now, then;

	return !stat(s->f->path, &now) && !fstat(s->fd, &then) &&
	       (now.st_ino != then.st_ino || now.st_dev != then.st_dev);
}

/* Takes all events; tells whether the directory had one about the name. */
static bool read_events(struct state *s)
{
	_Alignas(struct inotify_event) char buf[8192];
	bool renamed = false;
	ssize_t n;
	char *p;

	while ((n = read(s->notify, buf, sizeof(buf))) > 0) {
		for (p = buf; p < buf + n;) {
			const struct inotify_event *e = (const void *)p;

			if (e->mask & IN_Q_OVERFLOW)
				renamed = s->ask = true;
			if (e->wd == s->watch && (e->mask & (IN_CLOSE_WRITE | IN_IGNORED)))
				s->ask = true;
			if (e->wd != s->watch && e->len && streq(e->name, s->name))
				renamed = true;
			p += sizeof(*e) + e->len;
		}
	}
	return renamed;
}

/* Waits for a reason to look at the log or to ask. */
static void wait_for_change(struct state *s)
{
	struct pollfd fds[2] = { { s->notify, POLLIN, 0 },
				 { s->told ? -1 : s->f->interrupt_fd, POLLIN, 0 } };
	int n = poll(fds, 2, s->pause ? s->pause : -1);

	if (n == 0)
		s->ask = true; /* the pause is over */
	if (n > 0 && fds[1].revents)
		interrupt(s);
}

/* Asks if there is a reason to, and decides when to ask again. */
static enum answer check_end(struct state *s)
{
	enum answer a;

	if (!s->ask)
		return ANSWER_RUNNING;
	s->ask = false;
	a = ask_state(s);
	if (a != ANSWER_RUNNING)
		return a;
	if (has_no_writer(s->fd) || s->server_gone)
		s->pause = s->pause * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS
			   : s->pause		       ? s->pause * 2
						       : PAUSE_MIN_MS;
	else
		s->pause = 0;
	return ANSWER_RUNNING;
}

static int follow(struct state *s)
{
	enum answer a;
	int r;

	for (;;) {
		r = drain(s);
		if (r)
			return r;
		a = check_end(s);
		if (a == ANSWER_NONE)
			return EXIT_FAILURE;
		if (a == ANSWER_ENDED)
			return drain(s);
		wait_for_change(s);
		if (read_events(s) && was_replaced(s)) {
			r = drain(s);
			if (!r)
				r = open_log(s, 0);
			if (r)
				return r;
			s->ask = true;
		}
	}
}

static int watch_directory(struct state *s)
{
	const char *slash = strrchr(s->f->path, '/');
	_cleanup_free_ char *dir = slash ? strndup(s->f->path, (size_t)(slash - s->f->path)) : NULL;

	s->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (s->notify < 0 || !dir)
		return complain_file(s, "watch");
	s->name = slash + 1;
	if (inotify_add_watch(s->notify, *dir ? dir : "/", IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) <
	    0)
		return complain_file(s, "watch the directory of");
	return 0;
}

int follow_log(struct follow *f)
{
	struct state s = { .f = f, .fd = -1, .notify = -1, .watch = -1, .ask = true };
	int r;

	signal(SIGIO, SIG_IGN); /* sent when a writer comes while has_no_writer() looks */
	r = watch_directory(&s);
	if (!r)
		r = open_log(&s, f->offset);
	if (!r)
		r = follow(&s);
	log_view_end(f->view);
	close_fd(s.fd);
	close_fd(s.notify);
	return r;
}
