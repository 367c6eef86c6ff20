/* SPDX-License-Identifier: Apache-2.0 */
/* What is written is read back as it was, whatever the values are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "errors.h"
#include "records.h"
#include "state_file.h"
#include "unit.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define POD_ID "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define HOSTILE "\"}],\\\n\t<&> \xc3\xa9 \x7f'; =+"
#define K "io.kubernetes.cri-o."

static struct cb_error err;
static char top[] = "/tmp/crid-records-XXXXXX";

static const char *const labels[] = { "plain", "kept", "hostile", HOSTILE, "empty", "", NULL };
static const char *const commands[] = {
	"run.oci.hooks.stdout", "/etc/x", "org.systemd.property.ExecStart", "'x'", K "Name", "evil", K "SandboxID", "evil",
	"io.container.manager", "evil", "spoofed.crio.io", "true", "mine", HOSTILE, NULL
};

static char **copy(struct arena *a, const char *const *v)
{
	char **ret = arena_alloc(a, 32 * sizeof(*ret));

	for (size_t n = 0; v[n]; n++)
		ret[n] = arena_strdup(a, v[n]);
	return ret;
}

static struct pod_info *make_pod(void)
{
	struct pod_info *i = pod_info_new();

	i->id = POD_ID;
	i->name = "k8s_p_n_u_3";
	i->infra_name = "k8s_POD_p_n_u_3";
	i->meta_name = "p";
	i->meta_uid = "u" HOSTILE;
	i->meta_namespace = "n";
	i->attempt = 4294967295u;
	i->labels = copy(&i->arena, labels);
	i->annotations = copy(&i->arena, commands);
	i->created = 1700000000123456789;
	i->log_dir = "/var/log/pods/x y";
	i->hostname = "host";
	i->cgroup_parent = "/a/b";
	i->handler = "crun";
	i->pid = NS_CONTAINER;
	i->ipc = NS_NODE;
	i->privileged = true;
	i->spoofed = true;
	i->mount_point = "";
	i->resolv_path = "/run/resolv.conf";
	i->hostname_path = "/run/hostname";
	i->shm_path = "/dev/shm";
	i->cgroup_path = "/a/b/crio-x";
	i->netns = "/run/netns/1";
	i->utsns = "/run/utsns/1";
	return i;
}

static char *mount_options[] = { (char[]){ "nodev" }, (char[]){ "noexec" }, NULL };
static struct mount_info mounts[] = {
	{ "/a", "/h" HOSTILE, .readonly = true, .recursive_read_only = true, .propagation = 2 },
	{ "/b", "/h2", .selinux_relabel = true, .options = mount_options },
	{ "/c", "", .image = ID, .image_ref = "a@sha256:1", .image_sub_path = "x" HOSTILE, .readonly = true },
};

static struct container_info *make_container(void)
{
	static uint32_t groups[] = { 1, 4294967294u };
	struct container_info *i = container_info_new();

	i->id = ID;
	i->pod_id = POD_ID;
	i->name = "k8s_c_p_n_u_0";
	i->pod_name = "k8s_p_n_u_3";
	i->meta_name = "c";
	i->labels = copy(&i->arena, labels);
	i->annotations = copy(&i->arena, commands);
	i->created = 1;
	i->image = "short";
	i->user_image = "as/typed:1";
	i->image_id = ID;
	i->image_name = "docker.io/as/typed:1";
	i->repo_digests = "a@sha256:1,b@sha256:2";
	i->log_path = "/var/log/x/0.log";
	i->tty = i->stdin = i->stdin_once = true;
	i->mounts = mounts;
	i->n_mounts = ARRAY_SIZE(mounts);
	i->stop_signal_name = "USR1";
	i->uid = 1000;
	i->gid = 1001;
	i->groups = groups;
	i->n_groups = 2;
	return i;
}

static void same_pairs(char *const *a, char *const *b)
{
	ck_assert_uint_eq(strv_len(a), strv_len(b));
	for (; *a; a += 2) {
		ck_assert_ptr_nonnull(pairs_get(b, a[0]));
		ck_assert_str_eq(pairs_get(b, a[0]), a[1]);
	}
}

/* Through bytes, as on disk. */
static struct ocispec *through_bytes(struct ocispec *s)
{
	struct ocispec *back = NULL;
	char *text = NULL;
	size_t n;

