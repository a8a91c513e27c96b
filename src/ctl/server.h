/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The control server: listening sockets, connections, lines in and replies out. */
#ifndef CTL_SERVER_H
#define CTL_SERVER_H

#include "base/err.h"
#include "base/loop.h"
#include "ctl/request.h"

int server_listen(struct loop *loop, const char *spec, struct err *err);
void server_close(void);
void server_hang_up(struct request *request);

#endif
