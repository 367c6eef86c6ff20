/* SPDX-License-Identifier: Apache-2.0 */
/* exec: a command in a running container, its output when it has ended. */
#include "ctl.h"

static long long opt_timeout;

static int timed_out(void)
{
	complain("the command did not end in %lld seconds and was killed", opt_timeout);
	return EXIT_TIMED_OUT;
}

static void put(const ProtobufCBinaryData *b, FILE *f)
{
	if (b->len)
		fwrite(b->data, 1, b->len, f);
	fflush(f);
}

static bool is_text(const ProtobufCBinaryData *b, const char *text)
{
	return b->len == strlen(text) && !memcmp(b->data, text, b->len);
}

static int run_exec(void *user, int argc, char **argv)
{
	struct ctl *c = user;
	CRI(ExecSyncRequest) request = RUNTIME__V1__EXEC_SYNC_REQUEST__INIT;
	_cleanup_reply_ CRI(ExecSyncResponse) *reply = NULL;
	_cleanup_(object_done) struct object o = { 0 };
	struct crisvc_error err;

	if (object_find(c, OBJECT_CONTAINER, argv[0], &o))
		return EXIT_NOT_RUN;
	request.container_id = o.id;
	request.cmd = argv + 1;
	request.n_cmd = (size_t)argc - 1;
	request.timeout = opt_timeout;
	reply = ctl_call(c, "ExecSync", &request.base,
			 opt_timeout ? opt_timeout + CALL_TIMEOUT : NO_TIMEOUT, &err);
	if (!reply && opt_timeout && err.code == CRISVC_E_STATUS &&
	    err.grpc_status == CRISVC_DEADLINE_EXCEEDED)
		return timed_out();	/* how containerd reports it */
	if (!reply) {
		ctl_complain(c, "ExecSync", &err);
		return EXIT_NOT_RUN;
	}
	if (c->json) {
		if (message_print(reply, 0))
			return EXIT_NOT_RUN;
	} else {
		put(&reply->stdout, stdout);
		if (reply->exit_code >= 0 || !is_text(&reply->stderr, "command timed out"))
			put(&reply->stderr, stderr);	/* CRI's own words; ours say more */
	}
	return reply->exit_code < 0 ? timed_out() : reply->exit_code & 0xff;
}

static const struct opt exec_options[] = {
	{ 't', "timeout", OPT_INT, &opt_timeout, "SECONDS",
	  "kill the command after so long (0: never)" },
	{ 0 },
};

const struct command cmd_exec = {
	"exec",
	"CONTAINER COMMAND...",
	"run a command in a container",
	"The container is named by its id, the beginning of its id, its name, or its pod if\n"
	"that has one only.\n"
	"The exit status is that of the command, 124 when it was killed by --timeout, 125 when\n"
	"it did not run.",
	exec_options,
	true,
	2,
	-1,
	run_exec,
};
