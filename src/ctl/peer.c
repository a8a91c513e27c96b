/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A UNIX socket tells its peer's user. For TCP the kernel is asked who owns the
 * socket at the other end, which it knows where that is in this network
 * namespace; anything else is somebody else's.
 *
 * A socket that its process has closed already is said to be root's, so a client
 * that sends, closes and is looked at after that would pass for root. Such a
 * socket has no inode, and is nobody's here.
 */
#include <config.h>

#include "ctl/peer.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/netlink.h"

#define NOBODY ((uid_t)-1)

/* An IPv4 address in IPv6 clothes is one of an IPv4 socket. */
static void put_address(__be32 out[4], __be16 *port, uint8_t *family,
			const struct sockaddr_storage *address)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
	const struct sockaddr_in *four = (const struct sockaddr_in *)address;

	*family = AF_INET;
	if (address->ss_family == AF_INET) {
		memcpy(out, &four->sin_addr, sizeof(four->sin_addr));
		*port = four->sin_port;
		return;
	}
	*port = six->sin6_port;
	if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
		memcpy(out, six->sin6_addr.s6_addr + 12, sizeof(*out));
	} else {
		*family = AF_INET6;
		memcpy(out, &six->sin6_addr, sizeof(six->sin6_addr));
	}
}

/* Describes the socket at the other end: its source is our peer. */
static int describe(int fd, struct inet_diag_req_v2 *request)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	*request = (struct inet_diag_req_v2){
		.sdiag_protocol = IPPROTO_TCP,
		.idiag_states = ~0u,
		.id.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE },
	};
	if (getpeername(fd, (struct sockaddr *)&address, &len) < 0)
		return -errno;
	put_address(request->id.idiag_src, &request->id.idiag_sport, &request->sdiag_family,
		    &address);
	len = sizeof(address);
	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return -errno;
	put_address(request->id.idiag_dst, &request->id.idiag_dport, &request->sdiag_family,
		    &address);
	return 0;
}

static void read_owner(struct nlmsghdr *reply, void *data)
{
	const struct inet_diag_msg *message = nlmsg_data(reply);
	uid_t *owner = data;

	if (reply->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
	    nlmsg_datalen(reply) >= (int)sizeof(*message) && message->idiag_inode)
		*owner = message->idiag_uid;
}

static uid_t owner_of_tcp_peer(int fd, struct err *err)
{
	struct nl_msg *message;
	struct inet_diag_req_v2 request;
	uid_t owner = NOBODY;
	int error = describe(fd, &request);

	if (error) {
		err_sys(err, -error, "peer");
		return NOBODY;
	}
	message = nlmsg_alloc_simple(SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST);
	if (message && nlmsg_append(message, &request, sizeof(request), NLMSG_ALIGNTO) < 0) {
		nlmsg_free(message);
		message = NULL;
	}
	if (netlink_request(NETLINK_SOCK_DIAG, message, "peer", read_owner, &owner, err) < 0)
		return NOBODY;
	if (owner == NOBODY)
		err_set(err, EPERM, "its process is not on this host, or has closed it");
	return owner;
}

static uid_t owner_of_peer(int fd, struct err *err)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int domain = AF_INET;
	socklen_t domain_len = sizeof(domain);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_len);
	if (domain != AF_UNIX)
		return owner_of_tcp_peer(fd, err);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
		err_sys(err, errno, "SO_PEERCRED");
		return NOBODY;
	}
	return peer.uid;
}

/* peer_is_ours() - whether a process of this program's user, or of root, is at the other end
 *
 * The user is who started the program, or whom it runs as: with a set-user-id file
 * both count. What can not be found out is no. Return: false with @err set.
 */
bool peer_is_ours(int fd, struct err *err)
{
	uid_t owner = owner_of_peer(fd, err);

	if (owner == NOBODY)
		return false;
	if (owner == 0 || owner == getuid() || owner == geteuid())
		return true;
	err_set(err, EPERM, "it is of user %u", owner);
	return false;
}
