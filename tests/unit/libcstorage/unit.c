/* SPDX-License-Identifier: Apache-2.0 */
/* See unit.h. */
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include "unit.h"

extern const struct apply_module cstorage_apply_module;

char scratch[64];
struct cstore_error err;
struct cstore *store;
static size_t fds_before;

static size_t open_fds(void)
{
	return count_entries("/proc/self/fd");
}

size_t count_entries(const char *dir)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	size_t n = 0;

	while (d && readdir(d))
		n++;
	return n < 2 ? 0 : n - 2;
}

void scratch_setup(void)
{
	fds_before = open_fds();
	strcpy(scratch, "/tmp/cstore-unit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(scratch));
	memset(&err, 0, sizeof(err));
}

void scratch_teardown(void)
{
	ck_assert_int_eq(rm_rf_at(AT_FDCWD, scratch), 0);
	ck_assert_uint_eq(open_fds(), fds_before);
}

struct cstore *store_open(bool mounts)
{
	struct cstore_options *o = NULL;
	struct cstore *s = NULL;

	ok(cstore_options_new(&o));
	ok(cstore_options_set_graph_root(o, at("G")));
	ok(cstore_options_set_run_root(o, at("R")));
	ok(cstore_options_set_no_mounts(o, !mounts));
	ok(cstore_open(o, &s, &err));
	cstore_options_free(o);
	return s;
}

void store_setup(void)
{
	scratch_setup();
	store = store_open(false);
}

void store_teardown(void)
{
	store = cstore_free(store);
	scratch_teardown();
}

const char *at(const char *fmt, ...)
{
	static char paths[8][4096];
	static unsigned turn;
	char *out = paths[turn++ % 8];
	int n = snprintf(out, sizeof(paths[0]), "%s/", scratch);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out + n, sizeof(paths[0]) - (size_t)n, fmt, ap);
	va_end(ap);
	return out;
}

void put(const char *path, const char *text)
{
	ck_assert_int_eq(write_file(path, 0600, text, strlen(text), 0), 0);
}

char *get(const char *path)
{
	char *text = NULL;
	int r = read_file(path, 64 << 20, &text, NULL);

	ck_assert_msg(r == 0, "%s: %d", path, r);
	return text;
}

bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

void need_root(const char *why)
{
	if (geteuid() == 0)
		return;
	printf("needs root: %s\n", why);
	exit(77);
}

/* ---- archives ---- */

static void number(char *field, size_t n, unsigned long long v)
{
	char digits[32];

	snprintf(digits, sizeof(digits), "%0*llo", (int)n - 1, v);
	ck_assert_uint_lt(strlen(digits), n);
	memcpy(field, digits, n);
}

static void pad(struct str *tar)
{
	static const char zeros[TAR_BLOCK];

	if (tar->len % TAR_BLOCK)
		str_append_mem(tar, zeros, TAR_BLOCK - tar->len % TAR_BLOCK);
}

void tar_checksum(struct str *tar, size_t offset)
{
	unsigned sum = 0;
	char *h = tar->data + offset;

	memset(h + 148, ' ', 8);
	for (int i = 0; i < TAR_BLOCK; i++)
		sum += (unsigned char)h[i];
	number(h + 148, 7, sum);
}

static void long_name(struct str *tar, char type, const char *text)
{
	struct entry e = { .type = type, .name = "././@LongLink", .content = text, .len = strlen(text) + 1 };

	tar_put(tar, &e);
}

void tar_put(struct str *tar, const struct entry *e)
{
	size_t start, len = e->len ? e->len : e->content ? strlen(e->content) : 0;
	char h[TAR_BLOCK] = { 0 };

	if (strlen(e->name) > 100)
		long_name(tar, 'L', e->name);
	if (e->link && strlen(e->link) > 100)
		long_name(tar, 'K', e->link);
	start = tar->len;
	memcpy(h, e->name, strlen(e->name) < 100 ? strlen(e->name) : 100);
	number(h + 100, 8, e->mode ? e->mode : 0644);
	number(h + 108, 8, e->uid);
	number(h + 116, 8, e->gid);
	number(h + 124, 12, len);
	if (e->size_field)
		memcpy(h + 124, e->size_field, 12);
	number(h + 136, 12, (unsigned long long)e->mtime);
	h[156] = e->type ? e->type : '0';
	if (e->link)
		memcpy(h + 157, e->link, strlen(e->link) < 100 ? strlen(e->link) : 100);
	memcpy(h + 257, "ustar  ", 8);
	number(h + 329, 8, e->major);
	number(h + 337, 8, e->minor);
	str_append_mem(tar, h, sizeof(h));
	tar_checksum(tar, start);
	if (e->content)
		str_append_mem(tar, e->content, len);
	pad(tar);
}

void tar_raw_pax(struct str *tar, const char *records, size_t len)
{
	struct entry e = { .type = 'x', .name = "PaxHeaders/x", .content = records, .len = len };

	tar_put(tar, &e);
}

void pax_record(struct str *records, const char *rec, size_t len)
{
	size_t n = len + 3;	/* a digit, a space, a newline */

	while ((size_t)snprintf(NULL, 0, "%zu", n) + 2 + len != n)
		n++;
	str_appendf(records, "%zu ", n);
	str_append_mem(records, rec, len);
	str_append_char(records, '\n');
}

void tar_pax(struct str *tar, ...)
{
	_cleanup_str_ struct str records = STR_INIT;
	const char *rec;
	va_list ap;

	va_start(ap, tar);
	while ((rec = va_arg(ap, const char *)))
		pax_record(&records, rec, strlen(rec));
	va_end(ap);
	tar_raw_pax(tar, records.data, records.len);
}

