/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Addresses of interfaces, and keeping the host's own protocols away from one. */
#include <config.h>

#include "net/netdev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <netlink/addr.h>
#include <netlink/msg.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/netlink.h"

/* Some kernels or policies have it read-only, or know no IPv6: then it is as it is. */
static void switch_ipv6(const char *name, bool on)
{
	AUTO_CLOSE int fd = -1;
	char path[96];
	ssize_t written;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	written = write(fd, on ? "0" : "1", 1);
	(void)written;
}

static struct rtnl_addr *new_address(int index, const char *text, struct err *err)
{
	struct rtnl_addr *address = rtnl_addr_alloc();
	struct nl_addr *local = NULL;

	if (!address || nl_addr_parse(text, AF_UNSPEC, &local) < 0) {
		rtnl_addr_put(address);
		err_sys(err, address ? EINVAL : ENOMEM, "address %s", text);
		return NULL;
	}
	rtnl_addr_set_ifindex(address, index);
	rtnl_addr_set_local(address, local);
	/* it is to work at once, not after a search for others who have it */
	if (nl_addr_get_family(local) == AF_INET6)
		rtnl_addr_set_flags(address, IFA_F_NODAD);
	nl_addr_put(local);
	return address;
}

/* netdev_add_address() - give an interface an IP address
 * @text: ADDRESS/PREFIX
 *
 * IPv6 is switched on for the interface where the address needs it. An address that
 * it has already is fine.
 */
int netdev_add_address(const char *name, const char *text, struct err *err)
{
	int index = netdev_index(name, err), result;
	struct nl_msg *request = NULL;
	struct rtnl_addr *address;

	if (index < 0)
		return index;
	address = new_address(index, text, err);
	if (!address)
		return -err->code;
	if (rtnl_addr_get_family(address) == AF_INET6)
		switch_ipv6(name, true);
	rtnl_addr_build_add_request(address, NLM_F_CREATE | NLM_F_REPLACE, &request);
	rtnl_addr_put(address);
	result = netlink_request(NETLINK_ROUTE, request, name, NULL, NULL, err);
	return result ? err_wrap(err, "address %s", text) : 0;
}

/* netdev_isolate() - bring an interface up that is for a packet socket only
 *
 * The host would answer ARP requests for any of its addresses there, and would
 * believe the routers that are announced.
 */
int netdev_isolate(const char *name, struct err *err)
{
	struct rtnl_link *link = rtnl_link_alloc();
	struct nl_msg *request = NULL;

	if (!link)
		return err_sys(err, ENOMEM, "interface '%s'", name);
	switch_ipv6(name, false);
	rtnl_link_set_name(link, name);
	rtnl_link_set_flags(link, IFF_UP | IFF_NOARP);
	rtnl_link_build_add_request(link, 0, &request);
	rtnl_link_put(link);
	return netlink_request(NETLINK_ROUTE, request, name, NULL, NULL, err);
}
