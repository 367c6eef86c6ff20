/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crid-pinns: makes the namespaces of a pod, sets them up, and pins them as files, so that they
 * live without a process. It takes the place and the flags of CRI-O's pinns:
 *
 *	crid-pinns -d DIR -f FILE [-s key=value]...
 *		[--uts[=host]] [--ipc[=host]] [--net[=host]] [--cgroup[=host]]
 *		[--user --uid-mapping=C-H-S[@...] --gid-mapping=C-H-S[@...]]
 *
 * leaves DIR/{utsns,ipcns,netns,cgroupns,userns}/FILE. Order: open what the host has, unshare
 * (with a user namespace: in a child), sysctls and loopback, open what was made, pin. A failure at
 * any step unpins what was pinned; the namespaces then end with the process.
 *
 * It is a program of its own because unshare() must not happen in a thread of the daemon.
 */
#include <fcntl.h>
#include <getopt.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cbase/cleanup.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "idmap.h"
#include "pin.h"
#include "sysctl.h"
#include "userns.h"

#define SYSCTLS_MAX 256

enum ns_mode { NS_NONE, NS_NEW, NS_HOST };
enum { NS_USER, NS_UTS, NS_IPC, NS_NET, NS_CGROUP, NS_COUNT };

/* In the order in which they are pinned. */
static const struct {
	const char *name;	/* below /proc/PID/ns */
	int flag;
	int opt;
} kinds[NS_COUNT] = {
	[NS_USER] = { "user", CLONE_NEWUSER, 'U' },
	[NS_UTS] = { "uts", CLONE_NEWUTS, 'u' },
	[NS_IPC] = { "ipc", CLONE_NEWIPC, 'i' },
	[NS_NET] = { "net", CLONE_NEWNET, 'n' },
	[NS_CGROUP] = { "cgroup", CLONE_NEWCGROUP, 'c' },
};

enum { OPT_UID_MAPPING = 1000, OPT_GID_MAPPING };

static const struct option options[] = {
	{ "uts", optional_argument, NULL, 'u' },
	{ "ipc", optional_argument, NULL, 'i' },
	{ "net", optional_argument, NULL, 'n' },
	{ "user", optional_argument, NULL, 'U' },
	{ "cgroup", optional_argument, NULL, 'c' },
	{ "dir", required_argument, NULL, 'd' },
	{ "filename", required_argument, NULL, 'f' },
	{ "sysctl", required_argument, NULL, 's' },
	{ "uid-mapping", required_argument, NULL, OPT_UID_MAPPING },
	{ "gid-mapping", required_argument, NULL, OPT_GID_MAPPING },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'v' },
	{ 0 },
};

static const char usage[] =
	"usage: crid-pinns -d DIR -f FILE [-s KEY=VALUE]... NAMESPACE...\n"
	"Makes namespaces and pins them as DIR/{uts,ipc,net,cgroup,user}ns/FILE.\n"
	"\n"
	"  -d, --dir DIR          directory of the pins\n"
	"  -f, --filename FILE    name of the pins\n"
	"  -s, --sysctl K=V       set in the new namespaces; only net.* (--net), and with --ipc\n"
	"                         kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.*\n"
	"  -u, --uts[=host]       a new UTS namespace, or this one\n"
	"  -i, --ipc[=host]       a new IPC namespace, or this one\n"
	"  -n, --net[=host]       a new network namespace with its loopback up, or this one\n"
	"  -c, --cgroup[=host]    a new cgroup namespace, or this one\n"
	"  -U, --user[=host]      a new user namespace, or this one; a new one needs\n"
	"      --uid-mapping M, --gid-mapping M   CONTAINER-HOST-SIZE[@...]\n"
	"  -h, --help             this text\n"
	"      --version          the version\n";

struct pinns {
	const char *dir, *file;
	enum ns_mode mode[NS_COUNT];
	int fd[NS_COUNT];		/* of the namespaces to pin */
	struct pin pins[NS_COUNT];
	struct sysctl sysctls[SYSCTLS_MAX];
	size_t n_sysctls;
	const char *uid_text, *gid_text;
	struct str uid_map, gid_map;
	struct userns_holder holder;
	int base;			/* DIR */
};

