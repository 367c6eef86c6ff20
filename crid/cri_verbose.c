/* SPDX-License-Identifier: Apache-2.0 */
/* See cri_verbose.h. */
#include <cbase/io.h>
#include <cbase/json.h>
#include "cri_verbose.h"
#include "errors.h"

struct verbose_job {
	struct job job;
	struct daemon *d;
	struct waiters caller;
	struct arena arena;
	const char *id, *dir, *image, *pod;
	pid_t pid;
	bool privileged;
	cri_verbose_reply reply;
	struct str info;
};

static void member(struct str *s, const char *key, const char *value)
{
	str_append_char(s, s->len > 1 ? ',' : '{');
	json_quote(s, key, strlen(key), 0);
	str_append_char(s, ':');
	json_quote(s, value, strlen(value), 0);
}

static void run(struct job *job)
{
	struct verbose_job *j = (struct verbose_job *)job;
	_cleanup_free_ char *path = strf("%s/config.json", j->dir), *spec = NULL;

	if (j->pod)
		member(&j->info, "sandboxID", j->pod);
	else
		member(&j->info, "image", j->image);
	str_appendf(&j->info, ",\"pid\":%d", (int)j->pid);
	if (path && !read_file(path, CONFIG_JSON_MAX, &spec, NULL))
		str_appendf(&j->info, ",\"runtimeSpec\":%s", spec);
	if (j->pod)
		str_appendf(&j->info, ",\"privileged\":%s", j->privileged ? "true" : "false");
	str_append_char(&j->info, '}');
}

static void done(struct job *job)
{
	struct verbose_job *j = (struct verbose_job *)job;
	struct crisvc_call *call = waiters_take(&j->caller);

	if (call && j->info.failed)
		call_fail(call, -ENOMEM, &(struct cb_error){ .message = "out of memory" });
	else if (call)
		j->reply(j->d, call, j->id, j->info.data);
	str_done(&j->info);
	arena_done(&j->arena);
	free(j);
}

void cri_verbose(struct daemon *d, struct crisvc_call *call, const char *id, const char *dir, pid_t pid,
		 const char *image, const char *pod, bool privileged, cri_verbose_reply reply)
{
	struct verbose_job *j = calloc(1, sizeof(*j));

	if (!j)
		abort();
	*j = (struct verbose_job){ .job = { .run = run, .done = done }, .d = d, .pid = pid, .privileged = privileged,
		.reply = reply };
	j->id = arena_strdup(&j->arena, id);
	j->dir = arena_strdup(&j->arena, dir);
	j->image = arena_strdup(&j->arena, image);
	j->pod = arena_strdup(&j->arena, pod);
	waiters_add(&j->caller, call);
	jobs_submit(d->jobs, LANE_EXEC, &j->job);
}
