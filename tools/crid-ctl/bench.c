/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench: what CRI calls cost, at one server or at two side by side. Two servers take turns in small
 * rounds, A B A B, so that whatever else the machine does hits both. A measurement is a list of
 * stages, in the order of bench_stages(): memory of the idle daemon, Version, memory with pods,
 * ListContainers with them, whole lives of pods by one client and by many, with each network.
 *
 * Every pod carries a label with a random id, and by it everything is removed in the end, whatever
 * ended the command: also a pod whose RunPodSandbox had been given up.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <cbase/io.h>
#include "bench.h"

#define VERSION_ROUNDS 20
#define VERSION_CALLS 250 /* of each round */
#define LIST_ROUNDS 20
#define LIST_CALLS 10
#define CLIENTS_MAX 256
#define PODS_MAX 2000

static struct {
	char **endpoints;
	const char *image, *network;
	long long count, clients, pods, settle;
} options = {
	.image = "busybox", .network = "both", .count = 20, .clients = 4, .pods = 20, .settle = 12
};

/* ---- several clients at once ---- */

struct worker {
	struct bench *b;
	struct side *s;
	size_t index;
	struct place place;
	size_t n; /* calls of this kind, in a round of nothing else; or 0 */
	enum bench_call call;
	void (*work)(struct worker *w);
	pthread_t thread;
};

static void *worker_main(void *user)
{
	struct worker *w = user;

	w->work(w);
	return NULL;
}

/* What w says, by `count` clients of one server at once; returns when all are done. */
static void run_workers(const struct worker *w, size_t count)
{
	_cleanup_free_ struct worker *all = calloc(count, sizeof(*all));
	size_t i, started;
	int r = ENOMEM;

	for (started = 0; all && started < count; started++) {
		all[started] = *w;
		all[started].index = started;
		r = pthread_create(&all[started].thread, NULL, worker_main, &all[started]);
		if (r)
			break;
	}
	for (i = 0; i < started; i++)
		pthread_join(all[i].thread, NULL);
	if (started == count)
		return;
	complain("start a thread: %s", strerror(r));
	atomic_store(&w->b->failed, true);
}

/* Rounds of w.n calls of one kind: what the daemon does behind its answers belongs to them, too. */
static void run_round(const struct worker *w, size_t count)
{
	struct series *to = &w->s->series[w->place.load][w->place.net][w->call];
	int64_t before = w->n ? proc_cpu_ns(w->s->pid) : -1, after;

	run_workers(w, count);
	after = before < 0 ? -1 : proc_cpu_ns(w->s->pid);
	if (after < 0)
		return;
	to->cpu_ns += after - before;
	to->cpu_calls += count * w->n;
}

/* A round of each server in turn. */
static void run_rounds(struct bench *b, struct worker w, size_t rounds)
{
	size_t count = w.place.load == LOAD_ONE ? 1 : b->clients, i, k;

	w.b = b;
	for (i = 0; i < rounds && !bench_ends(b); i++) {
		for (k = 0; k < b->n_sides; k++) {
			w.s = &b->sides[k];
			run_round(&w, count);
		}
	}
}

/* ---- stages ---- */

static void version_work(struct worker *w)
{
	bench_version(w->b, w->s, &w->s->clients[w->index], &w->place, w->n);
}

static void list_work(struct worker *w)
{
	bench_list(w->b, w->s, &w->s->clients[w->index], &w->place, w->n);
}

static void cycle_work(struct worker *w)
{
	bench_cycle(w->b, w->s, &w->s->clients[w->index], w->place.net, &w->place);
}

static enum bench_net first_net(const struct bench *b)
{
	return b->nets[NET_CNI] ? NET_CNI : NET_HOST;
}

/* Every client makes its share of the pods that stay. */
static void make_work(struct worker *w)
{
	size_t i;

	for (i = w->index; i < w->b->n_pods; i += w->b->clients)
		bench_make_pod(w->b, w->s, &w->s->clients[w->index], first_net(w->b),
			       &w->s->pods[i]);
}

static void warm_work(struct worker *w)
{
	bench_cycle(w->b, w->s, &w->s->clients[w->index], first_net(w->b), NULL);
}

/* Connections are made before anything is timed. */
static void greet_work(struct worker *w)
{
	bench_version(w->b, w->s, &w->s->clients[w->index], NULL, 1);
}

/* Memory is read when nothing was asked for a while: threads that wait for work end meanwhile. */
static void read_memory(struct bench *b, enum bench_stage stage, int interrupt_fd)
{
	struct pollfd p = { .fd = interrupt_fd, .events = POLLIN };
	size_t k;

	if (bench_ends(b) || poll(&p, 1, (int)(b->settle * 1000)))
		return;
	for (k = 0; k < b->n_sides; k++)
		proc_memory(b->sides[k].pid, &b->sides[k].memory[stage]);
}

static int remove_pods(struct bench *b)
{
	int failed = 0;
	size_t k;

	for (k = 0; k < b->n_sides; k++)
		failed |= bench_remove_pods(b, &b->sides[k]);
	return failed;
}

