/* SPDX-License-Identifier: Apache-2.0 */
/* What host ports need of the kernel besides nft. */
#ifndef CRID_HOSTPORTS_KERNEL_H
#define CRID_HOSTPORTS_KERNEL_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

/* The interface through which an IPv4 address is reached; -errno. */
int route_interface(const char *ip, char out[IF_NAMESIZE]);
/* May packets of 127.0.0.1 leave through an interface? set: -1 only asks. 0 or 1, -errno. */
int route_localnet(const char *interface, int set);
/*
 * Makes the kernel forget the UDP connections to these ports of the host, which go on to wherever they
 * were going when they began. 0 or -errno.
 */
int forget_connections(bool six, const int *ports, size_t n);

#endif
