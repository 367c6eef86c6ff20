/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading the configuration directory: files in lexical order, the first of each network name
 * counts, the first network is the default one unless a name was asked for. A file is taken only
 * when it could be used: well-formed, its plugins present and speaking exactly its version. Others
 * are skipped and named, so that one broken file does not take the node's network away.
 */
#include <dirent.h>
#include <fcntl.h>
#include "private.h"

struct network_set *network_set_ref(struct network_set *s)
{
	if (s)
		atomic_fetch_add(&s->refs, 1);
	return s;
}

struct network_set *network_set_unref(struct network_set *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) > 1)
		return NULL;
	for (size_t i = 0; i < s->n; i++)
		network_unref(s->networks[i]);
	free(s->networks);
	free(s->trouble);
	free(s);
	return NULL;
}

struct cnic_network *network_set_find(const struct network_set *s, const char *name)
{
	for (size_t i = 0; s && i < s->n; i++)
		if (streq(s->networks[i]->name, name))
			return s->networks[i];
	return NULL;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has_suffix(const char *name, const char *const *suffixes)
{
	for (; *suffixes; suffixes++)
		if (str_ends(name, *suffixes))
			return true;
	return false;
}

int list_names(int dir_fd, const char *const *suffixes, size_t max, char ***ret)
{
	_cleanup_strv_ char **names = NULL;
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *e;
	size_t n = 0;
	int fd, r;

	fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		close_fd(fd);
		return r;
	}
	while ((errno = 0, e = readdir(dir))) {
		if (e->d_type == DT_DIR || !has_suffix(e->d_name, suffixes))
			continue;
		if (++n > max)
			return -E2BIG;
		r = strv_push(&names, e->d_name);
		if (r)
			return r;
	}
	if (errno)
		return -errno;
	if (names)
		qsort(names, n, sizeof(*names), compare);
	*ret = take(names);
	return 0;
}

/* Every plugin is there and speaks the list's version. */
static int validate(struct cnic *c, const struct cnic_network *n, struct cnic_error *err)
{
	int r;

	for (size_t i = 0; i < n->n_plugins; i++) {
		r = probe_supports(c, n->plugins[i].type, n->version, err);
		if (r)
			return r;
	}
	return 0;
}

static int load_file(struct cnic *c, int dir_fd, const char *file, struct cnic_network **ret,
		     struct cnic_error *err)
{
	_cleanup_network_ struct cnic_network *n = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = read_file_at(dir_fd, file, CONF_FILE_MAX, &text, &len);
	if (r)
		return err_sysr(err, r, "read");
	r = str_ends(file, ".conflist") ? network_parse_list(text, len, dir_fd, &n, err)
					: network_parse_single(text, len, &n, err);
	if (r == 0)
		r = validate(c, n, err);
	if (r)
		return r;
	n->file = strdup(file);
	if (!n->file)
		return err_oom(err);
	*ret = take(n);
	return 0;
}

static int load_dir(struct cnic *c, int dir_fd, struct network_set *set, struct str *skipped,
		    struct cnic_error *err)
{
	static const char *const suffixes[] = { ".conf", ".conflist", ".json", NULL };
	_cleanup_strv_ char **files = NULL;
	int r;

	r = list_names(dir_fd, suffixes, CONF_FILES_MAX, &files);
	if (r)
		return err_sysr(err, r, "list %s", c->o.conf_dir);
	set->networks = calloc(strv_len(files) + 1, sizeof(*set->networks));
	if (!set->networks)
		return err_oom(err);
	for (char **f = files; f && *f; f++) {
		struct cnic_network *n = NULL;
		struct cnic_error why = { 0 };

		r = load_file(c, dir_fd, *f, &n, &why);
		if (r == -ENOMEM)
			return err_oom(err);
		if (r)
			str_appendf(skipped, "%s%s: %s", skipped->len ? "; " : "", *f, why.message);
		else if (network_set_find(set, n->name))
			network_unref(n);
		else
			set->networks[set->n++] = n;
	}
	return 0;
}

/* Chooses the default network and writes down what is wrong. */
static int settle(const struct cnic *c, struct network_set *set, struct str *skipped)
{
	const char *wanted = c->o.default_network;
	_cleanup_str_ struct str text = STR_INIT;

	set->standard = wanted ? network_set_find(set, wanted) : set->n ? set->networks[0] : NULL;
	if (!set->standard && wanted)
		str_appendf(&text, "CNI network \"%s\" not found in %s", wanted, c->o.conf_dir);
	else if (!set->standard)
		str_appendf(&text,
			    "no CNI configuration file in %s. Has your network provider started?",
			    c->o.conf_dir);
	if (skipped->len) {
		str_append(&text, text.len ? " (skipped " : "skipped ");
		text_append_clean(&text, skipped->data, skipped->len);
		str_append(&text, set->standard ? "" : ")");
	}
	text.failed |= skipped->failed;
	set->trouble = str_take(&text, NULL);
	return set->trouble ? 0 : -ENOMEM;
}

int load_networks(struct cnic *c, struct network_set **ret, struct cnic_error *err)
{
	_cleanup_network_set_ struct network_set *set = calloc(1, sizeof(*set));
	_cleanup_str_ struct str skipped = STR_INIT;
	_cleanup_close_ int fd = -1;
	int r = 0;

	if (!set)
		return err_oom(err);
	atomic_init(&set->refs, 1);
	fd = open(c->o.conf_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return err_sys(err, "open %s", c->o.conf_dir);
	if (fd >= 0)
		r = load_dir(c, fd, set, &skipped, err);
	if (r)
		return r;
	r = settle(c, set, &skipped);
	if (r)
		return err_oom(err);
	*ret = take(set);
	return 0;
}