static int set_mode(struct pinns *p, int opt, const char *arg, struct cb_error *err)
{
	for (int i = 0; i < NS_COUNT; i++) {
		if (kinds[i].opt != opt)
			continue;
		if (arg && !streq(arg, "host"))
			return err_sysr(err, -EINVAL, "--%s takes \"host\" or nothing",
					kinds[i].name);
		p->mode[i] = arg ? NS_HOST : NS_NEW;
	}
	return 0;
}

static int add_sysctl(struct pinns *p, const char *text, struct cb_error *err)
{
	if (p->n_sysctls == SYSCTLS_MAX)
		return err_sysr(err, -E2BIG, "more than %d sysctls", SYSCTLS_MAX);
	return sysctl_parse(text, &p->sysctls[p->n_sysctls++], err);
}

static int parse_args(struct pinns *p, int argc, char **argv, struct cb_error *err)
{
	int c, r = 0;

	while (!r && (c = getopt_long(argc, argv, "d:f:s:uinUch", options, NULL)) != -1) {
		switch (c) {
		case 'd':
			p->dir = optarg;
			break;
		case 'f':
			p->file = optarg;
			break;
		case 's':
			r = add_sysctl(p, optarg, err);
			break;
		case OPT_UID_MAPPING:
			p->uid_text = optarg;
			break;
		case OPT_GID_MAPPING:
			p->gid_text = optarg;
			break;
		case 'v':
			fputs("crid-pinns " CRID_VERSION "\n", stdout);
			exit(0);
		case 'h':
			fputs(usage, stdout);
			exit(0);
		case '?':
			exit(2);	/* getopt told why */
		default:
			r = set_mode(p, c, optarg, err);
		}
	}
	if (!r && optind < argc)
		r = err_sysr(err, -EINVAL, "unexpected argument \"%s\"", argv[optind]);
	return r;
}

static bool file_name_ok(const char *s)
{
	return *s && strlen(s) <= 255 && !strchr(s, '/') && !streq(s, ".") && !streq(s, "..");
}

static int check_mappings(struct pinns *p, struct cb_error *err)
{
	int r;

	if (p->mode[NS_USER] != NS_NEW && (p->uid_text || p->gid_text))
		return err_sysr(err, -EINVAL, "id mappings without --user");
	if (p->mode[NS_USER] != NS_NEW)
		return 0;
	if (!p->uid_text || !p->gid_text)
		return err_sysr(err, -EINVAL, "--user needs --uid-mapping and --gid-mapping");
	r = idmap_format(p->uid_text, &p->uid_map);
	if (r)
		return err_sysr(err, r, "uid mapping \"%s\"", p->uid_text);
	r = idmap_format(p->gid_text, &p->gid_map);
	return r ? err_sysr(err, r, "gid mapping \"%s\"", p->gid_text) : 0;
}

static int check_args(struct pinns *p, struct cb_error *err)
{
	bool any = false;

	if (!p->dir || p->dir[0] != '/')
		return err_sysr(err, -EINVAL, "-d needs an absolute directory");
	if (!p->file || !file_name_ok(p->file))
		return err_sysr(err, -EINVAL, "-f needs a file name");
	for (int i = 0; i < NS_COUNT; i++)
		any |= p->mode[i] != NS_NONE;
	if (!any)
		return err_sysr(err, -EINVAL, "no namespace to pin");
	/* Never to the host: what is not in a namespace made here is refused. */
	for (size_t i = 0; i < p->n_sysctls; i++) {
		if (!sysctl_is_namespaced(&p->sysctls[i], p->mode[NS_NET] == NS_NEW,
					  p->mode[NS_IPC] == NS_NEW))
			return err_sysr(err, -EPERM, "sysctl %s is not in a new namespace",
					p->sysctls[i].path);
	}
	return check_mappings(p, err);
}

static int loopback_up(struct cb_error *err)
{
	/* Any socket reaches the interfaces; this kind is always there. */
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { .ifr_name = "lo" };

	if (fd < 0)
		return err_sys(err, "make a socket");
	if (ioctl(fd, SIOCGIFFLAGS, &req) < 0)
		return err_sys(err, "look at the loopback interface");
	req.ifr_flags |= IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &req) < 0)
		return err_sys(err, "bring the loopback interface up");
	return 0;
}

