/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A streaming server with a backend of its own, for tests that bring their own clients: exec is
 * `sh -c` with pipes or a terminal, attach a process that behaves like conmon's socket, port-forward a
 * connection to 127.0.0.1. Driven by lines on stdin, each answered by a line:
 *
 *	exec|attach FLAGS COMMAND	FLAGS of i, o, e, t: the path of a URL
 *	forward PORT,...|-		the same
 *	stat				"fds N threads N busy N children N"
 *
 *	streaming_server [--idle MS] [--ciphers A,B] [--tls CERT KEY CA|- VERSION]	first prints "port N"
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <crisvc-streaming.h>

#define CHILDREN_MAX 256

struct child {
	pid_t pid;
	int pidfd, tty;
	struct crisvc_stream *stream; /* NULL: an attach, or nobody cares any more */
};

static struct child children[CHILDREN_MAX];
static size_t n_children;
static struct crisvc_streaming *server;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void pipe_pair(int *theirs, int *ours, int write_end)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC))
		die("pipe");
	*theirs = p[!write_end ? 1 : 0];
	*ours = p[!write_end ? 0 : 1];
}

static void add_child(pid_t pid, int tty, struct crisvc_stream *s)
{
	if (n_children == CHILDREN_MAX)
		die("children");
	children[n_children++] = (struct child){ pid, pidfd_open(pid, 0), tty, s };
}

static void run_shell(const char *command, int in, int out, int err, int tty)
{
	setsid();
	if (tty)
		ioctl(in, TIOCSCTTY, 0);
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	signal(SIGPIPE, SIG_DFL);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

static void start_exec(struct crisvc_stream *s)
{
	struct crisvc_stream_io io = { .size = sizeof(io), .in = -1, .out = -1, .err = -1 };
	int flags = crisvc_stream_flags(s), in = -1, out = -1, err = -1, slave = -1;
	char *command = crisvc_stream_data(s);
	pid_t pid;

	if (!strcmp(command, "FAIL")) {
		crisvc_stream_fail(s, "no such \"command\"\n");
		return;
	}
	if (flags & CRISVC_STREAM_TTY) {
		if (openpty(&io.in, &slave, NULL, NULL, NULL))
			die("openpty");
		fcntl(io.in, F_SETFD, FD_CLOEXEC);
		io.out = io.in;
	} else {
		if (flags & CRISVC_STREAM_STDIN)
			pipe_pair(&in, &io.in, 1);
		if (flags & CRISVC_STREAM_STDOUT)
			pipe_pair(&out, &io.out, 0);
		if (flags & CRISVC_STREAM_STDERR)
			pipe_pair(&err, &io.err, 0);
	}
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		if (slave >= 0)
			run_shell(command, slave, slave, slave, 1);
		if (in < 0)
			in = open("/dev/null", O_RDWR);
		run_shell(command, in, out < 0 ? open("/dev/null", O_RDWR) : out, err < 0 ? open("/dev/null", O_RDWR) : err, 0);
	}
	add_child(pid, io.in == io.out ? io.in : -1, s);
	close(slave);
	close(in);
	close(out);
	close(err);
	crisvc_stream_run(s, &io);
}

/* Says hello, then every packet back on stdout, and its length on stderr; "quit" ends it. */
static void run_monitor(int fd)
{
	char buf[40000] = "\2hello\n", line[64];
	ssize_t n;

	send(fd, buf, 7, 0);
	buf[0] = 2;
	while ((n = recv(fd, buf + 1, sizeof(buf) - 1, 0)) > 0) {
		for (ssize_t at = 0; at < n; at += 8192) {
			size_t k = (size_t)(n - at < 8192 ? n - at : 8192);

			buf[at] = 2;
			send(fd, buf + at, k + 1, 0);
		}
		n = snprintf(line, sizeof(line), "\3%zd\n", n);
		send(fd, line, (size_t)n, 0);
		if (!memcmp(buf + 1, "quit", 4))
			break;
	}
	send(fd, "\2bye\n", 5, 0);
	_exit(0);
}