	ck_assert_int_eq(ocispec_format(s, OCISPEC_FORMAT_INDENT, &text, &n), 0);
	ck_assert_int_eq(ocispec_parse(text, n, &back, NULL), 0);
	free(text);
	ocispec_free(s);
	return back;
}

static struct ocispec *pod_document(const struct pod_info *i)
{
	struct ocispec *s = NULL;

	ck_assert_int_eq(ocispec_new(&s), 0);
	ck_assert_int_eq(ocispec_set_namespace(s, "network", i->netns), 0);
	ck_assert_int_eq(ocispec_set_namespace(s, "uts", i->utsns), 0);
	ck_assert_int_eq(ocispec_remove_namespace(s, "ipc"), 0);
	ck_assert_int_eq(ocispec_set_cgroups_path(s, i->cgroup_path), 0);
	ck_assert_int_eq(pod_annotate(s, i), 0);
	return through_bytes(s);
}

START_TEST(pod_comes_back_as_it_was)
{
	struct pod_info *in = make_pod(), *out = NULL;
	struct ocispec *s = pod_document(in);

	ck_assert_int_eq(pod_info_load(s, "/g/dir", "/r/dir", &out, &err), 0);
	ck_assert_str_eq(out->id, in->id);
	ck_assert_str_eq(out->name, in->name);
	ck_assert_str_eq(out->infra_name, in->infra_name);
	ck_assert_str_eq(out->meta_uid, in->meta_uid);
	ck_assert_uint_eq(out->attempt, in->attempt);
	ck_assert_int_eq(out->created, in->created);
	ck_assert_str_eq(out->log_dir, in->log_dir);
	ck_assert_str_eq(out->handler, "crun");
	ck_assert_int_eq(out->pid, NS_CONTAINER);
	ck_assert_int_eq(out->ipc, NS_NODE);
	ck_assert_int_eq(out->network, NS_POD);
	ck_assert(out->privileged && out->spoofed);
	ck_assert_str_eq(out->netns, in->netns);
	ck_assert_str_eq(out->ipcns, "");
	ck_assert_str_eq(out->cgroup_path, in->cgroup_path);
	ck_assert_str_eq(out->containerenv_path, "/r/dir/.containerenv");
	same_pairs(in->labels, out->labels);
	same_pairs(in->annotations, out->annotations);
	pod_info_unref(in);
	pod_info_unref(out);
	ocispec_free(s);
}
END_TEST

/* What the notes call "use": a record of CRI-O without them is good. */
START_TEST(pod_without_its_paths_gets_the_usual_ones)
{
	struct pod_info *in = make_pod(), *out = NULL;
	struct ocispec *s;

	in->resolv_path = in->hostname_path = in->shm_path = in->mount_point = NULL;
	in->ipc = NS_POD;
	s = pod_document(in);
	ck_assert_int_eq(pod_info_load(s, "/g", "/r", &out, &err), 0);
	ck_assert_str_eq(out->resolv_path, "/r/resolv.conf");
	ck_assert_str_eq(out->hostname_path, "/r/hostname");
	ck_assert_str_eq(out->shm_path, "/r/shm");
	ck_assert_str_eq(out->mount_point, "");
	pod_info_unref(in);
	pod_info_unref(out);
	ocispec_free(s);
}
END_TEST

