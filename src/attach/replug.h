/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bringing back what a client has moved into a container by itself.
 *
 * GNS3 makes a TAP device or a veth pair, moves it to the process of a container with
 * `docker move_to_ns`, and knows nothing of restarts. So after each move the engine is
 * asked, in the background, whether the process is a container's. If so the interface
 * is adopted: when that container runs again, it gets one like it. Of a pair the other end
 * is also as it was when the first one was moved, and a port of the Linux bridge that
 * `brctl addif` has made it a port of.
 */
#ifndef ATTACH_REPLUG_H
#define ATTACH_REPLUG_H

#include <stdbool.h>

#include "attach/attach.h"
#include "core/bridge.h"

/* An interface as it is before it is moved. */
struct replug {
	bool possible;			/* it is one that we can make again */
	struct attach_adoption adoption;
};

/* An option of the program. */
extern bool replug_enabled;

void replug_look(struct replug *replug, const char *interface);
void replug_moved(const struct replug *replug, pid_t pid, const char *name);
void replug_port_added(const char *bridge, const char *interface);
void replug_forget_pair(const char *interface);
void replug_forget_all(void);
void replug_bridge_ends(const struct bridge *bridge);

#endif
