/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "net/netdev.h"

#include <errno.h>
#include <net/if.h>
#include <netlink/addr.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <stdio.h>
#include <string.h>

#include "net/netlink.h"

/* What the kernel tells of an interface. */
struct link_state {
	int index;
	int master;		/* index of the interface whose port it is, or 0 */
	bool is_bridge;
};

static int check_length(const char *name, struct err *err)
{
	if (ifname_fits(name))
		return 0;
	return err_sys(err, *name ? ENAMETOOLONG : EINVAL, "interface '%.32s'", name);
}

/* netdev_check_new_name() - whether an interface may be given this name
 *
 * The kernel has the same rules, but it takes a percent sign for a pattern that
 * it completes, and while it moves an interface it looks at the new name too
 * late to leave the interface where it was.
 *
 * Return: 0, -EINVAL, or -ENAMETOOLONG, with @err set.
 */
int netdev_check_new_name(const char *name, struct err *err)
{
	int ret = check_length(name, err);

	if (ret)
		return ret;
	/* The kernel's idea of a blank includes the one of Latin-1. */
	if (name[strcspn(name, "/:% \t\n\v\f\r\xa0")] || !strcmp(name, ".") ||
	    !strcmp(name, ".."))
		return err_sys(err, EINVAL, "interface '%s'", name);
	return 0;
}

static void read_state(struct nlmsghdr *reply, void *data)
{
	const struct ifinfomsg *head = nlmsg_data(reply);
	struct nlattr *master = nlmsg_find_attr(reply, sizeof(*head), IFLA_MASTER);
	struct nlattr *info = nlmsg_find_attr(reply, sizeof(*head), IFLA_LINKINFO);
	struct nlattr *kind = NULL;
	struct link_state *state = data;

	if (info)
		kind = nla_find(nla_data(info), nla_len(info), IFLA_INFO_KIND);
	state->index = head->ifi_index;
	state->master = master ? (int)nla_get_u32(master) : 0;
	state->is_bridge = kind && !nla_strcmp(kind, "bridge");
}

static int get_state(const char *name, struct link_state *state, struct err *err)
{
	struct nl_msg *request = NULL;
	int ret = check_length(name, err);

	if (ret)
		return ret;
	rtnl_link_build_get_request(0, name, &request);
	return netlink_request(NETLINK_ROUTE, request, name, read_state, state, err);
}

/* The beginning of a request about interface @name; NULL with @err set. */
static struct rtnl_link *link_named(const char *name, struct err *err)
{
	struct rtnl_link *link;

	if (check_length(name, err))
		return NULL;
	link = rtnl_link_alloc();
	if (link)
		rtnl_link_set_name(link, name);
	else
		err_sys(err, ENOMEM, "interface '%s'", name);
	return link;
}

/* Makes the interface that @link names be as @link says. Frees @link. */
static int change(struct rtnl_link *link, const char *name, struct err *err)
{
	struct nl_msg *request = NULL;

	/* "Add" without NLM_F_CREATE changes the interface that is there. */
	rtnl_link_build_add_request(link, 0, &request);
	rtnl_link_put(link);
	return netlink_request(NETLINK_ROUTE, request, name, NULL, NULL, err);
}

/* netdev_index() - the index of an interface of this network namespace
 *
 * Return: a number above 0, or a negative errno with @err set; -ENODEV: there
 * is none of that name.
 */
int netdev_index(const char *name, struct err *err)
{
	struct link_state state;
	int ret = get_state(name, &state, err);

	return ret ? ret : state.index;
}

/* netdev_create_veth() - make a pair of interfaces, both down
 *
 * Return: 0, or a negative errno with @err set, and then neither was made.
 */
int netdev_create_veth(const char *name, const char *peer, struct err *err)
{
	struct nl_msg *request = NULL;
	struct rtnl_link *link, *other;

	if (netdev_check_new_name(name, err) || netdev_check_new_name(peer, err))
		return -err->code;
	link = rtnl_link_veth_alloc();
	if (!link)
		return err_sys(err, ENOMEM, "interface '%s'", name);
	other = rtnl_link_veth_get_peer(link);
	rtnl_link_set_name(link, name);
	rtnl_link_set_name(other, peer);
	rtnl_link_build_add_request(link, NLM_F_CREATE | NLM_F_EXCL, &request);
	rtnl_link_put(other);
	rtnl_link_veth_release(link);
	return netlink_request(NETLINK_ROUTE, request, name, NULL, NULL, err);
}

