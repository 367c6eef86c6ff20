/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One plugin call: find the program, run the plan, read the answer. Exit status 0 is success;
 * anything else is an error that the plugin describes on stdout as {code, msg, details}, or, when
 * it does not, by whatever it wrote. The words are libcni's, which people and scripts look for;
 * what libcni does not tell (the network, the code, stderr beside an error object) stands around
 * them.
 */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include "private.h"

/* A program that is being replaced on disk cannot be started for a moment: 5.6 s in all. */
#define BUSY_TRIES 10
#define BUSY_WAIT_MS 50 /* doubled each time */
#define BUSY_WAIT_MAX_MS 1000

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
	dirs = strv_join(c->o.plugin_dirs, " ");
	return err_set(err, CNIC_E_INVALID, "failed to find plugin \"%.64s\" in path [%s]", type,
		       dirs ? dirs : "");
}

static void wait_a_little(int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

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
	void *user = c->o.run == run_default && plan->finish ? NULL : c->o.user;
	int r = -ETXTBSY;

	for (int i = 0, ms = BUSY_WAIT_MS; i < BUSY_TRIES && r == -ETXTBSY; i++) {
		int left = remaining_ms(deadline);

		if (left == 0)
			return CNIC_E_TIMEOUT;
		if (i > 0) {
			wait_a_little(left < 0 || left > ms ? ms : left);
			ms = ms * 2 > BUSY_WAIT_MAX_MS ? BUSY_WAIT_MAX_MS : ms * 2;
		}
		r = c->o.run(user, path, env, plan->input, plan->input_len, left, &a->out,
			     &a->out_len, &a->errout, &a->status);
	}
	return r;
}

/* As Go calls the signals. */
static const char *signal_text(int sig)
{
	static const char *const names[] = {
		[SIGHUP] = "hangup",	      [SIGINT] = "interrupt",
		[SIGQUIT] = "quit",	      [SIGILL] = "illegal instruction",
		[SIGABRT] = "aborted",	      [SIGBUS] = "bus error",
		[SIGKILL] = "killed",	      [SIGFPE] = "floating point exception",
		[SIGPIPE] = "broken pipe",    [SIGSEGV] = "segmentation fault",
		[SIGALRM] = "alarm clock",    [SIGTERM] = "terminated",
		[SIGTRAP] = "trace/breakpoint trap",
	};

	return sig > 0 && (size_t)sig < ARRAY_SIZE(names) ? names[sig] : NULL;
}

static void describe_end(struct str *s, int status)
{
	int sig = WTERMSIG(status);

	if (WIFEXITED(status))
		str_appendf(s, "exit status %d", WEXITSTATUS(status));
	else if (signal_text(sig))
		str_appendf(s, "signal: %s", signal_text(sig));
	else
		str_appendf(s, "signal: signal %d", sig);
	if (WIFSIGNALED(status) && WCOREDUMP(status))
		str_append(s, " (core dumped)");
}

static void append_stderr(struct str *s, const char *before, const char *errout)
{
	if (!errout || !*errout)
		return;
	str_append(s, before);
	text_append_quoted(s, errout, strlen(errout));
}

/* The plugin's own error object; the reason when it is none. */
static const char *describe_error_object(struct str *s, const struct answer *a, unsigned *ret_code,
					 struct cb_error *why)
{
	_cleanup_json_ struct json_doc *doc = NULL;
	const struct json *root, *msg, *details;
	int64_t code;

	if (text_parse_json(a->out, a->out_len, 0, &doc, why))
		return why->message;
	root = json_root(doc);
	msg = json_get(root, "msg");
	details = json_get(root, "details");
	code = json_get_int(root, "code", 0);
	if ((!msg || msg->type != JSON_STRING || !msg->len) && code == 0)
		return "neither code nor msg";
	if (code < 0 || code > UINT32_MAX)
		code = 999;
	*ret_code = (unsigned)code;
	if (msg && msg->type == JSON_STRING)
		text_append_clean(s, msg->string, msg->len);
	if (details && details->type == JSON_STRING && details->len) {
		str_append(s, "; ");
		text_append_clean(s, details->string, details->len);
	}
	str_appendf(s, " (code %u", *ret_code);
	append_stderr(s, ", stderr ", a->errout);
	str_append_char(s, ')');
	return NULL;
}

