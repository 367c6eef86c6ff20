/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credential helpers, by Docker's protocol: one word on the command line, the server (or a JSON
 * object, for "store") on standard input, a JSON object on standard output.
 *
 * The input is in its pipe before the program starts, and is small enough to stay there, so nothing
 * here can be signalled by a program that does not read it. One that takes longer than a minute, or
 * says more than a megabyte, is killed.
 */
#include "auth_helper.h"

#include <cbase/io.h>
#include <cbase/json.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#define NONE "credentials not found in native keychain"
#define TOKEN_USER "<token>"

extern char **environ;

struct helper_cache {
	struct entry {
		struct entry *next;
		struct credentials creds;
		char *server;
		char name[];
	} *first;
};

static void entry_free(struct entry *e)
{
	credentials_done(&e->creds);
	free(e->server);
	free(e);
}

struct helper_cache *helper_cache_free(struct helper_cache *h)
{
	struct entry *e;

	while (h && (e = h->first)) {
		h->first = e->next;
		entry_free(e);
	}
	free(h);
	return NULL;
}

/* ---- running one ---- */

static bool name_valid(const char *s)
{
	return *s && *s != '-' && *s != '.' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		       strlen(s);
}

static int start(const char *program, const char *verb, int in, int out, pid_t *ret)
{
	char *argv[] = { (char *)(uintptr_t)program, (char *)(uintptr_t)verb, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int r;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	r = posix_spawnp(ret, program, &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* All it says; -ETIMEDOUT, -EFBIG. */
static int read_output(int fd, struct str *out)
{
	int64_t end = mono_ns() + HELPER_SECONDS * INT64_C(1000000000);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[4096];
	ssize_t n;

	for (;;) {
		int64_t left = (end - mono_ns()) / 1000000;

		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)left) <= 0)
			continue;
		n = read(fd, buf, sizeof(buf));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		if (n > 0 && out->len + (size_t)n > HELPER_OUTPUT_MAX)
			return -EFBIG;
		if (n > 0)
			str_append_mem(out, buf, (size_t)n);
		explicit_bzero(buf, sizeof(buf));
	}
	return str_failed(out) ? -ENOMEM : 0;
}

static int converse(const char *program, const char *verb, const char *input, struct str *out,
		    int *ret_status)
{
	int in[2] = { -1, -1 }, from[2] = { -1, -1 }, r = 0, status = 0;
	size_t n = strlen(input);
	pid_t pid = -1;

	if (n > PIPE_BUF)
		return -E2BIG;
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0 ||
	    write(in[1], input, n) != (ssize_t)n)
		r = -errno;
	in[1] = close_fd(in[1]);
	if (!r)
		r = start(program, verb, in[0], from[1], &pid);
	from[1] = close_fd(from[1]);
	in[0] = close_fd(in[0]);
	if (!r)
		r = read_output(from[0], out);
	if (r && pid > 0)
		kill(pid, SIGKILL);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	close_fd(from[0]);
	*ret_status = status;
	return r;
}

/* 0; CIMAGE_E_NOT_FOUND when it says that it has none. */
static int call(const char *name, const char *verb, const char *input, struct str *out,
		struct cimage_error *err)
{
	_cleanup_free_ char *program = strf("docker-credential-%s", name);
	int status, r;

	if (!program)
		return err_oom(err);
	if (!name_valid(name))
		return err_set(err, CIMAGE_E_INVALID, "\"%s\" is not the name of a credential helper",
			       SHOW(name));
	r = converse(program, verb, input, out, &status);
	if (r)
		return err_sysr(err, r, "run %s %s", program, verb);
	if (!status)
		return 0;
	/* what it says instead of an answer */
	if (out->data && strstr(out->data, NONE))
		return CIMAGE_E_NOT_FOUND;
	return err_set(err, CIMAGE_E_DENIED, "%s %s failed: %s", program, verb,
		       out->data && *out->data ? SHOW(out->data) : "it did not say why");
}

static void wipe(struct str *s)
{
	if (s->data)
		explicit_bzero(s->data, s->len);
	str_done(s);
}

