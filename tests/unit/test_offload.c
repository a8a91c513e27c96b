/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pkt/offload: segmentation and coalescing against frames built from nothing,
 * and the law that the two undo each other
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
#define MANY 200	/* frames in a stream */
#define FILLER 0xee

static uint8_t bytes[PACKET_MAX];	/* payload */
static uint8_t super_data[PACKET_MAX];
static uint8_t want[PACKET_MAX];
static uint8_t got[PACKET_MAX + 1];

static uint8_t stream_data[MANY][2048];
static struct frame stream[MANY];

static int fill_bytes(void **state)
{
	unsigned short seed[3] = { 1, 2, 3 };

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)nrand48(seed);
	return 0;
}

static const struct shape *find_shape(const char *name)
{
	const struct shape *shape = shapes;

	while (strcmp(shape->name, name) != 0)
		shape++;
	return shape;
}

static uint8_t gso_type(const struct shape *shape)
{
	if (shape->udp)
		return VIRTIO_NET_HDR_GSO_UDP_L4;
	return shape->version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
}

static void put_partial_checksum(const struct shape *shape, uint8_t *data, uint32_t len)
{
	uint16_t sum = naive_pseudo(shape, data, len);

	data[shape_checksum(shape)] = (uint8_t)(sum >> 8);
	data[shape_checksum(shape) + 1] = (uint8_t)sum;
}

/* A super-frame like the kernel's, in super_data. */
static struct frame make_super(const struct shape *shape, const struct packet *packet,
			       uint16_t size)
{
	struct frame super = { .data = super_data };

	super.len = build(super_data, shape, packet);
	put_partial_checksum(shape, super_data, super.len);
	super.vnet = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = gso_type(shape),
		.gso_size = size,
		.hdr_len = (uint16_t)shape_end(shape),
		.csum_start = (uint16_t)shape_l4(shape),
		.csum_offset = (uint16_t)(shape_checksum(shape) - shape_l4(shape)),
	};
	return super;
}

static bool is_zero(const struct virtio_net_hdr *vnet)
{
	static const struct virtio_net_hdr zero;

	return !memcmp(vnet, &zero, sizeof(zero));
}

/* Segmentation */

static void check_split(const struct shape *shape, const struct packet *packet, uint16_t size,
			struct frame *super)
{
	struct offload_split split;
	struct frame frame;
	uint64_t bytes_said, total = 0;
	unsigned said = offload_segments(super, &bytes_said), index = 0;

	assert_true(offload_split_start(&split, super));
	assert_false(offload_split_done(&split));
	while (!offload_split_done(&split)) {
		uint32_t len = build_segment(want, shape, packet, size, index++);

		got[len] = FILLER;
		assert_false(offload_split_next(&split, got, len - 1, &frame));
		assert_true(offload_split_next(&split, got, len, &frame));
		assert_int_equal(frame.len, len);
		assert_ptr_equal(frame.data, got);
		assert_int_equal(frame.drop, FRAME_KEEP);
		assert_true(is_zero(&frame.vnet));
		assert_memory_equal(got, want, len);
		assert_int_equal(got[len], FILLER);
		total += len;
	}
	assert_false(offload_split_next(&split, got, PACKET_MAX, &frame));
	assert_int_equal(index, said);
	assert_true(total == bytes_said);
}

static void splits_like_frames_built_one_by_one(void **state)
{
	static const struct {
		uint32_t payload_len;
		uint16_t size;
		uint16_t id;
		uint32_t seq;
		uint8_t flags;
	} cases[] = {
		{ 2896, 1448, 7, 1000, ACK },
		{ 2897, 1448, 7, 1000, ACK | PSH },
		{ 60000, 1448, 0xfff0, 0xffffff00, ACK | PSH | FIN },
		{ 65000, 65000, 1, 1, ACK | PSH },
		{ 3000, 1000, 7, 5, ACK | CWR | ECE | PSH },
		{ 3000, 1000, 7, 5, ACK | URG | PSH },
		{ 3000, 1000, 7, 5, SYN | RST | ACK },
		{ 50, 1, 9, 9, ACK },
		{ 500, 536, 9, 9, ACK | FIN | CWR },
		{ 0, 536, 9, 9, ACK | FIN | PSH },
	};

	(void)state;
	for (unsigned i = 0; i < shape_count; i++) {
		for (size_t j = 0; j < COUNT(cases); j++) {
			const struct packet packet = { cases[j].id, cases[j].seq, cases[j].flags,
						       bytes, cases[j].payload_len };
			struct frame super = make_super(&shapes[i], &packet, cases[j].size);

			check_split(&shapes[i], &packet, cases[j].size, &super);
		}
	}
}

