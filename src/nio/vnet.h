/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How frames are handed to a device, with or without virtio headers. */
#ifndef NIO_VNET_H
#define NIO_VNET_H

#include <stdbool.h>

#include "pkt/batch.h"
#include "pkt/offload.h"

/* What a device accepts in place of wire frames. */
struct vnet_support {
	bool header;		/* a virtio header stands before each frame */
	bool tcp;		/* super-frames of TCP */
	bool udp;		/* super-frames of UDP */
	bool untagged;		/* super-frames only without VLAN tags */
	uint32_t mtu;		/* of an interface; 0: none that holds for super-frames too */
};

bool vnet_is_too_long(const struct frame *frame, const struct vnet_support *support);

unsigned vnet_gather(const struct batch *batch, unsigned index,
		     const struct vnet_support *support, struct coalesced *out);

#endif
