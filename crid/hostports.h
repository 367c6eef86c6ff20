/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports of the host that lead to pods: what CRI asks for, checked and kept as CRI-O keeps it, and the
 * program crid-hostports that makes it true.
 */
#ifndef CRID_HOSTPORTS_H
#define CRID_HOSTPORTS_H

#include <crisvc-cri.h>
#include "config.h"
#include "info.h"

struct hostports;

/* run_root: where the lock file is. NULL when out of memory. */
struct hostports *hostports_new(const struct config *c, const char *run_root);
struct hostports *hostports_free(struct hostports *h);

/*
 * The mappings of a request that name a host port, as the JSON of CRI-O's annotation, in the arena.
 * E_INVALID, E_LIMIT.
 */
int hostports_from_cri(struct arena *a, const Runtime__V1__PodSandboxConfig *c, const char **ret, struct cb_error *err);
/* Does the pod want a port that this other one has? E_EXISTS names port and pod. */
int hostports_conflict(const struct pod_info *wants, const struct pod_info *has, struct cb_error *err);
bool hostports_any(const struct pod_info *i);

/* These block; operation threads. All ports of the pod, with i->ips as its addresses, come at once or not. */
int hostports_open(struct hostports *h, const struct pod_info *i, struct cb_error *err);
/* What fails is logged, and tried again with the next change: no pod stays because of it. */
void hostports_close(struct hostports *h, const struct pod_info *i);
/* At start: the ports of these pods and no others. */
void hostports_sync(struct hostports *h, const struct pod_info *const *pods, size_t n);

#endif
