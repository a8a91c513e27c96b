/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pkt/infer: frames of all shapes without their virtio headers */
#include <config.h>

#include "pkt/offload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "packets.h"

#define MTU 1280

static uint8_t bytes[PACKET_MAX], data[PACKET_MAX], want[PACKET_MAX], got[PACKET_MAX];

static int fill_bytes(void **state)
{
	unsigned short seed[3] = { 7, 8, 9 };

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)nrand48(seed);
	return 0;
}

static bool is_zero(const struct virtio_net_hdr *vnet)
{
	static const struct virtio_net_hdr zero;

	return !memcmp(vnet, &zero, sizeof(zero));
}

/* With its checksum left open, as the kernel does it. */
static struct frame make_open(const struct shape *shape, const struct packet *packet)
{
	struct frame frame = { .data = data };
	uint16_t pseudo;

	frame.len = build(data, shape, packet);
	pseudo = naive_pseudo(shape, data, frame.len);
	data[shape_checksum(shape)] = (uint8_t)(pseudo >> 8);
	data[shape_checksum(shape) + 1] = (uint8_t)pseudo;
	return frame;
}

static void open_checksums_are_completed(void **state)
{
	const struct packet packet = { 3, 4, ACK | PSH, bytes, 333 };

	(void)state;
	for (unsigned i = 0; i < shape_count; i++) {
		struct frame frame = make_open(&shapes[i], &packet);
		uint32_t len = build(want, &shapes[i], &packet);

		offload_infer(&frame, MTU, true);
		assert_true(offload_complete(&frame));
		assert_int_equal(frame.len, len);
		assert_memory_equal(data, want, len);
	}
}

static void complete_frames_stay_as_they_are(void **state)
{
	const struct packet packet = { 3, 4, ACK | PSH, bytes, 333 };

	(void)state;
	for (unsigned i = 0; i < 2 * shape_count; i++) {
		struct frame frame = { .data = data };

		frame.len = build(data, &shapes[i / 2], &packet);
		offload_infer(&frame, MTU, i % 2);
		assert_true(is_zero(&frame.vnet));
	}
}

/* The checksum of a tunnel's packet is made: the open one is within, and not known. */
static void tunnels_stay_as_they_are(void **state)
{
	const struct shape shape = { "udp4", 4, true, 0, 0, 0 };
	const struct packet packet = { 3, 4, 0, bytes, 333 };
	struct frame frame = { .data = data };

	(void)state;
	frame.len = build(data, &shape, &packet);
	memset(data + shape_checksum(&shape), 0, 2);
	offload_infer(&frame, MTU, true);
	assert_true(is_zero(&frame.vnet));
}

/* Whether the checksum is open or not: a device that joins segments may have checked it. */
static void aggregates_are_cut_to_the_mtu(void **state)
{
	const struct packet packet = { 0xfffe, 0xffffff00, ACK | PSH, bytes, 40000 };

	(void)state;
	for (unsigned i = 0; i < 2 * shape_count; i++) {
		const struct shape *shape = &shapes[i / 2];
		unsigned headers = shape_end(shape) - shape_l3(shape), index = 0;
		struct frame frame = make_open(shape, &packet), segment;
		struct offload_split split;

		if (shape->udp)
			continue;
		offload_infer(&frame, MTU, i % 2);
		assert_true(offload_split_start(&split, &frame));
		for (; offload_split_next(&split, got, PACKET_MAX, &segment); index++) {
			uint32_t len = build_segment(want, shape, &packet, MTU - headers, index);

			assert_int_equal(segment.len, len);
			assert_memory_equal(got, want, len);
		}
		assert_int_equal(index, (40000 + MTU - headers - 1) / (MTU - headers));
	}
}

static void nothing_is_cut_without_need(void **state)
{
	const struct shape *shape = &shapes[0];
	const struct shape udp = { "udp4", 4, true, 0, 0, 0 };
	const struct packet packet = { 1, 2, ACK, bytes, MTU - 40 };
	const struct packet datagram = { 1, 2, 0, bytes, 9000 };
	struct frame frame = make_open(shape, &packet);

	(void)state;
	offload_infer(&frame, MTU, false);
	assert_true(is_zero(&frame.vnet));
	frame = make_open(shape, &packet);
	offload_infer(&frame, MTU - 1, false);
	assert_int_equal(frame.vnet.gso_size, MTU - 41);
	/* an MTU without room for payload; one that is not known */
	frame = make_open(shape, &packet);
	offload_infer(&frame, 40, false);
	assert_true(is_zero(&frame.vnet));
	offload_infer(&frame, UINT32_MAX, false);
	assert_true(is_zero(&frame.vnet));
	frame = make_open(&udp, &datagram);
	offload_infer(&frame, MTU, true);
	assert_int_equal(frame.vnet.gso_type, VIRTIO_NET_HDR_GSO_NONE);
}

static void sctp_is_recognized(void **state)
{
	const struct shape shape = { "udp6", 6, true, 1, 8, 0 };
	const struct packet packet = { 1, 2, 0, bytes, 100 };
	struct frame frame = { .data = data };

	(void)state;
	frame.len = build(data, &shape, &packet);
	data[shape_l4(&shape) - 8] = 132;
	offload_infer(&frame, MTU, false);
	assert_true(is_zero(&frame.vnet));
	offload_infer(&frame, MTU, true);
	assert_true(offload_is_sctp(&frame));
	assert_int_equal(frame.vnet.csum_start, shape_l4(&shape));
	assert_true(offload_complete(&frame));
}

/* Cut anywhere, and with any byte changed. */
static void hostile_frames_stay_in_bounds(void **state)
{
	const struct packet packet = { 1, 2, ACK, bytes, 20 };
	unsigned short seed[3] = { 1, 1, 1 };
	uint8_t frame_data[200];

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		uint32_t len = build(frame_data, &shapes[i % shape_count], &packet);
		struct frame frame = { .len = (uint32_t)nrand48(seed) % (len + 1) };
		struct offload_split split;

		frame_data[(uint32_t)nrand48(seed) % len] = (uint8_t)nrand48(seed);
		frame.data = malloc(frame.len + 1);
		memcpy(frame.data, frame_data, frame.len);
		offload_infer(&frame, (uint32_t)nrand48(seed) % 120, true);
		offload_split_start(&split, &frame);
		offload_complete(&frame);
		free(frame.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_checksums_are_completed),
		cmocka_unit_test(complete_frames_stay_as_they_are),
		cmocka_unit_test(tunnels_stay_as_they_are),
		cmocka_unit_test(aggregates_are_cut_to_the_mtu),
		cmocka_unit_test(nothing_is_cut_without_need),
		cmocka_unit_test(sctp_is_recognized),
		cmocka_unit_test(hostile_frames_stay_in_bounds),
	};

	return cmocka_run_group_tests(tests, fill_bytes, NULL);
}
