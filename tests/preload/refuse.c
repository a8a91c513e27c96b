/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For LD_PRELOAD: a kernel that lacks features
 *
 * UBRIDGE_REFUSE is a list of words, separated by commas:
 *
 *	udp_segment		UDP_SEGMENT is not known (before 4.18)
 *	udp_segment_eio		devices do not make checksums
 *	udp_segment_late	the same, but only after some trains
 *	udp_gro			UDP_GRO is not known (before 5.0)
 *	tun_vnet_hdr		IFF_VNET_HDR is refused
 *	tun_offload		TUNSETOFFLOAD is refused
 *	uso			super-frames of UDP are not known (before 6.2)
 *	packet_vnet_hdr		PACKET_VNET_HDR is refused
 *	tagged			packet sockets lose super-frames with VLAN tags (before 5.19);
 *				the kernel says that it is 5.10
 *
 * What has been refused is told on standard error, once for each word. At the end
 * the number of datagram trains is told there, "trains: 12 sent, 1 refused", by this
 * or by the real kernel; and "trains go again" when one leaves with datagrams of a size
 * that had been refused.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define TRAINS_BEFORE_LATE 20

enum word { SEGMENT, SEGMENT_EIO, SEGMENT_LATE, GRO, TUN_HEADER, TUN_OFFLOADS, USO,
	    PACKET_HEADER, TAGGED, WORDS };

static const char *const words[WORDS] = {
	[SEGMENT] = "udp_segment",
	[SEGMENT_EIO] = "udp_segment_eio",
	[SEGMENT_LATE] = "udp_segment_late",
	[GRO] = "udp_gro",
	[TUN_HEADER] = "tun_vnet_hdr",
	[TUN_OFFLOADS] = "tun_offload",
	[USO] = "uso",
	[PACKET_HEADER] = "packet_vnet_hdr",
	[TAGGED] = "tagged",
};

static bool wanted[WORDS];
static atomic_bool told[WORDS];
static atomic_ulong trains_sent, trains_refused;
static atomic_uint refused_size;	/* of the datagrams of the last refused train; 0: none */

static int (*real_uname)(struct utsname *);
static int (*real_setsockopt)(int, int, int, const void *, socklen_t);
static int (*real_ioctl)(int, unsigned long, ...);
static int (*real_sendmmsg)(int, struct mmsghdr *, unsigned, int);
static ssize_t (*real_sendmsg)(int, const struct msghdr *, int);
static ssize_t (*real_writev)(int, const struct iovec *, int);

static void find(void *function, const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	memcpy(function, &found, sizeof(found));
}

__attribute__((constructor)) static void begin(void)
{
	const char *list = getenv("UBRIDGE_REFUSE");
	char *copy = strdup(list ? list : ""), *save = NULL;

	find(&real_uname, "uname");
	find(&real_setsockopt, "setsockopt");
	find(&real_ioctl, "ioctl");
	find(&real_sendmmsg, "sendmmsg");
	find(&real_sendmsg, "sendmsg");
	find(&real_writev, "writev");
	for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		for (int i = 0; i < WORDS; i++)
			wanted[i] = wanted[i] || !strcmp(word, words[i]);
	}
	free(copy);
}

__attribute__((destructor)) static void end(void)
{
	dprintf(STDERR_FILENO, "trains: %lu sent, %lu refused\n", trains_sent, trains_refused);
}

static int refuse(enum word word, int error)
{
	if (!atomic_exchange(&told[word], true))
		dprintf(STDERR_FILENO, "refused: %s\n", words[word]);
	errno = error;
	return -1;
}

int uname(struct utsname *name)
{
	int result = real_uname(name);

	if (wanted[TAGGED])
		strcpy(name->release, "5.10.0-refuse");
	return result;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	if (wanted[GRO] && level == SOL_UDP && name == UDP_GRO)
		return refuse(GRO, ENOPROTOOPT);
	if (wanted[PACKET_HEADER] && level == SOL_PACKET && name == PACKET_VNET_HDR)
		return refuse(PACKET_HEADER, ENOPROTOOPT);
	return real_setsockopt(fd, level, name, value, len);
}

