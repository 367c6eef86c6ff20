/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default seccomp profile as tables: which system calls a container may make. The same
 * behaviour as CRI-O's built-in profile (that of podman, with namespace creation reserved to
 * CAP_SYS_ADMIN).
 *
 * What is in no list answers ENOSYS, so that a libc meeting a new system call falls back to an
 * older one. What is known and refused answers EPERM, as the kernel would answer the unprivileged.
 * Every name is in one list only: what two rules for the same call mean is left to the library that
 * compiles them.
 */
#include "seccomp_profile.h"

/* clang-format off */

const char *const seccomp_allowed[] = {
	"_llseek", "_newselect", "accept", "accept4", "access", "adjtimex", "alarm", "bind",
	"brk", "capget", "capset", "chdir", "chmod", "chown", "chown32", "clock_adjtime",
	"clock_adjtime64", "clock_getres", "clock_getres_time64", "clock_gettime",
	"clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "close", "close_range",
	"connect", "copy_file_range", "creat", "dup", "dup2", "dup3", "epoll_create",
	"epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2",
	"epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "execve", "execveat", "exit",
	"exit_group", "faccessat", "faccessat2", "fadvise64", "fadvise64_64", "fallocate",
	"fanotify_init", "fanotify_mark", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown",
	"fchown32", "fchownat", "fcntl", "fcntl64", "fdatasync", "fgetxattr", "flistxattr",
	"flock", "fork", "fremovexattr", "fsconfig", "fsetxattr", "fsmount", "fsopen", "fspick",
	"fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64", "fsync", "ftruncate",
	"ftruncate64", "futex", "futex_requeue", "futex_time64", "futex_wait", "futex_waitv",
	"futex_wake", "futimesat", "get_mempolicy", "get_robust_list", "get_thread_area",
	"getcpu", "getcwd", "getdents", "getdents64", "getegid", "getegid32", "geteuid",
	"geteuid32", "getgid", "getgid32", "getgroups", "getgroups32", "getitimer",
	"getpeername", "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getrandom",
	"getresgid", "getresgid32", "getresuid", "getresuid32", "getrlimit", "getrusage",
	"getsid", "getsockname", "getsockopt", "gettid", "gettimeofday", "getuid", "getuid32",
	"getxattr", "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch",
	"io_cancel", "io_destroy", "io_getevents", "io_setup", "io_submit", "ioctl",
	"ioprio_get", "ioprio_set", "ipc", "keyctl", "kill", "landlock_add_rule",
	"landlock_create_ruleset", "landlock_restrict_self", "lchown", "lchown32", "lgetxattr",
	"link", "linkat", "listen", "listxattr", "llistxattr", "lremovexattr", "lseek",
	"lsetxattr", "lstat", "lstat64", "madvise", "mbind", "membarrier", "memfd_create",
	"memfd_secret", "mincore", "mkdir", "mkdirat", "mknod", "mknodat", "mlock", "mlock2",
	"mlockall", "mmap", "mmap2", "mount", "mount_setattr", "move_mount", "mprotect",
	"mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedreceive_time64",
	"mq_timedsend", "mq_timedsend_time64", "mq_unlink", "mremap", "msgctl", "msgget",
	"msgrcv", "msgsnd", "msync", "munlock", "munlockall", "munmap", "name_to_handle_at",
	"nanosleep", "newfstatat", "open", "open_tree", "openat", "openat2", "pause",
	"pidfd_getfd", "pidfd_open", "pidfd_send_signal", "pipe", "pipe2", "pivot_root",
	"pkey_alloc", "pkey_free", "pkey_mprotect", "poll", "ppoll", "ppoll_time64", "prctl",
	"pread64", "preadv", "preadv2", "prlimit64", "process_mrelease", "pselect6",
	"pselect6_time64", "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readdir",
	"readlink", "readlinkat", "readv", "reboot", "recv", "recvfrom", "recvmmsg",
	"recvmmsg_time64", "recvmsg", "remap_file_pages", "removexattr", "rename", "renameat",
	"renameat2", "restart_syscall", "rmdir", "rseq", "rt_sigaction", "rt_sigpending",
	"rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",
	"rt_sigtimedwait_time64", "rt_tgsigqueueinfo", "sched_get_priority_max",
	"sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam",
	"sched_getscheduler", "sched_rr_get_interval", "sched_rr_get_interval_time64",
	"sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler",
	"sched_yield", "seccomp", "select", "semctl", "semget", "semop", "semtimedop",
	"semtimedop_time64", "send", "sendfile", "sendfile64", "sendmmsg", "sendmsg", "sendto",
	"set_mempolicy", "set_robust_list", "set_thread_area", "set_tid_address", "setfsgid",
	"setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32", "setgroups",
	"setgroups32", "setitimer", "setpgid", "setpriority", "setregid", "setregid32",
	"setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32",
	"setrlimit", "setsid", "setsockopt", "setuid", "setuid32", "setxattr", "shmat",
	"shmctl", "shmdt", "shmget", "shutdown", "sigaction", "sigaltstack", "signal",
	"signalfd", "signalfd4", "sigpending", "sigprocmask", "sigreturn", "sigsuspend",
	"socketcall", "socketpair", "splice", "stat", "stat64", "statfs", "statfs64", "statx",
	"symlink", "symlinkat", "sync", "sync_file_range", "syncfs", "sysinfo", "syslog", "tee",
	"tgkill", "time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime",
	"timer_gettime64", "timer_settime", "timer_settime64", "timerfd", "timerfd_create",
	"timerfd_gettime", "timerfd_gettime64", "timerfd_settime", "timerfd_settime64", "times",
	"tkill", "truncate", "truncate64", "ugetrlimit", "umask", "umount", "umount2", "uname",
	"unlink", "unlinkat", "utime", "utimensat", "utimensat_time64", "utimes", "vfork",
	"wait4", "waitid", "waitpid", "write", "writev",
	NULL
};

