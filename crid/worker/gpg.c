/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpg parses what a registry sent, in C and with a long history; so it runs apart from the network
 * and from the store. Its process is nobody, has no network, sees the system's files and an empty /tmp of
 * its own that ends with it, and may start programs, but signal and trace none.
 *
 * The talk on the socket is a question and an answer at a time: counted bytes. Who asks believes
 * the answer about the signature (there is nobody else to ask), but not that it is well-formed.
 *
 *	question	u32 keyrings, each u32 and bytes; u32 and bytes of the signature
 *	answer		i32 CIMAGE_E_*, 0 or negative errno; u32 and bytes: what was signed, and the
 *			fingerprint, or the reason and nothing
 */
#include "gpg.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cbase/cleanup.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "sandbox.h"

#define KEYRINGS_MAX 64
#define PART_MAX (4u << 20)	/* of a keyring, a signature, what was signed */
#define FILES_MAX (64u << 20)	/* that gpg may write, in memory */
#define SOCKET_FD 3

/* ---- both sides ---- */

static int read_exactly(int fd, void *p, size_t n)
{
	char *at = p;

	while (n) {
		ssize_t k = read(fd, at, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : -EPIPE;
		at += k;
		n -= (size_t)k;
	}
	return 0;
}

/* [owned], NUL added. */
static int read_part(int fd, char **ret, size_t *ret_len)
{
	_cleanup_free_ char *p = NULL;
	uint32_t n;
	int r = read_exactly(fd, &n, sizeof(n));

	if (r)
		return r;
	if (n > PART_MAX)
		return -EPROTO;
	p = malloc((size_t)n + 1);
	if (!p)
		return -ENOMEM;
	r = read_exactly(fd, p, n);
	if (r)
		return r;
	p[n] = '\0';
	*ret_len = n;
	*ret = take(p);
	return 0;
}

static void append_u32(struct str *s, uint32_t v)
{
	str_append_mem(s, &v, sizeof(v));
}

static void append_part(struct str *s, const char *p, size_t n)
{
	append_u32(s, (uint32_t)n);
	str_append_mem(s, p, n);
}

/* A socket whose other end is gone gives no signal. */
static int send_all(int fd, const struct str *s)
{
	size_t done = 0;

	if (str_failed(s))
		return -ENOMEM;
	while (done < s->len) {
		ssize_t k = send(fd, s->data + done, s->len - done, MSG_NOSIGNAL);

		if (k < 0 && errno != EINTR)
			return -errno;
		done += k > 0 ? (size_t)k : 0;
	}
	return 0;
}

/* ---- who asks ---- */

static int read_answer(int fd, char **ret, size_t *ret_len, char **ret_fingerprint,
		       struct cimage_error *err)
{
	_cleanup_free_ char *text = NULL, *fingerprint = NULL;
	size_t n, fingerprint_len;
	int32_t verdict;
	int r;

	if ((r = read_exactly(fd, &verdict, sizeof(verdict))) || (r = read_part(fd, &text, &n)) ||
	    (r = read_part(fd, &fingerprint, &fingerprint_len)))
		return err_sysr(err, r, "OpenPGP: the process that checks signatures");
	if (verdict) {
		_cleanup_str_ struct str safe = STR_INIT;

		str_append_utf8(&safe, text, strlen(text));
		err_set(err, verdict, "%.500s", safe.data ? safe.data : "?");
		return verdict;
	}
	*ret = take(text);
	*ret_len = n;
	*ret_fingerprint = take(fingerprint);
	return 0;
}

int gpg_ask(void *user, const struct cimage_bytes *keyrings, size_t n,
	    const struct cimage_bytes *sig, char **ret, size_t *ret_len, char **ret_fingerprint,
	    struct cimage_error *err)
{
	_cleanup_str_ struct str question = STR_INIT;
	int fd = *(int *)user, r;

	append_u32(&question, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		append_part(&question, keyrings[i].p, keyrings[i].len);
	append_part(&question, sig->p, sig->len);
	r = send_all(fd, &question);
	return r ? err_sysr(err, r, "OpenPGP: the process that checks signatures")
		 : read_answer(fd, ret, ret_len, ret_fingerprint, err);
}

/* ---- who answers ---- */

static int answer(struct cimage_context *c, const struct cimage_bytes *keyrings, size_t n,
		  const struct cimage_bytes *sig)
{
	_cleanup_free_ char *text = NULL, *fingerprint = NULL;
	_cleanup_str_ struct str out = STR_INIT;
	struct cimage_error err = { 0 };
	size_t len = 0;
	int32_t r = cimage_gpg_verify(c, keyrings, n, sig, &text, &len, &fingerprint, &err);

	str_append_mem(&out, &r, sizeof(r));
	if (r)
		append_part(&out, err.message, strlen(err.message));
	else
		append_part(&out, text, len);
	append_part(&out, fingerprint ? fingerprint : "", fingerprint ? strlen(fingerprint) : 0);
	return send_all(SOCKET_FD, &out);
}

static int serve_one(struct cimage_context *c)
{
	struct cimage_bytes keyrings[KEYRINGS_MAX], sig = { 0 };
	uint32_t n, have = 0;
	char *p = NULL;
	int r = read_exactly(SOCKET_FD, &n, sizeof(n));

	if (!r && n > KEYRINGS_MAX)
		r = -EPROTO;
	for (; !r && have < n; have += !r) {
		r = read_part(SOCKET_FD, &p, &keyrings[have].len);
		keyrings[have].p = p;
	}
	if (!r) {
		r = read_part(SOCKET_FD, &p, &sig.len);
		sig.p = p;
	}
	if (!r)
		r = answer(c, keyrings, n, &sig);
	while (have)
		free((char *)(uintptr_t)keyrings[--have].p);
	free((char *)(uintptr_t)sig.p);
	return r;
}

static int confine(struct cb_error *err)
{
	static const struct root_path seen[] = {
		{ "/usr", ROOT_READ }, { "/lib", ROOT_READ },	    { "/lib64", ROOT_READ },
		{ "/etc", ROOT_READ }, { "/dev", ROOT_DEVICES }, { "/proc", ROOT_READ },
		{ "/tmp", ROOT_READ },
	};
	static const char *const write[] = { "/tmp", "/dev/null", NULL };
	static const char *const read[] = { "/dev", "/proc", NULL };
	static const char *const programs[] = { "/usr", "/lib", "/lib64", "/bin", "/etc", NULL };
	const struct rlimit files = { FILES_MAX, FILES_MAX };
	int r;

	r = sandbox_root(seen, ARRAY_SIZE(seen), err);
	if (!r && mount("crid-gpg", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
			"mode=0700,uid=65534,gid=65534,size=64m"))
		r = err_sys(err, "sandbox: mount /tmp");
	if (!r)
		r = sandbox_no_network(err);
	if (!r)
		r = sandbox_nobody(err);
	if (!r)
		r = sandbox_paths(write, read, programs, err);
	if (!r)
		r = sandbox_syscalls(SANDBOX_PROGRAMS, err);
	setrlimit(RLIMIT_FSIZE, &files);
	return r;
}

static void __attribute__((noreturn)) child_main(struct cimage_context *c, int fd, pid_t parent)
{
	struct cb_error err = { 0 };
	int32_t r;

	if ((fd != SOCKET_FD && dup3(fd, SOCKET_FD, O_CLOEXEC) < 0) ||
	    syscall(SYS_close_range, SOCKET_FD + 1, ~0u, 0u) < 0)
		_exit(1);
	/* what gpg gets to see of the environment; the library's own is /tmp without TMPDIR */
	clearenv();
	setenv("PATH", "/usr/bin:/bin", 1);
	setenv("LANG", "C", 1);
	r = sandbox_begin((int)parent, &err);
	if (!r)
		r = confine(&err);
	if (r) {
		_cleanup_str_ struct str out = STR_INIT;

		/* the answer to the first question */
		r = r > 0 ? -EPERM : r;
		str_append_mem(&out, &r, sizeof(r));
		append_part(&out, err.message, strlen(err.message));
		append_part(&out, "", 0);
		send_all(SOCKET_FD, &out);
		_exit(1);
	}
	while (!serve_one(c))
		;
	_exit(0);
}

int gpg_start(struct cimage_context *c, int *ret_fd, struct cb_error *err)
{
	pid_t parent = getpid(), pid;
	int fds[2], r = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return err_sys(err, "start checking signatures");
	pid = fork();
	if (pid == 0)
		child_main(c, fds[1], parent);
	if (pid < 0)
		r = err_sys(err, "start checking signatures");
	close(fds[1]);
	if (r)
		close(fds[0]);
	else
		*ret_fd = fds[0];
	return r;
}
