/* SPDX-License-Identifier: Apache-2.0 */
/* The RPCs that answer with an URL: Exec, Attach, PortForward. */
#include <crisvc-streaming.h>
#include "cri.h"
#include "errors.h"
#include "streaming.h"

static int stream_flags(bool in, bool out, bool err, bool tty)
{
	return (in ? CRISVC_STREAM_STDIN : 0) | (out ? CRISVC_STREAM_STDOUT : 0) | (err ? CRISVC_STREAM_STDERR : 0) |
	       (tty ? CRISVC_STREAM_TTY : 0);
}

/* Takes over target. */
static void submit(struct daemon *d, struct crisvc_call *call, struct stream_target *t,
		   const ProtobufCMessageDescriptor *response)
{
	if (!t || arena_failed(&t->arena)) {
		call_fail(call, -ENOMEM, &(struct cb_error){ .message = "out of memory" });
		stream_target_free(t);
		return;
	}
	streaming_expect(d->streaming, call, t, response);
}

/* NULL: out of memory */
static struct stream_target *target_of_container(const struct container *c, int kind, int flags)
{
	const struct container_info *i = c->info;
	struct stream_target *t = stream_target_new();

	if (!t)
		return NULL;
	t->kind = kind;
	t->flags = flags;
	t->id = arena_strdup(&t->arena, i->id);
	t->handler = config_runtime(c->d->config, i->handler);
	t->dir = arena_strdup(&t->arena, i->dir);
	t->run_dir = arena_strdup(&t->arena, i->run_dir);
	t->uid = i->uid;
	t->gid = i->gid;
	t->tty = i->tty;
	t->stdin = i->stdin;
	t->stdin_once = i->stdin_once;
	return t;
}

static int check_container(const struct container *c, bool created, struct cb_error *err)
{
	if (!c->want_stop && (c->state == CONTAINER_RUNNING || (created && c->state == CONTAINER_CREATED)))
		return config_runtime(c->d->config, c->info->handler) ? 0 :
			err_set(err, E_UNAVAILABLE, "runtime handler %s is not configured", c->info->handler);
	return err_set(err, E_STATE, "container %s is not running but %s", c->info->id,
		       c->want_stop ? "stopping" : container_state_name(c->state));
}

static void exec_rpc(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *m)
{
	const Runtime__V1__ExecRequest *q = (Runtime__V1__ExecRequest *)m;
	struct container *c = daemon_find_container(d, q->container_id);
	struct stream_target *t;
	struct cb_error err = { 0 };
	size_t i;
	int r;

	if (!*q->container_id)
		call_fail(call, err_set(&err, E_INVALID, "missing required container_id"), &err);
	else if (!c)
		cri_not_found(call, "container", q->container_id);
	else if (!q->n_cmd || !*q->cmd[0])
		call_fail(call, err_set(&err, E_INVALID, "exec in container %s: cmd is empty", c->info->id), &err);
	else if ((r = check_container(c, false, &err)))
		call_fail(call, r, &err);
	else {
		t = target_of_container(c, CRISVC_STREAM_EXEC, stream_flags(q->stdin, q->stdout, q->stderr, q->tty));
		if (t)
			t->args = arena_alloc(&t->arena, (q->n_cmd + 1) * sizeof(*t->args));
		for (i = 0; t && t->args && i < q->n_cmd; i++)
			t->args[i] = arena_strdup(&t->arena, q->cmd[i]);
		submit(d, call, t, &runtime__v1__exec_response__descriptor);
	}
	crisvc_cri_free(m);
}

static void attach_rpc(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *m)
{
	const Runtime__V1__AttachRequest *q = (Runtime__V1__AttachRequest *)m;
	struct container *c = daemon_find_container(d, q->container_id);
	struct cb_error err = { 0 };
	int r;

	if (!*q->container_id)
		call_fail(call, err_set(&err, E_INVALID, "missing required container_id"), &err);
	else if (!c)
		cri_not_found(call, "container", q->container_id);
	else if ((r = check_container(c, true, &err)))
		call_fail(call, r, &err);
	else
		submit(d, call, target_of_container(c, CRISVC_STREAM_ATTACH, stream_flags(q->stdin, q->stdout, q->stderr, q->tty)),
		       &runtime__v1__attach_response__descriptor);
	crisvc_cri_free(m);
}

static int copy_ports(struct stream_target *t, const Runtime__V1__PortForwardRequest *q, struct cb_error *err)
{
	t->ports = arena_alloc(&t->arena, (q->n_port + 1) * sizeof(*t->ports));
	for (; t->ports && t->n_ports < q->n_port; t->n_ports++) {
		int32_t port = q->port[t->n_ports];

		if (port < 1 || port > UINT16_MAX)
			return err_set(err, E_INVALID, "port-forward: %d is not a port", (int)port);
		t->ports[t->n_ports] = (uint16_t)port;
	}
	return 0;
}

static void port_forward_rpc(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *m)
{
	const Runtime__V1__PortForwardRequest *q = (Runtime__V1__PortForwardRequest *)m;
	struct pod *p = daemon_find_pod(d, q->pod_sandbox_id);
	struct stream_target *t = NULL;
	struct cb_error err = { 0 };
	int r = 0;

	if (!*q->pod_sandbox_id)
		call_fail(call, err_set(&err, E_INVALID, "missing required pod_sandbox_id"), &err);
	else if (!p)
		cri_not_found(call, "pod", q->pod_sandbox_id);
	else if (p->state != POD_READY)
		call_fail(call, err_set(&err, E_STATE, "pod %s is not ready", p->info->id), &err);
	else {
		t = stream_target_new();
		if (t) {
			t->kind = CRISVC_STREAM_PORT_FORWARD;
			t->id = arena_strdup(&t->arena, p->info->id);
			t->netns = arena_strdup(&t->arena, p->info->netns);
			r = copy_ports(t, q, &err);
		}
		if (r) {
			call_fail(call, r, &err);
			stream_target_free(t);
		} else {
			submit(d, call, t, &runtime__v1__port_forward_response__descriptor);
		}
	}
	crisvc_cri_free(m);
}

const struct cri_rpc cri_streaming_rpcs[] = {
	{ "Exec", exec_rpc },
	{ "Attach", attach_rpc },
	{ "PortForward", port_forward_rpc },
	{ NULL, NULL },
};
