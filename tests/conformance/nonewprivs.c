// SPDX-License-Identifier: Apache-2.0
/*
 * Says who it runs as. In its image it belongs to root and has the setuid bit, so that it says 0 unless the
 * container has no_new_privs.
 */

#include <stdio.h>
#include <unistd.h>

int main(void)
{
	printf("Effective uid: %u\n", (unsigned)geteuid());
	return 0;
}
