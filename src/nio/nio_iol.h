/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One port of an IOL instance, as an IOL bridge reaches it. */
#ifndef NIO_NIO_IOL_H
#define NIO_NIO_IOL_H

#include "nio/nio.h"

/* Every datagram between IOL instances begins so, in network byte order. */
struct iol_header {
	uint16_t destination_id;
	uint16_t source_id;
	uint8_t destination_port;	/* bay in the low four bits, unit in the high ones */
	uint8_t source_port;
	uint8_t type;
	uint8_t channel;
};

#define IOL_TYPE_DATA 1
#define IOL_FRAME_MAX 4096

/* Where the sockets of a user's instances are. */
int iol_socket_path(char *path, size_t size, unsigned id, const char *suffix);

bool iol_is_empty(const struct frame *datagram, uint8_t *port);
bool iol_next_run(const struct batch *batch, unsigned *next, struct batch *run, uint8_t *port);

struct nio *nio_iol_open(int fd, unsigned bridge_id, unsigned iol_id, uint8_t port,
			 struct err *err);

#endif
