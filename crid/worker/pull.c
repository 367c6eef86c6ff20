/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pull, seen from the process that writes: unpack. fetch is forked off before anything else, and
 * reads its configuration while this process goes into its sandbox and opens the store.
 *
 *	PULL_NAMING	waiting for fetch to say what the image is
 *	PULL_LAYERS	layers are being transferred and extracted
 *	PULL_DONE	all bytes are here and right: publish
 *
 * One poll loop until PULL_DONE: the daemon's socket (its end means: cancel), fetch's socket, the
 * ends of layers. Nothing of the image is visible before PULL_DONE; what follows is short and goes
 * in the order layers, record, name. On any failure the staging directories are removed on the way
 * out.
 *
 * When a layer ends early because its pipe did, fetch knows the reason and is about to tell it; so
 * such a failure waits for fetch's word. Any other failure ends the pull at once.
 */
#include "pull.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cbase/io.h>
#include "errors.h"
#include "fetch.h"
#include "image.h"
#include "report.h"
#include "sandbox.h"
#include "store.h"
#include "unpack.h"
#include "wire.h"

#define PROGRESS_INTERVAL_NS INT64_C(200000000)
#define FETCH_END_MS 5000

enum pull_state { PULL_NAMING, PULL_LAYERS, PULL_DONE };

struct pull {
	struct job *job;
	int daemon;
	enum pull_state state;
	char **candidates;		/* what the name may mean; each has a tag or a digest */
	uint32_t candidate;		/* the one that was found */

	pid_t fetch_pid;
	struct wire_reader control;
	bool fetch_done;		/* it said WIRE_DONE */

	struct store store;
	struct image image;
	struct unpack *unpack;
	bool *arrived;			/* per layer: fetch said WIRE_LAYER */
	/* a layer failed for want of bytes: waiting for the reason */
	int cut_r;
	struct cb_error cut_error;

	struct report_layer *progress;
	uint64_t reported;		/* sum of what was last reported */
	int64_t next_report;
};

/* ---- what fetch says ---- */

/* The digest a candidate is pinned to: behind '@'. */
static const char *pinned_digest(const char *name)
{
	const char *at = strchr(name, '@');

	return at ? at + 1 : NULL;
}

static int find_missing(struct pull *p, bool *missing, struct cb_error *err)
{
	struct cstore_error se = { 0 };

	for (size_t i = 0; i < p->image.n_layers; i++) {
		int exists = 0,
		    r = cstore_layer_exists(p->store.store, p->image.layers[i].id, &exists, &se);

		if (r)
			return err_from_cstore(err, r, &se);
		missing[i] = !exists;
	}
	return 0;
}

static int send_pipe(void *user, uint32_t layer, int pipe)
{
	struct pull *p = user;

	return wire_send_pipe(p->control.fd, layer, pipe);
}

static int start_layers(struct pull *p, struct cb_error *err)
{
	size_t n = p->image.n_layers;
	_cleanup_free_ bool *missing = calloc(n + 1, sizeof(*missing));
	int r;

	p->arrived = calloc(n + 1, sizeof(*p->arrived));
	p->progress = calloc(n + 1, sizeof(*p->progress));
	if (!missing || !p->arrived || !p->progress)
		return err_oom(err);
	r = find_missing(p, missing, err);
	if (!r)
		r = unpack_new(p->store.staging, &p->image, missing, &p->unpack, err);
	if (!r)
		r = unpack_start(p->unpack, send_pipe, p, err);
	if (r)
		return r;
	r = wire_send(p->control.fd, WIRE_GO, NULL, 0);
	/* fetch may have failed meanwhile: it tells why. */
	return r == -EPIPE ? 0 : r ? err_sysr(err, r, "ask for layers") : 0;
}

