/* SPDX-License-Identifier: Apache-2.0 */
/* Files that others write: exit files and the store's image records. CNI's are in network_watch.h. */
#ifndef CRID_WATCH_H
#define CRID_WATCH_H

#include "daemon.h"

int watch_start(struct daemon *d, struct cb_error *err);
void watch_stop(struct daemon *d);

#endif
