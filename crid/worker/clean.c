/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The job "clean": what deletions moved aside and crashes left is removed, at the lowest priority.
 */
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "errors.h"
#include "pull.h"
#include "report.h"
#include "sandbox.h"
#include "store.h"

#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE (3 << 13)

static void be_nice(void)
{
	setpriority(PRIO_PROCESS, 0, 19);
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
}

int clean_run(struct job *j, int daemon_fd, struct cb_error *err)
{
	struct cstore_error se = { 0 };
	struct store s = { 0 };
	int r;

	be_nice();
	r = sandbox_begin(0, err);
	if (!r)
		r = store_enter(j, false, &s, err);
	if (!r) {
		r = cstore_collect_garbage(s.store, &se);
		r = err_from_cstore(err, r, &se);
	}
	store_done(&s);
	if (r) {
		err_ctx(err, r, "clean %s", j->graph_root);
		report_error(daemon_fd, r, err);
	} else {
		report_empty_result(daemon_fd);
	}
	return r;
}
