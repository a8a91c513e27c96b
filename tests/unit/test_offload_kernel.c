/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pkt/offload against the kernel: what it makes of a super-frame is what we make of it
 *
 *	write -> tap "in" -> bridge -> tap "out", without offloads -> read
 *
 * in a network namespace of its own. Skipped where that is not allowed.
 */
#include <config.h>

#include "pkt/offload.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "packets.h"

#define BRIDGE "oracle"
#define DEADLINE_MS 5000
#define MAX_FRAMES 64
#define SEGMENT 1000

static int in = -1, out = -1;
static const char *skip_reason;

static uint8_t bytes[PACKET_MAX], data[PACKET_MAX];
static uint8_t ours[PACKET_MAX], theirs[PACKET_MAX];
static uint8_t wire[MAX_FRAMES][2048];

static int bring_up(int control, const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_UP };

	strcpy(request.ifr_name, name);
	return ioctl(control, SIOCSIFFLAGS, &request);
}

static int open_tap(int control, const char *name)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	struct ifreq port = { .ifr_name = BRIDGE };

	if (fd < 0)
		return -1;
	strcpy(request.ifr_name, name);
	if (ioctl(fd, TUNSETIFF, &request))
		return -1;
	port.ifr_ifindex = (int)if_nametoindex(name);
	if (ioctl(control, SIOCBRADDIF, &port) || bring_up(control, name))
		return -1;
	return fd;
}

static int set_up(void **state)
{
	unsigned short seed[3] = { 1, 2, 3 };
	int control;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)nrand48(seed);
	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
		skip_reason = "no network namespace of its own";
		return 0;
	}
	control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (ioctl(control, SIOCBRADDBR, BRIDGE) || bring_up(control, BRIDGE))
		skip_reason = "no bridge";
	else if ((in = open_tap(control, "in")) < 0 || (out = open_tap(control, "out")) < 0)
		skip_reason = "no TAP interfaces";
	close(control);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(in);
	close(out);
	return 0;
}

static void need_kernel(void)
{
	if (!skip_reason)
		return;
	print_message("skipped: %s\n", skip_reason);
	skip();
}