static int on_image(struct pull *p, const struct wire_frame *f, struct cb_error *err)
{
	struct wire_image w;
	int r;

	if (p->state != PULL_NAMING || wire_parse_image(f, &w) ||
	    w.candidate >= strv_len(p->candidates))
		return err_sysr(err, -EPROTO, "fetch");
	p->candidate = w.candidate;
	r = image_derive(&w, pinned_digest(p->candidates[w.candidate]), &p->image, err);
	if (r)
		return r;
	p->state = PULL_LAYERS;
	return start_layers(p, err);
}

static int on_layer(struct pull *p, const struct wire_frame *f, struct cb_error *err)
{
	uint32_t n;

	if (p->state != PULL_LAYERS || wire_parse_u32(f, &n) || n >= p->image.n_layers)
		return err_sysr(err, -EPROTO, "fetch");
	p->arrived[n] = true;
	return 0;
}

static int on_frame(struct pull *p, const struct wire_frame *f, struct cb_error *err)
{
	int r;

	switch (f->type) {
	case WIRE_IMAGE:
		return on_image(p, f, err);
	case WIRE_LAYER:
		return on_layer(p, f, err);
	case WIRE_DONE:
		p->fetch_done = p->state == PULL_LAYERS;
		return p->fetch_done ? 0 : err_sysr(err, -EPROTO, "fetch");
	case WIRE_ERROR:
		return wire_parse_error(f, &r, err) ? err_sysr(err, -EPROTO, "fetch") : r;
	default:
		return err_sysr(err, -EPROTO, "fetch");
	}
}

static int read_control(struct pull *p, struct cb_error *err)
{
	struct wire_frame f;
	int r = wire_fill(&p->control);

	if (r)
		return err_sysr(err, r, "fetch");
	while ((r = wire_next(&p->control, &f)) > 0) {
		r = on_frame(p, &f, err);
		if (r)
			return r;
	}
	if (r)
		return err_sysr(err, r, "fetch");
	if (!p->control.eof || p->fetch_done)
		return 0;
	/* Its pipes ended with it: what a layer found out may say more. */
	if (!p->cut_r)
		return err_set(err, E_FAILED, "fetch ended without a word");
	*err = p->cut_error;
	return p->cut_r;
}

/* ---- layers and the daemon ---- */

static int look_at_layers(struct pull *p, struct cb_error *err)
{
	struct cb_error why;
	size_t layer = 0;
	bool cut = false;
	int r = 0;

	switch (unpack_look(p->unpack, &layer, &cut, &r, &why)) {
	case UNPACK_FAILED:
		break;
	case UNPACK_COMPLETE:
		if (p->fetch_done)
			p->state = PULL_DONE;
		return 0;
	default:
		return 0;
	}
	if (cut && !p->arrived[layer] && !p->fetch_done) {
		p->cut_r = r;
		p->cut_error = why;
		return 0;
	}
	*err = why;
	return r;
}

static void tell_progress(struct pull *p)
{
	size_t n = unpack_progress(p->unpack, p->progress);
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += p->progress[i].done;
	if (sum != p->reported)
		report_progress(p->daemon, p->progress, n);
	p->reported = sum;
	p->next_report = mono_ns() + PROGRESS_INTERVAL_NS;
}

static int progress_timeout(const struct pull *p)
{
	int64_t left;

	if (p->state != PULL_LAYERS)
		return -1;
	left = p->next_report - mono_ns();
	return left <= 0 ? 0 : (int)(left / 1000000) + 1;
}

/* The daemon never sends after the job: something to read is its end. */
static int step(struct pull *p, struct cb_error *err)
{
	struct pollfd fds[3] = {
		{ .fd = p->daemon, .events = POLLIN },
		{ .fd = p->control.eof ? -1 : p->control.fd, .events = POLLIN },
		{ .fd = p->unpack ? unpack_event_fd(p->unpack) : -1, .events = POLLIN },
	};
	int r = 0;

	if (poll(fds, ARRAY_SIZE(fds), progress_timeout(p)) < 0)
		return errno == EINTR ? 0 : err_sys(err, "poll");
	if (fds[0].revents)
		return err_set(err, E_CANCELLED, "the daemon cancelled the pull");
	/* First fetch: what it said before it closed a pipe explains what became of the layer. */
	if (fds[1].revents)
		r = read_control(p, err);
	if (!r && p->unpack)
		r = look_at_layers(p, err);
	if (!r && p->state == PULL_LAYERS && p->next_report <= mono_ns())
		tell_progress(p);
	return r;
}

