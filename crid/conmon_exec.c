/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A synchronous exec: `conmon --sync` stays our child until the command has ended. It writes the
 * command's output to a log in CRI format, bounded by --log-global-size-max, and the exit code
 * to the sync socket; both are read when it is dead. Then everything it had to say is in the log
 * and in the socket's buffer, so reading never waits for anyone.
 *
 * The files (process.json, log, pid file) are in a directory of their own that only we can
 * enter.
 */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cbase/io.h>
#include "conmon_private.h"
#include "errors.h"
#include "log.h"
#include "proctree.h"
#include "runtime.h"

#define HELP_MAX (64u << 10)
#define HELP_TIMEOUT_MS 30000
#define REAP_WAIT_MS 5000

static const char timed_out[] =
	"command timed out"; /* conmon's own words; kubelet's probes look for them */

/* ---- what a conmon can do ---- */

struct features {
	struct features *next;
	bool sync, log_limit;
	char path[];
};

static pthread_mutex_t features_lock = PTHREAD_MUTEX_INITIALIZER;
static struct features *features_known; /* one for each monitor_path; never freed */

static int features_ask(const struct runtime_handler *h, struct features **ret,
			struct cb_error *err)
{
	const char *argv[] = { h->monitor_path, "--help", NULL };
	_cleanup_strv_ char **env = NULL;
	_cleanup_free_ char *help = NULL;
	struct spawn s = SPAWN_INIT;
	struct features *f;
	size_t n = strlen(h->monitor_path) + 1;
	int status, r = runtime_env(h, &env);

	if (r)
		return err_oom(err);
	s.path = h->monitor_path;
	s.argv = argv;
	s.env = (const char *const *)env;
	r = spawn_run(&s, NULL, 0, HELP_MAX, HELP_TIMEOUT_MS, &help, NULL, NULL, NULL, &status,
		      err);
	if (r)
		return r;
	f = calloc(1, sizeof(*f) + n);
	if (!f)
		return err_oom(err);
	memcpy(f->path, h->monitor_path, n);
	f->sync = strstr(help, " --sync ");
	f->log_limit = strstr(help, " --log-global-size-max ");
	*ret = f;
	return 0;
}

/* Asks once. Two threads may ask at the same time; both answers are the same and both are kept. */
static int features_get(const struct runtime_handler *h, const struct features **ret,
			struct cb_error *err)
{
	struct features *f;
	int r;

	pthread_mutex_lock(&features_lock);
	for (f = features_known; f && !streq(f->path, h->monitor_path); f = f->next)
		;
	pthread_mutex_unlock(&features_lock);
	if (!f) {
		r = features_ask(h, &f, err);
		if (r)
			return r;
		pthread_mutex_lock(&features_lock);
		f->next = features_known;
		features_known = f;
		pthread_mutex_unlock(&features_lock);
	}
	*ret = f;
	return 0;
}

/* ---- running ---- */

struct conmon_exec_run {
	struct child *child;
	struct conmon_pipes pipes;
	char *dir;		       /* NULL until it exists */
	char *process, *pidfile, *log; /* paths in it */
};

static struct conmon_exec_run *run_free(struct conmon_exec_run *r)
{
	conmon_pipes_done(&r->pipes);
	child_free(r->child);
	if (r->dir)
		rm_rf_at(AT_FDCWD, r->dir);
	free(r->dir);
	free(r->process);
	free(r->pidfile);
	free(r->log);
	free(r);
	return NULL;
}
CB_DEFINE_CLEANUP(struct conmon_exec_run *, run_free)

static int make_files(struct conmon_exec_run *run, const struct conmon_exec *c,
		      struct cb_error *err)
{
	_cleanup_free_ char *dir = NULL;
	const char *base = c->bundle ? c->bundle : getenv("TMPDIR");
	int r;

	dir = strf("%s/exec-XXXXXX", base && *base == '/' ? base : "/tmp");
	if (!dir)
		return err_oom(err);
	if (strchr(dir, ':'))
		return err_set(err, E_INVALID,
			       "exec: conmon cannot log below %s, which has a colon", base);
	if (!mkdtemp(dir))
		return err_sys(err, "exec: make directory %s", dir);
	run->dir = take(dir);
	run->process = strf("%s/process.json", run->dir);
	run->pidfile = strf("%s/pidfile", run->dir);
	run->log = strf("%s/log", run->dir);
	if (!run->process || !run->pidfile || !run->log)
		return err_oom(err);
	r = write_file(run->process, 0600, c->process, c->process_len, 0);
	return r ? err_sysr(err, r, "exec: write %s", run->process) : 0;
}