/* What stands in front of the packet is repeated. */
static void splits_what_has_labels(void **state)
{
	const struct packet packet = { 0xfffe, 0xffffff00, ACK | PSH, bytes, 5000 };

	(void)state;
	for (unsigned i = 0; i < shape_count; i++) {
		for (unsigned labels = 1; labels <= 3; labels++) {
			struct frame super = make_super(&shapes[i], &packet, 1200), frame;
			struct offload_split split;
			uint64_t said, total = 0;

			super.len = push_labels(super_data, &shapes[i], super.len, labels);
			super.vnet.csum_start += 4 * labels;
			super.vnet.hdr_len += 4 * labels;
			assert_int_equal(offload_segments(&super, &said), 5);
			assert_false(offload_may_pass(&super));
			assert_true(offload_split_start(&split, &super));
			for (unsigned index = 0; index < 5; index++) {
				uint32_t len = build_segment(want, &shapes[i], &packet, 1200,
							     index);

				len = push_labels(want, &shapes[i], len, labels);
				assert_true(offload_split_next(&split, got, len, &frame));
				assert_int_equal(frame.len, len);
				assert_memory_equal(got, want, len);
				total += len;
			}
			assert_true(offload_split_done(&split));
			assert_true(total == said);
		}
	}
}

/* Neither the header length nor the fields that segmentation rewrites are believed. */
static void split_needs_no_hints(void **state)
{
	const struct packet packet = { 7, 1000, ACK | PSH, bytes, 5000 };

	(void)state;
	for (unsigned i = 0; i < shape_count; i++) {
		const struct shape *shape = &shapes[i];
		struct frame super = make_super(shape, &packet, 1200);

		super.vnet.hdr_len = (uint16_t)(i * 1000);
		if (!shape->udp)
			super.vnet.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
		check_split(shape, &packet, 1200, &super);

		super.vnet.flags = 0;
		super.vnet.csum_start = 9;
		memset(super_data + shape_checksum(shape), FILLER, 2);
		memset(super_data + shape_l3(shape) + (shape->version == 4 ? 2 : 4), FILLER, 2);
		check_split(shape, &packet, 1200, &super);
	}
}

static void split_refuses_nonsense(void **state)
{
	static const struct {
		const char *shape;
		struct virtio_net_hdr vnet;
		uint32_t len;		/* 0: as built */
	} cases[] = {
		{ "tcp4", { 0 }, 0 },
		{ "tcp4", { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4 }, 0 },
		{ "tcp4", { .gso_type = VIRTIO_NET_HDR_GSO_TCPV6, .gso_size = 100 }, 0 },
		{ "tcp6", { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 100 }, 0 },
		{ "tcp4", { .gso_type = VIRTIO_NET_HDR_GSO_UDP_L4, .gso_size = 100 }, 0 },
		{ "udp4", { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 100 }, 0 },
		{ "udp4", { .gso_type = VIRTIO_NET_HDR_GSO_UDP, .gso_size = 100 }, 0 },
		{ "udp4", { .gso_type = 99, .gso_size = 100 }, 0 },
		{ "tcp4", { .gso_type = VIRTIO_NET_HDR_GSO_ECN, .gso_size = 100 }, 0 },
		{ "tcp4", { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 100 }, 53 },
		{ "tcp4", { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 100 }, 13 },
		/* the inner packet of a tunnel */
		{ "udp4", { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 84,
			    .csum_offset = 6, .gso_type = VIRTIO_NET_HDR_GSO_UDP_L4,
			    .gso_size = 100 }, 0 },
		{ "tcp4", { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34,
			    .csum_offset = 6, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
			    .gso_size = 100 }, 0 },
		{ "tcp4", { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 36,
			    .csum_offset = 14, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
			    .gso_size = 100 }, 0 },
		/* one segment that exceeds an IP packet */
		{ "tcp4", { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 65535 },
		  14 + 65536 },
	};
	const struct packet packet = { 7, 1000, ACK, bytes, 1000 };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct frame super = make_super(find_shape(cases[i].shape), &packet, 100);
		struct offload_split split;
		uint64_t total;

		super.vnet = cases[i].vnet;
		super.len = cases[i].len ? cases[i].len : super.len;
		if (offload_split_start(&split, &super))
			fail_msg("case %zu was accepted", i);
		assert_int_equal(offload_segments(&super, &total), 1);
		assert_true(total == super.len);
	}
}

