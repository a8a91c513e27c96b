/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Datagram sockets in the file system, for UNIX NIOs and IOL bridges. */
#ifndef NIO_UNIX_SOCKET_H
#define NIO_UNIX_SOCKET_H

#include <sys/stat.h>
#include <sys/un.h>

#include "base/err.h"
#include "pkt/batch.h"

/* A socket that is bound to a path, and the file that this made. */
struct unix_socket {
	int fd;
	struct sockaddr_un address;
	dev_t device;
	ino_t inode;
};

int unix_address(struct sockaddr_un *address, const char *path, struct err *err);
int unix_socket_open(struct unix_socket *unix_socket, const char *path, struct err *err);
void unix_socket_close(struct unix_socket *unix_socket);

unsigned unix_socket_recv(int fd, struct batch *batch);
void unix_socket_send(int fd, const struct sockaddr_un *to, void *header, size_t header_len,
		      struct batch *batch);

#endif
