/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Theory of operation
 *
 * A packet socket sees what the interface receives and what the host sends out
 * of it, never what was sent through this socket itself. PACKET_IGNORE_OUTGOING
 * is not set: bridging a host's interface relies on the host's own frames.
 *
 * With PACKET_VNET_HDR the kernel says of each frame whether its checksum is
 * still open and whether it is an aggregate (GRO, or a local sender's segment
 * train), and takes the same in the other direction. Where it is refused, the
 * headers and the MTU have to tell.
 *
 * The kernel strips VLAN tags and tells them beside the frame: they are put
 * back before anybody sees it.
 *
 * Without a carrier, which is what the other end of a veth pair takes away when it goes
 * down, the kernel drops what is sent and reports success. So it is looked at from time
 * to time. Frames are sent all the same, but those that nobody gets do not count as sent.
 * At the same time its MTU is looked at, which the kernel does not hold super-frames to.
 *
 * An interface that goes down reports ENETDOWN once. The socket works again when it
 * is up, but if it is deleted before that, nothing more is reported, and the socket
 * is bound to nothing. So the NIO is gone from the first error on, until revive()
 * finds the interface up, or binds the socket to another one that has its name.
 *
 * Promiscuous mode waits for the lock that the kernel has for all changes of
 * interfaces on the host. Others may hold it for seconds, as when a namespace with
 * many interfaces ends, and a worker must not wait: a thread does it instead.
 */
#include <config.h>

#include "nio/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/kernel.h"
#include "base/str.h"
#include "base/thread.h"
#include "nio/closing.h"
#include "nio/interface.h"
#include "nio/sock.h"
#include "pkt/vlan.h"

/* More frames than the buffer of a socket holds. */
#define DRAIN_MAX 65536

/* Messages in one send call; each may be a super-frame of its own. */
#define SEND_MESSAGES 16

/* How long a carrier that was there is taken to be there still, and the MTU to be the same: a
 * look costs as much as sending a small frame.
 */
#define LOOK_INTERVAL (10 * NSEC_PER_MSEC)

static struct nio_packet *to_packet(struct nio *nio)
{
	return container_of(nio, struct nio_packet, nio);
}

/* ---- receiving */

static struct tpacket_auxdata find_aux(struct msghdr *header)
{
	struct tpacket_auxdata aux = { 0 };

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA)
			memcpy(&aux, CMSG_DATA(c), sizeof(aux));
	}
	return aux;
}

static void restore_vlan(const struct tpacket_auxdata *aux, struct frame *frame)
{
	uint16_t tpid = ETH_P_8021Q;

	if (!(aux->tp_status & TP_STATUS_VLAN_VALID))
		return;
	if (aux->tp_status & TP_STATUS_VLAN_TPID_VALID)
		tpid = aux->tp_vlan_tpid;
	vlan_push(frame, tpid, aux->tp_vlan_tci);
}

static void take_message(struct nio_packet *self, struct batch *batch, struct mmsghdr *message,
			 const struct virtio_net_hdr *vnet, uint8_t *data)
{
	struct tpacket_auxdata aux = find_aux(&message->msg_hdr);
	uint32_t len = message->msg_len;
	struct frame *frame;

	if (message->msg_hdr.msg_flags & MSG_TRUNC) {
		nio_count_error(&self->nio, EMSGSIZE);
		return;
	}
	if (self->support.header)
		len = len > sizeof(*vnet) ? len - (uint32_t)sizeof(*vnet) : 0;
	if (!len)
		return;
	frame = batch_add(batch, data, len);
	frame->vnet = *vnet;
	restore_vlan(&aux, frame);
	if (!self->support.header)
		offload_infer(frame, self->mtu, aux.tp_status & TP_STATUS_CSUMNOTREADY);
}

/* Its name may have changed. */
static bool ask(const struct nio_packet *self, unsigned long what, struct ifreq *answer)
{
	*answer = (struct ifreq){ .ifr_ifindex = (int)self->index };
	return ioctl(self->nio.fd, SIOCGIFNAME, answer) == 0 &&
	       ioctl(self->nio.fd, what, answer) == 0;
}

/* It may change at any time. */
static uint32_t mtu_now(const struct nio_packet *self)
{
	struct ifreq answer;

	return ask(self, SIOCGIFMTU, &answer) ? (uint32_t)answer.ifr_mtu : UINT32_MAX;
}

/* Its IFF_… flags, or -ENODEV. */
static int interface_flags(const struct nio_packet *self)
{
	struct ifreq answer;

	return ask(self, SIOCGIFFLAGS, &answer) ? (unsigned short)answer.ifr_flags : -ENODEV;
}

/* 0: the interface is there and up; else what it lacks. */
static int check_interface(const struct nio_packet *self)
{
	int flags = interface_flags(self);

	if (flags < 0)
		return flags;
	return flags & IFF_UP ? 0 : -ENETDOWN;
}

/* Whether there is a carrier, and the MTU for what is sent. Where the interface is down or gone
 * each send says so itself.
 */