/* Completion of checksums */

static void completes_what_a_device_would(void **state)
{
	(void)state;
	for (unsigned i = 0; i < shape_count; i++) {
		for (uint32_t payload_len = 0; payload_len < 9; payload_len++) {
			const struct packet packet = { 7, 8, ACK, bytes, payload_len };
			struct frame frame = make_super(&shapes[i], &packet, 0);
			uint32_t len = build(want, &shapes[i], &packet);

			frame.vnet.gso_type = VIRTIO_NET_HDR_GSO_NONE;
			frame.vnet.hdr_len = 0;
			assert_false(offload_is_wire(&frame));
			assert_true(offload_complete(&frame));
			assert_true(is_zero(&frame.vnet));
			assert_int_equal(frame.len, len);
			assert_memory_equal(frame.data, want, len);
		}
	}
}

static void zero_becomes_ffff_in_udp_only(void **state)
{
	static const struct {
		uint16_t offset;
		const char *checksum;
	} cases[] = { { 6, "\xff\xff" }, { 16, "\0\0" } };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t data[40] = { 0 };	/* a sum of 0xffff, see below */
		struct frame frame = {
			.data = data, .len = sizeof(data),
			.vnet = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 14,
				  .csum_offset = cases[i].offset },
		};

		memset(data + 36, 0xff, 2);
		assert_true(offload_complete(&frame));
		assert_memory_equal(data + 14 + cases[i].offset, cases[i].checksum, 2);
	}
}

static void sctp_gets_its_crc(void **state)
{
	uint8_t data[34 + 32] = { 0 };
	struct frame frame = {
		.data = data, .len = sizeof(data),
		.vnet = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34,
			  .csum_offset = 8 },
	};

	(void)state;
	memset(data + 42, FILLER, 4);
	assert_true(offload_is_sctp(&frame));
	assert_true(offload_complete(&frame));
	assert_false(offload_is_sctp(&frame));
	/* RFC 3720, B.4: 32 bytes of zeros */
	assert_memory_equal(data + 42, "\xaa\x36\x91\x8a", 4);
}

static void complete_stays_within_the_frame(void **state)
{
	static const struct {
		uint16_t start, offset;
		uint32_t len;
		bool want;
	} cases[] = {
		{ 34, 16, 52, true }, { 34, 16, 51, false }, { 50, 0, 52, true },
		{ 51, 0, 52, false }, { 0xffff, 0xffff, 60, false }, { 60, 0, 60, false },
		{ 0, 0, 2, true }, { 0, 0, 1, false }, { 0, 0, 0, false },
		{ 34, 8, 46, true }, { 34, 8, 45, false }, { 0xfffe, 2, 2, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t *data = malloc(cases[i].len + !cases[i].len);
		struct frame frame = {
			.data = data, .len = cases[i].len,
			.vnet = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				  .csum_start = cases[i].start,
				  .csum_offset = cases[i].offset },
		};
		struct frame before = frame;

		assert_non_null(data);
		memset(data, FILLER, cases[i].len);
		memset(want, FILLER, cases[i].len);
		assert_int_equal(offload_complete(&frame), cases[i].want);
		if (!cases[i].want) {
			assert_memory_equal(&frame, &before, sizeof(frame));
			assert_memory_equal(data, want, cases[i].len);
		}
		free(data);
	}
}

static void complete_leaves_the_others(void **state)
{
	const struct packet packet = { 7, 8, ACK, bytes, 3000 };
	const struct shape *shape = find_shape("tcp4");
	struct frame super = make_super(shape, &packet, 1000);
	struct frame wire = { .data = want, .len = build(want, shape, &packet) };

	(void)state;
	memcpy(got, super_data, super.len);
	assert_false(offload_complete(&super));
	assert_memory_equal(super_data, got, super.len);
	assert_int_equal(super.vnet.gso_size, 1000);
	assert_true(offload_complete(&wire));
	build(got, shape, &packet);
	assert_memory_equal(want, got, wire.len);
}

