/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every command is one run of the runtime's program with CRI-O's arguments. What it means that
 * the program failed is told only by its stderr, so the few texts that stand for "there is no
 * such thing" are matched here, each tied to the place in the text where the runtime puts it: a
 * missing executable or hook is "not found" too and must not be taken for a missing container.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cbase/json.h>
#include "errors.h"
#include "runtime.h"
#include "spawn.h"

#define RUNTIME_OUTPUT_MAX (4u << 20) /* of `state`: it repeats the annotations */
#define RUNTIME_TIMEOUT_MS 120000     /* any command but start, which runs hooks */
#define PROBE_TIMEOUT_MS 30000

/* Replaces NAME=... or appends. */
static int env_set(char ***env, const char *entry)
{
	size_t name = strcspn(entry, "=") + 1;
	char *copy;

	for (size_t i = 0; i < strv_len(*env); i++) {
		if (strncmp((*env)[i], entry, name) != 0)
			continue;
		copy = strdup(entry);
		if (!copy)
			return -ENOMEM;
		free((*env)[i]);
		(*env)[i] = copy;
		return 0;
	}
	return strv_push(env, entry);
}

static int env_inherit(char ***env, const char *name)
{
	_cleanup_free_ char *entry = NULL;
	const char *value = getenv(name);

	if (!value)
		return 0;
	entry = strf("%s=%s", name, value);
	return entry ? env_set(env, entry) : -ENOMEM;
}

int runtime_env(const struct runtime_handler *h, char ***ret)
{
	_cleanup_strv_ char **env = NULL;
	int r = 0;

	for (char **e = h->monitor_env; !r && e && *e; e++)
		r = env_set(&env, *e);
	if (!r)
		r = env_set(&env, "CRI_O_EXTERNAL=1");
	if (!r)
		r = env_inherit(&env, "XDG_RUNTIME_DIR");
	if (!r)
		r = env_inherit(&env, "PATH");
	if (!r)
		*ret = take(env);
	return r;
}

/* ---- messages ---- */

struct line {
	const char *p;
	size_t n;
	bool quoted; /* a Go string in double quotes, without them */
	bool minor;  /* a warning or less */
};

static bool starts(const char *p, size_t n, const char *prefix)
{
	size_t k = strlen(prefix);

	return n >= k && memcmp(p, prefix, k) == 0;
}

static void skip(struct line *l, size_t n)
{
	l->p += n;
	l->n -= n;
}

/* time="2026-11-23T21:05:05Z" level=error msg="container does not exist" */
static void undecorate_logrus(struct line *l)
{
	const char *end = memchr(l->p + 6, '"', l->n - 6);

	if (!end || !starts(end, l->n - (size_t)(end - l->p), "\" level="))
		return;
	skip(l, (size_t)(end - l->p) + 8);
	l->minor = starts(l->p, l->n, "warn") || starts(l->p, l->n, "info") ||
		   starts(l->p, l->n, "debug") || starts(l->p, l->n, "trace");
	end = memmem(l->p, l->n, " msg=", 5);
	if (!end)
		return;
	skip(l, (size_t)(end - l->p) + 5);
	l->quoted = l->n >= 2 && l->p[0] == '"';
	if (!l->quoted)
		return;
	/*
	 * fields behind the message are left out: the closing quote is the first that is not
	 * escaped
	 */
	skip(l, 1);
	for (size_t i = 0; i < l->n; i++) {
		if (l->p[i] == '\\')
			i++;
		else if (l->p[i] == '"')
			l->n = i;
	}
}

/* 2026-11-23T21:05:05.947265Z: message */
static void undecorate_stamp(struct line *l)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd";
	size_t i = 0;

	for (; shape[i]; i++)
		if (i >= l->n ||
		    (shape[i] == 'd' ? l->p[i] < '0' || l->p[i] > '9' : l->p[i] != shape[i]))
			return;
	while (i < l->n && l->p[i] != ' ' && l->p[i] != ':')
		i++;
	if (i + 1 < l->n && l->p[i] == ':' && l->p[i + 1] == ' ')
		skip(l, i + 2);
}

/*
 * Undoes Go's quoting as far as it matters: quotes, backslashes, blanks; other escapes stay
 * readable.
 */