static void with_pods(struct bench *b, int interrupt_fd)
{
	static const struct worker make = { .work = make_work, .place = { LOAD_MANY, NET_NONE } },
				   one = { .work = list_work,
					   .call = CALL_LIST,
					   .n = LIST_CALLS,
					   .place = { LOAD_ONE, NET_NONE } },
				   many = { .work = list_work,
					    .call = CALL_LIST,
					    .n = LIST_CALLS,
					    .place = { LOAD_MANY, NET_NONE } };
	size_t k;

	run_rounds(b, make, 1);
	read_memory(b, STAGE_FULL, interrupt_fd);
	for (k = 0; k < b->n_sides; k++)
		b->sides[k].n_monitors =
			proc_monitors(b->sides[k].pods, b->n_pods, &b->sides[k].monitors);
	run_rounds(b, one, LIST_ROUNDS);
	run_rounds(b, many, LIST_ROUNDS);
	if (remove_pods(b))
		atomic_store(&b->failed, true);
}

static void lives_of_pods(struct bench *b, enum bench_net net)
{
	const struct worker one = { .work = cycle_work, .place = { LOAD_ONE, net } },
			    many = { .work = cycle_work, .place = { LOAD_MANY, net } };
	struct share before[BENCH_SIDES_MAX], after;
	size_t k;

	for (k = 0; k < b->n_sides; k++)
		share_read(b->sides[k].endpoint, &before[k]);
	run_rounds(b, one, b->count);
	for (k = 0; k < b->n_sides && net == first_net(b); k++) {
		share_read(b->sides[k].endpoint, &after);
		b->sides[k].own_share_ms = share_between(&before[k], &after);
	}
	run_rounds(b, many, (b->count + b->clients - 1) / b->clients);
}

static void bench_stages(struct bench *b, int interrupt_fd)
{
	static const struct worker greet = { .work = greet_work, .place = { LOAD_MANY, NET_NONE } },
				   one = { .work = version_work,
					   .call = CALL_VERSION,
					   .n = VERSION_CALLS,
					   .place = { LOAD_ONE, NET_NONE } },
				   many = { .work = version_work,
					    .call = CALL_VERSION,
					    .n = VERSION_CALLS,
					    .place = { LOAD_MANY, NET_NONE } },
				   warm = { .work = warm_work, .place = { LOAD_ONE, NET_NONE } };
	enum bench_net net;

	run_rounds(b, greet, 1);
	read_memory(b, STAGE_IDLE, interrupt_fd);
	run_rounds(b, one, VERSION_ROUNDS);
	run_rounds(b, many, VERSION_ROUNDS);
	run_rounds(b, warm, 1);
	read_memory(b, STAGE_WARM, interrupt_fd);
	if (b->n_pods)
		with_pods(b, interrupt_fd);
	for (net = NET_CNI; net < N_NETS; net++)
		if (b->nets[net])
			lives_of_pods(b, net);
}

/* ---- a side ---- */

static int name_server(struct side *s)
{
	CRI(VersionRequest) request = RUNTIME__V1__VERSION_REQUEST__INIT;
	_cleanup_reply_ CRI(VersionResponse) *reply =
		ctl_ask(&s->clients[0], "Version", &request.base, CALL_TIMEOUT);

	if (!reply)
		return EXIT_FAILURE;
	s->server = strf("%s %s", reply->runtime_name, reply->runtime_version);
	if (s->server)
		return 0;
	complain("out of memory");
	return EXIT_FAILURE;
}

static int find_image(struct side *s, const char *image)
{
	s->image = image_id(&s->clients[0], image);
	if (s->image && !*s->image) {
		free(s->image);
		s->image = image_pull(&s->clients[0], image, NULL);
	}
	return s->image ? 0 : EXIT_FAILURE;
}

static int side_init(struct bench *b, struct side *s, const char *endpoint, const struct ctl *c)
{
	size_t i;
	int r;

	*s = (struct side){ .endpoint = endpoint, .own_share_ms = NAN };
	for (i = 0; i < N_STAGES; i++)
		s->memory[i] = (struct memory){ NAN, NAN };
	s->monitors = s->memory[0];
	s->clients = calloc(b->clients, sizeof(*s->clients));
	s->pods = calloc(b->n_pods + 1, sizeof(*s->pods));
	if (!s->clients || !s->pods) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	for (i = 0; i < b->clients; i++)
		s->clients[i] = (struct ctl){ .endpoint = endpoint, .timeout = c->timeout };
	r = name_server(s);
	if (r)
		return r;
	r = proc_peer(endpoint, &s->pid);
	if (r)
		complain("%s: who listens there: %s; memory and CPU time stay unknown", endpoint,
			 strerror(-r));
	return find_image(s, b->image);
}

