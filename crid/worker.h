/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between crid and crid-worker: one job per process, on a SOCK_SEQPACKET socket that is descriptor 3
 * of the worker. The first message is the job, then the worker sends messages until it exits; every
 * message is one JSON object of at most WORKER_MESSAGE_MAX bytes. The worker ends when the socket is
 * closed by the daemon (that is how a pull is cancelled) and leaves nothing behind then.
 *
 * Job "pull":
 *	{"job": "pull", "image": "docker.io/library/busybox:latest",
 *	 "graph_root", "run_root", "driver": strings, "image_store": string or absent, "transient": bool,
 *	 "additional_stores", "driver_options": [..],
 *	 "policy", "registries_conf", "registries_conf_dir", "registries_d", "auth_file", "certs_dir", "short_name_mode",
 *	 "decryption_keys" (a directory), "namespace", "namespaced_auth" (a directory): strings or absent,
 *	 "username", "password": strings or absent, "user_agent": string}
 * Messages:
 *	{"progress": [{"layer": "sha256:..", "done": bytes, "size": bytes} ..]}	at most every 200 ms
 *	{"result": {"image": id, "name": "docker.io/library/busybox:latest", "digest": "sha256:.."}}
 *	{"error": {"code": E_*, "errno": N, "message": text}}			see errors.h
 * The last message is always a result or an error; a worker that dies without one failed.
 *
 * Job "clean": {"job": "clean", "graph_root", ... "driver_options" as above}: empties what
 * deletions moved aside and what crashes left; result {}.
 */
#ifndef CRID_WORKER_H
#define CRID_WORKER_H

#define WORKER_MESSAGE_MAX (64u << 10)
#define WORKER_FD 3

#endif
