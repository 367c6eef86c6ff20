/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC messages in a stream of bytes. The first byte is the size of the pieces they come in. */
#include <stdlib.h>

#include "framer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct budget budget = { .max = 100000 };
	size_t piece, i, n, taken, len, charged;
	struct framer f;
	int r = 0;

	framer_init(&f, &budget, 70000);
	piece = size && data[0] ? data[0] : size;
	for (i = 1; i < size && !r; i += taken) {
		n = piece < size - i ? piece : size - i;
		r = framer_push(&f, data + i, n, &taken);
		if (r)
			break;
		if (taken > n || (taken < n && !framer_complete(&f)))
			abort();
		if (framer_complete(&f)) {
			free(framer_take(&f, &len, &charged));
			budget_give(&budget, charged);
			if (len > 70000)
				abort();
		}
	}
	framer_done(&f);
	if (atomic_load(&budget.used))
		abort();
	return 0;
}
