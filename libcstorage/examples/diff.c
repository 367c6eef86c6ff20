/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists what a container has changed, and writes it as an archive: what a commit does first.
 *
 *	diff CONTAINER [FILE]
 *
 * The store is the one of storage.conf.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <cstorage.h>

static int print(void *user, int kind, const char *path)
{
	static const char letters[] = { 'C', 'A', 'D' }; /* CSTORE_CHANGE_* */

	printf("%c /%s\n", letters[kind], path);
	return 0;
}

static void progress(void *user, uint64_t bytes)
{
	*(uint64_t *)user = bytes;
}

static int write_archive(struct cstore *store, const char *id, const char *path,
			 struct cstore_error *err)
{
	uint64_t written = 0;
	const struct cstore_diff_options options = {
		.size = sizeof(options), .progress = progress, .user = &written,
	};
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), r;

	if (fd < 0) {
		perror(path);
		return -1;
	}
	r = cstore_container_diff(store, id, &options, fd, err);
	close(fd);
	if (!r)
		printf("%s: %llu bytes\n", path, (unsigned long long)written);
	return r;
}

int main(int argc, char **argv)
{
	struct cstore_container *container = NULL;
	struct cstore_options *options = NULL;
	struct cstore *store = NULL;
	struct cstore_error err = { 0 };
	int r;

	if (argc < 2 || argc > 3)
		return 2;
	r = cstore_options_new(&options);
	if (!r)
		r = cstore_options_load(options, NULL, &err);
	if (!r)
		r = cstore_open(options, &store, &err);
	if (!r)
		r = cstore_container_lookup(store, argv[1], &container, &err);
	if (!r)
		r = cstore_layer_changes(store, cstore_container_layer(container), NULL, print, NULL, &err);
	if (!r && argc == 3)
		r = write_archive(store, cstore_container_id(container), argv[2], &err);
	if (r)
		fprintf(stderr, "%s: %s\n", argv[0], err.message);
	cstore_container_free(container);
	cstore_free(store);
	cstore_options_free(options);
	return r != 0;
}
