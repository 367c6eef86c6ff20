/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS files: a directory per registry with *.crt (authorities, added to the machine's) and pairs of
 * X.cert and X.key (client certificates). Half a pair is an error: whoever put it there expects it
 * to be used. Of several pairs the first in bytewise order is used.
 */
#include <dirent.h>
#include <cbase/io.h>
#include "certs.h"

#define CERT_FILE_MAX (4u << 20)

void certs_done(struct certs *c)
{
	if (c->key)
		explicit_bzero(c->key, strlen(c->key));
	free(c->ca);
	free(c->cert);
	free(c->key);
	*c = (struct certs){ 0 };
}

static int bytewise(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_pem(const char *dir, const char *stem, const char *suffix, char **ret,
		    struct cimage_error *err)
{
	_cleanup_free_ char *path = strf("%s/%s%s", dir, stem, suffix);
	int r;

	if (!path)
		return err_oom(err);
	r = read_file(path, CERT_FILE_MAX, ret, NULL);
	return r ? err_sysr(err, r, "read %s", path) : 0;
}

static int add_ca(const char *dir, const char *name, struct str *ca, struct cimage_error *err)
{
	_cleanup_free_ char *pem = NULL;
	int r = read_pem(dir, name, "", &pem, err);

	if (r)
		return r;
	str_append(ca, pem);
	str_append_char(ca, '\n');
	return 0;
}

/* name is X.cert or X.key; the other file has to be there too. */
static int add_pair(const char *dir, const char *name, struct certs *c, struct cimage_error *err)
{
	_cleanup_free_ char *stem = strndup(name, (size_t)(strrchr(name, '.') - name));
	_cleanup_free_ char *cert = NULL, *key = NULL;
	int r;

	if (!stem)
		return err_oom(err);
	if ((r = read_pem(dir, stem, ".cert", &cert, err)) ||
	    (r = read_pem(dir, stem, ".key", &key, err)))
		return err_ctx(err, r, "client certificate needs %s.cert and %s.key", stem, stem);
	if (c->cert) {
		explicit_bzero(key, strlen(key));
		return 0;
	}
	c->cert = take(cert);
	c->key = take(key);
	return 0;
}

int certs_load(const char *dir, struct certs *ret, bool *ret_exists, struct cimage_error *err)
{
	_cleanup_str_ struct str ca = STR_INIT;
	struct dirent **names = NULL;
	struct certs c = { 0 };
	int i, n, r = 0;

	n = scandir(dir, &names, NULL, bytewise);
	if (n < 0 && (errno == ENOENT || errno == ENOTDIR)) {
		*ret_exists = false;
		return 0;
	}
	if (n < 0)
		return err_sys(err, "read directory %s", dir);
	for (i = 0; i < n; i++) {
		const char *name = names[i]->d_name;

		if (!r && str_ends(name, ".crt"))
			r = add_ca(dir, name, &ca, err);
		else if (!r && (str_ends(name, ".cert") || str_ends(name, ".key")))
			r = add_pair(dir, name, &c, err);
		free(names[i]);
	}
	free(names);
	if (!r && (ca.len || str_failed(&ca))) {
		c.ca = str_take(&ca, NULL);
		r = c.ca ? 0 : err_oom(err);
	}
	if (r) {
		certs_done(&c);
		return r;
	}
	*ret = c;
	*ret_exists = true;
	return 0;
}

/* Where distributions keep the bundle; the first one that exists. */
static const char *const bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/pki/tls/cacert.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/cert.pem",
};

int certs_load_system(char **ret, struct cimage_error *err)
{
	const char *chosen = secure_getenv("SSL_CERT_FILE");
	size_t i;
	int r;

	if (chosen && *chosen) {
		r = read_file(chosen, CERT_FILE_MAX, ret, NULL);
		return r ? err_sysr(err, r, "read $SSL_CERT_FILE %s", chosen) : 0;
	}
	for (i = 0; i < ARRAY_SIZE(bundles); i++) {
		r = read_file(bundles[i], CERT_FILE_MAX, ret, NULL);
		if (!r)
			return 0;
		if (r != -ENOENT && r != -ENOTDIR)
			return err_sysr(err, r, "read %s", bundles[i]);
	}
	*ret = NULL;
	return 0;
}
