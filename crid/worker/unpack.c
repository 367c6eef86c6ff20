/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer: waiting -> running -> ended. As many threads as processors take waiting layers, always
 * one whose pipe has something (or has ended): the fetch transfers a few blobs at a time in an
 * order of its own, and a thread waiting for a layer that it holds back could wait for ever. A
 * layer that no thread has yet fills its pipe, and its transfer pauses.
 *
 * Each thread may write in the staging directories only (landlock.c): the paths in an archive are
 * hostile, whatever the extraction already does about it.
 *
 * The pick lock is held while waiting for pipes: one thread waits, the others wait for it. The
 * state lock guards the layers' states and is never held while waiting.
 */
#include "unpack.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include "errors.h"
#include "sandbox.h"

#define THREADS_MAX 8
#define PIPE_SIZE (1 << 20)	/* bytes asked for; what the kernel refuses is done without */

enum layer_state { LAYER_PRESENT, LAYER_WAITING, LAYER_RUNNING, LAYER_ENDED };

struct layer {
	struct unpack *u;
	const struct image_layer *image;
	enum layer_state state;
	int pipe;
	uint64_t done;			/* bytes of the blob read; atomic */
	struct cstore_staged *staged;
	bool cut;
	int r;
	struct cb_error error;
};

struct unpack {
	struct cstore_staging *staging;
	struct layer *layers;
	size_t n_layers, n_missing;
	pthread_mutex_t pick, state;
	pthread_t threads[THREADS_MAX];
	size_t n_threads;
	int event;
	int cancel;			/* atomic */
};

int unpack_new(struct cstore_staging *staging, const struct image *image, const bool *missing,
	       struct unpack **ret, struct cb_error *err)
{
	struct unpack *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return err_oom(err);
	u->staging = staging;
	pthread_mutex_init(&u->pick, NULL);
	pthread_mutex_init(&u->state, NULL);
	u->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	u->layers = calloc(image->n_layers + 1, sizeof(*u->layers));
	if (u->event < 0 || !u->layers) {
		r = u->event < 0 ? err_sys(err, "unpack") : err_oom(err);
		unpack_free(u);
		return r;
	}
	u->n_layers = image->n_layers;
	for (size_t i = 0; i < u->n_layers; i++) {
		u->layers[i] = (struct layer){
			.u = u, .image = &image->layers[i], .pipe = -1,
			.state = missing[i] ? LAYER_WAITING : LAYER_PRESENT,
		};
		u->n_missing += missing[i];
	}
	*ret = u;
	return 0;
}

struct unpack *unpack_free(struct unpack *u)
{
	if (!u)
		return NULL;
	__atomic_store_n(&u->cancel, 1, __ATOMIC_RELAXED);
	for (size_t i = 0; i < u->n_threads; i++)
		pthread_join(u->threads[i], NULL);
	for (size_t i = 0; i < u->n_layers; i++) {
		cstore_staged_free(u->layers[i].staged);
		close_fd(u->layers[i].pipe);
	}
	close_fd(u->event);
	pthread_mutex_destroy(&u->pick);
	pthread_mutex_destroy(&u->state);
	free(u->layers);
	free(u);
	return NULL;
}

/* ---- in the threads ---- */

static void set_state(struct layer *l, enum layer_state state)
{
	pthread_mutex_lock(&l->u->state);
	l->state = state;
	pthread_mutex_unlock(&l->u->state);
}

/* Waits until a waiting layer can be read; NULL when none is left. With the pick lock held. */
static struct layer *pick_locked(struct unpack *u, struct pollfd *p, struct layer **of)
{
	for (;;) {
		nfds_t n = 0;

		pthread_mutex_lock(&u->state);
		for (size_t i = 0; i < u->n_layers; i++) {
			if (u->layers[i].state != LAYER_WAITING)
				continue;
			p[n] = (struct pollfd){ .fd = u->layers[i].pipe, .events = POLLIN };
			of[n++] = &u->layers[i];
		}
		pthread_mutex_unlock(&u->state);
		if (n == 0)
			return NULL;
		if (poll(p, n, -1) < 0)
			continue;
		for (nfds_t i = 0; i < n; i++) {
			if (p[i].revents) {
				set_state(of[i], LAYER_RUNNING);
				return of[i];
			}
		}
	}
}

static struct layer *pick(struct unpack *u)
{
	struct pollfd p[WIRE_LAYERS_MAX];
	struct layer *of[WIRE_LAYERS_MAX], *l;

	pthread_mutex_lock(&u->pick);
	l = pick_locked(u, p, of);
	pthread_mutex_unlock(&u->pick);
	return l;
}

static void on_progress(void *user, uint64_t bytes)
{
	struct layer *l = user;

	__atomic_store_n(&l->done, bytes, __ATOMIC_RELAXED);
}

/* Did its writer close the pipe? What is left unread does not count. */
static bool pipe_ended(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) && !(p.revents & POLLIN);
}

