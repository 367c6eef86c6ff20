/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.seccomp compiled, and handed to a runtime that takes it ready (crun), which spares the 15 ms
 * that libseccomp needs for each container. What the filter does depends on nothing but linux.seccomp,
 * in which profile, capabilities, kernel and architectures are already resolved; so that is the key
 * of the cache, as text, compared whole. The oldest use leaves the cache when it is full.
 */
#include <pthread.h>
#include "module.h"

#define FILTER_ANNOTATION "run.oci.seccomp_bpf_data"
#define FILTERS_MAX 16

struct filter {
	char *key, *base64;
	uint64_t used;
};

struct ocispec_filters {
	pthread_mutex_t lock;
	struct filter entries[FILTERS_MAX];
	uint64_t clock;
};

static const struct json *section(const struct ocispec *s)
{
	return path_get(s, "linux.seccomp");
}

static int compile(const struct json *seccomp, void **ret, size_t *ret_len, struct ocispec_error *err)
{
	_cleanup_module_ struct module m = { 0 };
	int r = module_open("seccomp", &m, err);

	return r ? r : ((const struct seccomp_module *)m.table)->compile(seccomp, ret, ret_len, err);
}

PUBLIC int ocispec_seccomp_compile(const struct ocispec *s, void **ret, size_t *ret_len,
				   struct ocispec_error *err)
{
	if (!s || !ret || !ret_len)
		return err_sysr(err, -EINVAL, "compile seccomp filter");
	if (!section(s))
		return err_set(err, OCISPEC_E_NOT_FOUND, "the document has no linux.seccomp");
	return compile(section(s), ret, ret_len, err);
}

static int compile_text(const struct json *seccomp, char **ret, struct ocispec_error *err)
{
	_cleanup_free_ void *program = NULL;
	_cleanup_str_ struct str text = STR_INIT;
	size_t len;
	int r = compile(seccomp, &program, &len, err);

	if (r)
		return r;
	str_append_base64(&text, program, len);
	*ret = str_take(&text, NULL);
	return *ret ? 0 : err_oom(err);
}

PUBLIC int ocispec_filters_new(struct ocispec_filters **ret)
{
	struct ocispec_filters *f;

	if (!ret)
		return -EINVAL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	pthread_mutex_init(&f->lock, NULL);
	*ret = f;
	return 0;
}

PUBLIC struct ocispec_filters *ocispec_filters_free(struct ocispec_filters *f)
{
	if (!f)
		return NULL;
	for (size_t i = 0; i < FILTERS_MAX; i++) {
		free(f->entries[i].key);
		free(f->entries[i].base64);
	}
	pthread_mutex_destroy(&f->lock);
	free(f);
	return NULL;
}

/* The entry of that key, or the one that is to make room for it. */
static struct filter *entry(struct ocispec_filters *f, const char *key)
{
	struct filter *oldest = &f->entries[0];

	for (struct filter *e = f->entries; e < f->entries + FILTERS_MAX; e++) {
		if (e->key && streq(e->key, key))
			return e;
		if (e->used < oldest->used)
			oldest = e;
	}
	return oldest;
}

/*
 * Compiled under the lock: the second thread that wants the same filter waits for it instead of
 * making it once more. Puts the annotation while it holds the text.
 */
static int put_cached(struct ocispec *s, struct ocispec_filters *f, struct ocispec_error *err)
{
	_cleanup_free_ char *key = NULL, *text = NULL;
	struct filter *e;
	int r = document_print(s, section(s), 0, &key, NULL);

	if (r)
		return err_sysr(err, r < 0 ? r : -EFBIG, "compile seccomp filter");
	e = entry(f, key);
	if (!e->key || !streq(e->key, key)) {
		r = compile_text(section(s), &text, err);
		if (r)
			return r;
		free(e->key);
		free(e->base64);
		e->key = take(key);
		e->base64 = take(text);
	}
	e->used = ++f->clock;
	return ocispec_set_annotation(s, FILTER_ANNOTATION, e->base64);
}

static bool notifies(const struct json *seccomp)
{
	const char *action = json_get_string(seccomp, "defaultAction");
	bool found = json_get_string(seccomp, "listenerPath") || (action && streq(action, "SCMP_ACT_NOTIFY"));

	json_foreach(rule, json_get(seccomp, "syscalls")) {
		action = json_get_string(rule, "action");
		found |= action && streq(action, "SCMP_ACT_NOTIFY");
	}
	return found;
}

PUBLIC int ocispec_hand_filter_to_crun(struct ocispec *s, struct ocispec_filters *cache,
				       struct ocispec_error *err)
{
	_cleanup_free_ char *text = NULL;
	int r;

	if (!s)
		return err_sysr(err, -EINVAL, "hand over seccomp filter");
	if (!section(s))
		return err_set(err, OCISPEC_E_NOT_FOUND, "the document has no linux.seccomp");
	if (notifies(section(s)))
		return err_set(err, OCISPEC_E_NOT_FOUND, "a filter that notifies is the runtime's to make");
	if (!cache) {
		r = compile_text(section(s), &text, err);
		return r ? r : ocispec_set_annotation(s, FILTER_ANNOTATION, text);
	}
	pthread_mutex_lock(&cache->lock);
	r = put_cached(s, cache, err);
	pthread_mutex_unlock(&cache->lock);
	return r;
}
