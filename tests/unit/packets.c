/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "packets.h"

#include <string.h>

const struct shape shapes[] = {
	{ "tcp4", 4, false, 0, 0, 0 },
	{ "tcp4 timestamps", 4, false, 0, 0, 12 },
	{ "tcp4 all options", 4, false, 0, 40, 40 },
	{ "tcp4 vlan", 4, false, 1, 0, 12 },
	{ "tcp4 qinq", 4, false, 2, 0, 12 },
	{ "tcp4 qinq options", 4, false, 2, 8, 20 },
	{ "tcp6", 6, false, 0, 0, 0 },
	{ "tcp6 timestamps", 6, false, 0, 0, 12 },
	{ "tcp6 vlan", 6, false, 1, 0, 12 },
	{ "tcp6 extensions", 6, false, 0, 24, 12 },
	{ "tcp6 qinq extensions", 6, false, 2, 48, 40 },
	{ "udp4", 4, true, 0, 0, 0 },
	{ "udp4 options", 4, true, 0, 12, 0 },
	{ "udp4 vlan", 4, true, 1, 0, 0 },
	{ "udp6", 6, true, 0, 0, 0 },
	{ "udp6 qinq", 6, true, 2, 0, 0 },
	{ "udp6 extensions", 6, true, 0, 16, 0 },
};
const unsigned shape_count = sizeof(shapes) / sizeof(shapes[0]);

unsigned shape_l3(const struct shape *shape)
{
	return 14 + 4 * shape->tags;
}

unsigned shape_l4(const struct shape *shape)
{
	return shape_l3(shape) + (shape->version == 4 ? 20 : 40) + shape->options;
}

unsigned shape_end(const struct shape *shape)
{
	return shape_l4(shape) + (shape->udp ? 8 : 20 + shape->tcp_options);
}

unsigned shape_checksum(const struct shape *shape)
{
	return shape_l4(shape) + (shape->udp ? 6 : 16);
}

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

/* The one's complement sum as a number, byte by byte. */
uint16_t naive_sum(const uint8_t *data, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++) {
		sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return (uint16_t)sum;
}

/* The sum of the pseudo header of a frame of @len bytes. */
uint16_t naive_pseudo(const struct shape *shape, const uint8_t *frame, uint32_t len)
{
	const uint8_t *ip = frame + shape_l3(shape);
	uint8_t pseudo[40] = { 0 };

	if (shape->version == 4)
		memcpy(pseudo, ip + 12, 8);
	else
		memcpy(pseudo, ip + 8, 32);
	put32(pseudo + 32, len - shape_l4(shape));
	pseudo[39] = shape->udp ? 17 : 6;
	return naive_sum(pseudo, sizeof(pseudo), 0);
}

void fix_checksums(const struct shape *shape, uint8_t *frame, uint32_t len)
{
	uint8_t *ip = frame + shape_l3(shape);
	uint8_t *checksum = frame + shape_checksum(shape);
	uint16_t value;

	if (shape->version == 4) {
		put16(ip + 10, 0);
		put16(ip + 10, 0xffffU - naive_sum(ip, 20 + shape->options, 0));
	}
	put16(checksum, 0);
	value = 0xffff - naive_sum(frame + shape_l4(shape), len - shape_l4(shape),
				   naive_pseudo(shape, frame, len));
	put16(checksum, value || !shape->udp ? value : 0xffff);
}