static void side_done(struct bench *b, struct side *s)
{
	size_t i, load, net, call;

	for (i = 0; s->clients && i < b->clients; i++)
		crisvc_client_free(s->clients[i].client);
	for (i = 0; s->pods && i < b->n_pods; i++) {
		free(s->pods[i].pod);
		free(s->pods[i].container);
	}
	for (load = 0; load < N_LOADS; load++)
		for (net = 0; net < N_NETS; net++)
			for (call = 0; call < N_CALLS; call++)
				samples_done(&s->series[load][net][call].wall);
	free(s->clients);
	free(s->pods);
	free(s->server);
	free(s->image);
}

/* ---- the command ---- */

static int check_options(struct bench *b, const struct ctl *c)
{
	const char *net = options.network;

	if (!options.endpoints && strv_push(&options.endpoints, c->endpoint)) {
		complain("out of memory");
		return EXIT_FAILURE;
	}
	if (strv_len(options.endpoints) > BENCH_SIDES_MAX) {
		complain("--endpoint can be given twice, not more");
		return EXIT_USAGE;
	}
	if (!streq(net, "cni") && !streq(net, "host") && !streq(net, "both")) {
		complain("--network is cni, host or both, not \"%s\"", net);
		return EXIT_USAGE;
	}
	if (!options.count || !options.clients || options.clients > CLIENTS_MAX ||
	    options.pods > PODS_MAX || options.settle > 3600) {
		complain("--count and --clients are at least 1, --clients at most %d, --pods %d, "
			 "--settle 3600",
			 CLIENTS_MAX, PODS_MAX);
		return EXIT_USAGE;
	}
	b->nets[NET_CNI] = !streq(net, "host");
	b->nets[NET_HOST] = !streq(net, "cni");
	b->count = (size_t)options.count;
	b->clients = (size_t)options.clients;
	b->n_pods = (size_t)options.pods;
	b->settle = options.settle;
	b->image = options.image;
	return 0;
}

static int make_log_dir(struct bench *b)
{
	const char *tmp = getenv("TMPDIR");

	b->log_dir = strf("%s/crid-ctl-XXXXXX", tmp && *tmp == '/' ? tmp : "/tmp");
	if (b->log_dir && mkdtemp(b->log_dir))
		return 0;
	complain("make a directory for logs: %s", strerror(errno));
	free(take(b->log_dir));
	return EXIT_FAILURE;
}

static int report(struct bench *b, bool json)
{
	int r = json ? report_json(b) : report_tables(b);

	if (!r)
		report_line(b, json ? stderr : stdout);
	return r;
}

static int run_bench(void *user, int argc, char **argv)
{
	struct ctl *c = user;
	struct bench b = { .lock = PTHREAD_MUTEX_INITIALIZER };
	int interrupt_fd = -1, r = check_options(&b, c), left;
	size_t k;

	if (!r && random_hex(8, b.run_id)) {
		complain("random numbers: %s", strerror(errno));
		r = EXIT_FAILURE;
	}
	for (k = 0; !r && options.endpoints[k]; k++) {
		b.n_sides++;
		r = side_init(&b, &b.sides[k], options.endpoints[k], c);
	}
	if (!r)
		r = interrupt_init(&interrupt_fd, PODS_LEFT);
	if (!r)
		r = make_log_dir(&b);
	if (!r) {
		bench_stages(&b, interrupt_fd);
		left = remove_pods(&b);
		r = bench_ends(&b) || left ? EXIT_FAILURE : report(&b, c->json);
	}
	if (b.log_dir)
		rm_rf_at(AT_FDCWD, b.log_dir);
	for (k = 0; k < b.n_sides; k++)
		side_done(&b, &b.sides[k]);
	free(b.log_dir);
	options.endpoints = strv_free(options.endpoints);
	return r;
}

static const struct opt bench_options[] = {
	{ 'e', "endpoint", OPT_LIST, &options.endpoints, "PATH",
	  "socket of a server; given twice, the two are compared" },
	{ 'n', "count", OPT_INT, &options.count, "N", "pods of each kind of measurement (20)" },
	{ 'c', "clients", OPT_INT, &options.clients, "C",
	  "connections of the measurements with many (4)" },
	{ 0, "pods", OPT_INT, &options.pods, "N",
	  "pods that run while memory and lists are measured (20)" },
	{ 0, "network", OPT_STRING, &options.network, "cni|host|both",
	  "network of the pods (both)" },
	{ 0, "image", OPT_STRING, &options.image, "IMAGE",
	  "an image with /bin/sh and sleep; pulled when missing (busybox)" },
	{ 0, "settle", OPT_INT, &options.settle, "SECONDS",
	  "of silence before memory is read (12)" },
	{ 0 },
};

const struct command cmd_bench = {
	"bench",
	"",
	"measure a server, or two side by side",
	"Makes pods, times the calls, reads memory and CPU time of the daemon from /proc, and\n"
	"removes what it made, also on Ctrl-C. The last line has the figures of the first server\n"
	"as key=value, where ratios are first over second; with --json it goes to stderr.",
	bench_options,
	false,
	0,
	0,
	run_bench,
};
