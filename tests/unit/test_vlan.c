/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pkt/vlan: tags put back, and what vnet says about them */
#include <config.h>

#include "pkt/vlan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define LEN 40

static uint8_t memory[FRAME_HEADROOM + LEN];

static struct frame fresh_frame(uint32_t len)
{
	for (unsigned i = 0; i < sizeof(memory); i++)
		memory[i] = (uint8_t)i;
	return (struct frame){ .data = memory + FRAME_HEADROOM, .len = len };
}

static void tag_goes_behind_the_addresses(void **state)
{
	struct frame frame = fresh_frame(LEN);
	uint8_t want[LEN + 4];

	(void)state;
	memcpy(want, frame.data, 12);
	memcpy(want + 12, "\x81\x00\x60\x2a", 4);
	memcpy(want + 16, frame.data + 12, LEN - 12);
	vlan_push(&frame, 0x8100, 0x602a);
	assert_int_equal(frame.len, LEN + 4);
	assert_ptr_equal(frame.data, memory + FRAME_HEADROOM - 4);
	assert_memory_equal(frame.data, want, sizeof(want));
	assert_int_equal(memory[FRAME_HEADROOM - 5], FRAME_HEADROOM - 5);
}

static void second_tag_goes_in_front_of_the_first(void **state)
{
	struct frame frame = fresh_frame(14);

	(void)state;
	vlan_push(&frame, 0x8100, 1);
	vlan_push(&frame, 0x88a8, 2);
	assert_int_equal(frame.len, 22);
	assert_memory_equal(frame.data + 12, "\x88\xa8\x00\x02\x81\x00\x00\x01", 8);
}

static void runt_is_left_alone(void **state)
{
	struct frame frame = fresh_frame(13), before = frame;

	(void)state;
	vlan_push(&frame, 0x8100, 1);
	assert_memory_equal(&frame, &before, sizeof(frame));
	assert_int_equal(memory[FRAME_HEADROOM - 4], FRAME_HEADROOM - 4);
}

static void vnet_moves_along_only_where_it_is_in_use(void **state)
{
	static const struct {
		struct virtio_net_hdr before, after;
	} cases[] = {
		{ { 0 }, { 0 } },
		{ { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 6 },
		  { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 38, .csum_offset = 6 } },
		{ { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 9, .hdr_len = 54 },
		  { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 9, .hdr_len = 58 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame frame = fresh_frame(LEN);

		frame.vnet = cases[i].before;
		vlan_push(&frame, 0x8100, 1);
		assert_memory_equal(&frame.vnet, &cases[i].after, sizeof(frame.vnet));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tag_goes_behind_the_addresses),
		cmocka_unit_test(second_tag_goes_in_front_of_the_first),
		cmocka_unit_test(runt_is_left_alone),
		cmocka_unit_test(vnet_moves_along_only_where_it_is_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
