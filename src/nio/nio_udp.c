/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Theory of operation
 *
 * The socket is connected, so the kernel itself ignores datagrams of strangers.
 *
 * Runs of frames of equal size leave as one datagram train (UDP_SEGMENT): one
 * pass through the network stack instead of one for each frame; the peer sees
 * ordinary datagrams. Trains of a peer that does the same are received in one
 * piece (UDP_GRO) and cut where they lie.
 *
 * A train is refused where its datagrams do not fit the path MTU (EINVAL), or
 * the device lacks checksum offload (EIO). Then nothing of it has left: its
 * frames are sent one by one, which may fragment, and the NIO stops making
 * trains of that size or more. Paths change, so it tries again some time later.
 */
#include <config.h>

#include "nio/nio_udp.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "nio/sock.h"

/* Kernel limits for a train: datagrams, and bytes over IPv4. */
#define TRAIN_FRAMES 64
#define TRAIN_BYTES 65507

/* How long a NIO remembers that a train was refused. */
#define WIDEN_AFTER (5 * NSEC_PER_SEC)

#define SEND_MESSAGES 64
#define SEND_PIECES 1024

/* Receive calls with trains in them take this many, so that a turn stays short. */
#define RECEIVE_TRAINS 16

/* Datagrams of one receive call that show a peer which sends in quick succession, and
 * does not make trains. More than these are a batch that is worth its costs already.
 */
#define STREAM_MIN 4
#define STREAM_MAX 31

struct nio_udp {
	struct nio nio;
	uint16_t local_port, remote_port;
	char *host;
	uint32_t train_max;		/* frames of this size and more go one by one */
	uint64_t widen_at;		/* when that is forgotten, monotonic; 0: there is no limit */
	bool hears_trains;		/* the last receive call brought at least one */
};

static struct nio_udp *to_udp(struct nio *nio)
{
	return container_of(nio, struct nio_udp, nio);
}

/* udp_spec_parse() - strict reading of the three parts of a UDP tunnel
 *
 * The texts in @spec are the ones given here.
 */
bool udp_spec_parse(struct udp_spec *spec, const char *local, const char *host,
		    const char *remote, struct err *err)
{
	if (!parse_port(local, &spec->local_port))
		err_set(err, EINVAL, "'%s' is no local UDP port", local);
	else if (!parse_port(remote, &spec->remote_port) || !spec->remote_port)
		err_set(err, EINVAL, "'%s' is no remote UDP port", remote);
	else {
		spec->host = host;
		spec->local_text = local;
		spec->remote_text = remote;
		return true;
	}
	return false;
}

static struct addrinfo *lookup(const char *host, int flags, int *error)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_DGRAM,
		.ai_flags = flags,
	};
	struct addrinfo *result = NULL;

	*error = getaddrinfo(host, NULL, &hints, &result);
	return *error ? NULL : result;
}

/* udp_host_is_numeric() - whether resolving @host can not take long */
bool udp_host_is_numeric(const char *host)
{
	int error;
	struct addrinfo *result = lookup(host, AI_NUMERICHOST, &error);

	udp_resolve_free(result);
	return result != NULL;
}

/* udp_resolve() - the addresses of a host; blocks as long as the resolver takes
 *
 * Any thread. Return: a list to be freed with udp_resolve_free(), or NULL with
 * @err set.
 */
struct addrinfo *udp_resolve(const char *host, struct err *err)
{
	int error;
	struct addrinfo *result = lookup(host, 0, &error);

	if (!result)
		err_set(err, EHOSTUNREACH, "cannot resolve '%s': %s", host, gai_strerror(error));
	return result;
}

void udp_resolve_free(struct addrinfo *addresses)
{
	if (addresses)
		freeaddrinfo(addresses);
}

/* ---- receiving */

static void cut_train(struct nio_udp *udp, struct batch *batch, uint8_t *data, uint32_t len,
		      uint32_t size)
{
	for (uint32_t at = 0; at < len; at += size) {
		if (!batch_add(batch, data + at, len - at < size ? len - at : size)) {
			nio_count_error(&udp->nio, ENOBUFS);
			return;
		}
	}
}

