/* SPDX-License-Identifier: Apache-2.0 */
/* RPCs about the runtime itself. */
#include <cbase/json.h>
#include "cri.h"
#include "cri_pairs.h"
#include "errors.h"
#include "version.h"

static void version(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	Runtime__V1__VersionResponse m = RUNTIME__V1__VERSION_RESPONSE__INIT;

	m.version = cri_text("0.1.0");	/* of the kubelet's runtime API, unchanged since ever */
	m.runtime_name = cri_text("crid");
	m.runtime_version = cri_text(CRID_VERSION);
	m.runtime_api_version = cri_text("v1");
	crisvc_cri_free(q);
	call_reply(call, &m.base);
}

static Runtime__V1__RuntimeCondition *condition(struct arena *a, const char *type, bool ok, const char *reason,
						const char *message)
{
	Runtime__V1__RuntimeCondition *m = cri_message(a, &runtime__v1__runtime_condition__descriptor);

	if (!m)
		return NULL;
	m->type = cri_text(type);
	m->status = ok;
	m->reason = cri_text(ok ? "" : reason);
	m->message = cri_text(ok ? "" : message);
	return m;
}

static Runtime__V1__RuntimeHandlerFeatures *features_of(struct arena *a, const struct runtime_handler *h)
{
	Runtime__V1__RuntimeHandlerFeatures *m = cri_message(a, &runtime__v1__runtime_handler_features__descriptor);

	if (!m)
		return NULL;
	m->recursive_read_only_mounts = h->recursive_ro;
	/* volumes of such a pod need them */
	m->user_namespaces = h->idmap_mounts;
	return m;
}

/* One for every handler, and one without a name for the default. */
static void set_handlers(struct arena *a, const struct config *c, Runtime__V1__StatusResponse *m)
{
	size_t i;

	m->runtime_handlers = arena_alloc(a, (c->n_runtimes + 1) * sizeof(*m->runtime_handlers));
	for (i = 0; m->runtime_handlers && i <= c->n_runtimes; i++) {
		Runtime__V1__RuntimeHandler *h = cri_message(a, &runtime__v1__runtime_handler__descriptor);

		if (!h)
			return;
		h->name = cri_text(i < c->n_runtimes ? c->runtimes[i].name : "");
		h->features = features_of(a, config_runtime(c, h->name));
		m->runtime_handlers[m->n_runtime_handlers++] = h;
	}
}

static char *verbose_config(struct arena *a, const struct config *c)
{
	_cleanup_str_ struct str s = STR_INIT;

	str_append(&s, "{\"sandboxImage\":");
	json_quote(&s, c->pause_image, strlen(c->pause_image), 0);
	str_append(&s, ",\"crio\":");
	config_json(c, &s);
	str_append_char(&s, '}');
	return s.failed ? NULL : arena_strdup(a, s.data);
}

static void status(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	Runtime__V1__StatusResponse m = RUNTIME__V1__STATUS_RESPONSE__INIT;
	Runtime__V1__RuntimeStatus st = RUNTIME__V1__RUNTIME_STATUS__INIT;
	Runtime__V1__RuntimeFeatures features = RUNTIME__V1__RUNTIME_FEATURES__INIT;
	Runtime__V1__RuntimeCondition *conditions[2];
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	char *pairs[] = { cri_text("config"), NULL, NULL };
	struct arena *a = &arena;

	conditions[0] = condition(a, "RuntimeReady", true, "", "");
	conditions[1] = condition(a, "NetworkReady", d->network_ready, "NetworkPluginNotReady", d->network_message);
	st.conditions = conditions;
	st.n_conditions = ARRAY_SIZE(conditions);
	features.supplemental_groups_policy = true;
	features.user_namespaces_host_network = true;
	features.mount_options = true;
	m.status = &st;
	m.features = &features;
	set_handlers(a, d->config, &m);
	if (((Runtime__V1__StatusRequest *)q)->verbose) {
		pairs[1] = verbose_config(a, d->config);
		m.info = pairs_to_entries(a, pairs, &runtime__v1__status_response__info_entry__descriptor, &m.n_info);
	}
	crisvc_cri_free(q);
	cri_reply(call, &m.base, a);
}

static void runtime_config(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	Runtime__V1__RuntimeConfigResponse m = RUNTIME__V1__RUNTIME_CONFIG_RESPONSE__INIT;
	Runtime__V1__LinuxRuntimeConfiguration l = RUNTIME__V1__LINUX_RUNTIME_CONFIGURATION__INIT;

	l.cgroup_driver = d->config->systemd_cgroups ? RUNTIME__V1__CGROUP_DRIVER__SYSTEMD :
		RUNTIME__V1__CGROUP_DRIVER__CGROUPFS;
	m.linux = &l;
	crisvc_cri_free(q);
	call_reply(call, &m.base);
}

/* The pod CIDR is the CNI configuration's business. */
static void update_runtime_config(struct daemon *d, struct crisvc_call *call, ProtobufCMessage *q)
{
	Runtime__V1__UpdateRuntimeConfigResponse m = RUNTIME__V1__UPDATE_RUNTIME_CONFIG_RESPONSE__INIT;

	crisvc_cri_free(q);
	call_reply(call, &m.base);
}

const struct cri_rpc cri_runtime_rpcs[] = {
	{ "Version", version },
	{ "Status", status },
	{ "RuntimeConfig", runtime_config },
	{ "UpdateRuntimeConfig", update_runtime_config },
	{ NULL, NULL },
};
