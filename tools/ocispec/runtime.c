/* SPDX-License-Identifier: Apache-2.0 */
/* What an OCI runtime says it can do: its `features` command, which old ones do not have. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <cbase/io.h>
#include "spec_tool.h"

extern char **environ;

static int start(const char *program, int out, pid_t *ret)
{
	const char *const argv[] = { program, "features", NULL };
	posix_spawn_file_actions_t actions;
	int r;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	r = posix_spawnp(ret, program, &actions, NULL, (char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

int runtime_features(const char *program, struct ocispec **ret)
{
	_cleanup_free_ char *text = NULL;
	struct ocispec_error err = { 0 };
	int pipes[2], r, status;
	size_t len = 0;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0) {
		complain("pipe: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	r = start(program, pipes[1], &pid);
	close(pipes[1]);
	if (!r)
		r = -read_fd(pipes[0], OCISPEC_DOCUMENT_MAX, &text, &len);
	else
		pid = 0;
	close(pipes[0]);
	if (pid)
		waitpid(pid, &status, 0);
	if (r) {
		complain("run %s features: %s", program, strerror(r));
		return EXIT_FAILURE;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return 0;
	if (ocispec_parse_as(OCISPEC_FEATURES, text, len, ret, &err)) {
		complain("%s features: %s", program, err.message);
		return EXIT_FAILURE;
	}
	return 0;
}
