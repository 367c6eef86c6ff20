/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The results in three forms: tables for people, one JSON document, one line of key=value for
 * scripts. MB and KB are 1024's. tests/bench/README.md says what the figures mean.
 */
#include <math.h>
#include "bench.h"

#define MB (1024.0 * 1024)
#define KB 1024.0

static const char *const call_names[N_CALLS] = {
	[CALL_VERSION] = "Version",	    [CALL_LIST] = "ListContainers",
	[CALL_RUN_POD] = "RunPodSandbox",   [CALL_CREATE] = "CreateContainer",
	[CALL_START] = "StartContainer",    [CALL_EXEC] = "ExecSync",
	[CALL_STOP] = "StopContainer",	    [CALL_REMOVE] = "RemoveContainer",
	[CALL_STOP_POD] = "StopPodSandbox", [CALL_REMOVE_POD] = "RemovePodSandbox",
};
static const char *const net_names[N_NETS] = { "-", "cni", "host" };
static const char *const stage_names[N_STAGES] = { "idle", "warm", "pods" };

static double quantile(struct side *s, enum bench_load load, enum bench_net net,
		       enum bench_call call, double q)
{
	return samples_quantile_ms(&s->series[load][net][call].wall, q);
}

static double cpu_us(const struct series *s)
{
	return s->cpu_calls ? (double)s->cpu_ns / (double)s->cpu_calls / 1e3 : NAN;
}

static double private_each(const struct bench *b, const struct side *s)
{
	return stats_each(s->memory[STAGE_FULL].private_dirty, s->memory[STAGE_WARM].private_dirty,
			  b->n_pods);
}

/* ---- tables ---- */

static void add(struct table *t, double v)
{
	_cleanup_str_ struct str s = STR_INIT;

	stats_append(&s, v);
	table_add(t, s.data ? s.data : "");
}

static void call_row(struct table *t, struct bench *b, enum bench_load load, enum bench_net net,
		     enum bench_call call)
{
	static const double quantiles[] = { 0.5, 0.95, 0.99 };
	size_t i, k;

	if (!b->sides[0].series[load][net][call].wall.n)
		return;
	table_add(t, call_names[call]);
	table_add(t, net_names[net]);
	table_addf(t, "%zu", load == LOAD_ONE ? 1 : b->clients);
	table_addf(t, "%zu", b->sides[0].series[load][net][call].wall.n);
	for (k = 0; k < b->n_sides; k++) {
		for (i = 0; i < ARRAY_SIZE(quantiles); i++)
			add(t, quantile(&b->sides[k], load, net, call, quantiles[i]));
		add(t, cpu_us(&b->sides[k].series[load][net][call]));
	}
	for (i = 0; i < 2 && b->n_sides == 2; i++)
		add(t, stats_ratio(quantile(&b->sides[0], load, net, call, quantiles[i]),
				   quantile(&b->sides[1], load, net, call, quantiles[i])));
}

static int print_calls(struct bench *b)
{
	static const char *const header[] = {
		"CALL (ms)", "NET",   "CLIENTS", "N",	"A p50",  "p95",     "p99",
		"CPU us",    "B p50", "p95",	 "p99", "CPU us", "A/B p50", "p95",
	};
	struct table t;
	size_t load, net, call;

	table_init(&t, b->n_sides == 2 ? ARRAY_SIZE(header) : 8, header);
	for (load = 0; load < N_LOADS; load++)
		for (net = 0; net < N_NETS; net++)
			for (call = 0; call < N_CALLS; call++)
				call_row(&t, b, load, net, call);
	return table_print(&t, stdout);
}

static void memory_row(struct table *t, const struct bench *b, const char *what,
		       double (*of)(const struct bench *b, const struct side *s))
{
	size_t k;

	table_add(t, what);
	for (k = 0; k < b->n_sides; k++)
		add(t, of(b, &b->sides[k]));
	if (b->n_sides == 2)
		add(t, stats_ratio(of(b, &b->sides[0]), of(b, &b->sides[1])));
}

static double pss_idle(const struct bench *b, const struct side *s)
{
	return s->memory[STAGE_IDLE].pss / MB;
}

static double private_idle(const struct bench *b, const struct side *s)
{
	return s->memory[STAGE_IDLE].private_dirty / MB;
}