/* Coalescing */

/* The segments of a super-frame, as @count frames of stream. Return: @count. */
static unsigned make_stream(const struct shape *shape, const struct packet *packet,
			    uint32_t size)
{
	unsigned count = (packet->payload_len + size - 1) / size;

	for (unsigned i = 0; i < count; i++) {
		stream[i] = (struct frame){ .data = stream_data[i] };
		stream[i].len = build_segment(stream_data[i], shape, packet, size, i);
	}
	return count;
}

static uint32_t gather(const struct coalesced *run, uint8_t *out)
{
	uint32_t len = 0;

	for (unsigned i = 0; i < run->pieces; i++) {
		memcpy(out + len, run->piece[i].iov_base, run->piece[i].iov_len);
		len += (uint32_t)run->piece[i].iov_len;
	}
	return len;
}

static void assert_alone(const struct frame *frame, const struct coalesced *run)
{
	assert_int_equal(run->frames, 1);
	assert_int_equal(run->pieces, 1);
	assert_int_equal(run->len, frame->len);
	assert_ptr_equal(run->piece[0].iov_base, frame->data);
	assert_int_equal(run->piece[0].iov_len, frame->len);
	assert_true(is_zero(&run->vnet));
}

static void coalesces_to_what_the_kernel_would_have_sent(void **state)
{
	static const struct {
		uint32_t payload_len, size;
		uint8_t flags;
	} cases[] = {
		{ 2000, 1000, ACK }, { 2001, 1000, ACK }, { 1999, 1000, ACK | PSH },
		{ 60000, 1448, ACK | PSH | FIN }, { 200, 100, ACK | ECE }, { 64, 1, ACK },
		{ 101, 100, ACK | FIN },
	};

	(void)state;
	for (unsigned i = 0; i < shape_count; i++) {
		for (size_t j = 0; j < COUNT(cases); j++) {
			const struct packet packet = { 0xfffe, 0xffffff00, cases[j].flags, bytes,
						       cases[j].payload_len };
			unsigned count = make_stream(&shapes[i], &packet, cases[j].size);
			struct frame super = make_super(&shapes[i], &packet,
							(uint16_t)cases[j].size);
			struct coalesced run;

			coalesce_run(stream, count, true, &run);
			assert_int_equal(run.frames, count);
			assert_int_equal(run.pieces, count + 1);
			assert_int_equal(run.len, super.len);
			assert_int_equal(gather(&run, got), super.len);
			assert_memory_equal(got, super_data, super.len);
			assert_memory_equal(&run.vnet, &super.vnet, sizeof(run.vnet));
			assert_ptr_equal(run.piece[0].iov_base, run.header);
			assert_ptr_equal(run.piece[1].iov_base,
					 stream_data[0] + shape_end(&shapes[i]));
		}
	}
}

static void udp_only_on_request(void **state)
{
	const struct packet packet = { 7, 8, ACK, bytes, 3000 };
	struct coalesced run;

	(void)state;
	for (unsigned i = 0; i < shape_count; i++) {
		unsigned count = make_stream(&shapes[i], &packet, 1000);

		coalesce_run(stream, count, false, &run);
		assert_int_equal(run.frames, shapes[i].udp ? 1 : count);
	}
}

/* Three frames of which the one at @index is changed in one place; how many are in the
 * first run then?
 */
