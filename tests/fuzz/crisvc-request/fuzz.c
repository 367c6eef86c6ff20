/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every message of CRI: the first byte is the RPC, with 128 its answer. What is accepted must come
 * out of packing and unpacking as the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include <crisvc-cri.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const ProtobufCMessageDescriptor *d;
	ProtobufCMessage *a = NULL, *b = NULL;
	void *once = NULL, *twice = NULL;
	size_t n = 0, n_once, n_twice;

	if (!size)
		return 0;
	while (crisvc_cri_methods[n].path)
		n++;
	n = (data[0] & 127) % n;
	d = data[0] & 128 ? crisvc_cri_methods[n].response : crisvc_cri_methods[n].request;
	if (crisvc_cri_unpack(d, data + 1, size - 1, &a, NULL))
		return 0;
	if (crisvc_cri_pack(a, &once, &n_once) || crisvc_cri_unpack(d, once, n_once, &b, NULL) ||
	    crisvc_cri_pack(b, &twice, &n_twice))
		abort();
	if (n_once != n_twice || memcmp(once, twice, n_once))
		abort();
	crisvc_cri_free(a);
	crisvc_cri_free(b);
	free(once);
	free(twice);
	return 0;
}