START_TEST(container_comes_back_as_it_was)
{
	struct container_info *in = make_container(), *out = NULL;
	struct pod_info *pod = make_pod();
	struct ocispec *s = NULL;

	ck_assert_int_eq(ocispec_new(&s), 0);
	ck_assert_int_eq(ocispec_set_user(s, in->uid, in->gid, in->groups, in->n_groups), 0);
	ck_assert_int_eq(container_annotate(s, in, pod), 0);
	s = through_bytes(s);
	ck_assert_int_eq(container_info_load(s, "/g/dir", "/r/dir", &out, &err), 0);
	ck_assert_str_eq(out->id, in->id);
	ck_assert_str_eq(out->pod_id, in->pod_id);
	ck_assert_str_eq(out->user_image, in->user_image);
	ck_assert_str_eq(out->image_id, in->image_id);
	ck_assert_str_eq(out->image_ref, "a@sha256:1");
	ck_assert_int_eq(out->stop_signal, 10);
	ck_assert(out->tty && out->stdin && out->stdin_once);
	ck_assert_uint_eq(out->uid, 1000);
	ck_assert_uint_eq(out->n_groups, 2);
	ck_assert_uint_eq(out->groups[1], 4294967294u);
	ck_assert_uint_eq(out->n_mounts, ARRAY_SIZE(mounts));
	for (size_t n = 0; n < ARRAY_SIZE(mounts); n++) {
		ck_assert_str_eq(out->mounts[n].host_path, mounts[n].host_path);
		ck_assert_int_eq(out->mounts[n].readonly, mounts[n].readonly);
		ck_assert_int_eq(out->mounts[n].selinux_relabel, mounts[n].selinux_relabel);
		ck_assert_int_eq(out->mounts[n].propagation, mounts[n].propagation);
		ck_assert_int_eq(out->mounts[n].recursive_read_only, mounts[n].recursive_read_only);
		ck_assert_pstr_eq(out->mounts[n].image, mounts[n].image);
		ck_assert_pstr_eq(out->mounts[n].image_ref, mounts[n].image_ref);
		ck_assert_pstr_eq(out->mounts[n].image_sub_path, mounts[n].image_sub_path);
	}
	ck_assert_uint_eq(strv_len(out->mounts[0].options), 0);
	ck_assert_str_eq(out->mounts[1].options[1], "noexec");
	same_pairs(in->labels, out->labels);
	same_pairs(in->annotations, out->annotations);
	pod_info_unref(pod);
	container_info_unref(in);
	container_info_unref(out);
	ocispec_free(s);
}
END_TEST

/* Where they are seen by a runtime they are gone, or ours. */
START_TEST(annotations_that_command_are_not_passed_on)
{
	struct pod_info *in = make_pod();
	struct ocispec *s = pod_document(in);

	ck_assert_ptr_null(ocispec_get_annotation(s, "run.oci.hooks.stdout"));
	ck_assert_ptr_null(ocispec_get_annotation(s, "org.systemd.property.ExecStart"));
	ck_assert_str_eq(ocispec_get_annotation(s, K "Name"), in->name);
	ck_assert_str_eq(ocispec_get_annotation(s, K "SandboxID"), POD_ID);
	ck_assert_str_eq(ocispec_get_annotation(s, "io.container.manager"), "cri-o");
	ck_assert_str_eq(ocispec_get_annotation(s, "mine"), HOSTILE);
	ocispec_free(s);
	in->spoofed = false;
	s = pod_document(in);
	ck_assert_ptr_null(ocispec_get_annotation(s, "spoofed.crio.io"));
	ocispec_free(s);
	pod_info_unref(in);
}
END_TEST

START_TEST(document_that_lacks_what_is_needed_is_named)
{
	static const char *const needed[] = { "Metadata", "NamespaceOptions", "Created" };
	struct pod_info *in = make_pod(), *out = NULL;

	for (size_t n = 0; n < ARRAY_SIZE(needed); n++) {
		_cleanup_free_ char *key = strf(K "%s", needed[n]);
		struct ocispec *s = pod_document(in);

		err.message[0] = '\0';
		ck_assert_int_eq(ocispec_set_annotation(s, key, "}"), 0);
		ck_assert_int_eq(pod_info_load(s, "/g", "/r", &out, &err), E_INVALID);
		ck_assert_ptr_nonnull(strstr(err.message, needed[n]));
		ck_assert_ptr_null(out);
		ocispec_free(s);
	}
	pod_info_unref(in);
}
END_TEST

