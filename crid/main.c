/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crid: start-up and the end. Start-up is one straight line that may block; after that only
 * the loop runs on this thread.
 */
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <cbase/io.h>
#include "apparmor.h"
#include "container_spec.h"
#include "cri.h"
#include "errors.h"
#include "events.h"
#include "handlers.h"
#include "image_sync.h"
#include "inspect.h"
#include "lifetime.h"
#include "log.h"
#include "network_watch.h"
#include "notify.h"
#include "pods.h"
#include "reload.h"
#include "restore.h"
#include "signals.h"
#include "spawn.h"
#include "streaming.h"
#include "stats.h"
#include "systemd.h"
#include "version.h"
#include "watch.h"
#include "watchdog.h"

#define LISTEN_BACKLOG 128

/* ---- parts ---- */

static int open_store(struct daemon *d, struct cb_error *err)
{
	const struct config *c = d->config;
	struct cstore_options *o = NULL;
	struct cstore_error e = { 0 };
	char **v;
	int r;

	if (cstore_options_new(&o))
		return err_oom(err);
	/* what the configuration names wins over storage.conf */
	r = cstore_options_load(o, NULL, &e);
	if (!r && *c->root)
		r = cstore_options_set_graph_root(o, c->root);
	if (!r && *c->runroot)
		r = cstore_options_set_run_root(o, c->runroot);
	if (!r && *c->imagestore)
		r = cstore_options_set_image_store(o, c->imagestore);
	if (!r && *c->storage_driver)
		r = cstore_options_set_driver(o, c->storage_driver);
	for (v = c->storage_option; v && *v && !r; v++)
		r = cstore_options_add_driver_option(o, *v);
	if (!r)
		r = cstore_open(o, &d->sv.store, &e);
	cstore_options_free(o);
	return r ? err_ctx(err, err_from_cstore(err, r, &e), "open the store") : 0;
}

static int make_dirs(const struct config *c, struct cb_error *err)
{
	const struct {
		const char *path;
		mode_t mode;
	} dirs[] = {
		{ c->container_exits_dir, 0755 }, { c->container_attach_socket_dir, 0755 },
		{ c->namespaces_dir, 0755 }, { c->log_dir, 0755 },
	};
	size_t i;
	int r;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		r = mkdir_p(dirs[i].path, dirs[i].mode);
		if (r)
			return err_sysr(err, r, "make directory %s", dirs[i].path);
	}
	return 0;
}

/* ---- socket ---- */

static int socket_address(const char *path, struct sockaddr_un *ret, struct cb_error *err)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret->sun_path))
		return err_set(err, E_INVALID, "listen: %s is longer than the %zu bytes of a socket's path", path,
			       sizeof(ret->sun_path) - 1);
	strcpy(ret->sun_path, path);
	return 0;
}

/* Whoever answers there is another daemon on the same socket, and likely on the same store. */
static int check_no_other(const struct sockaddr_un *a, struct cb_error *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(err, "make a socket");
	if (connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0)
		return err_set(err, E_EXISTS, "another daemon listens on %s", a->sun_path);
	return 0;
}

static int listen_on(struct daemon *d, struct cb_error *err)
{
	const char *path = d->config->listen;
	_cleanup_free_ char *dir = strdup(path);
	_cleanup_close_ int fd = -1;
	struct sockaddr_un a;
	char *slash = dir ? strrchr(dir, '/') : NULL;
	int r;

	if (!slash)
		return err_set(err, E_INVALID, "listen: %s is not an absolute path", path);
	*slash = '\0';
	r = mkdir_p(dir, 0755);
	if (r)
		return err_sysr(err, r, "make directory %s", dir);
	r = socket_address(path, &a, err);
	if (!r)
		r = check_no_other(&a, err);
	if (r)
		return r;
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || fchmod(fd, 0660) < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || chmod(path, 0660) < 0 ||
	    listen(fd, LISTEN_BACKLOG) < 0)
		return err_sys(err, "listen on %s", path);
	r = crisvc_server_listen(d->server, fd);
	if (!r)
		fd = -1;	/* the server's now */
	return r ? err_sysr(err, r < 0 ? r : -EINVAL, "listen on %s", path) : 0;
}

