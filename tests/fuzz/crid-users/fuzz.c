/* SPDX-License-Identifier: Apache-2.0 */
/* Files of an image, ended by NUL: etc/passwd, etc/group; then the user it asks for. */
#include <fcntl.h>
#include <sys/stat.h>
#include "../fuzz.h"
#include "users.h"

static char dir[] = "/dev/shm/fuzz-users-XXXXXX";
static int root = -1;

static void clean_up(void)
{
	rm_rf_at(AT_FDCWD, dir);
}

static void put(const char *name, struct input *in)
{
	size_t n;
	_cleanup_free_ char *text = fuzz_piece(in, false, &n);

	require(!write_file_at(root, name, 0600, text, n, 0));
}

static void use(const struct user *u)
{
	struct cb_error err = { 0 };
	char *text = NULL;
	size_t n;
	int r;

	require(u->n_groups && u->groups[0] == u->gid && u->home);
	r = user_passwd_text(root, u, "/home", &text, &n, &err);
	fuzz_said(r, &err);
	free(text);
	text = NULL;
	r = user_group_text(root, u, &text, &n, &err);
	fuzz_said(r, &err);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t more[] = { 5, 0, 4294967295 };
	struct input in = { data, size };
	struct cb_error err = { 0 };
	struct user u;
	int r;

	if (root < 0) {
		require(mkdtemp(dir) && (root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0);
		require(!mkdirat(root, "etc", 0700));
		atexit(clean_up);
	}
	put("etc/passwd", &in);
	put("etc/group", &in);
	_cleanup_free_ char *wanted = fuzz_piece(&in, false, NULL);

	if (!utf8_valid(wanted, strlen(wanted)))	/* CRI and image configs have only that */
		return 0;
	for (int by = 0; by < 4; by++) {
		struct user_request q = { .root_fd = root, .image_user = by ? "" : wanted, .run_as_username = by == 1 ? wanted : "",
			.run_as_user = by == 2 ? (int64_t)strlen(wanted) : -1, .run_as_group = by == 2 ? 7 : -1,
			.supplemental = more, .n_supplemental = size % 4, .strict = by == 3 };

		r = user_resolve(&q, &u, &err);
		fuzz_said(r, &err);
		if (!r) {
			use(&u);
			user_done(&u);
		}
	}
	return 0;
}
