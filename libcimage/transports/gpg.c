/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpg.so, see gpg_module.h: OpenPGP through gpgme.
 *
 * Verifying uses a home directory made for it, with nothing but the given keys: whom the user's own
 * gpg trusts has no say. gpg's verdict must be one good signature; trust in the key is not asked for,
 * because the key was chosen by who wrote the policy.
 *
 * gpgme ignores SIGPIPE for the whole program when it is initialised; that is undone at once, and the
 * signal is blocked in the calling thread while gpgme writes to gpg.
 */
#include <cbase/io.h>
#include <fcntl.h>
#include <gpgme.h>
#include <pthread.h>
#include <signal.h>
#include "gpg_module.h"

#define SIGNED_MAX (4u << 20)

struct session {
	gpgme_ctx_t ctx;
	char *home;		/* temporary; NULL: the user's */
	sigset_t old;
	bool sigpipe_held;
};

/* Text of a gpgme error; the errors of gpg itself are conditions of what it was given. */
#define FAIL(err, code, g, ...)                                                                    \
	err_ctx((err), err_set((err), (code), "%s", gpgme_strerror(g)), __VA_ARGS__)

static bool init(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static bool done;
	struct sigaction saved;
	bool good;

	pthread_mutex_lock(&lock);
	if (!done) {
		sigaction(SIGPIPE, NULL, &saved);
		done = gpgme_check_version("1.10.0") != NULL;
		sigaction(SIGPIPE, &saved, NULL);
	}
	good = done && !gpgme_engine_check_version(GPGME_PROTOCOL_OpenPGP);
	pthread_mutex_unlock(&lock);
	return good;
}

static void hold_sigpipe(struct session *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	s->sigpipe_held = !pthread_sigmask(SIG_BLOCK, &set, &s->old);
}

static void release_sigpipe(struct session *s)
{
	const struct timespec none = { 0 };
	sigset_t set;

	if (!s->sigpipe_held)
		return;
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	if (!sigismember(&s->old, SIGPIPE))
		while (sigtimedwait(&set, NULL, &none) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &s->old, NULL);
}

static void session_done(struct session *s)
{
	if (s->ctx)
		gpgme_release(s->ctx);
	if (s->home)
		rm_rf_at(AT_FDCWD, s->home);
	free(s->home);
	release_sigpipe(s);
}

static int make_home(struct session *s, struct cimage_error *err)
{
	const char *tmp = secure_getenv("TMPDIR");

	s->home = strf("%s/cimage-gpg-XXXXXX", tmp && *tmp == '/' ? tmp : "/tmp");
	if (!s->home)
		return err_oom(err);
	if (!mkdtemp(s->home)) {
		int r = err_sys(err, "make directory %s", s->home);

		free(take(s->home));
		return r;
	}
	return 0;
}

static int session_init(struct session *s, bool own_home, struct cimage_error *err)
{
	gpgme_error_t g;
	int r;

	*s = (struct session){ 0 };
	if (!init())
		return err_set(err, CIMAGE_E_UNSUPPORTED,
			       "OpenPGP: gpg is not installed, or too old");
	hold_sigpipe(s);
	r = own_home ? make_home(s, err) : 0;
	if (r)
		return r;
	g = gpgme_new(&s->ctx);
	if (!g)
		g = gpgme_set_protocol(s->ctx, GPGME_PROTOCOL_OpenPGP);
	if (!g && s->home)
		g = gpgme_ctx_set_engine_info(s->ctx, GPGME_PROTOCOL_OpenPGP, NULL, s->home);
	if (g)
		return FAIL(err, CIMAGE_E_UNSUPPORTED, g, "OpenPGP");
	gpgme_set_offline(s->ctx, 1);
	return 0;
}

/* [owned] bytes of a gpgme object, which is released. */
static int take_data(gpgme_data_t d, char **ret, size_t *ret_len)
{
	size_t n = 0;
	char *p = gpgme_data_release_and_get_mem(d, &n), *copy = NULL;

	if (n <= SIGNED_MAX)
		copy = malloc(n + 1);
	if (copy) {
		memcpy(copy, p ? p : "", n);
		copy[n] = '\0';
	}
	gpgme_free(p);
	if (!copy)
		return n > SIGNED_MAX ? -EFBIG : -ENOMEM;
	*ret = copy;
	*ret_len = n;
	return 0;
}

/* ---- verifying ---- */

static int import(struct session *s, const struct cimage_bytes *keyring, size_t *count,
		  struct cimage_error *err)
{
	gpgme_import_result_t result;
	gpgme_data_t d = NULL;
	gpgme_error_t g = gpgme_data_new_from_mem(&d, keyring->p, keyring->len, 0);

	if (!g)
		g = gpgme_op_import(s->ctx, d);
	gpgme_data_release(d);
	if (g)
		return FAIL(err, CIMAGE_E_INVALID, g, "OpenPGP: read the keyring");
	result = gpgme_op_import_result(s->ctx);
	for (gpgme_import_status_t i = result ? result->imports : NULL; i; i = i->next)
		*count += i->result == 0;
	return 0;
}

