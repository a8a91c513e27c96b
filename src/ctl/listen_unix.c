/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "ctl/listen_unix.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

#define BACKLOG 512

static int bind_address(int fd, const struct sockaddr_un *address)
{
	return bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
}

/* A socket file that nobody serves any more; anything else at that path is somebody's. */
static bool is_stale(const struct sockaddr_un *address)
{
	AUTO_CLOSE int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat file;

	if (probe < 0 || lstat(address->sun_path, &file) < 0 || !S_ISSOCK(file.st_mode))
		return false;
	return connect(probe, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
	       errno == ECONNREFUSED;
}

static int bind_replacing(int fd, const struct sockaddr_un *address)
{
	int error = bind_address(fd, address);

	if (error == -EADDRINUSE && is_stale(address) && !unlink(address->sun_path))
		error = bind_address(fd, address);
	return error;
}

/* listen_unix_open() - a listening stream socket at @path, replacing a stale socket file
 *
 * Its file has mode 0600 from the moment it exists: bind() takes the mode from the
 * socket, which has it before.
 *
 * Return: the socket, or a negative errno with @err set and nothing left behind.
 */
int listen_unix_open(struct unix_listener *listener, const char *path, struct err *err)
{
	AUTO_CLOSE int fd = -1;
	struct stat file;
	int error;

	*listener = (struct unix_listener){ .address.sun_family = AF_UNIX };
	if (!*path || strlen(path) >= sizeof(listener->address.sun_path))
		return err_set(err, ENAMETOOLONG, "socket path '%s' is empty or too long",
			       path);
	strcpy(listener->address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || fchmod(fd, 0600) < 0)
		return err_sys(err, errno, "socket");
	error = bind_replacing(fd, &listener->address);
	if (error)
		return err_sys(err, -error, "%s", path);
	if (lstat(path, &file) < 0)
		return err_sys(err, errno, "%s", path);
	listener->device = file.st_dev;
	listener->inode = file.st_ino;
	if (listen(fd, BACKLOG) < 0) {
		err_sys(err, errno, "%s", path);
		listen_unix_remove(listener);
		return -err->code;
	}
	return take_fd(&fd);
}

/* listen_unix_remove() - remove the file, if it is still the same one */
void listen_unix_remove(struct unix_listener *listener)
{
	const char *path = listener->address.sun_path;
	struct stat file;

	if (!lstat(path, &file) && file.st_dev == listener->device &&
	    file.st_ino == listener->inode)
		unlink(path);
}