static void extract(struct layer *l)
{
	const struct cstore_apply_options o = {
		.size = sizeof(o), .blob_size = l->image->size, .diff_id = l->image->diff_id,
		.progress = on_progress, .user = l, .cancel = &l->u->cancel,
	};
	struct cstore_error se = { 0 };
	int r;

	/* No blob_digest: fetch checked it, but what is recorded here is what was read here. */
	r = cstore_staging_apply(l->u->staging, l->pipe, &o, &l->staged, &se);
	l->r = err_from_cstore(&l->error, r, &se);
	if (r)
		err_ctx(&l->error, l->r, "layer %s", l->image->digest);
	l->cut = r && pipe_ended(l->pipe);
	l->pipe = close_fd(l->pipe);
}

static void *thread_main(void *arg)
{
	struct unpack *u = arg;
	struct cb_error why = { 0 };
	struct layer *l;
	int confined = sandbox_paths(cstore_staging_paths(u->staging), NULL, NULL, &why);

	while ((l = pick(u))) {
		if (confined) {
			l->r = confined;
			l->error = why;
		} else {
			extract(l);
		}
		set_state(l, LAYER_ENDED);
		eventfd_write(u->event, 1);
	}
	return NULL;
}

/* ---- in the main thread ---- */

static int make_pipe(struct layer *l, int *ret_write, struct cb_error *err)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, "make a pipe for layer %s", l->image->digest);
	l->pipe = p[0];
	*ret_write = p[1];
	fcntl(p[1], F_SETPIPE_SZ, PIPE_SIZE);
	/*
	 * The writer must not wait for one layer while others could go on; the reader has nothing
	 * else to do.
	 */
	return fcntl(p[1], F_SETFL, O_NONBLOCK) < 0 ? err_sys(err, "make a pipe") : 0;
}

static int start_threads(struct unpack *u, struct cb_error *err)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t want = cpus < 1 ? 1 : cpus > THREADS_MAX ? THREADS_MAX : (size_t)cpus;
	int r = 0;

	for (; !r && u->n_threads < want && u->n_threads < u->n_missing; u->n_threads++) {
		r = pthread_create(&u->threads[u->n_threads], NULL, thread_main, u);
		if (r)
			break;
	}
	return r && u->n_threads == 0 ? err_sysr(err, -r, "start a thread") : 0;
}

int unpack_start(struct unpack *u, int (*send)(void *user, uint32_t layer, int pipe), void *user,
		 struct cb_error *err)
{
	for (size_t i = 0; i < u->n_layers; i++) {
		_cleanup_close_ int out = -1;
		int r;

		if (u->layers[i].state != LAYER_WAITING)
			continue;
		r = make_pipe(&u->layers[i], &out, err);
		if (r)
			return r;
		r = send(user, (uint32_t)i, out);
		if (r)
			return err_sysr(err, r, "ask for layer %s", u->layers[i].image->digest);
	}
	return start_threads(u, err);
}

int unpack_event_fd(const struct unpack *u)
{
	return u->event;
}

enum unpack_state unpack_look(struct unpack *u, size_t *ret_layer, bool *ret_cut, int *ret_r,
			      struct cb_error *err)
{
	enum unpack_state result = UNPACK_COMPLETE;
	eventfd_t count;

	eventfd_read(u->event, &count);
	pthread_mutex_lock(&u->state);
	for (size_t i = 0; i < u->n_layers && result != UNPACK_FAILED; i++) {
		struct layer *l = &u->layers[i];

		if (l->state == LAYER_WAITING || l->state == LAYER_RUNNING) {
			result = UNPACK_RUNNING;
		} else if (l->state == LAYER_ENDED && l->r) {
			result = UNPACK_FAILED;
			*ret_layer = i;
			*ret_cut = l->cut;
			*ret_r = l->r;
			*err = l->error;
		}
	}
	pthread_mutex_unlock(&u->state);
	return result;
}

size_t unpack_progress(struct unpack *u, struct report_layer *out)
{
	size_t n = 0;

	for (size_t i = 0; i < u->n_layers; i++) {
		struct layer *l = &u->layers[i];

		if (l->state != LAYER_PRESENT)
			out[n++] = (struct report_layer){
				l->image->digest,
				__atomic_load_n(&l->done, __ATOMIC_RELAXED),
				l->image->size,
			};
	}
	return n;
}

int unpack_publish(struct unpack *u, struct cb_error *err)
{
	struct cstore_error se = { 0 };
	int r = 0;

	if (u->n_missing > 0)
		r = cstore_staging_sync(u->staging, &se);
	for (size_t i = 0; !r && i < u->n_layers; i++) {
		struct layer *l = &u->layers[i];

		if (l->staged)
			r = cstore_staging_publish(u->staging, take(l->staged), l->image->id,
						   i > 0 ? l[-1].image->id : NULL, &se);
	}
	return err_from_cstore(err, r, &se);
}
