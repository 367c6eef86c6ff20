/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pull is: resolve the name and start a worker (operation thread), listen to its socket (loop), and
 * when it hung up take its result, or go on with the next candidate of a short name. Success is told
 * after the image table has been read again, so that whoever is answered finds the image.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <cbase/io.h>
#include <cbase/json.h>
#include <cimage.h>
#include "errors.h"
#include "image_sync.h"
#include "inspect.h"
#include "log.h"
#include "pulls.h"
#include "spawn.h"
#include "version.h"
#include "worker.h"

struct asker {
	struct asker *next;
	void (*done)(void *user, int r, const struct cb_error *err);
	void *user;
};

struct pull {
	struct pull *next;
	struct daemon *d;
	char *image, *ns, *auth_file, *username, *password;
	struct waiters waiters;
	struct asker *askers;

	char *policy;			/* of the namespace */
	char **candidates;		/* references to try, in order */
	size_t at;
	char *layers;			/* JSON: the progress of the attempt, or NULL */
	struct child *worker;
	int sock;
	struct loop_source *source;
	struct loop_timer *stalled;	/* runs when nothing came for too long */

	bool answered;			/* the worker said what it came to */
	int r;				/* what the last attempt came to */
	struct cb_error err;
	char id[65];			/* of the image, when r is 0 */
};

struct pull_job {
	struct job job;
	struct pull *p;
	int r;
	struct cb_error err;
};

/* ---- objects ---- */

static void pull_free(struct pull *p)
{
	struct pull **at;

	for (at = &p->d->pulls; *at != p; at = &(*at)->next)
		;
	*at = p->next;
	loop_remove(p->source);
	loop_cancel(p->stalled);
	close_fd(p->sock);
	child_free(p->worker);
	free(p->image);
	free(p->ns);
	free(p->policy);
	free(p->auth_file);
	free(p->username);
	if (p->password)
		explicit_bzero(p->password, strlen(p->password));
	free(p->password);
	strv_free(p->candidates);
	free(p->layers);
	inspect_pulls_changed(p->d);
	free(p);
}

static bool same(const char *a, const char *b)
{
	return streq(a ? a : "", b ? b : "");
}

static struct pull *find(struct daemon *d, const struct pull *like)
{
	struct pull *p;

	for (p = d->pulls; p; p = p->next)
		if (same(p->image, like->image) && same(p->ns, like->ns) && same(p->auth_file, like->auth_file) &&
		    same(p->username, like->username) && same(p->password, like->password))
			return p;
	return NULL;
}

/* ---- the end ---- */

static void answer(void *user)
{
	Runtime__V1__PullImageResponse m = RUNTIME__V1__PULL_IMAGE_RESPONSE__INIT;
	struct pull *p = user;
	struct asker *a;

	waiters_log(&p->waiters);
	if (p->r) {
		/* the worker's texts begin so already */
		if (!str_starts(p->err.message, "pull "))
			err_ctx(&p->err, p->r, "pull %s", p->image);
		log_info("%s", p->err.message);
	} else {
		log_info("pulled image %s: %s", p->image, p->id);
	}
	while ((a = p->askers)) {
		p->askers = a->next;
		a->done(a->user, p->r, p->r ? &p->err : NULL);
		free(a);
	}
	m.image_ref = p->id;
	if (!p->r) {
		waiters_reply(&p->waiters, &m.base);
	} else {
		err_pull_prefix(&p->err, p->r);
		waiters_fail_with(&p->waiters, err_pull_to_grpc(p->r), p->err.message);
	}
	pull_free(p);
}

static void attempt(struct pull *p);

struct clean_job {
	struct job job;
	struct cstore *store;
};

static void run_clean(struct job *job)
{
	struct cstore_error e = { 0 };

	if (cstore_collect_garbage(((struct clean_job *)job)->store, &e))
		log_warn("clean up the store: %s", e.message);
}

static void done_clean(struct job *job)
{
	free(job);
}

/* A worker that was killed left what it had unpacked. */
static void clean_up(struct daemon *d)
{
	struct clean_job *j = calloc(1, sizeof(*j));

	if (!j)
		return;		/* the next start does it */
	*j = (struct clean_job){ .job = { .run = run_clean, .done = done_clean }, .store = d->sv.store };
	jobs_submit(d->jobs, LANE_IMAGE, &j->job);
}

static void attempt_ended(struct pull *p)
{
	if (p->worker && !p->answered)
		clean_up(p->d);
	p->source = loop_remove(p->source);
	p->stalled = loop_cancel(p->stalled);
	p->sock = close_fd(p->sock);
	p->worker = child_free(p->worker);
	if (!p->r) {
		image_sync(p->d, answer, p);
	} else if (p->candidates && p->candidates[p->at] && p->candidates[p->at + 1]) {
		log_debug("pull %s: %s: %s", p->image, p->candidates[p->at], p->err.message);
		p->at++;
		free(take(p->layers));
		attempt(p);
	} else {
		answer(p);
	}
}