/* ---- beginning and end ---- */

/* Whether fetch is gone, so that its ends of the pipes are closed. */
static bool end_fetch(struct pull *p)
{
	_cleanup_close_ int fd = -1;
	struct pollfd poll_fd = { .events = POLLIN };

	p->control.fd = close_fd(p->control.fd);
	if (p->fetch_pid <= 0)
		return true;
	fd = (int)syscall(SYS_pidfd_open, p->fetch_pid, 0);
	poll_fd.fd = fd;
	if (fd >= 0 && poll(&poll_fd, 1, FETCH_END_MS) != 1)
		return false;
	waitpid(p->fetch_pid, NULL, 0);
	p->fetch_pid = 0;
	return true;
}

/*
 * A fetch that does not end on request dies with this process (PR_SET_PDEATHSIG). Threads may be
 * waiting for it; what is staged is then left to the next one who looks, as after a crash.
 */
static bool release_store(struct pull *p)
{
	if (!end_fetch(p))
		return false;
	p->unpack = unpack_free(p->unpack);
	store_done(&p->store);
	return true;
}

static void pull_done(struct pull *p)
{
	if (!release_store(p))
		return;
	image_done(&p->image);
	wire_reader_done(&p->control);
	cimage_strv_free(p->candidates);
	free(p->arrived);
	free(p->progress);
}

static int publish(struct pull *p, struct cb_error *err)
{
	const char *name = p->candidates[p->candidate];
	int r = unpack_publish(p->unpack, err);

	return r ? r : image_put(&p->image, p->store.store, name, err);
}

static int resolve(struct pull *p, struct cimage_context *c, struct cb_error *err)
{
	struct cimage_error ie = { 0 };
	int r = cimage_resolve(c, p->job->image, &p->candidates, &ie);

	if (!r && !p->candidates[0])
		return err_set(err, E_NOT_FOUND, "%s is no name of an image", p->job->image);
	return err_from_cimage(err, r, &ie);
}

static int start(struct pull *p, struct cb_error *err)
{
	struct cimage_context *c = NULL;
	int r;

	r = fetch_context(p->job, &c, err);
	if (r)
		return r;
	r = resolve(p, c, err);
	if (!r)
		r = fetch_start(p->job, c, p->candidates, &p->fetch_pid, &p->control.fd, err);
	cimage_context_free(c);
	job_wipe_credentials(p->job);
	if (!r)
		r = sandbox_begin(0, err);
	return r ? r : store_enter(p->job, true, &p->store, err);
}

/* A pipe per layer, and its other end until it is sent. */
static void raise_fd_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max < 65536 ? l.rlim_max : 65536;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

int pull_run(struct job *j, int daemon_fd, struct cb_error *err)
{
	struct pull p = { .job = j, .daemon = daemon_fd, .control = { .fd = -1 } };
	int r;

	raise_fd_limit();
	r = start(&p, err);
	while (!r && p.state != PULL_DONE)
		r = step(&p, err);
	if (!r)
		r = publish(&p, err);
	if (r) {
		/* What the registry said names the image already, as it was asked for. */
		if (!str_starts(err->message, "fetch "))
			err_ctx(err, r, "pull %s", j->image);
		if (r != E_CANCELLED)
			report_error(daemon_fd, r, err);
	} else {
		/* first: a worker that dies without an answer is cleaned up after */
		release_store(&p);
		report_result(daemon_fd, image_id(&p.image), p.candidates[p.candidate],
			      image_digest(&p.image));
	}
	pull_done(&p);
	return r;
}
