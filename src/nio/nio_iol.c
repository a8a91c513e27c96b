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

static bool holds_frame(const struct frame *datagram)
{
	return datagram->len > sizeof(struct iol_header);
}

static uint8_t port_of(const struct frame *datagram)
{
	return datagram->data[offsetof(struct iol_header, destination_port)];
}

/* iol_is_empty() - whether a datagram for @port has nothing behind its header */
bool iol_is_empty(const struct frame *datagram, uint8_t *port)
{
	if (datagram->len != sizeof(struct iol_header))
		return false;
	*port = port_of(datagram);
	return true;
}

/* iol_next_run() - the next frames of a batch of datagrams that are for the same port
 * @batch: as received; datagrams without a frame are passed over
 * @next: 0 at first, and then as the last call left it
 * @run: part of @batch, its frames without their headers
 *
 * Return: false when there are no more.
 */
bool iol_next_run(const struct batch *batch, unsigned *next, struct batch *run, uint8_t *port)
{
	unsigned at = *next, first;

	while (at < batch->count && !holds_frame(&batch->frame[at]))
		at++;
	if (at == batch->count)
		return false;
	*port = port_of(&batch->frame[at]);
	for (first = at; at < batch->count; at++) {
		struct frame *frame = &batch->frame[at];

		if (!holds_frame(frame) || port_of(frame) != *port)
			break;
		frame->data += sizeof(struct iol_header);
		frame->len -= (uint32_t)sizeof(struct iol_header);
	}
	*run = *batch;
	run->frame += first;
	run->count = at - first;
	*next = at;
	return true;
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
	self->nio.patient = true;
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
