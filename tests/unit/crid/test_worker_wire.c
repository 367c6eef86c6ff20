/* SPDX-License-Identifier: Apache-2.0 */
/* Frames, jobs and the derivation of an image: what a fetch that was taken over can say. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cbase/cleanup.h>
#include <cbase/digest.h>
#include "errors.h"
#include "image.h"
#include "job.h"
#include "wire.h"

static void make_pair(int s[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
}

START_TEST(frames_arrive_whole_and_in_order)
{
	struct wire_reader r = { 0 };
	struct wire_frame f;
	struct cb_error in = { 0 }, out = { 0 };
	uint32_t n = 0;
	int s[2], result = 0;

	make_pair(s);
	r.fd = s[1];
	err_set(&in, E_NOT_FOUND, "no \"such\" thing");
	ck_assert_int_eq(wire_send_u32(s[0], WIRE_LAYER, 7), 0);
	ck_assert_int_eq(wire_send_error(s[0], E_NOT_FOUND, &in), 0);
	ck_assert_int_eq(wire_send_error(s[0], -ENOSPC, &in), 0);
	ck_assert_int_eq(wire_send(s[0], WIRE_DONE, NULL, 0), 0);
	ck_assert_int_eq(wire_fill(&r), 0);
	ck_assert_int_eq(wire_next(&r, &f), 1);
	ck_assert_int_eq(f.type, WIRE_LAYER);
	ck_assert_int_eq(wire_parse_u32(&f, &n), 0);
	ck_assert_uint_eq(n, 7);
	ck_assert_int_eq(wire_next(&r, &f), 1);
	ck_assert_int_eq(wire_parse_error(&f, &result, &out), 0);
	ck_assert_int_eq(result, E_NOT_FOUND);
	ck_assert_str_eq(out.message, "no \"such\" thing");
	ck_assert_int_eq(wire_next(&r, &f), 1);
	ck_assert_int_eq(wire_parse_error(&f, &result, &out), 0);
	ck_assert_int_eq(result, -ENOSPC);
	ck_assert_int_eq(out.sys_errno, ENOSPC);
	ck_assert_int_eq(wire_next(&r, &f), 1);
	ck_assert_int_eq(f.type, WIRE_DONE);
	ck_assert_int_eq(wire_next(&r, &f), 0);
	ck_assert(!r.eof);
	close(s[0]);
	ck_assert_int_eq(wire_fill(&r), 0);
	ck_assert(r.eof);
	wire_reader_done(&r);
	close(s[1]);
}
END_TEST

START_TEST(frame_in_pieces_is_not_taken_early)
{
	const uint32_t whole[] = { WIRE_LAYER, 4, 9 };
	struct wire_reader r = { 0 };
	struct wire_frame f;
	int s[2];

	make_pair(s);
	r.fd = s[1];
	for (size_t i = 0; i < sizeof(whole); i++) {
		ck_assert_int_eq(wire_fill(&r), 0);
		ck_assert_int_eq(wire_next(&r, &f), 0);
		ck_assert_int_eq(write(s[0], (const char *)whole + i, 1), 1);
	}
	ck_assert_int_eq(wire_fill(&r), 0);
	ck_assert_int_eq(wire_next(&r, &f), 1);
	ck_assert_uint_eq(f.len, 4);
	wire_reader_done(&r);
	close(s[0]);
	close(s[1]);
}
END_TEST

static const uint32_t bad_headers[][2] = {
	{ 0, 0 },
	{ WIRE_PIPE, 4 },
	{ WIRE_GO, 0 },
	{ 77, 0 },
	{ WIRE_IMAGE, WIRE_FRAME_MAX + 1 },
	{ WIRE_IMAGE, UINT32_MAX },
};

START_TEST(what_is_no_frame_of_fetch_is_refused)
{
	struct wire_reader r = { 0 };
	struct wire_frame f;
	int s[2];

	make_pair(s);
	r.fd = s[1];
	ck_assert_int_eq(write(s[0], bad_headers[_i], sizeof(bad_headers[_i])),
			 sizeof(bad_headers[_i]));
	ck_assert_int_eq(wire_fill(&r), 0);
	ck_assert_int_eq(wire_next(&r, &f), -EPROTO);
	wire_reader_done(&r);
	close(s[0]);
	close(s[1]);
}
END_TEST

START_TEST(lengths_inside_a_frame_are_checked)
{
	uint32_t claims[] = { 0, 4, 0x41414141, UINT32_MAX, 0, 0 };
	struct wire_frame f = { WIRE_IMAGE, (const char *)claims, sizeof(claims) };
	struct wire_image image;
	struct cb_error err;
	int r;

	ck_assert_int_eq(wire_parse_image(&f, &image), -EPROTO);
	f.len = 3;
	ck_assert_int_eq(wire_parse_image(&f, &image), -EPROTO);
	ck_assert_int_eq(wire_parse_u32(&f, claims), -EPROTO);
	/* An error that is none, or of no known kind. */
	memset(claims, 0, sizeof(claims));
	f.len = 8;
	ck_assert_int_eq(wire_parse_error(&f, &r, &err), -EPROTO);
	claims[0] = 100000;
	ck_assert_int_eq(wire_parse_error(&f, &r, &err), -EPROTO);
	f.len = 7;
	ck_assert_int_eq(wire_parse_error(&f, &r, &err), -EPROTO);
}
END_TEST

