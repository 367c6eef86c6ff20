/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's own conditions. Everything inside crid reports through struct cb_error with one of
 * these codes (or 0 with a negative errno); errors.c turns the libraries' codes into them, and them
 * into gRPC codes. Nothing else in the daemon knows a gRPC code.
 */
#ifndef CRID_ERRORS_H
#define CRID_ERRORS_H

#include <cbase/err.h>

enum {
	E_NOT_FOUND = 1,	/* no such pod, container, image, handler */
	E_INVALID = 2,		/* the request or a file is malformed */
	E_STATE = 3,		/* the object is in a state that does not allow this */
	E_EXISTS = 4,
	E_IN_USE = 5,
	E_LIMIT = 6,		/* a named limit was exceeded */
	E_DEADLINE = 7,
	E_CANCELLED = 8,
	E_UNAVAILABLE = 9,	/* registry or network out of reach, CNI not ready, stopping */
	E_DENIED = 10,		/* credentials refused */
	E_POLICY = 11,		/* signature policy */
	E_UNSUPPORTED = 12,
	E_FAILED = 13,		/* a program (runtime, conmon, plugin, worker) failed */
};

struct cstore_error;
struct cimage_error;
struct cnic_error;
struct ocispec_error;
struct crisvc_error;

/* Copy a library's error (r is what it returned) into err; return what crid code returns. */
int err_from_cstore(struct cb_error *err, int r, const struct cstore_error *e);
int err_from_cimage(struct cb_error *err, int r, const struct cimage_error *e);
int err_from_cnic(struct cb_error *err, int r, const struct cnic_error *e);
int err_from_ocispec(struct cb_error *err, int r, const struct ocispec_error *e);

/* gRPC status (CRISVC_*) for what an operation returned. */
int err_to_grpc(int r);

/*
 * A failed pull: the kubelet knows "RegistryUnavailable: " and "SignatureValidationFailed: " at
 * the very start of the text, and strips the status from it only when that is UNKNOWN. So the
 * reply of PullImage is made with these two instead of err_to_grpc().
 */
void err_pull_prefix(struct cb_error *err, int r);
int err_pull_to_grpc(int r);

#endif