/* One that ended badly and said something that is no error object, or nothing. */
static void describe_babble(struct str *s, const struct answer *a, const char *why)
{
	if (a->out_len) {
		str_append(s, "netplugin failed but error parsing its diagnostic message ");
		text_append_quoted(s, a->out, a->out_len);
		str_appendf(s, ": %s (", why);
		describe_end(s, a->status);
		append_stderr(s, ", stderr ", a->errout);
		str_append_char(s, ')');
	} else if (a->errout && *a->errout) {
		append_stderr(s, "netplugin failed: ", a->errout);
		str_append(s, " (");
		describe_end(s, a->status);
		str_append_char(s, ')');
	} else {
		str_append(s, "netplugin failed with no error message: ");
		describe_end(s, a->status);
	}
}

static int plugin_failed(const struct answer *a, struct cnic_error *err)
{
	_cleanup_str_ struct str s = STR_INIT;
	struct cb_error parse = { 0 };
	const char *why;
	unsigned code = 0;

	why = describe_error_object(&s, a, &code, &parse);
	if (why)
		describe_babble(&s, a, why);
	if (err)
		err->plugin_code = code;
	return err_set(err, CNIC_E_PLUGIN, "%s", str_failed(&s) ? "netplugin failed" : s.data);
}

static int run_failed(int r, const char *path, const char *errout, struct cnic_error *err)
{
	_cleanup_str_ struct str s = STR_INIT;
	const char *said;

	append_stderr(&s, "; stderr ", errout);
	said = s.len && !str_failed(&s) ? s.data : "";
	switch (r) {
	case CNIC_E_TIMEOUT:
		return err_set(err, r, "timed out%s", said);
	case -EBUSY:
		return err_set(err, CNIC_E_TIMEOUT,
			       "timed out: it has ended, but a process it started kept its output open%s",
			       said);
	case CNIC_E_CANCELLED:
		return err_set(err, r, "cancelled%s", said);
	case -EFBIG:
		return err_set(err, CNIC_E_INVALID, "wrote more than %u bytes%s", CNIC_OUTPUT_MAX,
			       said);
	default:
		return r > 0 ? err_set(err, r, "%s could not be run", path)
			     : err_sysr(err, r, "run %s", path);
	}
}

int plugin_run(struct cnic *c, const char *path, const struct plan *plan, int64_t deadline,
	       struct json_doc **ret, struct cnic_error *err)
{
	_cleanup_(answer_done) struct answer a = { 0 };
	struct cb_error why = { 0 };
	int r;

	r = run(c, path, plan, deadline, &a);
	if (r)
		return run_failed(r, path, a.errout, err);
	if (a.out_len > CNIC_OUTPUT_MAX)
		return run_failed(-EFBIG, path, a.errout, err);
	if (!WIFEXITED(a.status) || WEXITSTATUS(a.status) != 0)
		return plugin_failed(&a, err);
	if (!ret)
		return 0;
	r = text_parse_json(a.out, a.out_len, 0, ret, &why);
	if (r == -EINVAL)
		return err_set(err, CNIC_E_INVALID, "failed to unmarshal raw result: %s",
			       why.message);
	return r ? err_sysr(err, r, "read its answer") : 0;
}

static int call_found(struct cnic *c, const struct cnic_network *n, size_t i, const struct call *call,
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

/* What libcni calls the operations in its errors. */
static const char *command_text(const char *command)
{
	static const char *const names[][2] = {
		{ "ADD", "add" }, { "DEL", "delete" }, { "CHECK", "check" },
		{ "GC", "gc" },	  { "STATUS", "status" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (streq(names[i][0], command))
			return names[i][1];
	return command;
}

int plugin_call(struct cnic *c, const struct cnic_network *n, size_t i, const struct call *call,
		int64_t deadline, struct cnic_result **ret_result, struct cnic_error *err)
{
	const char *type = n->plugins[i].type, *name = json_get_string(n->plugins[i].conf, "name");
	_cleanup_free_ char *path = NULL;
	int r;

	r = plugin_find(c, type, &path, NULL, err);
	if (r == 0)
		r = call_found(c, n, i, call, path, deadline, ret_result, err);
	if (r == 0)
		return 0;
	if (name && *name && utf8_valid(name, strlen(name)))
		err_ctx(err, r, "plugin type=\"%.64s\" name=\"%.64s\" failed (%s)", type, name,
			command_text(call->command));
	else
		err_ctx(err, r, "plugin type=\"%.64s\" failed (%s)", type,
			command_text(call->command));
	return err_ctx(err, r, "network \"%s\"", n->name);
}
