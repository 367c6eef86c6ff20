/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libcnic adds to a chained ADD. Each round runs the chain twice: once through cnic_attach(), once bare, the
 * same programs with the same documents and variables by posix_spawn(), a pipe and waitpid(), which is the least that
 * anyone pays. The difference is what the library adds: its own way of starting and watching a program, JSON, the
 * cache file with its fsync. For the test's plugin, which measures its own run time, that is told, too.
 *
 *	cni_bench CONF-DIR PLUGIN-DIR CACHE-DIR NETNS ROUNDS
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cnic.h>

#define CALLS_MAX 64

struct call {
	char *path, *input;
	char **env;
	size_t len;
};

static struct call calls[CALLS_MAX];
static size_t n_calls;

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void die(const char *what)
{
	fprintf(stderr, "cni_bench: %s\n", what);
	exit(1);
}

/* One program: input from a memory file, its output to the end, its status. */
static int bare(const char *path, char *const *env, const char *input, size_t len, char **ret_out, size_t *ret_len)
{
	char *argv[] = { (char *)(unsigned long)path, NULL }, *out = malloc(CNIC_OUTPUT_MAX + 1);
	int in = memfd_create("in", MFD_CLOEXEC), p[2], status;
	posix_spawn_file_actions_t fa;
	size_t got = 0;
	ssize_t n;
	pid_t pid;

	if (!out || in < 0 || write(in, input, len) != (ssize_t)len || lseek(in, 0, SEEK_SET) || pipe2(p, O_CLOEXEC))
		die("cannot start a program");
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, in, 0);
	posix_spawn_file_actions_adddup2(&fa, p[1], 1);
	if (posix_spawn(&pid, path, &fa, NULL, argv, env))
		die("cannot start a program");
	posix_spawn_file_actions_destroy(&fa);
	close(in);
	close(p[1]);
	while ((n = read(p[0], out + got, CNIC_OUTPUT_MAX - got)) > 0)
		got += (size_t)n;
	close(p[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	out[got] = 0;
	*ret_out = out;
	*ret_len = got;
	return status;
}

static char **copy_env(const char *const *env)
{
	char **copy;
	size_t n = 0;

	while (env[n])
		n++;
	copy = calloc(n + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < n; i++)
		copy[i] = strdup(env[i]);
	return copy;
}

/* A runner that writes down what the plugins of an ADD are given. */
static int note(void *user, const char *path, const char *const *env, const char *input, size_t len, int timeout_ms,
		char **ret_out, size_t *ret_out_len, char **ret_errout, int *ret_status)
{
	char **copy = copy_env(env);

	*ret_status = bare(path, copy, input, len, ret_out, ret_out_len);
	*ret_errout = strdup("");
	for (char **e = copy; *e; e++)
		if (strcmp(*e, "CNI_COMMAND=ADD") == 0 && n_calls < CALLS_MAX) {
			calls[n_calls] = (struct call){ strdup(path), malloc(len), copy, len };
			memcpy(calls[n_calls++].input, input, len);
			return 0;
		}
	return 0;
}

static struct cnic *open_cnic(char **argv, cnic_run_fn run)
{
	struct cnic_options *o = NULL;
	struct cnic_error err = { 0 };
	struct cnic *c = NULL;

	if (cnic_options_new(&o) || cnic_options_set_conf_dir(o, argv[1]) || cnic_options_add_plugin_dir(o, argv[2]) ||
	    cnic_options_set_cache_dir(o, argv[3]) || cnic_options_set_runner(o, run, NULL) || cnic_new(o, &c))
		die("bad arguments");
	cnic_options_free(o);
	if (cnic_reload(c, &err))
		die(err.message);
	return c;
}

static double attach(struct cnic *c, const struct cnic_attachment *a)
{
	struct cnic_error err = { 0 };
	double begin = now_us();

	if (cnic_attach(c, a, NULL, &err))
		die(err.message);
	return now_us() - begin;
}

static double replay(void)
{
	double begin = now_us();

	for (size_t i = 0; i < n_calls; i++) {
		char *out;
		size_t len;

		if (bare(calls[i].path, calls[i].env, calls[i].input, calls[i].len, &out, &len))
			die("a plugin failed");
		free(out);
	}
	return now_us() - begin;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(const char *what, double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), by_value);
	printf("%-28s median %7.0f  minimum %7.0f  95%% %7.0f us\n", what, v[n / 2], v[0], v[n * 95 / 100]);
}

int main(int argc, char **argv)
{
	struct cnic_attachment a = { .size = sizeof(a), .container_id = "bench", .timeout_ms = 60000 };
	double *ours, *theirs, *added;
	struct cnic *c, *noting;
	int rounds;

	if (argc != 6 || (rounds = atoi(argv[5])) < 1)
		die("usage: cni_bench CONF-DIR PLUGIN-DIR CACHE-DIR NETNS ROUNDS");
	a.netns = argv[4];
	noting = open_cnic(argv, note);
	attach(noting, &a);
	c = open_cnic(argv, NULL);
	ours = calloc((size_t)rounds, sizeof(*ours));
	theirs = calloc((size_t)rounds, sizeof(*theirs));
	added = calloc((size_t)rounds, sizeof(*added));
	for (int i = 0; i < rounds; i++) {
		if (i % 2)
			ours[i] = attach(c, &a);
		theirs[i] = replay();
		if (i % 2 == 0)
			ours[i] = attach(c, &a);
		added[i] = ours[i] - theirs[i];
	}
	printf("chain of %zu plugins, %d rounds\n", n_calls, rounds);
	report("cnic_attach()", ours, rounds);
	report("the same programs bare", theirs, rounds);
	report("added, round by round", added, rounds);
	cnic_detach(c, &a, NULL);
	cnic_free(noting);
	cnic_free(c);
	return 0;
}
