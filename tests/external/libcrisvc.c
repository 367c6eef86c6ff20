/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody else's program: a server with one method and a client of it, CRI messages between them. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <crisvc.h>
#include <crisvc-cri.h>

static char path[64];
static struct crisvc_error err;

static void *client(void *result)
{
	const struct crisvc_cri_method *version = crisvc_cri_method_by_name("Version");
	const struct crisvc_cri_method *status = crisvc_cri_method_by_name("Status");
	struct crisvc_client *c = NULL;
	ProtobufCMessage *message = NULL;
	void *reply = NULL;
	size_t len = 0;
	int *step = result;

	*step = 10;
	if (crisvc_client_new(path, &c, &err) || crisvc_client_call(c, version->path, NULL, 0, 5000, &reply, &len, &err))
		return NULL;
	*step = 11;
	if (crisvc_cri_unpack(version->response, reply, len, &message, NULL) ||
	    strcmp(((Runtime__V1__VersionResponse *)message)->runtime_name, "outside"))
		return NULL;
	crisvc_cri_free(message);
	free(reply);
	*step = 12;
	if (crisvc_client_call(c, status->path, NULL, 0, 5000, &reply, &len, &err) == CRISVC_E_STATUS &&
	    err.grpc_status == CRISVC_UNIMPLEMENTED)
		*step = 0;
	crisvc_client_free(c);
	return NULL;
}

static int answer(struct crisvc_call *call)
{
	Runtime__V1__VersionResponse version = RUNTIME__V1__VERSION_RESPONSE__INIT;
	char name[] = "outside";
	void *bytes = NULL;
	size_t len = 0;
	int r;

	version.runtime_name = name;
	r = crisvc_cri_pack(&version.base, &bytes, &len);
	if (!r)
		r = crisvc_call_reply(call, bytes, len);
	free(bytes);
	return r;
}

/* Serves until the client is done. */
static int serve(struct crisvc_server *server, pthread_t thread)
{
	struct pollfd p = { .fd = crisvc_server_get_fd(server), .events = POLLIN };
	struct crisvc_call *call;

	while (pthread_tryjoin_np(thread, NULL)) {
		if (poll(&p, 1, 20) < 0 || crisvc_server_dispatch(server))
			return 4;
		while ((call = crisvc_server_pop_call(server)))
			if (answer(call))
				return 5;
	}
	return 0;
}

int main(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct crisvc_server *server = NULL;
	int fd, status, client_status = 0;
	pthread_t thread;

	snprintf(path, sizeof(path), "/tmp/external-crisvc-%d", (int)getpid());
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 4))
		return 1;
	if (crisvc_server_new(&server) || crisvc_server_listen(server, fd) ||
	    crisvc_server_add_method(server, "/runtime.v1.RuntimeService/Version", NULL))
		return 2;
	if (pthread_create(&thread, NULL, client, &client_status))
		return 3;
	status = serve(server, thread);
	crisvc_server_free(server);
	unlink(path);
	if (!status)
		status = client_status;
	if (status)
		fprintf(stderr, "step %d: %s\n", status, err.message);
	else
		puts("ok");
	return status;
}
