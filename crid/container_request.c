/* SPDX-License-Identifier: Apache-2.0 */
/* See container_request.h. */
#include <cbase/io.h>
#include "container_request.h"
#include "cri_pairs.h"
#include "errors.h"

int container_request_check(const struct pod *p, const Runtime__V1__CreateContainerRequest *q, struct cb_error *err)
{
	const Runtime__V1__ContainerConfig *c = q->config;

	if (!c || !c->metadata || !*c->metadata->name)
		return err_set(err, E_INVALID, "config.metadata.name is missing");
	if (!c->image || !*c->image->image)
		return err_set(err, E_INVALID, "config.image.image is missing");
	if (!q->sandbox_config)
		return err_set(err, E_INVALID, "sandbox_config is missing");
	if (!name_part_valid(c->metadata->name))
		return err_set(err, E_INVALID, "config.metadata.name \"%.300s\" has a '/' or a control byte or is too long",
			       c->metadata->name);
	if (c->n_labels > LIST_ENTRIES_MAX || c->n_annotations > LIST_ENTRIES_MAX || c->n_envs > LIST_ENTRIES_MAX ||
	    c->n_mounts > LIST_ENTRIES_MAX || c->n_devices > LIST_ENTRIES_MAX)
		return err_set(err, E_LIMIT, "container %s: more than %d labels, annotations, variables, mounts or devices",
			       c->metadata->name, LIST_ENTRIES_MAX);
	if (p->state != POD_READY || p->want_stop || p->want_remove)
		return err_set(err, E_STATE, "pod %s is %s", p->info->id, p->want_stop ? "stopping" : pod_state_name(p->state));
	return 0;
}

static size_t count_pairs(char *const *pairs)
{
	size_t n = 0;

	while (pairs && pairs[2 * n])
		n++;
	return n;
}

bool container_request_made(const Runtime__V1__ContainerConfig *q, const struct container_info *i)
{
	return streq(i->user_image, *q->image->user_specified_image ? q->image->user_specified_image : q->image->image) &&
		i->tty == q->tty && i->stdin == q->stdin && i->stdin_once == q->stdin_once &&
		count_pairs(i->labels) == q->n_labels && pairs_match(i->labels, (void *const *)q->labels, q->n_labels) &&
		count_pairs(i->annotations) == q->n_annotations &&
		pairs_match(i->annotations, (void *const *)q->annotations, q->n_annotations);
}

static char *log_path(struct arena *a, const struct pod *p, const Runtime__V1__ContainerConfig *q, const char *id)
{
	if (*q->log_path)
		return arena_printf(a, "%s/%s", p->info->log_dir, q->log_path);
	return arena_printf(a, "%s/%s.log", p->info->log_dir, id);
}

static bool is_privileged(const Runtime__V1__ContainerConfig *q)
{
	return q->linux && q->linux->security_context && q->linux->security_context->privileged;
}

struct container_info *container_request_info(const struct pod *p, const Runtime__V1__ContainerConfig *q, const char *name,
					      const struct image *image)
{
	struct container_info *i = container_info_new();
	char id[65];
	struct arena *a;

	if (!i || daemon_new_id(id)) {
		container_info_unref(i);
		return NULL;
	}
	a = &i->arena;
	i->id = arena_strdup(a, id);
	i->pod_id = arena_strdup(a, p->info->id);
	i->name = arena_strdup(a, name);
	i->pod_name = arena_strdup(a, p->info->name);
	i->handler = arena_strdup(a, p->info->handler);
	i->meta_name = arena_strdup(a, q->metadata->name);
	i->attempt = q->metadata->attempt;
	i->created = now_ns();
	i->labels = PAIRS_FROM(a, q->labels, q->n_labels);
	i->annotations = PAIRS_FROM(a, q->annotations, q->n_annotations);
	i->image = arena_strdup(a, q->image->image);
	i->user_image = arena_strdup(a, *q->image->user_specified_image ? q->image->user_specified_image : q->image->image);
	i->image_id = arena_strdup(a, image->id);
	i->image_name = arena_strdup(a, image->names[0] ? image->names[0] : "");
	i->repo_digests = image_repo_digests_text(image, a);
	i->image_ref = image_ref(image, a);
	i->log_path = log_path(a, p, q, id);
	i->tty = q->tty;
	i->stdin = q->stdin;
	i->stdin_once = q->stdin_once;
	i->privileged = is_privileged(q);
	if (arena_failed(a))
		return container_info_unref(i);
	return i;
}
