/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch: TLS, HTTP and the JSON of registries, in a process that can do little else. It reads its
 * configuration and credentials first, with the rights of the daemon; then it becomes nobody,
 * without capabilities, may read what name lookup and the libraries need and write nothing, and
 * only then opens a connection. Layers leave through pipes that unpack sent.
 *
 * A thread waits for the control socket to break, so that the process ends with its parent
 * whatever the transfer is waiting for.
 */
#include "fetch.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cbase/cleanup.h>
#include <cbase/str.h>
#include "auth.h"
#include "errors.h"
#include "gpg.h"
#include "sandbox.h"
#include "wire.h"

#define CONTROL_FD 3
#define KEY_DEPTH_MAX 8

/* What a lookup of a host name, and libraries loaded late, may read. */
static const char *const readable[] = {
	"/usr", "/lib", "/lib32", "/lib64", "/etc", "/run/systemd", "/run/resolvconf",
	"/run/NetworkManager", "/run/nscd", "/dev/null", "/dev/urandom", "/dev/random",
	"/proc/self", "/proc/sys/net", NULL
};
static const char *const nothing[] = { NULL };

struct fetch {
	int control;
	int gpg;		/* who checks OpenPGP signatures */
	uint32_t candidate;
	bool offered;		/* unpack has been told of an image: no second one may follow */
};

/* ---- in the parent ---- */

/* Every regular file below the directory is a key; there need not be any. */
static int add_keys(struct cimage_context *c, const char *path, int depth, struct cb_error *err)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *e;
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : err_sys(err, "read directory %s", path);
	while (!r && (e = readdir(dir))) {
		_cleanup_free_ char *file = strf("%s/%s", path, e->d_name);
		struct cimage_error ie = { 0 };
		struct stat st;

		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		if (!file)
			r = err_oom(err);
		else if (lstat(file, &st) < 0)
			r = err_sys(err, "%s", file);
		else if (S_ISDIR(st.st_mode) && depth < KEY_DEPTH_MAX)
			r = add_keys(c, file, depth + 1, err);
		else if (!S_ISREG(st.st_mode))
			r = err_set(err, E_INVALID, "decryption key %s is no regular file", file);
		else
			r = err_from_cimage(err, cimage_context_add_decryption_key(c, file, &ie),
					    &ie);
	}
	return r;
}

static int set_all(struct cimage_context *c, const struct job *j)
{
	int r = 0;

	if (j->policy)
		r = cimage_context_set_policy(c, j->policy);
	if (!r && j->registries_conf)
		r = cimage_context_set_registries_conf(c, j->registries_conf);
	if (!r && j->registries_conf_dir)
		r = cimage_context_set_registries_conf_dir(c, j->registries_conf_dir);
	if (!r && j->registries_d)
		r = cimage_context_set_registries_d(c, j->registries_d);
	if (!r && j->auth_file)
		r = cimage_context_set_auth_file(c, j->auth_file);
	if (!r && j->certs_dir)
		r = cimage_context_set_certs_dir(c, j->certs_dir);
	if (!r && j->short_name_mode)
		r = cimage_context_set_short_name_mode(c, j->short_name_mode);
	if (!r && j->user_agent)
		r = cimage_context_set_user_agent(c, j->user_agent);
	return r;
}

int fetch_context(const struct job *j, struct cimage_context **ret, struct cb_error *err)
{
	struct cimage_context *c;
	int r = cimage_context_new(&c);

	if (r)
		return err_sysr(err, r, "configure the pull");
	r = set_all(c, j);
	if (r) {
		cimage_context_free(c);
		return err_sysr(err, r, "configure the pull");
	}
	*ret = c;
	return 0;
}

/* ---- in the child ---- */

static int send_image(struct fetch *f, const struct cimage_image *image, struct wire_image *w)
{
	const struct cimage_signatures *l = cimage_image_signatures(image);
	_cleanup_str_ struct str bytes = STR_INIT, sizes = STR_INIT;

	for (size_t i = 0; i < l->count; i++) {
		uint32_t n = (uint32_t)l->items[i].len;

		str_append_mem(&bytes, l->items[i].bytes, l->items[i].len);
		str_append_mem(&sizes, &n, sizeof(n));
	}
	if (str_failed(&bytes) || str_failed(&sizes))
		return -ENOMEM;
	w->signatures = (struct wire_bytes){ bytes.data, bytes.len };
	w->signature_sizes = (struct wire_bytes){ sizes.data, sizes.len };
	return wire_send_image(f->control, w);
}