/* In the new namespaces. */
static int setup(void *user, struct cb_error *err)
{
	struct pinns *p = user;
	int r = 0;

	if (p->mode[NS_NET] == NS_NEW)
		r = loopback_up(err);
	return r ? r : sysctl_write(p->sysctls, p->n_sysctls, err);
}

static int open_namespaces(struct pinns *p, enum ns_mode mode, struct cb_error *err)
{
	char path[64];

	for (int i = 0; i < NS_COUNT; i++) {
		if (p->mode[i] != mode)
			continue;
		if (p->holder.pid > 0)
			snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)p->holder.pid,
				 kinds[i].name);
		else
			snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i].name);
		p->fd[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (p->fd[i] < 0)
			return err_sys(err, "open %s", path);
	}
	return 0;
}

static int join(const struct pinns *p, int kind)
{
	if (p->mode[kind] != NS_NEW)
		return 0;
	return setns(p->fd[kind], kinds[kind].flag) < 0 ? -errno : 0;
}

/*
 * Before Linux 6.11 or so the IPC sysctls of a user namespace's IPC namespace belong to the host's
 * root: its own root is refused, and they are written from here.
 */
static int setup_from_outside(struct pinns *p, struct cb_error *err)
{
	int r = open_namespaces(p, NS_NEW, err);

	if (r)
		return r;
	r = join(p, NS_IPC);
	if (!r)
		r = join(p, NS_NET);
	if (r)
		return err_sysr(err, r, "join the new namespaces");
	return setup(p, err);
}

static int make_with_userns(struct pinns *p, int flags, struct cb_error *err)
{
	int r = userns_start(&p->holder, flags & ~CLONE_NEWUSER, &p->uid_map, &p->gid_map, setup, p,
			     err);

	if ((r == -EACCES || r == -EPERM) && p->n_sysctls > 0)
		return setup_from_outside(p, err);
	return r ? r : open_namespaces(p, NS_NEW, err);
}

static int make_namespaces(struct pinns *p, struct cb_error *err)
{
	int flags = 0, r;

	r = open_namespaces(p, NS_HOST, err);
	if (r)
		return r;
	for (int i = 0; i < NS_COUNT; i++) {
		if (p->mode[i] == NS_NEW)
			flags |= kinds[i].flag;
	}
	if (flags & CLONE_NEWUSER)
		return make_with_userns(p, flags, err);
	if (unshare(flags) < 0)
		return err_sys(err, "unshare namespaces");
	r = setup(p, err);
	return r ? r : open_namespaces(p, NS_NEW, err);
}

static int pin_all(struct pinns *p, struct cb_error *err)
{
	int r = 0;

	for (int i = 0; !r && i < NS_COUNT; i++) {
		if (p->mode[i] != NS_NONE)
			r = pin_make(p->base, kinds[i].name, p->file, p->fd[i], &p->pins[i], err);
	}
	for (int i = 0; r && i < NS_COUNT; i++)
		pin_undo(&p->pins[i]);
	return r;
}

static int run(struct pinns *p, int argc, char **argv, struct cb_error *err)
{
	int r = parse_args(p, argc, argv, err);

	if (!r)
		r = check_args(p, err);
	if (r)
		return r;
	r = mkdir_p(p->dir, 0755);
	if (r)
		return err_sysr(err, r, "make directory %s", p->dir);
	p->base = open(p->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->base < 0)
		return err_sys(err, "open directory %s", p->dir);
	r = make_namespaces(p, err);
	return r ? r : pin_all(p, err);
}

int main(int argc, char **argv)
{
	static struct pinns p = { .base = -1 };
	struct cb_error err = { 0 };
	int r;

	for (int i = 0; i < NS_COUNT; i++) {
		p.fd[i] = -1;
		p.pins[i].dir = -1;
	}
	umask(022);
	r = run(&p, argc, argv, &err);
	userns_done(&p.holder);
	if (r)
		fprintf(stderr, "crid-pinns: %s\n", err.message);
	return r ? 1 : 0;
}
