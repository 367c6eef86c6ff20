/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals by name, as image configurations and pod specifications spell stop signals. Real-time
 * signals count from the first one that libc leaves to programs, 34, up to 64.
 */
#include <signal.h>
#include <strings.h>
#include "private.h"

#define RT_MIN 34
#define RT_MAX 64

/* clang-format off */
static const struct {
	const char *name;
	int number;
} signals[] = {
	{ "ABRT", SIGABRT }, { "ALRM", SIGALRM }, { "BUS", SIGBUS }, { "CHLD", SIGCHLD },
	{ "CLD", SIGCHLD }, { "CONT", SIGCONT }, { "FPE", SIGFPE }, { "HUP", SIGHUP },
	{ "ILL", SIGILL }, { "INT", SIGINT }, { "IO", SIGIO }, { "IOT", SIGIOT },
	{ "KILL", SIGKILL }, { "PIPE", SIGPIPE }, { "POLL", SIGPOLL }, { "PROF", SIGPROF },
	{ "PWR", SIGPWR }, { "QUIT", SIGQUIT }, { "SEGV", SIGSEGV },
#ifdef SIGSTKFLT	/* not on every architecture */
	{ "STKFLT", SIGSTKFLT },
#endif
	{ "STOP", SIGSTOP }, { "SYS", SIGSYS }, { "TERM", SIGTERM }, { "TRAP", SIGTRAP },
	{ "TSTP", SIGTSTP }, { "TTIN", SIGTTIN }, { "TTOU", SIGTTOU }, { "URG", SIGURG },
	{ "USR1", SIGUSR1 }, { "USR2", SIGUSR2 }, { "VTALRM", SIGVTALRM }, { "WINCH", SIGWINCH },
	{ "XCPU", SIGXCPU }, { "XFSZ", SIGXFSZ },
};
/* clang-format on */

static int number_in(const char *digits, long long min, long long max)
{
	long long n;

	if (*digits < '0' || *digits > '9' || str_to_i64(digits, &n) || n < min || n > max)
		return -EINVAL;
	return (int)n;
}

static int realtime(const char *name)
{
	int n;

	if (strncasecmp(name, "RTMIN", 5) == 0) {
		if (!name[5])
			return RT_MIN;
		n = name[5] == '+' ? number_in(name + 6, 0, RT_MAX - RT_MIN) : -EINVAL;
		return n < 0 ? n : RT_MIN + n;
	}
	if (strncasecmp(name, "RTMAX", 5) == 0) {
		if (!name[5])
			return RT_MAX;
		n = name[5] == '-' ? number_in(name + 6, 0, RT_MAX - RT_MIN) : -EINVAL;
		return n < 0 ? n : RT_MAX - n;
	}
	return -EINVAL;
}

PUBLIC int ocispec_signal_number(const char *name)
{
	if (!name)
		return -EINVAL;
	if (*name >= '0' && *name <= '9')
		return number_in(name, 1, RT_MAX);
	if (strncasecmp(name, "SIG", 3) == 0)
		name += 3;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (strcasecmp(name, signals[i].name) == 0)
			return signals[i].number;
	return realtime(name);
}
