/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identity, capabilities and system calls.
 *
 * System calls are refused by name (EPERM), not allowed by name: the C library, the TLS library
 * and the name services choose theirs freely, and a pull must not break with an update of one.
 * What is refused is all that leads out of the process: other programs and processes, mounts and
 * namespaces, the kernel's configuration, and the interfaces with the longest record of bugs.
 */
#include "sandbox.h"

#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cbase/cleanup.h>

#define NOBODY 65534

int sandbox_begin(int parent, struct cb_error *err)
{
	static const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, "sandbox: prctl");
	if (parent) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
			return err_sys(err, "sandbox: prctl");
		if (getppid() != parent)
			return err_sysr(err, -ESRCH, "sandbox: the parent is gone");
	}
	setrlimit(RLIMIT_CORE, &none);
	return 0;
}

int sandbox_no_network(struct cb_error *err)
{
	if (unshare(CLONE_NEWNET) < 0)
		return err_sys(err, "sandbox: unshare the network namespace");
	return 0;
}

static int capset_all(unsigned long long keep)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = {
		{ .effective = (unsigned)keep, .permitted = (unsigned)keep },
		{ .effective = (unsigned)(keep >> 32), .permitted = (unsigned)(keep >> 32) },
	};

	return syscall(SYS_capset, &h, d) < 0 ? -errno : 0;
}

/* Which of the wanted ones there are: a daemon may itself run with less. */
static unsigned long long permitted(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { { 0 } };

	if (syscall(SYS_capget, &h, d) < 0)
		return 0;
	return d[0].permitted | (unsigned long long)d[1].permitted << 32;
}

int sandbox_capabilities(unsigned long long keep, struct cb_error *err)
{
	int r;

	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_sys(err, "sandbox: drop capability %d", cap);
	}
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	r = capset_all(keep & permitted());
	return r ? err_sysr(err, r, "sandbox: drop capabilities") : 0;
}

void sandbox_no_files(void)
{
	static const struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_FSIZE, &none);
}

int sandbox_nobody(struct cb_error *err)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_sys(err, "sandbox: drop capability %d", cap);
	}
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return err_sys(err, "sandbox: change to user %d", NOBODY);
	/* With root gone the capabilities are; said once more for kernels told to keep them. */
	if (capset_all(0) < 0)
		return err_sysr(err, -EPERM, "sandbox: drop capabilities");
	/* Another identity cleared it; and nothing may look into a process with credentials. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(err, "sandbox: prctl");
	return 0;
}

/* ---- system calls ---- */

#define REFUSED(name) SCMP_SYS(name)

/* Where clone's flags are: s390 has the stack first. */
#if defined(__s390__)
#define CLONE_FLAGS(op, a, b) SCMP_A1(op, a, b)
#else
#define CLONE_FLAGS(op, a, b) SCMP_A0(op, a, b)
#endif

/* For those that start no programs. */
static const int refused_programs[] = {
	REFUSED(execve), REFUSED(execveat), REFUSED(fork), REFUSED(vfork),
};

/* For all. */
static const int refused[] = {
	/* other processes */
	REFUSED(ptrace), REFUSED(process_vm_readv), REFUSED(process_vm_writev), REFUSED(process_madvise),
	REFUSED(pidfd_getfd), REFUSED(pidfd_send_signal), REFUSED(kcmp), REFUSED(kill),
	REFUSED(tkill), REFUSED(rt_sigqueueinfo), REFUSED(rt_tgsigqueueinfo), REFUSED(personality),
	/* mounts, namespaces, roots */
	REFUSED(mount), REFUSED(umount), REFUSED(umount2), REFUSED(pivot_root), REFUSED(chroot),
	REFUSED(open_tree), REFUSED(move_mount), REFUSED(fsopen), REFUSED(fsconfig),
	REFUSED(fsmount), REFUSED(fspick), REFUSED(mount_setattr), REFUSED(setns),
	REFUSED(unshare), REFUSED(open_by_handle_at), REFUSED(name_to_handle_at),
	REFUSED(quotactl), REFUSED(quotactl_fd), REFUSED(swapon), REFUSED(swapoff),
	REFUSED(fanotify_init), REFUSED(fanotify_mark),
	/* the machine */
	REFUSED(reboot), REFUSED(kexec_load), REFUSED(kexec_file_load), REFUSED(init_module),
	REFUSED(finit_module), REFUSED(delete_module), REFUSED(acct), REFUSED(syslog),
	REFUSED(settimeofday), REFUSED(clock_settime), REFUSED(clock_settime64), REFUSED(adjtimex),
	REFUSED(clock_adjtime), REFUSED(sethostname), REFUSED(setdomainname), REFUSED(iopl),
	REFUSED(ioperm), REFUSED(modify_ldt), REFUSED(lookup_dcookie), REFUSED(vhangup),
	REFUSED(nfsservctl),
	/* kernel interfaces that nothing here uses */
	REFUSED(bpf), REFUSED(perf_event_open), REFUSED(userfaultfd), REFUSED(io_uring_setup),
	REFUSED(io_uring_enter), REFUSED(io_uring_register), REFUSED(add_key),
	REFUSED(request_key), REFUSED(keyctl), REFUSED(vmsplice), REFUSED(listen), REFUSED(accept),
	REFUSED(accept4),
};

