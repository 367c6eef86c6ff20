/* SPDX-License-Identifier: Apache-2.0 */
/* Are we in a user namespace? In the library and in its module. */
#ifndef CSTORAGE_USERNS_H
#define CSTORAGE_USERNS_H

#include <stdbool.h>

/* What is marked by attributes is marked in user.overlay.* then, and devices cannot be made. */
bool in_userns(void);

#endif
