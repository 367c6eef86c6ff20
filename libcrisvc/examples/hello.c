/* SPDX-License-Identifier: Apache-2.0 */
/* A runtime without containers: hello SOCKET. Try it with: crictl -r unix://SOCKET version */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <crisvc-service.h>

static char name[] = "hello", number[] = "0.1.0", api[] = "v1";
static struct crisvc_server *server;

static void version(struct crisvc_call *call, const Runtime__V1__VersionRequest *q, void *user)
{
	Runtime__V1__VersionResponse a = RUNTIME__V1__VERSION_RESPONSE__INIT;

	a.version = a.runtime_version = number;
	a.runtime_name = name;
	a.runtime_api_version = api;
	crisvc_cri_reply(call, &a.base);
}

static void container_status(struct crisvc_call *call,
			     const Runtime__V1__ContainerStatusRequest *q, void *user)
{
	crisvc_call_fail(call, CRISVC_NOT_FOUND, q->container_id);
}

static const struct crisvc_cri_service service = {
	.Version = version,
	.ContainerStatus = container_status,
};

static void serve(struct crisvc_call *call, void *user)
{
	crisvc_cri_service_call(&service, call, user);
}

static void on_signal(int signal)
{
	crisvc_server_stop(server);
}

int main(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(addr.sun_path, argc > 1 ? argv[1] : "hello.sock", sizeof(addr.sun_path) - 1);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 16) ||
	    crisvc_server_new(&server) || crisvc_server_listen(server, fd) ||
	    crisvc_cri_service_add(server, &service)) {
		perror(addr.sun_path);
		return 1;
	}
	signal(SIGTERM, on_signal);
	crisvc_server_run(server, serve, NULL);
	crisvc_server_free(server);
	unlink(addr.sun_path);
	return 0;
}
