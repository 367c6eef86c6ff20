/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creating a container with its monitor, step by step:
 *
 *	spawn conmon -> with systemd, its scope -> one byte on the start socket -> conmon forks, the
 *	first process writes conmon-pidfile and exits 0 -> the second runs `runtime create` -> one JSON line on the sync socket
 *
 * All of it has one deadline. Until the message has come nothing is known to exist but the tree
 * of processes below the first one, or below the pid in conmon-pidfile when that one has exited;
 * a failure at any point kills that tree. crid is a subreaper, so the tree hangs below it.
 *
 * conmon's own stderr is a pipe that is closed when the handshake is over: it carries why conmon
 * itself gave up, and a monitor that lives for months does not hold the daemon's stderr open.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cbase/io.h>
#include <cbase/json.h>
#include "cgroup_path.h"
#include "conmon_private.h"
#include "errors.h"
#include "log.h"
#include "optime.h"
#include "proctree.h"
#include "runtime.h"
#include "systemd.h"

#define PIDFILE_MAX 32
#define STDERR_MAX 4096
#define CREATE_TIMEOUT_MAX 86400 /* seconds */

/* ---- shared with conmon_exec.c ---- */

int conmon_pipes_open(struct conmon_pipes *p, struct cb_error *err)
{
	int sync[2], start[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sync) < 0)
		return err_sys(err, "make a socket pair");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, start) < 0) {
		close_fd(sync[0]);
		close_fd(sync[1]);
		return err_sys(err, "make a socket pair");
	}
	*p = (struct conmon_pipes){ sync[0], start[0], { sync[1], start[1] } };
	return 0;
}

void conmon_pipes_close_theirs(struct conmon_pipes *p)
{
	p->theirs[0] = close_fd(p->theirs[0]);
	p->theirs[1] = close_fd(p->theirs[1]);
}

void conmon_pipes_done(struct conmon_pipes *p)
{
	conmon_pipes_close_theirs(p);
	p->sync = close_fd(p->sync);
	p->start = close_fd(p->start);
}

void conmon_pipes_release(struct conmon_pipes *p)
{
	(void)!send(p->start, "", 1, MSG_NOSIGNAL);
}

int conmon_env(const struct runtime_handler *h, char ***ret)
{
	_cleanup_strv_ char **env = NULL;
	int r = runtime_env(h, &env);

	if (!r)
		r = strv_push(&env, "_OCI_SYNCPIPE=3");
	if (!r)
		r = strv_push(&env, "_OCI_STARTPIPE=4");
	if (!r)
		*ret = take(env);
	return r;
}

static int wait_readable(int fd, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t left = deadline - mono_ns();
	int ms = left <= 0 ? 0 : left > 3600000000000 ? 3600000 : (int)(left / 1000000) + 1;
	int n = poll(&p, 1, ms);

	if (n < 0 && errno != EINTR)
		return -errno;
	return n > 0 || left > 0 ? 0 : E_DEADLINE;
}

int conmon_message_read(int fd, int64_t deadline, struct str *text)
{
	char buf[4096];
	ssize_t n;
	int r;

	while (!text->len || !memchr(text->data, '\n', text->len)) {
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			break;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n < 0) {
			r = deadline ? wait_readable(fd, deadline) : E_DEADLINE;
			if (r)
				return r;
			continue;
		}
		if (text->len + (size_t)n > CONMON_MESSAGE_MAX)
			return E_LIMIT;
		str_append_mem(text, buf, (size_t)n);
	}
	return str_failed(text) ? -ENOMEM : 0;
}

int conmon_message_parse(const char *text, size_t n, const char *key, int64_t *ret_number,
			 struct str *ret_message)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	const char *end = n ? memchr(text, '\n', n) : NULL;
	const struct json *message, *number;
	size_t line = end ? (size_t)(end - text) : n;

	if (!line)
		return E_NOT_FOUND;
	if (json_parse(text, line, 0, &doc, NULL) || json_root(doc)->type != JSON_OBJECT) {
		*ret_number = -1;
		str_append_mem(ret_message, text, line);
		return str_failed(ret_message) ? -ENOMEM : 0;
	}
	number = json_get(json_root(doc), key);
	message = json_get(json_root(doc), "message");
	if (json_int(number, ret_number))
		return E_NOT_FOUND;
	if (message && message->type == JSON_STRING)
		str_append_mem(ret_message, message->string, message->len);
	return str_failed(ret_message) ? -ENOMEM : 0;
}