static void what_differs_is_not_merged(void **state)
{
	static const struct {
		const char *what, *shape;
		unsigned index, at;
		uint8_t flip;
		bool stays_wrong;	/* do not correct the checksums after the change */
		unsigned frames;
	} cases[] = {
		{ "nothing", "tcp4", 1, 0, 0, false, 3 },
		{ "destination address", "tcp4", 1, 5, 1, false, 1 },
		{ "source address", "tcp4", 2, 11, 1, false, 2 },
		{ "VLAN", "tcp4 vlan", 1, 15, 1, false, 1 },
		{ "outer VLAN's priority", "tcp4 qinq", 1, 14, 0x20, false, 1 },
		{ "TOS", "tcp4", 1, 15, 1, false, 1 },
		{ "IP length", "tcp4", 1, 17, 1, false, 1 },
		{ "IP length of the first", "tcp4", 0, 17, 1, false, 1 },
		{ "identification", "tcp4", 1, 19, 1, false, 1 },
		{ "identification of the third", "tcp4", 2, 18, 1, false, 2 },
		{ "DF", "tcp4", 1, 20, 0x40, false, 1 },
		{ "MF", "tcp4", 0, 20, 0x20, false, 1 },
		{ "fragment offset", "tcp4", 1, 21, 1, false, 1 },
		{ "TTL", "tcp4", 1, 22, 1, false, 1 },
		{ "IP checksum", "tcp4", 1, 24, 1, true, 1 },
		{ "IP checksum of the first", "tcp4", 0, 24, 1, true, 1 },
		{ "IP source", "tcp4", 1, 29, 1, false, 1 },
		{ "IP destination", "tcp4", 1, 33, 1, false, 1 },
		{ "IP options", "tcp4 all options", 1, 34 + 5, 1, false, 1 },
		{ "source port", "tcp4", 1, 35, 1, false, 1 },
		{ "destination port", "tcp4", 2, 37, 1, false, 2 },
		{ "sequence", "tcp4", 1, 41, 1, false, 1 },
		{ "acknowledgement", "tcp4", 1, 45, 1, false, 1 },
		{ "reserved bits", "tcp4", 1, 46, 1, false, 1 },
		{ "window", "tcp4", 1, 49, 1, false, 1 },
		{ "TCP checksum", "tcp4", 1, 50, 1, true, 1 },
		{ "TCP checksum of the first", "tcp4", 0, 51, 1, true, 1 },
		{ "TCP checksum of the third", "tcp4", 2, 51, 1, true, 2 },
		{ "payload", "tcp4", 1, 60, 1, true, 1 },
		{ "last byte of the payload", "tcp4", 1, 1053, 0x80, true, 1 },
		{ "urgent pointer", "tcp4", 1, 53, 1, false, 1 },
		{ "timestamp", "tcp4 timestamps", 1, 61, 1, false, 1 },
		{ "echoed timestamp", "tcp4 timestamps", 2, 65, 1, false, 2 },
		{ "FIN ends", "tcp4", 1, 47, FIN, false, 2 },
		{ "PSH ends", "tcp4", 1, 47, PSH, false, 2 },
		{ "PSH at once", "tcp4", 0, 47, PSH, false, 1 },
		{ "PSH in the third", "tcp4", 2, 47, PSH, false, 3 },
		{ "SYN", "tcp4", 1, 47, SYN, false, 1 },
		{ "RST", "tcp4", 1, 47, RST, false, 1 },
		{ "URG", "tcp4", 2, 47, URG, false, 2 },
		{ "no ACK", "tcp4", 1, 47, ACK, false, 1 },
		{ "no ACK in the first", "tcp4", 0, 47, ACK, false, 1 },
		{ "ECE", "tcp4", 1, 47, ECE, false, 1 },
		{ "CWR", "tcp4", 1, 47, CWR, false, 1 },
		{ "CWR in the first", "tcp4", 0, 47, CWR, false, 1 },
		{ "IPv6 traffic class", "tcp6", 1, 15, 0x10, false, 1 },
		{ "IPv6 flow label", "tcp6", 1, 17, 1, false, 1 },
		{ "IPv6 length", "tcp6", 1, 19, 1, false, 1 },
		{ "IPv6 hop limit", "tcp6", 2, 21, 1, false, 2 },
		{ "IPv6 source", "tcp6", 1, 37, 1, false, 1 },
		{ "IPv6 extension", "tcp6 extensions", 1, 57, 4, false, 1 },
		{ "UDP source port", "udp4", 1, 35, 1, false, 1 },
		{ "UDP length", "udp4", 1, 39, 1, false, 1 },
		{ "UDP checksum", "udp6", 1, 61, 1, true, 1 },
		{ "UDP identification", "udp4", 1, 19, 1, false, 1 },
		{ "UDP TOS", "udp4", 2, 15, 4, false, 2 },
	};
	const struct packet packet = { 0x0100, 0x01000000, ACK, bytes, 3000 };
	struct coalesced run;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct shape *shape = find_shape(cases[i].shape);
		struct frame *changed = &stream[cases[i].index];

		make_stream(shape, &packet, 1000);
		changed->data[cases[i].at] ^= cases[i].flip;
		if (!cases[i].stays_wrong)
			fix_checksums(shape, changed->data, changed->len);
		coalesce_run(stream, 3, true, &run);
		if (run.frames != cases[i].frames)
			fail_msg("%s: %u frames", cases[i].what, run.frames);
		if (run.frames == 1)
			assert_alone(stream, &run);
	}
}

