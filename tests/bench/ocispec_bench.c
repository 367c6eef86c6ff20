/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What documents cost, in microseconds: minimum and median of many runs.
 *
 *	kubelet		the config.json of a container as a kubelet asks for it: everything set, seccomp resolved,
 *			annotations as CRI-O writes them, printed with tabs
 *	read		the same, parsed and checked
 *	compile		its seccomp filter, through libseccomp
 *	cached		the same from the cache, put into the document
 *	mounts		10,000 mounts set, sorted, printed
 *	mounts-read	those parsed and checked
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ocispec.h>

static struct ocispec_filters *filters;
static char *kubelet_text, *mounts_text;
static size_t kubelet_len, mounts_len;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int set_process(struct ocispec *s)
{
	static const char *const args[] = { "/bin/sh", "-c", "exec /usr/bin/server --listen :8080", NULL };
	static const char *const caps[] = { "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "SETGID", "SETUID", "SETPCAP",
					    "NET_BIND_SERVICE", "KILL", NULL };
	const uint32_t groups[] = { 1000, 2000 };
	char name[48];
	int r = ocispec_clear_env(s) | ocispec_set_args(s, args) | ocispec_set_user(s, 1000, 1000, groups, 2) |
		ocispec_set_cwd(s, "/srv") | ocispec_set_no_new_privileges(s, 1) | ocispec_set_oom_score_adj(s, 936) |
		ocispec_set_capabilities(s, OCISPEC_CAP_BOUNDING | OCISPEC_CAP_EFFECTIVE | OCISPEC_CAP_PERMITTED, caps);

	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "SERVICE_%d_PORT_8080_TCP_ADDR", i);
		r |= ocispec_set_env(s, name, "tcp://10.96.0.1:8080");
	}
	return r;
}

static int set_mounts(struct ocispec *s)
{
	static const char *const files[] = { "/etc/hosts", "/etc/resolv.conf", "/etc/hostname", "/run/.containerenv", "/dev/shm",
					     "/dev/termination-log", "/var/run/secrets/kubernetes.io/serviceaccount", "/etc/config",
					     "/data", "/tmp" };
	static const char *const options[] = { "rbind", "rprivate", "rw", "bind", NULL };
	static const char *const cgroup[] = { "nosuid", "noexec", "nodev", "relatime", "ro", NULL };
	int r = ocispec_set_mount(s, "/sys/fs/cgroup", "cgroup", "cgroup", cgroup);

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		r |= ocispec_set_mount(s, files[i], "bind",
				       "/var/lib/kubelet/pods/7a2d7d0c-0f3c-4e51-9a39-7c1c0a3b6f52/volumes/kubernetes.io~projected/x", options);
	return r | ocispec_sort_mounts(s);
}

static int set_rest(struct ocispec *s)
{
	static const char *const masked[] = { "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
					      "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi",
					      "/sys/firmware", "/sys/devices/virtual/powercap", NULL };
	static const char *const readonly[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL };
	char key[64];
	int r = ocispec_set_root(s, "/var/lib/containers/storage/overlay/4e1f/merged", 0) | ocispec_set_hostname(s, "server-0") |
		ocispec_set_cgroups_path(s, "kubepods-burstable-pod7a2d.slice:crio:4e1f") | ocispec_set_masked_paths(s, masked) |
		ocispec_set_readonly_paths(s, readonly) | ocispec_set_cpu(s, 256, 50000, 100000, NULL, NULL) |
		ocispec_set_memory(s, 268435456, 268435456) | ocispec_set_pids_limit(s, 1024) |
		ocispec_set_namespace(s, "network", "/var/run/netns/7a2d") | ocispec_set_namespace(s, "ipc", "/var/run/ipcns/7a2d") |
		ocispec_set_namespace(s, "uts", "/var/run/utsns/7a2d") | ocispec_set_default_seccomp(s, "6.1.0-18-amd64");

	for (int i = 0; i < 40; i++) {
		snprintf(key, sizeof(key), "io.kubernetes.cri-o.Annotation%d", i);
		r |= ocispec_set_annotation(s, key, "a value as long as they usually are, with a path /var/log/pods/x");
	}
	return r;
}

static int kubelet(void)
{
	struct ocispec *s = NULL;
	int r = ocispec_new(&s) || set_process(s) || set_mounts(s) || set_rest(s);

	free(kubelet_text);
	kubelet_text = NULL;
	r = r || ocispec_format(s, OCISPEC_FORMAT_INDENT, &kubelet_text, &kubelet_len);
	ocispec_free(s);
	return r;
}

static int read_back(const char *text, size_t len)
{
	struct ocispec *s = NULL;
	int r = ocispec_parse(text, len, &s, NULL);

	ocispec_free(s);
	return r;
}

static int read_kubelet(void)
{
	return read_back(kubelet_text, kubelet_len);
}

static int filter(struct ocispec_filters *cache)
{
	struct ocispec *s = NULL;
	int r = ocispec_new(&s) || ocispec_set_default_seccomp(s, NULL) || ocispec_hand_filter_to_crun(s, cache, NULL);

	ocispec_free(s);
	return r;
}

static int compile(void)
{
	return filter(NULL);
}

static int cached(void)
{
	return filter(filters);
}

static int mounts(void)
{
	static const char *const options[] = { "rbind", "ro", NULL };
	struct ocispec *s = NULL;
	char path[64];
	int r = ocispec_new(&s);

	for (int i = 0; i < 10000; i++) {
		snprintf(path, sizeof(path), "/volumes/%d/data", i);
		r = r || ocispec_set_mount(s, path, "bind", "/srv/volumes/x", options);
	}
	free(mounts_text);
	mounts_text = NULL;
	r = r || ocispec_sort_mounts(s) || ocispec_format(s, 0, &mounts_text, &mounts_len);
	ocispec_free(s);
	return r;
}

static int read_mounts(void)
{
	return read_back(mounts_text, mounts_len);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int measure(const char *name, int (*run)(void), int times)
{
	double *t = calloc((size_t)times, sizeof(*t)), began;
	int r = !t;

	for (int i = 0; i < times && !r; i++) {
		began = now();
		r = run();
		t[i] = now() - began;
	}
	if (r) {
		fprintf(stderr, "%s: failed\n", name);
	} else {
		qsort(t, (size_t)times, sizeof(*t), compare);
		printf("%-12s %10.1f us minimum %10.1f us median\n", name, t[0], t[times / 2]);
	}
	free(t);
	return r;
}

int main(void)
{
	int r = ocispec_filters_new(&filters) || measure("kubelet", kubelet, 2000) || measure("read", read_kubelet, 1000) ||
		measure("compile", compile, 20) || measure("cached", cached, 1000) || measure("mounts", mounts, 20) ||
		measure("mounts-read", read_mounts, 20);

	if (!r)
		printf("config.json of %zu bytes, of 10,000 mounts %zu\n", kubelet_len, mounts_len);
	ocispec_filters_free(filters);
	free(kubelet_text);
	free(mounts_text);
	return r;
}
