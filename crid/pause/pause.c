/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pause program: PID 1 of a pod whose containers share one PID namespace. It waits; it
 * collects the orphans it inherits; SIGINT and SIGTERM end it with status 0.
 *
 * The three signals are blocked and fetched one by one, so there is no handler. Being blocked also
 * makes the kernel queue them for PID 1, which it does not do for signals that would take their
 * default action.
 *
 * Without the C library the program is one page of code (start.h), which matters because one of
 * them runs per pod.
 */
#include "start.h"

#define SIG_INT 2
#define SIG_TERM 15
#define SIG_CHLD 17
#define BIT(sig) (1ull << ((sig) - 1))

static const char version[] = "pause (crid) " PAUSE_VERSION "\n";
static const char usage[] =
	"usage: pause [-v]\nWaits for SIGINT or SIGTERM, and collects orphans.\n";

static int text_is(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

int pause_main(int argc, char **argv)
{
	unsigned long long set = BIT(SIG_INT) | BIT(SIG_TERM) | BIT(SIG_CHLD);

	if (argc > 1 && text_is(argv[1], "-v")) {
		sys_write(1, version, sizeof(version) - 1);
		return 0;
	}
	if (argc > 1) {
		sys_write(2, usage, sizeof(usage) - 1);
		return 2;
	}
	if (sys_sigblock(&set) < 0)
		return 1;
	for (;;) {
		long sig = sys_sigwait(&set);

		if (sig == SIG_INT || sig == SIG_TERM)
			return 0;
		/* Also after an interruption: several dead children may have sent one SIGCHLD. */
		while (sys_reap() > 0)
			;
	}
}