/* 0 and 0xffff mean the same sum, but segmentation writes only one of the two. */
static void the_other_zero_is_not_merged(void **state)
{
	static const char *const names[] = { "tcp4", "tcp6", "udp4", "udp6" };
	struct coalesced run;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		const struct shape *shape = find_shape(names[i]);
		const struct packet packet = { 7, 8, ACK, bytes, 2000 };
		uint8_t *field = stream_data[1] + shape_checksum(shape);
		uint8_t *payload = stream_data[1] + shape_end(shape);
		uint8_t canonical = shape->udp ? 0xff : 0;

		make_stream(shape, &packet, 1000);
		memset(payload, 0, 2);
		fix_checksums(shape, stream_data[1], stream[1].len);
		memcpy(payload, field, 2);
		fix_checksums(shape, stream_data[1], stream[1].len);
		assert_int_equal(field[0], canonical);
		assert_int_equal(field[1], canonical);
		coalesce_run(stream, 2, true, &run);
		assert_int_equal(run.frames, 2);
		memset(field, ~canonical, 2);
		coalesce_run(stream, 2, true, &run);
		assert_int_equal(run.frames, 1);
	}
}

static void sizes_bound_a_run(void **state)
{
	static const struct {
		const char *shape;
		uint32_t payload_len, size;
		unsigned frames;
	} cases[] = {
		{ "tcp4", 100 * 100, 100, COALESCE_MAX },
		{ "udp6", 100 * 100, 100, COALESCE_MAX },
		/* 65535 less 40 of headers is 44 times 1488 and something */
		{ "tcp4", 45 * 1488, 1488, 44 },
		{ "tcp4", 44 * 1488 + 23, 1488, 45 },
		{ "tcp4", 44 * 1488 + 24, 1488, 44 },
		{ "tcp6", 44 * 1488 + 3, 1488, 45 },
		{ "tcp6", 44 * 1488 + 4, 1488, 44 },
		{ "tcp4", 1000, 1000, 1 },
	};
	struct coalesced run;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct packet packet = { 7, 8, ACK, bytes, cases[i].payload_len };
		unsigned count = make_stream(find_shape(cases[i].shape), &packet, cases[i].size);

		coalesce_run(stream, count, true, &run);
		assert_int_equal(run.frames, cases[i].frames);
	}
}

static void a_longer_frame_or_a_pure_ack_begins_anew(void **state)
{
	const struct shape *shape = find_shape("tcp4");
	struct packet packet = { 7, 8, ACK, bytes, 2000 };
	struct coalesced run;

	(void)state;
	make_stream(shape, &packet, 1000);
	packet = (struct packet){ 8, 1008, ACK, bytes, 1001 };
	stream[1].len = build(stream_data[1], shape, &packet);
	coalesce_run(stream, 2, true, &run);
	assert_alone(stream, &run);

	packet.payload_len = 0;
	stream[1].len = build(stream_data[1], shape, &packet);
	coalesce_run(stream, 2, true, &run);
	assert_alone(stream, &run);

	packet = (struct packet){ 7, 1008, ACK, bytes, 0 };
	stream[0].len = build(stream_data[0], shape, &packet);
	coalesce_run(stream, 2, true, &run);
	assert_alone(stream, &run);
}

/* Short frames have bytes behind the IP packet, which a super-frame could not carry. */
static void padded_frames_stay_alone(void **state)
{
	const struct packet packet = { 7, 8, ACK, bytes, 4 };
	struct coalesced run;

	(void)state;
	for (unsigned index = 0; index < 2; index++) {
		make_stream(find_shape("tcp4"), &packet, 2);
		memset(stream_data[index] + stream[index].len, 0, 4);
		stream[index].len += 4;
		coalesce_run(stream, 2, true, &run);
		assert_alone(stream, &run);
	}
}

static void udp_without_checksum_stays_alone(void **state)
{
	const struct packet packet = { 7, 8, ACK, bytes, 2000 };
	const struct shape *shape = find_shape("udp4");
	struct coalesced run;

	(void)state;
	for (unsigned index = 0; index < 2; index++) {
		make_stream(shape, &packet, 1000);
		memset(stream_data[index] + shape_checksum(shape), 0, 2);
		coalesce_run(stream, 2, true, &run);
		assert_alone(stream, &run);
	}
}

