/* SPDX-License-Identifier: Apache-2.0 */
/* What is on disk of pods and containers after a restart, ended by NUL: config.json, state.json, the store's metadata. */
#include <fcntl.h>
#include <sys/stat.h>
#include "../fuzz.h"
#include "records.h"
#include "state_file.h"

static char dir[] = "/dev/shm/fuzz-crid-XXXXXX";

static void clean_up(void)
{
	rm_rf_at(AT_FDCWD, dir);
}

static void put(const char *name, struct input *in)
{
	size_t n;
	_cleanup_free_ char *text = fuzz_piece(in, false, &n), *path = strf("%s/%s", dir, name);

	require(!write_file(path, 0600, text, n, 0));
}

/* What was read is written and read again. */
static void pod(const struct ocispec *s)
{
	struct pod_info *i = NULL;
	struct cb_error err = { 0 };
	_cleanup_free_ char *text = NULL;
	struct record_metadata m;
	int r = pod_info_load(s, dir, dir, &i, &err);

	fuzz_said(r, &err);
	if (r)
		return;
	require(i->id && i->name && i->meta_name && i->cgroup_path);
	require(!pod_metadata(i, &text));
	record_metadata_parse(text, &m);
	pod_info_unref(i);
}

static void container(struct ocispec *s)
{
	struct container_info *i = NULL;
	struct cb_error err = { 0 };
	int r = container_info_load(s, dir, dir, &i, &err);

	fuzz_said(r, &err);
	if (r)
		return;
	require(i->id && i->pod_id && i->log_path);
	for (size_t k = 0; k < i->n_mounts; k++)
		require(i->mounts[k].container_path && i->mounts[k].host_path);
	container_info_unref(i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct cb_error err = { 0 };
	struct ocispec *s = NULL;
	struct object_state st;
	struct record_metadata m;
	int r;

	if (strchr(dir, 'X') && strlen(dir) > 6 && !strcmp(dir + strlen(dir) - 6, "XXXXXX")) {
		require(mkdtemp(dir));
		atexit(clean_up);
	}
	put("config.json", &in);
	put("state.json", &in);
	_cleanup_free_ char *metadata = fuzz_piece(&in, false, NULL);

	record_metadata_parse(metadata, &m);
	r = state_load(dir, &st, &err);
	fuzz_said(r, &err);
	require(r || (st.status && utf8_valid(st.error, strlen(st.error))));
	r = config_json_load(dir, &s, &err);
	fuzz_said(r, &err);
	if (r)
		return 0;
	pod_is_spoofed(s);
	pod(s);
	container(s);
	if (!state_load(dir, &st, &err))
		require(!state_save(dir, "id", "/bundle", s, &st, &err) && !state_load(dir, &st, &err));
	ocispec_free(s);
	return 0;
}
