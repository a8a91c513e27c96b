/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kernel knows who owns a socket of this network namespace, and tells anybody who
 * can name its addresses (sock_diag). The peer's are ours, the other way round.
 *
 * A socket that its process has closed already is said to be root's, so a client
 * that sends, closes and is looked at after that would pass for root. Such a
 * socket has no inode, and is nobody's here.
 */
#include <config.h>

#include "net/tcp_owner.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netlink/msg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "net/netlink.h"

/* An IPv4 address in IPv6 clothes is one of an IPv4 socket. */
static void put_address(__be32 out[4], __be16 *port, uint8_t *family,
			const struct sockaddr_storage *address)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
	const struct sockaddr_in *four = (const struct sockaddr_in *)address;

	*family = AF_INET;
	/* getpeername() or getsockname() has set it */
	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
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

struct answer {
	bool known;
	uid_t owner;
};

static void read_owner(struct nlmsghdr *reply, void *data)
{
	const struct inet_diag_msg *message = nlmsg_data(reply);
	struct answer *answer = data;

	if (reply->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    nlmsg_datalen(reply) < (int)sizeof(*message) || !message->idiag_inode)
		return;
	answer->known = true;
	answer->owner = message->idiag_uid;
}

/* tcp_owner_of_peer() - the user whose process is at the other end of TCP socket @fd
 *
 * Return: 0, or a negative errno with @err set where that end is in another network
 * namespace or on another host, has been closed by its process, or can not be told.
 */
int tcp_owner_of_peer(int fd, uid_t *owner, struct err *err)
{
	struct inet_diag_req_v2 request;
	struct answer answer = { 0 };
	struct nl_msg *message;
	int error = describe(fd, &request);

	if (error)
		return err_sys(err, -error, "peer");
	message = nlmsg_alloc_simple(SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST);
	if (message && nlmsg_append(message, &request, sizeof(request), NLMSG_ALIGNTO) < 0) {
		nlmsg_free(message);
		message = NULL;
	}
	if (netlink_request(NETLINK_SOCK_DIAG, message, "peer", read_owner, &answer, err) < 0 ||
	    !answer.known)
		return err_set(err, EPERM, "its process is not on this host, or has closed it");
	*owner = answer.owner;
	return 0;
}