static void start_attach(struct crisvc_stream *s)
{
	struct crisvc_stream_io io = { .size = sizeof(io), .err = -1, .flags = CRISVC_STREAM_IO_PACKETS };
	const char *how = crisvc_stream_data(s);
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		die("socketpair");
	pid = fork();
	if (pid == 0)
		run_monitor(pair[1]);
	close(pair[1]);
	add_child(pid, -1, NULL);
	io.in = io.out = pair[0];
	if (strstr(how, "ends"))
		io.flags |= CRISVC_STREAM_IO_ENDS_WITH_STDIN;
	if (crisvc_stream_flags(s) & CRISVC_STREAM_TTY)
		io.flags |= CRISVC_STREAM_IO_DETACH_KEYS;
	crisvc_stream_run(s, &io);
}

static void start_forward(struct crisvc_stream *s)
{
	struct crisvc_stream_io io = { .size = sizeof(io), .err = -1 };
	struct sockaddr_in a = { AF_INET, htons((uint16_t)crisvc_stream_port(s)), { htonl(INADDR_LOOPBACK) } };

	io.in = io.out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(io.in, (struct sockaddr *)&a, sizeof(a))) {
		close(io.in);
		crisvc_stream_fail(s, "connection refused");
		return;
	}
	crisvc_stream_run(s, &io);
}

static void start(void *user, struct crisvc_stream *s)
{
	switch (crisvc_stream_kind(s)) {
	case CRISVC_STREAM_EXEC:
		start_exec(s);
		break;
	case CRISVC_STREAM_ATTACH:
		start_attach(s);
		break;
	default:
		start_forward(s);
	}
}

static void resize(void *user, struct crisvc_stream *s, unsigned width, unsigned height)
{
	struct winsize size = { .ws_col = (unsigned short)width, .ws_row = (unsigned short)height };

	for (size_t i = 0; i < n_children; i++)
		if (children[i].stream == s && children[i].tty >= 0)
			ioctl(children[i].tty, TIOCSWINSZ, &size);
}

static void cancel(void *user, struct crisvc_stream *s)
{
	for (size_t i = 0; i < n_children; i++)
		if (children[i].stream == s && kill(-children[i].pid, SIGKILL)) /* no group yet */
			kill(children[i].pid, SIGKILL);
}

/* ---- the driver ---- */

