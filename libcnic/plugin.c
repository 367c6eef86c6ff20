/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One plugin call: find the program, run the plan, read the answer. Exit status 0 is success;
 * anything else is an error that the plugin describes on stdout as {code, msg, details}, or, when
 * it does not, by whatever it wrote.
 */
#include <sys/wait.h>
#include <time.h>
#include "private.h"

/* A program that is being replaced on disk cannot be started for a moment. */
#define BUSY_TRIES 6
#define BUSY_WAIT_MS 50 /* doubled each time: 1.5 s in all */

int64_t deadline_after(int timeout_ms)
{
	return timeout_ms < 0 ? INT64_MAX : mono_ns() + timeout_ms * 1000000LL;
}

static int remaining_ms(int64_t deadline)
{
	int64_t left;

	if (deadline == INT64_MAX)
		return -1;
	left = (deadline - mono_ns()) / 1000000;
	return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

int plugin_find(const struct cnic *c, const char *type, char **ret, struct stat *ret_st,
		struct cnic_error *err)
{
	_cleanup_free_ char *dirs = NULL;
	struct stat st;

	if (!plugin_type_valid(type))
		return err_set(err, CNIC_E_INVALID, "invalid plugin type");
	for (char **d = c->o.plugin_dirs; *d; d++) {
		char *path = strf("%s/%s", *d, type);

		if (!path)
			return err_oom(err);
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
			*ret = path;
			if (ret_st)
				*ret_st = st;
			return 0;
		}
		free(path);
	}
	dirs = strv_join(c->o.plugin_dirs, ", ");
	return err_set(err, CNIC_E_INVALID, "plugin \"%.64s\" not found in %s", type,
		       dirs ? dirs : "its directories");
}

static void wait_a_little(int ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000L };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

struct answer {
	char *out, *errout;
	size_t out_len;
	int status;
};

static void answer_done(struct answer *a)
{
	free(a->out);
	free(a->errout);
}

static int run(struct cnic *c, const char *path, const struct plan *plan, int64_t deadline,
	       struct answer *a)
{
	const char *const *env = (const char *const *)plan->env;
	int r = -ETXTBSY;

	for (int i = 0, ms = BUSY_WAIT_MS; i < BUSY_TRIES && r == -ETXTBSY; i++, ms *= 2) {
		int left = remaining_ms(deadline);

		if (left == 0)
			return CNIC_E_TIMEOUT;
		if (i > 0)
			wait_a_little(left < 0 || left > ms ? ms : left);
		r = c->o.run(c->o.user, path, env, plan->input, plan->input_len, left, &a->out,
			     &a->out_len, &a->errout, &a->status);
	}
	return r;
}

static void describe_end(struct str *s, int status)
{
	if (WIFSIGNALED(status))
		str_appendf(s, "killed by signal %d", WTERMSIG(status));
	else
		str_appendf(s, "exit status %d", WEXITSTATUS(status));
}

/* The plugin's own error object. */
static bool describe_error_object(struct str *s, const struct answer *a, unsigned *ret_code)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	const struct json *root, *msg, *details;
	int64_t code;

	if (text_parse_json(a->out, a->out_len, 0, &doc, NULL))
		return false;
	root = json_root(doc);
	msg = json_get(root, "msg");
	details = json_get(root, "details");
	code = json_get_int(root, "code", 0);
	if ((!msg || msg->type != JSON_STRING || !msg->len) && code == 0)
		return false;
	if (code < 0 || code > UINT32_MAX)
		code = 999;
	*ret_code = (unsigned)code;
	if (msg && msg->type == JSON_STRING)
		text_append_clean(s, msg->string, msg->len);
	if (details && details->type == JSON_STRING && details->len) {
		str_append(s, "; ");
		text_append_clean(s, details->string, details->len);
	}
	str_appendf(s, " (code %u)", *ret_code);
	return true;
}

static int plugin_failed(const struct answer *a, struct cnic_error *err)
{
	_cleanup_str_ struct str s = STR_INIT;
	unsigned code = 0;

	if (!describe_error_object(&s, a, &code)) {
		str_append(&s, "netplugin failed with ");
		describe_end(&s, a->status);
		if (a->out_len) {
			str_append(&s, ", stdout: ");
			text_append_clean(&s, a->out, a->out_len);
		}
		if (a->errout && *a->errout) {
			str_append(&s, ", stderr: ");
			text_append_clean(&s, a->errout, strlen(a->errout));
		}
	}
	if (err)
		err->plugin_code = code;
	return err_set(err, CNIC_E_PLUGIN, "%s", s.data ? s.data : "netplugin failed");
}

static int run_failed(int r, const char *path, struct cnic_error *err)
{
	if (r == CNIC_E_TIMEOUT)
		return err_set(err, r, "timed out");
	if (r == CNIC_E_CANCELLED)
		return err_set(err, r, "cancelled");
	if (r > 0)
		return err_set(err, r, "%s could not be run", path);
	if (r == -EFBIG)
		return err_set(err, CNIC_E_INVALID, "wrote more than %u bytes", CNIC_OUTPUT_MAX);
	return err_sysr(err, r, "run %s", path);
}

int plugin_run(struct cnic *c, const char *path, const struct plan *plan, int64_t deadline,
	       struct json_doc **ret, struct cnic_error *err)
{
	_cleanup_(answer_done) struct answer a = { 0 };
	struct cb_error why = { 0 };
	int r;

	r = run(c, path, plan, deadline, &a);
	if (r)
		return run_failed(r, path, err);
	if (a.out_len > CNIC_OUTPUT_MAX)
		return run_failed(-EFBIG, path, err);
	if (!WIFEXITED(a.status) || WEXITSTATUS(a.status) != 0)
		return plugin_failed(&a, err);
	if (!ret)
		return 0;
	r = text_parse_json(a.out, a.out_len, 0, ret, &why);
	if (r == -EINVAL)
		return err_set(err, CNIC_E_INVALID, "its answer is not a JSON document: %s",
			       why.message);
	return r ? err_sysr(err, r, "read its answer") : 0;
}

static int call_found(struct cnic *c, const struct network *n, size_t i, const struct call *call,
		      const char *path, int64_t deadline, struct cnic_result **ret_result,
		      struct cnic_error *err)
{
	_cleanup_plan_ struct plan plan = { 0 };
	_cleanup_json_ struct json_doc *doc = NULL;
	int r;

	r = plan_plugin(c, n, i, call, &plan);
	if (r)
		return err_sysr(err, r, "prepare call");
	r = plugin_run(c, path, &plan, deadline, ret_result ? &doc : NULL, err);
	if (r || !ret_result)
		return r;
	return result_parse(json_root(doc), n->version, ret_result, err);
}

int plugin_call(struct cnic *c, const struct network *n, size_t i, const struct call *call,
		int64_t deadline, struct cnic_result **ret_result, struct cnic_error *err)
{
	_cleanup_free_ char *path = NULL;
	int r;

	r = plugin_find(c, n->plugins[i].type, &path, NULL, err);
	if (r == 0)
		r = call_found(c, n, i, call, path, deadline, ret_result, err);
	return err_ctx(err, r, "network \"%s\": plugin type=\"%.64s\" failed (%s)", n->name,
		       n->plugins[i].type, call->command);
}
