/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pkt/headers: what is found, what is refused, nothing read behind the end */
#include <config.h>

#include "pkt/headers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "packets.h"

static uint8_t frame[PACKET_MAX];

/* On a copy without slack, so that a byte read behind its end is found. */
static bool parse(const uint8_t *data, uint32_t len, struct headers *headers)
{
	uint8_t *copy = malloc(len + !len);
	bool found;

	assert_non_null(copy);
	memcpy(copy, data, len);
	found = headers_parse(copy, len, headers);
	free(copy);
	return found;
}

static void finds_all_shapes_and_no_shorter_ones(void **state)
{
	const struct packet packet = { .flags = ACK };
	struct headers headers;

	(void)state;
	for (unsigned i = 0; i < shape_count; i++) {
		const struct shape *shape = &shapes[i];
		uint32_t len = build(frame, shape, &packet);

		assert_true(parse(frame, len, &headers));
		assert_int_equal(headers.l3, shape_l3(shape));
		assert_int_equal(headers.l4, shape_l4(shape));
		assert_int_equal(headers.end, shape_end(shape));
		assert_int_equal(headers.version, shape->version);
		assert_int_equal(headers.protocol, shape->udp ? 17 : 6);
		assert_int_equal(headers_checksum_at(&headers), shape_checksum(shape));
		for (uint32_t shorter = 0; shorter < len; shorter++)
			assert_false(parse(frame, shorter, &headers));
	}
}

static void refuses_what_it_can_not_know(void **state)
{
	static const struct {
		const char *shape;
		unsigned at;
		uint8_t value;
	} cases[] = {
		{ "tcp4", 12, 0x06 },		/* ARP */
		{ "tcp4", 14, 0x65 },		/* version 6 in an IPv4 frame */
		{ "tcp4", 14, 0x44 },		/* header shorter than a header */
		{ "tcp4", 14, 0x4f },		/* header longer than the frame */
		{ "tcp4", 20, 0x20 },		/* first fragment */
		{ "tcp4", 21, 0x01 },		/* later fragment */
		{ "tcp4", 23, 1 },		/* ICMP */
		{ "tcp4", 46, 0x40 },		/* TCP header shorter than a header */
		{ "tcp4", 46, 0x60 },		/* TCP header longer than the frame */
		{ "tcp6", 14, 0x40 },		/* version 4 in an IPv6 frame */
		{ "tcp6", 20, 44 },		/* fragment header */
		{ "tcp6", 20, 51 },		/* authentication header */
		{ "tcp6", 20, 59 },		/* nothing follows */
		{ "tcp6 extensions", 54, 44 },	/* fragment header behind options */
		{ "tcp6 extensions", 55, 255 },	/* extension longer than the frame */
		{ "udp4", 23, 136 },		/* UDP-Lite */
	};
	const struct packet packet = { .flags = ACK };
	struct headers headers;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct shape *shape = shapes;
		uint32_t len;

		while (strcmp(shape->name, cases[i].shape) != 0)
			shape++;
		len = build(frame, shape, &packet);
		frame[cases[i].at] = cases[i].value;
		if (parse(frame, len, &headers))
			fail_msg("case %zu was accepted", i);
	}
}

/* With segments left the checksum covers the last address of the list. */
static void routing_header_only_when_used_up(void **state)
{
	const struct shape shape = { "", 6, false, 0, 8, 0 };
	const struct packet packet = { .flags = ACK };
	struct headers headers;
	uint32_t len = build(frame, &shape, &packet);

	(void)state;
	frame[20] = 43;
	frame[57] = 0;
	assert_true(parse(frame, len, &headers));
	frame[57] = 1;
	assert_false(parse(frame, len, &headers));
}

static void chains_are_bounded(void **state)
{
	const struct shape most[] = { { "", 6, false, 0, 8 * 8, 0 }, { "", 4, false, 4, 0, 0 } };
	const struct shape too_many[] = { { "", 6, false, 0, 9 * 8, 0 },
					  { "", 4, false, 5, 0, 0 } };
	const struct packet packet = { .flags = ACK };
	struct headers headers;

	(void)state;
	for (size_t i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
		assert_true(parse(frame, build(frame, &most[i], &packet), &headers));
		assert_false(parse(frame, build(frame, &too_many[i], &packet), &headers));
	}
}

