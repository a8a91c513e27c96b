/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the headers of a TCP or UDP frame are, and their fields that depend on
 * its length: what segmentation and coalescing need to know and to rewrite.
 */
#ifndef PKT_HEADERS_H
#define PKT_HEADERS_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Offsets from the first byte of the frame. */
struct headers {
	uint16_t l3;		/* IP header */
	uint16_t l4;		/* TCP or UDP header */
	uint16_t end;		/* first byte behind the TCP or UDP header */
	uint8_t labels;		/* of MPLS, in front of the IP header */
	uint8_t version;	/* 4 or 6 */
	uint8_t protocol;	/* IPPROTO_TCP or IPPROTO_UDP, unless said otherwise */
};

bool headers_is_tagged(const uint8_t *data, uint32_t len);
uint32_t headers_ethernet_len(const uint8_t *data, uint32_t len);
bool headers_parse(const uint8_t *data, uint32_t len, struct headers *headers);
bool headers_parse_network(const uint8_t *data, uint32_t len, struct headers *headers);
bool headers_parse_at(const uint8_t *data, uint32_t len, uint32_t l3, struct headers *headers);
uint32_t headers_checksum_at(const struct headers *headers);
bool headers_lengths_match(const uint8_t *data, const struct headers *headers, uint32_t len);
void headers_set_lengths(uint8_t *data, const struct headers *headers, uint32_t len);
uint64_t headers_pseudo_sum(const uint8_t *data, const struct headers *headers, uint32_t len);
uint16_t headers_ip_checksum(const uint8_t *data, const struct headers *headers);
uint16_t headers_l4_checksum(const uint8_t *data, const struct headers *headers, uint32_t len);

/* Fields of frames, which may lie at any address. "raw": in network byte order. */

static inline uint16_t load_raw16(const uint8_t *data)
{
	uint16_t value;

	memcpy(&value, data, sizeof(value));
	return value;
}

static inline void store_raw16(uint8_t *data, uint16_t value)
{
	memcpy(data, &value, sizeof(value));
}

static inline uint16_t load16(const uint8_t *data)
{
	return ntohs(load_raw16(data));
}

static inline void store16(uint8_t *data, uint16_t value)
{
	store_raw16(data, htons(value));
}

static inline uint32_t load32(const uint8_t *data)
{
	uint32_t value;

	memcpy(&value, data, sizeof(value));
	return ntohl(value);
}

static inline void store32(uint8_t *data, uint32_t value)
{
	value = htonl(value);
	memcpy(data, &value, sizeof(value));
}

#endif
