/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a layer blob. Whatever they are, nothing outside the directory changes, and what is
 * accepted comes out of tree and tar-split again.
 *
 * Needs root; works in a directory below /dev/shm if there is one.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include "../fuzz.h"
#include "apply/tree.h"
#include <cbase/json.h>

extern const struct apply_module cstorage_apply_module;

static char base[64];
static int base_fd = -1;

static void setup(void)
{
	strcpy(base, access("/dev/shm", W_OK) == 0 ? "/dev/shm/fuzz-layer-XXXXXX" : "/tmp/fuzz-layer-XXXXXX");
	require(mkdtemp(base) != NULL);
	base_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	require(base_fd >= 0);
}

/* All of a compressed file in memory. */
static void unpack(int fd, struct str *out)
{
	struct apply_job job = { .blob_fd = fd };
	struct stream s;
	const uint8_t *p;
	size_t n;

	require(lseek(fd, 0, SEEK_SET) == 0 && stream_init(&s, &job, NULL) == 0);
	do {
		require(stream_peek(&s, &p, &n, NULL) == 0);
		str_append_mem(out, p, n);
		stream_consume(&s, n);
	} while (n);
	stream_done(&s);
}

static void replay_content(int tree, const struct json *entry, struct str *out)
{
	_cleanup_free_ char *name = NULL, *data = NULL;
	const char *raw = json_get_string(entry, "name_raw"), *text = json_get_string(entry, "name");
	char clean[TAR_NAME_MAX + 1];
	_cleanup_close_ int fd = -1;
	size_t n;

	if (raw)
		require(base64_decode(raw, strlen(raw), &name, &n) == 0);
	else
		require(text && (name = strdup(text)));
	require(tree_clean(name, clean));
	fd = open_in_root(tree, clean, O_RDONLY | O_NOFOLLOW, 0);
	/* a later member may have replaced it, or the directory it was reached by */
	if (fd < 0 || read_fd(fd, 64 << 20, &data, &n) || (int64_t)n != json_get_int(entry, "size", -1)) {
		out->failed = true;
		return;
	}
	str_append_mem(out, data, n);
}

static void replay(int tree, char *lines, struct str *out)
{
	char *save = NULL;

	for (char *line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		_cleanup_json_ struct json_doc *doc = NULL;
		_cleanup_free_ char *payload = NULL;
		const char *text;
		size_t n;

		require(json_parse(line, strlen(line), 0, &doc, NULL) == 0);
		text = json_get_string(json_root(doc), "payload");
		if (json_get_int(json_root(doc), "type", 0) == 1) {
			if (json_get(json_root(doc), "size"))
				replay_content(tree, json_root(doc), out);
			continue;
		}
		require(text && base64_decode(text, strlen(text), &payload, &n) == 0);
		str_append_mem(out, payload, n);
	}
}

static void try(const uint8_t *p, size_t n)
{
	_cleanup_close_ int blob = fuzz_file(p, n), split = fuzz_file(NULL, 0), tree = -1;
	struct apply_job job = { .blob_fd = blob, .tar_split_fd = split, .hash_blob = 1 };
	struct apply_result res = { .uids = NULL };
	struct cstore_error err = { 0 };
	struct stat st;
	int r;

	require(mkdirat(base_fd, "tree", 0700) == 0);
	tree = openat(base_fd, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	job.diff_fd = tree;
	r = cstorage_apply_module.apply(&job, &res, &err);
	require(r == 0 || (err.message[0] && utf8_valid(err.message, strlen(err.message))));
	if (r == 0 && n < 1 << 20) {
		_cleanup_str_ struct str lines = STR_INIT, again = STR_INIT, first = STR_INIT;

		unpack(split, &lines);
		unpack(blob, &first);
		replay(tree, lines.data ? lines.data : (char[]){ "" }, &again);
		require(again.failed || (again.len == first.len && memcmp(again.data ? again.data : "", first.data ? first.data : "", first.len) == 0));
	}
	free(res.uids);
	free(res.gids);
	require(rm_rf_at(base_fd, "tree") == 0);
	require(fstat(base_fd, &st) == 0 && st.st_nlink <= 2);	/* nothing else appeared beside it */
}

/* What looks like a header gets the right checksum: otherwise a mutation rarely comes further than that. */
static bool fix_checksums(uint8_t *p, size_t n)
{
	bool any = false;

	for (; n >= TAR_BLOCK; p += TAR_BLOCK, n -= TAR_BLOCK) {
		unsigned sum = 0;
		char digits[16];

		if (memcmp(p + 257, "ustar", 5) != 0)
			continue;
		memset(p + 148, ' ', 8);
		for (int i = 0; i < TAR_BLOCK; i++)
			sum += p[i];
		snprintf(digits, sizeof(digits), "%06o", sum);
		memcpy(p + 148, digits, 7);
		any = true;
	}
	return any;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ uint8_t *fixed = malloc(size ? size : 1);

	if (geteuid() != 0) {
		puts("needs root: layers are extracted with owners and devices");
		exit(77);
	}
	if (base_fd < 0)
		setup();
	try(data, size);
	require(fixed != NULL);
	memcpy(fixed, data, size);
	if (fix_checksums(fixed, size))
		try(fixed, size);
	return 0;
}

__attribute__((destructor)) static void clean_up(void)
{
	if (base_fd >= 0)
		rm_rf_at(AT_FDCWD, base);
	base_fd = close_fd(base_fd);
}
