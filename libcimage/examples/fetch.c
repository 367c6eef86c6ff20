/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetches an image from its registry into a directory: manifest.json, config.json, index.json if the
 * image was chosen from one, and each layer under the hex digits of its digest.
 *
 *	fetch [--registries-conf F] [--registries-conf-dir D] [--policy F] [--authfile F]
 *	      [--registries-d D] [--certs-dir D] [--creds USER:PASSWORD] [--platform OS/ARCH[/VARIANT]] REFERENCE DIRECTORY
 *
 * Exit status: 0; 100 + CIMAGE_E_* when the library says one; else 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cimage.h>

static int cancelled;

static void on_signal(int sig)
{
	cancelled = 1;
}

static int write_file(int dir, const char *name, const void *bytes, size_t n)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t k = fd < 0 ? -1 : write(fd, bytes, n);

	if (fd >= 0)
		close(fd);
	if (k == (ssize_t)n)
		return 0;
	perror(name);
	return -EIO;
}

static const char *hex(const char *digest)
{
	return strchr(digest, ':') + 1;
}

/* Everything about the image is verified here; now the library wants to know where the layers go. */
static int on_image(void *user, const struct cimage_image *image, int *fds,
		    struct cimage_error *err)
{
	int dir = *(int *)user, r;
	const char *bytes;
	size_t i, n;

	bytes = cimage_image_manifest(image, &n);
	r = write_file(dir, "manifest.json", bytes, n);
	bytes = cimage_image_config(image, &n);
	if (!r)
		r = write_file(dir, "config.json", bytes, n);
	bytes = cimage_image_list(image, &n);
	if (!r && bytes)
		r = write_file(dir, "index.json", bytes, n);
	printf("image %s\nmanifest %s\n", cimage_image_id(image),
	       cimage_image_manifest_digest(image));
	for (i = 0; !r && i < cimage_image_layer_count(image); i++) {
		const struct cimage_layer *layer = cimage_image_layer(image, i);

		/* a layer that is there already need not come again; O_EXCL also for one that is in the image twice */
		fds[i] = openat(dir, hex(layer->digest), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
				0644);
		if (fds[i] < 0 && errno != EEXIST)
			r = -errno;
	}
	for (i = 0; r && i < cimage_image_layer_count(image); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return r;
}

static int on_layer_done(void *user, size_t n, struct cimage_error *err)
{
	printf("layer %zu complete\n", n);
	return 0;
}

static int set_platform(struct cimage_context *c, char *text)
{
	char *os = strsep(&text, "/"), *arch = strsep(&text, "/");

	return cimage_context_set_platform(c, os, arch, text);
}

static int set_credentials(struct cimage_context *c, char *text)
{
	char *user = strsep(&text, ":");

	return cimage_context_set_credentials(c, user, text);
}

static int set_option(struct cimage_context *c, int option, char *value)
{
	switch (option) {
	case 'r':
		return cimage_context_set_registries_conf(c, value);
	case 'd':
		return cimage_context_set_registries_conf_dir(c, value);
	case 'p':
		return cimage_context_set_policy(c, value);
	case 'a':
		return cimage_context_set_auth_file(c, value);
	case 's':
		return cimage_context_set_registries_d(c, value);
	case 't':
		return cimage_context_set_certs_dir(c, value);
	case 'c':
		return set_credentials(c, value);
	case 'm':
		return set_platform(c, value);
	}
	return -EINVAL;
}

/* Tries what the name may mean, in order, until one is there. */
static int fetch(struct cimage_context *c, const char *name, int dir, struct cimage_error *err)
{
	const struct cimage_sink sink = {
		.size = sizeof(sink),
		.user = &dir,
		.image = on_image,
		.layer_done = on_layer_done,
	};
	char **candidates, **text;
	int r;

	r = cimage_resolve(c, name, &candidates, err);
	if (r)
		return r;
	for (text = candidates; *text; text++) {
		struct cimage_ref *ref;

		r = cimage_ref_parse(*text, 1, &ref, err);
		if (!r) {
			r = cimage_fetch(c, ref, &sink, err);
			cimage_ref_free(ref);
		}
		if (!r)
			break;
	}
	cimage_strv_free(candidates);
	return r;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "registries-conf", required_argument, NULL, 'r' },
		{ "registries-conf-dir", required_argument, NULL, 'd' },
		{ "policy", required_argument, NULL, 'p' },
		{ "authfile", required_argument, NULL, 'a' },
		{ "registries-d", required_argument, NULL, 's' },
		{ "certs-dir", required_argument, NULL, 't' },
		{ "creds", required_argument, NULL, 'c' },
		{ "platform", required_argument, NULL, 'm' },
		{ 0 },
	};
	struct cimage_error err = { 0 };
	struct cimage_context *c;
	int option, dir, r;

	if (cimage_context_new(&c))
		return 1;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (set_option(c, option, optarg)) {
			fprintf(stderr, "fetch: bad option\n");
			return 1;
		}
	}
	if (argc - optind != 2) {
		fprintf(stderr, "usage: fetch [OPTIONS] REFERENCE DIRECTORY\n");
		return 1;
	}
	dir = open(argv[optind + 1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		perror(argv[optind + 1]);
		return 1;
	}
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	cimage_context_set_cancel(c, &cancelled);
	r = fetch(c, argv[optind], dir, &err);
	if (r)
		fprintf(stderr, "fetch: %s\n", err.message[0] ? err.message : strerror(-r));
	cimage_context_free(c);
	return r > 0 ? 100 + r : r ? 1 : 0;
}
