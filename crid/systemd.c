/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See systemd.h. StartTransientUnit only queues a job; JobRemoved tells how it ended. The match for the signal
 * is there before the call, and signals are looked at only after its reply has told the job's name.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <systemd/sd-bus.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "errors.h"
#include "optime.h"
#include "systemd.h"

#define LIBRARY "libsystemd.so.0"
#define NAME "org.freedesktop.systemd1"
#define PATH "/org/freedesktop/systemd1"
#define MANAGER NAME ".Manager"
#define RESULT_LEN 32 /* "done", "failed", "dependency" ... */

/* clang-format off */
#define FUNCTIONS(X)                                                                               \
	X(sd_bus_open_system) X(sd_bus_flush_close_unref) X(sd_bus_match_signal) X(sd_bus_call)    \
	X(sd_bus_message_new_method_call) X(sd_bus_message_append) X(sd_bus_message_read)          \
	X(sd_bus_message_unref) X(sd_bus_process) X(sd_bus_wait) X(sd_bus_error_free)
/* clang-format on */

#define DECLARE(f) __typeof__(f) *f;
static struct {
	FUNCTIONS(DECLARE)
} lib;

static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static char load_failure[256]; /* "" when it is there */

static void load(void)
{
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (!handle) {
		snprintf(load_failure, sizeof(load_failure), "%s", dlerror());
		return;
	}
#define LOOK_UP(f)                                                                                 \
	*(void **)(void *)&lib.f = dlsym(handle, #f);                                              \
	if (!lib.f)                                                                                \
		snprintf(load_failure, sizeof(load_failure), LIBRARY " has no " #f);
	FUNCTIONS(LOOK_UP)
	dlclose(handle);
}

static int open_bus(sd_bus **ret, struct cb_error *err)
{
	int r;

	pthread_once(&load_once, load);
	if (*load_failure)
		return err_set(err, E_UNSUPPORTED, "load %s", load_failure);
	r = lib.sd_bus_open_system(ret);
	return r < 0 ? err_sysr(err, r, "connect to the system bus") : 0;
}

/* m: consumed. */
static int call(sd_bus *bus, sd_bus_message *m, sd_bus_message **ret, struct cb_error *err)
{
	sd_bus_error e = SD_BUS_ERROR_NULL;
	int r = lib.sd_bus_call(bus, m, 0, &e, ret);

	lib.sd_bus_message_unref(m);
	if (r < 0)
		err_set(err, E_FAILED, "systemd: %s", e.message ? e.message : e.name ? e.name : strerror(-r));
	lib.sd_bus_error_free(&e);
	return r < 0 ? E_FAILED : 0;
}

static int subscribe(sd_bus *bus, struct cb_error *err)
{
	sd_bus_message *m = NULL;
	int r = lib.sd_bus_message_new_method_call(bus, &m, NAME, PATH, MANAGER, "Subscribe");

	return r < 0 ? err_sysr(err, r, "ask systemd") : call(bus, m, NULL, err);
}

int systemd_check(struct cb_error *err)
{
	sd_bus *bus = NULL;
	int r = open_bus(&bus, err);

	if (!r) {
		r = subscribe(bus, err);
		lib.sd_bus_flush_close_unref(bus);
	}
	return r ? err_ctx(err, r, "systemd cgroup manager") : 0;
}

/* ---- scopes ---- */

struct start {
	const char *unit, *slice, *job;
	char result[RESULT_LEN]; /* of the job; "" until it has ended */
};

static int job_removed(sd_bus_message *m, void *user, sd_bus_error *e)
{
	const char *job, *result;
	struct start *s = user;

	if (lib.sd_bus_message_read(m, "uoss", NULL, &job, NULL, &result) >= 0 && streq(job, s->job))
		snprintf(s->result, sizeof(s->result), "%s", result);
	return 0;
}

/* CRI-O's properties. At shutdown a monitor ends before crid, by a signal that it does not catch. */
static int request(sd_bus *bus, const struct start *s, pid_t pid, sd_bus_message **ret)
{
	int r = lib.sd_bus_message_new_method_call(bus, ret, NAME, PATH, MANAGER, "StartTransientUnit");

	/* clang-format off */
	return r < 0 ? r : lib.sd_bus_message_append(*ret, "ssa(sv)a(sa(sv))", s->unit, "replace", 7,
		"PIDs", "au", 1, (unsigned)pid,
		"Slice", "s", s->slice,
		"Delegate", "b", 1,
		"DefaultDependencies", "b", 0,
		"KillSignal", "i", SIGPIPE,
		"After", "as", 2, "crio.service", "crid.service",
		"CollectMode", "s", "inactive-or-failed",
		0);
	/* clang-format on */
}

static int wait_job(sd_bus *bus, struct start *s, int64_t deadline, struct cb_error *err)
{
	while (!*s->result) {
		int64_t left = deadline - mono_ns();
		int r = lib.sd_bus_process(bus, NULL);

		if (r == 0 && left <= 0)
			return err_set(err, E_DEADLINE, "systemd did not do it in time");
		if (r == 0)
			r = lib.sd_bus_wait(bus, (uint64_t)left / 1000 + 1);
		if (r < 0 && r != -EINTR)
			return err_sysr(err, r, "wait for systemd");
	}
	return streq(s->result, "done") ? 0 : err_set(err, E_FAILED, "systemd: its job ended as \"%s\"", s->result);
}

static int start(sd_bus *bus, struct start *s, pid_t pid, int64_t deadline, struct cb_error *err)
{
	sd_bus_message *m = NULL, *reply = NULL;
	int r = lib.sd_bus_match_signal(bus, NULL, NAME, PATH, MANAGER, "JobRemoved", job_removed, s);

	if (r < 0)
		return err_sysr(err, r, "watch systemd's jobs");
	r = subscribe(bus, err);
	if (r)
		return r;
	r = request(bus, s, pid, &m);
	if (r < 0) {
		lib.sd_bus_message_unref(m);
		return err_sysr(err, r, "ask systemd");
	}
	r = call(bus, m, &reply, err);
	if (r)
		return r;
	r = lib.sd_bus_message_read(reply, "o", &s->job);
	r = r < 0 ? err_sysr(err, r, "read systemd's answer") : wait_job(bus, s, deadline, err);
	lib.sd_bus_message_unref(reply);
	return r;
}

int systemd_start_scope(const char *unit, const char *slice, pid_t pid, int64_t deadline, struct cb_error *err)
{
	struct start s = { .unit = unit, .slice = slice };
	int64_t begun = mono_ns();
	sd_bus *bus = NULL;
	int r = open_bus(&bus, err);

	if (!r) {
		r = start(bus, &s, pid, deadline, err);
		lib.sd_bus_flush_close_unref(bus);
	}
	optime_waited(begun, mono_ns());
	return r ? err_ctx(err, r, "start %s in %s", unit, slice) : 0;
}
