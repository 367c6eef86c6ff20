/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cimage login: asks the registry whether it takes the credentials, then puts them where everybody
 * looks for them. The password comes from standard input, or from a terminal without being shown.
 */
#include <termios.h>
#include <unistd.h>
#include "cimage_tool.h"
#include "trust.h"

#define LINE_MAX_ 4096

static const char *user, *password;
static struct side side;
static bool from_stdin, get_login;

static const struct opt options[] = {
	{ 'u', "username", OPT_STRING, &user, "NAME", "user; asked for when missing" },
	{ 'p', "password", OPT_STRING, &password, "TEXT",
	  "password; others see it in the list of processes" },
	{ 0, "password-stdin", OPT_FLAG, &from_stdin, NULL, "read the password from standard input" },
	{ 0, "get-login", OPT_FLAG, &get_login, NULL, "only print who is logged in" },
	{ 0, "authfile", OPT_STRING, &side.authfile, "PATH",
	  "file of credentials (REGISTRY_AUTH_FILE; see containers-auth.json(5))" },
	{ 0, "cert-dir", OPT_STRING, &side.cert_dir, "PATH", "has *.crt, *.cert and *.key" },
	{ 0, "tls-verify", OPT_STRING, &side.tls_verify, "BOOL",
	  "false: plain HTTP and unverified TLS are fine" },
	{ 0 },
};

/* A line from the terminal or a pipe: [owned], without the line break; NULL at the end. */
static char *read_line(const char *prompt, bool hidden)
{
	struct termios saved, quiet;
	char buf[LINE_MAX_], *got;
	bool tty = isatty(STDIN_FILENO);

	if (tty) {
		fputs(prompt, stderr);
		fflush(stderr);
	}
	hidden = hidden && tty && !tcgetattr(STDIN_FILENO, &saved);
	if (hidden) {
		quiet = saved;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	got = fgets(buf, sizeof(buf), stdin);
	if (hidden) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
		fputc('\n', stderr);
	}
	if (!got)
		return NULL;
	buf[strcspn(buf, "\r\n")] = '\0';
	got = strdup(buf);
	explicit_bzero(buf, sizeof(buf));
	return got;
}

static int open_context(struct cimage_context **ret)
{
	const char *env = getenv("REGISTRY_AUTH_FILE");

	if (!side.authfile && env && *env)
		side.authfile = env;
	return setup_context(&side, ret);
}

static int show(struct cimage_context *c, const char *key)
{
	_cleanup_free_ char *name = NULL;
	struct cimage_error err = { 0 };
	int r = cimage_credentials_find(c, key, &name, &err);

	if (r)
		return complain_error(r, &err);
	puts(name);
	return 0;
}

static int check_and_store(struct cimage_context *c, const char *key, const char *name,
			   const char *secret)
{
	_cleanup_free_ char *host = strndup(key, strcspn(key, "/")), *where = NULL;
	struct cimage_error err = { 0 };
	int r;

	if (cimage_context_set_credentials(c, name, secret)) {
		complain("a user name cannot have a ':' in it");
		return EXIT_USAGE;
	}
	r = host ? cimage_login(c, host, &err) : -ENOMEM;
	if (!r)
		r = cimage_credentials_store(c, key, name, secret, &where, &err);
	if (r)
		return complain_error(r, &err);
	printf("Login Succeeded!\n");
	fprintf(stderr, "The credentials of %s are now with %s\n", key, where);
	return 0;
}

static int log_in(struct cimage_context *c, const char *key)
{
	_cleanup_free_ char *name = user ? strdup(user) : NULL;
	_cleanup_free_ char *secret = password ? strdup(password) : NULL;
	int r;

	if (from_stdin && !user) {
		complain("--password-stdin needs --username");
		return EXIT_USAGE;
	}
	if (!name)
		name = read_line("Username: ", false);
	if (name && *name && !secret)
		secret = read_line("Password: ", true);
	if (!name || !*name || !secret || !*secret) {
		complain("a user name and a password are needed: --username and --password-stdin");
		return EXIT_USAGE;
	}
	r = check_and_store(c, key, name, secret);
	explicit_bzero(secret, strlen(secret));
	return r;
}

static int run_login(void *unused, int argc, char **argv)
{
	struct cimage_context *c;
	int r = open_context(&c);

	if (r)
		return r;
	r = get_login ? show(c, argv[0]) : log_in(c, argv[0]);
	cimage_context_free(c);
	return r;
}

const struct command cmd_login = {
	.name = "login",
	.args = "REGISTRY",
	.summary = "check credentials of a registry and keep them",
	.details = "REGISTRY is HOST[:PORT], or HOST[:PORT]/NAMESPACE... for a part of one.",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.run = run_login,
};

/* ---- logout ---- */

static bool all;

static const struct opt logout_options[] = {
	{ 'a', "all", OPT_FLAG, &all, NULL, "forget the credentials of all registries" },
	{ 0, "authfile", OPT_STRING, &side.authfile, "PATH",
	  "file of credentials (REGISTRY_AUTH_FILE; see containers-auth.json(5))" },
	{ 0 },
};

static int run_logout(void *unused, int argc, char **argv)
{
	struct cimage_error err = { 0 };
	struct cimage_context *c;
	int r;

	if (all == (argc == 1)) {
		complain("logout takes either a registry or --all");
		return EXIT_USAGE;
	}
	r = open_context(&c);
	if (r)
		return r;
	r = cimage_credentials_remove(c, all ? NULL : argv[0], &err);
	cimage_context_free(c);
	if (r)
		return complain_error(r, &err);
	if (all)
		puts("Removed login credentials for all registries");
	else
		printf("Removed login credentials for %s\n", argv[0]);
	return 0;
}

const struct command cmd_logout = {
	.name = "logout",
	.args = "REGISTRY | --all",
	.summary = "forget the credentials of a registry",
	.options = logout_options,
	.min_args = 0,
	.max_args = 1,
	.run = run_logout,
};
