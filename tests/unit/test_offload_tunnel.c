/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pkt/split on super-frames of tunnels: each segment is the tunnel's packet around the
 * segment that the packet within would have given alone
 */
#include <config.h>

#include "pkt/offload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "packets.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SEGMENT 900
#define PAYLOAD 4001
#define ID 0xfffe

#define UDP 17
#define GRE 47
#define IPIP 4
#define IPV6 41

struct tunnel {
	const char *name;
	struct shape outer;
	uint8_t protocol;	/* of the outer packet */
	bool checksum;		/* of UDP or GRE */
	bool ethernet;		/* a frame is in it, not only a packet */
	uint8_t header[24];	/* between UDP or IP and the frame or packet */
	unsigned header_len;
};

static const struct tunnel tunnels[] = {
	{ "vxlan", { "", 4, true, 0, 0, 0 }, UDP, false, true, { 8, 0, 0, 0, 0, 0, 42 }, 8 },
	{ "vxlan checksum", { "", 4, true, 0, 0, 0 }, UDP, true, true, { 8 }, 8 },
	{ "vxlan vlan", { "", 4, true, 1, 0, 0 }, UDP, true, true, { 8 }, 8 },
	{ "vxlan options", { "", 4, true, 2, 12, 0 }, UDP, false, true, { 8 }, 8 },
	{ "vxlan6", { "", 6, true, 0, 0, 0 }, UDP, false, true, { 8 }, 8 },
	{ "vxlan6 checksum", { "", 6, true, 1, 8, 0 }, UDP, true, true, { 8 }, 8 },
	{ "geneve options", { "", 4, true, 0, 0, 0 }, UDP, true, true, { 4, 0, 0x65, 0x58 }, 24 },
	{ "fou", { "", 4, true, 0, 0, 0 }, UDP, true, false, { 0 }, 0 },
	{ "gretap", { "", 4, true, 0, 0, 0 }, GRE, false, true, { 0, 0, 0x65, 0x58 }, 4 },
	{ "gretap checksum", { "", 4, true, 1, 0, 0 }, GRE, true, true, { 0x80, 0, 0x65, 0x58 }, 8 },
	{ "gre6 key", { "", 6, true, 0, 0, 0 }, GRE, false, false, { 0x20, 0, 8, 0, 1, 2, 3, 4 }, 8 },
	{ "ipip", { "", 4, true, 0, 0, 0 }, IPIP, false, false, { 0 }, 0 },
	{ "6in4", { "", 4, true, 0, 0, 0 }, IPV6, false, false, { 0 }, 0 },
	{ "ip6tnl", { "", 6, true, 0, 8, 0 }, IPV6, false, false, { 0 }, 0 },
};

static uint8_t bytes[PACKET_MAX], body[PACKET_MAX], inner[PACKET_MAX];
static uint8_t super_data[PACKET_MAX], want[PACKET_MAX], got[PACKET_MAX];

static int fill_bytes(void **state)
{
	unsigned short seed[3] = { 4, 5, 6 };

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)nrand48(seed);
	return 0;
}

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static unsigned inner_start(const struct tunnel *tunnel, const struct shape *shape)
{
	unsigned before = shape_end(&tunnel->outer) + tunnel->header_len;

	before -= tunnel->protocol == UDP ? 0 : 8;
	return before - (tunnel->ethernet ? 0 : shape_l3(shape));
}

/* A UDP packet becomes one of another protocol: the UDP header goes. */
static uint32_t remove_udp(uint8_t *frame, const struct tunnel *tunnel, uint32_t len)
{
	const struct shape *outer = &tunnel->outer;
	uint8_t *ip = frame + shape_l3(outer), *l4 = frame + shape_l4(outer);
	uint32_t rest = len - shape_end(outer);

	memmove(l4, l4 + 8, rest);
	if (outer->version == 4) {
		ip[9] = tunnel->protocol;
		put16(ip + 2, len - 8 - shape_l3(outer));
		put16(ip + 10, 0);
		put16(ip + 10, 0xffffU - naive_sum(ip, 20 + outer->options, 0));
	} else {
		*(outer->options ? l4 - 8 : ip + 6) = tunnel->protocol;
		put16(ip + 4, len - 8 - shape_l3(outer) - 40);
	}
	if (tunnel->checksum)
		put16(l4 + 4, 0xffffU - naive_sum(l4, rest, 0));
	return len - 8;
}

