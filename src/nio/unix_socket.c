/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "nio/unix_socket.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "nio/sock.h"

#define SEND_MESSAGES 64

/* unix_address() - the socket address of a path, which may be 107 bytes long */
int unix_address(struct sockaddr_un *address, const char *path, struct err *err)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!*path || strlen(path) >= sizeof(address->sun_path))
		return err_set(err, ENAMETOOLONG, "socket path '%s' is empty or too long", path);
	strcpy(address->sun_path, path);
	return 0;
}

static int bind_address(int fd, const struct sockaddr_un *address)
{
	return bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
}

/* A socket file that nobody serves any more; anything else at that path is somebody's. */
static bool is_stale(const struct sockaddr_un *address)
{
	AUTO_CLOSE int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct stat file;

	if (probe < 0 || lstat(address->sun_path, &file) < 0 || !S_ISSOCK(file.st_mode))
		return false;
	return connect(probe, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
	       errno == ECONNREFUSED;
}

/* unix_socket_open() - bind a datagram socket to @path, replacing a stale socket file
 *
 * Return: 0, or a negative errno with @err set and nothing left behind.
 */
int unix_socket_open(struct unix_socket *unix_socket, const char *path, struct err *err)
{
	AUTO_CLOSE int fd = -1;
	struct stat file;
	int error = unix_address(&unix_socket->address, path, err);

	if (error)
		return error;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, errno, "socket");
	error = bind_address(fd, &unix_socket->address);
	if (error == -EADDRINUSE && is_stale(&unix_socket->address) && !unlink(path))
		error = bind_address(fd, &unix_socket->address);
	if (error)
		return err_sys(err, -error, "%s", path);
	if (lstat(path, &file) < 0)
		return err_sys(err, errno, "%s", path);
	sock_grow_buffers(fd);
	unix_socket->device = file.st_dev;
	unix_socket->inode = file.st_ino;
	unix_socket->fd = take_fd(&fd);
	return 0;
}

/* unix_socket_close() - close the socket; its file goes too, if it is still the same one */
void unix_socket_close(struct unix_socket *unix_socket)
{
	const char *path = unix_socket->address.sun_path;
	struct stat file;

	if (!lstat(path, &file) && file.st_dev == unix_socket->device &&
	    file.st_ino == unix_socket->inode)
		unlink(path);
	close(unix_socket->fd);
	unix_socket->fd = -1;
}

/* unix_socket_recv() - add what has arrived to a batch
 *
 * Return: how many datagrams were empty or longer than any frame, and are not in it.
 */
unsigned unix_socket_recv(int fd, struct batch *batch)
{
	struct mmsghdr message[BATCH_SLOTS];
	struct iovec piece[BATCH_SLOTS];
	unsigned refused = 0;
	int count;

	for (unsigned i = 0; i < BATCH_SLOTS; i++) {
		piece[i] = (struct iovec){ batch_slot(batch, i), FRAME_MAX };
		message[i].msg_hdr = (struct msghdr){ .msg_iov = &piece[i], .msg_iovlen = 1 };
	}
	count = recvmmsg(fd, message, BATCH_SLOTS, MSG_DONTWAIT, NULL);
	for (int i = 0; i < count; i++) {
		if (message[i].msg_len && !(message[i].msg_hdr.msg_flags & MSG_TRUNC))
			batch_add(batch, piece[i].iov_base, message[i].msg_len);
		else
			refused++;
	}
	return refused;
}

/* Return: false when the receiver has no room for more. */
static bool flush(int fd, struct mmsghdr *message, struct frame **frame, unsigned count)
{
	unsigned done = 0;

	while (done < count) {
		int sent = sendmmsg(fd, message + done, count - done, MSG_DONTWAIT);

		if (sent > 0) {
			done += (unsigned)sent;
			continue;
		}
		frame[done]->drop = sock_drop_reason(errno);
		if (frame[done]->drop == DROP_NO_BUFFER)
			return false;
		done++;
	}
	return true;
}

/* Everything behind the first frame that found no room has not been sent either. */
static void mark_rest(struct batch *batch)
{
	bool full = false;

	for (unsigned i = 0; i < batch->count; i++) {
		struct frame *frame = &batch->frame[i];

		if (frame->drop == DROP_NO_BUFFER)
			full = true;
		else if (full && frame->drop == FRAME_KEEP)
			frame->drop = DROP_NO_BUFFER;
	}
}

/* unix_socket_send() - send the frames of a batch to @to, each behind a copy of @header
 *
 * @header may be NULL with @header_len 0. Where the receiver has no room, this frame
 * and all behind it get DROP_NO_BUFFER.
 */
void unix_socket_send(int fd, const struct sockaddr_un *to, void *header, size_t header_len,
		      struct batch *batch)
{
	struct mmsghdr message[SEND_MESSAGES];
	struct iovec piece[SEND_MESSAGES][2];
	struct frame *frame[SEND_MESSAGES];
	struct sockaddr_un address = *to;
	unsigned count = 0;

	for (unsigned i = 0; i < batch->count; i++) {
		struct frame *next = &batch->frame[i];

		if (next->drop != FRAME_KEEP)
			continue;
		piece[count][0] = (struct iovec){ header, header_len };
		piece[count][1] = (struct iovec){ next->data, next->len };
		message[count].msg_hdr = (struct msghdr){
			.msg_name = &address,
			.msg_namelen = sizeof(address),
			.msg_iov = piece[count],
			.msg_iovlen = 2,
		};
		frame[count++] = next;
		if (count == SEND_MESSAGES) {
			if (!flush(fd, message, frame, count)) {
				mark_rest(batch);
				return;
			}
			count = 0;
		}
	}
	if (!flush(fd, message, frame, count))
		mark_rest(batch);
}
