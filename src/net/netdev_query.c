/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the kernel tells of interfaces. */
#include <config.h>

#include "net/netdev.h"

#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/route/link.h>
#include <stdio.h>
#include <string.h>

#include "net/netlink.h"

struct visit {
	netdev_visitor *visitor;
	void *data;
};

static void copy_text(char *out, size_t size, struct nlattr *attr)
{
	if (attr)
		nla_strlcpy(out, attr, size);
}

static void read_info(struct nlmsghdr *reply, void *data)
{
	const struct ifinfomsg *head = nlmsg_data(reply);
	struct nlattr *attr[IFLA_MAX + 1];
	struct netdev_info *info = data;

	memset(info, 0, sizeof(*info));
	if (nlmsg_parse(reply, sizeof(*head), attr, IFLA_MAX, NULL) < 0)
		return;
	info->index = head->ifi_index;
	copy_text(info->name, sizeof(info->name), attr[IFLA_IFNAME]);
	copy_text(info->alias, sizeof(info->alias), attr[IFLA_IFALIAS]);
	if (attr[IFLA_ADDRESS] && nla_len(attr[IFLA_ADDRESS]) == MAC_LEN)
		memcpy(info->mac, nla_data(attr[IFLA_ADDRESS]), MAC_LEN);
	if (attr[IFLA_MTU])
		info->mtu = nla_get_u32(attr[IFLA_MTU]);
	if (attr[IFLA_MASTER])
		info->master = (int)nla_get_u32(attr[IFLA_MASTER]);
	if (attr[IFLA_LINKINFO])
		copy_text(info->kind, sizeof(info->kind),
			  nla_find(nla_data(attr[IFLA_LINKINFO]), nla_len(attr[IFLA_LINKINFO]),
				   IFLA_INFO_KIND));
	/* an index of another namespace would be told with that namespace's number */
	if (attr[IFLA_LINK] && !attr[IFLA_LINK_NETNSID])
		info->link = (int)nla_get_u32(attr[IFLA_LINK]);
}

static void visit_one(struct nlmsghdr *reply, void *data)
{
	const struct visit *visit = data;
	struct netdev_info info;

	read_info(reply, &info);
	if (info.index)
		visit->visitor(&info, visit->data);
}

/* netdev_get_info() - what there is to know of an interface
 *
 * Return: 0, or a negative errno with @err set; -ENODEV: there is none of that name.
 */
int netdev_get_info(const char *name, struct netdev_info *info, struct err *err)
{
	struct nl_msg *request = NULL;

	if (netdev_check_new_name(name, err) < 0)
		return -err->code;
	rtnl_link_build_get_request(0, name, &request);
	return netlink_request(NETLINK_ROUTE, request, name, read_info, info, err);
}

/* netdev_get_info_index() - the same, for the interface that has a number now
 *
 * Return: 0, or a negative errno with @err set; -ENODEV: none has it.
 */
int netdev_get_info_index(int index, struct netdev_info *info, struct err *err)
{
	struct nl_msg *request = NULL;
	char name[32];

	snprintf(name, sizeof(name), "%d", index);
	rtnl_link_build_get_request(index, NULL, &request);
	return netlink_request(NETLINK_ROUTE, request, name, read_info, info, err);
}

/* netdev_for_each() - have @visitor look at each interface of this namespace */
int netdev_for_each(netdev_visitor *visitor, void *data, struct err *err)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC };
	struct nl_msg *request = nlmsg_alloc_simple(RTM_GETLINK, NLM_F_DUMP);
	struct visit visit = { visitor, data };

	if (request && nlmsg_append(request, &head, sizeof(head), NLMSG_ALIGNTO) < 0) {
		nlmsg_free(request);
		request = NULL;
	}
	return netlink_request(NETLINK_ROUTE, request, "*", visit_one, &visit, err);
}