static uint32_t train_size(struct msghdr *header)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			int size;

			memcpy(&size, CMSG_DATA(c), sizeof(size));
			return size > 0 ? (uint32_t)size : 0;
		}
	}
	return 0;
}

static void take_message(struct nio_udp *udp, struct batch *batch, struct mmsghdr *message)
{
	uint32_t size = train_size(&message->msg_hdr);
	uint8_t *data = message->msg_hdr.msg_iov->iov_base;

	if (message->msg_hdr.msg_flags & MSG_TRUNC) {
		nio_count_error(&udp->nio, EMSGSIZE);
		return;
	}
	if (size && size < message->msg_len) {
		udp->hears_trains = true;
		cut_train(udp, batch, data, message->msg_len, size);
	} else if (message->msg_len) {
		batch_add(batch, data, message->msg_len);
	} else {
		udp->nio.counters.drop[DROP_RUNT]++;
	}
}

static int udp_recv(struct nio *nio, struct batch *batch)
{
	struct nio_udp *udp = to_udp(nio);
	unsigned room = udp->hears_trains ? RECEIVE_TRAINS : BATCH_SLOTS;
	char control[BATCH_SLOTS][CMSG_SPACE(sizeof(int))];
	struct mmsghdr message[BATCH_SLOTS];
	struct iovec piece[BATCH_SLOTS];
	int count, tries = 2;

	for (unsigned i = 0; i < room; i++) {
		piece[i] = (struct iovec){ batch_slot(batch, i), FRAME_MAX };
		message[i].msg_hdr = (struct msghdr){
			.msg_iov = &piece[i],
			.msg_iovlen = 1,
			.msg_control = control[i],
			.msg_controllen = sizeof(control[i]),
		};
	}
	/* An ICMP error of an earlier send is reported once, in place of data. */
	while ((count = recvmmsg(nio->fd, message, room, MSG_DONTWAIT, NULL)) < 0 &&
	       errno != EAGAIN && tries-- > 0)
		nio_count_error(nio, errno);
	udp->hears_trains = false;
	for (int i = 0; i < count; i++)
		take_message(udp, batch, &message[i]);
	nio->streaming = nio_offload && !udp->hears_trains && count >= STREAM_MIN &&
			 count <= STREAM_MAX;
	return 0;
}

/* ---- sending */

/* One call's worth of messages and the frames that each of them carries. */
struct outgoing {
	struct mmsghdr message[SEND_MESSAGES];
	struct iovec piece[SEND_PIECES];
	union {
		char space[CMSG_SPACE(sizeof(uint16_t))];
		struct cmsghdr align;
	} control[SEND_MESSAGES];
	unsigned first[SEND_MESSAGES];	/* index of the first frame */
	unsigned frames[SEND_MESSAGES];
	unsigned messages, pieces;
};

static void add_piece(struct outgoing *out, struct msghdr *header, const struct frame *frame)
{
	struct iovec *last = header->msg_iovlen ? &out->piece[out->pieces - 1] : NULL;

	/* frames that lie one behind the other are one piece of memory */
	if (last && (uint8_t *)last->iov_base + last->iov_len == frame->data) {
		last->iov_len += frame->len;
		return;
	}
	out->piece[out->pieces++] = (struct iovec){ frame->data, frame->len };
	header->msg_iovlen++;
}

static void mark_train(struct outgoing *out, uint16_t size)
{
	struct msghdr *header = &out->message[out->messages].msg_hdr;
	struct cmsghdr *control = &out->control[out->messages].align;

	header->msg_control = control;
	header->msg_controllen = sizeof(out->control[0].space);
	/* the kernel is given the padding too */
	memset(control, 0, sizeof(out->control[0].space));
	control->cmsg_level = SOL_UDP;
	control->cmsg_type = UDP_SEGMENT;
	control->cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(control), &size, sizeof(size));
}

