/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whose process is at the other end of a TCP connection. */
#ifndef NET_TCP_OWNER_H
#define NET_TCP_OWNER_H

#include <sys/types.h>

#include "base/err.h"

int tcp_owner_of_peer(int fd, uid_t *owner, struct err *err);

#endif
