/* SPDX-License-Identifier: Apache-2.0 */
/* Files of images. Byte 0: even, an archive as "docker save" makes it; odd, the index.json of an OCI layout. */
#include <fcntl.h>
#include <sys/stat.h>
#include "../fuzz.h"
#include "docker_save.h"
#include "manifest.h"
#include "oci_layout.h"

static struct cimage_context *context;

static int nothing(void *user, const void *p, size_t n)
{
	return 0;
}

static int done(void *user, int result)
{
	return 0;
}

static void archive(const uint8_t *p, size_t n)
{
	struct cimage_error err = { 0 };
	struct cimage_source *s = NULL;
	_cleanup_strv_ char **names = NULL;
	_cleanup_free_ char *text = NULL, *type = NULL;
	struct manifest *m = NULL;
	size_t len;
	int r = saved_names(fuzz_file(p, n), &names, &err);

	fuzz_said(r, &err);
	r = saved_open(context, fuzz_file(p, n), NULL, n & 1 ? "@1" : NULL, &s, &err);
	fuzz_said(r, &err);
	if (r)
		return;
	r = saved_manifest(s, NULL, &text, &len, &type, &err);
	fuzz_said(r, &err);
	require(r || !manifest_parse(text, len, type, &m, &err));	/* it was made here */
	for (size_t i = 0; m && i < m->layer_count; i++) {
		struct cimage_blob_request q = { .digest = m->layers[i].digest, .size = -1, .resume_fd = -1, .data = nothing, .done = done };

		r = saved_blobs(s, &q, 1, &err);
		fuzz_said(r, &err);
	}
	manifest_free(m);
	saved_close(s);
}

static void layout(const uint8_t *p, size_t n)
{
	static char dir[] = "/dev/shm/fuzz-layout-XXXXXX";
	struct cimage_error err = { 0 };
	_cleanup_strv_ char **names = NULL;
	_cleanup_free_ char *text = NULL, *type = NULL;
	struct layout l;
	size_t len;
	int fd, r;

	require(mkdtemp(dir) && (fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0);
	require(!write_file_at(fd, "index.json", 0600, (const char *)p, n, 0));
	require(!write_file_at(fd, "oci-layout", 0600, "{\"imageLayoutVersion\":\"1.0.0\"}", 30, 0));
	r = layout_names(fcntl(fd, F_DUPFD_CLOEXEC, 0), &names, &err);
	fuzz_said(r, &err);
	r = layout_remove(fcntl(fd, F_DUPFD_CLOEXEC, 0), n & 1 ? "x" : NULL, &err);
	fuzz_said(r, &err);
	r = layout_open(context, fcntl(fd, F_DUPFD_CLOEXEC, 0), n & 1 ? "@1" : NULL, &l, &err);
	fuzz_said(r, &err);
	if (!r) {
		r = layout_manifest(&l, NULL, &text, &len, &type, &err);
		fuzz_said(r, &err);
		layout_done(&l);
	}
	close(fd);
	require(rm_rf_at(AT_FDCWD, dir) == 0);
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!context)
		require(!cimage_context_new(&context) && !cimage_context_set_transport_dir(context, MODULES));
	if (size)
		(data[0] & 1 ? layout : archive)(data + 1, size - 1);
	return 0;
}