/* Puts the longest train that begins at @index into the next message.
 *
 * All frames of a train but the last have one size. Frames that are dropped
 * end it: positions in a message are positions in the batch.
 */
static unsigned add_message(struct nio_udp *udp, struct outgoing *out,
			    const struct batch *batch, unsigned index)
{
	struct msghdr *header = &out->message[out->messages].msg_hdr;
	const struct frame *frame = &batch->frame[index];
	uint32_t size = frame->len, bytes = size;
	unsigned count = 1;

	*header = (struct msghdr){ .msg_iov = &out->piece[out->pieces] };
	add_piece(out, header, frame);
	if (size < udp->train_max) {
		while (count < TRAIN_FRAMES && index + count < batch->count &&
		       out->pieces < SEND_PIECES && frame[count - 1].len == size) {
			const struct frame *next = &frame[count];

			if (next->drop != FRAME_KEEP || next->len > size || !next->len ||
			    bytes + next->len > TRAIN_BYTES)
				break;
			add_piece(out, header, next);
			bytes += next->len;
			count++;
		}
	}
	if (count > 1)
		mark_train(out, (uint16_t)size);
	out->first[out->messages] = index;
	out->frames[out->messages++] = count;
	return count;
}

static void narrow_trains(struct nio_udp *udp, uint32_t size)
{
	udp->train_max = size;
	udp->widen_at = clock_now() + WIDEN_AFTER;
}

static void widen_trains(struct nio_udp *udp)
{
	udp->train_max = UINT16_MAX;
	udp->widen_at = 0;
}

static bool train_refused(int error)
{
	return error == EINVAL || error == EIO || error == EMSGSIZE || error == ENOPROTOOPT;
}

static void send_single(struct nio_udp *udp, struct frame *frame)
{
	int tries = 2;

	/* A pending ICMP error of an earlier frame takes the place of the first try. */
	while (send(udp->nio.fd, frame->data, frame->len, MSG_DONTWAIT) < 0) {
		if (errno != ECONNREFUSED || --tries == 0) {
			frame->drop = sock_drop_reason(errno);
			return;
		}
	}
}

/* Message @index could not be sent as it is, for the reason in errno. */
static void send_failed(struct nio_udp *udp, struct batch *batch, struct outgoing *out,
			unsigned index)
{
	struct frame *frame = &batch->frame[out->first[index]];

	if (out->frames[index] > 1 && train_refused(errno))
		narrow_trains(udp, frame->len);
	for (unsigned i = 0; i < out->frames[index]; i++)
		send_single(udp, &frame[i]);
}

static void flush(struct nio_udp *udp, struct batch *batch, struct outgoing *out)
{
	unsigned done = 0;

	while (done < out->messages) {
		int sent = sendmmsg(udp->nio.fd, out->message + done, out->messages - done,
				    MSG_DONTWAIT);

		if (sent > 0)
			done += (unsigned)sent;
		else
			send_failed(udp, batch, out, done++);
	}
	out->messages = out->pieces = 0;
}

static void udp_send(struct nio *nio, struct batch *batch)
{
	struct nio_udp *udp = to_udp(nio);
	struct outgoing out;

	if (udp->widen_at && clock_now() >= udp->widen_at)
		widen_trains(udp);
	out.messages = out.pieces = 0;
	for (unsigned i = 0; i < batch->count;) {
		if (batch->frame[i].drop != FRAME_KEEP) {
			i++;
			continue;
		}
		i += add_message(udp, &out, batch, i);
		if (out.messages == SEND_MESSAGES || out.pieces == SEND_PIECES)
			flush(udp, batch, &out);
	}
	flush(udp, batch, &out);
}

/* ---- opening and closing */

static void udp_close(struct nio *nio)
{
	struct nio_udp *udp = to_udp(nio);

	close(nio->fd);
	free(udp->host);
	free(udp);
}

