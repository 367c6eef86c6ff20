/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crid-worker: does one job for crid and ends, so that its memory, and whatever a registry or an
 * archive did to it, are gone. The job and the answers are described in worker.h.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <cbase/str.h>
#include "errors.h"
#include "pull.h"
#include "report.h"
#include "worker.h"

static int receive_job(struct job *j, struct cb_error *err)
{
	_cleanup_free_ char *buf = malloc(WORKER_MESSAGE_MAX);
	ssize_t n;
	int r;

	if (!buf)
		return err_oom(err);
	do {
		n = recv(WORKER_FD, buf, WORKER_MESSAGE_MAX, MSG_TRUNC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, "receive the job");
	if (n == 0)
		return err_set(err, E_CANCELLED, "no job came");
	if (n > (ssize_t)WORKER_MESSAGE_MAX)
		return err_set(err, E_LIMIT, "job: larger than %u bytes", WORKER_MESSAGE_MAX);
	r = job_parse(buf, (size_t)n, j, err);
	explicit_bzero(buf, (size_t)n);
	return r;
}

int main(int argc, char **argv)
{
	struct cb_error err = { 0 };
	struct job job = { 0 };
	struct stat st;
	int r;

	if (argc > 1 && streq(argv[1], "--version")) {
		puts("crid-worker " CRID_VERSION);
		return 0;
	}
	if (argc > 1 || fstat(WORKER_FD, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		fputs("crid-worker is started by crid, with a socket as descriptor 3\n", stderr);
		return 2;
	}
	umask(022);
	r = receive_job(&job, &err);
	if (r) {
		report_error(WORKER_FD, r, &err);
		return 1;
	}
	r = job.kind == JOB_PULL ? pull_run(&job, WORKER_FD, &err)
				 : clean_run(&job, WORKER_FD, &err);
	job_done(&job);
	return r ? 1 : 0;
}