/* One frame of ours; the kernel's own chatter on the link is passed over. */
static uint32_t read_frame(uint8_t *frame)
{
	struct virtio_net_hdr vnet;
	struct iovec parts[2] = { { &vnet, sizeof(vnet) }, { frame, PACKET_MAX } };
	struct pollfd wait = { .fd = out, .events = POLLIN };

	for (;;) {
		ssize_t len = readv(out, parts, 2);

		if (len > (ssize_t)sizeof(vnet) && !memcmp(frame + 6, "\x02\0\0\0\0\x02", 6)) {
			assert_int_equal(vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
			assert_int_equal(vnet.gso_type, VIRTIO_NET_HDR_GSO_NONE);
			return (uint32_t)len - (uint32_t)sizeof(vnet);
		}
		if (len < 0 && errno == EAGAIN)
			assert_int_equal(poll(&wait, 1, DEADLINE_MS), 1);
		else
			assert_true(len > 0);
	}
}

/* Return: false if this kernel does not know the type of super-frame. */
static bool write_frame(const struct virtio_net_hdr *vnet, const struct iovec *pieces,
			unsigned count)
{
	struct virtio_net_hdr copy = *vnet;
	struct iovec parts[2 + COALESCE_MAX] = { { &copy, sizeof(copy) } };

	memcpy(parts + 1, pieces, count * sizeof(*pieces));
	if (writev(in, parts, (int)count + 1) > 0)
		return true;
	assert_int_equal(errno, EINVAL);
	assert_int_equal(vnet->gso_type, VIRTIO_NET_HDR_GSO_UDP_L4);
	return false;
}

/* The super-frame that coalescing makes of the frames that @packet would be sent in. */
static unsigned make_run(const struct shape *shape, const struct packet *packet,
			 struct coalesced *run)
{
	unsigned count = (packet->payload_len + SEGMENT - 1) / SEGMENT;
	struct frame frames[MAX_FRAMES];

	for (unsigned i = 0; i < count; i++) {
		frames[i] = (struct frame){ .data = wire[i] };
		frames[i].len = build_segment(wire[i], shape, packet, SEGMENT, i);
	}
	coalesce_run(frames, count, true, run);
	assert_int_equal(run->frames, count);
	return count;
}

static void kernel_undoes_coalescing(void **state)
{
	static const uint32_t payload_lens[] = { 2000, 2500, 44001 };
	struct coalesced run;

	(void)state;
	need_kernel();
	for (unsigned i = 0; i < shape_count * 3; i++) {
		const struct shape *shape = &shapes[i / 3];
		const struct packet packet = { 0xfffe, 0xfffffe00, ACK | PSH, bytes,
					       payload_lens[i % 3] };
		unsigned count = make_run(shape, &packet, &run);

		if (!write_frame(&run.vnet, run.piece, run.pieces))
			continue;
		for (unsigned j = 0; j < count; j++) {
			uint32_t want = build_segment(wire[j], shape, &packet, SEGMENT, j);

			assert_int_equal(read_frame(theirs), want);
			assert_memory_equal(theirs, wire[j], want);
		}
	}
}

/* With all flags, also those that are never coalesced. */
static void kernel_splits_as_we_do(void **state)
{
	static const uint8_t flags[] = {
		ACK | PSH | FIN, ACK | CWR | ECE, ACK | URG | PSH, SYN | CWR | FIN, RST | ACK,
	};
	struct coalesced run;

	(void)state;
	need_kernel();
	for (unsigned i = 0; i < shape_count * sizeof(flags); i++) {
		const struct shape *shape = &shapes[i / sizeof(flags)];
		struct packet packet = { 9, 0x12345678, ACK, bytes, 3500 };
		struct frame super = { .data = data }, frame;
		struct offload_split split;
		struct iovec piece;

		make_run(shape, &packet, &run);
		for (unsigned j = 0; j < run.pieces; j++) {
			memcpy(data + super.len, run.piece[j].iov_base, run.piece[j].iov_len);
			super.len += (uint32_t)run.piece[j].iov_len;
		}
		super.vnet = run.vnet;
		if (!shape->udp)
			data[shape_l4(shape) + 13] = flags[i % sizeof(flags)];
		piece = (struct iovec){ data, super.len };
		if (!write_frame(&super.vnet, &piece, 1))
			continue;
		assert_true(offload_split_start(&split, &super));
		while (offload_split_next(&split, ours, PACKET_MAX, &frame)) {
			assert_int_equal(read_frame(theirs), frame.len);
			assert_memory_equal(theirs, ours, frame.len);
		}
	}
}

static void kernel_completes_as_we_do(void **state)
{
	const struct packet packet = { 9, 10, ACK | PSH, bytes, 999 };

	(void)state;
	need_kernel();
	for (unsigned i = 0; i < shape_count; i++) {
		const struct shape *shape = &shapes[i];
		struct frame frame = { .data = data, .len = build(data, shape, &packet) };
		struct iovec piece = { data, frame.len };
		uint16_t partial = naive_pseudo(shape, data, frame.len);

		data[shape_checksum(shape)] = (uint8_t)(partial >> 8);
		data[shape_checksum(shape) + 1] = (uint8_t)partial;
		frame.vnet = (struct virtio_net_hdr){
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.csum_start = (uint16_t)shape_l4(shape),
			.csum_offset = (uint16_t)(shape_checksum(shape) - shape_l4(shape)),
		};
		assert_true(write_frame(&frame.vnet, &piece, 1));
		assert_true(offload_complete(&frame));
		assert_int_equal(read_frame(theirs), frame.len);
		assert_memory_equal(theirs, data, frame.len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_undoes_coalescing),
		cmocka_unit_test(kernel_splits_as_we_do),
		cmocka_unit_test(kernel_completes_as_we_do),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
