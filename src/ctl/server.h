/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The control server: listening sockets, connections, lines in and replies out. */
#ifndef CTL_SERVER_H
#define CTL_SERVER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/loop.h"
#include "ctl/request.h"

/* Options of the program, set before server_listen(). */
struct server_options {
	bool same_user;			/* over TCP too: only this user's processes and root's */
	unsigned max_clients;		/* connections at a time */
};
extern struct server_options server_options;

int server_listen(struct loop *loop, const char *text, struct err *err);
int server_listen_unix(struct loop *loop, const char *path, struct err *err);
void server_close(void);
void server_hang_up(struct request *request);

#endif
