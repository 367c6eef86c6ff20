/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of another network namespace. */
#ifndef CRID_NETNS_SOCKET_H
#define CRID_NETNS_SOCKET_H

/*
 * As socket(), close-on-exec, in the namespace of ns (-1: our own). A socket belongs for good to the
 * namespace of the thread that made it, and none of our threads ever leaves the host's; so a child that
 * shares memory and descriptors with us enters the namespace, makes the socket, and is gone. 0 or -errno.
 */
int netns_socket(int ns, int family, int type, int protocol, int *ret_fd);

#endif
