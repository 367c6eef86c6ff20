/* SPDX-License-Identifier: Apache-2.0 */
/* cimage's commands about credentials and signatures. Each makes a context of its own. */
#ifndef CIMAGE_TOOL_TRUST_H
#define CIMAGE_TOOL_TRUST_H

#include "tool.h"

extern const struct command cmd_login, cmd_logout, cmd_standalone_sign, cmd_standalone_verify, cmd_generate_key;

#endif