static void on_server(void *user, uint32_t events)
{
	struct daemon *d = user;
	struct crisvc_call *call;
	int r;

	r = crisvc_server_dispatch(d->server);
	if (r < 0) {
		log_error("the CRI server cannot go on: %s", strerror(-r));
		loop_quit(d->loop);
	}
	while ((call = crisvc_server_pop_call(d->server)))
		cri_dispatch(d, call);
}

/* ---- from nothing to serving ---- */

static int start_services(struct daemon *d, struct config *config, struct cb_error *err)
{
	struct utsname u;
	int r;

	r = make_dirs(d->config, err);
	if (!r)
		r = hooks_check(d->config, err);
	if (!r)
		r = open_store(d, err);
	if (!r)
		r = lifetime_lock(cstore_run_root(d->sv.store), "runroot", err);
	if (!r)
		r = lifetime_lock(cstore_graph_root(d->sv.store), "root", err);
	if (!r && config->systemd_cgroups)
		r = systemd_check(err);
	if (!r)
		r = handlers_probe(config, err);
	if (!r)
		apparmor_start(config->apparmor_profile);
	if (!r && config->selinux)
		r = selinux_open(&d->sv.selinux, err);
	if (!r && ocispec_filters_new(&d->sv.filters))
		r = err_oom(err);
	if (!r)
		r = network_new(d->config, &d->sv.network, err);
	if (!r && !(d->sv.hostports = hostports_new(d->config, cstore_run_root(d->sv.store))))
		r = err_oom(err);
	if (!r && uname(&u) == 0)
		snprintf(d->sv.kernel_version, sizeof(d->sv.kernel_version), "%.63s", u.release);
	return r;
}

/*
 * Records are never mended here: what a damaged file lacks would be lost with all it stands for, and a person
 * may have a better one.
 */
static bool may_repair(const struct cstore_report *report)
{
	int kind;

	for (size_t i = 0; i < cstore_report_count(report); i++) {
		kind = cstore_problem_kind(cstore_report_get(report, i));
		if (kind == CSTORE_PROBLEM_RECORDS || kind == CSTORE_PROBLEM_REFERENCE)
			return false;
	}
	return cstore_report_count(report);
}

/*
 * Without the content of layers: reading all of it would take minutes. What cannot be mended is told, and
 * does not keep the node from working with the rest.
 */
static void repair_store(struct daemon *d)
{
	struct cstore_check_options o = { .size = sizeof(o), .quick = 1 };
	struct cstore_report *report = NULL;
	struct cstore_error e = { 0 };
	int r = cstore_check(d->sv.store, &o, &report, &e);

	if (!r && may_repair(report)) {
		report = cstore_report_free(report);
		r = cstore_repair(d->sv.store, &o, &report, &e);
	}
	if (r)
		log_error("check the store after an end that was not in order: %s", e.message);
	for (size_t i = 0; report && i < cstore_report_count(report); i++) {
		const struct cstore_problem *p = cstore_report_get(report, i);

		log_at(cstore_problem_mended(p) ? LOG_WARN : LOG_ERROR, "%s: %s%s", cstore_problem_object(p), cstore_problem_text(p),
		       cstore_problem_mended(p) ? " (mended)" : "");
	}
	cstore_report_free(report);
}

static void collect_garbage(struct daemon *d)
{
	struct cstore_error e = { 0 };

	if (cstore_collect_garbage(d->sv.store, &e))
		log_warn("clean up the store: %s", e.message);
}

/* Rules that pods of before left go; rules that somebody took away from pods that live come back. */
static void sync_hostports(struct daemon *d, size_t n_pods)
{
	_cleanup_free_ const struct pod_info **infos = calloc(n_pods + 1, sizeof(*infos));
	const struct pod *p;
	size_t n = 0;

	if (!infos)
		return;
	for (p = d->pods; p; p = p->next)
		if (!p->network_down)
			infos[n++] = p->info;
	hostports_sync(d->sv.hostports, infos, n);
}

