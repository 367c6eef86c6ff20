/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filling the error structs of the libraries. Every library has a public struct of its own with the
 * same three members: code (its positive condition, or 0), sys_errno (or 0) and message. The macros
 * work on any of them by name, fill without allocating and accept a NULL pointer.
 *
 *	return err_set(err, CSTORE_E_NOT_FOUND, "layer %s does not exist", id);
 *	return err_sys(err, "open layer %s", id);		  appends ": " and strerror(errno)
 *	return err_sysr(err, r, "open layer %s", id);		  the same for a negative errno r
 *	return err_ctx(err, r, "pull %s", name);		  puts "pull NAME: " before the message
 *
 * err_set() returns the code, err_sys() and err_sysr() a negative errno, err_ctx() its r: what the
 * caller is to return. err_copy() moves the content between two structs of different types.
 */
#ifndef CBASE_ERR_H
#define CBASE_ERR_H

#include <errno.h>
#include <stddef.h>
#include "cleanup.h"

#define CB_ERROR_MESSAGE_MAX 1024

struct cb_error {
	int code;
	int sys_errno;
	char message[CB_ERROR_MESSAGE_MAX];
};

/* err_fill: buf may be NULL; r is what the macro returns; sys > 0 appends its text. */
int err_fill(int *code, int *sys_errno, char *buf, size_t size, int r, const char *fmt, ...) PRINTF_LIKE(6, 7);
int err_prefix(char *buf, size_t size, int r, const char *fmt, ...) PRINTF_LIKE(4, 5);
void err_transfer(int *code, int *sys_errno, char *buf, size_t size, int from_code, int from_errno,
		  const char *from);

/*
 * Through a variable of its own, so that "&err" may be passed without the compiler mocking the check for
 * NULL; with a name of its own, because calls nest: err_ctx(err, err_set(err, ...), ...).
 */
#define CB_CAT2_(a, b) a##b
#define CB_CAT_(a, b) CB_CAT2_(a, b)
#define CB_ERR_CALL_(e, ...) CB_ERR_CALL_V_(CB_CAT_(cb_err_, __COUNTER__), e, __VA_ARGS__)
#define CB_ERR_CALL_V_(v, e, f, ...) __extension__({ \
	__typeof__(e) v = (e); \
	f(v ? &v->code : NULL, v ? &v->sys_errno : NULL, v ? v->message : NULL, v ? sizeof(v->message) : 0, __VA_ARGS__); })
#define CB_ERR_CTX_(v, e, ...) __extension__({ \
	__typeof__(e) v = (e); \
	err_prefix(v ? v->message : NULL, v ? sizeof(v->message) : 0, __VA_ARGS__); })

#define err_set(e, c, ...) CB_ERR_CALL_(e, err_fill, (c), __VA_ARGS__)
#define err_sys(e, ...) CB_ERR_CALL_(e, err_fill, -errno, __VA_ARGS__)
#define err_sysr(e, r, ...) CB_ERR_CALL_(e, err_fill, (r), __VA_ARGS__)
#define err_ctx(e, r, ...) CB_ERR_CTX_(CB_CAT_(cb_err_, __COUNTER__), e, (r), __VA_ARGS__)
#define err_copy(to, from) CB_ERR_CALL_(to, err_transfer, (from)->code, (from)->sys_errno, (from)->message)
#define err_oom(e) CB_ERR_CALL_(e, err_fill, -ENOMEM, "allocate memory")

#endif