static double pss_pods(const struct bench *b, const struct side *s)
{
	return s->memory[STAGE_FULL].pss / MB;
}

static double private_pods(const struct bench *b, const struct side *s)
{
	return s->memory[STAGE_FULL].private_dirty / MB;
}

static double private_each_kb(const struct bench *b, const struct side *s)
{
	return private_each(b, s) / KB;
}

static double monitors(const struct bench *b, const struct side *s)
{
	return (double)s->n_monitors;
}

static double monitor_pss(const struct bench *b, const struct side *s)
{
	return s->n_monitors ? stats_each(s->monitors.pss, 0, b->n_pods) / MB : NAN;
}

static double monitor_private(const struct bench *b, const struct side *s)
{
	return s->n_monitors ? stats_each(s->monitors.private_dirty, 0, b->n_pods) / MB : NAN;
}

static double own_share(const struct bench *b, const struct side *s)
{
	return s->own_share_ms;
}

static int print_memory(const struct bench *b)
{
	static const char *const header[] = { "", "A", "B", "A/B" };
	struct table t;

	table_init(&t, b->n_sides == 2 ? 4 : 2, header);
	memory_row(&t, b, "daemon idle: PSS, MB", pss_idle);
	memory_row(&t, b, "daemon idle: private dirty, MB", private_idle);
	if (b->n_pods) {
		memory_row(&t, b, "daemon with pods: PSS, MB", pss_pods);
		memory_row(&t, b, "daemon with pods: private dirty, MB", private_pods);
		memory_row(&t, b, "each more pod: private dirty, KB", private_each_kb);
		memory_row(&t, b, "monitors", monitors);
		memory_row(&t, b, "monitors of a pod: PSS, MB", monitor_pss);
		memory_row(&t, b, "monitors of a pod: private dirty, MB", monitor_private);
	}
	memory_row(&t, b, "own share of Run+Create+Start, ms", own_share);
	return table_print(&t, stdout);
}

int report_tables(struct bench *b)
{
	size_t k;
	int r;

	for (k = 0; k < b->n_sides; k++) {
		_cleanup_str_ struct str s = STR_INIT;

		text_append_safe(&s, b->sides[k].server, false);
		printf("%c  %s  %s  pid %d\n", (char)('A' + k), s.data ? s.data : "",
		       b->sides[k].endpoint, b->sides[k].pid);
	}
	if (b->n_pods)
		printf("%zu pods with one container each for memory and ListContainers, which "
		       "listed %zu\n",
		       b->n_pods, b->sides[0].listed);
	puts("");
	r = print_calls(b);
	puts("");
	return r ? r : print_memory(b);
}

/* ---- the line ---- */

struct figure {
	const char *name;
	double value;
};
#define N_FIGURES 11

static double pod_to_running(struct side *s, enum bench_net net)
{
	return quantile(s, LOAD_ONE, net, CALL_RUN_POD, 0.5) +
	       quantile(s, LOAD_ONE, net, CALL_CREATE, 0.5) +
	       quantile(s, LOAD_ONE, net, CALL_START, 0.5);
}

static void figures(struct bench *b, struct figure f[N_FIGURES])
{
	enum bench_net net = b->nets[NET_CNI] ? NET_CNI : NET_HOST;
	struct side *a = &b->sides[0], *other = b->n_sides == 2 ? &b->sides[1] : NULL;
	double version = quantile(a, LOAD_ONE, NET_NONE, CALL_VERSION, 0.5);
	const struct figure all[N_FIGURES] = {
		{ "version_ratio", other ? stats_ratio(version, quantile(other, LOAD_ONE, NET_NONE,
									 CALL_VERSION, 0.5))
					 : NAN },
		{ "version_cpu_us", cpu_us(&a->series[LOAD_ONE][NET_NONE][CALL_VERSION]) },
		{ "list_ms", quantile(a, LOAD_ONE, NET_NONE, CALL_LIST, 0.5) },
		{ "run_ms", quantile(a, LOAD_ONE, net, CALL_RUN_POD, 0.5) },
		{ "create_ms", quantile(a, LOAD_ONE, net, CALL_CREATE, 0.5) },
		{ "start_ms", quantile(a, LOAD_ONE, net, CALL_START, 0.5) },
		{ "stop_ms", quantile(a, LOAD_ONE, net, CALL_STOP, 0.5) },
		{ "pod_to_running_ratio",
		  other ? stats_ratio(pod_to_running(a, net), pod_to_running(other, net)) : NAN },
		{ "own_share_ms", a->own_share_ms },
		{ "idle_pss_mb", a->memory[STAGE_IDLE].pss / MB },
		{ "private_kb_per_pod", private_each(b, a) / KB },
	};

	memcpy(f, all, sizeof(all));
}

