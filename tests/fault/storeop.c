/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on a store, one a process, through the public interface only: what the fault tests interrupt and
 * tests/bench/storage times.
 *
 *	storeop COMMAND GRAPH RUN ARGUMENT...
 *
 *	apply NAME BLOB...	stages all layers at once, publishes them in order, one image of that name on top
 *	delete IMAGE		by name or id
 *	create ID		a volatile container of the first image; its layer is mounted and unmounted
 *	remove ID		the container
 *	gc | check | repair	the latter print "KIND MENDED OBJECT: TEXT" for each problem; status 3 if there is one
 *	state			images with names and layers, containers: one line each
 *	stress SECONDS SEED	creates, mounts, deletes, lists, pulls at random; prints the containers that are left
 *	containers N ROUNDS	fills up to N containers, then one more comes and goes: median ms
 *	open ROUNDS		opens the store, lists images and containers: median ms
 *	images N		adds images on the layers of the first
 *
 * apply prints its peak memory, "rss_kb=N". Status 1: the operation failed, and stderr says why.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <openssl/evp.h>
#include <cstorage.h>

#define LAYERS_MAX 128
#define SOME "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* Of failnth.so, when it is preloaded. */
extern void failnth_arm(void) __attribute__((weak));

static struct cstore *store;
static struct cstore_staging *staging;

struct layer {
	pthread_t thread;
	const char *path;
	struct cstore_staged *staged;
	struct cstore_error err;
	int result, alone; /* alone: there was no thread to be had */
};