/* ---- the worker's messages ---- */

static void take_error(struct pull *p, const struct json *e)
{
	const char *text = json_get_string(e, "message");
	int64_t code = json_get_int(e, "code", 0), sys = json_get_int(e, "errno", 0);

	p->r = code > 0 && code < 1000 ? (int)code : sys > 0 && sys < 4096 ? -(int)sys : E_FAILED;
	p->err = (struct cb_error){ .code = p->r > 0 ? p->r : 0, .sys_errno = p->r < 0 ? -p->r : 0 };
	snprintf(p->err.message, sizeof(p->err.message), "%s", text ? text : "the worker did not say why");
}

/* Written anew: what comes from the worker is shown to others. */
static void take_progress(struct pull *p, const struct json *layers)
{
	struct str s = STR_INIT;
	const char *layer;

	json_foreach(l, layers) {
		layer = json_get_string(l, "layer");
		str_append(&s, s.len ? ",{\"layer\":" : "[{\"layer\":");
		json_quote(&s, layer ? layer : "", layer ? strlen(layer) : 0, 0);
		str_appendf(&s, ",\"done\":%lld,\"size\":%lld}", (long long)json_get_int(l, "done", 0),
			    (long long)json_get_int(l, "size", 0));
	}
	str_append(&s, s.len ? "]" : "[]");
	free(p->layers);
	p->layers = str_take(&s, NULL);
	inspect_pulls_changed(p->d);
}

static void take_message(struct pull *p, const char *text, size_t n)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	const struct json *o;
	const char *id;

	if (json_parse(text, n, 0, &doc, NULL))
		return;
	o = json_root(doc);
	p->answered = json_get(o, "error") || json_get(o, "result");
	if (json_get(o, "error")) {
		take_error(p, json_get(o, "error"));
		return;
	}
	if (json_get(o, "progress")) {
		take_progress(p, json_get(o, "progress"));
		return;
	}
	id = json_get_string(json_get(o, "result"), "image");
	if (id && str_is_hex(id, 64)) {
		p->r = 0;
		memcpy(p->id, id, sizeof(p->id));
	}
}

static void on_stalled(void *user)
{
	struct pull *p = user;

	p->stalled = NULL;
	p->answered = true;
	p->r = err_set(&p->err, E_FAILED, "no progress within %s (pull_progress_timeout)",
		       p->d->config->pull_progress_timeout);
	p->at = strv_len(p->candidates) - 1;
	attempt_ended(p);
}

/* Something came: the time begins again. */
static void watch_progress(struct pull *p)
{
	int64_t ns = 0;

	p->stalled = loop_cancel(p->stalled);
	if (duration_parse(p->d->config->pull_progress_timeout, &ns) || ns <= 0)
		return;
	if (loop_timer(p->d->loop, mono_ns() + ns, on_stalled, p, &p->stalled))
		log_warn("pull %s: out of memory, its progress is not watched", p->image);
}

static void on_message(void *user, uint32_t events)
{
	_cleanup_free_ char *buf = malloc(WORKER_MESSAGE_MAX);
	struct pull *p = user;
	ssize_t n;

	for (;;) {
		n = buf ? recv(p->sock, buf, WORKER_MESSAGE_MAX, MSG_DONTWAIT) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			attempt_ended(p);
			return;
		}
		take_message(p, buf, (size_t)n);
		watch_progress(p);
	}
}

/* The callers are all gone: hanging up makes the worker undo what it did. */
static void on_abandoned(void *user)
{
	struct pull *p = user;

	if (!p->source || p->askers || !p->r)
		return;		/* not under way, or still wanted, or done */
	p->r = err_set(&p->err, E_CANCELLED, "cancelled: nobody waits for it");
	p->at = strv_len(p->candidates) - 1;
	attempt_ended(p);
}

/* ---- starting one ---- */

static void set(struct json_doc *d, const char *key, const char *value)
{
	if (value && *value)
		json_set_string(d, json_root(d), key, value);
}

