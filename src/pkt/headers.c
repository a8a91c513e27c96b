/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "pkt/headers.h"

#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stddef.h>

#include "pkt/checksum.h"

#define TPID_8021AD 0x88a8
#define TAG_LEN 4

#define TYPE_MPLS 0x8847
#define TYPE_MPLS_MULTICAST 0x8848
#define LABEL_LEN 4

/* Far more than occur; they bound the work on a hostile frame. */
#define TAGS_MAX 4
#define LABELS_MAX 16
#define EXTENSIONS_MAX 8

#define IPV4_LENGTH offsetof(struct iphdr, tot_len)
#define IPV4_CHECKSUM offsetof(struct iphdr, check)
#define IPV6_LENGTH offsetof(struct ip6_hdr, ip6_plen)
#define UDP_LENGTH offsetof(struct udphdr, uh_ulen)

static bool is_tag(uint16_t type)
{
	return type == ETHERTYPE_VLAN || type == TPID_8021AD;
}

/* headers_is_tagged() - whether a frame has a VLAN tag */
bool headers_is_tagged(const uint8_t *data, uint32_t len)
{
	return len >= ETHER_HDR_LEN &&
	       is_tag(load16(data + offsetof(struct ether_header, ether_type)));
}

/* Return: the EtherType behind all tags, 0 if the frame ends before it. */
static uint16_t parse_ethernet(const uint8_t *data, uint32_t len, struct headers *headers)
{
	uint32_t at = offsetof(struct ether_header, ether_type);

	for (unsigned tags = 0; at + 2 <= len; tags++, at += TAG_LEN) {
		uint16_t type = load16(data + at);

		if (tags == TAGS_MAX || !is_tag(type)) {
			headers->l3 = (uint16_t)(at + 2);
			return type;
		}
	}
	return 0;
}

/* headers_ethernet_len() - of the Ethernet header with its VLAN tags; @len if that is not whole
 *
 * What is behind it must not be longer than the MTU.
 */
uint32_t headers_ethernet_len(const uint8_t *data, uint32_t len)
{
	struct headers headers;

	return parse_ethernet(data, len, &headers) ? headers.l3 : len;
}

/* MPLS says that a label is the last one, and not what is behind it: that is known from the
 * first half byte, which is its IP version. Return: the EtherType for that, or 0.
 */
static uint16_t skip_labels(const uint8_t *data, uint32_t len, struct headers *headers)
{
	uint32_t at = headers->l3;
	bool last = false;

	for (; !last; at += LABEL_LEN) {
		if (headers->labels++ == LABELS_MAX || at + LABEL_LEN >= len)
			return 0;
		last = data[at + 2] & 1;
	}
	headers->l3 = (uint16_t)at;
	switch (data[at] >> 4) {
	case 4:
		return ETHERTYPE_IP;
	case 6:
		return ETHERTYPE_IPV6;
	default:
		return 0;
	}
}

/* This and parse_ipv6() may put @headers->l4 behind the end: their callers look. */
static bool parse_ipv4(const uint8_t *data, uint32_t len, struct headers *headers)
{
	const uint8_t *ip = data + headers->l3;
	uint32_t header_len;

	if (headers->l3 + sizeof(struct iphdr) > len || ip[0] >> 4 != 4)
		return false;
	header_len = (ip[0] & 15) * 4U;
	if (header_len < sizeof(struct iphdr))
		return false;
	if (load16(ip + offsetof(struct iphdr, frag_off)) & (IP_MF | IP_OFFMASK))
		return false;
	headers->version = 4;
	headers->protocol = ip[offsetof(struct iphdr, protocol)];
	headers->l4 = (uint16_t)(headers->l3 + header_len);
	return true;
}

static bool is_extension(const uint8_t *header, uint8_t type)
{
	switch (type) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_DSTOPTS:
		return true;
	case IPPROTO_ROUTING:
		/* With segments left, checksums cover another destination than the header's. */
		return header[offsetof(struct ip6_rthdr, ip6r_segleft)] == 0;
	default:
		return false;
	}
}

static bool parse_ipv6(const uint8_t *data, uint32_t len, struct headers *headers)
{
	const uint8_t *ip = data + headers->l3;
	uint32_t at = headers->l3 + sizeof(struct ip6_hdr);
	uint8_t type;

	if (at > len || ip[0] >> 4 != 6)
		return false;
	type = ip[offsetof(struct ip6_hdr, ip6_nxt)];
	for (unsigned i = 0; i < EXTENSIONS_MAX && at + 8 <= len; i++) {
		if (!is_extension(data + at, type))
			break;
		type = data[at];
		at += (data[at + 1] + 1U) * 8;
	}
	headers->version = 6;
	headers->protocol = type;
	headers->l4 = (uint16_t)at;
	return true;
}

static bool parse_transport(const uint8_t *data, uint32_t len, struct headers *headers)
{
	uint32_t header_len = sizeof(struct udphdr);

	if (headers->protocol == IPPROTO_TCP) {
		if (headers->l4 + sizeof(struct tcphdr) > len)
			return false;
		header_len = (data[headers->l4 + 12] >> 4) * 4U;
		if (header_len < sizeof(struct tcphdr))
			return false;
	} else if (headers->protocol != IPPROTO_UDP) {
		return false;
	}
	headers->end = (uint16_t)(headers->l4 + header_len);
	return headers->end <= len;
}

/* headers_parse_network() - find the IP header of a frame, whatever is in it
 *
 * Return: true with all of @headers but its end filled in; false if the frame is
 * not IP, a fragment, or cut short.
 */
