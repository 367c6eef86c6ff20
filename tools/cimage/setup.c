/* SPDX-License-Identifier: Apache-2.0 */
/* From options to contexts and places, and from errors to words. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <cbase/io.h>
#include "cimage_tool.h"

#define ACCEPT_ANYTHING "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}"

int cancelled;

int parse_bool(const char *option, const char *text, bool *ret)
{
	*ret = text && (streq(text, "true") || streq(text, "1"));
	if (!text || *ret || streq(text, "false") || streq(text, "0"))
		return 0;
	complain("--%s is true or false, not \"%s\"", option, text);
	return EXIT_USAGE;
}

/* A file that says so, for as long as this program lives. */
static int accept_anything(struct cimage_context *c)
{
	int fd = memfd_create("policy.json", MFD_CLOEXEC);
	char path[64];
	int r;

	if (fd < 0)
		return -errno;
	r = write_all(fd, ACCEPT_ANYTHING, strlen(ACCEPT_ANYTHING));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return r ? r : cimage_context_set_policy(c, path);
}

static int set_credentials(struct cimage_context *c, const char *creds)
{
	const char *colon = strchr(creds, ':');
	_cleanup_free_ char *user = strndup(creds, colon ? (size_t)(colon - creds) : strlen(creds));

	return user ? cimage_context_set_credentials(c, user, colon ? colon + 1 : "") : -ENOMEM;
}

static int set_side(struct cimage_context *c, const struct side *s)
{
	bool verify = true;
	int r = 0;

	if (s->tls_verify) {
		r = parse_bool("tls-verify", s->tls_verify, &verify);
		if (r)
			return r;
		r = cimage_context_set_insecure(c, !verify);
	}
	if (!r && s->creds)
		r = set_credentials(c, s->creds);
	if (!r && s->cert_dir)
		r = cimage_context_set_certs(c, s->cert_dir);
	if (!r && s->authfile)
		r = cimage_context_set_auth_file(c, s->authfile);
	if (!r && s->no_creds) /* an empty one: only that file is read then */
		r = cimage_context_set_auth_file(c, "/dev/null/none");
	return r;
}

int setup_context(const struct side *side, struct cimage_context **ret)
{
	_cleanup_(cimage_context_freep) struct cimage_context *c = NULL;
	int r = cimage_context_new(&c);

	if (!r && settings.policy)
		r = cimage_context_set_policy(c, settings.policy);
	else if (!r && settings.insecure_policy)
		r = accept_anything(c);
	if (!r && settings.registries_d)
		r = cimage_context_set_registries_d(c, settings.registries_d);
	if (!r && settings.blob_cache)
		r = cimage_context_set_blob_cache(c, settings.blob_cache);
	if (!r && settings.registries_conf)
		r = cimage_context_set_registries_conf(c, settings.registries_conf);
	if (!r)
		r = cimage_context_set_platform(c, settings.os, settings.arch, settings.variant);
	if (!r)
		r = cimage_context_set_cancel(c, &cancelled);
	if (!r && settings.stall_timeout)
		r = cimage_context_set_stall_timeout(c, (int)settings.stall_timeout);
	if (!r && side)
		r = set_side(c, side);
	if (r < 0) {
		complain("%s", strerror(-r));
		return EXIT_FAILURE;
	}
	*ret = take(c);
	return r;
}

static const char *advice(int r)
{
	switch (r) {
	case CIMAGE_E_DENIED:
		return "cimage login REGISTRY stores credentials; or give --creds";
	case CIMAGE_E_TLS:
		return "put the registry's authority into certs.d, or say --tls-verify=false if it has none";
	case CIMAGE_E_POLICY:
		return "policy.json decides about that; see containers-policy.json(5)";
	case CIMAGE_E_PLATFORM:
		return "--override-os and --override-arch choose another, --all takes all of them";
	default:
		return NULL;
	}
}

int complain_error(int r, const struct cimage_error *err)
{
	const char *more = advice(r);

	complain("%s", err->message[0] ? err->message : strerror(r < 0 ? -r : EINVAL));
	if (more)
		complain("%s", more);
	return EXIT_FAILURE;
}

int setup_place(struct cimage_context *c, const char *text, struct cimage_place **ret)
{
	struct cimage_error err = { 0 };
	int r = cimage_place_parse(c, text, ret, &err);

	return r ? complain_error(r, &err) : 0;
}

static void *wait_for_interrupt(void *user)
{
	struct pollfd p = { .fd = *(int *)user, .events = POLLIN };

	while (poll(&p, 1, -1) != 1)
		;
	__atomic_store_n(&cancelled, 1, __ATOMIC_RELAXED);
	return NULL;
}

int watch_interrupt(void)
{
	static int fd;
	pthread_t t;
	int r = interrupt_init(&fd, "unfinished uploads or files");

	if (r)
		return r;
	if (pthread_create(&t, NULL, wait_for_interrupt, &fd)) {
		complain("cannot start a thread");
		return EXIT_FAILURE;
	}
	pthread_detach(t);
	return 0;
}
