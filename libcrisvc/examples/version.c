/* SPDX-License-Identifier: Apache-2.0 */
/* Asks a CRI runtime for its name and version: version [SOCKET] */
#include <stdio.h>
#include <stdlib.h>

#include <crisvc-cri.h>
#include <crisvc.h>

int main(int argc, char **argv)
{
	const struct crisvc_cri_method *rpc = crisvc_cri_method_by_name("Version");
	struct crisvc_client *client = NULL;
	struct crisvc_error err = { 0 };
	ProtobufCMessage *message = NULL;
	void *reply = NULL;
	size_t len;
	int r;

	r = crisvc_client_new(argc > 1 ? argv[1] : "/run/crio/crio.sock", &client, &err);
	if (!r) /* an empty message is no bytes; crisvc_cri_pack() makes those of others */
		r = crisvc_client_call(client, rpc->path, NULL, 0, 2000, &reply, &len, &err);
	if (!r)
		r = crisvc_cri_unpack(rpc->response, reply, len, &message, NULL);
	if (!r) {
		const Runtime__V1__VersionResponse *v = (const void *)message;

		printf("%s %s (API %s)\n", v->runtime_name, v->runtime_version, v->runtime_api_version);
	} else {
		fprintf(stderr, "Version: %s (gRPC status %d)\n", err.message, err.grpc_status);
	}
	crisvc_cri_free(message);
	free(reply);
	crisvc_client_free(client);
	return r ? 1 : 0;
}