START_TEST(state_comes_back_as_it_was)
{
	struct object_state in, out;
	struct ocispec *s = NULL;
	char *text = NULL;

	ck_assert_ptr_nonnull(mkdtemp(top));
	ck_assert_int_eq(state_load(top, &out, &err), E_NOT_FOUND);
	object_state_init(&in);
	in.status = "stopped";
	in.init = (struct process_id){ 4711, 123456789012ull };
	in.monitor = (struct process_id){ 2147483647, 1 };
	in.created = 1700000000000000001;
	in.finished = 1700000001000000000;
	in.has_exit_code = in.oom_killed = true;
	in.exit_code = 137;
	strcpy(in.error, HOSTILE);
	ck_assert_int_eq(ocispec_new(&s), 0);
	ck_assert_int_eq(ocispec_set_annotation(s, "a", HOSTILE), 0);
	ck_assert_int_eq(state_save(top, ID, "/bundle", s, &in, &err), 0);
	ck_assert_int_eq(state_load(top, &out, &err), 0);
	ck_assert_str_eq(out.status, "stopped");
	ck_assert_int_eq(out.init.pid, 4711);
	ck_assert_uint_eq(out.init.start_time, 123456789012ull);
	ck_assert_int_eq(out.monitor.pid, 2147483647);
	ck_assert_int_eq(out.created, in.created);
	ck_assert_int_eq(out.started, TIME_ZERO_NS);
	ck_assert_int_eq(out.finished, in.finished);
	ck_assert(out.has_exit_code && out.oom_killed);
	ck_assert_int_eq(out.exit_code, 137);
	ck_assert_str_eq(out.error, HOSTILE);
	/* a pod without process: empty strings, no exit code, zero times */
	object_state_init(&in);
	ck_assert_int_eq(state_save(top, ID, "/bundle", NULL, &in, &err), 0);
	ck_assert_int_eq(state_load(top, &out, &err), 0);
	ck_assert_str_eq(out.status, "");
	ck_assert(!out.has_exit_code);
	ck_assert_int_eq(out.init.pid, 0);
	{
		_cleanup_free_ char *path = strf("%s/state.json", top);

		ck_assert_int_eq(read_file(path, 4096, &text, NULL), 0);
	}
	ck_assert_ptr_nonnull(strstr(text, "\"finished\":\"0001-01-01T00:00:00Z\""));
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
	free(text);
	ocispec_free(s);
	rm_rf_at(-100, top);
}
END_TEST

START_TEST(damaged_state_is_refused_or_harmless)
{
	static const char *const bad[] = { "", "{", "[]", "null", "{\"status\":\"running\"", "\xff" };
	static const char *const odd[] = {
		"{}", "{\"status\":\"nonsense\",\"initPid\":-1,\"initStartTime\":\"1\"}",
		"{\"initPid\":1,\"initStartTime\":\"1\"}", "{\"initPid\":99999999999,\"initStartTime\":\"1\"}",
		"{\"initPid\":7,\"initStartTime\":\"x\"}", "{\"created\":7,\"finished\":\"yesterday\",\"exitCode\":\"0\"}",
		"{\"containerMonitorProcess\":[1]}", "{\"initPid\":\"7\",\"initStartTime\":7}",
	};
	struct object_state st;
	char *path;

	ck_assert_ptr_nonnull(mkdtemp(top));
	path = strf("%s/state.json", top);
	for (size_t n = 0; n < ARRAY_SIZE(bad); n++) {
		ck_assert_int_eq(write_file(path, 0644, bad[n], strlen(bad[n]), 0), 0);
		ck_assert_int_eq(state_load(top, &st, &err), E_INVALID);
	}
	for (size_t n = 0; n < ARRAY_SIZE(odd); n++) {
		ck_assert_int_eq(write_file(path, 0644, odd[n], strlen(odd[n]), 0), 0);
		ck_assert_int_eq(state_load(top, &st, &err), 0);
		ck_assert_str_eq(st.status, "");
		ck_assert_int_eq(st.init.pid, 0);
		ck_assert_int_eq(st.monitor.pid, 0);
		ck_assert(!st.has_exit_code);
		ck_assert_int_eq(st.finished, TIME_ZERO_NS);
	}
	free(path);
	rm_rf_at(-100, top);
}
END_TEST

