/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commands of crid-ctl share besides what all programs do (common/tool.h): the client, what
 * it finds, and how logs and pulls are followed.
 */
#ifndef CRID_CTL_H
#define CRID_CTL_H

#include <crisvc.h>
#include <crisvc-cri.h>
#include "tool.h"

#define CRI(name) Runtime__V1__##name

enum {
	EXIT_TIMED_OUT = 124,	/* exec --timeout, as timeout(1) */
	EXIT_NOT_RUN = 125,	/* run: the container did not come to run */
};

#define CALL_TIMEOUT 60		/* seconds for a call whose command says nothing else */
#define NO_TIMEOUT -1
/* for interrupt_init() */
#define PODS_LEFT "pods may be left behind, see `crid-ctl pods`"

/* ---- message.c ---- */

enum {
	MESSAGE_PARSE_INFO = 1,	/* the values of a map "info" are JSON: print them as such */
};
/* The message as protobuf's JSON mapping has it, all fields given. The tree belongs to doc. */
struct json *message_to_json(struct json_doc *doc, const ProtobufCMessage *m, int flags);
int message_print(const void *m, int flags);				/* to stdout; exit status */
/* An enum's name of the value, without its prefix up to the last capital word: "Running". */
void text_state(const ProtobufCEnumDescriptor *d, int value, struct str *out);
/* The name of the first string field that is not UTF-8, or NULL. */
const char *message_bad_string(const ProtobufCMessage *m);

/* ---- client.c ---- */

struct ctl {
	const char *endpoint;
	long long timeout;	/* --timeout in seconds; 0: as each command thinks right */
	bool json, quiet;
	struct crisvc_client *client;
};

/*
 * One CRI call by the name of its method; timeout in seconds unless --timeout was given. [owned]
 * reply, crisvc_cri_free(); or NULL with err filled.
 */
void *ctl_call(struct ctl *c, const char *method, const ProtobufCMessage *request,
	       long long timeout, struct crisvc_error *err);
/* The same, complaining about a failure. */
void *ctl_ask(struct ctl *c, const char *method, const ProtobufCMessage *request,
	      long long timeout);
/* A call whose reply is empty. Exit status. */
int ctl_tell(struct ctl *c, const char *method, const ProtobufCMessage *request,
	     long long timeout);
void ctl_complain(struct ctl *c, const char *method, const struct crisvc_error *err);

static inline void reply_freep(void *p)
{
	ProtobufCMessage *m;

	memcpy(&m, p, sizeof(m));
	if (m)
		crisvc_cri_free(m);
}
#define _cleanup_reply_ _cleanup_(reply_freep)

/* protobuf-c has no const; requests are only read. */
static inline char *pb(const char *s)
{
	return (char *)(uintptr_t)s;
}

/* ---- objects.c ---- */

enum object_kind { OBJECT_POD = 1, OBJECT_CONTAINER = 2 };

struct object {
	enum object_kind kind;
	char *id, *name;
	bool running;		/* the container, or the pod is ready */
};

/*
 * The pod or container (of the kinds wanted) that text means: its id, its name, or the beginning of
 * its id. A pod comes before its container of the same name; where only containers are wanted, a
 * pod stands for its only container. Exit status.
 */
int object_find(struct ctl *c, int kinds, const char *text, struct object *ret);
void object_done(struct object *o);

CRI(ListPodSandboxResponse) *list_pods(struct ctl *c);			/* NULL after complaining */
CRI(ListContainersResponse) *list_containers(struct ctl *c);

/* ---- image.c ---- */

/* [owned] id of the image; "" when it is not there; NULL after complaining. */
char *image_id(struct ctl *c, const char *image);
/*
 * [owned] id; creds "user:password", "-" to read them from stdin, or NULL. NULL: complained. The
 * progress is shown on terminals.
 */
char *image_pull(struct ctl *c, const char *image, const char *creds);

/* ---- http.c ---- */

int unix_connect(const char *endpoint); /* descriptor or -errno */
/*
 * Appends the body of a 200. -ECANCELED once stop_fd (-1: none) is readable, -EPROTO for any other
 * answer, -errno.
 */
int http_get(const char *endpoint, const char *path, int stop_fd, struct str *ret);

/* ---- progress.c ---- */

struct progress;
/*
 * Shows on stderr how a pull of the image, to be called for next, goes on; with lines also where
 * stderr is no terminal. NULL when nothing is to be shown. image must live until the end.
 */
struct progress *progress_start(const struct ctl *c, const char *image, bool lines);
void progress_stop(struct progress *p, bool complete); /* NULL is fine */
/* Takes in what /crid/pulls says about image; false when it is not that. */
bool progress_parse(const char *text, size_t n, const char *image, struct bars *bars,
		    int64_t *ret_version);

/* ---- logline.c ---- */

struct log_line {
	const char *time;	/* not terminated */
	size_t time_len;
	int stream;		/* 1 stdout, 2 stderr */
	bool partial;		/* tag P: the rest of the line follows */
	const char *text;	/* without the newline */
	size_t len;
};
/* One line of a CRI log, without its newline; the parts point into p. false: it is none. */
bool log_line_parse(const char *p, size_t n, struct log_line *ret);

/* ---- logview.c ---- */

struct log_view {
	bool timestamps;
	bool within[3];		/* what was printed last was the beginning of a line */
	FILE *file[3];		/* stdout and stderr, by log_line.stream */
	struct str rest;	/* bytes after the last newline of the file */
};
void log_view_init(struct log_view *v, bool timestamps);
void log_view_done(struct log_view *v);
void log_view_feed(struct log_view *v, const char *p, size_t n);
void log_view_end(struct log_view *v);	/* the file ends: what has no newline is shown too */
void log_view_flush(struct log_view *v);
bool log_view_failed(const struct log_view *v);		/* the text cannot be written any more */
/* Offset in the file from which on it has tail lines; 0 when it has fewer. */
int log_tail_offset(int fd, long long tail, off_t *ret);

/* ---- follow.c ---- */

struct follow {
	struct ctl *c;
	const char *container;		/* id */
	const char *path;
	struct log_view *view;
	off_t offset;			/* where to begin */
	int interrupt_fd;		/* -1, or readable when the user wants to stop */
	/* Called once then, or when the output has no reader; the log goes on. NULL: it ends. */
	void (*on_interrupt)(void *user);
	void *user;
};
/* Shows the log until the container has exited and all of it was shown. Exit status. */
int follow_log(struct follow *f);

/* ---- commands ---- */

extern const struct command cmd_run, cmd_pull, cmd_images, cmd_rmi, cmd_pods, cmd_ps, cmd_logs,
	cmd_exec, cmd_stop, cmd_rm, cmd_inspect, cmd_info, cmd_version, cmd_bench;

#endif
