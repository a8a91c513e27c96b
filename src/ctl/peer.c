/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "ctl/peer.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/tcp_owner.h"

static int owner_of_peer(int fd, uid_t *owner, struct err *err)
{
	struct ucred peer;
	socklen_t len = sizeof(peer), domain_len;
	int domain = AF_INET;

	domain_len = sizeof(domain);
	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_len);
	if (domain != AF_UNIX)
		return tcp_owner_of_peer(fd, owner, err);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return err_sys(err, errno, "SO_PEERCRED");
	*owner = peer.uid;
	return 0;
}

/* peer_is_ours() - whether a process of this program's user, or of root, is at the other end
 *
 * What can not be found out is no. Return: false with @err set.
 */
bool peer_is_ours(int fd, struct err *err)
{
	uid_t owner = (uid_t)-1;

	if (owner_of_peer(fd, &owner, err) < 0)
		return false;
	if (owner == 0 || owner == geteuid())
		return true;
	err_set(err, EPERM, "it is of user %u", owner);
	return false;
}
