/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "nio/sock.h"

#include <errno.h>

/* A burst of some super-frames arrives at once; the system's default holds about three. */
#define BUFFER_BYTES (4 * 1024 * 1024)

static void grow(int fd, int force, int polite)
{
	const int bytes = BUFFER_BYTES;

	/* without the capability the system's limit is the best there is */
	if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, polite, &bytes, sizeof(bytes));
}

/* sock_grow_buffers() - room for bursts in both directions, as far as allowed */
void sock_grow_buffers(int fd)
{
	grow(fd, SO_RCVBUFFORCE, SO_RCVBUF);
	grow(fd, SO_SNDBUFFORCE, SO_SNDBUF);
}

/* sock_drop_reason() - what a failed send means for the frame */
enum frame_drop sock_drop_reason(int error)
{
	switch (error) {
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
		return DROP_NO_BUFFER;
	case ECONNREFUSED:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENOENT:
	case EPERM:
		return DROP_REFUSED;
	case ENETDOWN:
	case ENXIO:
	case ENODEV:
	case EIO:
		return DROP_DOWN;
	case EMSGSIZE:
		return DROP_TOO_LONG;
	default:
		return DROP_ERROR;
	}
}
