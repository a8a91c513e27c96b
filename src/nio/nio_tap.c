/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TAP devices: made with the NIO and gone with it, or, if they were there before, borrowed.
 *
 * Theory of operation
 *
 * With IFF_VNET_HDR each frame has a virtio header, and with TUNSETOFFLOAD the
 * kernel may leave checksums open and hand over whole segment trains. Both are
 * tried and done without where the kernel refuses.
 *
 * A path instead of a name ("/dev/tap7") is the character device of a macvtap.
 *
 * The device may be moved to another network namespace and keeps working. When
 * it is deleted, or its namespace ends, its file reports EBADFD or EFAULT for
 * ever. A device of our own is not brought back then: by its name, somebody
 * else's could be meant. A borrowed one is taken again when it is there again.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "nio/nio.h"
#include "nio/sock.h"
#include "nio/vnet.h"

/* Kernel 6.2; Debian 12's headers are older. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

/* A turn ends after this many bytes, so that other links get theirs. */
#define TURN_BYTES (512 * 1024)

struct nio_tap {
	struct nio nio;
	struct vnet_support support;
	bool borrowed;
};

static struct nio_tap *to_tap(struct nio *nio)
{
	return container_of(nio, struct nio_tap, nio);
}

static bool device_is_gone(int error)
{
	return error == EBADFD || error == EFAULT || error == ENODEV;
}

static int tap_recv(struct nio *nio, struct batch *batch)
{
	struct nio_tap *tap = to_tap(nio);
	uint32_t bytes = 0;

	for (unsigned slot = 0; slot < BATCH_SLOTS && bytes < TURN_BYTES; slot++) {
		struct virtio_net_hdr vnet = { 0 };
		uint8_t *data = batch_slot(batch, slot);
		struct iovec piece[2] = { { &vnet, sizeof(vnet) }, { data, FRAME_MAX } };
		size_t skip = tap->support.header ? 0 : 1;
		ssize_t got = readv(nio->fd, piece + skip, (int)(2 - skip));

		if (got < 0) {
			if (device_is_gone(errno))
				return -errno;
			if (errno != EAGAIN)
				nio->counters.errors++;
			return 0;
		}
		if (!skip)
			got -= (ssize_t)sizeof(vnet);
		if (got > 0) {
			batch_add(batch, data, (uint32_t)got)->vnet = vnet;
			bytes += (uint32_t)got;
		}
	}
	return 0;
}

static int write_out(const struct nio_tap *tap, struct coalesced *out)
{
	struct iovec piece[2 + COALESCE_MAX];
	int count = 0;

	if (tap->support.header)
		piece[count++] = (struct iovec){ &out->vnet, sizeof(out->vnet) };
	memcpy(piece + count, out->piece, out->pieces * sizeof(*piece));
	count += (int)out->pieces;
	return writev(tap->nio.fd, piece, count) < 0 ? errno : 0;
}

static void tap_send(struct nio *nio, struct batch *batch)
{
	struct nio_tap *tap = to_tap(nio);
	struct coalesced out;

	for (unsigned i = 0; i < batch->count;) {
		unsigned taken = 1;

		if (batch->frame[i].drop == FRAME_KEEP) {
			int error;

			taken = vnet_gather(batch, i, &tap->support, &out);
			error = write_out(tap, &out);
			for (unsigned k = i; error && k < i + taken; k++) {
				struct frame *frame = &batch->frame[k];

				frame->drop = device_is_gone(error) ? DROP_DOWN :
					      error == EINVAL       ? DROP_RUNT :
								      sock_drop_reason(error);
			}
		}
		i += taken;
	}
}

static void tap_close(struct nio *nio)
{
	close(nio->fd);
	free(to_tap(nio));
}

/* Asks for as much offload as this kernel gives. */
static void negotiate_offload(int fd, struct vnet_support *support)
{
	const unsigned basic = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

	support->tcp = support->udp = false;
	if (!support->header)
		return;
	support->udp = !ioctl(fd, TUNSETOFFLOAD, basic | TUN_F_USO4 | TUN_F_USO6);
	support->tcp = support->udp || !ioctl(fd, TUNSETOFFLOAD, basic);
}

static int set_interface(int fd, struct ifreq *request, short extra_flags)
{
	request->ifr_flags = (short)(IFF_TAP | IFF_NO_PI | extra_flags);
	return ioctl(fd, TUNSETIFF, request);
}

/* Attaches to @device, or makes it; its real name goes to @name. */
static int attach(const char *device, char name[IFNAMSIZ], struct vnet_support *support,
		  struct err *err)
{
	const char *path = *device == '/' ? device : "/dev/net/tun";
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq request = { 0 };
	int result;

	if (fd < 0)
		return err_sys(err, errno, "%s", path);
	if (path != device)
		strcpy(request.ifr_name, device);
	support->header = nio_offload && set_interface(fd, &request, IFF_VNET_HDR) == 0;
	if (!support->header && set_interface(fd, &request, 0) < 0)
		return err_sys(err, errno, "TUNSETIFF");
	negotiate_offload(fd, support);
	strcpy(name, path == device ? "" : request.ifr_name);
	result = fd;
	fd = -1;
	return result;
}

static int tap_revive(struct nio *nio, struct err *err)
{
	struct nio_tap *tap = to_tap(nio);
	char name[IFNAMSIZ];
	int fd;

	if (!tap->borrowed || !if_nametoindex(nio->desc))
		return err_set(err, ENODEV, "tap %s is gone", nio->desc);
	fd = attach(nio->desc, name, &tap->support, err);
	if (fd < 0)
		return fd;
	close(nio->fd);
	nio->fd = fd;
	return 0;
}

static const struct nio_ops tap_ops = {
	.kind = "tap",
	.recv = tap_recv,
	.send = tap_send,
	.revive = tap_revive,
	.close = tap_close,
};

/* nio_tap_open() - make a TAP device, or use one that is there
 * @device: its name, perhaps with a %d for the kernel to fill in, or the path of
 *          a macvtap's character device
 *
 * Return: the NIO, or NULL with @err set.
 */
struct nio *nio_tap_open(const char *device, struct err *err)
{
	char name[IFNAMSIZ] = "";
	struct nio_tap *tap;

	if (*device != '/' && !ifname_fits(device)) {
		err_set(err, EINVAL, "tap: '%s' is too long for an interface name", device);
		return NULL;
	}
	tap = calloc(1, sizeof(*tap));
	if (!tap) {
		err_sys(err, ENOMEM, "tap");
		return NULL;
	}
	tap->borrowed = *device == '/' || if_nametoindex(device);
	tap->nio.ops = &tap_ops;
	tap->nio.fd = attach(device, name, &tap->support, err);
	if (tap->nio.fd < 0) {
		err_wrap(err, "tap %s", device);
		free(tap);
		return NULL;
	}
	tap->nio.takes_gso = tap->support.tcp;
	tap->nio.desc = strdup(*name ? name : device);
	if (!tap->nio.desc) {
		err_sys(err, ENOMEM, "tap");
		tap_close(&tap->nio);
		return NULL;
	}
	return &tap->nio;
}