static void frames_with_labels_stay_as_they_are(void **state)
{
	const struct packet packet = { 7, 8, ACK, bytes, 2000 };
	struct coalesced run;

	(void)state;
	for (unsigned i = 0; i < shape_count; i++) {
		make_stream(&shapes[i], &packet, 1000);
		for (unsigned k = 0; k < 2; k++)
			stream[k].len = push_labels(stream_data[k], &shapes[i],
						    stream[k].len, 1);
		assert_true(offload_may_pass(&stream[0]));
		coalesce_run(stream, 2, true, &run);
		assert_alone(stream, &run);
	}
}

static void dropped_and_unfinished_frames_are_not_merged(void **state)
{
	const struct packet packet = { 7, 8, ACK, bytes, 3000 };
	struct coalesced run;

	(void)state;
	for (unsigned index = 0; index < 2; index++) {
		make_stream(find_shape("tcp6"), &packet, 1000);
		stream[index].drop = DROP_FILTER;
		coalesce_run(stream, 3, true, &run);
		assert_int_equal(run.frames, 1);

		make_stream(find_shape("tcp6"), &packet, 1000);
		stream[index].vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		stream[index].vnet.csum_start = 54;
		coalesce_run(stream, 3, true, &run);
		assert_int_equal(run.frames, 1);
		assert_memory_equal(&run.vnet, &stream[0].vnet, sizeof(run.vnet));
	}
}

/* Both together */

/* Turns @run back into wire frames and compares them with those that went in. */
static void assert_undone(const struct coalesced *run, const struct frame *frames)
{
	struct frame super = { .data = super_data, .vnet = run->vnet }, frame;
	struct offload_split split;

	super.len = gather(run, super_data);
	assert_int_equal(super.len, run->len);
	if (run->frames == 1) {
		assert_alone(frames, run);
		return;
	}
	assert_true(offload_split_start(&split, &super));
	for (unsigned i = 0; i < run->frames; i++) {
		assert_true(offload_split_next(&split, got, PACKET_MAX, &frame));
		assert_int_equal(frame.len, frames[i].len);
		assert_memory_equal(frame.data, frames[i].data, frame.len);
	}
	assert_true(offload_split_done(&split));
}

/* A train of one flow, with a fault here and there. Return: how many frames. */
static unsigned random_train(unsigned short *seed, struct frame *frames, unsigned room)
{
	const struct shape *shape = &shapes[(unsigned long)nrand48(seed) % shape_count];
	uint32_t size = 1 + (uint32_t)nrand48(seed) % (nrand48(seed) % 2 ? 1400 : 20);
	unsigned count = 1 + (unsigned)nrand48(seed) % 90;
	struct packet packet = {
		(uint16_t)nrand48(seed), (uint32_t)nrand48(seed) * 2, ACK,
		bytes + nrand48(seed) % 100, 0,
	};

	if (nrand48(seed) % 2)
		packet.flags |= PSH;
	if (nrand48(seed) % 8 == 0)
		packet.flags |= (uint8_t)nrand48(seed);
	count = count < room ? count : room;
	count = count * size > 65000 ? 65000 / size : count;
	packet.payload_len = count * size - (uint32_t)nrand48(seed) % size;
	for (unsigned i = 0; i < count; i++) {
		frames[i].len = build_segment(frames[i].data, shape, &packet, size, i);
		if (nrand48(seed) % 50)
			continue;
		frames[i].data[(unsigned long)nrand48(seed) % frames[i].len] ^=
			(uint8_t)(1 << nrand48(seed) % 8);
		if (nrand48(seed) % 2)
			fix_checksums(shape, frames[i].data, frames[i].len);
	}
	return count;
}

/* The frames of two trains take turns now and then. */
static void shuffle_a_little(unsigned short *seed, struct frame *frames, unsigned count)
{
	for (unsigned i = 0; i + 1 < count; i++) {
		struct frame frame = frames[i];

		if (nrand48(seed) % 40)
			continue;
		frames[i] = frames[i + 1];
		frames[i + 1] = frame;
	}
}