/* For those that have no network. */
static const int refused_network[] = {
	REFUSED(socket), REFUSED(socketpair), REFUSED(connect), REFUSED(bind), REFUSED(sendmmsg),
	REFUSED(recvmmsg),
};

/* Address families that name lookup and transfer use; the rest of the first 64 is refused. */
static bool family_wanted(int family)
{
	return family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK;
}

static int refuse_families(scmp_filter_ctx ctx)
{
	int r = 0;

	for (int f = 0; !r && f < 64; f++) {
		if (!family_wanted(f))
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
					     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)f));
	}
	if (r)
		return r;
	return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
				SCMP_A0(SCMP_CMP_GE, 64));
}

/*
 * Threads yes, namespaces no, processes as wanted. clone3's flags cannot be seen: the C library
 * falls back to clone.
 */
static int refuse_clone(scmp_filter_ctx ctx, bool processes)
{
	static const scmp_datum_t namespaces[] = {
		CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
		CLONE_NEWUSER, CLONE_NEWPID,	CLONE_NEWNET, 0x80,
	};
	const uint32_t deny = SCMP_ACT_ERRNO(EPERM);
	int r;

	r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (!r && processes)
		r = seccomp_rule_add(ctx, deny, SCMP_SYS(clone), 1,
				     CLONE_FLAGS(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
	for (size_t i = 0; !r && i < ARRAY_SIZE(namespaces); i++)
		r = seccomp_rule_add(ctx, deny, SCMP_SYS(clone), 1,
				     CLONE_FLAGS(SCMP_CMP_MASKED_EQ, namespaces[i], namespaces[i]));
	return r;
}

/* abort() signals its own process; others' limits and threads are none of our business. */
static int refuse_others(scmp_filter_ctx ctx)
{
	const uint32_t deny = SCMP_ACT_ERRNO(EPERM);
	int r = seccomp_rule_add(ctx, deny, SCMP_SYS(tgkill), 1,
				 SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)getpid()));

	return r ? r : seccomp_rule_add(ctx, deny, SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_NE, 0));
}

static int refuse_all(scmp_filter_ctx ctx, const int *calls, size_t n)
{
	int r = 0;

	for (size_t i = 0; !r && i < n; i++) {
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), calls[i], 0);
		if (r == -EDOM)		/* this machine never had it */
			r = 0;
	}
	return r;
}

int sandbox_syscalls(enum sandbox_calls calls, struct cb_error *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (!ctx)
		return err_oom(err);
	r = refuse_all(ctx, refused, ARRAY_SIZE(refused));
	if (!r && calls != SANDBOX_PROGRAMS)
		r = refuse_all(ctx, refused_programs, ARRAY_SIZE(refused_programs));
	if (!r)
		r = refuse_clone(ctx, calls != SANDBOX_PROGRAMS);
	if (!r && calls != SANDBOX_PROGRAMS)
		r = refuse_others(ctx);
	if (!r)
		r = calls == SANDBOX_NETWORK
			    ? refuse_families(ctx)
			    : refuse_all(ctx, refused_network, ARRAY_SIZE(refused_network));
	if (!r)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r ? err_sysr(err, r, "sandbox: filter system calls") : 0;
}
