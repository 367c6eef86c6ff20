/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans come in the order of their ends, because each is told when it is over. So those that the
 * next one may touch are at the end of the list: it swallows from there what it overlaps, and what
 * remains is disjoint. Children mostly run one after the other; when more than SPANS are apart, the
 * oldest is settled and can no longer be swallowed.
 */
#include "optime.h"

#include <stdbool.h>
#include <string.h>

#define SPANS 8

static _Thread_local struct {
	bool open;
	unsigned n;
	int64_t settled;
	struct {
		int64_t from, to;
	} spans[SPANS];
} op;

void optime_begin(void)
{
	op.open = true;
	op.n = 0;
	op.settled = 0;
}

void optime_waited(int64_t from, int64_t to)
{
	if (!op.open || from >= to)
		return;
	for (; op.n && op.spans[op.n - 1].to >= from; op.n--) {
		if (op.spans[op.n - 1].from < from)
			from = op.spans[op.n - 1].from;
		if (op.spans[op.n - 1].to > to)
			to = op.spans[op.n - 1].to;
	}
	if (op.n == SPANS) {
		op.settled += op.spans[0].to - op.spans[0].from;
		memmove(op.spans, op.spans + 1, sizeof(op.spans) - sizeof(op.spans[0]));
		op.n--;
	}
	op.spans[op.n].from = from;
	op.spans[op.n].to = to;
	op.n++;
}

int64_t optime_end(void)
{
	int64_t sum = op.settled;

	for (unsigned i = 0; i < op.n; i++)
		sum += op.spans[i].to - op.spans[i].from;
	op.open = false;
	return sum;
}