/* The image was verified: offer it, then take the pipes of the layers that are wanted. */
static int on_image(void *user, const struct cimage_image *image, int *fds,
		    struct cimage_error *err)
{
	struct fetch *f = user;
	struct wire_image w = { .candidate = f->candidate };
	const char *list_digest = cimage_image_list_digest(image);
	size_t n = cimage_image_layer_count(image);
	uint32_t layer;
	int r, pipe;

	w.manifest.p = cimage_image_manifest(image, &w.manifest.len);
	w.manifest_digest = (struct wire_bytes){ cimage_image_manifest_digest(image),
						 strlen(cimage_image_manifest_digest(image)) };
	if (list_digest) {
		w.list.p = cimage_image_list(image, &w.list.len);
		w.list_digest = (struct wire_bytes){ list_digest, strlen(list_digest) };
	}
	w.config.p = cimage_image_config(image, &w.config.len);
	f->offered = true;
	r = send_image(f, image, &w);
	while (!r && (r = wire_receive_pipe(f->control, &layer, &pipe)) == 0) {
		if (layer >= n || fds[layer] >= 0) {
			close(pipe);
			r = -EPROTO;
		} else {
			fds[layer] = pipe;
		}
	}
	return r == 1 ? 0 : err_sysr(err, r, "hand over layers");
}

static int on_layer_done(void *user, size_t n, struct cimage_error *err)
{
	struct fetch *f = user;
	int r = wire_send_u32(f->control, WIRE_LAYER, (uint32_t)n);

	return r ? err_sysr(err, r, "hand over layer %zu", n) : 0;
}

static void *watch_control(void *arg)
{
	struct pollfd p = { .fd = *(int *)arg, .events = POLLRDHUP };

	while (poll(&p, 1, -1) < 0 || !(p.revents & (POLLRDHUP | POLLHUP | POLLERR)))
		;
	_exit(0);
}

static int start_watch(struct fetch *f, struct cb_error *err)
{
	pthread_t t;
	int r = pthread_create(&t, NULL, watch_control, &f->control);

	if (!r)
		pthread_detach(t);
	return r ? err_sysr(err, -r, "start a thread") : 0;
}

/* Which candidates can be asked for at all; the last reason why not is kept. */
static int prepare(struct cimage_context *c, struct cimage_ref **refs, size_t n, size_t *ret_usable,
		   struct cb_error *err)
{
	struct cimage_error ie = { 0 };
	int r = 0;

	*ret_usable = 0;
	for (size_t i = 0; i < n; i++) {
		int one = cimage_context_prepare(c, refs[i], &ie);

		if (one) {
			r = err_from_cimage(err, one, &ie);
			refs[i] = cimage_ref_free(refs[i]);
		} else {
			++*ret_usable;
		}
	}
	return *ret_usable ? 0 : r;
}

static int parse_candidates(char *const *candidates, struct cimage_ref **refs, struct cb_error *err)
{
	struct cimage_error ie = { 0 };
	int r;

	for (size_t i = 0; candidates[i]; i++) {
		r = cimage_ref_parse(candidates[i], 1, &refs[i], &ie);
		if (r)
			return err_from_cimage(err, r, &ie);
	}
	return 0;
}

/* Where a policy asks for OpenPGP signatures, gpg has to be started from here. */
static int start_gpg(struct fetch *f, struct cimage_context *c, struct cimage_ref *const *refs,
		     size_t n, struct cb_error *err)
{
	struct cimage_error ie = { 0 };
	int needed = 0, r = 0;

	for (size_t i = 0; i < n && !r && !needed; i++) {
		if (refs[i])
			r = cimage_context_needs_gpg(c, refs[i], &needed, &ie);
	}
	if (r)
		return err_from_cimage(err, r, &ie);
	if (!needed)
		return 0;
	r = gpg_start(c, &f->gpg, err);
	return r ? r : cimage_context_set_gpg_verify(c, gpg_ask, &f->gpg);
}