/* ---- creating ---- */

struct creation {
	const struct conmon_create *c;
	char *pidfile, *monitor_pidfile;
	struct conmon_pipes pipes;
	int errors;	     /* our end of conmon's stderr */
	struct child *child; /* the process that forks the monitor */
	bool forked;	     /* it has ended */
	int64_t deadline;
	struct cb_error *err;
};

static void creation_done(struct creation *m)
{
	free(m->pidfile);
	free(m->monitor_pidfile);
	conmon_pipes_done(&m->pipes);
	close_fd(m->errors);
	child_free(m->child);
}

static int build_args(const struct creation *m, char ***ret)
{
	const struct conmon_create *c = m->c;
	const struct runtime_handler *h = c->handler;
	/* clang-format off */
	const char *const fixed[] = {
		h->monitor_path, "-b", c->bundle, "-c", c->id,
		"--exit-dir", c->config->container_exits_dir, "-l", c->log_path,
		"--log-level", log_level_name(), "-n", c->name,
		"-P", m->monitor_pidfile, "-p", m->pidfile, "--persist-dir", c->persist_dir,
		"-r", h->runtime_path, "--runtime-arg",
	};
	/* clang-format on */
	_cleanup_strv_ char **v = NULL;
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(fixed); i++)
		r = strv_push(&v, fixed[i]);
	if (!r)
		r = strv_pushf(&v, "--root=%s", h->runtime_root);
	if (!r)
		r = strv_push(&v, "--socket-dir-path");
	if (!r)
		r = strv_push(&v, c->config->container_attach_socket_dir);
	if (!r)
		r = strv_push(&v, "--syslog");
	if (!r)
		r = strv_push(&v, "-u");
	if (!r)
		r = strv_push(&v, c->id);
	if (!r && c->config->log_size_max >= 0) {
		r = strv_push(&v, "--log-size-max");
		if (!r)
			r = strv_pushf(&v, "%lld", (long long)c->config->log_size_max);
	}
	if (!r && c->config->systemd_cgroups)
		r = strv_push(&v, "-s");
	if (!r && c->config->no_pivot)
		r = strv_push(&v, "--no-pivot");
	if (!r && c->tty)
		r = strv_push(&v, "-t");
	if (!r && !c->tty && c->stdin && !c->stdin_once)
		r = strv_push(&v, "--leave-stdin-open");
	if (!r && !c->tty && c->stdin)
		r = strv_push(&v, "-i");
	if (!r)
		*ret = take(v);
	return r;
}

static int start_monitor(struct creation *m)
{
	_cleanup_strv_ char **argv = NULL, **env = NULL;
	_cleanup_close_ int errors = -1;
	struct spawn s = SPAWN_INIT;
	int p[2], r;

	if (build_args(m, &argv) || conmon_env(m->c->handler, &env))
		return err_oom(m->err);
	r = conmon_pipes_open(&m->pipes, m->err);
	if (r)
		return r;
	/* conmon's end does not block either: what it cannot say must not stop it */
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(m->err, "make a pipe");
	m->errors = p[0];
	errors = p[1];
	s.path = m->c->handler->monitor_path;
	s.argv = (const char *const *)argv;
	s.env = (const char *const *)env;
	s.cwd = m->c->bundle;
	s.err = errors;
	s.fds = m->pipes.theirs;
	s.n_fds = ARRAY_SIZE(m->pipes.theirs);
	s.new_group = true;
	r = spawn_start(&s, &m->child, m->err);
	conmon_pipes_close_theirs(&m->pipes);
	return r;
}

