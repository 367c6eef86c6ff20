/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS without OpenSSL: its module, and the three files, which may be replaced under a running
 * server. They are looked at when a client comes, at most once a second; a file is another one when its
 * inode, size or time of change differ. New files that do not fit together (a certificate whose key is
 * not there yet) change nothing, and are tried again with the next client.
 */
#include "tls.h"

#include <string.h>
#include <sys/stat.h>
#include <cbase/io.h>
#include <cbase/module.h>
#include "bounds.h"
#include "../crisvc-streaming.h"

enum { CERT, KEY, CA, FILES };

struct tls_files {
	const struct tls_module *module;
	struct tls_context *context;
	int64_t looked; /* CLOCK_MONOTONIC ns */
	struct stat seen[FILES];
	char *path[FILES], *ciphers;
	struct tls_settings settings; /* made of these */
};

/* A connection begins so, whatever comes behind. */
struct tls {
	const struct tls_module *module;
};

static int find_module(const struct tls_module **ret, struct cb_error *err)
{
	static const struct module_place place = {
		"CRISVC_MODULE_DIR", ".", "crisvc", CRISVC_MODULE_INSTALL_DIR,
	};
	const void *found;
	void *handle; /* stays loaded, as OpenSSL does not like to go */
	int r = module_load(&place, "streaming-tls", "crisvc_streaming_tls", &handle, &found, err);

	if (r)
		return r;
	*ret = found;
	return (*ret)->abi == TLS_MODULE_ABI ? 0 : err_sysr(err, -ELIBBAD, "module streaming-tls");
}

/* ---- the files ---- */

static bool look(const struct tls_files *f, struct stat now[FILES])
{
	bool changed = false;

	for (int i = 0; i < FILES; i++) {
		now[i] = (struct stat){ 0 };
		if (*f->path[i] && stat(f->path[i], &now[i]) < 0)
			now[i] = (struct stat){ 0 };
		if (now[i].st_ino != f->seen[i].st_ino || now[i].st_size != f->seen[i].st_size ||
		    now[i].st_ctim.tv_sec != f->seen[i].st_ctim.tv_sec ||
		    now[i].st_ctim.tv_nsec != f->seen[i].st_ctim.tv_nsec)
			changed = true;
	}
	return changed;
}

static int load(struct tls_files *f, struct cb_error *err)
{
	struct tls_context *fresh;
	struct stat now[FILES];
	int r;

	if (!look(f, now) && f->context)
		return 0;
	r = f->module->load(&f->settings, &fresh, err);
	if (r)
		return r;
	if (f->context)
		f->module->unload(f->context);
	f->context = fresh;
	memcpy(f->seen, now, sizeof(now));
	return 0;
}

static int copy_settings(struct tls_files *f, const struct tls_settings *s, struct cb_error *err)
{
	f->path[CERT] = strdup(s->cert);
	f->path[KEY] = strdup(s->key);
	f->path[CA] = strdup(s->ca);
	f->ciphers = strdup(s->ciphers);
	f->settings = (struct tls_settings){ f->path[CERT], f->path[KEY], f->path[CA], f->ciphers, s->min_version };
	return f->path[CERT] && f->path[KEY] && f->path[CA] && f->ciphers ? 0 : err_oom(err);
}

int tls_files_new(const struct tls_settings *settings, struct tls_files **ret,
		  struct crisvc_streaming_error *err)
{
	struct tls_files *f = calloc(1, sizeof(*f));
	struct cb_error why = { 0 };
	int r;

	if (!f)
		return err_oom(err);
	r = copy_settings(f, settings, &why);
	if (!r)
		r = find_module(&f->module, &why);
	if (!r)
		r = load(f, &why);
	if (r) {
		tls_files_free(f);
		err_copy(err, &why);
		return r;
	}
	f->looked = mono_ns();
	*ret = f;
	return 0;
}

struct tls_files *tls_files_free(struct tls_files *f)
{
	if (!f)
		return NULL;
	if (f->context)
		f->module->unload(f->context);
	for (int i = 0; i < FILES; i++)
		free(f->path[i]);
	free(f->ciphers);
	free(f);
	return NULL;
}

struct tls *tls_open(struct tls_files *f, int fd)
{
	int64_t now = mono_ns();

	if (now - f->looked >= BOUND_TLS_LOOK_NS) {
		f->looked = now;
		load(f, NULL);
	}
	return f->module->open(f->context, fd);
}

ssize_t tls_read(struct tls *t, void *p, size_t n)
{
	return t->module->read(t, p, n);
}

ssize_t tls_write(struct tls *t, const void *p, size_t n)
{
	return t->module->write(t, p, n);
}

void tls_shutdown(struct tls *t)
{
	t->module->shutdown(t);
}

struct tls *tls_close(struct tls *t)
{
	if (t)
		t->module->close(t);
	return NULL;
}