static int start_table(struct daemon *d, struct cb_error *err)
{
	int64_t begun = mono_ns();
	struct cb_error why = { 0 };
	struct pod *p;
	size_t n = 0;
	int r;

	/* without the network's configuration teardown still works, from its cache */
	if (network_reload(d->sv.network, &why))
		utf8_copy(d->network_message, sizeof(d->network_message), why.message);
	else
		d->network_ready = true;
	if (d->config->internal_repair && lifetime_was_cut_short(d->config))
		repair_store(d);
	r = watch_start(d, err);
	if (!r)
		r = restore_all(d, lifetime_must_wipe(d->config), err);
	if (r)
		return r;
	r = network_watch_start(d, err);
	if (r)
		return r;
	for (p = d->pods; p; p = p->next)
		n++;
	sync_hostports(d, n);
	log_info("found %zu pods in %lld ms", n, (long long)((mono_ns() - begun) / 1000000));
	/* after the table: what has a record is not garbage */
	collect_garbage(d);
	r = image_table_load(&d->sv, NULL, &d->images, err);
	return r ? r : lifetime_begin(d->config, err);
}

static int start_server(struct daemon *d, struct cb_error *err)
{
	int r;

	if (crisvc_server_new(&d->server))
		return err_oom(err);
	crisvc_server_set_max_message(d->server, (size_t)d->config->grpc_max_recv_msg_size,
				      (size_t)d->config->grpc_max_send_msg_size);
	r = inspect_start(d);
	if (!r)
		r = cri_register(d);
	if (!r)
		r = listen_on(d, err);
	else
		err_sysr(err, r, "register the RPCs");
	if (!r && loop_add(d->loop, crisvc_server_get_fd(d->server), EPOLLIN, on_server, d, &d->server_source))
		r = err_oom(err);
	return r;
}

static int start(struct daemon *d, struct config *config, struct cb_error *err)
{
	int r;

	if (loop_new(&d->loop) || jobs_new(d->loop, &d->jobs))
		return err_oom(err);
	r = signals_start(d, err);
	if (!r)
		r = start_services(d, config, err);
	if (!r)
		r = start_table(d, err);
	if (!r)
		r = streaming_new(d, &d->streaming, err);
	return r ? r : start_server(d, err);
}

/* Nothing of this needs to be done to end; it keeps leak checkers telling the truth. */
static void release(struct daemon *d)
{
	jobs_free(d->jobs);
	stats_end(d);
	events_end(d);
	inspect_stop(d);
	network_watch_stop(d);
	while (d->pods)
		pod_release(d->pods);
	image_table_unref(d->images);
	image_sync_free(d->image_sync);
	watch_stop(d);
	loop_remove(d->server_source);
	watchdog_stop(d);
	signals_stop(d);
	loop_free(d->loop);
	hostports_free(d->sv.hostports);
	network_free(d->sv.network);
	reload_stop(d);
	ocispec_filters_free(d->sv.filters);
	selinux_close(d->sv.selinux);
	arena_done(&d->arena);
}

/*
 * With operations still running nothing of what they use may go, so the process goes as a whole; and
 * the store is not said to be clean.
 */
static void end(struct daemon *d, int status)
{
	bool idle = jobs_running(d->jobs) == 0 && !d->execs && !d->pulls;
	struct cstore_error why = { 0 };
	struct cb_error err = { 0 };
	int r;

	if (!d->ending)
		unlink(d->config->listen);
	d->streaming = streaming_free(d->streaming);
	if (!idle) {
		log_info("ended, with operations cut short");
		_exit(status);
	}
	if (lifetime_end(d->config, cstore_graph_root(d->sv.store), &err))
		log_error("%s", err.message);
	release(d);
	crisvc_server_dispatch(d->server);	/* what the last callers are told */
	crisvc_server_free(d->server);
	/* with a container mounted the store's own mount stays too, as CRI-O leaves it */
	r = cstore_shutdown(d->sv.store, &why);
	if (r && r != CSTORE_E_IN_USE)
		log_warn("%s", why.message);
	cstore_free(d->sv.store);
	log_info("ended");
}

