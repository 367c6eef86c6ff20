/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fetch whose layers go into small non-blocking pipes, as a daemon uses it; for test_registry.py.
 *
 *	fetch_pipes MODE REGISTRIES_CONF POLICY CERTS_DIR REFERENCE
 *
 * MODE: reverse	the reader waits a second, then reads one layer after the other, of each six (as many are
 *			fetched at once) the last one first
 *       close		the reader closes all pipes without reading
 *       chroot		as reverse, but after cimage_context_prepare() the process moves into
 *			$EMPTY_DIRECTORY; exits with 77 where that is not allowed
 *
 * Prints what the fetch returned, how many layers and bytes the reader got, and the CPU time in ms.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cimage.h>

#define LAYERS_MAX 64

struct reader {
	const char *mode;
	int fds[LAYERS_MAX];
	size_t count, done;
	unsigned long long bytes;
	pthread_t thread;
	int started;
};

static void *read_layers(void *user)
{
	struct reader *r = user;
	static char buf[65536];
	ssize_t k;
	size_t i, n, first, last;

	if (strcmp(r->mode, "close") != 0)
		sleep(1);
	for (n = 0; n < r->count; n++) {
		first = n - n % 6;
		last = first + 6 < r->count ? first + 5 : r->count - 1;
		i = last - n % 6;
		while (strcmp(r->mode, "close") != 0 && (k = read(r->fds[i], buf, sizeof(buf))) > 0)
			r->bytes += (unsigned long long)k;
		close(r->fds[i]);
	}
	return NULL;
}

static int on_image(void *user, const struct cimage_image *image, int *fds,
		    struct cimage_error *err)
{
	struct reader *r = user;
	int ends[2];

	for (r->count = 0; r->count < cimage_image_layer_count(image) && r->count < LAYERS_MAX;
	     r->count++) {
		if (pipe2(ends, O_CLOEXEC))
			return -errno;
		fcntl(ends[1], F_SETPIPE_SZ, 4096);
		fcntl(ends[1], F_SETFL, O_NONBLOCK);
		r->fds[r->count] = ends[0];
		fds[r->count] = ends[1];
	}
	r->started = !pthread_create(&r->thread, NULL, read_layers, r);
	return 0;
}

static int on_layer_done(void *user, size_t n, struct cimage_error *err)
{
	struct reader *r = user;

	r->done++;
	return 0;
}

static void leave_files(void)
{
	const char *empty = getenv("EMPTY_DIRECTORY");

	if (geteuid() && unshare(CLONE_NEWUSER))
		exit(77);
	if (!empty || chroot(empty) || chdir("/"))
		exit(77);
}

static long cpu_ms(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
	       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

int main(int argc, char **argv)
{
	struct reader r = { 0 };
	const struct cimage_sink sink = { sizeof(sink), &r, on_image, on_layer_done, NULL };
	struct cimage_error err = { 0 };
	struct cimage_context *c;
	struct cimage_ref *ref;
	int result;

	if (argc != 6)
		return 2;
	r.mode = argv[1];
	if (cimage_context_new(&c) || cimage_context_set_registries_conf(c, argv[2]) ||
	    cimage_context_set_registries_conf_dir(c, "") ||
	    cimage_context_set_policy(c, argv[3]) || cimage_context_set_certs_dir(c, argv[4]) ||
	    cimage_ref_parse(argv[5], 1, &ref, NULL))
		return 2;
	if (!strcmp(r.mode, "chroot")) {
		result = cimage_context_prepare(c, ref, &err);
		if (result) {
			printf("prepare %d %s\n", result, err.message);
			return 1;
		}
		leave_files();
	}
	result = cimage_fetch(c, ref, &sink, &err);
	if (r.started)
		pthread_join(r.thread, NULL);
	printf("%d %zu %llu %ld %s\n", result, r.done, r.bytes, cpu_ms(), err.message);
	cimage_ref_free(ref);
	cimage_context_free(c);
	return 0;
}
