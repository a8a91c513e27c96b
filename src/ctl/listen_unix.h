/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The control server's UNIX socket, which only its own user and root can use. */
#ifndef CTL_LISTEN_UNIX_H
#define CTL_LISTEN_UNIX_H

#include <sys/stat.h>
#include <sys/un.h>

#include "base/err.h"

struct unix_listener {
	struct sockaddr_un address;
	dev_t device;			/* the file, as long as it is ours */
	ino_t inode;
};

int listen_unix_open(struct unix_listener *listener, const char *path, struct err *err);
void listen_unix_remove(struct unix_listener *listener);

#endif