/* Before it is told to go on, so that all of it is in there. With cgroupfs it stays in the daemon's cgroup, as CRI-O's. */
static int place_monitor(struct creation *m)
{
	const struct conmon_create *c = m->c;
	const char *cgroup = c->handler->monitor_cgroup;
	_cleanup_free_ char *unit = NULL, *slice = NULL;

	if (!c->config->systemd_cgroups)
		return 0;
	unit = strf("crio-conmon-%s.scope", c->id);
	slice = streq(cgroup, "pod") ? cgroup_slice(c->cgroup_path) : strdup(cgroup);
	if (!unit || !slice)
		return err_oom(m->err);
	return systemd_start_scope(unit, slice, child_pid(m->child), m->deadline, m->err);
}

/* The error for a conmon that itself failed: what happened, and what it wrote about it. */
static int monitor_failed(struct creation *m, const char *what)
{
	_cleanup_str_ struct str text = STR_INIT;
	char buf[STDERR_MAX];
	ssize_t n = read(m->errors, buf, sizeof(buf));

	if (n > 0)
		runtime_message(&text, buf, (size_t)n);
	if (!text.len)
		return err_set(m->err, E_FAILED, "container create failed: conmon: %s", what);
	return err_set(m->err, E_FAILED, "container create failed: conmon: %s: %s", what,
		       text.data);
}

static int deadline_error(const struct creation *m)
{
	return err_set(m->err, E_DEADLINE, "container create failed: not done after %lld seconds",
		       (long long)m->c->handler->container_create_timeout);
}

/* conmon in the foreground: it ends when it has put the monitor into the background. */
static int wait_forked(struct creation *m)
{
	int64_t left = (m->deadline - mono_ns()) / 1000000;
	int status, r;
	char buf[64];

	r = child_wait(m->child, left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left, &status);
	if (r == E_DEADLINE)
		return deadline_error(m);
	if (r)
		return err_sysr(m->err, r, "wait for %s", m->c->handler->monitor_path);
	m->forked = true;
	if (status == 0)
		return 0;
	return monitor_failed(m, wait_status_text(status, buf));
}

static int read_handshake(struct creation *m, pid_t *ret)
{
	_cleanup_str_ struct str text = STR_INIT, message = STR_INIT, shown = STR_INIT;
	int64_t pid, begun = mono_ns();
	int r = conmon_message_read(m->pipes.sync, m->deadline, &text);

	optime_waited(begun, mono_ns());	/* for the monitor */
	if (r == E_DEADLINE)
		return deadline_error(m);
	if (r == E_LIMIT)
		return monitor_failed(m, "its message is too long");
	if (!r)
		r = conmon_message_parse(text.data, text.len, "pid", &pid, &message);
	if (r == E_NOT_FOUND)
		return monitor_failed(m, "ended without a message");
	if (r)
		return err_sysr(m->err, r, "read conmon's message");
	if (pid > 1 && pid <= INT_MAX) {
		*ret = (pid_t)pid;
		return 0;
	}
	runtime_message(&shown, message.data, message.len);
	if (!shown.len)
		return monitor_failed(m, "gave no reason");
	return err_set(m->err, E_FAILED, "container create failed: %s", shown.data);
}

static int read_pidfile(const char *path, pid_t *ret)
{
	_cleanup_free_ char *text = NULL;
	long long pid;
	size_t n;
	int r = read_file(path, PIDFILE_MAX, &text, &n);

	if (r)
		return r;
	text[strcspn(text, "\n")] = '\0';
	if (str_to_i64(text, &pid) || pid <= 1 || pid > INT_MAX)
		return -EINVAL;
	*ret = (pid_t)pid;
	return 0;
}

static int identify(struct creation *m, pid_t init, struct process_id *ret_init,
		    struct process_id *ret_monitor)
{
	struct process_id monitor, container = { .pid = init };
	int r = read_pidfile(m->monitor_pidfile, &monitor.pid);

	if (r)
		return err_sysr(m->err, r, "read %s", m->monitor_pidfile);
	r = process_start_time(monitor.pid, &monitor.start_time);
	if (r)
		return err_sysr(m->err, r,
				"container create failed: look for the monitor, process %d",
				(int)monitor.pid);
	r = process_start_time(init, &container.start_time);
	if (r)
		return err_sysr(m->err, r,
				"container create failed: look for the container, process %d",
				(int)init);
	*ret_init = container;
	*ret_monitor = monitor;
	return 0;
}