static uint8_t *build_ethernet(uint8_t *at, const struct shape *shape)
{
	memcpy(at, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02", 12);
	at += 12;
	for (unsigned i = 0; i < shape->tags; i++, at += 4) {
		put16(at, i + 1 < shape->tags ? 0x88a8 : 0x8100);
		put16(at + 2, 0x2000 + 17 * (i + 1));
	}
	put16(at, shape->version == 4 ? 0x0800 : 0x86dd);
	return at + 2;
}

static uint8_t *build_ipv4(uint8_t *at, const struct shape *shape, uint16_t id, unsigned len)
{
	at[0] = (uint8_t)(0x45 + shape->options / 4);
	at[1] = 0x02;
	put16(at + 2, len);
	put16(at + 4, id);
	put16(at + 6, 0x4000);
	at[8] = 63;
	at[9] = shape->udp ? 17 : 6;
	put16(at + 10, 0);
	memcpy(at + 12, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
	memset(at + 20, 1, shape->options);
	return at + 20 + shape->options;
}

/* Extension headers of 8 bytes each, destination options behind one hop-by-hop. */
static uint8_t *build_ipv6(uint8_t *at, const struct shape *shape, unsigned len)
{
	uint8_t *next = at + 6;

	put32(at, 0x60212345);
	put16(at + 4, len - 40);
	at[7] = 64;
	memset(at + 8, 0, 32);
	put16(at + 8, 0xfd00);
	at[23] = 1;
	put16(at + 24, 0xfd00);
	at[39] = 2;
	at += 40;
	for (unsigned i = 0; i < shape->options; i += 8, at += 8) {
		*next = i ? 60 : 0;
		next = at;
		memcpy(at, "\x00\x00\x01\x04\x00\x00\x00\x00", 8);
	}
	*next = shape->udp ? 17 : 6;
	return at;
}

static uint8_t *build_tcp(uint8_t *at, const struct shape *shape, const struct packet *packet)
{
	put16(at, 40001);
	put16(at + 2, 5201);
	put32(at + 4, packet->seq);
	put32(at + 8, 0x01020304);
	at[12] = (uint8_t)((5 + shape->tcp_options / 4) << 4);
	at[13] = packet->flags;
	put16(at + 14, 501);
	put16(at + 16, 0);
	put16(at + 18, packet->flags & URG ? 77 : 0);
	memset(at + 20, 1, shape->tcp_options);
	if (shape->tcp_options >= 12)
		memcpy(at + 22, "\x08\x0a\x11\x22\x33\x44\x55\x66\x77\x88", 10);
	return at + 20 + shape->tcp_options;
}

static uint8_t *build_udp(uint8_t *at, unsigned len)
{
	put16(at, 40001);
	put16(at + 2, 5201);
	put16(at + 4, len);
	put16(at + 6, 0);
	return at + 8;
}

/* A complete, correct frame, of any size that @frame has room for. Return: its length. */
uint32_t build(uint8_t *frame, const struct shape *shape, const struct packet *packet)
{
	uint32_t len = shape_end(shape) + packet->payload_len;
	uint8_t *at = build_ethernet(frame, shape);

	if (shape->version == 4)
		at = build_ipv4(at, shape, packet->id, len - shape_l3(shape));
	else
		at = build_ipv6(at, shape, len - shape_l3(shape));
	if (shape->udp)
		at = build_udp(at, len - shape_l4(shape));
	else
		at = build_tcp(at, shape, packet);
	if (packet->payload_len)
		memcpy(at, packet->payload, packet->payload_len);
	fix_checksums(shape, frame, len);
	return len;
}

/* Puts MPLS labels in front of the packet in a frame. Return: the frame's length. */
uint32_t push_labels(uint8_t *frame, const struct shape *shape, uint32_t len, unsigned labels)
{
	uint8_t *at = frame + shape_l3(shape);

	memmove(at + 4 * labels, at, len - shape_l3(shape));
	put16(at - 2, 0x8847);
	for (unsigned i = 0; i < labels; i++, at += 4)
		put32(at, (100 + i) << 12 | (i + 1 == labels) << 8 | 64);
	return len + 4 * labels;
}

/* The wire frame that segment @index of a super-frame has to be, made from nothing. */
uint32_t build_segment(uint8_t *frame, const struct shape *shape, const struct packet *super,
		       uint32_t size, unsigned index)
{
	struct packet packet = *super;
	uint32_t offset = size * index;

	packet.id = (uint16_t)(super->id + index);
	packet.seq = super->seq + offset;
	packet.payload = super->payload + offset;
	packet.payload_len = super->payload_len - offset;
	if (packet.payload_len > size) {
		packet.payload_len = size;
		packet.flags &= (uint8_t)~(FIN | PSH);
	}
	if (index)
		packet.flags &= (uint8_t)~CWR;
	return build(frame, shape, &packet);
}