START_TEST(bytes_of_an_error_become_valid_text)
{
	char bytes[] = "\x01\0\0\0\0\0\0\0caf\xe9 \xff";
	struct wire_frame f = { WIRE_ERROR, bytes, sizeof(bytes) - 1 };
	struct cb_error err;
	int r;

	ck_assert_int_eq(wire_parse_error(&f, &r, &err), 0);
	ck_assert_str_eq(err.message, "caf\xef\xbf\xbd \xef\xbf\xbd");
}
END_TEST

START_TEST(pipes_come_with_their_layer)
{
	int s[2], p[2], got = -1;
	uint32_t layer = 0;
	char c;

	make_pair(s);
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(wire_send_pipe(s[0], 3, p[1]), 0);
	ck_assert_int_eq(wire_send_pipe(s[0], 4, p[1]), 0);
	ck_assert_int_eq(wire_send(s[0], WIRE_GO, NULL, 0), 0);
	close(p[1]);
	for (uint32_t i = 3; i < 5; i++) {
		ck_assert_int_eq(wire_receive_pipe(s[1], &layer, &got), 0);
		ck_assert_uint_eq(layer, i);
		ck_assert_int_eq(fcntl(got, F_GETFD), FD_CLOEXEC);
		ck_assert_int_eq(write(got, "x", 1), 1);
		ck_assert_int_eq(read(p[0], &c, 1), 1);
		close(got);
	}
	ck_assert_int_eq(wire_receive_pipe(s[1], &layer, &got), 1);
	close(s[0]);
	ck_assert_int_eq(wire_receive_pipe(s[1], &layer, &got), -EPIPE);
	close(s[1]);
	close(p[0]);
}
END_TEST

/* ---- the image ---- */

#define DIFF "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define BLOB "sha256:2222222222222222222222222222222222222222222222222222222222222222"

struct fixture {
	char config[1024], manifest[2048], list[1024];
	char config_digest[DIGEST_STR_MAX], manifest_digest[DIGEST_STR_MAX],
		list_digest[DIGEST_STR_MAX];
	struct wire_image w;
};

static struct wire_bytes bytes(const char *s)
{
	return (struct wire_bytes){ s, strlen(s) };
}