/* netdev_delete() - remove an interface; of a veth pair, both
 *
 * Return: 0, or a negative errno with @err set.
 */
int netdev_delete(const char *name, struct err *err)
{
	struct rtnl_link *link = link_named(name, err);
	struct nl_msg *request = NULL;

	if (!link)
		return -err->code;
	rtnl_link_build_delete_request(link, &request);
	rtnl_link_put(link);
	return netlink_request(NETLINK_ROUTE, request, name, NULL, NULL, err);
}

/* netdev_delete_index() - the same, for an interface whose name may be another's by now
 *
 * Return: 0, or a negative errno with @err set; -ENODEV: it is gone already.
 */
int netdev_delete_index(int index, struct err *err)
{
	struct rtnl_link *link = rtnl_link_alloc();
	struct nl_msg *request = NULL;
	char name[32];

	snprintf(name, sizeof(name), "%d", index);
	if (!link)
		return err_sys(err, ENOMEM, "interface '%s'", name);
	rtnl_link_set_ifindex(link, index);
	rtnl_link_build_delete_request(link, &request);
	rtnl_link_put(link);
	return netlink_request(NETLINK_ROUTE, request, name, NULL, NULL, err);
}

/* netdev_set_up() - bring an interface up or down
 *
 * Return: 0, or a negative errno with @err set.
 */
int netdev_set_up(const char *name, bool up, struct err *err)
{
	struct rtnl_link *link = link_named(name, err);

	if (!link)
		return -err->code;
	if (up)
		rtnl_link_set_flags(link, IFF_UP);
	else
		rtnl_link_unset_flags(link, IFF_UP);
	return change(link, name, err);
}

/* netdev_set_mac() - give an interface its Ethernet address, also while it is up
 *
 * Return: 0, or a negative errno with @err set; -EADDRNOTAVAIL: not an address
 * that one interface can have.
 */
int netdev_set_mac(const char *name, const uint8_t mac[MAC_LEN], struct err *err)
{
	struct rtnl_link *link = link_named(name, err);
	struct nl_addr *addr;

	if (!link)
		return -err->code;
	addr = nl_addr_build(AF_LLC, mac, MAC_LEN);
	if (!addr) {
		rtnl_link_put(link);
		return err_sys(err, ENOMEM, "interface '%s'", name);
	}
	rtnl_link_set_addr(link, addr);
	nl_addr_put(addr);
	return change(link, name, err);
}

/* netdev_set_mtu() - set the longest payload of a frame, in bytes
 *
 * Return: 0, or a negative errno with @err set.
 */
int netdev_set_mtu(const char *name, uint32_t mtu, struct err *err)
{
	struct rtnl_link *link = link_named(name, err);

	if (!link)
		return -err->code;
	rtnl_link_set_mtu(link, mtu);
	return change(link, name, err);
}

/* netdev_set_alias() - attach a free text to an interface, which "ip link" shows
 * @alias: at most 254 bytes; "" takes the text away
 *
 * Return: 0, or a negative errno with @err set.
 */
int netdev_set_alias(const char *name, const char *alias, struct err *err)
{
	struct rtnl_link *link = link_named(name, err);

	if (!link)
		return -err->code;
	rtnl_link_set_ifalias(link, alias);
	return change(link, name, err);
}

/* netdev_add_port() - make an interface a port of a Linux bridge
 *
 * Over netlink the kernel would take a port away from the bridge that has it,
 * without a word; that is refused here. The interface is not brought up.
 *
 * Return: 0, also if it is a port of that bridge already, or a negative errno
 * with @err set; -EBUSY: it is a port of something else.
 */
int netdev_add_port(const char *bridge, const char *name, struct err *err)
{
	struct link_state master, port;
	struct rtnl_link *link;

	if (get_state(bridge, &master, err) || get_state(name, &port, err))
		return -err->code;
	if (!master.is_bridge)
		return err_sys(err, EOPNOTSUPP, "interface '%s'", bridge);
	if (port.master == master.index)
		return 0;
	if (port.master)
		return err_sys(err, EBUSY, "interface '%s'", name);
	link = link_named(name, err);
	if (!link)
		return -err->code;
	rtnl_link_set_master(link, master.index);
	return change(link, name, err);
}