static int build_args(const struct conmon_exec_run *run, const struct conmon_exec *c,
		      bool log_limit, char ***ret)
{
	const struct runtime_handler *h = c->handler;
	/* clang-format off */
	const char *const fixed[] = {
		h->monitor_path, "-c", c->id, "-n", c->name, "-r", h->runtime_path,
		"-p", run->pidfile, "-e", "-l", run->log,
		"--socket-dir-path", c->config->container_attach_socket_dir,
		"--log-level", log_level_name(), "--sync",
	};
	/* clang-format on */
	_cleanup_strv_ char **v = NULL;
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(fixed); i++)
		r = strv_push(&v, fixed[i]);
	/*
	 * an older conmon starts the log over when it is full: the output is wrong then, but
	 * bounded
	 */
	if (!r)
		r = strv_push(&v, log_limit ? "--log-global-size-max" : "--log-size-max");
	if (!r)
		r = strv_pushf(&v, "%u", EXEC_OUTPUT_MAX);
	if (!r && c->tty)
		r = strv_push(&v, "-t");
	if (!r && c->timeout > 0) {
		r = strv_push(&v, "-T");
		if (!r)
			r = strv_pushf(&v, "%d", c->timeout > INT_MAX ? INT_MAX : (int)c->timeout);
	}
	if (!r)
		r = strv_push(&v, "--exec-process-spec");
	if (!r)
		r = strv_push(&v, run->process);
	if (!r)
		r = strv_push(&v, "--runtime-arg");
	if (!r)
		r = strv_pushf(&v, "--root=%s", h->runtime_root);
	if (!r)
		*ret = take(v);
	return r;
}

int conmon_exec_start(const struct conmon_exec *c, struct conmon_exec_run **ret,
		      struct cb_error *err)
{
	_cleanup_(run_freep) struct conmon_exec_run *run = calloc(1, sizeof(*run));
	_cleanup_strv_ char **argv = NULL, **env = NULL;
	const struct features *features;
	struct spawn s = SPAWN_INIT;
	int r;

	if (!run)
		return err_oom(err);
	run->pipes = (struct conmon_pipes)CONMON_PIPES_INIT;
	r = features_get(c->handler, &features, err);
	if (r)
		return err_ctx(err, r, "exec");
	if (!features->sync)
		return err_set(err, E_UNSUPPORTED, "exec: %s has no --sync",
			       c->handler->monitor_path);
	r = make_files(run, c, err);
	if (!r)
		r = conmon_pipes_open(&run->pipes, err);
	if (r)
		return r;
	if (build_args(run, c, features->log_limit, &argv) || conmon_env(c->handler, &env))
		return err_oom(err);
	s.path = c->handler->monitor_path;
	s.argv = (const char *const *)argv;
	s.env = (const char *const *)env;
	s.cwd = run->dir;
	s.fds = run->pipes.theirs;
	s.n_fds = ARRAY_SIZE(run->pipes.theirs);
	s.new_group = true;
	r = spawn_start(&s, &run->child, err);
	if (r)
		return r;
	conmon_pipes_close_theirs(&run->pipes);
	conmon_pipes_release(&run->pipes);
	*ret = take(run);
	return 0;
}

struct child *conmon_exec_child(const struct conmon_exec_run *r)
{
	return r->child;
}

void conmon_exec_kill(struct conmon_exec_run *r)
{
	proctree_kill(child_pidfd(r->child), child_pid(r->child));
}

/* ---- the result ---- */

/* One record "TIME stdout|stderr P|F[:...] TEXT"; false when it is none. */
static bool split_record(const char *p, size_t n, bool *ret_stderr, bool *ret_partial,
			 const char **ret, size_t *ret_n)
{
	const char *field[3], *end = p + n;
	size_t len[3];

	for (int i = 0; i < 3; i++) {
		const char *space = memchr(p, ' ', (size_t)(end - p));

		if (!space)
			return false;
		field[i] = p;
		len[i] = (size_t)(space - p);
		p = space + 1;
	}
	if (len[1] != 6 || (memcmp(field[1], "stdout", 6) && memcmp(field[1], "stderr", 6)))
		return false;
	if (!len[2] || (field[2][0] != 'P' && field[2][0] != 'F') ||
	    (len[2] > 1 && field[2][1] != ':'))
		return false;
	*ret_stderr = field[1][3] == 'e';
	*ret_partial = field[2][0] == 'P';
	*ret = p;
	*ret_n = (size_t)(end - p);
	return true;
}