static int fail(const struct cstore_error *err, int r)
{
	fprintf(stderr, "storeop: %s (%d)\n", err->message, r);
	return 1;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void print_median(double *ms, int n)
{
	qsort(ms, (size_t)n, sizeof(*ms), by_value);
	printf("%.3f\n", ms[n / 2]);
}

static int open_store(const char *graph, const char *run, struct cstore **ret, struct cstore_error *err)
{
	struct cstore_options *o = NULL;
	int r = cstore_options_new(&o);

	if (!r)
		r = cstore_options_set_graph_root(o, graph);
	if (!r)
		r = cstore_options_set_run_root(o, run);
	if (!r)
		r = cstore_open(o, ret, err);
	cstore_options_free(o);
	return r;
}

static void *apply_one(void *arg)
{
	struct layer *l = arg;
	int fd = open(l->path, O_RDONLY | O_CLOEXEC);

	l->result = cstore_staging_apply(staging, fd, NULL, &l->staged, &l->err);
	close(fd);
	return NULL;
}

static int publish(const char *name, struct layer *layers, int n, struct cstore_error *err)
{
	const char *names[] = { name, NULL };
	const struct cstore_blob config = { .key = "config", .bytes = "{}", .len = 2 };
	struct cstore_image_spec image = { .size = sizeof(image), .names = names, .data = &config, .data_count = 1 };
	char ids[LAYERS_MAX][65];
	const char *parent = NULL;
	int r = cstore_staging_sync(staging, err);

	for (int i = 0; i < n && !r; i++) {
		r = cstore_layer_chain_id(parent, cstore_staged_diff_id(layers[i].staged), ids[i]);
		if (!r) {
			r = cstore_staging_publish(staging, layers[i].staged, ids[i], parent, err);
			layers[i].staged = NULL;
		}
		parent = ids[i];
	}
	image.id = image.top_layer = ids[n - 1];
	return r ? r : cstore_image_put(store, &image, err);
}

static int apply(const char *name, int n, char **paths)
{
	struct layer layers[LAYERS_MAX] = { { .result = 0 } };
	struct cstore_error err = { 0 };
	struct rusage use;
	int r;

	if (n < 1 || n > LAYERS_MAX)
		return 2;
	r = cstore_staging_new(store, &staging, &err);
	if (r)
		return fail(&err, r);
	for (int i = 0; i < n; i++) {
		layers[i].path = paths[i];
		layers[i].alone = pthread_create(&layers[i].thread, NULL, apply_one, &layers[i]) != 0;
		if (layers[i].alone)
			apply_one(&layers[i]);
	}
	for (int i = 0; i < n; i++) {
		if (!layers[i].alone)
			pthread_join(layers[i].thread, NULL);
	}
	for (int i = 0; i < n && !r; i++) {
		r = layers[i].result;
		err = layers[i].err;
	}
	if (!r)
		r = publish(name, layers, n, &err);
	for (int i = 0; i < n && r; i++)
		cstore_staged_free(layers[i].staged);
	cstore_staging_free(staging);
	if (r)
		return fail(&err, r);
	getrusage(RUSAGE_SELF, &use);
	printf("rss_kb=%ld\n", use.ru_maxrss);
	return 0;
}

static void make_id(char id[65], int n)
{
	snprintf(id, 65, "%08x%056x", n, n);
	id[0] = 'c';
}

static int some_image(char id[65], struct cstore_error *err)
{
	struct cstore_image_list *l = NULL;
	int r = cstore_image_list(store, &l, err);

	if (!r)
		snprintf(id, 65, "%s", cstore_image_list_count(l) ? cstore_image_id(cstore_image_list_get(l, 0)) : "");
	cstore_image_list_free(l);
	return r;
}

static int create(const char *image, int n, char id[65], struct cstore_error *err)
{
	char name[32];
	const char *names[] = { name, NULL };
	struct cstore_container_spec spec = { .size = sizeof(spec), .id = id, .names = names, .image = image, .is_volatile = 1 };

	make_id(id, n);
	snprintf(name, sizeof(name), "container-%d", n);
	return cstore_container_create(store, &spec, err);
}

static int one_life(const char *image, struct cstore_error *err)
{
	char id[65], *path = NULL;
	int r = create(image, 0xffffff, id, err);

	if (!r)
		r = cstore_container_mount(store, id, &path, err);
	free(path);
	if (!r)
		r = cstore_container_unmount(store, id, 0, err);
	return r ? r : cstore_container_delete(store, id, err);
}

static int containers(int n, int rounds)
{
	struct cstore_container_list *l = NULL;
	struct cstore_error err = { 0 };
	char image[65], id[65];
	double *ms = calloc((size_t)rounds, sizeof(*ms)), start;
	int r = some_image(image, &err);

	if (!r)
		r = cstore_container_list(store, &l, &err);
	for (int i = (int)cstore_container_list_count(l) + 1; i < n && !r; i++)
		r = create(image, i, id, &err);
	cstore_container_list_free(l);
	for (int i = 0; i < rounds && !r; i++) {
		start = now_ms();
		r = one_life(image, &err);
		ms[i] = now_ms() - start;
	}
	if (!r)
		print_median(ms, rounds);
	free(ms);
	return r ? fail(&err, r) : 0;
}

static int open_and_list(const char *graph, const char *run, struct cstore_error *err)
{
	struct cstore_container_list *containers_ = NULL;
	struct cstore_image_list *images = NULL;
	struct cstore *s = NULL;
	int r = open_store(graph, run, &s, err);

	if (!r)
		r = cstore_image_list(s, &images, err);
	if (!r)
		r = cstore_container_list(s, &containers_, err);
	cstore_image_list_free(images);
	cstore_container_list_free(containers_);
	cstore_free(s);
	return r;
}

static int open_rounds(const char *graph, const char *run, int rounds)
{
	struct cstore_error err = { 0 };
	double *ms = calloc((size_t)rounds, sizeof(*ms)), start;
	int r = 0;

	for (int i = 0; i < rounds && !r; i++) {
		start = now_ms();
		r = open_and_list(graph, run, &err);
		ms[i] = now_ms() - start;
	}
	if (!r)
		print_median(ms, rounds);
	free(ms);
	return r ? fail(&err, r) : 0;
}

/* All on one layer: what counts are the records. */
static int images(int n)
{
	struct cstore_error err = { 0 };
	struct cstore_image *first = NULL;
	char image[65], id[65], name[40], config[4096];
	int r = some_image(image, &err);

	memset(config, ' ', sizeof(config));
	if (!r)
		r = cstore_image_lookup(store, image, &first, &err);
	for (int i = 1; i < n && !r; i++) {
		const char *names[] = { name, NULL };
		struct cstore_blob blob = { .key = "config", .bytes = config, .len = sizeof(config) };
		struct cstore_image_spec spec = { .size = sizeof(spec), .id = id, .names = names, .data = &blob, .data_count = 1 };

		make_id(id, i);
		id[0] = 'a';
		snprintf(name, sizeof(name), "localhost/image:%d", i);
		spec.top_layer = cstore_image_top_layer(first);
		r = cstore_image_put(store, &spec, &err);
	}
	cstore_image_free(first);
	return r ? fail(&err, r) : 0;
}

/* ---- check ---- */

static int check(int (*f)(struct cstore *, const struct cstore_check_options *, struct cstore_report **, struct cstore_error *))
{
	struct cstore_report *report = NULL;
	struct cstore_error err = { 0 };
	size_t n;
	int r = f(store, NULL, &report, &err);

	if (r)
		return fail(&err, r);
	n = cstore_report_count(report);
	for (size_t i = 0; i < n; i++) {
		const struct cstore_problem *p = cstore_report_get(report, i);

		printf("%d %d %s: %s\n", cstore_problem_kind(p), cstore_problem_mended(p), cstore_problem_object(p),
		       cstore_problem_text(p));
	}
	cstore_report_free(report);
	return n ? 3 : 0;
}

static int state(void)
{
	struct cstore_container_list *containers_ = NULL;
	struct cstore_image_list *images_ = NULL;
	struct cstore_error err = { 0 };
	int r = cstore_image_list(store, &images_, &err);

	for (size_t i = 0; i < cstore_image_list_count(images_); i++) {
		const struct cstore_image *image = cstore_image_list_get(images_, i);

		printf("image %s %s", cstore_image_id(image), cstore_image_top_layer(image));
		for (const char *const *name = cstore_image_names(image); *name; name++)
			printf(" %s", *name);
		putchar('\n');
	}
	if (!r)
		r = cstore_container_list(store, &containers_, &err);
	for (size_t i = 0; i < cstore_container_list_count(containers_); i++)
		printf("container %s\n", cstore_container_id(cstore_container_list_get(containers_, i)));
	cstore_image_list_free(images_);
	cstore_container_list_free(containers_);
	return r ? fail(&err, r) : 0;
}

/* ---- stress ---- */

#define MINE_MAX 12

struct mine {
	char id[65];
	int mounted;
};

/* Fails when the store does not know a container of ours, or knows one that we removed. */
static int check_mine(const struct mine *mine, int count, const char *prefix, struct cstore_error *err)
{
	struct cstore_container_list *l = NULL;
	int found = 0, r = cstore_container_list(store, &l, err);

	for (size_t i = 0; i < cstore_container_list_count(l) && !r; i++) {
		const char *id = cstore_container_id(cstore_container_list_get(l, i));

		for (int k = 0; k < count; k++)
			found += strcmp(id, mine[k].id) == 0;
		found -= strncmp(id, prefix, 8) == 0;
	}
	cstore_container_list_free(l);
	if (!r && found) {
		snprintf(err->message, sizeof(err->message), "a record was lost, or came back");
		r = -1;
	}
	return r;
}

static int step(struct mine *mine, int *count, const char *prefix, unsigned *made, unsigned random, struct cstore_error *err)
{
	struct mine *one = *count ? &mine[random / 16 % (unsigned)*count] : NULL;
	char *path = NULL, image[65];
	int r;

	switch (random % 16) {
	case 0:
		return cstore_collect_garbage(store, err);
	case 1:
	case 2:
		return check_mine(mine, *count, prefix, err);
	case 3:
		r = some_image(image, err);
		return r ? r : cstore_image_add_name(store, image, prefix, err);
	case 4:
	case 5:
	case 6:
	case 7:
		if (!one)
			return 0;
		r = cstore_container_mount(store, one->id, &path, err);
		one->mounted += !r;
		free(path);
		return r;
	case 8:
	case 9:
	case 10:
		if (!one || !one->mounted)
			return 0;
		one->mounted--;
		return cstore_container_unmount(store, one->id, 0, err);
	case 11:
	case 12:
		if (!one)
			return 0;
		r = cstore_container_delete(store, one->id, err);
		*one = mine[--*count];
		return r;
	default:
		if (*count == MINE_MAX)
			return 0;
		one = &mine[(*count)++];
		snprintf(one->id, sizeof(one->id), "%.8s%056x", prefix, ++*made);
		one->mounted = 0;
		r = some_image(image, err);
		if (!r) {
			const char *names[] = { one->id, NULL };
			struct cstore_container_spec spec = { .size = sizeof(spec), .id = one->id, .names = names, .image = image,
							      .is_volatile = random & 16 };

			r = cstore_container_create(store, &spec, err);
		}
		return r;
	}
}

static int stress(double seconds, unsigned seed)
{
	struct mine mine[MINE_MAX];
	struct cstore_error err = { 0 };
	char prefix[9];
	unsigned made = 0;
	double end = now_ms() + seconds * 1e3;
	int count = 0, r = 0, steps = 0;

	snprintf(prefix, sizeof(prefix), "e%07x", seed & 0xfffffff);
	srand(seed);
	for (; now_ms() < end && !r; steps++)
		r = step(mine, &count, prefix, &made, (unsigned)rand() >> 4, &err);
	if (r)
		return fail(&err, r);
	printf("steps %d\n", steps);
	for (int i = 0; i < count; i++)
		printf("%s %d\n", mine[i].id, mine[i].mounted);
	return 0;
}

/* ---- commands ---- */

static int image_delete(const char *name, struct cstore_error *err)
{
	struct cstore_image *image = NULL;
	int r = cstore_image_lookup(store, name, &image, err);

	if (!r)
		r = cstore_image_delete(store, cstore_image_id(image), err);
	cstore_image_free(image);
	return r;
}

static int container_create(char *id, struct cstore_error *err)
{
	struct cstore_container_spec spec = { .size = sizeof(spec), .id = id, .is_volatile = 1 };
	const char *names[] = { id, NULL };
	char image[65], *path = NULL;
	int r = some_image(image, err);

	spec.names = names;
	spec.image = image;
	if (!r)
		r = cstore_container_create(store, &spec, err);
	if (!r)
		r = cstore_container_mount(store, id, &path, err);
	free(path);
	return r ? r : cstore_container_unmount(store, id, 0, err);
}

static int command(const char *name, int argc, char **argv)
{
	struct cstore_error err = { 0 };
	int r = -1;

	if (strcmp(name, "apply") == 0 && argc > 1)
		return apply(argv[0], argc - 1, argv + 1);
	if (strcmp(name, "containers") == 0 && argc == 2)
		return containers(atoi(argv[0]), atoi(argv[1]));
	if (strcmp(name, "images") == 0 && argc == 1)
		return images(atoi(argv[0]));
	if (strcmp(name, "check") == 0)
		return check(cstore_check);
	if (strcmp(name, "repair") == 0)
		return check(cstore_repair);
	if (strcmp(name, "state") == 0)
		return state();
	if (strcmp(name, "stress") == 0 && argc == 2)
		return stress(atof(argv[0]), (unsigned)atoi(argv[1]));
	if (strcmp(name, "delete") == 0 && argc == 1)
		r = image_delete(argv[0], &err);
	else if (strcmp(name, "create") == 0 && argc == 1)
		r = container_create(argv[0], &err);
	else if (strcmp(name, "remove") == 0 && argc == 1)
		r = cstore_container_delete(store, argv[0], &err);
	else if (strcmp(name, "gc") == 0)
		r = cstore_collect_garbage(store, &err);
	return r ? fail(&err, r) : 0;
}

int main(int argc, char **argv)
{
	struct cstore_error err = { 0 };
	int r;

	if (argc < 4)
		return 2;
	if (strcmp(argv[1], "open") == 0)
		return open_rounds(argv[2], argv[3], argc > 4 ? atoi(argv[4]) : 21);
	if (failnth_arm) {
		unsigned char sum[EVP_MAX_MD_SIZE];
		char id[65];

		/* libcrypto 3.0 crashes when memory runs out while it starts, and the loader ends the program */
		cstore_layer_chain_id(SOME, "sha256:" SOME, id);
		EVP_Digest("", 0, sum, NULL, EVP_sha256(), NULL);
		failnth_arm();
	}
	r = open_store(argv[2], argv[3], &store, &err);
	if (r)
		return fail(&err, r);
	r = command(argv[1], argc - 4, argv + 4);
	cstore_free(store);
	return r;
}