static const struct nio_ops udp_ops = {
	.kind = "udp",
	.recv = udp_recv,
	.send = udp_send,
	.close = udp_close,
};

static void set_port(struct sockaddr *address, uint16_t port)
{
	if (address->sa_family == AF_INET6)
		((struct sockaddr_in6 *)address)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)address)->sin_port = htons(port);
}

/* What strangers sent between bind and connect must not pass. */
static void discard_queued(int fd)
{
	char byte;

	for (int i = 0; i < 100000; i++) {
		if (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) < 0)
			return;
	}
}

static void announce(const struct udp_spec *spec, const struct addrinfo *to)
{
	char address[INET6_ADDRSTRLEN];

	if (!getnameinfo(to->ai_addr, to->ai_addrlen, address, sizeof(address), NULL, 0,
			 NI_NUMERICHOST))
		log_info("UDP tunnel connecting from local port %u to %s address %s on port %u",
			 spec->local_port, to->ai_family == AF_INET6 ? "IPv6" : "IPv4", address,
			 spec->remote_port);
}

static int open_connected(const struct udp_spec *spec, const struct addrinfo *to, struct err *err)
{
	AUTO_CLOSE int fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_storage local = { .ss_family = (sa_family_t)to->ai_family };
	struct sockaddr_storage remote = { 0 };
	const int on = 1;

	if (fd < 0)
		return err_sys(err, errno, "socket");
	set_port((struct sockaddr *)&local, spec->local_port);
	if (bind(fd, (struct sockaddr *)&local, to->ai_addrlen) < 0)
		return err_sys(err, errno, "bind");
	memcpy(&remote, to->ai_addr, to->ai_addrlen);
	set_port((struct sockaddr *)&remote, spec->remote_port);
	if (connect(fd, (struct sockaddr *)&remote, to->ai_addrlen) < 0)
		return err_sys(err, errno, "connect");
	announce(spec, to);
	sock_grow_buffers(fd);
	if (nio_offload)
		setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on));
	discard_queued(fd);
	return take_fd(&fd);
}

/* nio_udp_open() - open a UDP tunnel to the first of @addresses that can be bound and connected
 *
 * Return: the NIO, to be closed with nio_close(), or NULL with @err set.
 */
struct nio *nio_udp_open(const struct udp_spec *spec, const struct addrinfo *addresses,
			 struct err *err)
{
	AUTO_FREE char *host = strdup(spec->host);
	struct nio_udp *udp;
	int fd = -1;

	for (; addresses && fd < 0; addresses = addresses->ai_next) {
		if (addresses->ai_family == AF_INET || addresses->ai_family == AF_INET6)
			fd = open_connected(spec, addresses, err);
	}
	if (fd < 0) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): host is AUTO_FREE */
		err_wrap(err, "udp %u:%s:%u", spec->local_port, spec->host, spec->remote_port);
		return NULL;
	}
	udp = calloc(1, sizeof(*udp));
	if (!udp || !host ||
	    asprintf(&udp->nio.desc, "%s:%s:%s", spec->local_text, host, spec->remote_text) < 0) {
		err_sys(err, ENOMEM, "udp");
		close(fd);
		free(udp);
		return NULL;
	}
	udp->nio.ops = &udp_ops;
	udp->nio.fd = fd;
	udp->local_port = spec->local_port;
	udp->remote_port = spec->remote_port;
	udp->host = host;
	udp->train_max = nio_offload ? UINT16_MAX : 0;
	host = NULL;
	return &udp->nio;
}

/* nio_udp_matches() - whether a NIO is the UDP tunnel that @spec describes
 *
 * Ports are compared as numbers, the host as it was typed.
 */
bool nio_udp_matches(const struct nio *nio, const struct udp_spec *spec)
{
	const struct nio_udp *udp;

	if (nio->ops != &udp_ops)
		return false;
	udp = container_of(nio, const struct nio_udp, nio);
	return udp->local_port == spec->local_port && udp->remote_port == spec->remote_port &&
	       !strcmp(udp->host, spec->host);
}
