/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See log_reopen.h. The monitor is told through its control FIFO. It ends its records in the file it has, makes
 * the new one beside its place and renames it there; that rename is what is waited for, so the watch begins
 * before the order. Only the monitor writes logs, and it writes whole records: none is lost or split.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/inotify.h>
#include <cbase/io.h>
#include "errors.h"
#include "log_reopen.h"

#define ORDER "2 0 0\n"			/* to conmon's ctl */

struct reopen_job {
	struct job job;
	struct waiters caller;
	struct container_info *info;
	int64_t deadline;
	int r;
	struct cb_error err;
};

static int watch_directory(const char *path, struct cb_error *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = strndup(path, (size_t)(slash - path) + 1);
	_cleanup_close_ int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (!dir)
		return err_oom(err);
	if (fd < 0 || inotify_add_watch(fd, dir, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0)
		return err_sys(err, "watch %s", dir);
	return take_fd(fd);
}

static int give_order(const char *run_dir, struct cb_error *err)
{
	_cleanup_free_ char *path = strf("%s/ctl", run_dir);
	_cleanup_close_ int fd = -1;
	int r;

	if (!path)
		return err_oom(err);
	fd = open(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ENXIO || errno == ENOENT))
		return err_set(err, E_STATE, "its monitor is gone");
	if (fd < 0)
		return err_sys(err, "open %s", path);
	r = write_all(fd, ORDER, strlen(ORDER));
	return r ? err_sysr(err, r, "write %s", path) : 0;
}

/* Is the file among what has come? */
static bool has_come(int fd, const char *name)
{
	_Alignas(struct inotify_event) char buf[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
	const struct inotify_event *e;
	bool found = false;
	ssize_t n;
	char *p;

	while (!found && (n = read(fd, buf, sizeof(buf))) > 0)
		for (p = buf; p < buf + n; p += sizeof(*e) + e->len) {
			e = (const void *)p;
			found = found || (e->mask & IN_Q_OVERFLOW) || (e->len && streq(e->name, name));
		}
	return found;
}

static int wait_for_file(int fd, const char *path, int64_t deadline, struct cb_error *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	const char *name = strrchr(path, '/') + 1;
	int64_t left;

	while (!has_come(fd, name)) {
		left = deadline - mono_ns();
		if (left <= 0)
			return err_set(err, E_DEADLINE, "the monitor has not made %s", path);
		if (poll(&p, 1, (int)(left / 1000000) + 1) < 0 && errno != EINTR)
			return err_sys(err, "wait for %s", path);
	}
	return 0;
}

static void run(struct job *job)
{
	struct reopen_job *j = (struct reopen_job *)job;
	_cleanup_close_ int fd = watch_directory(j->info->log_path, &j->err);

	j->r = fd < 0 ? fd : give_order(j->info->run_dir, &j->err);
	if (!j->r)
		j->r = wait_for_file(fd, j->info->log_path, j->deadline, &j->err);
}

static void done(struct job *job)
{
	struct reopen_job *j = (struct reopen_job *)job;

	if (j->r) {
		err_ctx(&j->err, j->r, "reopen the log of container %s", j->info->id);
		waiters_fail(&j->caller, j->r, &j->err);
	} else {
		waiters_reply_empty(&j->caller);
	}
	container_info_unref(j->info);
	free(j);
}

void log_reopen(struct container *c, struct crisvc_call *call)
{
	int64_t latest = mono_ns() + LOG_REOPEN_SECONDS * 1000000000ll, theirs = crisvc_call_deadline(call);
	struct reopen_job *j = calloc(1, sizeof(*j));

	if (!j)
		abort();
	*j = (struct reopen_job){ .job = { .run = run, .done = done }, .info = container_info_ref(c->info),
		.deadline = theirs && theirs < latest ? theirs : latest };
	waiters_add(&j->caller, call);
	jobs_submit(c->d->jobs, LANE_EXEC, &j->job);
}
