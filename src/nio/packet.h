/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The packet socket behind "Linux raw" and "Ethernet" NIOs. */
#ifndef NIO_PACKET_H
#define NIO_PACKET_H

#include "nio/nio.h"
#include "nio/vnet.h"

struct nio_packet {
	struct nio nio;
	struct vnet_support support;
	unsigned index;			/* of the interface, 0 while it is gone */
	uint32_t mtu;			/* without virtio headers: as at the last batch */
	bool carrier;			/* it had one when it was last looked at */
	uint64_t next_look;		/* when it is looked at again */
};

/* Opens the socket of a NIO that is otherwise zero; @desc and ops are set by it. */
int packet_open(struct nio_packet *self, const struct nio_ops *ops, const char *interface,
		struct err *err);
int packet_recv(struct nio *nio, struct batch *batch);
void packet_send(struct nio *nio, struct batch *batch);
void packet_drain(int fd);
int packet_revive(struct nio *nio, struct err *err);
void packet_close(struct nio *nio);

#endif
