/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json of a container: the CRI request, the image's config and the pod put together, in CRI-O's
 * order of precedence.
 */
#ifndef CRID_CONTAINER_SPEC_H
#define CRID_CONTAINER_SPEC_H

#include <cimage.h>
#include <ocispec.h>
#include "op_container.h"
#include "users.h"

struct container_spec {
	const struct services *sv;
	const struct runtime_handler *handler;
	const struct container_make *make;
	const struct cimage_config *image;
	struct container_info *info;
	int root_fd;			/* mounted root file system */
	int pidns_fd;			/* filled here: a shared pid namespace, open until the runtime has joined it; -1 */
	struct user user;		/* filled here; user_done() by the caller */
	struct ocispec *spec;		/* filled here; ocispec_free() by the caller */
};

int container_spec_build(struct container_spec *b, struct cb_error *err);
/* Capabilities, seccomp, namespaces, masked paths, users (container_security.c). */
int container_spec_security(struct container_spec *b, struct cb_error *err);
/* The SELinux labels of info, for its record (container_security.c). */
int container_spec_labels(struct container_spec *b, struct cb_error *err);
/* The profile the request names: none, the default one, a file (container_seccomp.c). */
int container_spec_seccomp(struct container_spec *b, const Runtime__V1__LinuxContainerSecurityContext *q,
			   struct cb_error *err);
/*
 * Last of all: the compiled filter, for a runtime that takes it. Without, the runtime compiles it
 * itself, so nothing is lost when this fails.
 */
void container_spec_hand_filter(struct container_spec *b);
/* Devices, also all of the host's (container_devices.c). Needs the user. */
int container_spec_devices(struct container_spec *b, struct cb_error *err);
/* Are all files in hooks_dir right? */
int hooks_check(const struct config *c, struct cb_error *err);
/* OCI hooks that apply, then CDI devices (container_inject.c). Needs the command and the mounts. */
int container_spec_inject(struct container_spec *b, struct cb_error *err);
/* CRI mounts, the pod's files, image volumes, generated passwd and group (container_mounts.c). */
int container_spec_mounts(struct container_spec *b, struct cb_error *err);

/* Turns what an ocispec setter returned into the daemon's error; 0 stays 0. */
int container_spec_result(const struct container_spec *b, int r, const char *what, struct cb_error *err);

#endif
