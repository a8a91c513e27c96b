/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the socket back-ends share: buffer sizes, and batches of messages. */
#ifndef NIO_SOCK_H
#define NIO_SOCK_H

#include <sys/socket.h>

#include "pkt/batch.h"

void sock_grow_buffers(int fd);
enum frame_drop sock_drop_reason(int error);

#endif
