/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon is told: worker.h has the messages. */
#ifndef WORKER_REPORT_H
#define WORKER_REPORT_H

#include <stdint.h>
#include <cbase/err.h>

struct report_layer {
	const char *digest;
	uint64_t done;
	int64_t size;
};

/* Dropped when the daemon does not keep up. */
void report_progress(int fd, const struct report_layer *layers, size_t n);
/* Negative errno when the daemon is gone. */
int report_result(int fd, const char *image, const char *name, const char *digest);
int report_empty_result(int fd);
int report_error(int fd, int r, const struct cb_error *err);

#endif
