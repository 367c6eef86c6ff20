/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See leftover.h. A monitor is known by its arguments "-u ID", which CRI-O's have too: its pid file is
 * only there once it has forked, and the first of the two processes is to be found as well.
 */
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "leftover.h"
#include "log.h"
#include "proctree.h"
#include "spawn.h"

#define CMDLINE_MAX (64u << 10)
#define ROUNDS 3	/* it may fork while we look */
#define PATIENCE_NS 3000000000ll
#define ID_LEN 64

static bool is_monitor_of(pid_t pid, const char *id)
{
	_cleanup_free_ char *path = strf("/proc/%d/cmdline", (int)pid), *text = NULL;
	const char *arg, *end, *before = "";
	size_t n;

	if (!path || read_file(path, CMDLINE_MAX, &text, &n))
		return false;
	for (arg = text, end = text + n; arg < end; before = arg, arg += strlen(arg) + 1)
		if (streq(before, "-u") && streq(arg, id))
			return true;
	return false;
}

static bool kill_monitor(pid_t pid, const char *id)
{
	_cleanup_close_ int fd = -1;
	uint64_t start_time;

	if (process_start_time(pid, &start_time))
		return false;
	fd = process_open(pid, start_time);
	if (fd < 0 || !is_monitor_of(pid, id))
		return false;
	log_info("container %s: its monitor %d is still making it, and is killed", id, (int)pid);
	proctree_kill(fd, pid);
	return true;
}

static bool kill_round(const char *id)
{
	_cleanup_closedir_ DIR *d = opendir("/proc");
	struct dirent *e;
	bool any = false;

	while (d && (e = readdir(d)))
		if (*e->d_name >= '1' && *e->d_name <= '9' && kill_monitor(atoi(e->d_name), id))
			any = true;
	return any;
}

void leftover_kill_monitors(const char *id)
{
	int n;

	for (n = 0; n < ROUNDS && kill_round(id); n++)
		;
}

/* ---- what works for an object ---- */

struct search {
	const struct config *config;
	bool (*is_ours)(void *user, const char *id);
	void *user;
	int64_t deadline;
};

/* The strings of a file like cmdline or environ. NULL: no process, or none with a program. */
static char **read_words(pid_t pid, const char *file)
{
	_cleanup_free_ char *path = strf("/proc/%d/%s", (int)pid, file), *text = NULL;
	_cleanup_strv_ char **v = NULL;
	const char *p, *end;
	size_t n;

	if (!path || read_file(path, CMDLINE_MAX, &text, &n))
		return NULL;
	for (p = text, end = text + n; p < end; p += strlen(p) + 1)
		if (strv_push(&v, p))
			return NULL;
	return take(v);
}

static bool runs(char *const *argv, const char *program)
{
	return program && *program && (streq(argv[0], program) || (argv[1] && streq(argv[1], program)));
}

/* The commands that operations wait for. */
static bool runs_runtime(const struct config *c, char *const *argv)
{
	size_t i;

	if (!strv_has(argv, "create") && !strv_has(argv, "start") && !strv_has(argv, "kill") && !strv_has(argv, "delete"))
		return false;
	for (i = 0; i < c->n_runtimes; i++)
		if (runs(argv, c->runtimes[i].runtime_path))
			return true;
	return false;
}

static bool names_ours(const struct search *s, char *const *words, const char *prefix)
{
	for (; words && *words; words++)
		if (str_starts(*words, prefix) && str_is_hex(*words + strlen(prefix), ID_LEN) &&
		    s->is_ours(s->user, *words + strlen(prefix)))
			return true;
	return false;
}

static bool works_for_us(const struct search *s, pid_t pid)
{
	_cleanup_strv_ char **argv = read_words(pid, "cmdline"), **env = NULL;

	if (!argv)
		return false;
	if (runs(argv, s->config->pinns_path) && strv_has(argv, s->config->namespaces_dir))
		return true;
	if (runs_runtime(s->config, argv) && names_ours(s, argv, ""))
		return true;
	env = read_words(pid, "environ");
	return names_ours(s, env, "CNI_CONTAINERID=");
}

/* fn is true for one that it killed: that may have started something a moment before. */
static void each_process(const struct search *s, bool (*fn)(const struct search *, pid_t))
{
	bool again = true;
	int n;

	for (n = 0; n < ROUNDS && again; n++) {
		_cleanup_closedir_ DIR *d = opendir("/proc");
		struct dirent *e;

		again = false;
		while (d && (e = readdir(d)))
			if (*e->d_name >= '1' && *e->d_name <= '9' && fn(s, atoi(e->d_name)))
				again = true;
	}
}

static bool is(void *user, const char *id)
{
	return streq(user, id);
}

static bool kill_command(const struct search *s, pid_t pid)
{
	_cleanup_close_ int fd = pidfd_open(pid, 0);
	_cleanup_strv_ char **argv = fd < 0 ? NULL : read_words(pid, "cmdline");

	if (!argv || !runs_runtime(s->config, argv) || !names_ours(s, argv, ""))
		return false;
	log_info("container %s: %s %d still works for it, and is killed", (const char *)s->user, argv[0], (int)pid);
	proctree_kill(fd, pid);
	return true;
}

void leftover_kill_commands(const struct config *c, const char *id)
{
	struct search s = { .config = c, .is_ours = is, .user = (void *)(uintptr_t)id };

	each_process(&s, kill_command);
}

static bool wait_dead(int pidfd, int64_t deadline)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int64_t left;
	int n;

	do {
		left = deadline - mono_ns();
		n = poll(&p, 1, left > 0 ? (int)(left / 1000000) + 1 : 0);
	} while (n == 0 ? left > 0 : n < 0 && errno == EINTR);
	return n > 0;
}

static bool settle(const struct search *s, pid_t pid)
{
	/* first the descriptor: what is read then is of the process it names, if that still lives */
	_cleanup_close_ int fd = pidfd_open(pid, 0);

	if (fd < 0 || pid == getpid() || !works_for_us(s, pid) || wait_dead(fd, s->deadline))
		return false;
	log_warn("process %d of the daemon before does not end, and is killed", (int)pid);
	pidfd_send_signal(fd, SIGKILL, NULL, 0);
	wait_dead(fd, mono_ns() + PATIENCE_NS);
	return true;
}

void leftover_settle(const struct config *c, bool (*is_ours)(void *user, const char *id), void *user)
{
	struct search s = { .config = c, .is_ours = is_ours, .user = user, .deadline = mono_ns() + PATIENCE_NS };

	each_process(&s, settle);
}
