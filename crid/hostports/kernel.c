/* SPDX-License-Identifier: Apache-2.0 */
/* See kernel.h: rtnetlink, ctnetlink and one sysctl. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cbase/io.h>
#include <cbase/str.h>
#include "kernel.h"

#define BUFFER 65536

static struct mnl_socket *netlink(int bus)
{
	struct mnl_socket *s = mnl_socket_open2(bus, SOCK_CLOEXEC);

	if (s && mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(s);
		s = NULL;
	}
	return s;
}

/* Sends a request and hands every answer to fn. */
static int talk(struct mnl_socket *s, const struct nlmsghdr *request, mnl_cb_t fn, void *user)
{
	_Alignas(struct nlmsghdr) char buf[BUFFER];
	ssize_t n;
	int r;

	if (mnl_socket_sendto(s, request, request->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(s, buf, sizeof(buf));
		r = n < 0 ? -1 : mnl_cb_run(buf, (size_t)n, request->nlmsg_seq, mnl_socket_get_portid(s), fn, user);
	} while (r > MNL_CB_STOP);
	return r < 0 ? -errno : 0;
}

/* ---- routes ---- */

static int on_route(const struct nlmsghdr *h, void *user)
{
	struct nlattr *a;
	unsigned *index = user;

	mnl_attr_for_each(a, h, sizeof(struct rtmsg))
		if (mnl_attr_get_type(a) == RTA_OIF)
			*index = mnl_attr_get_u32(a);
	return MNL_CB_STOP;
}

int route_interface(const char *ip, char out[IF_NAMESIZE])
{
	_Alignas(struct nlmsghdr) char buf[256];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct mnl_socket *s;
	struct in_addr a;
	struct rtmsg *m;
	unsigned index = 0;
	int r;

	if (inet_pton(AF_INET, ip, &a) != 1)
		return -EINVAL;
	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = 1;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->rtm_family = AF_INET;
	m->rtm_dst_len = 32;
	mnl_attr_put(h, RTA_DST, sizeof(a), &a);
	s = netlink(NETLINK_ROUTE);
	if (!s)
		return -errno;
	r = talk(s, h, on_route, &index);
	mnl_socket_close(s);
	if (!r && !if_indextoname(index, out))
		r = -errno;
	return r;
}

int route_localnet(const char *interface, int set)
{
	_cleanup_free_ char *path = strf("/proc/sys/net/ipv4/conf/%s/route_localnet", interface);
	_cleanup_close_ int fd = -1;
	char value = 0;

	if (!path)
		return -ENOMEM;
	fd = open(path, (set < 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (set < 0)
		return read(fd, &value, 1) == 1 ? value == '1' : -EIO;
	return write(fd, set ? "1" : "0", 1) == 1 ? set : -errno;
}

/* ---- connections ---- */

struct flows {
	bool six;
	const int *ports;
	size_t n_ports;
	struct str deletions;	/* one request after the other */
};

static const struct nlattr *inside(const struct nlattr *nest, int type)
{
	struct nlattr *a;

	if (nest)
		mnl_attr_for_each_nested(a, nest)
			if (mnl_attr_get_type(a) == type)
				return a;
	return NULL;
}

static bool is_ours(const struct flows *f, const struct nlattr *tuple)
{
	const struct nlattr *proto = inside(tuple, CTA_TUPLE_PROTO), *number = inside(proto, CTA_PROTO_NUM);
	const struct nlattr *port = inside(proto, CTA_PROTO_DST_PORT);

	if (!number || !port || mnl_attr_get_payload_len(number) < 1 || mnl_attr_get_payload_len(port) < 2 ||
	    mnl_attr_get_u8(number) != IPPROTO_UDP)
		return false;
	for (size_t i = 0; i < f->n_ports; i++)
		if (ntohs(mnl_attr_get_u16(port)) == f->ports[i])
			return true;
	return false;
}

static struct nlmsghdr *put_request(char *buf, int type, int flags, bool six)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = 1;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = six ? AF_INET6 : AF_INET;
	g->version = NFNETLINK_V0;
	return h;
}

/* Its own tuple names a connection. */
static int on_flow(const struct nlmsghdr *h, void *user)
{
	_Alignas(struct nlmsghdr) char buf[1024];
	struct flows *f = user;
	const struct nlattr *tuple = NULL;
	struct nlattr *a;
	struct nlmsghdr *request;

	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
		if (mnl_attr_get_type(a) == CTA_TUPLE_ORIG)
			tuple = a;
	if (!tuple || tuple->nla_len > sizeof(buf) / 2 || !is_ours(f, tuple))
		return MNL_CB_OK;
	request = put_request(buf, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, f->six);
	mnl_attr_put(request, CTA_TUPLE_ORIG | NLA_F_NESTED, mnl_attr_get_payload_len(tuple), mnl_attr_get_payload(tuple));
	str_append_mem(&f->deletions, buf, request->nlmsg_len);
	return MNL_CB_OK;
}

int forget_connections(bool six, const int *ports, size_t n)
{
	_Alignas(struct nlmsghdr) char buf[256];
	struct flows f = { .six = six, .ports = ports, .n_ports = n, .deletions = STR_INIT };
	struct mnl_socket *s = netlink(NETLINK_NETFILTER);
	const struct nlmsghdr *one;
	size_t at;
	int r;

	if (!s)
		return -errno;
	r = talk(s, put_request(buf, IPCTNL_MSG_CT_GET, NLM_F_DUMP, six), on_flow, &f);
	for (at = 0; !r && at < f.deletions.len; at += one->nlmsg_len) {
		one = (const void *)(f.deletions.data + at);
		r = talk(s, one, NULL, NULL);
		if (r == -ENOENT)
			r = 0;		/* ended by itself */
	}
	if (!r && f.deletions.failed)
		r = -ENOMEM;
	str_done(&f.deletions);
	mnl_socket_close(s);
	return r;
}
