/* SPDX-License-Identifier: Apache-2.0 */
/* One job as the daemon sent it (worker.h has its form). */
#ifndef WORKER_JOB_H
#define WORKER_JOB_H

#include <cbase/err.h>
#include <cbase/json.h>

enum job_kind { JOB_PULL, JOB_CLEAN };

struct job {
	struct json_doc *doc;		/* owns all strings below */
	enum job_kind kind;
	const char *graph_root, *run_root, *image_store, *driver;	/* image_store: NULL: none */
	char **additional_stores, **driver_options;
	bool transient;
	/* pull */
	const char *image;
	const char *policy, *registries_conf, *registries_conf_dir, *registries_d, *auth_file,
		*certs_dir, *short_name_mode, *decryption_keys;
	const char *ns, *namespaced_auth;
	const char *user_agent;
	char *username, *password;	/* [owned] */
};

/* 0, E_INVALID, -ENOMEM. */
int job_parse(const char *text, size_t len, struct job *ret, struct cb_error *err);
void job_wipe_credentials(struct job *j);
void job_done(struct job *j);

#endif