/* Everything fits, whatever diff ids and layers say. */
static void build(struct fixture *f, const char *diff_ids, const char *layers)
{
	snprintf(f->config, sizeof(f->config),
		 "{\"created\":\"2026-01-01T00:00:00Z\",\"rootfs\":{\"diff_ids\":%s}}", diff_ids);
	digest_sha256(f->config, strlen(f->config), f->config_digest);
	snprintf(f->manifest, sizeof(f->manifest), "{\"config\":{\"digest\":\"%s\"},\"layers\":%s}",
		 f->config_digest, layers);
	digest_sha256(f->manifest, strlen(f->manifest), f->manifest_digest);
	snprintf(f->list, sizeof(f->list),
		 "{\"manifests\":[{\"digest\":\"%s\"},{\"digest\":\"%s\"}]}", BLOB,
		 f->manifest_digest);
	digest_sha256(f->list, strlen(f->list), f->list_digest);
	f->w = (struct wire_image){
		.manifest = bytes(f->manifest),
		.manifest_digest = bytes(f->manifest_digest),
		.config = bytes(f->config),
	};
}

#define LAYER "{\"digest\":\"" BLOB "\",\"size\":5}"

START_TEST(image_is_derived_from_its_bytes)
{
	struct fixture f;
	struct image i;

	build(&f, "[\"" DIFF "\",\"" DIFF "\"]", "[" LAYER "," LAYER "]");
	ck_assert_int_eq(image_derive(&f.w, NULL, &i, NULL), 0);
	ck_assert_str_eq(image_id(&i), f.config_digest + 7);
	ck_assert_str_eq(image_digest(&i), f.manifest_digest);
	ck_assert_uint_eq(i.n_layers, 2);
	ck_assert_str_eq(i.layers[0].id, &DIFF[7]);
	ck_assert_str_ne(i.layers[1].id, &DIFF[7]);
	ck_assert_int_eq(i.created, INT64_C(1767225600000000000));
	image_done(&i);
	f.w.list = bytes(f.list);
	f.w.list_digest = bytes(f.list_digest);
	ck_assert_int_eq(image_derive(&f.w, f.list_digest, &i, NULL), 0);
	ck_assert_str_eq(image_digest(&i), f.list_digest);
	image_done(&i);
}
END_TEST

START_TEST(digests_that_do_not_fit_are_refused)
{
	struct fixture f;
	struct image i;

	build(&f, "[\"" DIFF "\"]", "[" LAYER "]");
	/* another one was asked for */
	ck_assert_int_eq(image_derive(&f.w, BLOB, &i, NULL), E_FAILED);
	f.w.manifest_digest = bytes(BLOB);
	ck_assert_int_eq(image_derive(&f.w, NULL, &i, NULL), E_FAILED);
	f.w.manifest_digest = bytes("sha256:../../../etc");
	ck_assert_int_eq(image_derive(&f.w, NULL, &i, NULL), E_FAILED);
	build(&f, "[\"" DIFF "\"]", "[" LAYER "]");
	f.config[5] ^= 1;
	ck_assert_int_eq(image_derive(&f.w, NULL, &i, NULL), E_FAILED);
	/* An index that does not have this manifest: the digest asked for would be the index's. */
	build(&f, "[\"" DIFF "\"]", "[" LAYER "]");
	snprintf(f.list, sizeof(f.list), "{\"manifests\":[{\"digest\":\"" BLOB "\"}]}");
	digest_sha256(f.list, strlen(f.list), f.list_digest);
	f.w.list = bytes(f.list);
	f.w.list_digest = bytes(f.list_digest);
	ck_assert_int_eq(image_derive(&f.w, f.list_digest, &i, NULL), E_FAILED);
}
END_TEST

START_TEST(malformed_images_are_refused)
{
	static const char *const cases[][2] = {
		{ "[\"" DIFF "\"]", "[" LAYER "," LAYER "]" },
		{ "[\"" DIFF "\",\"" DIFF "\"]", "[" LAYER "]" },
		{ "[]", "[" LAYER "]" },
		{ "[5]", "[" LAYER "]" },
		{ "[\"sha256:22\"]", "[" LAYER "]" },
		{ "[\"md5:11111111111111111111111111111111\"]", "[" LAYER "]" },
		{ "[\"" DIFF "\"]", "[{\"digest\":\"" BLOB "\"}]" },
		{ "[\"" DIFF "\"]", "[{\"digest\":\"" BLOB "\",\"size\":-1}]" },
		{ "[\"" DIFF "\"]", "[{\"digest\":\"sha256:..\",\"size\":1}]" },
		{ "[\"" DIFF "\"]", "[{\"size\":1}]" },
		{ "[\"" DIFF "\"]", "[7]" },
		{ "[\"" DIFF "\"]", "{\"a\":" LAYER "}" },
		{ "[\"" DIFF "\"]", "null" },
		{ "[\"" DIFF "\"]", "[" LAYER "" },
	};
	struct fixture f;
	struct image i;

	for (size_t n = 0; n < ARRAY_SIZE(cases); n++) {
		build(&f, cases[n][0], cases[n][1]);
		ck_assert_msg(image_derive(&f.w, NULL, &i, NULL) == E_INVALID, "case %zu", n);
	}
}
END_TEST