static int count_dir(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void token(int kind, const char *flags, const char *command, const uint16_t *ports, size_t n)
{
	static const char *const paths[] = { "", "exec", "attach", "portforward" };
	struct crisvc_stream_request q = { .size = sizeof(q), .kind = kind, .ports = ports, .n_ports = n, .release = free };
	struct crisvc_streaming_error err = { 0 };
	char text[CRISVC_STREAMING_TOKEN_SIZE];
	int r;

	q.flags = (strchr(flags, 'i') ? CRISVC_STREAM_STDIN : 0) | (strchr(flags, 'o') ? CRISVC_STREAM_STDOUT : 0) |
		  (strchr(flags, 'e') ? CRISVC_STREAM_STDERR : 0) | (strchr(flags, 't') ? CRISVC_STREAM_TTY : 0);
	q.data = strdup(command);
	r = crisvc_streaming_expect(server, &q, text, &err);
	if (r) {
		free(q.data);
		printf("error %d %s\n", r, err.message);
	} else {
		printf("/%s/%s\n", paths[kind], text);
	}
}

static void on_line(char *line)
{
	char *word = strsep(&line, " "), *flags = line ? strsep(&line, " ") : NULL, *p;
	uint16_t ports[64];
	size_t n = 0;

	if (!strcmp(word, "stat")) {
		printf("fds %d threads %d busy %zu children %zu\n", count_dir("/proc/self/fd"), count_dir("/proc/self/task") - 2,
		       crisvc_streaming_busy(server), n_children);
	} else if (!strcmp(word, "forward")) {
		while (*flags != '-' && n < 64 && (p = strsep(&flags, ",")))
			if ((ports[n++] = (uint16_t)atoi(p)) && !flags)
				break;
		token(CRISVC_STREAM_PORT_FORWARD, "", "", ports, n);
	} else {
		token(!strcmp(word, "exec") ? CRISVC_STREAM_EXEC : CRISVC_STREAM_ATTACH, flags, line ? line : "", NULL, 0);
	}
	fflush(stdout);
}

static void on_input(void)
{
	static char buf[65536];
	static size_t len;
	ssize_t n = read(0, buf + len, sizeof(buf) - len - 1);
	char *end;

	if (n <= 0) {
		crisvc_streaming_free(server);
		for (size_t i = 0; i < n_children; i++)
			kill(-children[i].pid, SIGKILL);
		exit(0);
	}
	len += (size_t)n;
	buf[len] = '\0';
	while ((end = strchr(buf, '\n'))) {
		*end = '\0';
		on_line(buf);
		len -= (size_t)(end + 1 - buf);
		memmove(buf, end + 1, len + 1);
	}
}

static void on_child(size_t i)
{
	struct child c = children[i];
	int status;

	if (waitpid(c.pid, &status, WNOHANG) != c.pid)
		return;
	close(c.pidfd);
	children[i] = children[--n_children];
	if (c.stream)
		crisvc_stream_exit(c.stream, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void loop(void)
{
	struct pollfd p[2 + CHILDREN_MAX];
	size_t n;

	for (;;) {
		p[0] = (struct pollfd){ 0, n_children + 64 < CHILDREN_MAX ? POLLIN : 0, 0 };
		p[1] = (struct pollfd){ crisvc_streaming_get_fd(server), POLLIN, 0 };
		n = n_children;
		for (size_t i = 0; i < n; i++)
			p[2 + i] = (struct pollfd){ children[i].pidfd, POLLIN, 0 };
		if (poll(p, 2 + n, -1) < 0)
			die("poll");
		for (size_t i = n; i-- > 0;)
			if (p[2 + i].revents)
				on_child(i);
		if (p[1].revents && crisvc_streaming_dispatch(server))
			die("dispatch");
		if (p[0].revents)
			on_input();
	}
}

int main(int argc, char **argv)
{
	struct crisvc_stream_backend backend = { .size = sizeof(backend), .start = start, .resize = resize, .cancel = cancel };
	struct sockaddr_in a = { AF_INET, 0, { htonl(INADDR_LOOPBACK) } };
	struct crisvc_streaming_error err = { 0 };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	signal(SIGPIPE, SIG_IGN);
	if (crisvc_streaming_new(&backend, NULL, &server) || bind(fd, (struct sockaddr *)&a, n) || listen(fd, 1024) ||
	    getsockname(fd, (struct sockaddr *)&a, &n) || crisvc_streaming_listen(server, fd))
		die("listen");
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--idle") && i + 1 < argc) {
			crisvc_streaming_set_idle_timeout(server, atoll(argv[++i]) * 1000000);
		} else if (!strcmp(argv[i], "--ciphers") && i + 1 < argc) {
			char *rest = argv[++i];
			const char *first = strsep(&rest, ","), *names[] = { first, rest, NULL };

			crisvc_streaming_set_tls_ciphers(server, names);
		} else if (!strcmp(argv[i], "--tls") && i + 4 < argc) {
			if (crisvc_streaming_set_tls(server, argv[i + 1], argv[i + 2], argv[i + 3][0] == '-' ? NULL : argv[i + 3],
						     atoi(argv[i + 4]), &err)) {
				fprintf(stderr, "%s\n", err.message);
				return 1;
			}
			i += 4;
		}
	}
	printf("port %d\n", ntohs(a.sin_port));
	fflush(stdout);
	loop();
}