static void kill_all(struct creation *m)
{
	_cleanup_free_ char *attach =
		strf("%s/%s", m->c->config->container_attach_socket_dir, m->c->id);
	pid_t pid;

	if (!m->child)
		return;
	if (!m->forked)
		proctree_kill(child_pidfd(m->child), child_pid(m->child));
	if (read_pidfile(m->monitor_pidfile, &pid) == 0)
		proctree_kill_child(pid);
	/* below the monitor, unless that was dead before: then it is our child now */
	if (read_pidfile(m->pidfile, &pid) == 0)
		proctree_kill_child(pid);
	unlink(m->monitor_pidfile);
	unlink(m->pidfile);
	unlink(m->c->log_path);
	if (attach)
		unlink(attach); /* a symlink to the bundle, which conmon leaves behind */
}

static int prepare(struct creation *m)
{
	const struct conmon_create *c = m->c;

	m->pidfile = strf("%s/pidfile", c->bundle);
	m->monitor_pidfile = strf("%s/conmon-pidfile", c->bundle);
	if (!m->pidfile || !m->monitor_pidfile)
		return err_oom(m->err);
	/* conmon takes "driver:path" and has no way to quote */
	if (*c->log_path != '/' || strchr(c->log_path, ':'))
		return err_set(m->err, E_INVALID,
			       "log path %s: conmon needs an absolute path without a colon",
			       c->log_path);
	/* numbers of an earlier try must not pass for those of this one */
	if (unlink(m->pidfile) < 0 && errno != ENOENT)
		return err_sys(m->err, "remove old %s", m->pidfile);
	if (unlink(m->monitor_pidfile) < 0 && errno != ENOENT)
		return err_sys(m->err, "remove old %s", m->monitor_pidfile);
	return 0;
}

static int64_t deadline_after(int64_t seconds)
{
	return mono_ns() +
	       (seconds < CREATE_TIMEOUT_MAX ? seconds : CREATE_TIMEOUT_MAX) * 1000000000;
}

int conmon_create(const struct conmon_create *c, struct process_id *ret_init,
		  struct process_id *ret_monitor, struct cb_error *err)
{
	_cleanup_(creation_done) struct creation m = {
		.c = c,
		.pipes = CONMON_PIPES_INIT,
		.errors = -1,
		.err = err,
		.deadline = deadline_after(c->handler->container_create_timeout),
	};
	pid_t init = 0;
	int r = prepare(&m);

	if (!r)
		r = start_monitor(&m);
	if (!r)
		r = place_monitor(&m);
	if (!r) {
		conmon_pipes_release(&m.pipes);
		r = wait_forked(&m);
	}
	if (!r)
		r = read_handshake(&m, &init);
	if (!r)
		r = identify(&m, init, ret_init, ret_monitor);
	if (r)
		kill_all(&m);
	return r;
}

/* ---- afterwards ---- */

int conmon_exit_code(const char *persist_dir, int *ret_code, int64_t *ret_finished,
		     struct cb_error *err)
{
	_cleanup_free_ char *path = strf("%s/exit", persist_dir), *text = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;
	long long code;
	int r;

	if (!path)
		return err_oom(err);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return err_set(err, E_NOT_FOUND, "no exit code in %s yet", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "open %s", path);
	r = read_fd(fd, PIDFILE_MAX, &text, NULL);
	if (r)
		return err_sysr(err, r, "read %s", path);
	text[strcspn(text, "\n")] = '\0';
	if (str_to_i64(text, &code) || code < 0 || code > 255)
		return err_set(err, E_INVALID, "%s holds no exit code", path);
	*ret_code = (int)code;
	*ret_finished = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
	return 0;
}

bool conmon_oom(const char *bundle, const char *persist_dir)
{
	const char *const dirs[] = { bundle, persist_dir };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		_cleanup_free_ char *path = strf("%s/oom", dirs[i]);

		if (path && access(path, F_OK) == 0)
			return true;
	}
	return false;
}
