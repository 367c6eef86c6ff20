/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the small programs share: commands and options by table, text that is safe for a terminal,
 * aligned tables, bars that show how long work goes on, and the first Ctrl-C as a request. A command
 * returns the exit status of the program; whoever notices an error says so at once on stderr with
 * complain(), and the callers only pass it on.
 */
#ifndef TOOL_H
#define TOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <cbase/cleanup.h>
#include <cbase/json.h>
#include <cbase/str.h>

enum { EXIT_USAGE = 2 };

/* ---- options.c ---- */

enum opt_type { OPT_FLAG, OPT_STRING, OPT_LIST, OPT_INT };

struct opt {
	char letter;		/* or 0 */
	const char *name;	/* NULL ends a table */
	enum opt_type type;
	void *value;		/* bool *, const char **, char *** or long long * */
	const char *arg;	/* "PATH", for the help; NULL with OPT_FLAG */
	const char *help;
};

/*
 * Takes the options out of argv, which are those of any of the tables (ended by NULL), and leaves
 * the other arguments at its beginning. With stop_at_first what follows the first of those is left
 * alone; "--" ends options. *help is set by --help. 0 or EXIT_USAGE.
 */
int options_parse(const struct opt *const *tables, bool stop_at_first, int *argc, char **argv,
		  bool *help);
void options_help(const struct opt *table, FILE *f);

/* ---- command.c ---- */

struct command {
	const char *name, *args, *summary;
	const char *details;		/* more help, or NULL */
	const struct opt *options;	/* or NULL */
	bool stop_at_first;		/* the arguments end with a command line */
	int min_args, max_args;		/* max -1: any number */
	int (*run)(void *user, int argc, char **argv);	/* arguments without options */
};

struct program {
	const char *name, *version;
	const struct command *const *commands;	/* ended by NULL */
	const struct opt *options;		/* for all commands */
	/* Called before a command's run() when all options are known; NULL, 0 or an exit status. */
	int (*prepare)(void *user);
	void *user;				/* for prepare() and run() */
};

/*
 * All of main(): finds the command, takes its options and those of all commands (with --help and
 * --version), runs it, and makes output that could not be written a failure. argv as main() has it.
 */
int program_main(const struct program *p, int argc, char **argv);

/* ---- text.c ---- */

void complain(const char *fmt, ...) PRINTF_LIKE(1, 2);	/* "PROGRAM: ..." */
/* s without what could move the cursor of a terminal: control characters become '?'. */
void text_append_safe(struct str *out, const char *s, bool keep_lines);
void text_age(int64_t since_ns, int64_t now, struct str *out);	/* "3 minutes ago"; "-" for 0 */
void text_size(uint64_t bytes, struct str *out);			/* "4.27MB" */
const char *text_short_id(const char *id, char out[14]);	/* 13 characters, no "sha256:" */
void text_seconds(int64_t ns, struct str *out);				/* "1.234 s" */
int json_print(struct json_doc *doc);					/* its root; exit status */

/* ---- table.c ---- */

struct table {
	size_t columns;
	char **cells;		/* row by row; the first row is the header */
	bool failed;
};

void table_init(struct table *t, size_t columns, const char *const *header);
void table_done(struct table *t);
void table_add(struct table *t, const char *cell);			/* copies */
void table_addf(struct table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
int table_format(const struct table *t, struct str *out);		/* 0 or -ENOMEM */
int table_print(struct table *t, FILE *f);				/* exit status; frees */

/* ---- bars.c ---- */

#define BARS_MAX 1024

struct bar {
	char name[14];
	int64_t done, size;	/* bytes; done <= size */
	bool told;		/* as a line */
};

/* Zero at the beginning. On stderr; not thread-safe. */
struct bars {
	struct bar *bar;	/* [owned] */
	size_t n;
	int drawn;		/* lines above the cursor */
};

/* Whether stderr is one that bars can be drawn on. */
bool bars_on_terminal(void);
/* Sets the bar of that name (as text_short_id() has it, made safe), making it when it is new. */
void bars_set(struct bars *b, const char *name, int64_t done, int64_t size);
void bars_done(struct bars *b);
/*
 * On a terminal a line per bar, drawn again each time, or one with the sum where they do not fit;
 * otherwise a line for each that is complete and had none yet. With complete all are so.
 */
void bars_show(struct bars *b, bool complete);
/* What bars_show() writes. bars_draw() returns how many lines there are then above the cursor. */
int bars_draw(const struct bars *b, int rows, int columns, struct str *out);
void bars_lines(struct bars *b, bool all, struct str *out);

/* ---- interrupt.c ---- */

/*
 * From here on SIGINT, SIGTERM and SIGHUP end nothing: the first makes the descriptor readable and
 * interrupted() true, the second ends the program at once after complaining what may be left
 * behind. Exit status.
 */
int interrupt_init(int *ret_fd, const char *left_behind);
bool interrupted(void);

#endif
