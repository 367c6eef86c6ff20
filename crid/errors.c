/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One place that knows what the libraries' conditions mean to the daemon, and what the daemon's
 * mean to a CRI client. Each mapping is a table indexed by the library's code; a code this file
 * does not know (a newer library) is E_FAILED, so that it is never taken for a condition someone
 * handles.
 *
 * Negative errnos pass through untouched: they are unexpected, nobody matches on them.
 */
#include "errors.h"

#include <string.h>
#include <cimage.h>
#include <cnic.h>
#include <crisvc.h>
#include <cstorage.h>
#include <ocispec.h>
#include <cbase/str.h>

static const int cimage_codes[] = {
	[CIMAGE_E_NOT_FOUND] = E_NOT_FOUND,
	[CIMAGE_E_DENIED] = E_DENIED,
	[CIMAGE_E_POLICY] = E_POLICY,
	[CIMAGE_E_DIGEST] = E_FAILED,
	[CIMAGE_E_INVALID] = E_INVALID,
	[CIMAGE_E_UNAVAILABLE] = E_UNAVAILABLE,
	[CIMAGE_E_TLS] = E_FAILED,
	[CIMAGE_E_BLOCKED] = E_DENIED,
	[CIMAGE_E_PLATFORM] = E_NOT_FOUND,
	[CIMAGE_E_UNSUPPORTED] = E_UNSUPPORTED,
	[CIMAGE_E_LIMIT] = E_LIMIT,
	[CIMAGE_E_CANCELLED] = E_CANCELLED,
	[CIMAGE_E_AMBIGUOUS] = E_INVALID,
	[CIMAGE_E_ARTIFACT] = E_UNSUPPORTED,
	[CIMAGE_E_BUSY] = E_UNAVAILABLE,
};

static const int cstore_codes[] = {
	[CSTORE_E_NOT_FOUND] = E_NOT_FOUND,
	[CSTORE_E_AMBIGUOUS] = E_INVALID,
	[CSTORE_E_EXISTS] = E_EXISTS,
	[CSTORE_E_IN_USE] = E_IN_USE,
	[CSTORE_E_DAMAGED] = E_FAILED,
	[CSTORE_E_INVALID] = E_INVALID,
	[CSTORE_E_DIGEST] = E_FAILED,
	[CSTORE_E_LIMIT] = E_LIMIT,
	[CSTORE_E_CANCELLED] = E_CANCELLED,
	[CSTORE_E_READ_ONLY] = E_STATE,
};

static const int cnic_codes[] = {
	[CNIC_E_NO_NETWORK] = E_UNAVAILABLE,
	/* What is malformed is a file or a plugin, not the caller's request. */
	[CNIC_E_INVALID] = E_FAILED,
	[CNIC_E_PLUGIN] = E_FAILED,
	[CNIC_E_TIMEOUT] = E_DEADLINE,
	[CNIC_E_NOT_CACHED] = E_NOT_FOUND,
	[CNIC_E_UNSUPPORTED] = E_UNSUPPORTED,
	[CNIC_E_CANCELLED] = E_CANCELLED,
};

static const int ocispec_codes[] = {
	[OCISPEC_E_NOT_FOUND] = E_NOT_FOUND,
	[OCISPEC_E_INVALID] = E_INVALID,
	[OCISPEC_E_LIMIT] = E_LIMIT,
	/* a module that is not installed is the node's fault, and trying again does not help */
	[OCISPEC_E_UNAVAILABLE] = E_FAILED,
};

static const int grpc_codes[] = {
	[0] = CRISVC_OK,
	[E_NOT_FOUND] = CRISVC_NOT_FOUND,
	[E_INVALID] = CRISVC_INVALID_ARGUMENT,
	[E_STATE] = CRISVC_FAILED_PRECONDITION,
	[E_EXISTS] = CRISVC_ALREADY_EXISTS,
	[E_IN_USE] = CRISVC_FAILED_PRECONDITION,
	[E_LIMIT] = CRISVC_RESOURCE_EXHAUSTED,
	[E_DEADLINE] = CRISVC_DEADLINE_EXCEEDED,
	[E_CANCELLED] = CRISVC_CANCELLED,
	[E_UNAVAILABLE] = CRISVC_UNAVAILABLE,
	[E_DENIED] = CRISVC_PERMISSION_DENIED,
	[E_POLICY] = CRISVC_PERMISSION_DENIED,
	[E_UNSUPPORTED] = CRISVC_UNIMPLEMENTED,
	[E_FAILED] = CRISVC_UNKNOWN,
};

static int lookup(const int *table, size_t n, int r, int otherwise)
{
	if (r <= 0)
		return r;
	return (size_t)r < n && table[r] ? table[r] : otherwise;
}

/* The text and errno are copied; code becomes ours. */
#define ERR_FROM(err, r, e, table) __extension__({ \
	int mapped_ = lookup((table), ARRAY_SIZE(table), (r), E_FAILED); \
	if (err) { \
		err_copy((err), (e)); \
		(err)->code = mapped_ > 0 ? mapped_ : 0; \
	} \
	mapped_; })

int err_from_cstore(struct cb_error *err, int r, const struct cstore_error *e)
{
	return ERR_FROM(err, r, e, cstore_codes);
}

int err_from_cimage(struct cb_error *err, int r, const struct cimage_error *e)
{
	return ERR_FROM(err, r, e, cimage_codes);
}

int err_from_cnic(struct cb_error *err, int r, const struct cnic_error *e)
{
	/* CNI's "try again later": the network is not ready, not broken. */
	bool later = r == CNIC_E_PLUGIN && e->plugin_code == 11;

	r = ERR_FROM(err, r, e, cnic_codes);
	if (!later)
		return r;
	if (err)
		err->code = E_UNAVAILABLE;
	return E_UNAVAILABLE;
}

int err_from_ocispec(struct cb_error *err, int r, const struct ocispec_error *e)
{
	return ERR_FROM(err, r, e, ocispec_codes);
}

int err_to_grpc(int r)
{
	if (r < 0)
		return CRISVC_INTERNAL;
	return lookup(grpc_codes, ARRAY_SIZE(grpc_codes), r, CRISVC_UNKNOWN);
}

static const char *pull_prefix(int r)
{
	if (r == E_UNAVAILABLE)
		return "RegistryUnavailable";
	return r == E_POLICY ? "SignatureValidationFailed" : NULL;
}

void err_pull_prefix(struct cb_error *err, int r)
{
	const char *prefix = pull_prefix(r);

	if (prefix && err && !str_starts(err->message, prefix))
		err_ctx(err, r, "%s", prefix);
}

int err_pull_to_grpc(int r)
{
	return pull_prefix(r) ? CRISVC_UNKNOWN : err_to_grpc(r);
}
