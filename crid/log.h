/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's log: one line a message, as CRI-O's (logrus):
 *
 *	time="2026-11-24 03:00:33.512000000Z" level=info msg="running pod ..." id=UUID name=/runtime.v1.RuntimeService/RunPodSandbox
 *
 * id and name tell the request on whose behalf something was done; they go along with jobs and timers
 * (jobs.h, loop.h). Lines are cut at LOG_LINE_MAX, control bytes escaped. Any thread.
 */
#ifndef CRID_LOG_H
#define CRID_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <cbase/cleanup.h>
#include <cbase/err.h>

enum log_level { LOG_FATAL, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };
#define LOG_LINE_MAX 4096

int log_set_level(const char *name); /* fatal panic error warn warning info debug trace; -EINVAL */
const char *log_level_name(void);
void log_set_json(bool json);
/* Only messages that match are written: a POSIX extended regular expression; "": all. E_INVALID */
int log_set_filter(const char *regex, struct cb_error *err);
/* Lines go to the end of this file, not to stderr; again: it is opened anew, as after a rotation. */
int log_open(const char *path, struct cb_error *err);
/* Before the first line: is stderr the journal? Then lines begin with their priority, "<6>". */
void log_find_journal(void);

void log_at(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

/* ---- on whose behalf this thread works ---- */

struct log_request {
	uint64_t id[2];
	const char *name;	/* of the method, never freed; NULL: nobody's */
};

struct log_request log_request_new(const char *name);	/* with an id of its own */
struct log_request log_request_get(void);
void log_request_set(const struct log_request *r);	/* NULL: nobody's */

#endif
