/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main() of a fuzz harness without a fuzzer: every file of a directory, and N mutations of each.
 *
 *	fuzz DIRECTORY [N [SEED]]
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cbase/io.h>
#include <cbase/str.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (4u << 20)

static uint64_t state;

static uint32_t next(uint32_t below)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % below;
}

/* A few changes of bytes; now and then a piece is cut out or repeated. */
static size_t mutate(uint8_t *p, size_t n)
{
	static const uint8_t telling[] = { 0, 1, 0x7f, 0x80, 0xff, '0', '7', '/', '.', ' ', '"', '}', 'x', 'L', 'S' };
	uint32_t changes = 1 + next(6);

	while (n && changes--) {
		size_t at = next((uint32_t)n), len = 1 + next(600);

		switch (next(6)) {
		case 0:
			p[at] ^= (uint8_t)(1 << next(8));
			break;
		case 1:
			p[at] = (uint8_t)next(256);
			break;
		case 2:
		case 3:
			p[at] = telling[next(sizeof(telling))];
			break;
		case 4:
			len = len < n - at ? len : n - at;
			memmove(p + at, p + at + len, n - at - len);
			n -= len;
			break;
		case 5:
			len = len < n - at ? len : n - at;
			if (n + len > INPUT_MAX)
				break;
			memmove(p + at + len, p + at, n - at);
			n += len;
			break;
		}
	}
	return n;
}

static int run_file(const char *dir, const char *name, unsigned mutations)
{
	_cleanup_free_ char *path = strf("%s/%s", dir, name), *data = NULL;
	_cleanup_free_ uint8_t *copy = malloc(INPUT_MAX);
	size_t n;

	if (!path || !copy || read_file(path, INPUT_MAX, &data, &n))
		return -1;
	LLVMFuzzerTestOneInput((const uint8_t *)data, n);
	for (unsigned i = 0; i < mutations; i++) {
		uint8_t *exact;
		size_t len;

		memcpy(copy, data, n);
		len = mutate(copy, n);
		exact = malloc(len ? len : 1);	/* so that a sanitizer sees a read behind the end */
		if (!exact)
			return -1;
		memcpy(exact, copy, len);
		LLVMFuzzerTestOneInput(exact, len);
		free(exact);
	}
	return 0;
}

int main(int argc, char **argv)
{
	_cleanup_closedir_ DIR *d = argc > 1 ? opendir(argv[1]) : NULL;
	unsigned mutations = argc > 2 ? (unsigned)atoi(argv[2]) : 0, files = 0;
	struct dirent *e;

	state = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
	if (!d) {
		fprintf(stderr, "usage: %s DIRECTORY [MUTATIONS [SEED]]\n", argv[0]);
		return 2;
	}
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		if (run_file(argv[1], e->d_name, mutations))
			return 1;
		files++;
	}
	printf("%u files, %u mutations of each\n", files, mutations);
	return files == 0;
}