int conmon_log_split(int fd, size_t limit, struct str *out, struct str *errout)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *line = NULL;
	size_t size = 0, text_n;
	const char *text;
	bool is_err, partial;
	ssize_t n;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	f = copy < 0 ? NULL : fdopen(copy, "re");
	if (!f) {
		close_fd(copy);
		return -errno;
	}
	while (limit && (n = getline(&line, &size, f)) > 0) {
		if ((size_t)n > limit)
			n = (ssize_t)limit;
		limit -= (size_t)n;
		if (!split_record(line, (size_t)n, &is_err, &partial, &text, &text_n))
			continue;
		if (partial && text_n && text[text_n - 1] == '\n')
			text_n--;
		str_append_mem(is_err ? errout : out, text, text_n);
	}
	if (ferror(f))
		return -EIO;
	return str_failed(out) || str_failed(errout) ? -ENOMEM : 0;
}

static int read_output(const struct conmon_exec_run *run, struct exec_result *ret,
		       struct cb_error *err)
{
	_cleanup_str_ struct str out = STR_INIT, errout = STR_INIT;
	_cleanup_close_ int fd = open(run->log, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct exec_result res = { 0 };
	int r;

	if (fd < 0 && errno != ENOENT)
		return err_sys(err, "exec: open %s", run->log);
	r = fd < 0 ? 0 : conmon_log_split(fd, EXEC_OUTPUT_MAX, &out, &errout);
	if (r)
		return err_sysr(err, r, "exec: read the output");
	res.out = str_take(&out, &res.out_len);
	res.errout = str_take(&errout, &res.errout_len);
	if (!res.out || !res.errout) {
		exec_result_done(&res);
		return err_oom(err);
	}
	*ret = res;
	return 0;
}

static int result_timed_out(struct exec_result *ret, struct cb_error *err)
{
	struct exec_result res = {
		.out = strdup(""),
		.errout = strdup(timed_out),
		.errout_len = sizeof(timed_out) - 1,
		.exit_code = -1,
	};

	if (!res.out || !res.errout) {
		exec_result_done(&res);
		return err_oom(err);
	}
	*ret = res;
	return 0;
}

static int read_result(struct conmon_exec_run *run, int status, struct exec_result *ret,
		       struct cb_error *err)
{
	_cleanup_str_ struct str text = STR_INIT, message = STR_INIT, shown = STR_INIT;
	struct exec_result res;
	int64_t code;
	char buf[64];
	int r = conmon_message_read(run->pipes.sync, 0, &text);

	/* E_DEADLINE: the end of its socket outlives it; what it had to say is here all the same */
	if (!r || r == E_DEADLINE)
		r = conmon_message_parse(text.data, text.len, "exit_code", &code, &message);
	if (r == E_NOT_FOUND)
		return err_set(err, E_FAILED, "exec: conmon ended without a result: %s",
			       wait_status_text(status, buf));
	if (r)
		return r > 0 ? err_set(err, E_FAILED, "exec: conmon's message is too long")
			     : err_sysr(err, r, "exec: read conmon's message");
	if (code >= 0 && code <= 255) {
		r = read_output(run, &res, err);
		if (r)
			return r;
		res.exit_code = (int)code;
		*ret = res;
		return 0;
	}
	if (message.len == sizeof(timed_out) - 1 &&
	    memcmp(message.data, timed_out, message.len) == 0)
		return result_timed_out(ret, err);
	runtime_message(&shown, message.data, message.len);
	return err_set(err, E_FAILED, "exec: %s",
		       shown.len ? shown.data : "the runtime gave no reason");
}

int conmon_exec_finish(struct conmon_exec_run *r, struct exec_result *ret, struct cb_error *err)
{
	_cleanup_(run_freep) struct conmon_exec_run *run = r;
	int status = 0, w = child_wait(run->child, REAP_WAIT_MS, &status);

	/* not dead although the caller says so: never leave it behind */
	if (w == E_DEADLINE) {
		conmon_exec_kill(run);
		w = child_wait(run->child, REAP_WAIT_MS, &status);
	}
	if (w == E_DEADLINE)
		return err_set(err, E_DEADLINE, "exec: conmon does not end");
	if (w)
		return err_sysr(err, w, "exec: wait for conmon");
	return read_result(run, status, ret, err);
}

void exec_result_done(struct exec_result *r)
{
	free(r->out);
	free(r->errout);
	*r = (struct exec_result){ 0 };
}