const char *const seccomp_refused[] = {
	"bdflush", "cachestat", "io_pgetevents", "io_pgetevents_time64", "kexec_file_load",
	"kexec_load", "map_shadow_stack", "migrate_pages", "move_pages", "nfsservctl", "nice",
	"oldfstat", "oldlstat", "oldolduname", "oldstat", "olduname", "pciconfig_iobase",
	"pciconfig_read", "pciconfig_write", "sgetmask", "ssetmask", "swapcontext", "swapoff",
	"swapon", "syscall", "sysfs", "uselib", "userfaultfd", "ustat", "vm86", "vm86old",
	"vmsplice",
	NULL
};

/* Before Linux 4.8 a traced process could leave its filter through ptrace(). */
const struct seccomp_since seccomp_allowed_since[] = {
	{ "process_vm_readv", 4, 8 },
	{ "process_vm_writev", 4, 8 },
	{ "ptrace", 4, 8 },
	{ 0 }
};

const struct seccomp_privileged seccomp_privileged[] = {
	{ "acct", { "CAP_SYS_PACCT" } },
	{ "bpf", { "CAP_SYS_ADMIN", "CAP_BPF" } },
	{ "chroot", { "CAP_SYS_CHROOT" } },
	{ "clock_settime", { "CAP_SYS_TIME" } },
	{ "clock_settime64", { "CAP_SYS_TIME" } },
	{ "delete_module", { "CAP_SYS_MODULE" } },
	{ "finit_module", { "CAP_SYS_MODULE" } },
	{ "init_module", { "CAP_SYS_MODULE" } },
	{ "ioperm", { "CAP_SYS_RAWIO" } },
	{ "iopl", { "CAP_SYS_RAWIO" } },
	{ "kcmp", { "CAP_SYS_PTRACE" } },
	{ "lookup_dcookie", { "CAP_SYS_ADMIN" } },
	{ "open_by_handle_at", { "CAP_DAC_READ_SEARCH" } },
	{ "perf_event_open", { "CAP_SYS_ADMIN", "CAP_PERFMON" } },
	{ "process_madvise", { "CAP_SYS_PTRACE" } },
	{ "query_module", { "CAP_SYS_MODULE" } },
	{ "quotactl", { "CAP_SYS_ADMIN" } },
	{ "quotactl_fd", { "CAP_SYS_ADMIN" } },
	{ "setdomainname", { "CAP_SYS_ADMIN" } },
	{ "sethostname", { "CAP_SYS_ADMIN" } },
	{ "setns", { "CAP_SYS_ADMIN" } },
	{ "settimeofday", { "CAP_SYS_TIME" } },
	{ "stime", { "CAP_SYS_TIME" } },
	{ "unshare", { "CAP_SYS_ADMIN" } },
	{ "vhangup", { "CAP_SYS_TTY_CONFIG" } },
	{ 0 }
};

#define EQ "SCMP_CMP_EQ"
#define NE "SCMP_CMP_NE"
#define MASKED_EQ "SCMP_CMP_MASKED_EQ"

/* linux/personality.h: PER_LINUX, PER_LINUX32, each also with UNAME26, and the query. */
#define PERSONALITY(v) { "personality", 0, { { 0, v, 0, EQ } }, 1, NULL, NULL }

