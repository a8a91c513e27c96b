/* SPDX-License-Identifier: GPL-3.0-or-later */
/* UNIX datagram sockets: one datagram is one frame, accepted from anyone. */
#include <config.h>

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "nio/nio.h"
#include "nio/sock.h"
#include "nio/unix_socket.h"

struct nio_unix {
	struct nio nio;
	struct unix_socket socket;
	struct sockaddr_un remote;
};

static struct nio_unix *to_unix(struct nio *nio)
{
	return container_of(nio, struct nio_unix, nio);
}

static int unix_recv(struct nio *nio, struct batch *batch)
{
	nio->counters.drop[DROP_RUNT] += unix_socket_recv(nio->fd, batch);
	return 0;
}

static void unix_send(struct nio *nio, struct batch *batch)
{
	unix_socket_send(nio->fd, &to_unix(nio)->remote, NULL, 0, batch);
}

static void unix_close(struct nio *nio)
{
	struct nio_unix *self = to_unix(nio);

	unix_socket_close(&self->socket);
	free(self);
}

static const struct nio_ops unix_ops = {
	.kind = "unix",
	.recv = unix_recv,
	.send = unix_send,
	.close = unix_close,
};

/* nio_unix_open() - a datagram socket at @local whose frames go to @remote
 *
 * @remote need not exist yet. Return: the NIO, or NULL with @err set.
 */
struct nio *nio_unix_open(const char *local, const char *remote, struct err *err)
{
	AUTO_FREE struct nio_unix *self = calloc(1, sizeof(*self));
	struct nio *nio;

	if (!self) {
		err_sys(err, ENOMEM, "unix");
		return NULL;
	}
	if (unix_address(&self->remote, remote, err) < 0 ||
	    unix_socket_open(&self->socket, local, err) < 0) {
		err_wrap(err, "unix");
		return NULL;
	}
	nio = &self->nio;
	nio->ops = &unix_ops;
	nio->fd = self->socket.fd;
	nio->patient = true;
	if (asprintf(&nio->desc, "%s -> %s", local, remote) < 0) {
		unix_socket_close(&self->socket);
		err_sys(err, ENOMEM, "unix");
		return NULL;
	}
	self = NULL;
	return nio;
}
