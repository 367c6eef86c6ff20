/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS is OpenSSL, and that is a module of its own (tls_module.c), loaded when a server is to speak
 * TLS. tls_load.c finds the module and reloads the files when they change.
 */
#ifndef CRISVC_STREAMING_TLS_H
#define CRISVC_STREAMING_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <cbase/err.h>

#define TLS_MODULE_ABI 2

struct tls;	    /* of one connection */
struct tls_context; /* certificate, key and CA as loaded */

/* What read and write return besides counts. */
enum { TLS_WANT_READ = -1, TLS_WANT_WRITE = -2, TLS_BROKEN = -3 };

/* As for crisvc_streaming_set_tls(). */
struct tls_settings {
	const char *cert, *key, *ca; /* ca: "" for no client certificates */
	const char *ciphers;	     /* IANA's names, separated by commas; "": OpenSSL's choice */
	int min_version;	     /* 12 or 13 */
};

struct tls_module {
	int abi;
	/* 0; CRISVC_STREAMING_E_TLS, -ENOMEM. */
	int (*load)(const struct tls_settings *s, struct tls_context **ret, struct cb_error *err);
	void (*unload)(struct tls_context *c); /* connections keep what they need */
	struct tls *(*open)(struct tls_context *c, int fd); /* NULL: out of memory */
	ssize_t (*read)(struct tls *t, void *p, size_t n);   /* 0: the peer has said that it ends */
	ssize_t (*write)(struct tls *t, const void *p, size_t n);
	void (*shutdown)(struct tls *t); /* says that we end; tries once */
	void (*close)(struct tls *t);	 /* not the descriptor */
};

struct tls_files;
struct crisvc_streaming_error;

int tls_files_new(const struct tls_settings *settings, struct tls_files **ret,
		  struct crisvc_streaming_error *err);
struct tls_files *tls_files_free(struct tls_files *f);
/* With the files as they are now, or as they were when they last made sense. NULL: out of memory. */
struct tls *tls_open(struct tls_files *f, int fd);
ssize_t tls_read(struct tls *t, void *p, size_t n);
ssize_t tls_write(struct tls *t, const void *p, size_t n);
void tls_shutdown(struct tls *t);
struct tls *tls_close(struct tls *t); /* NULL is fine; returns NULL */

#endif
