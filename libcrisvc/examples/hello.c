/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest runtime: knows its version. Try it with: crictl -r unix:///tmp/hello.sock version */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <crisvc-cri.h>
#include <crisvc.h>

static void version(struct crisvc_call *call)
{
	Runtime__V1__VersionResponse r = RUNTIME__V1__VERSION_RESPONSE__INIT;
	char version[] = "0.1.0", name[] = "hello", api[] = "v1";
	void *bytes;
	size_t len;

	r.version = r.runtime_version = version;
	r.runtime_name = name;
	r.runtime_api_version = api;
	if (crisvc_cri_pack(&r.base, &bytes, &len)) {
		crisvc_call_fail(call, CRISVC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	crisvc_call_reply(call, bytes, len);
	free(bytes);
}

int main(void)
{
	struct sockaddr_un addr = { AF_UNIX, "/tmp/hello.sock" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct crisvc_server *server;
	struct crisvc_call *call;

	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 16) ||
	    crisvc_server_new(&server) || crisvc_server_listen(server, fd) ||
	    crisvc_server_add_method(server, "/runtime.v1.RuntimeService/Version", NULL)) {
		perror(addr.sun_path);
		return 1;
	}
	for (;;) {
		struct pollfd p = { .fd = crisvc_server_get_fd(server), .events = POLLIN };

		poll(&p, 1, -1);
		if (crisvc_server_dispatch(server))
			break;
		while ((call = crisvc_server_pop_call(server)))
			version(call);
	}
	crisvc_server_free(server);
	return 1;
}
