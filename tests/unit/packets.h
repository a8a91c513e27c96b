/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packets for tests, built field by field and slowly: the oracle that the fast
 * code in src/pkt is compared with. Shares no code with it.
 */
#ifndef TESTS_UNIT_PACKETS_H
#define TESTS_UNIT_PACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_MAX 70000

/* What all packets of a flow have in common. */
struct shape {
	const char *name;
	unsigned version;	/* 4 or 6 */
	bool udp;
	unsigned tags;		/* VLAN tags, 0..2 */
	unsigned options;	/* bytes of IPv4 options, or of IPv6 extension headers */
	unsigned tcp_options;	/* bytes */
};

/* What differs from packet to packet. */
struct packet {
	uint16_t id;
	uint32_t seq;
	uint8_t flags;
	const uint8_t *payload;
	uint32_t payload_len;
};

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define PSH 0x08
#define ACK 0x10
#define URG 0x20
#define ECE 0x40
#define CWR 0x80

extern const struct shape shapes[];
extern const unsigned shape_count;

unsigned shape_l3(const struct shape *shape);
unsigned shape_l4(const struct shape *shape);
unsigned shape_end(const struct shape *shape);
unsigned shape_checksum(const struct shape *shape);

uint16_t naive_sum(const uint8_t *data, size_t len, uint32_t sum);
uint16_t naive_pseudo(const struct shape *shape, const uint8_t *frame, uint32_t len);
void fix_checksums(const struct shape *shape, uint8_t *frame, uint32_t len);
uint32_t build(uint8_t *frame, const struct shape *shape, const struct packet *packet);
uint32_t push_labels(uint8_t *frame, const struct shape *shape, uint32_t len, unsigned labels);
uint32_t build_segment(uint8_t *frame, const struct shape *shape, const struct packet *super,
		       uint32_t size, unsigned index);

#endif
