/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL. It reads and writes the socket itself, through a BIO that sends with MSG_NOSIGNAL. Every
 * struct tls begins with the table of this module, so that tls_load.c can call it without knowing more.
 */
#include "tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <cbase/cleanup.h>
#include <cbase/str.h>
#include "../crisvc-streaming.h"

struct tls {
	const struct tls_module *module; /* first */
	SSL *ssl;
};

struct tls_context {
	SSL_CTX *ssl;
	BIO_METHOD *method;
};

/* ---- the socket ---- */

static int bio_write(BIO *b, const char *p, int n)
{
	ssize_t w = send((int)(intptr_t)BIO_get_data(b), p, (size_t)n, MSG_NOSIGNAL);

	BIO_clear_retry_flags(b);
	if (w < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(b);
	return (int)w;
}

static int bio_read(BIO *b, char *p, int n)
{
	ssize_t r = recv((int)(intptr_t)BIO_get_data(b), p, (size_t)n, 0);

	BIO_clear_retry_flags(b);
	if (r < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(b);
	return (int)r;
}

static long bio_ctrl(BIO *b, int what, long n, void *p)
{
	return what == BIO_CTRL_FLUSH;
}

/* One for the process, for ever: connections outlive the context they were made with. */
static BIO_METHOD *socket_method(void)
{
	static BIO_METHOD *method;

	if (!method) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without SIGPIPE");
		if (method) {
			BIO_meth_set_write(method, bio_write);
			BIO_meth_set_read(method, bio_read);
			BIO_meth_set_ctrl(method, bio_ctrl);
		}
	}
	return method;
}

/* ---- certificate and key ---- */

static int fail(struct cb_error *err, const char *what, const char *path)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;

	ERR_clear_error();
	return err_set(err, CRISVC_STREAMING_E_TLS, "%s %s: %s", what, path, reason ? reason : "cannot be used");
}

static void unload(struct tls_context *c)
{
	SSL_CTX_free(c->ssl);
	free(c);
}

static int use_ca(SSL_CTX *ctx, const char *ca, struct cb_error *err)
{
	STACK_OF(X509_NAME) *names;

	if (!*ca)
		return 0;
	if (SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1)
		return fail(err, "client CA", ca);
	names = SSL_load_client_CA_file(ca);
	if (!names)
		return fail(err, "client CA", ca);
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return 0;
}

/* Those of TLS 1.3 ("TLS_AES_128_GCM_SHA256") are always there, as with Go; nothing else is said about them. */
static int use_ciphers(SSL_CTX *ctx, const char *names, bool *ret_any, struct cb_error *err)
{
	_cleanup_str_ struct str list = STR_INIT;
	char name[64];

	for (const char *p = names; *p; p += strspn(p, ",")) {
		size_t n = strcspn(p, ",");
		const char *known;

		snprintf(name, sizeof(name), "%.*s", (int)n, p);
		p += n;
		known = OPENSSL_cipher_name(name);
		if (streq(known, "(NONE)"))
			return err_set(err, CRISVC_STREAMING_E_TLS, "cipher suite %s is not known", name);
		if (strstr(name, "_WITH_"))
			str_appendf(&list, "%s%s", list.len ? ":" : "", known);
	}
	*ret_any = list.len;
	if (list.failed)
		return err_oom(err);
	return !list.len || SSL_CTX_set_cipher_list(ctx, list.data) == 1 ? 0 : fail(err, "cipher suites", names);
}

static int fill(SSL_CTX *ctx, const struct tls_settings *s, struct cb_error *err)
{
	static const unsigned char session[] = "crisvc";
	bool any = false;
	int r = use_ciphers(ctx, s->ciphers, &any, err);

	if (r)
		return r;
	if (SSL_CTX_set_min_proto_version(ctx, s->min_version == 13 || (*s->ciphers && !any) ? TLS1_3_VERSION : TLS1_2_VERSION) != 1)
		return fail(err, "set", "the least version");
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	/* every connection is another exec: nothing to resume, and nothing that outlives a new CA */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_session_id_context(ctx, session, sizeof(session) - 1);
	if (SSL_CTX_use_certificate_chain_file(ctx, s->cert) != 1)
		return fail(err, "certificate", s->cert);
	if (SSL_CTX_use_PrivateKey_file(ctx, s->key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		return fail(err, "key", s->key);
	return use_ca(ctx, s->ca, err);
}

static int load(const struct tls_settings *s, struct tls_context **ret, struct cb_error *err)
{
	struct tls_context *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_oom(err);
	c->ssl = SSL_CTX_new(TLS_server_method());
	c->method = socket_method();
	r = c->ssl && c->method ? fill(c->ssl, s, err) : err_oom(err);
	if (r) {
		unload(c);
		return r;
	}
	*ret = c;
	return 0;
}

/* ---- connections ---- */

extern const struct tls_module crisvc_streaming_tls;

static struct tls *open_conn(struct tls_context *c, int fd)
{
	struct tls *t = calloc(1, sizeof(*t));
	BIO *bio = BIO_new(c->method);

	if (t)
		t->ssl = SSL_new(c->ssl);
	if (!t || !t->ssl || !bio) {
		BIO_free(bio);
		if (t)
			SSL_free(t->ssl);
		free(t);
		ERR_clear_error();
		return NULL;
	}
	t->module = &crisvc_streaming_tls;
	BIO_set_data(bio, (void *)(intptr_t)fd);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_accept_state(t->ssl);
	return t;
}

static ssize_t outcome(struct tls *t, int n)
{
	int e;

	if (n > 0)
		return n;
	e = SSL_get_error(t->ssl, n);
	ERR_clear_error();
	if (e == SSL_ERROR_WANT_READ)
		return TLS_WANT_READ;
	if (e == SSL_ERROR_WANT_WRITE)
		return TLS_WANT_WRITE;
	return e == SSL_ERROR_ZERO_RETURN ? 0 : TLS_BROKEN;
}

static ssize_t read_conn(struct tls *t, void *p, size_t n)
{
	return outcome(t, SSL_read(t->ssl, p, (int)n));
}

static ssize_t write_conn(struct tls *t, const void *p, size_t n)
{
	return outcome(t, SSL_write(t->ssl, p, (int)(n < 1 << 20 ? n : 1 << 20)));
}

static void shutdown_conn(struct tls *t)
{
	SSL_shutdown(t->ssl);
	ERR_clear_error();
}

static void close_conn(struct tls *t)
{
	SSL_free(t->ssl);
	free(t);
}

__attribute__((visibility("default"))) const struct tls_module crisvc_streaming_tls = {
	.abi = TLS_MODULE_ABI,
	.load = load,
	.unload = unload,
	.open = open_conn,
	.read = read_conn,
	.write = write_conn,
	.shutdown = shutdown_conn,
	.close = close_conn,
};
