/* SPDX-License-Identifier: Apache-2.0 */
/* main() for a fuzz harness without a fuzzer: runs it over the files of the directories given. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *dir, const char *name)
{
	static uint8_t data[1 << 20];
	char path[4096];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "rbe");
	if (!f)
		return 1;
	n = fread(data, 1, sizeof(data), f);
	fclose(f);
	LLVMFuzzerTestOneInput(data, n);
	return 0;
}

int main(int argc, char **argv)
{
	struct dirent *e;
	int files = 0;
	DIR *dir;

	for (int i = 1; i < argc; i++) {
		dir = opendir(argv[i]);
		if (!dir)
			return 1;
		while ((e = readdir(dir))) {
			if (e->d_name[0] == '.')
				continue;
			if (run_file(argv[i], e->d_name))
				return 1;
			files++;
		}
		closedir(dir);
	}
	printf("%d inputs\n", files);
	return files == 0;
}
