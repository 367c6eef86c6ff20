/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules are those of the user strings of Docker images: "user[:group]", a string of digits
 * is always an id and never a name, the first matching line wins, an id needs no line, a name
 * does, and an explicit group turns the search for further groups off.
 *
 * The files belong to whoever made the image. A line counts only when it is well-formed as a
 * whole: name not empty, ids within range, no NUL. Any other line does not exist, so a damaged
 * or overflowing id can never read as 0. A file that is no regular file does not exist either.
 */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "errors.h"
#include "users.h"

#define ID_MAX INT32_MAX
#define HOME_MAX PATH_MAX

struct span {
	const char *p;
	size_t n;
};

struct file {
	char *text; /* NULL: there is none */
	size_t len;
	struct stat st;
};

static void file_done(struct file *f)
{
	free(f->text);
	f->text = NULL;
}
#define _cleanup_file_ _cleanup_(file_done)

/*
 * Looked at before it is opened: opening a device node is an action of its driver, and opening a
 * FIFO waits. The descriptor of O_PATH cannot be swapped for another file in between.
 */
static int file_load(int root_fd, const char *path, struct file *ret, struct cb_error *err)
{
	_cleanup_close_ int at = -1, fd = -1;
	char link[32];
	int r;

	*ret = (struct file){ 0 };
	at = open_in_root(root_fd, path, O_PATH, 0);
	if (at == -ENOENT || at == -ENOTDIR || at == -ELOOP)
		return 0;
	if (at < 0)
		return err_sysr(err, at, "open %s of the image", path);
	if (fstat(at, &ret->st) < 0)
		return err_sys(err, "stat %s of the image", path);
	if (!S_ISREG(ret->st.st_mode))
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", at);
	fd = open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_sys(err, "open %s of the image", path);
	r = ret->st.st_size > USERS_FILE_MAX ? -EFBIG
					     : read_fd(fd, USERS_FILE_MAX, &ret->text, &ret->len);
	if (r == -EFBIG)
		return err_set(err, E_LIMIT, "%s of the image is larger than %u bytes", path,
			       USERS_FILE_MAX);
	return r ? err_sysr(err, r, "read %s of the image", path) : 0;
}

/*
 * Cuts off and returns what is before sep; the rest stays in s, which is {NULL, 0} after the
 * last part.
 */
static struct span span_cut(struct span *s, char sep)
{
	struct span part = *s;
	const char *at = s->n ? memchr(s->p, sep, s->n) : NULL;

	if (!at) {
		*s = (struct span){ NULL, 0 };
		return part;
	}
	part.n = (size_t)(at - s->p);
	*s = (struct span){ at + 1, s->n - part.n - 1 };
	return part;
}

static struct span span_trim(struct span s)
{
	while (s.n && memchr(" \t\r\v\f", s.p[0], 5))
		s.p++, s.n--;
	while (s.n && memchr(" \t\r\v\f", s.p[s.n - 1], 5))
		s.n--;
	return s;
}

static struct span span_of(const char *text)
{
	return (struct span){ text, strlen(text) };
}

static bool span_eq(struct span a, struct span b)
{
	return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

/* Digits only, 0..ID_MAX. */
static bool span_id(struct span s, uint32_t *ret)
{
	uint64_t id = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		id = id * 10 + (uint64_t)(s.p[i] - '0');
		if (id > ID_MAX)
			return false;
	}
	*ret = (uint32_t)id;
	return s.n > 0;
}