/* Everything but who may be trusted, which is who is in the keyring. */
static int check_result(struct session *s, char **ret_fingerprint, struct cimage_error *err)
{
	gpgme_verify_result_t result = gpgme_op_verify_result(s->ctx);
	gpgme_signature_t sig = result ? result->signatures : NULL;

	if (!sig || sig->next)
		return err_set(err, CIMAGE_E_POLICY, "OpenPGP: %s signature in the message",
			       sig ? "more than one" : "no");
	if (sig->status || sig->validity == GPGME_VALIDITY_NEVER || sig->validity_reason ||
	    sig->wrong_key_usage || !sig->fpr)
		return err_set(err, CIMAGE_E_POLICY, "OpenPGP: invalid signature by %s: %s",
			       sig->fpr ? sig->fpr : "?",
			       sig->status ? gpgme_strerror(sig->status) : "the key must not sign");
	*ret_fingerprint = strdup(sig->fpr);
	return *ret_fingerprint ? 0 : err_oom(err);
}

static int verify_in(struct session *s, const struct cimage_bytes *sig, char **ret,
		     size_t *ret_len, char **ret_fingerprint, struct cimage_error *err)
{
	_cleanup_free_ char *fingerprint = NULL;
	gpgme_data_t in = NULL, out = NULL;
	gpgme_error_t g = gpgme_data_new_from_mem(&in, sig->p, sig->len, 0);
	int r;

	if (!g)
		g = gpgme_data_new(&out);
	if (!g)
		g = gpgme_op_verify(s->ctx, in, NULL, out);
	gpgme_data_release(in);
	r = g ? FAIL(err, CIMAGE_E_POLICY, g, "OpenPGP: verify") : check_result(s, &fingerprint, err);
	if (r) {
		gpgme_data_release(out);
		return r;
	}
	r = take_data(out, ret, ret_len);
	if (r)
		return err_sysr(err, r, "OpenPGP: read what was signed");
	*ret_fingerprint = take(fingerprint);
	return 0;
}

static int gpg_verify(const struct cimage_bytes *keyrings, size_t n, const struct cimage_bytes *sig,
		      char **ret, size_t *ret_len, char **ret_fingerprint, struct cimage_error *err)
{
	_cleanup_(session_done) struct session s;
	size_t count = 0, i;
	int r = session_init(&s, true, err);

	for (i = 0; i < n && !r; i++)
		r = import(&s, &keyrings[i], &count, err);
	if (!r && !count)
		r = err_set(err, CIMAGE_E_INVALID, "OpenPGP: No public keys imported");
	return r ? r : verify_in(&s, sig, ret, ret_len, ret_fingerprint, err);
}

static int gpg_verify_at_home(const struct cimage_bytes *sig, char **ret, size_t *ret_len,
			      char **ret_fingerprint, struct cimage_error *err)
{
	_cleanup_(session_done) struct session s;
	int r = session_init(&s, false, err);

	return r ? r : verify_in(&s, sig, ret, ret_len, ret_fingerprint, err);
}

/* ---- signing ---- */

static gpgme_error_t give_passphrase(void *hook, const char *uid_hint, const char *info, int was_bad,
				     int fd)
{
	const char *passphrase = hook;

	(void)uid_hint;
	(void)info;
	if (was_bad)
		return gpgme_error(GPG_ERR_BAD_PASSPHRASE);
	if (gpgme_io_writen(fd, passphrase, strlen(passphrase)) || gpgme_io_writen(fd, "\n", 1))
		return gpgme_error_from_errno(errno);
	return 0;
}

static int choose_key(struct session *s, const char *name, struct cimage_error *err)
{
	gpgme_key_t key = NULL;
	gpgme_error_t g = gpgme_get_key(s->ctx, name, &key, 1);

	if (!g)
		g = gpgme_signers_add(s->ctx, key);
	if (key)
		gpgme_key_unref(key);
	return g ? FAIL(err, CIMAGE_E_NOT_FOUND, g, "OpenPGP: find the secret key") : 0;
}

static int gpg_sign(const char *key, const char *passphrase, const struct cimage_bytes *message,
		    char **ret, size_t *ret_len, struct cimage_error *err)
{
	_cleanup_(session_done) struct session s;
	gpgme_data_t in = NULL, out = NULL;
	gpgme_error_t g;
	int r = session_init(&s, false, err);

	if (!r)
		r = choose_key(&s, key, err);
	if (r)
		return r;
	gpgme_set_armor(s.ctx, 0);
	if (passphrase) {
		gpgme_set_passphrase_cb(s.ctx, give_passphrase, (void *)(uintptr_t)passphrase);
		gpgme_set_pinentry_mode(s.ctx, GPGME_PINENTRY_MODE_LOOPBACK);
	}
	g = gpgme_data_new_from_mem(&in, message->p, message->len, 0);
	if (!g)
		g = gpgme_data_new(&out);
	if (!g)
		g = gpgme_op_sign(s.ctx, in, out, GPGME_SIG_MODE_NORMAL);
	gpgme_data_release(in);
	if (g) {
		gpgme_data_release(out);
		return FAIL(err, CIMAGE_E_DENIED, g, "OpenPGP: sign");
	}
	r = take_data(out, ret, ret_len);
	return r ? err_sysr(err, r, "OpenPGP: read the signature") : 0;
}

PUBLIC extern const struct gpg_module cimage_gpg_module;

const struct gpg_module cimage_gpg_module = {
	.abi = GPG_MODULE_ABI,
	.verify = gpg_verify,
	.verify_at_home = gpg_verify_at_home,
	.sign = gpg_sign,
};