START_TEST(long_error_is_cut_between_characters)
{
	struct object_state in, out;
	char text[601] = "x";

	for (size_t n = 0; n < 300; n++)
		memcpy(text + 1 + 2 * n - (n == 299), "\xc3\xa9", n == 299 ? 1 : 2);
	text[599] = '\0';
	ck_assert_ptr_nonnull(mkdtemp(top));
	object_state_init(&in);
	utf8_copy(in.error, sizeof(in.error), text);
	ck_assert(utf8_valid(in.error, strlen(in.error)));
	ck_assert_uint_ge(strlen(in.error), sizeof(in.error) - 4);
	ck_assert_int_eq(state_save(top, ID, "/b", NULL, &in, &err), 0);
	ck_assert_int_eq(state_load(top, &out, &err), 0);
	ck_assert_str_eq(out.error, in.error);
	rm_rf_at(-100, top);
}
END_TEST

START_TEST(metadata_says_whose_and_what_it_is)
{
	static const char *const foreign[] = {
		"", "{", "[]", "null", "{}", "{\"pod-name\":\"x\"}", "{\"pod-name\":\"\",\"pod-id\":\"" ID "\"}",
		"{\"pod-name\":\"x\",\"pod-id\":\"../../etc\"}", "{\"pod-name\":7,\"pod-id\":\"" ID "\"}",
	};
	struct container_info *c = make_container();
	struct pod_info *p = make_pod();
	struct record_metadata m;
	char *text = NULL;

	ck_assert_int_eq(pod_metadata(p, &text), 0);
	record_metadata_parse(text, &m);
	ck_assert(m.ours && m.pod);
	ck_assert_str_eq(m.pod_id, POD_ID);
	free(text);
	ck_assert_int_eq(container_metadata(c, &text), 0);
	record_metadata_parse(text, &m);
	ck_assert(m.ours && !m.pod);
	ck_assert_str_eq(m.pod_id, POD_ID);
	free(text);
	for (size_t n = 0; n < ARRAY_SIZE(foreign); n++) {
		record_metadata_parse(foreign[n], &m);
		ck_assert(!m.ours);
	}
	record_metadata_parse(NULL, &m);
	ck_assert(!m.ours);
	pod_info_unref(p);
	container_info_unref(c);
}
END_TEST

START_TEST(parts_of_names)
{
	char text[300];

	ck_assert(name_part_valid("a.b-c_D"));
	ck_assert(name_part_valid("\xc3\xa9"));
	ck_assert(!name_part_valid(""));
	ck_assert(!name_part_valid("a/b"));
	ck_assert(!name_part_valid("a\nb"));
	ck_assert(!name_part_valid("a\x7f"));
	memset(text, 'a', sizeof(text));
	text[NAME_BYTES_MAX] = '\0';
	ck_assert(name_part_valid(text));
	text[NAME_BYTES_MAX] = 'a';
	text[NAME_BYTES_MAX + 1] = '\0';
	ck_assert(!name_part_valid(text));
}
END_TEST

UNIT_MAIN("records", pod_comes_back_as_it_was, pod_without_its_paths_gets_the_usual_ones, container_comes_back_as_it_was,
	  annotations_that_command_are_not_passed_on,
	  document_that_lacks_what_is_needed_is_named, state_comes_back_as_it_was, damaged_state_is_refused_or_harmless,
	  long_error_is_cut_between_characters, metadata_says_whose_and_what_it_is, parts_of_names)
