/* SPDX-License-Identifier: Apache-2.0 */
/* logs: what a container has written. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "ctl.h"

static bool opt_follow, opt_timestamps;
static long long opt_tail = -1;

static char *log_path(struct ctl *c, const char *id)
{
	CRI(ContainerStatusRequest) request = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;
	_cleanup_reply_ CRI(ContainerStatusResponse) *reply = NULL;
	char *path;

	request.container_id = pb(id);
	reply = ctl_ask(c, "ContainerStatus", &request.base, CALL_TIMEOUT);
	if (!reply)
		return NULL;
	if (!reply->status || reply->status->log_path[0] != '/') {
		complain("the container has no log file");
		return NULL;
	}
	path = strdup(reply->status->log_path);
	if (!path)
		complain("out of memory");
	return path;
}

/* Opens the log and finds where to begin. */
static int open_at_tail(const char *path, off_t *ret_offset)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), r;
	struct stat st;

	if (fd < 0) {
		complain("open %s: %s%s", path, strerror(errno),
			 errno == EACCES ? "; use sudo" : "");
		return -1;
	}
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		complain("%s is no regular file", path);
		return close_fd(fd);
	}
	*ret_offset = 0;
	r = opt_tail < 0 ? 0 : log_tail_offset(fd, opt_tail, ret_offset);
	if (r) {
		complain("read %s: %s", path, strerror(-r));
		return close_fd(fd);
	}
	return fd;
}

static int show_all(int fd, off_t offset, struct log_view *v)
{
	char buf[65536];
	ssize_t n;

	lseek(fd, offset, SEEK_SET);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		log_view_feed(v, buf, (size_t)n);
	log_view_end(v);
	if (n < 0)
		complain("read the log: %s", strerror(errno));
	return n < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_logs(void *user, int argc, char **argv)
{
	struct ctl *c = user;
	_cleanup_(object_done) struct object o = { 0 };
	_cleanup_(log_view_done) struct log_view view;
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	off_t offset;

	log_view_init(&view, opt_timestamps);
	if (object_find(c, OBJECT_CONTAINER, argv[0], &o))
		return EXIT_FAILURE;
	path = log_path(c, o.id);
	if (!path)
		return EXIT_FAILURE;
	fd = open_at_tail(path, &offset);
	if (fd < 0)
		return EXIT_FAILURE;
	if (opt_follow) {
		struct follow f = { .c = c,
				    .container = o.id,
				    .path = path,
				    .view = &view,
				    .offset = offset,
				    .interrupt_fd = -1 };

		return follow_log(&f);
	}
	return show_all(fd, offset, &view);
}

static const struct opt logs_options[] = {
	{ 'f', "follow", OPT_FLAG, &opt_follow, NULL, "go on until the container has ended" },
	{ 't', "timestamps", OPT_FLAG, &opt_timestamps, NULL, "begin each line with its time" },
	{ 0, "tail", OPT_INT, &opt_tail, "LINES", "begin with the last so many lines" },
	{ 0 },
};

const struct command cmd_logs = {
	"logs",
	"CONTAINER",
	"show what a container has written",
	"The container is named by its id, the beginning of its id, its name, or its pod if\n"
	"that has one only.\n"
	"The log is read from its file, so this works only on the machine of the container.",
	logs_options,
	false,
	1,
	1,
	run_logs,
};