void tar_end(struct str *tar)
{
	static const char zeros[2 * TAR_BLOCK];

	str_append_mem(tar, zeros, sizeof(zeros));
}

struct str tar_of(const struct entry *entries, size_t n)
{
	struct str tar = STR_INIT;

	for (size_t i = 0; i < n; i++)
		tar_put(&tar, &entries[i]);
	tar_end(&tar);
	return tar;
}

/* ---- extraction ---- */

int memory_fd(const void *p, size_t n)
{
	int fd = memfd_create("unit", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write_all(fd, p, n), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

int extract(struct str tar, struct apply_result *result)
{
	_cleanup_close_ int blob = memory_fd(tar.data, tar.len), dir = -1, split = -1;
	struct apply_result ignored = { .uids = NULL };
	struct apply_job job = { .blob_fd = blob };
	int r;

	str_done(&tar);
	ck_assert_int_eq(rm_rf_at(AT_FDCWD, at("tree")), 0);
	ck_assert_int_eq(mkdir(at("tree"), 0700), 0);
	dir = open(at("tree"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	split = open(at("split"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	job.diff_fd = dir;
	job.tar_split_fd = split;
	r = cstorage_apply_module.apply(&job, result ? result : &ignored, &err);
	free(ignored.uids);
	free(ignored.gids);
	return r;
}

void gunzip(const char *path, struct str *out)
{
	_cleanup_free_ char *data = NULL;
	static uint8_t buf[65536];
	struct codec_io io = { 0 };
	const struct codec *c;
	void *state;
	size_t n;

	ck_assert_int_eq(read_file(path, 64 << 20, &data, &n), 0);
	c = codec_find((uint8_t *)data, n);
	ck_assert_ptr_nonnull(c);
	ck_assert_int_eq(c->new(&state), 0);
	io.in = (uint8_t *)data;
	io.in_len = n;
	io.in_eof = true;
	do {
		io.out = buf;
		io.out_len = sizeof(buf);
		ck_assert_int_eq(c->step(state, &io), 0);
		str_append_mem(out, buf, sizeof(buf) - io.out_len);
	} while (io.in_len || io.out_len < sizeof(buf));
	ck_assert(io.boundary);
	c->free(state);
}

/* As whoever exports a layer must: with the layer as root. */
static void read_inside(const char *name, char **ret, size_t *ret_len)
{
	_cleanup_close_ int root = open(at("tree"), O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	char clean[TAR_NAME_MAX + 1];

	ck_assert(tree_clean(name, clean));
	fd = open_in_root(root, clean, O_RDONLY | O_NOFOLLOW, 0);
	ck_assert_msg(fd >= 0, "%s: %s", name, strerror(-fd));
	ck_assert_int_eq(read_fd(fd, 64 << 20, ret, ret_len), 0);
}

/* Appends what one line of a tar-split stands for. */
static void replay(const char *line, size_t len, struct str *out)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	_cleanup_free_ char *payload = NULL, *name = NULL, *content = NULL;
	const char *text;
	struct json *o;
	size_t n;
	uint64_t crc = 0;

	ck_assert_int_eq(json_parse(line, len, 0, &doc, NULL), 0);
	o = json_root(doc);
	text = json_get_string(o, "payload");
	if (text)
		ck_assert_int_eq(base64_decode(text, strlen(text), &payload, &n), 0);
	if (json_get_int(o, "type", 0) == 2) {
		str_append_mem(out, payload, n);
		return;
	}
	ck_assert_int_eq((int)json_get_int(o, "type", 0), 1);
	if (json_get(o, "name_raw")) {
		text = json_get_string(o, "name_raw");
		ck_assert_int_eq(base64_decode(text, strlen(text), &name, &n), 0);
	} else {
		name = strdup(json_get_string(o, "name"));
	}
	if (!json_get(o, "size")) {
		ck_assert_ptr_null(payload);
		return;
	}
	read_inside(name, &content, &n);
	ck_assert_int_eq((int)n, (int)json_get_int(o, "size", -1));
	for (int i = 0; i < 8; i++)
		crc = crc << 8 | (unsigned char)payload[i];
	ck_assert_uint_eq(crc, crc64_update(0, content, n));
	str_append_mem(out, content, n);
}

void extracts(struct str tar)
{
	_cleanup_str_ struct str lines = STR_INIT, again = STR_INIT, kept = STR_INIT;
	const char *p, *end;

	str_append_mem(&kept, tar.data, tar.len);
	ok(extract(tar, NULL));
	gunzip(at("split"), &lines);
	for (p = lines.data; p && *p; p = end + 1) {
		end = strchr(p, '\n');
		ck_assert_ptr_nonnull(end);
		replay(p, (size_t)(end - p), &again);
	}
	ck_assert_uint_eq(again.len, kept.len);
	ck_assert_mem_eq(again.data, kept.data, kept.len);
}

void refuses(struct str tar, int code, const char *message)
{
	put(at("canary"), "alive");
	fails(extract(tar, NULL), code);
	ck_assert_int_eq(err.code, code);
	says(message);
	_cleanup_free_ char *canary = get(at("canary"));

	ck_assert_str_eq(canary, "alive");
	ck_assert_uint_eq(count_entries(scratch), 3);	/* tree, split, canary */
}

int run_suite(const char *name, TCase **cases, size_t n)
{
	Suite *s = suite_create(name);
	SRunner *runner;
	int failed;

	for (size_t i = 0; i < n; i++) {
		tcase_set_timeout(cases[i], 120);	/* only what hangs: machines are slow at times */
		suite_add_tcase(s, cases[i]);
	}
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
