/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Moving interfaces between network namespaces.
 *
 * Theory of operation
 *
 * One request moves an interface, renames it and brings it up; it needs
 * CAP_NET_ADMIN, and no right to enter the other namespace. But the kernel
 * works through the request step by step, moving first, and goes no step back:
 * an interface whose new name is refused stays in the other namespace under its
 * old name, out of reach. So whatever can be refused is found out before:
 *
 * - characters and length of the name: netdev_check_new_name();
 * - a name that is taken there: by asking about that interface. Requests about
 *   another namespace name it by a number, which the kernel gives out on request
 *   and forgets when the namespace ends. If old and new name are equal there is
 *   no need to ask: a move that can not keep the name does not begin;
 * - address and MTU: they are set first, and travel with the interface. The address is set
 *   once more by the move itself: as long as the interface is in sight, device managers
 *   such as udev may want it to have another.
 *
 * What remains is somebody taking the name between the question and the move.
 *
 * A process may be named by its number instead of an open file because
 * /proc/PID/ns/net is closed to us for processes of other users, while a number
 * in the request is not.
 */
#include <config.h>

#include "net/netdev.h"

#include <errno.h>
#include <linux/net_namespace.h>
#include <net/if.h>
#include <netlink/addr.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/route/link.h>
#include <string.h>

#include "net/netlink.h"

struct target {
	int kind;		/* NETNSA_PID or NETNSA_FD */
	int value;
};

/* No number for a namespace; in a request: any that is free. */
#define NSID_NONE (-1)

static struct nl_msg *new_nsid_request(int type, const struct target *target)
{
	struct rtgenmsg head = { .rtgen_family = AF_UNSPEC };
	struct nl_msg *request = nlmsg_alloc_simple(type, 0);

	if (!request)
		return NULL;
	if (nlmsg_append(request, &head, sizeof(head), NLMSG_ALIGNTO) < 0)
		goto nla_put_failure;
	NLA_PUT_S32(request, target->kind, target->value);
	if (type == RTM_NEWNSID)
		NLA_PUT_S32(request, NETNSA_NSID, NSID_NONE);
	return request;

nla_put_failure:
	nlmsg_free(request);
	return NULL;
}

static struct nl_msg *new_lookup_request(int nsid, const char *name)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC };
	struct nl_msg *request = nlmsg_alloc_simple(RTM_GETLINK, 0);

	if (!request)
		return NULL;
	if (nlmsg_append(request, &head, sizeof(head), NLMSG_ALIGNTO) < 0)
		goto nla_put_failure;
	NLA_PUT_STRING(request, IFLA_IFNAME, name);
	NLA_PUT_S32(request, IFLA_TARGET_NETNSID, nsid);
	return request;

nla_put_failure:
	nlmsg_free(request);
	return NULL;
}

static void read_nsid(struct nlmsghdr *reply, void *data)
{
	struct nlattr *nsid = nlmsg_find_attr(reply, sizeof(struct rtgenmsg), NETNSA_NSID);
	int *number = data;

	if (nsid)
		*number = nla_get_s32(nsid);
}

/* Whether interface @name could be called @wanted in the target.
 *
 * Return: 0; -EEXIST: there is one already; -ESRCH, -EBADF, -EINVAL: there is no such target.
 */
static int check_target(const struct target *target, const char *name, const char *wanted,
			struct err *err)
{
	int nsid = NSID_NONE;
	int ret = netlink_request(NETLINK_ROUTE, new_nsid_request(RTM_NEWNSID, target), name,
				  NULL, NULL, err);

	if (ret && ret != -EEXIST)	/* which means: it has a number already */
		return ret;
	if (!strcmp(name, wanted))
		return 0;
	ret = netlink_request(NETLINK_ROUTE, new_nsid_request(RTM_GETNSID, target), name,
			      read_nsid, &nsid, err);
	if (ret)
		return ret;
	ret = netlink_request(NETLINK_ROUTE, new_lookup_request(nsid, wanted), name, NULL, NULL,
			      err);
	if (ret == 0)
		return err_sys(err, EEXIST, "interface '%s': new name '%s'", name, wanted);
	return ret == -ENODEV ? 0 : ret;
}

static int set_properties(const char *name, const struct netdev_placement *placement,
			  struct err *err)
{
	int ret = 0;

	if (placement->mac)
		ret = netdev_set_mac(name, placement->mac, err);
	if (ret == 0 && placement->mtu)
		ret = netdev_set_mtu(name, placement->mtu, err);
	return ret;
}

static bool add_address(struct rtnl_link *link, const uint8_t *mac)
{
	struct nl_addr *address = nl_addr_build(AF_LLC, mac, MAC_LEN);

	if (!address)
		return false;
	rtnl_link_set_addr(link, address);
	nl_addr_put(address);
	return true;
}

static struct nl_msg *new_move_request(int index, const struct target *target,
				       const struct netdev_placement *placement)
{
	struct rtnl_link *link = rtnl_link_alloc();
	struct nl_msg *request = NULL;

	if (!link)
		return NULL;
	if (placement->mac && !add_address(link, placement->mac)) {
		rtnl_link_put(link);
		return NULL;
	}
	rtnl_link_set_ifindex(link, index);
	rtnl_link_set_name(link, placement->name);
	if (target->kind == NETNSA_PID)
		rtnl_link_set_ns_pid(link, target->value);
	else
		rtnl_link_set_ns_fd(link, target->value);
	if (placement->up)
		rtnl_link_set_flags(link, IFF_UP);
	/* "Add" without NLM_F_CREATE changes the interface that is there. */
	rtnl_link_build_add_request(link, 0, &request);
	rtnl_link_put(link);
	return request;
}

static int move(const char *name, const struct target *target,
		const struct netdev_placement *placement, struct err *err)
{
	int index = netdev_index(name, err);
	int ret;

	if (index < 0)
		return index;
	ret = netdev_check_new_name(placement->name, err);
	if (ret == 0)
		ret = check_target(target, name, placement->name, err);
	if (ret == 0)
		ret = set_properties(name, placement, err);
	if (ret)
		return ret;
	return netlink_request(NETLINK_ROUTE, new_move_request(index, target, placement), name,
			       NULL, NULL, err);
}

/* netdev_move_to_pid() - move an interface to the network namespace of a process
 * @pid: as this process sees it
 *
 * Works for processes of other users too. The namespace may be our own: then
 * the interface is only changed. See netdev_move_to_fd() for the rest.
 *
 * Return: 0, or a negative errno with @err set; -ESRCH: no such process.
 */
int netdev_move_to_pid(const char *name, pid_t pid, const struct netdev_placement *placement,
		       struct err *err)
{
	const struct target target = { NETNSA_PID, pid };

	if (pid <= 0)
		return err_sys(err, ESRCH, "interface '%s': process %d", name, (int)pid);
	return move(name, &target, placement, err);
}

/* netdev_move_to_fd() - move an interface to the network namespace of a descriptor
 * @netns_fd: as of netns_open_pid(); stays the caller's
 * @placement: how it is to look there
 *
 * Return: 0 with the interface in place, or a negative errno with @err set: then
 * it is where it was, under its old name, but it may have @placement's address
 * or MTU already. -EEXIST: the name is taken there.
 */
int netdev_move_to_fd(const char *name, int netns_fd, const struct netdev_placement *placement,
		      struct err *err)
{
	const struct target target = { NETNSA_FD, netns_fd };

	return move(name, &target, placement, err);
}
