/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor that tests/bench/storage and tests/bench/pull compare with: what no program that extracts layers can
 * leave out. One process per layer, all at once: read (a file, or curl's download of an http URL), sha256, inflate
 * (ISA-L; zstd likewise), sha256, extraction by libarchive; then one syncfs.
 *
 *	floor DIRECTORY BLOB...
 */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#define SIZE (256u << 10)

struct blob {
	int fd;
	EVP_MD_CTX *in_sum, *out_sum;
	struct inflate_state gzip;
	ZSTD_DCtx *zstd;
	ZSTD_inBuffer pending;
	unsigned char in[SIZE], out[SIZE];
};

static void die(const char *what)
{
	perror(what);
	_exit(1);
}

/* More input into b->in; 0 at the end. */
static size_t more(struct blob *b)
{
	ssize_t n = read(b->fd, b->in, SIZE);

	if (n < 0)
		die("read");
	EVP_DigestUpdate(b->in_sum, b->in, (size_t)n);
	return (size_t)n;
}

/* A file, or a pipe from curl. */
static int open_blob(const char *name)
{
	char command[1024];
	FILE *f;

	if (strncmp(name, "http", 4) != 0)
		return open(name, O_RDONLY | O_CLOEXEC);
	snprintf(command, sizeof(command), "exec curl -sf '%s'", name);
	f = popen(command, "r");
	return f ? fileno(f) : -1;
}

/* The first bytes tell how it is compressed. */
static void start(struct blob *b)
{
	static const unsigned char zstd[] = { 0x28, 0xb5, 0x2f, 0xfd };
	size_t n = more(b);

	isal_inflate_init(&b->gzip);
	b->gzip.crc_flag = ISAL_GZIP;
	b->gzip.next_in = b->in;
	b->gzip.avail_in = (uint32_t)n;
	b->pending = (ZSTD_inBuffer){ b->in, n, 0 };
	if (n >= sizeof(zstd) && memcmp(b->in, zstd, sizeof(zstd)) == 0)
		b->zstd = ZSTD_createDCtx();
}

static size_t inflate_some(struct blob *b)
{
	b->gzip.next_out = b->out;
	b->gzip.avail_out = SIZE;
	do {
		if (!b->gzip.avail_in) {
			b->gzip.next_in = b->in;
			b->gzip.avail_in = (uint32_t)more(b);
			if (!b->gzip.avail_in)
				break;
		}
		if (isal_inflate(&b->gzip) != ISAL_DECOMP_OK)
			die("inflate");
	} while (b->gzip.avail_out == SIZE && b->gzip.block_state != ISAL_BLOCK_FINISH);
	return SIZE - b->gzip.avail_out;
}

static size_t unzstd_some(struct blob *b)
{
	ZSTD_outBuffer out = { b->out, SIZE, 0 };

	while (out.pos < out.size) {
		if (b->pending.pos == b->pending.size) {
			b->pending = (ZSTD_inBuffer){ b->in, more(b), 0 };
			if (!b->pending.size)
				break;
		}
		if (ZSTD_isError(ZSTD_decompressStream(b->zstd, &out, &b->pending)))
			die("zstd");
	}
	return out.pos;
}

static la_ssize_t give(struct archive *a, void *user, const void **ret)
{
	struct blob *b = user;
	size_t n = b->zstd ? unzstd_some(b) : inflate_some(b);

	(void)a;
	EVP_DigestUpdate(b->out_sum, b->out, n);
	*ret = b->out;
	return (la_ssize_t)n;
}

static void extract(struct blob *b)
{
	struct archive *in = archive_read_new(), *out = archive_write_disk_new();
	struct archive_entry *e;
	const void *p;
	size_t n;
	la_int64_t at;
	int r;

	archive_read_support_format_tar(in);
	archive_write_disk_set_options(out, ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME |
						    ARCHIVE_EXTRACT_XATTR | ARCHIVE_EXTRACT_SECURE_SYMLINKS);
	if (archive_read_open(in, b, NULL, give, NULL) != ARCHIVE_OK)
		die(archive_error_string(in));
	while ((r = archive_read_next_header(in, &e)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
		if (archive_write_header(out, e) < ARCHIVE_WARN)
			die(archive_error_string(out));
		while (archive_entry_size(e) > 0 && archive_read_data_block(in, &p, &n, &at) == ARCHIVE_OK)
			if (archive_write_data_block(out, p, n, at) < ARCHIVE_OK)
				die(archive_error_string(out));
		archive_write_finish_entry(out);
	}
	if (r != ARCHIVE_EOF)
		die(archive_error_string(in));
	archive_write_free(out);
	archive_read_free(in);
}

static void one_layer(const char *dir, int number, const char *path)
{
	struct blob *b = calloc(1, sizeof(*b));
	unsigned char sum[EVP_MAX_MD_SIZE];
	char name[16];

	snprintf(name, sizeof(name), "%d", number);
	b->fd = open_blob(path);
	if (b->fd < 0 || chdir(dir) || mkdir(name, 0755) || chdir(name))
		die(path);
	b->in_sum = EVP_MD_CTX_new();
	b->out_sum = EVP_MD_CTX_new();
	EVP_DigestInit_ex(b->in_sum, EVP_sha256(), NULL);
	EVP_DigestInit_ex(b->out_sum, EVP_sha256(), NULL);
	start(b);
	extract(b);
	EVP_DigestFinal_ex(b->in_sum, sum, NULL);
	EVP_DigestFinal_ex(b->out_sum, sum, NULL);
	_exit(0);
}

int main(int argc, char **argv)
{
	int status, failed = 0, fd;

	if (argc < 3)
		return 2;
	umask(0);
	for (int i = 2; i < argc; i++)
		if (fork() == 0)
			one_layer(argv[1], i, argv[i]);
	while (wait(&status) > 0)
		failed |= status;
	fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (failed || fd < 0 || syncfs(fd) < 0)
		return 1;
	return 0;
}
