/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks a CRI runtime for its name and version.
 *
 *	version [SOCKET]
 */
#include <stdio.h>
#include <stdlib.h>

#include <crisvc-cri.h>
#include <crisvc.h>

int main(int argc, char **argv)
{
	const struct crisvc_cri_method *m = crisvc_cri_method_by_name("Version");
	Runtime__V1__VersionRequest request = RUNTIME__V1__VERSION_REQUEST__INIT;
	const Runtime__V1__VersionResponse *response;
	struct crisvc_client *client = NULL;
	struct crisvc_error err = { 0 };
	ProtobufCMessage *message = NULL;
	void *bytes = NULL, *reply = NULL;
	size_t len, reply_len;
	int r;

	r = crisvc_client_new(argc > 1 ? argv[1] : "/run/crio/crio.sock", &client, &err);
	if (!r)
		r = crisvc_cri_pack(&request.base, &bytes, &len);
	if (!r)
		r = crisvc_client_call(client, m->path, bytes, len, 2000, &reply, &reply_len, &err);
	if (!r)
		r = crisvc_cri_unpack(m->response, reply, reply_len, &message, NULL);
	if (!r) {
		response = (const Runtime__V1__VersionResponse *)message;
		printf("%s %s (API %s)\n", response->runtime_name, response->runtime_version,
		       response->runtime_api_version);
	} else {
		fprintf(stderr, "Version: error %d, gRPC status %d: %s\n", r, err.grpc_status,
			err.message);
	}
	crisvc_cri_free(message);
	free(reply);
	free(bytes);
	crisvc_client_free(client);
	return r ? 1 : 0;
}
