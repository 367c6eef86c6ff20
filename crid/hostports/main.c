/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crid-hostports: makes the nft tables say which ports of the host lead to which pods.
 *
 *	crid-hostports LOCK set ID...	< lines of table_want()
 *	crid-hostports LOCK sync	< lines of table_want()
 *
 * "set" makes the ports of the pods that are named what the lines say, all of them at once per family,
 * and leaves those of others alone; "sync" lets only the lines be there. Both can be repeated. The file
 * LOCK is locked meanwhile, because one of before may still run when the daemon was killed.
 *
 * It is a program of its own so that the daemon maps neither libcrypto nor libmnl and reads nothing
 * that nft prints. What failed is on stderr with status 1; with status 0 it is a warning.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <netinet/in.h>
#include <cbase/io.h>
#include "kernel.h"
#include "nft.h"
#include "table.h"

#define INPUT_MAX (16u << 20)

struct job {
	struct arena arena;
	char **comments;	/* NULL: sync */
	char *input;
	struct table tables[2];	/* ip, ip6 */
	char **interfaces;	/* on which route_localnet has to be turned on */
};

static int read_table(struct table *t, struct cb_error *err)
{
	char *args[] = { (char[]){ "nft" }, (char[]){ "-j" }, (char[]){ "-n" }, (char[]){ "list" }, (char[]){ "table" },
			 t->six ? (char[]){ "ip6" } : (char[]){ "ip" }, (char[]){ TABLE }, NULL };
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r = nft_run(args, "", 0, &text, &n, err);

	if (r > 0 && strstr(err->message, "No such file or directory")) {
		*err = (struct cb_error){ 0 };
		return 0;
	}
	if (!r) {
		r = table_read(t, text, n);
		if (r)
			err_sysr(err, r, "understand what nft printed of table %s %s", t->six ? "ip6" : "ip", TABLE);
	}
	return r;
}

/* Splits in place. */
static int read_wanted(struct job *j, struct cb_error *err)
{
	char *rest = j->input, *line;
	int r;

	while ((line = strsep(&rest, "\n"))) {
		if (!*line)
			continue;
		r = table_want(&j->tables[0], line);
		if (!r)
			r = table_want(&j->tables[1], line);
		if (r)
			return err_sysr(err, r, "\"%s\"", line);
	}
	return 0;
}

static int compare(struct job *j, struct table *t, struct cb_error *err)
{
	const struct element *taken;

	if (table_compare(t, j->comments, &taken))
		return err_set(err, 1, "host port %d is in use: the table has an entry of another pod, %s", taken->port, taken->comment);
	return 0;
}

/* Where packets from 127.0.0.1 have to go out to reach the pods. */
static int find_interfaces(struct job *j, struct cb_error *err)
{
	const struct element *e;
	char ip[64], name[IF_NAMESIZE];
	int r;

	for (e = j->tables[0].wanted; e; e = e->next) {
		if (!streq(e->set, "hairpins") || sscanf(e->key, "%63s", ip) != 1)
			continue;
		r = route_interface(ip, name);
		if (r)
			fprintf(stderr, "the way to %s: %s; its host ports cannot be reached on 127.0.0.1\n", ip, strerror(-r));
		else if (route_localnet(name, -1) == 0 && !strv_has(j->interfaces, name) && strv_push(&j->interfaces, name))
			return err_sysr(err, -ENOMEM, "host ports");
	}
	return 0;
}

static void set_localnet(char *const *interfaces, int on)
{
	for (; interfaces && *interfaces; interfaces++) {
		int r = route_localnet(*interfaces, on);

		/* the interface may be gone; that it cannot be opened is no harm when closing */
		if (r < 0 && on)
			fprintf(stderr, "route_localnet of %s: %s; host ports cannot be reached on 127.0.0.1\n", *interfaces, strerror(-r));
	}
}

static int apply(struct job *j, struct cb_error *err)
{
	char *args[] = { (char[]){ "nft" }, (char[]){ "-f" }, (char[]){ "-" }, NULL };
	_cleanup_str_ struct str script = STR_INIT;
	struct table *four = &j->tables[0];
	int r;

	/* closed before the guard goes, opened after it has come */
	if (four->exists && table_empty(four))
		set_localnet(four->localnet, 0);
	for (size_t i = 0; i < 2; i++)
		if (table_changes(&j->tables[i]) || table_empty(&j->tables[i]) || (!i && j->interfaces))
			table_script(&j->tables[i], i ? NULL : j->interfaces, &script);
	if (script.failed)
		return err_sysr(err, -ENOMEM, "host ports");
	if (!script.len)
		return 0;
	r = nft_run(args, script.data, script.len, NULL, NULL, err);
	if (!r)
		set_localnet(j->interfaces, 1);
	return r;
}

static void forget(const struct table *t)
{
	const struct element *lists[] = { t->there, t->wanted }, *e;
	int ports[256], r;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (e = lists[i]; e && n < ARRAY_SIZE(ports); e = e->next)
			if (!e->kept && e->proto == IPPROTO_UDP)
				ports[n++] = e->port;
	r = n ? forget_connections(t->six, ports, n) : 0;
	if (r)
		fprintf(stderr, "forget UDP connections of before: %s\n", strerror(-r));
}

static int run(struct job *j, struct cb_error *err)
{
	size_t n, i;
	int r = read_fd(STDIN_FILENO, INPUT_MAX, &j->input, &n);

	if (r)
		return err_sysr(err, r, "read the list of host ports");
	r = read_wanted(j, err);
	for (i = 0; i < 2 && !r; i++) {
		r = read_table(&j->tables[i], err);
		if (!r)
			r = compare(j, &j->tables[i], err);
	}
	if (!r)
		r = find_interfaces(j, err);
	if (!r)
		r = apply(j, err);
	for (i = 0; i < 2 && !r; i++)
		forget(&j->tables[i]);
	return r;
}

static int lock(const char *path, struct cb_error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 || flock(fd, LOCK_EX) < 0 ? err_sys(err, "lock %s", path) : 0;
}

static int read_comments(struct job *j, char **ids)
{
	char comment[COMMENT_LEN + 1];
	int r = 0;

	for (; *ids && !r; ids++) {
		table_comment(*ids, comment);
		r = strv_push(&j->comments, comment);
	}
	return r;
}

int main(int argc, char **argv)
{
	struct job j = { 0 };
	struct cb_error err = { 0 };
	bool set = argc > 3 && streq(argv[2], "set"), sync = argc == 3 && streq(argv[2], "sync");
	int r;

	if (!set && !sync) {
		fputs("usage: crid-hostports LOCK {set ID... | sync} < LIST\n", stderr);
		return 2;
	}
	for (size_t i = 0; i < 2; i++)
		table_init(&j.tables[i], &j.arena, i);
	r = lock(argv[1], &err);
	if (!r && set && read_comments(&j, argv + 3))
		r = err_sysr(&err, -ENOMEM, "host ports");
	if (!r)
		r = run(&j, &err);
	if (r)
		fprintf(stderr, "%s\n", err.message);
	for (size_t i = 0; i < 2; i++)
		table_done(&j.tables[i]);
	strv_free(j.comments);
	strv_free(j.interfaces);
	free(j.input);
	arena_done(&j.arena);
	return r ? 1 : 0;
}
