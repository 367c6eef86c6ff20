/* SPDX-License-Identifier: Apache-2.0 */
/* Parsers whose n-th allocation fails, for every n: they say so, and leave nothing. */
#include <cbase/digest.h>
#include "config.h"
#include "manifest.h"
#include "policy.h"
#include "registries.h"
#include "signature.h"
#include "unit.h"

/* ---- allocations of the library (linked with --wrap) ---- */

static unsigned long seen, fail_at;

static bool fails(void)
{
	return fail_at && ++seen == fail_at;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n)
{
	return fails() ? NULL : __real_strndup(text, n);
}

/* ---- parsers ---- */

static struct scratch s;
static char *path;

static int run_ref(struct cimage_error *err)
{
	struct cimage_ref *r;
	int k = cimage_ref_parse("example.com:5000/a/b:tag@" SHA, 0, &r, err);

	if (!k)
		cimage_ref_free(r);
	return k;
}

#define CONFIG "{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"" SHA "\",\"size\":2}"
#define ONE_LAYER "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"" SHA "\",\"size\":3}"

static int run_manifest(struct cimage_error *err)
{
	static const char text[] = "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[" ONE_LAYER "," ONE_LAYER "],\"annotations\":{\"a\":\"b\"}}";
	struct manifest *m;
	int k = manifest_parse(text, strlen(text), NULL, &m, err);

	if (!k)
		manifest_free(m);
	return k;
}

static int run_config(struct cimage_error *err)
{
	static const char text[] = "{\"os\":\"linux\",\"created\":\"2020-01-01T00:00:00Z\",\"config\":{\"User\":\"a\xff\",\"Env\":[\"A=b\",\"C=d\"],"
				   "\"Cmd\":[\"sh\"],\"Labels\":{\"k\\u0000\":\"v\"},\"Volumes\":{\"/v\":{}}},\"rootfs\":{\"diff_ids\":[\"" SHA "\"]}}";
	struct cimage_config *c;
	int k = cimage_config_parse(text, strlen(text), &c, err);

	if (!k)
		cimage_config_free(c);
	return k;
}

static int run_context(struct cimage_error *err)
{
	struct cimage_context *c;
	char **found;
	int k = cimage_context_new(&c);

	if (k)
		return k;
	k = cimage_context_set_registries_conf(c, path);
	if (!k)
		k = cimage_context_set_registries_conf_dir(c, "");
	if (!k)
		k = cimage_resolve(c, "short", &found, err);
	if (!k)
		cimage_strv_free(found);
	cimage_context_free(c);
	return k;
}

static int run_signature(struct cimage_error *err)
{
	static const char text[] = "\0sigstore-json\n{\"mimeType\":\"application/x\",\"payload\":\"eA==\",\"annotations\":{\"a\":\"b\"}}";
	struct signature sig;
	int k = signature_parse(text, sizeof(text) - 1, &sig, err);

	if (!k)
		signature_done(&sig);
	return k;
}

static const struct {
	const char *name;
	int (*run)(struct cimage_error *err);
} parsers[] = {
	{ "reference", run_ref },     { "manifest", run_manifest },   { "config", run_config },
	{ "registries", run_context }, { "signature", run_signature },
};

START_TEST(each_allocation_that_fails_is_said)
{
	struct cimage_error err;
	unsigned long n;
	int r;

	scratch_make(&s);
	path = scratch_write(&s, "registries.conf", "unqualified-search-registries = [\"a.example\", \"b.example\"]\nshort-name-mode = \"disabled\"\n"
			     "[[registry]]\nprefix = \"a.example/x\"\nlocation = \"b.example\"\n[[registry.mirror]]\nlocation = \"c.example\"\n"
			     "[aliases]\n\"one\" = \"a.example/one\"\n");
	for (n = 1; n < 100000; n++) {
		err = (struct cimage_error){ 0 };
		seen = 0;
		fail_at = n;
		r = parsers[_i].run(&err);
		fail_at = 0;
		if (seen < n)
			break;
		ck_assert_msg(r == -ENOMEM, "%s: allocation %lu: %d, %s", parsers[_i].name, n, r, err.message);
	}
	ck_assert_msg(r == 0, "%s: %s", parsers[_i].name, err.message);
	ck_assert_uint_gt(n, 1);
	free(path);
	scratch_remove(&s);
}
END_TEST

START_TEST(nothing_else)
{
}
END_TEST

RUN_LOOP_TESTS("no_memory", each_allocation_that_fails_is_said, ARRAY_SIZE(parsers), nothing_else)