static void splitting_undoes_coalescing(void **state)
{
	unsigned short seed[3] = { 4, 5, 6 };
	unsigned merged = 0;
	struct coalesced run;

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		unsigned count = 0, next;

		for (unsigned i = 0; i < MANY; i++)
			stream[i] = (struct frame){ .data = stream_data[i] };
		for (unsigned train = 0; train < 4; train++)
			count += random_train(seed, stream + count, MANY - count);
		shuffle_a_little(seed, stream, count);
		for (next = 0; next < count; next += run.frames) {
			coalesce_run(stream + next, count - next, true, &run);
			assert_in_range(run.frames, 1, count - next);
			assert_undone(&run, stream + next);
			merged += run.frames - 1;
		}
		assert_int_equal(next, count);
	}
	assert_true(merged > 10000);
}

/* Under AddressSanitizer this proves the bounds; without it, only the counts. */
static void try_everything(struct frame *frame)
{
	struct frame two[2] = { *frame, *frame }, segment;
	struct offload_split split;
	struct coalesced run;
	uint64_t said, total = 0;
	unsigned segments = offload_segments(frame, &said), count = 0;
	uint8_t *room = malloc(frame->len + !frame->len);

	assert_non_null(room);
	coalesce_run(two, 2, true, &run);
	assert_int_equal(gather(&run, got), run.len);
	if (offload_split_start(&split, frame)) {
		while (offload_split_next(&split, room, frame->len, &segment)) {
			total += segment.len;
			count++;
		}
		assert_true(offload_split_done(&split));
		assert_int_equal(count, segments);
		assert_true(total == said);
	}
	offload_complete(frame);
	free(room);
}

static void hostile_headers_stay_in_bounds(void **state)
{
	unsigned short seed[3] = { 7, 8, 9 };

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		const struct shape *shape = &shapes[(unsigned long)nrand48(seed) % shape_count];
		const struct packet packet = { 1, 2, ACK, bytes,
					       (uint32_t)nrand48(seed) % 200 };
		struct frame frame = make_super(shape, &packet,
						(uint16_t)(1 + nrand48(seed) % 100));
		uint8_t *vnet = (uint8_t *)&frame.vnet;

		if (nrand48(seed) % 4 == 0)
			frame.len = (uint32_t)nrand48(seed) % (frame.len + 1);
		frame.data = malloc(frame.len + !frame.len);
		assert_non_null(frame.data);
		memcpy(frame.data, super_data, frame.len);
		for (long i = nrand48(seed) % 4; i > 0 && frame.len; i--)
			frame.data[(unsigned long)nrand48(seed) %
				   (frame.len < 80 ? frame.len : 80)] = (uint8_t)nrand48(seed);
		for (long i = nrand48(seed) % 4; i > 0; i--)
			vnet[(unsigned long)nrand48(seed) % sizeof(frame.vnet)] =
				(uint8_t)nrand48(seed);
		try_everything(&frame);
		free(frame.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits_like_frames_built_one_by_one),
		cmocka_unit_test(splits_what_has_labels),
		cmocka_unit_test(split_needs_no_hints),
		cmocka_unit_test(split_refuses_nonsense),
		cmocka_unit_test(completes_what_a_device_would),
		cmocka_unit_test(zero_becomes_ffff_in_udp_only),
		cmocka_unit_test(sctp_gets_its_crc),
		cmocka_unit_test(complete_stays_within_the_frame),
		cmocka_unit_test(complete_leaves_the_others),
		cmocka_unit_test(coalesces_to_what_the_kernel_would_have_sent),
		cmocka_unit_test(udp_only_on_request),
		cmocka_unit_test(what_differs_is_not_merged),
		cmocka_unit_test(the_other_zero_is_not_merged),
		cmocka_unit_test(sizes_bound_a_run),
		cmocka_unit_test(a_longer_frame_or_a_pure_ack_begins_anew),
		cmocka_unit_test(padded_frames_stay_alone),
		cmocka_unit_test(udp_without_checksum_stays_alone),
		cmocka_unit_test(frames_with_labels_stay_as_they_are),
		cmocka_unit_test(dropped_and_unfinished_frames_are_not_merged),
		cmocka_unit_test(splitting_undoes_coalescing),
		cmocka_unit_test(hostile_headers_stay_in_bounds),
	};

	return cmocka_run_group_tests(tests, fill_bytes, NULL);
}