/* Can it name files? A label of DNS, as namespaces are. */
static bool namespace_valid(const char *ns)
{
	size_t n = strlen(ns);

	return n && n <= 63 && *ns != '-' && strspn(ns, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static void set_list(struct json_doc *d, const char *key, const char *const *values)
{
	struct json *list = json_set_array(d, json_root(d), key);

	for (; values && *values; values++)
		json_append_string(d, list, *values);
}

static void set_store(struct json_doc *d, const struct cstore *store, const struct config *c)
{
	set(d, "graph_root", cstore_graph_root(store));
	set(d, "run_root", cstore_run_root(store));
	set(d, "image_store", cstore_image_store(store));
	set_list(d, "additional_stores", cstore_additional_stores(store));
	json_set_bool(d, json_root(d), "transient", cstore_is_transient(store));
	set(d, "driver", cstore_driver(store));
	set_list(d, "driver_options", (const char *const *)c->storage_option);
}

static int job_text(const struct pull *p, struct str *out)
{
	const struct config *c = p->d->config;
	_cleanup_json_ struct json_doc *d = json_doc_new();

	if (!d)
		return -ENOMEM;
	set(d, "job", "pull");
	set(d, "image", p->candidates[p->at]);
	set_store(d, p->d->sv.store, c);
	set(d, "policy", p->policy);
	set(d, "decryption_keys", c->decryption_keys_path);
	if (p->ns && namespace_valid(p->ns)) {
		set(d, "namespace", p->ns);
		set(d, "namespaced_auth", c->namespaced_auth_dir);
	}
	set(d, "registries_conf", c->registries_conf);
	set(d, "registries_conf_dir", c->registries_conf_dir);
	set(d, "short_name_mode", c->short_name_mode);
	set(d, "certs_dir", c->certs_dir);
	set(d, "auth_file", p->auth_file && *p->auth_file ? p->auth_file : c->global_auth_file);
	set(d, "username", p->username);
	set(d, "password", p->password);
	set(d, "user_agent", "crid/" CRID_VERSION);
	return json_format(d, json_root(d), 0, out);
}

int pull_candidates(const struct daemon *d, const char *name, char ***ret, struct cb_error *err)
{
	const struct config *c = d->config;
	struct cimage_context *ctx = NULL;
	struct cimage_error e = { 0 };
	int r;

	if (cimage_context_new(&ctx))
		return err_oom(err);
	r = *c->registries_conf ? cimage_context_set_registries_conf(ctx, c->registries_conf) : 0;
	if (!r && *c->registries_conf_dir)
		r = cimage_context_set_registries_conf_dir(ctx, c->registries_conf_dir);
	if (!r)
		r = cimage_context_set_short_name_mode(ctx, c->short_name_mode);
	if (!r)
		r = cimage_resolve(ctx, name, ret, &e);
	cimage_context_free(ctx);
	if (!r && !(*ret)[0])
		return err_set(err, E_INVALID, "no registry to look for it: unqualified-search-registries is empty");
	return r ? err_from_cimage(err, r, &e) : 0;
}

static char **worker_env(void)
{
	static const char *const kept[] = {
		"PATH", "HOME", "TMPDIR", "XDG_RUNTIME_DIR", "DOCKER_CONFIG", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY",
		"HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
		"CIMAGE_TRANSPORT_DIR", "CSTORE_MODULE_DIR", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS",
	};
	char **env = strv_copy(NULL);
	size_t i;

	for (i = 0; env && i < ARRAY_SIZE(kept); i++)
		if (getenv(kept[i]) && strv_pushf(&env, "%s=%s", kept[i], getenv(kept[i])))
			env = strv_free(env);
	return env;
}

static int start_worker(struct pull *p, struct cb_error *err)
{
	const char *path = p->d->config->worker_path;
	_cleanup_strv_ char **env = worker_env();
	_cleanup_str_ struct str job = STR_INIT;
	struct spawn s = SPAWN_INIT;
	int pair[2], r;

	if (!env || job_text(p, &job))
		return err_oom(err);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "make a socket pair");
	s.path = path;
	s.argv = (const char *const[]){ path, NULL };
	s.env = (const char *const *)env;
	s.err = STDERR_FILENO;
	s.fds = &pair[1];
	s.n_fds = 1;
	s.new_group = true;
	r = spawn_start(&s, &p->worker, err);
	close_fd(pair[1]);
	if (!r && send(pair[0], job.data, job.len, MSG_NOSIGNAL) != (ssize_t)job.len) {
		r = err_sys(err, "send the job to %s", path);
		child_kill(p->worker, SIGKILL);
	}
	explicit_bzero(job.data, job.len);
	if (r)
		close_fd(pair[0]);
	else
		p->sock = pair[0];
	return r;
}

/*
 * A namespace may have a policy of its own. One that is there but cannot be read is the worker's to
 * complain about: nothing is pulled by a wider one.
 */
static int choose_policy(struct pull *p, struct cb_error *err)
{
	const struct config *c = p->d->config;

	if (!p->policy && p->ns && *c->signature_policy_dir && namespace_valid(p->ns)) {
		p->policy = strf("%s/%s.json", c->signature_policy_dir, p->ns);
		if (!p->policy)
			return err_oom(err);
		if (access(p->policy, F_OK) && errno == ENOENT)
			free(take(p->policy));
	}
	if (!p->policy)
		p->policy = strdup(c->signature_policy);
	return p->policy ? 0 : err_oom(err);
}

static void run(struct job *job)
{
	struct pull_job *j = (struct pull_job *)job;

	if (!j->p->candidates)
		j->r = pull_candidates(j->p->d, j->p->image, &j->p->candidates, &j->err);
	if (!j->r)
		j->r = choose_policy(j->p, &j->err);
	if (!j->r)
		j->r = start_worker(j->p, &j->err);
}

static void done(struct job *job)
{
	struct pull_job *j = (struct pull_job *)job;
	struct pull *p = j->p;

	p->r = j->r ? j->r : E_FAILED;
	p->err = j->err;
	if (!j->r) {
		err_set(&p->err, E_FAILED, "the worker died without a result");
		watch_progress(p);
		if (loop_add(p->d->loop, p->sock, EPOLLIN, on_message, p, &p->source))
			j->r = p->r = err_oom(&p->err);
	}
	if (j->r)
		attempt_ended(p);
	free(j);
}

static void attempt(struct pull *p)
{
	struct pull_job *j = calloc(1, sizeof(*j));

	if (!j)
		abort();
	p->answered = false;
	*j = (struct pull_job){ .job = { .run = run, .done = done }, .p = p };
	jobs_submit(p->d->jobs, LANE_IMAGE, &j->job);
}

/* Owns the strings of *like. */
static struct pull *join_or_start(struct daemon *d, struct pull *like)
{
	struct pull *p = find(d, like);
	bool found = p;

	if (!found) {
		p = malloc(sizeof(*p));
		if (!p)
			abort();
		*p = *like;
		p->waiters = (struct waiters){ .abandoned = on_abandoned, .user = p };
		p->d = d;
		p->sock = -1;
		p->next = d->pulls;
		d->pulls = p;
		inspect_pulls_changed(d);
		attempt(p);
		return p;
	}
	free(like->image);
	free(like->ns);
	free(like->auth_file);
	free(like->username);
	free(like->password);
	return p;
}

size_t pulls_count(const struct daemon *d)
{
	const struct pull *p;
	size_t n = 0;

	for (p = d->pulls; p; p = p->next)
		n++;
	return n;
}

void pulls_print(const struct daemon *d, struct str *out)
{
	const struct pull *p;
	const char *trying;

	for (p = d->pulls; p; p = p->next) {
		/* candidates are the operation thread's until its worker is there */
		trying = p->source && p->candidates[p->at] ? p->candidates[p->at] : "";
		str_append(out, p == d->pulls ? "{\"image\":" : ",{\"image\":");
		json_quote(out, p->image, strlen(p->image), 0);
		str_append(out, ",\"reference\":");
		json_quote(out, trying, strlen(trying), 0);
		str_appendf(out, ",\"layers\":%s}", p->layers ? p->layers : "[]");
	}
}

static char *copy(const char *s)
{
	return s && *s ? strdup(s) : NULL;
}

void pull_internal(struct daemon *d, const char *image, const char *auth_file,
		   void (*done_fn)(void *, int, const struct cb_error *), void *user)
{
	struct pull like = { .image = strdup(image), .auth_file = copy(auth_file) };
	struct asker *a = malloc(sizeof(*a));
	struct pull *p;

	if (!a || !like.image)
		abort();
	p = join_or_start(d, &like);
	*a = (struct asker){ .next = p->askers, .done = done_fn, .user = user };
	p->askers = a;
}

/* auth is base64 of "user:password" and wins; what has another form is ignored, as docker does. */
static void take_credentials(const Runtime__V1__AuthConfig *auth, struct pull *like)
{
	_cleanup_free_ char *plain = NULL;
	char *colon;
	size_t n;

	if (!auth)
		return;
	if (*auth->auth && !base64_decode(auth->auth, strlen(auth->auth), &plain, &n) && (colon = strchr(plain, ':'))) {
		*colon = '\0';
		like->username = strdup(plain);
		like->password = strdup(colon + 1);
		explicit_bzero(plain, n);
	} else {
		like->username = copy(auth->username);
		like->password = copy(auth->password);
	}
}

void pull_image(struct daemon *d, struct crisvc_call *call, Runtime__V1__PullImageRequest *q)
{
	struct pull like = { .sock = -1 };
	struct cb_error err = { 0 };

	if (!q->image || !*q->image->image) {
		call_fail(call, err_set(&err, E_INVALID, "image.image is missing"), &err);
	} else {
		like.image = strdup(q->image->image);
		if (!like.image)
			abort();
		take_credentials(q->auth, &like);
		if (q->sandbox_config && q->sandbox_config->metadata)
			like.ns = copy(q->sandbox_config->metadata->namespace_);
		waiters_add(&join_or_start(d, &like)->waiters, call);
	}
	crisvc_cri_free(&q->base);
}