/* How much of a name goes into a message: not more than 128 bytes, and no half character. */
static int shown(struct span s)
{
	size_t n = s.n > 128 ? 128 : s.n;

	while (n && n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	return (int)n;
}

static bool has_control(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

struct passwd_line {
	struct span name, home;
	uint32_t uid, gid;
};

struct group_line {
	struct span name, members;
	uint32_t gid;
};

/* The next line that holds anything; false at the end. */
static bool next_line(struct span *rest, struct span *ret)
{
	while (rest->p) {
		*ret = span_trim(span_cut(rest, '\n'));
		if (ret->n && !memchr(ret->p, '\0', ret->n))
			return true;
	}
	return false;
}

/* name:password:uid:gid:comment:home:shell; what is behind the gid may be missing. */
static bool next_passwd(struct span *rest, struct passwd_line *ret)
{
	struct span line, uid, gid;

	while (next_line(rest, &line)) {
		ret->name = span_cut(&line, ':');
		span_cut(&line, ':');
		uid = span_cut(&line, ':');
		gid = span_cut(&line, ':');
		span_cut(&line, ':');
		ret->home = span_cut(&line, ':');
		if (ret->name.n && span_id(uid, &ret->uid) && span_id(gid, &ret->gid))
			return true;
	}
	return false;
}

/* name:password:gid:member,member */
static bool next_group(struct span *rest, struct group_line *ret)
{
	struct span line, gid;

	while (next_line(rest, &line)) {
		ret->name = span_cut(&line, ':');
		span_cut(&line, ':');
		gid = span_cut(&line, ':');
		ret->members = span_cut(&line, ':');
		if (ret->name.n && span_id(gid, &ret->gid))
			return true;
	}
	return false;
}

static bool has_member(struct span members, struct span name)
{
	while (members.p)
		if (span_eq(span_cut(&members, ','), name))
			return true;
	return false;
}

/* One half of "user:group" as it was asked for. */
struct wanted {
	struct span text;
	bool given, numeric;
	uint32_t id;
};

static int wanted_parse(struct span text, const char *what, struct wanted *ret,
			struct cb_error *err)
{
	struct span digits = text;
	bool negative = text.n && text.p[0] == '-';

	*ret = (struct wanted){ .text = text, .given = text.n > 0 };
	/*
	 * A sign makes it no less a number: kubelet reads "+1000" as uid 1000, which is not
	 * root, and a line "+1000:x:0:0" must not make it root.
	 */
	if (text.n > 1 && (*text.p == '-' || *text.p == '+'))
		digits = (struct span){ text.p + 1, text.n - 1 };
	for (size_t i = 0; i < digits.n; i++)
		if (digits.p[i] < '0' || digits.p[i] > '9')
			return 0;
	ret->numeric = digits.n > 0;
	if (ret->numeric && (!span_id(digits, &ret->id) || (negative && ret->id)))
		return err_set(err, E_INVALID, "%s %.*s is not in range 0-%d", what, shown(text),
			       text.p, ID_MAX);
	return 0;
}

struct groups {
	uint32_t *id;
	size_t n, size;
};

static int groups_add(struct groups *g, uint32_t id, struct cb_error *err)
{
	size_t size = g->size ? 2 * g->size : 16;
	uint32_t *p;

	if (g->n == g->size) {
		p = reallocarray(g->id, size, sizeof(*p));
		if (!p)
			return err_oom(err);
		g->id = p;
		g->size = size;
	}
	g->id[g->n++] = id;
	return 0;
}

struct ranked {
	uint32_t id, rank;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* Keeps the first of equal ids, in order; by sorting, because a hostile file names many. */
static int groups_unique(struct groups *g, struct cb_error *err)
{
	_cleanup_free_ struct ranked *sorted = calloc(g->n ? g->n : 1, sizeof(*sorted));
	_cleanup_free_ bool *drop = calloc(g->n ? g->n : 1, sizeof(*drop));
	size_t to = 0;

	if (!sorted || !drop)
		return err_oom(err);
	for (size_t i = 0; i < g->n; i++)
		sorted[i] = (struct ranked){ g->id[i], (uint32_t)i };
	qsort(sorted, g->n, sizeof(*sorted), compare_ranked);
	for (size_t i = 1; i < g->n; i++)
		drop[sorted[i].rank] = sorted[i].id == sorted[i - 1].id;
	for (size_t i = 0; i < g->n; i++)
		if (!drop[i])
			g->id[to++] = g->id[i];
	g->n = to;
	if (g->n > USERS_GROUPS_MAX)
		return err_set(err, E_LIMIT, "more than %d groups", USERS_GROUPS_MAX);
	return 0;
}

/* The first half: sets uid, gid and home, and ret_name to the name of the line that matched. */
static int find_user(const struct file *passwd, const struct wanted *w, struct user *u,
		     struct span *ret_name, struct cb_error *err)
{
	struct span rest = { passwd->text, passwd->len };
	struct passwd_line line;

	while (next_passwd(&rest, &line)) {
		if (w->numeric || !w->given ? line.uid != w->id : !span_eq(line.name, w->text))
			continue;
		u->uid = line.uid;
		u->gid = line.gid;
		*ret_name = line.name;
		/* it becomes $HOME: only as text that may stand in config.json */
		if (line.home.n < HOME_MAX && !has_control(line.home) &&
		    utf8_valid(line.home.p, line.home.n))
			u->home = strndup(line.home.n ? line.home.p : "", line.home.n);
		else
			u->home = strdup("");
		return u->home ? 0 : err_oom(err);
	}
	if (w->given && !w->numeric)
		return err_set(err, E_INVALID,
			       "unable to find user %.*s: no matching entries in passwd file",
			       shown(w->text), w->text.p);
	u->uid = w->id;
	u->gid = 0;
	u->home = strdup("");
	return u->home ? 0 : err_oom(err);
}

/* The second half, when a group was given: the gid. */
static int find_group(const struct file *group, const struct wanted *w, struct user *u,
		      struct cb_error *err)
{
	struct span rest = { group->text, group->len };
	struct group_line line;

	if (w->numeric) {
		u->gid = w->id;
		return 0;
	}
	while (next_group(&rest, &line)) {
		if (span_eq(line.name, w->text)) {
			u->gid = line.gid;
			return 0;
		}
	}
	return err_set(err, E_INVALID,
		       "unable to find group %.*s: no matching entries in group file",
		       shown(w->text), w->text.p);
}

/* When none was given: every group that has the user as a member. */
static int find_memberships(const struct file *group, struct span name, struct groups *g,
			    struct cb_error *err)
{
	struct span rest = { group->text, group->len };
	struct group_line line;
	int r;

	while (next_group(&rest, &line)) {
		if (!has_member(line.members, name))
			continue;
		r = groups_add(g, line.gid, err);
		if (r)
			return r;
	}
	return 0;
}

static bool uid_known(const struct file *passwd, uint32_t uid)
{
	struct span rest = { passwd->text, passwd->len };
	struct passwd_line line;

	while (next_passwd(&rest, &line))
		if (line.uid == uid)
			return true;
	return false;
}

static bool gid_known(const struct file *group, uint32_t gid)
{
	struct span rest = { group->text, group->len };
	struct group_line line;

	while (next_group(&rest, &line))
		if (line.gid == gid)
			return true;
	return false;
}

/* Which string names the user; digits has room for one that is made. */
static int choose(const struct user_request *q, char digits[24], const char **ret,
		  struct cb_error *err)
{
	if (q->run_as_user < -1 || q->run_as_user > ID_MAX)
		return err_set(err, E_INVALID, "user %lld is not in range 0-%d",
			       (long long)q->run_as_user, ID_MAX);
	if (q->run_as_group < -1 || q->run_as_group > ID_MAX)
		return err_set(err, E_INVALID, "group %lld is not in range 0-%d",
			       (long long)q->run_as_group, ID_MAX);
	if (q->run_as_group >= 0 && q->run_as_user < 0 && !*q->run_as_username)
		return err_set(err, E_INVALID, "group %lld is given without a user",
			       (long long)q->run_as_group);
	snprintf(digits, 24, "%lld", (long long)(q->run_as_user < 0 ? 0 : q->run_as_user));
	*ret = *q->run_as_username			? q->run_as_username
	       : q->run_as_user >= 0 || !*q->image_user ? digits
							: q->image_user;
	return 0;
}

static int collect_groups(const struct user_request *q, const struct groups *image, uint32_t gid,
			  struct groups *g, struct cb_error *err)
{
	int r = groups_add(g, gid, err);

	for (size_t i = 0; !r && !q->strict && i < image->n; i++)
		r = groups_add(g, image->id[i], err);
	for (size_t i = 0; !r && i < q->n_supplemental; i++) {
		if (q->supplemental[i] < 0 || q->supplemental[i] > ID_MAX)
			return err_set(err, E_INVALID,
				       "supplemental group %lld is not in range 0-%d",
				       (long long)q->supplemental[i], ID_MAX);
		r = groups_add(g, (uint32_t)q->supplemental[i], err);
	}
	return r ? r : groups_unique(g, err);
}

static int resolve(const struct user_request *q, struct user *u, struct groups *image,
		   struct groups *all, struct cb_error *err)
{
	_cleanup_file_ struct file passwd = { 0 }, group = { 0 };
	struct wanted user, grp;
	struct span rest, name = { NULL, 0 };
	const char *selector = "";
	char digits[24];
	int r;

	r = choose(q, digits, &selector, err);
	if (r)
		return r;
	rest = span_of(selector);
	r = wanted_parse(span_cut(&rest, ':'), "user", &user, err);
	if (!r)
		r = wanted_parse(span_cut(&rest, ':'), "group", &grp, err);
	if (!r)
		r = file_load(q->root_fd, "etc/passwd", &passwd, err);
	if (!r)
		r = file_load(q->root_fd, "etc/group", &group, err);
	if (!r)
		r = find_user(&passwd, &user, u, &name, err);
	if (!r && grp.given)
		r = find_group(&group, &grp, u, err);
	else if (!r && name.n)
		r = find_memberships(&group, name, image, err);
	if (r)
		return r;
	if (q->run_as_group >= 0)
		u->gid = (uint32_t)q->run_as_group;
	u->owner_uid = u->uid;
	u->owner_gid = u->gid;
	u->in_passwd = uid_known(&passwd, u->uid);
	u->in_group = gid_known(&group, u->gid);
	return collect_groups(q, image, u->gid, all, err);
}

int user_resolve(const struct user_request *q, struct user *ret, struct cb_error *err)
{
	struct groups image = { 0 }, all = { 0 };
	struct user u = { 0 };
	int r = resolve(q, &u, &image, &all, err);

	free(image.id);
	u.groups = all.id;
	u.n_groups = all.n;
	if (r)
		user_done(&u);
	else
		*ret = u;
	return r;
}

int user_map(struct user *u, const struct id_maps *maps, struct cb_error *err)
{
	uint32_t gid;

	if (!id_maps_uid(maps, u->uid, &u->owner_uid))
		return err_set(err, E_INVALID, "user %u is not mapped in the pod's user namespace", u->uid);
	if (!id_maps_gid(maps, u->gid, &u->owner_gid))
		return err_set(err, E_INVALID, "group %u is not mapped in the pod's user namespace", u->gid);
	for (size_t i = 0; i < u->n_groups; i++)
		if (!id_maps_gid(maps, u->groups[i], &gid))
			return err_set(err, E_INVALID, "group %u is not mapped in the pod's user namespace", u->groups[i]);
	return 0;
}

void user_done(struct user *u)
{
	free(u->groups);
	free(u->home);
	*u = (struct user){ 0 };
}

/*
 * May we put a copy with one more line over this file? Not when the container's user may write
 * to it: it is there to be edited, and the copy would hide the edits.
 */
static bool may_replace(const struct file *f, uint32_t uid)
{
	if (!f->text || (f->st.st_mode & 022))
		return false;
	return f->st.st_uid != uid || !(f->st.st_mode & 0200);
}

static int append_line(const struct file *f, const char *line, char **ret, size_t *ret_len,
		       struct cb_error *err)
{
	_cleanup_str_ struct str s = STR_INIT;
	char *text;

	str_append_mem(&s, f->text, f->len);
	if (f->len && f->text[f->len - 1] != '\n')
		str_append_char(&s, '\n');
	str_append(&s, line);
	text = str_take(&s, ret_len);
	if (!text)
		return err_oom(err);
	*ret = text;
	return 0;
}

int user_passwd_text(int root_fd, const struct user *u, const char *home, char **ret,
		     size_t *ret_len, struct cb_error *err)
{
	_cleanup_file_ struct file f = { 0 };
	_cleanup_free_ char *line = NULL;
	int r;

	if (has_control(span_of(home)) || strchr(home, ':'))
		return err_set(err, E_INVALID,
			       "home directory holds a control character or a colon");
	if (strlen(home) >= HOME_MAX)
		return err_set(err, E_INVALID, "home directory is longer than %d bytes",
			       HOME_MAX - 1);
	r = file_load(root_fd, "etc/passwd", &f, err);
	if (r)
		return r;
	if (u->in_passwd || !may_replace(&f, u->owner_uid))
		return err_set(err, E_NOT_FOUND, "passwd needs no entry for %u", u->uid);
	line = strf("%u:x:%u:%u:%u user:%s:/sbin/nologin\n", u->uid, u->uid, u->gid, u->uid, home);
	return line ? append_line(&f, line, ret, ret_len, err) : err_oom(err);
}

int user_group_text(int root_fd, const struct user *u, char **ret, size_t *ret_len,
		    struct cb_error *err)
{
	_cleanup_file_ struct file f = { 0 };
	_cleanup_free_ char *line = NULL;
	int r = file_load(root_fd, "etc/group", &f, err);

	if (r)
		return r;
	if (u->in_group || !may_replace(&f, u->owner_uid))
		return err_set(err, E_NOT_FOUND, "group needs no entry for %u", u->gid);
	line = strf("%u:x:%u:\n", u->gid, u->gid);
	return line ? append_line(&f, line, ret, ret_len, err) : err_oom(err);
}
