/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two processes of a pull, and the one that checks signatures, may say to each other. Byte 0: 0 to the unpacking one,
 * 1 to the fetching one, 2 an answer about a signature, 3 a job.
 */
#include <cbase/digest.h>
#include <sys/socket.h>
#include "../fuzz.h"
#include "gpg.h"
#include "image.h"
#include "job.h"
#include "wire.h"

/* Both have their digests made right, or nothing would come further than those. */
static void derive(struct wire_image w)
{
	char manifest[DIGEST_STR_MAX], list[DIGEST_STR_MAX];
	struct cb_error err = { 0 };
	struct image i;
	int r;

	for (int right = 0; right < 2; right++) {
		r = image_derive(&w, NULL, &i, &err);
		fuzz_said(r, &err);
		if (!r) {
			require(strlen(image_id(&i)) == 64 && digest_valid(image_digest(&i)));
			for (size_t k = 0; k < i.n_layers; k++)
				require(digest_valid(i.layers[k].digest) && strlen(i.layers[k].id) == 64);
			image_done(&i);
		}
		digest_sha256(w.manifest.p, w.manifest.len, manifest);
		digest_sha256(w.list.p, w.list.len, list);
		w.manifest_digest = (struct wire_bytes){ manifest, strlen(manifest) };
		w.list_digest = (struct wire_bytes){ list, w.list.len ? strlen(list) : 0 };
	}
}

static void to_unpack(int fd)
{
	struct wire_reader reader = { .fd = fd };
	struct wire_image image;
	struct wire_frame f;
	struct cb_error err;
	uint32_t n;
	int r;

	require(!wire_fill(&reader));
	while (wire_next(&reader, &f) == 1) {
		if (!wire_parse_image(&f, &image))
			derive(image);
		wire_parse_u32(&f, &n);
		if (!wire_parse_error(&f, &r, &err))
			fuzz_said(r, &err);
	}
	wire_reader_done(&reader);
}

static void to_fetch(int fd)
{
	uint32_t layer;
	int pipe;

	while (wire_receive_pipe(fd, &layer, &pipe) == 0)
		close(pipe);
}

static void verdict(int fd)
{
	struct cimage_bytes sig = { "x", 1 };
	_cleanup_free_ char *text = NULL, *fingerprint = NULL;
	struct cimage_error err = { 0 };
	size_t n;
	int r = gpg_ask(&fd, &sig, 1, &sig, &text, &n, &fingerprint, &err);

	fuzz_said(r, &err);
	require(r || (text && fingerprint));
}

static void job(const uint8_t *p, size_t n)
{
	struct cb_error err = { 0 };
	struct job j;
	int r = job_parse((const char *)p, n, &j, &err);

	fuzz_said(r, &err);
	if (!r)
		job_done(&j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int s[2], space = 1 << 20;

	if (!size || size > 100000)
		return 0;
	if (data[0] % 4 == 3) {
		job(data + 1, size - 1);
		return 0;
	}
	require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s));
	setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &space, sizeof(space));
	require(write(s[0], data + 1, size - 1) == (ssize_t)size - 1);
	shutdown(s[0], SHUT_WR);
	(data[0] % 4 == 0 ? to_unpack : data[0] % 4 == 1 ? to_fetch : verdict)(s[1]);
	close(s[0]);
	close(s[1]);
	return 0;
}