static void look_at_interface(struct nio_packet *self)
{
	uint64_t now = clock_now();
	int flags;

	if (self->carrier && now < self->next_look)
		return;
	flags = interface_flags(self);
	self->carrier = flags < 0 || !(flags & IFF_UP) || flags & IFF_RUNNING;
	self->support.mtu = mtu_now(self);
	self->next_look = now + LOOK_INTERVAL;
}

/* Forgets what waits to be received. Where the socket goes on to receive, a flood ends it some
 * time.
 */
void packet_drain(int fd)
{
	char start[64];

	for (unsigned i = 0; i < DRAIN_MAX; i++) {
		if (recv(fd, start, sizeof(start), MSG_DONTWAIT | MSG_TRUNC) < 0 &&
		    errno == EAGAIN)
			return;
	}
}

int packet_recv(struct nio *nio, struct batch *batch)
{
	struct nio_packet *self = to_packet(nio);
	char control[BATCH_SLOTS][CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct virtio_net_hdr vnet[BATCH_SLOTS];
	struct mmsghdr message[BATCH_SLOTS];
	struct iovec piece[BATCH_SLOTS][2];
	size_t skip = self->support.header ? 0 : 1;
	int count, state;

	memset(vnet, 0, sizeof(vnet));
	for (unsigned i = 0; i < BATCH_SLOTS; i++) {
		piece[i][0] = (struct iovec){ &vnet[i], sizeof(vnet[i]) };
		piece[i][1] = (struct iovec){ batch_slot(batch, i), FRAME_MAX };
		message[i].msg_hdr = (struct msghdr){
			.msg_iov = piece[i] + skip,
			.msg_iovlen = 2 - skip,
			.msg_control = control[i],
			.msg_controllen = sizeof(control[i]),
		};
	}
	count = recvmmsg(nio->fd, message, BATCH_SLOTS, MSG_DONTWAIT, NULL);
	if (count < 0) {
		if (errno == EAGAIN)
			return 0;
		nio_count_error(nio, errno);
		state = check_interface(self);
		/* what was there is as old as that when the interface is back */
		if (state < 0)
			packet_drain(nio->fd);
		return state;
	}
	/* it must be the one that the frames were made for */
	if (!self->support.header)
		self->mtu = mtu_now(self);
	for (int i = 0; i < count; i++)
		take_message(self, batch, &message[i], &vnet[i], piece[i][1].iov_base);
	return 0;
}

/* ---- sending */

struct outgoing {
	struct coalesced super[SEND_MESSAGES];
	struct iovec piece[SEND_MESSAGES][2 + COALESCE_MAX];
	struct mmsghdr message[SEND_MESSAGES];
	unsigned first[SEND_MESSAGES];	/* index of the first frame */
	unsigned count;
};

static void mark(struct batch *batch, unsigned first, unsigned count, enum frame_drop reason)
{
	for (unsigned i = first; i < first + count; i++)
		batch->frame[i].drop = reason;
}

static enum frame_drop drop_reason(int error)
{
	return error == EINVAL ? DROP_RUNT : sock_drop_reason(error);
}

static void send_single(struct nio_packet *self, struct frame *frame)
{
	struct virtio_net_hdr vnet = { 0 };
	struct iovec piece[2] = { { &vnet, sizeof(vnet) }, { frame->data, frame->len } };
	size_t skip = self->support.header ? 0 : 1;
	const struct msghdr message = { .msg_iov = piece + skip, .msg_iovlen = 2 - skip };

	if (sendmsg(self->nio.fd, &message, MSG_DONTWAIT) < 0)
		frame->drop = drop_reason(errno);
}

/* Kernels before 6.2 do not know super-frames of UDP and say so only here. What was
 * put together for them is sent frame by frame then, and nothing is any more.
 */
static void send_failed(struct nio_packet *self, struct batch *batch, struct outgoing *out,
			unsigned index)
{
	const struct coalesced *super = &out->super[index];

	if (errno != EINVAL || super->frames == 1) {
		mark(batch, out->first[index], super->frames, drop_reason(errno));
		return;
	}
	if (super->vnet.gso_type == VIRTIO_NET_HDR_GSO_UDP_L4)
		self->support.udp = false;
	for (unsigned i = 0; i < super->frames; i++)
		send_single(self, &batch->frame[out->first[index] + i]);
}

static void flush(struct nio_packet *self, struct batch *batch, struct outgoing *out)
{
	unsigned done = 0;

	while (done < out->count) {
		int sent = sendmmsg(self->nio.fd, out->message + done, out->count - done,
				    MSG_DONTWAIT);

		if (sent > 0)
			done += (unsigned)sent;
		else
			send_failed(self, batch, out, done++);
	}
	out->count = 0;
}

static unsigned add_message(struct nio_packet *self, const struct batch *batch, unsigned index,
			    struct outgoing *out)
{
	struct coalesced *super = &out->super[out->count];
	struct iovec *piece = out->piece[out->count];
	unsigned taken = vnet_gather(batch, index, &self->support, super), pieces = 0;

	if (self->support.header)
		piece[pieces++] = (struct iovec){ &super->vnet, sizeof(super->vnet) };
	memcpy(piece + pieces, super->piece, super->pieces * sizeof(*piece));
	out->message[out->count].msg_hdr = (struct msghdr){
		.msg_iov = piece,
		.msg_iovlen = pieces + super->pieces,
	};
	out->first[out->count++] = index;
	return taken;
}

void packet_send(struct nio *nio, struct batch *batch)
{
	struct nio_packet *self = to_packet(nio);
	struct outgoing out;

	look_at_interface(self);
	out.count = 0;
	for (unsigned i = 0; i < batch->count;) {
		if (batch->frame[i].drop != FRAME_KEEP) {
			i++;
			continue;
		}
		if (batch->frame[i].len < ETH_HLEN) {
			batch->frame[i++].drop = DROP_RUNT;
			continue;
		}
		if (vnet_is_too_long(&batch->frame[i], &self->support)) {
			batch->frame[i++].drop = DROP_TOO_LONG;
			errno = EMSGSIZE;
			continue;
		}
		i += add_message(self, batch, i, &out);
		if (out.count == SEND_MESSAGES)
			flush(self, batch, &out);
	}
	flush(self, batch, &out);
	if (!self->carrier && batch_drop(batch, DROP_DOWN))
		errno = ENETDOWN;
}

/* ---- binding to an interface */

static int bind_to(int fd, unsigned index, struct err *err)
{
	const struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)index,
	};

	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return err_sys(err, errno, "bind");
	return 0;
}

