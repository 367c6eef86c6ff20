/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CNI plugin for tests: keeps what it was given and says what its files say. Beside the program
 * FILE: FILE.COMMAND.in and .env get the document and the CNI_ variables, sorted; a line is added to
 * "calls"; FILE.COMMAND.out and .err are printed and .status is the exit status, where they exist.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

static FILE *open_beside(const char *program, const char *command, const char *what, const char *mode)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s.%s.%s", program, command, what);
	return fopen(path, mode);
}

static void copy(FILE *from, FILE *to)
{
	char buf[65536];
	size_t n;

	while (from && to && (n = fread(buf, 1, sizeof(buf), from)) > 0)
		fwrite(buf, 1, n, to);
	if (from)
		fclose(from);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void keep_variables(FILE *f)
{
	size_t n = 0;

	while (environ[n])
		n++;
	qsort(environ, n, sizeof(*environ), by_text);
	for (char **e = environ; f && *e; e++)
		if (strncmp(*e, "CNI_", 4) == 0)
			fprintf(f, "%s\n", *e);
	if (f)
		fclose(f);
}

static void keep_call(const char *program, const char *command)
{
	const char *name = strrchr(program, '/');
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%.*s/calls", (int)(name - program), program);
	f = fopen(path, "a");
	if (!f)
		return;
	fprintf(f, "%s %s %s %s\n", command, name + 1, getenv("CNI_CONTAINERID"), getenv("CNI_IFNAME"));
	fclose(f);
}

int main(int argc, char **argv)
{
	const char *command = getenv("CNI_COMMAND");
	int status = 0;
	FILE *f;

	if (!command || !strchr(argv[0], '/'))
		return 2;
	f = open_beside(argv[0], command, "out", "r");
	if (!f && strcmp(command, "VERSION") == 0) {
		puts("{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.1.0\",\"0.2.0\",\"0.3.0\","
		     "\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}");
		return 0;
	}
	copy(f, stdout);
	f = open_beside(argv[0], command, "in", "w");
	copy(stdin, f);
	if (f)
		fclose(f);
	keep_variables(open_beside(argv[0], command, "env", "w"));
	keep_call(argv[0], command);
	copy(open_beside(argv[0], command, "err", "r"), stderr);
	f = open_beside(argv[0], command, "status", "r");
	if (f && fscanf(f, "%d", &status) != 1)
		status = 0;
	return status;
}