#define FAMILY_NETLINK 16
#define FAMILY_ALG 38		/* the kernel's crypto: much code, no use in a container */
#define FAMILY_VSOCK 40		/* reaches the hypervisor */
#define NETLINK_AUDIT 9

/* CLONE_NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID NEWNET, and NEWNS. */
#define NAMESPACE_FLAGS (0x7e000000u | 0x00020000u)
#ifdef __s390__
#define CLONE_FLAGS_ARG 1
#else
#define CLONE_FLAGS_ARG 0
#endif

/*
 * Refusals stand before what they take from: comparisons of one argument are tried in the order in
 * which their values first appear, and "not 16" takes the place of "16", so that must come last.
 * clone3() keeps its flags in memory, where a filter cannot look: without CAP_SYS_ADMIN it is not
 * in any list, and libc falls back to clone().
 */
const struct seccomp_conditional seccomp_conditional[] = {
	PERSONALITY(0),
	PERSONALITY(8),
	PERSONALITY(0x20000),
	PERSONALITY(0x20008),
	PERSONALITY(0xffffffff),
	{ "socket", SECCOMP_EPERM, { { 0, FAMILY_ALG, 0, EQ } }, 1, NULL, NULL },
	{ "socket", SECCOMP_EPERM, { { 0, FAMILY_VSOCK, 0, EQ } }, 1, NULL, NULL },
	{ "socket", SECCOMP_EINVAL, { { 0, FAMILY_NETLINK, 0, EQ }, { 2, NETLINK_AUDIT, 0, EQ } },
	  2, NULL, "CAP_AUDIT_WRITE" },
	{ "socket", 0, { { 0, FAMILY_NETLINK, 0, EQ }, { 2, NETLINK_AUDIT, 0, NE } },
	  2, NULL, "CAP_AUDIT_WRITE" },
	{ "socket", 0, { { 0, FAMILY_NETLINK, 0, EQ } }, 1, "CAP_AUDIT_WRITE", NULL },
	{ "socket", 0, { { 0, FAMILY_NETLINK, 0, NE } }, 1, NULL, NULL },
	{ "clone", 0, { { CLONE_FLAGS_ARG, NAMESPACE_FLAGS, 0, MASKED_EQ } },
	  1, NULL, "CAP_SYS_ADMIN" },
	{ "clone", 0, { { 0 } }, 0, "CAP_SYS_ADMIN", NULL },
	{ "clone3", 0, { { 0 } }, 0, "CAP_SYS_ADMIN", NULL },
	{ 0 }
};

/* The architecture, those whose programs it also runs, and the calls that only they have. */
#if defined(__x86_64__)
const char *const seccomp_architectures[] = {
	"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", NULL
};
const char *const seccomp_allowed_here[] = { "arch_prctl", "modify_ldt", NULL };
#elif defined(__i386__)
const char *const seccomp_architectures[] = { "SCMP_ARCH_X86", NULL };
const char *const seccomp_allowed_here[] = { "modify_ldt", NULL };
#elif defined(__aarch64__)
const char *const seccomp_architectures[] = { "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", NULL };
const char *const seccomp_allowed_here[] = {
	"arm_fadvise64_64", "arm_sync_file_range", "breakpoint", "cacheflush", "set_tls",
	"sync_file_range2", NULL
};
#elif defined(__arm__)
const char *const seccomp_architectures[] = { "SCMP_ARCH_ARM", NULL };
const char *const seccomp_allowed_here[] = {
	"arm_fadvise64_64", "arm_sync_file_range", "breakpoint", "cacheflush", "set_tls",
	"sync_file_range2", NULL
};
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
const char *const seccomp_architectures[] = { "SCMP_ARCH_PPC64LE", NULL };
const char *const seccomp_allowed_here[] = { "swapcontext", "sync_file_range2", NULL };
#elif defined(__s390x__)
const char *const seccomp_architectures[] = { "SCMP_ARCH_S390X", "SCMP_ARCH_S390", NULL };
const char *const seccomp_allowed_here[] = {
	"s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr", NULL
};
#elif defined(__riscv) && __riscv_xlen == 64
const char *const seccomp_architectures[] = { "SCMP_ARCH_RISCV64", NULL };
const char *const seccomp_allowed_here[] = { "riscv_flush_icache", NULL };
#elif defined(__loongarch64)
const char *const seccomp_architectures[] = { "SCMP_ARCH_LOONGARCH64", NULL };
const char *const seccomp_allowed_here[] = { NULL };
#else
#error "which seccomp architectures does this machine have?"
#endif