int ioctl(int fd, unsigned long request, ...)
{
	unsigned long argument;
	va_list arguments;

	va_start(arguments, request);
	argument = va_arg(arguments, unsigned long);
	va_end(arguments);
	if (request == TUNSETIFF && wanted[TUN_HEADER] &&
	    ((struct ifreq *)argument)->ifr_flags & IFF_VNET_HDR)
		return refuse(TUN_HEADER, EINVAL);
	if (request == TUNSETOFFLOAD && wanted[TUN_OFFLOADS])
		return refuse(TUN_OFFLOADS, EINVAL);
	if (request == TUNSETOFFLOAD && wanted[USO] && argument & (TUN_F_USO4 | TUN_F_USO6))
		return refuse(USO, EINVAL);
	return real_ioctl(fd, request, argument);
}

/* A virtio header is a piece of its own. */
static bool is_udp_super_frame(const struct iovec *piece, size_t count)
{
	const struct virtio_net_hdr *vnet = count > 1 ? piece->iov_base : NULL;

	return vnet && piece->iov_len == sizeof(*vnet) &&
	       vnet->gso_type == VIRTIO_NET_HDR_GSO_UDP_L4;
}

/* A frame's type is in the piece behind. */
static bool is_tagged_super_frame(const struct iovec *piece, size_t count)
{
	const struct virtio_net_hdr *vnet = count > 1 ? piece->iov_base : NULL;
	const unsigned char *type = vnet ? (unsigned char *)piece[1].iov_base + 12 : NULL;

	return vnet && piece->iov_len == sizeof(*vnet) && vnet->gso_type && piece[1].iov_len > 14 &&
	       ((type[0] == 0x81 && type[1] == 0) || (type[0] == 0x88 && type[1] == 0xa8));
}

static bool is_train(const struct msghdr *message)
{
	const struct cmsghdr *control = message->msg_controllen ? message->msg_control : NULL;

	return control && control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_SEGMENT;
}

static uint16_t train_size(const struct msghdr *message)
{
	uint16_t size;

	memcpy(&size, CMSG_DATA((const struct cmsghdr *)message->msg_control), sizeof(size));
	return size;
}

static void note_refused(const struct msghdr *message)
{
	trains_refused++;
	refused_size = train_size(message);
}

static void note_sent(const struct msghdr *message)
{
	trains_sent++;
	if (refused_size && train_size(message) >= refused_size) {
		refused_size = 0;
		dprintf(STDERR_FILENO, "trains go again\n");
	}
}

static int refuse_message(const struct msghdr *message)
{
	if (is_train(message)) {
		if (wanted[SEGMENT])
			return refuse(SEGMENT, EINVAL);
		if (wanted[SEGMENT_EIO])
			return refuse(SEGMENT_EIO, EIO);
		if (wanted[SEGMENT_LATE] && trains_sent >= TRAINS_BEFORE_LATE)
			return refuse(SEGMENT_LATE, EIO);
	} else if (wanted[TAGGED] && is_tagged_super_frame(message->msg_iov, message->msg_iovlen)) {
		/* loud here, so that the test need not wait for what is lost */
		abort();
	} else if (wanted[USO] && is_udp_super_frame(message->msg_iov, message->msg_iovlen)) {
		return refuse(USO, EINVAL);
	}
	return 0;
}

/* Like the kernel's: an error is told only where it is about the first message. */
int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	unsigned good = 0;
	int sent = -1;

	while (good < count && !refuse_message(&messages[good].msg_hdr))
		good++;
	if (good)
		sent = real_sendmmsg(fd, messages, good, flags);
	if (sent < 0 && is_train(&messages->msg_hdr))
		note_refused(&messages->msg_hdr);
	for (int i = 0; i < sent; i++) {
		if (is_train(&messages[i].msg_hdr))
			note_sent(&messages[i].msg_hdr);
	}
	return sent;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	return refuse_message(message) ? -1 : real_sendmsg(fd, message, flags);
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
	if (wanted[USO] && is_udp_super_frame(pieces, (size_t)count))
		return refuse(USO, EINVAL);
	return real_writev(fd, pieces, count);
}
