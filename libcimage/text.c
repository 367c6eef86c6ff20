/* SPDX-License-Identifier: Apache-2.0 */
/* Text for messages, also used by the transport modules. */
#include "common.h"

const char *show_text(const char *s, char buf[SHOW_MAX])
{
	size_t i;

	for (i = 0; s[i] && i < SHOW_MAX - 4; i++)
		buf[i] = s[i] >= 0x20 && s[i] < 0x7f ? s[i] : '?';
	strcpy(buf + i, s[i] ? "..." : "");
	return buf;
}
