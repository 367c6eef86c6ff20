/* SPDX-License-Identifier: Apache-2.0 */
/* Pins: files a namespace is bind-mounted on, DIR/NAMEns/FILE. */
#ifndef PINNS_PIN_H
#define PINNS_PIN_H

#include <cbase/err.h>

struct pin {
	int dir;		/* of DIR/NAMEns; -1: not made */
	const char *file;	/* [borrowed] */
};

/* Makes directories as needed and the file; binds ns_fd on it. What failed half-way is undone. */
int pin_make(int base, const char *ns_name, const char *file, int ns_fd, struct pin *ret,
	     struct cb_error *err);
void pin_undo(struct pin *p);

#endif