START_TEST(too_many_layers_are_refused)
{
	_cleanup_str_ struct str ids = STR_INIT, layers = STR_INIT, config = STR_INIT,
				 manifest = STR_INIT;
	char config_digest[DIGEST_STR_MAX], manifest_digest[DIGEST_STR_MAX];
	struct wire_image w = { 0 };
	struct image i;

	for (int n = 0; n <= WIRE_LAYERS_MAX; n++) {
		str_appendf(&ids, "%s\"%s\"", n ? "," : "", DIFF);
		str_appendf(&layers, "%s%s", n ? "," : "", LAYER);
	}
	str_appendf(&config, "{\"rootfs\":{\"diff_ids\":[%s]}}", ids.data);
	digest_sha256(config.data, config.len, config_digest);
	str_appendf(&manifest, "{\"config\":{\"digest\":\"%s\"},\"layers\":[%s]}", config_digest,
		    layers.data);
	digest_sha256(manifest.data, manifest.len, manifest_digest);
	w.manifest = (struct wire_bytes){ manifest.data, manifest.len };
	w.manifest_digest = bytes(manifest_digest);
	w.config = (struct wire_bytes){ config.data, config.len };
	ck_assert_int_eq(image_derive(&w, NULL, &i, NULL), E_LIMIT);
}
END_TEST

/* ---- the job ---- */

START_TEST(job_is_read_and_its_secrets_can_be_wiped)
{
	const char *text =
		"{\"job\":\"pull\",\"image\":\"x\",\"graph_root\":\"/g\",\"run_root\":\"/"
		"r\",\"driver\":\"overlay\","
		"\"driver_options\":[\"a=b\"],\"username\":\"u\",\"password\":\"secret\"}";
	struct job j;

	ck_assert_int_eq(job_parse(text, strlen(text), &j, NULL), 0);
	ck_assert_int_eq(j.kind, JOB_PULL);
	ck_assert_str_eq(j.graph_root, "/g");
	ck_assert_str_eq(j.driver_options[0], "a=b");
	ck_assert_ptr_null(j.policy);
	ck_assert_str_eq(j.password, "secret");
	job_wipe_credentials(&j);
	ck_assert_ptr_null(j.password);
	ck_assert_str_eq(json_get_string(json_root(j.doc), "password") ? : "", "");
	job_done(&j);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker wire");
	TCase *t = tcase_create("worker wire");
	SRunner *r;
	int failed;

	tcase_add_test(t, frames_arrive_whole_and_in_order);
	tcase_add_test(t, frame_in_pieces_is_not_taken_early);
	tcase_add_loop_test(t, what_is_no_frame_of_fetch_is_refused, 0,
			    (int)ARRAY_SIZE(bad_headers));
	tcase_add_test(t, lengths_inside_a_frame_are_checked);
	tcase_add_test(t, bytes_of_an_error_become_valid_text);
	tcase_add_test(t, pipes_come_with_their_layer);
	tcase_add_test(t, image_is_derived_from_its_bytes);
	tcase_add_test(t, digests_that_do_not_fit_are_refused);
	tcase_add_test(t, malformed_images_are_refused);
	tcase_add_test(t, too_many_layers_are_refused);
	tcase_add_test(t, job_is_read_and_its_secrets_can_be_wiped);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
