/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is mounted for a layer: the directories below it, its own as upper one, or, read-only, as topmost
 * lower one, and the options of the store or of the container.
 *
 * For a container in a user namespace the homes are mounted once more, id-mapped, for the
 * moment of the mount; overlayfs keeps its own reference to what it has found there.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "mount.h"
#include "overlay.h"
#include "userns.h"

static bool has_option(const struct mount_plan *p, const char *option)
{
	return strv_has(p->options, option);
}

static int plan_options(struct cstore *s, const struct mount_wish *w, struct mount_plan *p)
{
	_cleanup_strv_ char **words = NULL;

	if (s->mountopt && strv_split(s->mountopt, ',', &words))
		return -ENOMEM;
	/* the caller's replace the store's, but what the layers were written with stays */
	for (size_t i = 0; i < strv_len(words); i++)
		if ((!w->options || streq(words[i], "metacopy=on")) &&
		    mount_plan_option(p, words[i]))
			return -ENOMEM;
	for (size_t i = 0; i < strv_len(w->options); i++)
		if (mount_plan_option(p, w->options[i]))
			return -ENOMEM;
	if (w->is_volatile && !w->read_only && !has_option(p, "volatile") &&
	    mount_plan_option(p, "volatile"))
		return -ENOMEM;
	if (in_userns() && !has_option(p, "userxattr") && mount_plan_option(p, "userxattr"))
		return -ENOMEM;
	p->label = w->label;
	return 0;
}

static int plan_directories(struct cstore *s, const struct mount_wish *w, struct mount_plan *p,
			    struct cstore_error *err)
{
	_cleanup_free_ char *own = layer_content(s, w->layer);
	_cleanup_strv_ char **below = NULL;
	int r = own ? overlay_lowers(s, w->layer, &below, err) : err_oom(err);

	if (r)
		return r;
	if (!w->read_only) {
		p->lowers = take(below);
		p->upper = take(own);
		p->work = strf("%s/%s/work", s->home, w->layer);
		return p->work ? 0 : err_oom(err);
	}
	if (strv_push(&p->lowers, own))
		return err_oom(err);
	for (size_t i = 0; i < strv_len(below); i++)
		if (strv_push(&p->lowers, below[i]))
			return err_oom(err);
	return 0;
}

/* After an unclean shutdown the kernel refuses a volatile layer as long as this mark is there. */
static int clear_volatile_mark(struct cstore *s, const char *id)
{
	_cleanup_free_ char *path = strf("%s/%s/work/work/incompat/volatile", s->home, id);

	return path ? rm_rf_at(AT_FDCWD, path) : -ENOMEM;
}

/* An option that this kernel does not have and that can be done without. */
static bool drop_option(struct mount_plan *p, const char *option)
{
	for (size_t i = 0; i < strv_len(p->options); i++) {
		if (!streq(p->options[i], option))
			continue;
		free(p->options[i]);
		for (; p->options[i]; i++)
			p->options[i] = p->options[i + 1];
		return true;
	}
	return false;
}

static int run_plan(struct mount_plan *p, const char *layer, const char *target,
		    struct cstore_error *err)
{
	char reason[256] = "";
	int r = mount_plan_run(p, target, reason, sizeof(reason));

	if (r == -EINVAL && (drop_option(p, "volatile") /* Linux before 5.10 */ ||
			     drop_option(p, "metacopy=on"))) {
		reason[0] = '\0';
		r = mount_plan_run(p, target, reason, sizeof(reason));
	}
	return r ? err_sysr(err, r, "mount layer %s on %s%s", layer, target, reason) : 0;
}

/* ---- user namespaces ---- */

/* Moves the lower directories that are below home to the mapped copy of it. */
static int move_lowers(struct mount_plan *p, const char *home, const char *mapped)
{
	size_t n = strlen(home);

	for (size_t i = 0; i < strv_len(p->lowers); i++) {
		char *moved;

		if (strncmp(p->lowers[i], home, n) != 0 || p->lowers[i][n] != '/')
			continue;
		moved = strf("%s%s", mapped, p->lowers[i] + n);
		if (!moved)
			return -ENOMEM;
		free(p->lowers[i]);
		p->lowers[i] = moved;
	}
	return 0;
}

static int map_place(struct mount_plan *p, const char *home, const char *mapped, int userns,
		     struct cstore_error *err)
{
	int r = mkdir_p(mapped, 0700);

	if (!r)
		r = idmap_mount(home, mapped, userns);
	if (r)
		return err_sysr(err, r, "mount %s id-mapped", home);
	return move_lowers(p, home, mapped) ? err_oom(err) : 0;
}

static int run_mapped(struct cstore *s, const struct mount_wish *w, struct mount_plan *p,
		      const char *target, struct cstore_error *err)
{
	_cleanup_free_ char *dir = strf("%s/%s/mapped", s->home, w->layer);
	_cleanup_close_ int userns = idmap_userns(w->maps);
	int mounted = 0, r = 0;

	if (userns < 0)
		return err_sysr(err, userns, "make a user namespace for layer %s", w->layer);
	if (!dir)
		return err_oom(err);
	for (int i = 0; i < s->place_count && !r; i++) {
		_cleanup_free_ char *mapped = strf("%s/%d", dir, i);

		r = mapped ? map_place(p, s->places[i].home, mapped, userns, err) : err_oom(err);
		mounted += !r;
	}
	if (!r)
		r = run_plan(p, w->layer, target, err);
	while (mounted--) {
		_cleanup_free_ char *mapped = strf("%s/%d", dir, mounted);

		if (mapped)
			umount2(mapped, MNT_DETACH | UMOUNT_NOFOLLOW);
	}
	rm_rf_at(AT_FDCWD, dir);
	return r;
}

int overlay_mount(struct cstore *s, const struct mount_wish *w, const char *target,
		  struct cstore_error *err)
{
	_cleanup_(mount_plan_done) struct mount_plan p = { .lowers = NULL };
	int r;

	if (s->force_mask)
		return err_sysr(err, -EOPNOTSUPP,
				"mount layer %s: owners and modes of a force_mask store need a mount "
				"program", w->layer);
	r = plan_directories(s, w, &p, err);
	if (r)
		return r;
	if (plan_options(s, w, &p))
		return err_oom(err);
	r = mkdir_p(target, 0700);
	if (r)
		return err_sysr(err, r, "make directory %s", target);
	r = w->read_only ? 0 : clear_volatile_mark(s, w->layer);
	if (r)
		return err_sysr(err, r, "clear the volatile mark of layer %s", w->layer);
	return w->maps ? run_mapped(s, w, &p, target, err) : run_plan(&p, w->layer, target, err);
}

int overlay_unmount(struct cstore *s, const char *id, const char *target, struct cstore_error *err)
{
	_cleanup_free_ char *fresh = strf("%s.1", target);

	if (!fresh)
		return err_oom(err);
	if (umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
		return err_sys(err, "unmount layer %s from %s", id, target);
	/* a copy of the mount in another mount namespace would keep the old directory busy */
	if ((mkdir(fresh, 0700) == 0 || errno == EEXIST) && rename(fresh, target) < 0)
		rmdir(fresh);
	return 0;
}