static int serve(int argc, char **argv, struct config *config)
{
	struct daemon d = { .config = config, .sv.config = config, .argc = argc, .argv = argv };
	struct cb_error err = { 0 };
	int r;

	/* children inherit it, and what they make must be usable by others */
	umask(0022);
	mallopt(M_ARENA_MAX, 1);	/* pods made by many threads would be scattered over several */
	signals_block();
	notify_init();
	r = spawn_init();
	r = r ? err_sysr(&err, r, "start the thread that collects children") : start(&d, config, &err);
	if (r) {
		log_at(LOG_FATAL, "%s", err.message);
		return 1;
	}
	malloc_trim(0);
	log_info("crid " CRID_VERSION " serves CRI v1 on %s", config->listen);
	notify("READY=1\nSTATUS=serving CRI on %s", config->listen);
	watchdog_start(&d);
	r = loop_run(d.loop);
	if (r)
		log_error("loop: %s", strerror(-r));
	end(&d, r ? 1 : 0);
	return r ? 1 : 0;
}

/* ---- verbs ---- */

static int print(struct str *s)
{
	int r = s->failed ? -ENOMEM : write_all(STDOUT_FILENO, s->data ? s->data : "", s->len);

	str_done(s);
	return r ? 1 : 0;
}

static int verb_version(bool json)
{
	struct str s = STR_INIT;

	str_appendf(&s, json ? "{\"version\":\"%s\",\"crioVersion\":\"%s\",\"criVersion\":\"v1\"}\n" :
		    "crid version %s\nOn-disk state of CRI-O %s, CRI v1\n", CRID_VERSION, CRIO_COMPAT_VERSION);
	return print(&s);
}

static int fail(const struct cb_error *err)
{
	fprintf(stderr, "crid: %s\n", err->message);
	return 1;
}

static bool has_flag(int argc, char **argv, const char *a, const char *b)
{
	int i;

	for (i = 1; i < argc; i++)
		if (streq(argv[i], a) || streq(argv[i], b))
			return true;
	return false;
}

/* Takes one argument out of argv. */
static void drop(int *argc, char **argv, int at)
{
	memmove(argv + at, argv + at + 1, (size_t)(*argc - at) * sizeof(*argv));
	(*argc)--;
}

static int verb_config(int argc, char **argv)
{
	struct config *c = NULL;
	struct cb_error err = { 0 };
	struct str s = STR_INIT;
	char **warnings = NULL;
	bool all = false;
	int i, r;

	for (i = 1; i < argc; i++)
		if (streq(argv[i], "--default")) {
			all = true;
			drop(&argc, argv, i--);
		}
	r = all ? config_defaults(&c, &err) : config_read(argc, argv, &c, &warnings, &err);
	if (r)
		return fail(&err);
	for (i = 0; warnings && warnings[i]; i++)
		fprintf(stderr, "crid: %s\n", warnings[i]);
	strv_free(warnings);
	if (config_print(c, all, &s))
		s.failed = true;
	config_free(c);
	return print(&s);
}

static int run_daemon(int argc, char **argv)
{
	char **warnings = NULL;
	struct cb_error err = { 0 };
	struct config *c = NULL;
	size_t i;
	int r;

	r = config_load(argc, argv, &c, &warnings, &err);
	if (r)
		return fail(&err);
	if (log_set_level(c->log_level)) {
		err_set(&err, E_INVALID, "log_level \"%s\" is unknown", c->log_level);
		return fail(&err);
	}
	log_find_journal();
	log_set_json(streq(c->log_format, "json"));
	if (log_set_filter(c->log_filter, &err) || (*c->log_file && log_open(c->log_file, &err)))
		return fail(&err);
	for (i = 0; i < strv_len(warnings); i++)
		log_warn("%s", warnings[i]);
	strv_free(warnings);
	r = serve(argc, argv, c);
	config_free(c);
	return r;
}

int main(int argc, char **argv)
{
	struct cb_error err = { 0 };
	struct str s = STR_INIT;
	int at = config_find_verb(argc, argv);
	const char *verb = at ? argv[at] : "";

	if (has_flag(argc, argv, "--help", "-h")) {
		config_usage(&s);
		return print(&s);
	}
	if (streq(verb, "version") || (!at && has_flag(argc, argv, "--version", "-v")))
		return verb_version(has_flag(argc, argv, "--json", "-j"));
	if (at)
		drop(&argc, argv, at);
	if (streq(verb, "config"))
		return verb_config(argc, argv);
	if (at) {
		err_set(&err, E_INVALID, "unknown command %s; crid --help tells the known ones", verb);
		return fail(&err);
	}
	return run_daemon(argc, argv);
}