/* Beside the files of every pull those of this one. [owned]; the strings are borrowed. */
static int readable_paths(struct cimage_context *c, struct cimage_ref *const *refs, size_t n,
			  char ***ret, struct cb_error *err)
{
	_cleanup_strv_ char **v = strv_copy((char *const *)(uintptr_t)readable);
	struct cimage_error ie = { 0 };
	int r = v ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && !r; i++) {
		_cleanup_strv_ char **more = NULL;

		if (!refs[i])
			continue;
		r = cimage_context_read_paths(c, refs[i], &more, &ie);
		if (r)
			return err_from_cimage(err, r, &ie);
		for (size_t k = 0; more && more[k] && !r; k++)
			r = strv_push(&v, more[k]);
	}
	if (!r)
		*ret = take(v);
	return r ? err_oom(err) : 0;
}

static int enter_sandbox(char *const *read, struct cb_error *err)
{
	/* first the paths: directories above them may be closed to others */
	int r = sandbox_paths(nothing, (const char *const *)(uintptr_t)read, NULL, err);

	if (!r)
		r = sandbox_nobody(err);
	sandbox_no_files();
	return r ? r : sandbox_syscalls(SANDBOX_NETWORK, err);
}

/* One after the other, until one is there. */
static int try_all(struct fetch *f, struct cimage_context *c, struct cimage_ref *const *refs,
		   size_t n, struct cb_error *err)
{
	const struct cimage_sink sink = {
		.size = sizeof(sink), .user = f, .image = on_image, .layer_done = on_layer_done,
	};
	struct cimage_error ie = { 0 };
	int r = -ENOENT;

	for (size_t i = 0; i < n && !f->offered; i++) {
		if (!refs[i])
			continue;
		f->candidate = (uint32_t)i;
		r = cimage_fetch(c, refs[i], &sink, &ie);
		if (!r)
			return 0;
		r = err_from_cimage(err, r, &ie);
	}
	return r;
}

static int run(struct fetch *f, const struct job *j, struct cimage_context *c,
	       char *const *candidates, struct cb_error *err)
{
	size_t n = strv_len(candidates), usable;
	_cleanup_free_ char *given = NULL;
	/* lives as long as the process */
	struct cimage_ref **refs = calloc(n + 1, sizeof(*refs));
	_cleanup_strv_ char **read = NULL;
	int r;

	if (!refs)
		return err_oom(err);
	if (j->username && cimage_context_set_credentials(c, j->username, j->password))
		return err_set(err, E_INVALID, "the user name has a ':' in it");
	r = j->decryption_keys ? add_keys(c, j->decryption_keys, 0, err) : 0;
	if (!r)
		r = auth_take(j, candidates[0], &given, err);
	if (!r && given && cimage_context_set_auth_file(c, given))
		r = err_oom(err);
	if (!r)
		r = parse_candidates(candidates, refs, err);
	if (!r)
		r = prepare(c, refs, n, &usable, err);
	if (given)
		unlink(given);
	if (!r)
		r = start_gpg(f, c, refs, n, err);
	if (!r)
		r = readable_paths(c, refs, n, &read, err);
	if (!r)
		r = enter_sandbox(read, err);
	if (!r)
		r = start_watch(f, err);
	return r ? r : try_all(f, c, refs, n, err);
}

/* Only the control socket and the standard streams go along; above all not the daemon's socket. */
static int keep_control(int control)
{
	if (control != CONTROL_FD && dup3(control, CONTROL_FD, O_CLOEXEC) < 0)
		return -errno;
	return syscall(SYS_close_range, CONTROL_FD + 1, ~0u, 0u) < 0 ? -errno : 0;
}

static void __attribute__((noreturn)) child_main(int control, pid_t parent, const struct job *j,
						 struct cimage_context *c, char *const *candidates)
{
	struct fetch f = { .control = CONTROL_FD };
	struct cb_error err = { 0 };
	int r;

	if (keep_control(control))
		_exit(1);
	r = sandbox_begin(parent, &err);
	if (!r)
		r = run(&f, j, c, candidates, &err);
	if (r)
		wire_send_error(f.control, r, &err);
	else
		wire_send(f.control, WIRE_DONE, NULL, 0);
	_exit(r ? 1 : 0);
}

int fetch_start(const struct job *j, struct cimage_context *c, char *const *candidates,
		pid_t *ret_pid, int *ret_control, struct cb_error *err)
{
	pid_t parent = getpid(), pid;
	int control[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) < 0)
		return err_sys(err, "start fetching");
	pid = fork();
	if (pid == 0)
		child_main(control[1], parent, j, c, candidates);
	close(control[1]);
	if (pid < 0) {
		int r = err_sys(err, "start fetching");

		close(control[0]);
		return r;
	}
	*ret_pid = pid;
	*ret_control = control[0];
	return 0;
}
