/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Linux raw NIOs: any interface through a packet socket, up or down. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "nio/packet.h"

static const struct nio_ops raw_ops = {
	.kind = "linux_raw",
	.recv = packet_recv,
	.send = packet_send,
	.revive = packet_revive,
	.close = packet_close,
};

/* nio_raw_open() - bridge the interface with that name
 *
 * Return: the NIO, or NULL with @err set.
 */
struct nio *nio_raw_open(const char *interface, struct err *err)
{
	struct nio_packet *self = calloc(1, sizeof(*self));

	if (!self) {
		err_sys(err, ENOMEM, "linux_raw");
		return NULL;
	}
	if (packet_open(self, &raw_ops, interface, err) < 0) {
		err_wrap(err, "linux_raw");
		free(self);
		return NULL;
	}
	return &self->nio;
}
