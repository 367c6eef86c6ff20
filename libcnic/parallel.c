/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several attachments at once: a thread for each but the first, which the caller's does. Their
 * plugins spend their time waiting for the kernel, so that many networks take as long as one.
 */
#include <signal.h>
#include "private.h"

struct job {
	int (*run)(struct job *j);
	struct cnic *c;
	const struct cnic_attachment *a;
	struct cnic_result *result;
	int r;
	struct cnic_error err;
	pthread_t thread;
	bool threaded;
};

static int run_attach(struct job *j)
{
	return cnic_attach(j->c, j->a, &j->result, &j->err);
}

static int run_detach(struct job *j)
{
	return cnic_detach(j->c, j->a, &j->err);
}

static void *run_job(void *arg)
{
	struct job *j = arg;

	j->r = j->run(j);
	return NULL;
}

/* Where no thread can be had the work is done one after the other. */
static void run_all(struct job *jobs, size_t n)
{
	sigset_t all, before;

	sigfillset(&all); /* the signals of the program are not for these threads */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (size_t i = 1; i < n; i++)
		jobs[i].threaded = pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	for (size_t i = 0; i < n; i++)
		if (!jobs[i].threaded)
			run_job(&jobs[i]);
	for (size_t i = 0; i < n; i++)
		if (jobs[i].threaded)
			pthread_join(jobs[i].thread, NULL);
}

/* The first that failed speaks for all. */
static int first_failure(const struct job *jobs, size_t n, struct cnic_error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (!jobs[i].r)
			continue;
		if (err)
			*err = jobs[i].err;
		return jobs[i].r;
	}
	return 0;
}

static int make_jobs(struct cnic *c, const struct cnic_attachment *const *v, size_t n,
		     int (*run)(struct job *j), struct job **ret, struct cnic_error *err)
{
	struct job *jobs;

	err_start(err);
	if (!c || (n && !v))
		return err_sysr(err, -EINVAL, "network attachments");
	if (n > PARALLEL_MAX)
		return err_set(err, CNIC_E_INVALID, "more than %d networks at once", PARALLEL_MAX);
	jobs = calloc(n + 1, sizeof(*jobs));
	if (!jobs)
		return err_oom(err);
	for (size_t i = 0; i < n; i++) {
		jobs[i].run = run;
		jobs[i].c = c;
		jobs[i].a = v[i];
	}
	*ret = jobs;
	return 0;
}

/* All or nothing: those that succeeded are detached again; the others have undone themselves. */
static void undo_attached(struct job *jobs, size_t n, struct cnic_error *err)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (jobs[i].r)
			continue;
		cnic_result_free(jobs[i].result);
		jobs[kept++] = (struct job){ .run = run_detach, .c = jobs[i].c, .a = jobs[i].a };
	}
	run_all(jobs, kept);
	for (size_t i = 0; i < kept; i++)
		if (jobs[i].r)
			err_add(err, "; undo: ", jobs[i].err.message);
}

PUBLIC int cnic_attach_all(struct cnic *c, const struct cnic_attachment *const *v, size_t n,
			   struct cnic_result **ret, struct cnic_error *err)
{
	_cleanup_free_ struct job *jobs = NULL;
	int r;

	r = make_jobs(c, v, n, run_attach, &jobs, err);
	if (r)
		return r;
	run_all(jobs, n);
	r = first_failure(jobs, n, err);
	if (r) {
		undo_attached(jobs, n, err);
		return r;
	}
	for (size_t i = 0; i < n; i++) {
		if (ret)
			ret[i] = jobs[i].result;
		else
			cnic_result_free(jobs[i].result);
	}
	return 0;
}

PUBLIC int cnic_detach_all(struct cnic *c, const struct cnic_attachment *const *v, size_t n,
			   struct cnic_error *err)
{
	_cleanup_free_ struct job *jobs = NULL;
	int r;

	r = make_jobs(c, v, n, run_detach, &jobs, err);
	if (r)
		return r;
	run_all(jobs, n);
	return first_failure(jobs, n, err);
}
