/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Docker NIOs: a place in a link for a device that comes and goes with a container.
 *
 * What plugs it in and out with link_swap_device() is elsewhere. While there is no
 * device, frames for it are dropped and counted as DROP_DOWN.
 */
#ifndef NIO_NIO_DOCKER_H
#define NIO_NIO_DOCKER_H

#include "nio/nio.h"

/* Embed it in what plugs the NIO. */
struct nio_docker_owner {
	/* its device is gone; called where the NIO is used, perhaps more than once */
	void (*lost)(struct nio_docker_owner *owner);
	/* it is being closed, its device is closed already; control thread */
	void (*closed)(struct nio_docker_owner *owner);
	/* for `bridge show`; control thread */
	const char *(*state)(const struct nio_docker_owner *owner);
};

struct nio *nio_docker_new(const char *desc, struct nio_docker_owner *owner, struct err *err);
bool nio_is_docker(const struct nio *nio);
struct nio_docker_owner *nio_docker_owner(const struct nio *nio);

#endif
