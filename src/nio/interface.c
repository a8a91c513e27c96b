/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "nio/interface.h"

#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

/* interface_find() - the index of the interface @name, or 0; never waits
 *
 * For a name that is not there if_nametoindex() would have the kernel run modprobe, in
 * case that a module makes the interface, and wait for it: several times a second, on
 * the thread of other links too, for as long as an interface is missing. To bind a
 * socket to a device only looks.
 */
unsigned interface_find(const char *name)
{
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(int);
	int index = 0;

	/* the kernel would cut a longer name off */
	if (fd < 0 || strlen(name) >= IFNAMSIZ ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name)) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, &size) < 0)
		return 0;
	return (unsigned)index;
}
