/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation fails once: each time the caller is told, and nothing leaks (under ASan). */
#include "unit.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static long until_failure = -1;

static int fails(void)
{
	return until_failure >= 0 && until_failure-- == 0;
}

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

/* As fake_run(), with allocations of its own left alone. */
static int quiet_run(void *user, const char *path, const char *const *env, const char *input,
		     size_t input_len, int timeout_ms, char **ret_out, size_t *ret_out_len,
		     char **ret_errout, int *ret_status)
{
	long saved = until_failure;
	int r;

	until_failure = -1;
	r = fake_run(user, path, env, input, input_len, timeout_ms, ret_out, ret_out_len,
		     ret_errout, ret_status);
	until_failure = saved;
	return r;
}

static int look(void *user, const struct cnic_attachment *a, const struct cnic_result *result)
{
	return 0;
}

static int whole_life(void)
{
	struct cnic_attachment a = { .size = sizeof(a),
				     .container_id = "c1",
				     .netns = "/n",
				     .capabilities = "{\"x\":1}",
				     .timeout_ms = -1 };
	struct cnic_options *o = NULL;
	struct cnic_result *result = NULL;
	struct cnic *c = NULL;
	struct cnic_error err;
	const struct cnic_attachment *const all[] = { &a };
	struct cnic_network **networks = NULL;
	struct cnic_watch *w = NULL;
	char **ids = NULL;
	int r, changed;

	r = cnic_options_new(&o);
	if (r == 0)
		r = cnic_options_set_conf_dir(o, at("conf"));
	if (r == 0)
		r = cnic_options_set_cache_dir(o, at("cache"));
	if (r == 0)
		r = cnic_options_add_plugin_dir(o, at("bin"));
	if (r == 0)
		r = cnic_options_set_runner(o, quiet_run, NULL);
	if (r == 0)
		r = cnic_new(o, &c);
	cnic_options_free(o);
	if (r == 0)
		r = cnic_reload(c, &err);
	if (r == 0)
		r = cnic_attach(c, &a, &result, &err);
	if (r == 0)
		r = cnic_check(c, &a, &err);
	if (r == 0)
		r = cnic_cached_containers(c, &ids, &err);
	if (r == 0)
		r = cnic_detach(c, &a, &err);
	if (r == 0)
		r = cnic_attach_all(c, all, 1, NULL, &err);
	if (r == 0)
		r = cnic_networks(c, &networks);
	if (r == 0)
		r = cnic_watch_new(c, &w, &err);
	if (r == 0)
		r = cnic_watch_dispatch(w, &changed, &err);
	if (r == 0)
		r = cnic_cached_each(c, NULL, look, NULL, &err);
	if (r == 0)
		r = cnic_gc(c, NULL, NULL, -1, &err);
	cnic_watch_free(w);
	cnic_networks_free(networks);
	cnic_result_free(result);
	cnic_strv_free(ids);
	cnic_free(c);
	return r;
}

START_TEST(every_failed_allocation_is_reported)
{
	static const struct answer_given good[] = {
		{ .call = "ADD one",
		  .out = "{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.0.0.9/24\"}]}" }
	};
	int r = -ENOMEM;
	long n;

	put("bin/one", "");
	put("conf/10.conflist",
	    "{\"name\":\"n\",\"cniVersion\":\"1.1.0\",\"plugins\":[{\"type\":\"one\",\"capabilities\":{\"x\":true}}]}");
	fake_answers(good, 1);
	for (n = 0; r == -ENOMEM && n < 5000; n++) {
		until_failure = n;
		r = whole_life();
		until_failure = -1;
		fake_forget();
		unlink(at("cache/n-c1-eth0"));
	}
	ck_assert_msg(r == 0, "allocation %ld: %d", n, r);
	ck_assert_int_gt(n, 50);
}
END_TEST

RUN_TESTS_WITH("memory", scratch_setup, scratch_teardown, every_failed_allocation_is_reported)