static void append_line(struct str *out, const struct line *l)
{
	_cleanup_str_ struct str text = STR_INIT;

	for (size_t i = 0; i < l->n; i++) {
		char c = l->p[i];

		if (l->quoted && c == '\\' && i + 1 < l->n) {
			char e = l->p[i + 1];

			if (strchr("\"\\nrt", e)) {
				c = e == 'n' || e == 'r' || e == 't' ? ' ' : e;
				i++;
			}
		}
		str_append_char(&text, (unsigned char)c < 0x20 || c == 0x7f ? ' ' : c);
	}
	if (text.len)
		str_append_utf8(out, text.data, text.len);
}

static bool next_line(const char **p, size_t *n, struct line *ret)
{
	while (*n) {
		const char *end = memchr(*p, '\n', *n);
		size_t len = end ? (size_t)(end - *p) : *n;

		*ret = (struct line){ .p = *p, .n = len };
		*p += len + !!end;
		*n -= len + !!end;
		while (ret->n && (ret->p[ret->n - 1] == ' ' || ret->p[ret->n - 1] == '\r'))
			ret->n--;
		if (starts(ret->p, ret->n, "time=\""))
			undecorate_logrus(ret);
		else
			undecorate_stamp(ret);
		if (ret->n)
			return true;
	}
	return false;
}

void runtime_message(struct str *out, const char *text, size_t n)
{
	const char *p = text;
	size_t left = n, start = out->len;
	bool any_error = false;
	struct line l;

	while (next_line(&p, &left, &l))
		any_error = any_error || !l.minor;
	for (p = text, left = n; next_line(&p, &left, &l);) {
		if (any_error && l.minor)
			continue;
		if (out->len > start)
			str_append(out, "; ");
		append_line(out, &l);
	}
}

/*
 * As runc, crun and older crun say it. The id is where they put it, so that no other text passes
 * for it.
 */
static bool no_container(const char *text, const char *id)
{
	static const char *const shapes[][2] = {
		{ "container `", "` does not exist" },
		{ "container \"", "\" does not exist" },
		{ "/", "/status`: No such file or directory" },
		{ "/", "': No such file or directory" },
	};

	if (str_ends(text, "container does not exist"))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		_cleanup_free_ char *gone = strf("%s%s%s", shapes[i][0], id, shapes[i][1]);

		if (gone && str_ends(text, gone))
			return true;
	}
	return false;
}

