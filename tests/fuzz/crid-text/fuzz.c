/* SPDX-License-Identifier: Apache-2.0 */
/* Small texts of others; byte 0 says which. What is accepted has the form that its user relies on. */
#include "../fuzz.h"
#include "annotations.h"
#include "apparmor.h"
#include "cgroup_path.h"
#include "conmon_private.h"
#include "hostports/table.h"
#include "pinns/idmap.h"
#include "pinns/sysctl.h"
#include "runtime.h"
#include "selinux.h"

static void annotations(char *text, size_t n, struct cb_error *err)
{
	char *pairs[] = { text, text, NULL }, *allowed[] = { text, NULL };
	int64_t size;
	uint32_t mask;

	if (!utf8_valid(text, n))
		return;
	annotation_get(pairs, ANNOTATION_DEVICES, "c");
	annotations_drop(pairs, allowed);
	fuzz_said(annotation_parse_size(text, &size, err), err);
	fuzz_said(annotation_parse_umask(text, &mask, err), err);
}

static void conmon(char *text, size_t n, struct cb_error *err)
{
	_cleanup_str_ struct str said = STR_INIT, message = STR_INIT, out = STR_INIT, errout = STR_INIT;
	_cleanup_close_ int fd = fuzz_file(text, n);
	int64_t number;

	conmon_message_parse(text, n, "pid", &number, &said);
	runtime_message(&message, text, n);
	require(utf8_valid(message.data ? message.data : "", message.len));
	conmon_log_split(fd, 10000, &out, &errout);
	require(out.len + errout.len <= n);
	(void)err;
}

static void cgroups(char *text, size_t n, struct cb_error *err)
{
	if (!utf8_valid(text, n))	/* CRI and config.json have only that */
		return;
	for (int systemd = 0; systemd < 2; systemd++) {
		_cleanup_free_ char *path = NULL, *spec = NULL, *back = NULL;
		_cleanup_strv_ char **parts = NULL;
		int r = cgroup_path(systemd, text, "0123", &path, err);

		fuzz_said(r, err);
		if (r)
			continue;
		require(*path == '/' && !cgroup_split(path, &parts, err));
		spec = cgroup_to_spec(path);
		back = cgroup_from_spec(spec);
		require(!strcmp(path, back));
	}
	free(cgroup_from_spec(text));
}

static void hostports(char *text, size_t n, struct cb_error *err)
{
	struct arena arena = { 0 };
	const struct element *taken;
	_cleanup_str_ struct str script = STR_INIT;
	struct table t;
	char *line = memchr(text, '\n', n);

	(void)err;
	table_init(&t, &arena, n & 1);
	if (line) {
		*line++ = '\0';
		table_want(&t, text);
		n -= (size_t)(line - text);
		text = line;
	}
	if (!table_read(&t, text, n) && !table_compare(&t, NULL, &taken))
		table_script(&t, NULL, &script);
	table_done(&t);
	arena_done(&arena);
}

static void security(char *text, size_t n, struct cb_error *err)
{
	char *process = NULL, *file = NULL;

	apparmor_list_has(text, "crio-default");
	fuzz_said(selinux_contexts_parse(text, &process, &file, err), err);
	free(process);
	free(file);
}

static void pinns(char *text, size_t n, struct cb_error *err)
{
	_cleanup_str_ struct str map = STR_INIT;
	struct sysctl s;
	int r;

	idmap_format(text, &map);
	if (!utf8_valid(text, n))
		return;
	r = sysctl_parse(text, &s, err);
	fuzz_said(r, err);
	require(r || (*s.path != '/' && !strstr(s.path, "/../") && !str_starts(s.path, "../")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const all[])(char *text, size_t n, struct cb_error *err) = { annotations, conmon, cgroups, hostports, security, pinns };
	struct input in = { data + 1, size - 1 };
	struct cb_error err = { 0 };
	char *text;
	size_t n;

	if (!size)
		return 0;
	text = fuzz_piece(&in, true, &n);
	all[data[0] % 6](text, n, &err);
	free(text);
	return 0;
}
