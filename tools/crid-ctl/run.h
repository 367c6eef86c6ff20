/* SPDX-License-Identifier: Apache-2.0 */
/* Between run.c, which drives a pod, and run_config.c, which makes its configuration. */
#ifndef CRID_CTL_RUN_H
#define CRID_CTL_RUN_H

#include "ctl.h"

struct run_options {
	const char *name, *hostname, *runtime, *creds, *log_dir;
	char **env, **mounts, **dns;
	bool pull, host_network, tty, keep, detach, timings;
};

/* The messages of one pod with one container; they point into each other and into the options. */
struct run_config {
	CRI(PodSandboxConfig) pod;
	CRI(PodSandboxMetadata) pod_metadata;
	CRI(DNSConfig) dns;
	CRI(LinuxPodSandboxConfig) pod_linux;
	CRI(LinuxSandboxSecurityContext) pod_security;
	CRI(NamespaceOption) namespaces;

	CRI(ContainerConfig) container;
	CRI(ContainerMetadata) container_metadata;
	CRI(ImageSpec) image;
	CRI(LinuxContainerConfig) container_linux;
	CRI(LinuxContainerSecurityContext) container_security;
	CRI(KeyValue) * envs;
	CRI(KeyValue) * *env_list;
	CRI(Mount) * mounts;
	CRI(Mount) * *mount_list;

	char name[64], uid[37], hostname[64], log_path[80];
};

/* Fills it from the options, the image's id and name, and the command; log_dir may be "". Exit
 * status. */
int run_config_fill(struct run_config *c, const struct run_options *o, const char *image_id,
		    const char *image, const char *log_dir, int argc, char **argv);
void run_config_done(struct run_config *c);

#endif
