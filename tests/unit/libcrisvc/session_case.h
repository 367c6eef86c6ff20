/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP/2 engine of the server in a test: fed with raw frames and without a socket; the clock is a
 * variable.
 */
#ifndef SESSION_CASE_H
#define SESSION_CASE_H

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cbase/cleanup.h>

#include "crisvc.h"
#include "limit.h"
#include "peer.h"
#include "stream.h"

#define PATH "/runtime.v1.RuntimeService/Version"
#define SETTINGS_NONE "", 0

extern struct host host;
extern struct session *session;
extern struct reader reader;
extern struct str out; /* what the client will say next */
extern bool attention;
extern unsigned cancelled;
extern int user_data;

void setup(void);
void teardown(void);
/* The client speaks; n bytes at a time, 0: at once. */
int feed_by(size_t n);
int feed(void);
/* The client listens. */
void pull(void);
bool next(struct frame *f);
bool has_header(const char *line);
void expect_headers(uint32_t id, unsigned flags);
/* An answer without a message, whose status line (and more) is given. */
void expect_error(uint32_t id, const char *status);
void expect_reset(uint32_t id, uint32_t code);
void expect_silence(void);
void expect_reply(uint32_t id, const void *p, size_t n);
void note_cancel(void *user);
struct crisvc_call *pop_ready(void);
struct crisvc_call *pop(void);
void answer(struct crisvc_call *c, const char *text);
void put_call(uint32_t id, const char *text);
/* Is this connection still good for a whole call? */
void expect_usable(uint32_t id);

/* main() */
int run_session_case(TCase *tc);

#endif