bool headers_parse_network(const uint8_t *data, uint32_t len, struct headers *headers)
{
	uint16_t type = parse_ethernet(data, len, headers);

	headers->labels = 0;
	if (type == TYPE_MPLS || type == TYPE_MPLS_MULTICAST)
		type = skip_labels(data, len, headers);
	switch (type) {
	case ETHERTYPE_IP:
		return parse_ipv4(data, len, headers) && headers->l4 <= len;
	case ETHERTYPE_IPV6:
		return parse_ipv6(data, len, headers) && headers->l4 <= len;
	default:
		return false;
	}
}

/* headers_parse_at() - the headers of TCP or UDP over IP that begin at offset @l3
 *
 * For packets in packets. Offsets must not pass 65535: @l3 is limited to a
 * quarter of that. Return: as headers_parse().
 */
bool headers_parse_at(const uint8_t *data, uint32_t len, uint32_t l3, struct headers *headers)
{
	if (l3 >= len || l3 > UINT16_MAX / 4)
		return false;
	headers->l3 = (uint16_t)l3;
	headers->labels = 0;
	if (data[l3] >> 4 == 4)
		return parse_ipv4(data, len, headers) && parse_transport(data, len, headers);
	return parse_ipv6(data, len, headers) && parse_transport(data, len, headers);
}

/* headers_parse() - find the headers of a frame
 *
 * Knows VLAN tags, MPLS labels, IPv4 with options, and IPv6 with hop-by-hop, destination and
 * used-up routing headers. It neither believes nor checks the length fields.
 *
 * Return: true with @headers filled in, all of them within @len bytes; false if
 * the frame is not TCP or UDP over IP, a fragment, or cut short.
 */
bool headers_parse(const uint8_t *data, uint32_t len, struct headers *headers)
{
	return headers_parse_network(data, len, headers) && parse_transport(data, len, headers);
}

/* headers_checksum_at() - offset of the TCP or UDP checksum field */
uint32_t headers_checksum_at(const struct headers *headers)
{
	if (headers->protocol == IPPROTO_TCP)
		return headers->l4 + (uint32_t)offsetof(struct tcphdr, th_sum);
	return headers->l4 + (uint32_t)offsetof(struct udphdr, uh_sum);
}

/* headers_lengths_match() - whether all length fields say that the frame is @len bytes */
bool headers_lengths_match(const uint8_t *data, const struct headers *headers, uint32_t len)
{
	const uint8_t *ip = data + headers->l3;
	uint32_t ip_len = len - headers->l3;

	if (headers->version == 4 && load16(ip + IPV4_LENGTH) != ip_len)
		return false;
	if (headers->version == 6 &&
	    load16(ip + IPV6_LENGTH) + sizeof(struct ip6_hdr) != ip_len)
		return false;
	return headers->protocol != IPPROTO_UDP ||
	       load16(data + headers->l4 + UDP_LENGTH) == len - headers->l4;
}

/* headers_set_lengths() - write all length fields for a frame of @len bytes
 *
 * What follows the Ethernet header and its tags must not exceed 65535 bytes.
 */
void headers_set_lengths(uint8_t *data, const struct headers *headers, uint32_t len)
{
	uint8_t *ip = data + headers->l3;
	uint32_t ip_len = len - headers->l3;

	if (headers->version == 4)
		store16(ip + IPV4_LENGTH, (uint16_t)ip_len);
	else
		store16(ip + IPV6_LENGTH, (uint16_t)(ip_len - sizeof(struct ip6_hdr)));
	if (headers->protocol == IPPROTO_UDP)
		store16(data + headers->l4 + UDP_LENGTH, (uint16_t)(len - headers->l4));
}

/* headers_pseudo_sum() - unfolded sum of the pseudo header for a frame of @len bytes */
uint64_t headers_pseudo_sum(const uint8_t *data, const struct headers *headers, uint32_t len)
{
	const uint8_t *ip = data + headers->l3;
	uint64_t sum = (uint64_t)htonl(len - headers->l4) + htonl(headers->protocol);

	if (headers->version == 4)
		return checksum_add(sum, ip + offsetof(struct iphdr, saddr), 8);
	return checksum_add(sum, ip + offsetof(struct ip6_hdr, ip6_src), 32);
}

/* The checksum that makes @sum come out right, if @sum includes the field itself.
 * Never -0: the summed bytes are not all zero, so taking the field out again has
 * one result only.
 */
static uint16_t without_field(uint64_t sum, const uint8_t *field)
{
	uint16_t inverted = (uint16_t)~load_raw16(field);

	return (uint16_t)~checksum_fold((uint64_t)checksum_fold(sum) + inverted);
}

/* headers_ip_checksum() - what the IPv4 header's checksum field ought to hold
 *
 * In network byte order. IPv6 has none and must not be asked for.
 */
uint16_t headers_ip_checksum(const uint8_t *data, const struct headers *headers)
{
	const uint8_t *ip = data + headers->l3;

	return without_field(checksum_add(0, ip, (ip[0] & 15) * 4U), ip + IPV4_CHECKSUM);
}

/* headers_l4_checksum() - what the TCP or UDP checksum field ought to hold
 *
 * In network byte order, for a frame of @len bytes. A UDP checksum of 0 would
 * mean "none", it is sent as 0xffff.
 */
uint16_t headers_l4_checksum(const uint8_t *data, const struct headers *headers, uint32_t len)
{
	uint64_t sum = headers_pseudo_sum(data, headers, len);
	uint16_t checksum;

	sum = checksum_add(sum, data + headers->l4, len - headers->l4);
	checksum = without_field(sum, data + headers_checksum_at(headers));
	return checksum || headers->protocol == IPPROTO_TCP ? checksum : 0xffff;
}