static int be_promiscuous(int fd, unsigned index, struct err *err)
{
	const struct packet_mreq promiscuous = {
		.mr_ifindex = (int)index,
		.mr_type = PACKET_MR_PROMISC,
	};

	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous,
		       sizeof(promiscuous)) < 0)
		return err_sys(err, errno, "promiscuous mode");
	return 0;
}

/* ---- promiscuous mode without waiting for it */

struct favour {
	int fd;
	unsigned index;
};

/* An interface that is gone again is looked for again, so nobody needs to hear of that. */
static void *do_favour(void *arg)
{
	struct favour *favour = arg;
	struct err ignored;

	be_promiscuous(favour->fd, favour->index, &ignored);
	close(favour->fd);
	free(favour);
	return NULL;
}

/* A descriptor of its own keeps the socket there for as long as the thread wants it. */
static int promise_promiscuous(int fd, unsigned index, struct err *err)
{
	struct favour *favour = malloc(sizeof(*favour));

	if (!favour)
		return err_sys(err, ENOMEM, "promiscuous mode");
	*favour = (struct favour){ fcntl(fd, F_DUPFD_CLOEXEC, 0), index };
	if (favour->fd >= 0 && !thread_start_detached(do_favour, favour))
		return 0;
	cleanup_close(&favour->fd);
	free(favour);
	/* to wait is better than to miss frames */
	return be_promiscuous(fd, index, err);
}

/* ---- opening and closing */

int packet_revive(struct nio *nio, struct err *err)
{
	struct nio_packet *self = to_packet(nio);
	int state = check_interface(self);

	if (state == -ENODEV) {
		unsigned index = interface_find(nio->desc);

		if (!index)
			return err_sys(err, ENODEV, "%s", nio->desc);
		if (bind_to(nio->fd, index, err) < 0 ||
		    promise_promiscuous(nio->fd, index, err) < 0)
			return -err->code;
		self->index = index;
		state = check_interface(self);
	}
	return state ? err_sys(err, -state, "%s", nio->desc) : 0;
}

void packet_close(struct nio *nio)
{
	closing_add(nio->fd);
	free(to_packet(nio));
}

static int open_socket(const char *interface, unsigned index, struct vnet_support *support,
		       struct err *err)
{
	/* without a protocol nothing is received before the socket is bound */
	AUTO_CLOSE int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1;

	if (fd < 0)
		return err_sys(err, errno, "packet socket");
	if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) < 0)
		return err_sys(err, errno, "PACKET_AUXDATA");
	support->header = !setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on));
	support->tcp = support->udp = support->header && nio_offload;
	/* Before, super-frames with VLAN tags that are sent like this are lost, and nobody
	 * says so.
	 */
	support->untagged = kernel_is_before(5, 19);
	sock_grow_buffers(fd);
	if (bind_to(fd, index, err) < 0 || be_promiscuous(fd, index, err) < 0)
		return err_wrap(err, "%s", interface);
	return take_fd(&fd);
}

int packet_open(struct nio_packet *self, const struct nio_ops *ops, const char *interface,
		struct err *err)
{
	if (!ifname_fits(interface))
		return err_set(err, EINVAL, "'%s' is no interface name", interface);
	self->index = if_nametoindex(interface);
	if (!self->index)
		return err_sys(err, errno, "%s", interface);
	self->nio.fd = open_socket(interface, self->index, &self->support, err);
	if (self->nio.fd < 0)
		return -err->code;
	self->nio.ops = ops;
	self->nio.takes_gso = self->support.tcp;
	self->nio.untagged_gso = self->support.untagged;
	self->nio.desc = strdup(interface);
	if (!self->nio.desc) {
		close(self->nio.fd);
		return err_sys(err, ENOMEM, "%s", interface);
	}
	return 0;
}