static bool no_process(const char *text)
{
	static const char *const texts[] = {
		"no such process", "container not running",    "is not running",
		"invalid process", "process already finished", "process not found",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (strcasestr(text, texts[i]))
			return true;
	return false;
}

/* ---- commands ---- */

struct command {
	const struct config *config;
	const struct runtime_handler *handler;
	const char *id;	     /* for messages; NULL: none */
	const char *args[8]; /* behind --root ROOT */
	const char *input;   /* NULL: none */
	int64_t timeout_ms;
	bool process; /* "no such process" is E_NOT_FOUND */
};

static int command_failed(const struct command *c, int status, const char *errout, size_t n,
			  struct cb_error *err)
{
	_cleanup_str_ struct str text = STR_INIT;
	char buf[64];

	runtime_message(&text, errout, n);
	if (!text.len)
		return err_set(err, E_FAILED, "%s %s: %s", c->handler->name, c->args[0],
			       wait_status_text(status, buf));
	if (c->id && (no_container(text.data, c->id) || (c->process && no_process(text.data))))
		return err_set(err, E_NOT_FOUND, "%s %s: %s", c->handler->name, c->args[0],
			       text.data);
	return err_set(err, E_FAILED, "%s %s: %s", c->handler->name, c->args[0], text.data);
}

static int command_run(const struct command *c, char **ret_out, size_t *ret_out_len,
		       struct cb_error *err)
{
	const struct runtime_handler *h = c->handler;
	const char *argv[4 + ARRAY_SIZE(c->args) + 1] = { h->runtime_path, "--root", h->runtime_root };
	size_t n = 3;
	struct spawn s = SPAWN_INIT;
	_cleanup_free_ char *out = NULL, *errout = NULL;
	_cleanup_strv_ char **env = NULL;
	size_t out_len = 0, errout_len = 0;
	int status, r;

	if (c->config->systemd_cgroups)
		argv[n++] = "--systemd-cgroup";
	for (size_t i = 0; i < ARRAY_SIZE(c->args) && c->args[i]; i++)
		argv[n++] = c->args[i];
	r = runtime_env(h, &env);
	if (r)
		return err_oom(err);
	s.path = h->runtime_path;
	s.argv = argv;
	s.env = (const char *const *)env;
	r = spawn_run(&s, c->input, c->input ? strlen(c->input) : 0, RUNTIME_OUTPUT_MAX,
		      c->timeout_ms > INT_MAX ? -1 : (int)c->timeout_ms, &out, &out_len, &errout,
		      &errout_len, &status, err);
	if (r)
		return err_ctx(err, r, "%s %s", h->name, c->args[0]);
	if (status != 0)
		return command_failed(c, status, errout, errout_len, err);
	if (ret_out) {
		*ret_out = take(out);
		*ret_out_len = out_len;
	}
	return 0;
}

int runtime_start(const struct config *config, const struct runtime_handler *h, const char *id,
		  struct cb_error *err)
{
	struct command c = {
		.config = config, .handler = h,
		.id = id,
		.args = { "start", id },
		.timeout_ms = h->container_create_timeout * 1000,
	};

	return command_run(&c, NULL, NULL, err);
}

int runtime_kill(const struct config *config, const struct runtime_handler *h, const char *id,
		 int sig, bool all, struct cb_error *err)
{
	struct command c = {
		.config = config, .handler = h, .id = id, .timeout_ms = RUNTIME_TIMEOUT_MS, .process = true
	};
	char number[16];

	snprintf(number, sizeof(number), "%d", sig);
	if (all)
		memcpy(c.args, (const char *[]){ "kill", "-a", id, number }, 4 * sizeof(c.args[0]));
	else
		memcpy(c.args, (const char *[]){ "kill", id, sig == SIGKILL ? "KILL" : number },
		       3 * sizeof(c.args[0]));
	return command_run(&c, NULL, NULL, err);
}

int runtime_update(const struct config *config, const struct runtime_handler *h, const char *id,
		   const char *resources, struct cb_error *err)
{
	struct command c = {
		.config = config, .handler = h,
		.id = id,
		.args = { "update", "--resources", "-", id },
		.input = resources,
		.timeout_ms = RUNTIME_TIMEOUT_MS,
	};

	return command_run(&c, NULL, NULL, err);
}

/* Every runtime keeps what it knows of a container in ROOT/ID. */
static bool is_known(const struct runtime_handler *h, const char *id)
{
	_cleanup_free_ char *dir = strf("%s/%s", h->runtime_root, id);

	return !dir || access(dir, F_OK) == 0 || errno != ENOENT;
}

int runtime_delete(const struct config *config, const struct runtime_handler *h, const char *id,
		   struct cb_error *err)
{
	struct command c = {
		.config = config, .handler = h,
		.id = id,
		.args = { "delete", "--force", id },
		.timeout_ms = RUNTIME_TIMEOUT_MS,
	};
	struct command state = {
		.config = config, .handler = h, .id = id, .args = { "state", id }, .timeout_ms = RUNTIME_TIMEOUT_MS
	};
	int r = command_run(&c, NULL, NULL, err);

	/*
	 * It may fail over a process that just ended, and yet have done its work: ask what is
	 * left.
	 */
	if (r == E_FAILED && command_run(&state, NULL, NULL, NULL) == E_NOT_FOUND)
		r = 0;
	/* a program that is not there any more cannot be asked */
	if (r == -ENOENT && !is_known(h, id))
		r = 0;
	return r == E_NOT_FOUND ? 0 : r;
}

int runtime_state(const struct config *config, const struct runtime_handler *h, const char *id,
		  char **ret, size_t *ret_len, struct cb_error *err)
{
	struct command c = {
		.config = config, .handler = h, .id = id, .args = { "state", id }, .timeout_ms = RUNTIME_TIMEOUT_MS
	};

	return command_run(&c, ret, ret_len, err);
}

int runtime_probe(const struct config *config, const struct runtime_handler *h, char **ret_version,
		  char **ret_features, struct cb_error *err)
{
	struct command version = { .config = config, .handler = h,
				   .args = { "--version" },
				   .timeout_ms = PROBE_TIMEOUT_MS };
	struct command features = { .config = config, .handler = h,
				    .args = { "features" },
				    .timeout_ms = PROBE_TIMEOUT_MS };
	_cleanup_free_ char *out = NULL;
	size_t n = 0;
	int r = command_run(&version, &out, &n, err);

	if (r)
		return r;
	*ret_features = NULL;
	command_run(&features, ret_features, &n, NULL);
	*ret_version = take(out);
	return 0;
}
