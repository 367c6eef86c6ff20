/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See netns_usage.h. The kernel is asked over rtnetlink, by a socket of that namespace (netns_socket.h), so
 * it needs no process in the pod.
 */
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <cbase/cleanup.h>
#include "netns_socket.h"
#include "netns_usage.h"

#define ANSWER_MAX 65536	/* bytes of one block */
#define ANSWER_SECONDS 5

static void take_link(struct nlmsghdr *h, struct interface_usage *v, size_t *n_v)
{
	struct ifinfomsg *i = NLMSG_DATA(h);
	int left = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof(*i)));
	struct interface_usage u = { .name = "" };
	struct rtnl_link_stats64 s = { 0 };
	struct rtattr *a;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*i)) || (i->ifi_flags & IFF_LOOPBACK) || *n_v == NETNS_INTERFACES_MAX)
		return;
	for (a = IFLA_RTA(i); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		size_t n = RTA_PAYLOAD(a);

		if (a->rta_type == IFLA_IFNAME && n > 1 && n <= sizeof(u.name))
			memcpy(u.name, RTA_DATA(a), n - 1);
		else if (a->rta_type == IFLA_STATS64)	/* grows with the kernel's version */
			memcpy(&s, RTA_DATA(a), n < sizeof(s) ? n : sizeof(s));
	}
	u.rx_bytes = s.rx_bytes;
	u.rx_packets = s.rx_packets;
	u.rx_errors = s.rx_errors;
	u.rx_dropped = s.rx_dropped;
	u.tx_bytes = s.tx_bytes;
	u.tx_packets = s.tx_packets;
	u.tx_errors = s.tx_errors;
	u.tx_dropped = s.tx_dropped;
	if (*u.name)
		v[(*n_v)++] = u;
}

int netns_usage_parse(void *bytes, size_t n, struct interface_usage *v, size_t *n_v)
{
	struct nlmsghdr *h = bytes;
	int left = (int)n;

	/* what a message is rounded up to may be more than there is: then left is negative */
	for (; left > 0 && NLMSG_OK(h, (unsigned)left); h = NLMSG_NEXT(h, left)) {
		if (h->nlmsg_type == NLMSG_DONE)
			return 1;
		if (h->nlmsg_type == NLMSG_ERROR)
			return h->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)) ? -EBADMSG :
				((struct nlmsgerr *)NLMSG_DATA(h))->error;
		if (h->nlmsg_type == RTM_NEWLINK)
			take_link(h, v, n_v);
	}
	return 0;
}

static int ask(int fd, struct interface_usage *v, size_t *n_v)
{
	struct { struct nlmsghdr h; struct ifinfomsg i; } q = {
		.h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)), .nlmsg_type = RTM_GETLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.i = { .ifi_family = AF_UNSPEC },
	};
	struct timeval limit = { .tv_sec = ANSWER_SECONDS };
	_cleanup_free_ char *buf = malloc(ANSWER_MAX);
	ssize_t n;
	int r = 0;

	if (!buf)
		return -ENOMEM;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (send(fd, &q, q.h.nlmsg_len, 0) < 0)
		return -errno;
	while (!r) {
		n = recv(fd, buf, ANSWER_MAX, 0);
		if (n < 0)
			return -errno;
		r = netns_usage_parse(buf, (size_t)n, v, n_v);
	}
	return r < 0 ? r : 0;
}

int netns_usage_read(const char *netns, struct interface_usage **ret, size_t *ret_n, struct cb_error *err)
{
	_cleanup_free_ struct interface_usage *v = malloc(NETNS_INTERFACES_MAX * sizeof(*v));
	_cleanup_close_ int ns = open(netns, O_RDONLY | O_CLOEXEC), fd = -1;
	struct interface_usage *fitting;
	size_t n = 0;
	int r;

	if (!v)
		return err_oom(err);
	if (ns < 0)
		return err_sys(err, "open %s", netns);
	r = netns_socket(ns, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, &fd);
	if (!r)
		r = ask(fd, v, &n);
	if (r)
		return err_sysr(err, r, "interfaces of %s", netns);
	fitting = realloc(v, (n ? n : 1) * sizeof(*v));
	*ret = fitting ? fitting : v;
	v = NULL;
	*ret_n = n;
	return 0;
}