/* ---- what it can do ---- */

static int take_answer(const char *text, struct credentials *ret, const char *name,
		       struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	const char *user, *secret;

	if (json_parse(text, strlen(text), 0, &doc, NULL) ||
	    !(user = json_get_string(json_root(doc), "Username")) ||
	    !(secret = json_get_string(json_root(doc), "Secret")))
		return err_set(err, CIMAGE_E_INVALID,
			       "docker-credential-%s: its answer is not a user and a secret", name);
	if (streq(user, TOKEN_USER)) {
		ret->identity_token = strdup(secret);
		return ret->identity_token ? 0 : err_oom(err);
	}
	ret->user = strdup(user);
	ret->password = strdup(secret);
	return ret->user && ret->password ? 0 : err_oom(err);
}

static int ask(const char *name, const char *server, struct credentials *ret,
	       struct cimage_error *err)
{
	_cleanup_(wipe) struct str out = STR_INIT;
	int r = call(name, "get", server, &out, err);

	if (r)
		return r == CIMAGE_E_NOT_FOUND ? 0 : r;
	return take_answer(out.data ? out.data : "", ret, name, err);
}

static int copy(const struct credentials *from, struct credentials *to, struct cimage_error *err)
{
	if ((from->user && !(to->user = strdup(from->user))) ||
	    (from->password && !(to->password = strdup(from->password))) ||
	    (from->identity_token && !(to->identity_token = strdup(from->identity_token)))) {
		credentials_done(to);
		return err_oom(err);
	}
	return 0;
}

int helper_get(struct helper_cache **cache, const char *name, const char *server,
	       struct credentials *ret, struct cimage_error *err)
{
	struct entry *e;
	int r;

	if (!cache)
		return err_set(err, CIMAGE_E_UNSUPPORTED, "helper %s: none may be started here",
			       SHOW(name));
	if (!*cache)
		*cache = calloc(1, sizeof(**cache));
	if (!*cache)
		return err_oom(err);
	for (e = (*cache)->first; e; e = e->next)
		if (streq(e->name, name) && streq(e->server, server))
			return copy(&e->creds, ret, err);
	e = calloc(1, sizeof(*e) + strlen(name) + 1);
	if (!e || !(e->server = strdup(server))) {
		free(e);
		return err_oom(err);
	}
	strcpy(e->name, name);
	r = ask(name, server, &e->creds, err);
	if (r) {
		entry_free(e);
		return r;
	}
	e->next = (*cache)->first;
	(*cache)->first = e;
	return copy(&e->creds, ret, err);
}

int helper_store(const char *name, const char *server, const char *user, const char *password,
		 struct cimage_error *err)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	_cleanup_(wipe) struct str in = STR_INIT, out = STR_INIT;

	if (!doc)
		return err_oom(err);
	json_set_string(doc, json_root(doc), "ServerURL", server);
	json_set_string(doc, json_root(doc), "Username", user);
	json_set_string(doc, json_root(doc), "Secret", password);
	if (json_format(doc, json_root(doc), 0, &in))
		return err_oom(err);
	return call(name, "store", in.data, &out, err);
}

int helper_erase(const char *name, const char *server, struct cimage_error *err)
{
	_cleanup_(wipe) struct str out = STR_INIT;

	return call(name, "erase", server, &out, err);
}

int helper_list(const char *name, char ***ret, struct cimage_error *err)
{
	_cleanup_(wipe) struct str out = STR_INIT;
	_cleanup_json_ struct json_doc *doc = NULL;
	_cleanup_strv_ char **v = NULL;
	int r = call(name, "list", "", &out, err);

	if (r)
		return r;
	if (json_parse(out.data ? out.data : "", out.len, 0, &doc, NULL) ||
	    json_root(doc)->type != JSON_OBJECT)
		return err_set(err, CIMAGE_E_INVALID,
			       "docker-credential-%s: its list is not a JSON object", name);
	json_foreach(item, json_root(doc))
		if (strv_push(&v, item->key))
			return err_oom(err);
	*ret = take(v);
	return 0;
}
