/* SPDX-License-Identifier: Apache-2.0 */
/* A list as an answer of several messages. */
#ifndef CRID_LIST_STREAM_H
#define CRID_LIST_STREAM_H

#include <crisvc.h>
#include <crisvc-cri.h>

#define LIST_STREAM_ITEMS 500	/* of one message */

/* m has one repeated field of messages; what it points to is not needed any more afterwards. */
void list_stream(struct crisvc_call *call, ProtobufCMessage *m);

#endif
