/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's object table and what hangs on it. All of this belongs to the loop's thread: no other
 * thread reads or writes it, so nothing here is locked.
 */
#ifndef CRID_DAEMON_H
#define CRID_DAEMON_H

#include <crisvc.h>
#include "images.h"
#include "info.h"
#include "jobs.h"
#include "loop.h"
#include "records.h"
#include "state_file.h"
#include "services.h"
#include "state.h"
#include "waiters.h"

/* A finished create whose caller had gone waits this long for the retry, then it is undone. */
#define PARKED_SECONDS 120
/* Grace for containers that are stopped as part of stopping or removing something larger. */
#define STOP_SECONDS_DEFAULT 10

struct daemon;
struct pod;

/* A process that is watched for its end. */
struct watched {
	int pidfd;			/* -1: gone, or never there */
	struct loop_source *source;
};

struct container {
	struct container *next;		/* of the pod */
	struct daemon *d;
	struct pod *pod;
	struct container_info *info;
	bool infra;			/* the pod's own; never listed */
	bool restored;			/* by a start: what the daemon before answered last is not known */
	enum container_state state;
	struct object_state st;		/* times, exit code, processes */
	struct watched init, monitor;
	bool busy;			/* one of its operations runs */
	bool end_hint;			/* something says that it may have ended */

	struct waiters creating, starting, stopping, removing;
	char *request;			/* bytes of the create request, while a retry may join */
	size_t request_len;
	struct loop_timer *parked;	/* created, but nobody heard: not listed */

	bool want_start, want_stop, want_remove;
	int64_t stop_deadline;		/* CLOCK_MONOTONIC ns; only ever gets earlier */
	bool signalled;			/* the stop signal was sent */
	int64_t kill_backoff;		/* ns until KILL is sent again */
	struct loop_timer *stop_timer;
	struct container_update *updates;	/* of its limits, in the order they came */
	struct stats_slot *stats;	/* NULL: nobody has asked */
};

struct pod {
	struct pod *next;
	struct daemon *d;
	struct pod_info *info;
	enum pod_state state;
	struct object_state st;
	struct container *containers;
	struct container *infra;
	bool busy;
	bool network_down, finished;	/* parts of stopping that are done */
	bool half;			/* never ready, nor undone: it waits for somebody to stop it */

	struct waiters running, stopping, removing;
	char *request;
	size_t request_len;
	int64_t network_deadline;	/* until when a new one waits for the network to be ready */
	struct loop_timer *parked;

	bool want_stop, want_remove;
	int64_t stop_deadline;
	struct stats_slot *stats;	/* NULL: nobody has asked */
};

struct daemon {
	struct arena arena;		/* of what lives as long as the daemon */
	const struct config *config;
	struct services sv;
	struct loop *loop;
	struct jobs *jobs;
	struct crisvc_server *server;
	struct loop_source *server_source;
	struct pod *pods;
	struct image_table *images;	/* never NULL after start-up */
	struct image_sync *image_sync;
	struct pull *pulls;
	struct streaming *streaming;	/* NULL before start-up and after the end */
	struct inspect *inspect;	/* NULL before start-up and after the end */
	struct stats *stats;		/* NULL: nobody has asked */
	struct subscriber *subscribers;	/* of events */
	size_t events_dropped;
	size_t execs;			/* running */
	struct watch *watch;
	struct network_watch *network_watch;
	struct signals *signals;
	struct reloads *reloads;
	bool reloading, reload_again;	/* the configuration is being read, and is to be once more */
	int argc;
	char **argv;			/* what the configuration is read from */
	struct watchdog *watchdog;	/* NULL: nobody expects to hear from the daemon */
	bool network_ready;
	char network_message[512];
	bool ending;
};

/* ---- look-up: by id, unique prefix of an id, or (containers, pods) not at all ---- */
struct pod *daemon_find_pod(struct daemon *d, const char *id);		/* NULL; not what is new or parked */
struct container *daemon_find_container(struct daemon *d, const char *id);
struct pod *daemon_find_pod_by_name(struct daemon *d, const char *name);	/* also new ones */
/* 64 random hex digits that do not start like a number. 0 or -errno. */
int daemon_new_id(char id[65]);


#endif