void report_line(struct bench *b, FILE *out)
{
	_cleanup_str_ struct str s = STR_INIT;
	struct figure f[N_FIGURES];
	size_t i;

	figures(b, f);
	for (i = 0; i < N_FIGURES; i++) {
		str_appendf(&s, "%s%s=", i ? " " : "", f[i].name);
		stats_append(&s, f[i].value);
	}
	fprintf(out, "%s\n", s.data ? s.data : "");
}

/* ---- JSON ---- */

/* null when unknown */
static void set(struct json_doc *doc, struct json *object, const char *name, double v)
{
	char text[40];

	snprintf(text, sizeof(text), "%.6g", v);
	json_set(doc, object, name, isnan(v) ? json_new_null(doc) : json_new_number(doc, text));
}

static void json_call(struct json_doc *doc, struct json *calls, struct side *s,
		      enum bench_load load, enum bench_net net, enum bench_call call,
		      size_t clients)
{
	const struct series *from = &s->series[load][net][call];
	struct json *one;

	if (!from->wall.n)
		return;
	one = json_new_object(doc);
	json_append(doc, calls, one);
	json_set_string(doc, one, "call", call_names[call]);
	if (net != NET_NONE)
		json_set_string(doc, one, "network", net_names[net]);
	json_set_int(doc, one, "clients", load == LOAD_ONE ? 1 : (int64_t)clients);
	json_set_int(doc, one, "n", (int64_t)from->wall.n);
	set(doc, one, "p50_ms", quantile(s, load, net, call, 0.5));
	set(doc, one, "p95_ms", quantile(s, load, net, call, 0.95));
	set(doc, one, "p99_ms", quantile(s, load, net, call, 0.99));
	set(doc, one, "cpu_us", cpu_us(from));
}

static void json_memory(struct json_doc *doc, struct json *parent, const char *name,
			const struct memory *m)
{
	struct json *one = json_set_object(doc, parent, name);

	set(doc, one, "pss_bytes", m->pss);
	set(doc, one, "private_dirty_bytes", m->private_dirty);
}

static void json_side(struct json_doc *doc, struct json *endpoints, struct bench *b, struct side *s)
{
	struct json *one = json_new_object(doc), *memory, *calls;
	size_t i, load, net, call;

	json_append(doc, endpoints, one);
	json_set_string(doc, one, "endpoint", s->endpoint);
	json_set_string(doc, one, "server", s->server);
	json_set_int(doc, one, "pid", s->pid);
	set(doc, one, "own_share_ms", s->own_share_ms);
	json_set_int(doc, one, "monitors", (int64_t)s->n_monitors);
	json_set_int(doc, one, "listed_containers", (int64_t)s->listed);
	memory = json_set_object(doc, one, "memory");
	for (i = 0; i < N_STAGES; i++)
		json_memory(doc, memory, stage_names[i], &s->memory[i]);
	json_memory(doc, memory, "monitors", &s->monitors);
	calls = json_set_array(doc, one, "calls");
	for (load = 0; load < N_LOADS; load++)
		for (net = 0; net < N_NETS; net++)
			for (call = 0; call < N_CALLS; call++)
				json_call(doc, calls, s, load, net, call, b->clients);
}

int report_json(struct bench *b)
{
	_cleanup_json_ struct json_doc *doc = json_doc_new();
	struct figure f[N_FIGURES];
	struct json *endpoints, *summary;
	size_t i;

	if (doc) {
		json_set_int(doc, json_root(doc), "pods", (int64_t)b->n_pods);
		endpoints = json_set_array(doc, json_root(doc), "endpoints");
		for (i = 0; i < b->n_sides; i++)
			json_side(doc, endpoints, b, &b->sides[i]);
		figures(b, f);
		summary = json_set_object(doc, json_root(doc), "summary");
		for (i = 0; i < N_FIGURES; i++)
			set(doc, summary, f[i].name, f[i].value);
	}
	return json_print(doc);
}