static void labels_are_in_front_of_the_packet(void **state)
{
	const struct packet packet = { .flags = ACK };
	struct headers headers;

	(void)state;
	for (unsigned i = 0; i < shape_count; i++) {
		const struct shape *shape = &shapes[i];

		for (unsigned labels = 1; labels <= 16; labels++) {
			uint32_t len = build(frame, shape, &packet);

			len = push_labels(frame, shape, len, labels);
			assert_true(parse(frame, len, &headers));
			assert_int_equal(headers.labels, labels);
			assert_int_equal(headers.l3, shape_l3(shape) + 4 * labels);
			assert_int_equal(headers.end, shape_end(shape) + 4 * labels);
			assert_int_equal(headers.version, shape->version);
			assert_int_equal(headers_ethernet_len(frame, len), shape_l3(shape));
			for (uint32_t shorter = 0; shorter < len; shorter++)
				assert_false(parse(frame, shorter, &headers));
		}
	}
}

static void labels_that_lead_to_nothing(void **state)
{
	static const struct {
		unsigned labels, at;
		uint8_t value;
	} cases[] = {
		{ 17, 0, 2 },		/* more than there are; the address does not matter */
		{ 1, 16, 0 },		/* none is the last one */
		{ 2, 16, 1 },		/* the first one is, what follows is no packet */
		{ 1, 18, 0x55 },	/* neither IPv4 nor IPv6 */
		{ 1, 18, 0x65 },	/* says IPv6, and is too short for it */
	};
	const struct packet packet = { .flags = ACK };
	struct headers headers;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t len = build(frame, &shapes[0], &packet);

		len = push_labels(frame, &shapes[0], len, cases[i].labels);
		frame[cases[i].at] = cases[i].value;
		if (parse(frame, len, &headers))
			fail_msg("case %zu was accepted", i);
	}
}

static void lengths_and_checksums(void **state)
{
	const struct packet packet = { .flags = ACK, .payload = (const uint8_t *)"abc",
				       .payload_len = 3 };
	struct headers headers;

	(void)state;
	for (unsigned i = 0; i < shape_count; i++) {
		const struct shape *shape = &shapes[i];
		uint32_t len = build(frame, shape, &packet);

		assert_true(headers_parse(frame, len, &headers));
		assert_true(headers_lengths_match(frame, &headers, len));
		assert_false(headers_lengths_match(frame, &headers, len + 1));
		assert_int_equal(headers_l4_checksum(frame, &headers, len),
				 load_raw16(frame + shape_checksum(shape)));
		if (shape->version == 4)
			assert_int_equal(headers_ip_checksum(frame, &headers),
					 load_raw16(frame + shape_l3(shape) + 10));
		headers_set_lengths(frame, &headers, len - 1);
		assert_true(headers_lengths_match(frame, &headers, len - 1));
		assert_false(headers_lengths_match(frame, &headers, len));
	}
}

/* A sum that comes out as 0 is 0xffff to UDP, and 0 to TCP. */
static void zero_checksum(void **state)
{
	static const char *const names[] = { "udp4", "tcp4" };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t payload[2] = { 0 };
		const struct packet packet = { .flags = ACK, .payload = payload,
					       .payload_len = 2 };
		const struct shape *shape = shapes;
		struct headers headers;
		uint32_t len;

		while (strcmp(shape->name, names[i]) != 0)
			shape++;
		build(frame, shape, &packet);
		memcpy(payload, frame + shape_checksum(shape), 2);
		len = build(frame, shape, &packet);
		assert_true(headers_parse(frame, len, &headers));
		assert_int_equal(headers_l4_checksum(frame, &headers, len),
				 shape->udp ? 0xffff : 0);
		assert_int_equal(load_raw16(frame + shape_checksum(shape)),
				 shape->udp ? 0xffff : 0);
	}
}

static void tags_are_seen_in_whole_headers_only(void **state)
{
	const struct packet packet = { 1, 1, ACK, (const uint8_t *)"x", 1 };

	(void)state;
	for (unsigned i = 0; i < shape_count; i++) {
		build(frame, &shapes[i], &packet);
		assert_int_equal(headers_is_tagged(frame, 14), shapes[i].tags > 0);
		assert_false(headers_is_tagged(frame, 13));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_all_shapes_and_no_shorter_ones),
		cmocka_unit_test(refuses_what_it_can_not_know),
		cmocka_unit_test(routing_header_only_when_used_up),
		cmocka_unit_test(chains_are_bounded),
		cmocka_unit_test(labels_are_in_front_of_the_packet),
		cmocka_unit_test(labels_that_lead_to_nothing),
		cmocka_unit_test(lengths_and_checksums),
		cmocka_unit_test(zero_checksum),
		cmocka_unit_test(tags_are_seen_in_whole_headers_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