/* The frame @inner in the tunnel's packet number @id. */
static uint32_t wrap(uint8_t *frame, const struct tunnel *tunnel, const struct shape *shape,
		     uint32_t inner_len, uint16_t id)
{
	unsigned skip = tunnel->ethernet ? 0 : shape_l3(shape);
	struct packet packet = { .id = id, .payload = body };
	uint32_t len;

	memcpy(body, tunnel->header, tunnel->header_len);
	memcpy(body + tunnel->header_len, inner + skip, inner_len - skip);
	packet.payload_len = tunnel->header_len + inner_len - skip;
	len = build(frame, &tunnel->outer, &packet);
	if (tunnel->protocol != UDP)
		return remove_udp(frame, tunnel, len);
	if (!tunnel->checksum)
		put16(frame + shape_checksum(&tunnel->outer), 0);
	return len;
}

static uint8_t gso_type(const struct shape *shape)
{
	if (shape->udp)
		return VIRTIO_NET_HDR_GSO_UDP_L4;
	return shape->version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
}

static struct frame make_super(const struct tunnel *tunnel, const struct shape *shape,
			       const struct packet *packet)
{
	struct frame super = { .data = super_data };
	uint32_t len = build(inner, shape, packet);
	unsigned start = inner_start(tunnel, shape);

	put16(inner + shape_checksum(shape), naive_pseudo(shape, inner, len));
	super.len = wrap(super_data, tunnel, shape, len, ID);
	super.vnet = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = gso_type(shape),
		.gso_size = SEGMENT,
		.csum_start = (uint16_t)(start + shape_l4(shape)),
		.csum_offset = (uint16_t)(shape_checksum(shape) - shape_l4(shape)),
	};
	return super;
}

/* Whether such a packet can be in such a tunnel: its protocol number says which. */
static bool fits(const struct tunnel *tunnel, const struct shape *shape)
{
	if (tunnel->protocol == IPIP)
		return shape->version == 4;
	return tunnel->protocol != IPV6 || shape->version == 6;
}

static void check_tunnel(const struct tunnel *tunnel, const struct shape *shape)
{
	const struct packet packet = { 0xffff, 0xfffffe00, ACK | PSH | FIN | CWR, bytes, PAYLOAD };
	struct frame super = make_super(tunnel, shape, &packet), frame;
	struct offload_split split;
	uint64_t said, total = 0;
	unsigned count = offload_segments(&super, &said), index = 0;

	assert_int_equal(count, (PAYLOAD + SEGMENT - 1) / SEGMENT);
	assert_false(offload_may_pass(&super));
	assert_true(offload_split_start(&split, &super));
	for (; offload_split_next(&split, got, PACKET_MAX, &frame); index++) {
		uint32_t len = build_segment(inner, shape, &packet, SEGMENT, index);

		len = wrap(want, tunnel, shape, len, (uint16_t)(ID + index));
		assert_int_equal(frame.len, len);
		assert_memory_equal(frame.data, want, len);
		total += len;
	}
	assert_true(offload_split_done(&split));
	assert_int_equal(index, count);
	assert_true(total == said);
}

static void all_packets_in_all_tunnels(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(tunnels); i++) {
		for (unsigned j = 0; j < shape_count; j++) {
			if (fits(&tunnels[i], &shapes[j]))
				check_tunnel(&tunnels[i], &shapes[j]);
		}
	}
}

/* One thing is wrong with it, and it is not taken apart. */
static void what_is_not_found_is_refused(void **state)
{
	const struct packet packet = { 1, 1, ACK, bytes, PAYLOAD };
	const struct tunnel *tunnel = &tunnels[0];
	const struct shape *shape = &shapes[0];
	unsigned ip = inner_start(tunnel, shape) + shape_l3(shape);
	struct offload_split split;
	struct frame super;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		super = make_super(tunnel, shape, &packet);
		if (i == 0)
			super.vnet.csum_start += 2;
		else if (i == 1)
			super.vnet.csum_offset = 6;
		else if (i == 2)
			super.vnet.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
		else if (i == 3)
			super_data[ip + 3] ^= 1;	/* the inner length */
		else if (i == 4)
			super_data[ip + 9] = UDP;	/* the inner protocol */
		else
			super_data[shape_l3(&tunnel->outer) + 7] = 1;	/* the outer offset */
		assert_false(offload_split_start(&split, &super));
	}
}

static void plain_frames_may_pass(void **state)
{
	struct packet packet = { 1, 1, ACK, bytes, 100 };
	struct frame frame = { .data = got };

	(void)state;
	frame.len = build(got, &shapes[0], &packet);
	assert_true(offload_may_pass(&frame));
	frame.vnet = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16,
	};
	assert_true(offload_may_pass(&frame));
	frame.vnet.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	frame.vnet.gso_size = 50;
	assert_true(offload_may_pass(&frame));
	frame.vnet = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 8,
	};
	assert_false(offload_may_pass(&frame));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_packets_in_all_tunnels),
		cmocka_unit_test(what_is_not_found_is_refused),
		cmocka_unit_test(plain_frames_may_pass),
	};

	return cmocka_run_group_tests(tests, fill_bytes, NULL);
}
