/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The way to an IOL instance is the bridge's own socket, which all of its ports
 * share. What the instance sends arrives there too, so the bridge receives for
 * its ports, and this NIO only sends.
 */
#include <config.h>

#include "nio/nio_iol.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "nio/unix_socket.h"

static_assert(sizeof(struct iol_header) == 8, "the header on the wire has 8 bytes");

struct nio_iol {
	struct nio nio;
	int socket;			/* the bridge's */
	struct sockaddr_un remote;
	struct iol_header header;
};

static void iol_send(struct nio *nio, struct batch *batch)
{
	struct nio_iol *self = container_of(nio, struct nio_iol, nio);

	for (unsigned i = 0; i < batch->count; i++) {
		if (batch->frame[i].drop == FRAME_KEEP && batch->frame[i].len > IOL_FRAME_MAX)
			batch->frame[i].drop = DROP_TOO_LONG;
	}
	unix_socket_send(self->socket, &self->remote, &self->header, sizeof(self->header), batch);
}

static void iol_close(struct nio *nio)
{
	free(container_of(nio, struct nio_iol, nio));
}

static const struct nio_ops iol_ops = {
	.kind = "iol",
	.send = iol_send,
	.close = iol_close,
};

/* iol_socket_path() - the file of IOL ID @id, with @suffix behind it
 *
 * Return: 0, or -ENAMETOOLONG.
 */
int iol_socket_path(char *path, size_t size, unsigned id, const char *suffix)
{
	int len = snprintf(path, size, "/tmp/netio%u/%u%s", (unsigned)getuid(), id, suffix);

	return len < 0 || (size_t)len >= size ? -ENAMETOOLONG : 0;
}

/* nio_iol_open() - a port of IOL instance @iol_id, reached from bridge @bridge_id
 * @fd: the bridge's socket; it stays the bridge's
 *
 * The instance need not be there yet. Return: the NIO, or NULL with @err set.
 */
struct nio *nio_iol_open(int fd, unsigned bridge_id, unsigned iol_id, uint8_t port,
			 struct err *err)
{
	struct nio_iol *self = calloc(1, sizeof(*self));
	char path[sizeof(self->remote.sun_path)];

	if (!self) {
		err_sys(err, ENOMEM, "iol");
		return NULL;
	}
	if (iol_socket_path(path, sizeof(path), iol_id, "") < 0 ||
	    unix_address(&self->remote, path, err) < 0) {
		free(self);
		return NULL;
	}
	self->nio.ops = &iol_ops;
	self->nio.fd = -1;
	self->socket = fd;
	self->header = (struct iol_header){
		.destination_id = htons((uint16_t)iol_id),
		.source_id = htons((uint16_t)bridge_id),
		.destination_port = port,
		.source_port = port,
		.type = IOL_TYPE_DATA,
	};
	return &self->nio;
}
