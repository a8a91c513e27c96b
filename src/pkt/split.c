/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From super-frames to wire frames: segmentation and checksum completion.
 *
 * Segments are the same, bit for bit, as if the kernel had made them in
 * software: see tests/unit/test_offload_kernel.c.
 *
 * A super-frame of a tunnel has one more packet around what is to be segmented.
 * The virtio header has no words for that, only the start of the checksum shows
 * it: behind the headers that the frame begins with. All that lies in front of
 * it is repeated in each segment.
 */
#include <config.h>

#include "pkt/offload.h"

#include <endian.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <string.h>

#include "pkt/checksum.h"

/* "Congestion window reduced" (RFC 3168); glibc does not name it everywhere. */
#define TCP_CWR 0x80

/* RFC 2784: a flag in the first byte, a field behind the fixed part. */
#define GRE_HAS_CHECKSUM 0x80
#define GRE_CHECKSUM 4

static void complete_inet(struct frame *frame)
{
	bool udp = frame->vnet.csum_offset == offsetof(struct udphdr, uh_sum);
	uint8_t *start = frame->data + frame->vnet.csum_start;
	uint32_t covered = frame->len - frame->vnet.csum_start;
	uint16_t sum = checksum_fold(checksum_add(0, start, covered));

	/* To UDP, 0 means "no checksum". */
	if (!udp || sum != 0xffff)
		sum = (uint16_t)~sum;
	store_raw16(start + frame->vnet.csum_offset, sum);
}

static void complete_sctp(struct frame *frame)
{
	uint8_t *start = frame->data + frame->vnet.csum_start;
	uint8_t *field = start + frame->vnet.csum_offset;
	uint32_t crc;

	memset(field, 0, sizeof(crc));
	crc = htole32(crc32c(start, frame->len - frame->vnet.csum_start));
	memcpy(field, &crc, sizeof(crc));
}

/* offload_complete() - fill in the checksum that was left to the device
 *
 * @frame: not a super-frame; needs VIRTIO_NET_HDR_F_NEEDS_CSUM, any other is
 * left as it is.
 *
 * Return: true if @frame is a wire frame now; false, and @frame untouched, if
 * its checksum would lie outside of it.
 */
bool offload_complete(struct frame *frame)
{
	const struct virtio_net_hdr *vnet = &frame->vnet;
	uint32_t field_end = (uint32_t)vnet->csum_start + vnet->csum_offset;

	if (vnet->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return false;
	if (offload_is_wire(frame))
		return true;
	field_end += offload_is_sctp(frame) ? 4 : 2;
	if (field_end > frame->len)
		return false;
	if (offload_is_sctp(frame))
		complete_sctp(frame);
	else
		complete_inet(frame);
	memset(&frame->vnet, 0, sizeof(frame->vnet));
	return true;
}

static bool type_matches(uint8_t gso_type, const struct headers *headers)
{
	switch (gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return headers->version == 4 && headers->protocol == IPPROTO_TCP;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return headers->version == 6 && headers->protocol == IPPROTO_TCP;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return headers->protocol == IPPROTO_UDP;
	default:
		return false;
	}
}

static uint32_t segment_size(const struct frame *super, uint32_t payload_len)
{
	return payload_len < super->vnet.gso_size ? payload_len : super->vnet.gso_size;
}

/* The packet within a tunnel, by the end of its IP header. What tunnels put between
 * the two packets has no form of its own, so it is searched for: backwards, in the
 * steps in which IP headers grow.
 */
static bool find_inner(const struct frame *super, uint32_t behind, struct headers *inner)
{
	uint32_t end = super->vnet.csum_start;

	for (uint32_t l3 = end - (uint32_t)sizeof(struct iphdr); l3 >= behind && l3 < end; l3 -= 4) {
		if (headers_parse_at(super->data, super->len, l3, inner) && inner->l4 == end &&
		    type_matches(super->vnet.gso_type, inner) &&
		    headers_lengths_match(super->data, inner, super->len))
			return true;
	}
	return false;
}

static bool checksum_is_at(const struct virtio_net_hdr *vnet, const struct headers *headers)
{
	return vnet->csum_start == headers->l4 &&
	       (uint32_t)vnet->csum_start + vnet->csum_offset == headers_checksum_at(headers);
}

static bool find_headers(const struct frame *super, struct offload_split *split)
{
	const struct virtio_net_hdr *vnet = &super->vnet;
	struct headers outer;

	split->outer.version = 0;
	if (headers_parse(super->data, super->len, &split->headers) &&
	    type_matches(vnet->gso_type, &split->headers) &&
	    (!(vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) ||
	     checksum_is_at(vnet, &split->headers)))
		return true;
	if (!(vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) ||
	    !headers_parse_network(super->data, super->len, &outer) ||
	    !find_inner(super, outer.l4, &split->headers) ||
	    !checksum_is_at(vnet, &split->headers))
		return false;
	split->outer = outer;
	return true;
}

/* Whether a super-frame can be segmented; @split tells where its headers are. */
static bool understand(const struct frame *super, struct offload_split *split)
{
	const struct headers *headers = &split->headers;
	uint32_t l3;

	if (!super->vnet.gso_size || !find_headers(super, split))
		return false;
	l3 = split->outer.version ? split->outer.l3 : headers->l3;
	return headers->end - l3 + segment_size(super, super->len - headers->end) <= IP_MAXPACKET;
}

/* offload_may_pass() - whether a device understands the frame as it is
 *
 * Not so what the kernel tells in words that it would itself take for something
 * else: tunnels, MPLS, and SCTP, are to be made wire frames of.
 */
bool offload_may_pass(const struct frame *frame)
{
	struct offload_split split;

	if (frame->vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return !understand(frame, &split) ||
		       (!split.outer.version && !split.headers.labels);
	return !offload_is_sctp(frame);
}

/* offload_segments() - what a frame counts as on the wire
 *
 * @wire_bytes: set to the length of all its wire frames together
 *
 * Return: how many wire frames. A frame that can not be segmented counts as
 * one, like a wire frame.
 */
unsigned offload_segments(const struct frame *frame, uint64_t *wire_bytes)
{
	struct offload_split split;
	uint32_t payload_len;
	unsigned segments;

	*wire_bytes = frame->len;
	if (frame->vnet.gso_type == VIRTIO_NET_HDR_GSO_NONE || !understand(frame, &split))
		return 1;
	payload_len = frame->len - split.headers.end;
	if (!payload_len)
		return 1;
	segments = (payload_len + frame->vnet.gso_size - 1) / frame->vnet.gso_size;
	*wire_bytes += (uint64_t)(segments - 1) * split.headers.end;
	return segments;
}

/* offload_split_start() - prepare to cut a super-frame into wire frames
 *
 * @super: must stay as it is until the last segment has been taken
 *
 * The headers are parsed, since vnet.hdr_len is only a hint. Like the kernel,
 * this takes all that follows the headers for payload, whatever the length
 * fields say.
 *
 * Return: false if @super is not a super-frame, or makes no sense as one.
 */
bool offload_split_start(struct offload_split *split, struct frame *super)
{
	*split = (struct offload_split){ .super = super };
	if (!understand(super, split))
		return false;
	split->header_len = split->headers.end;
	split->payload_len = super->len - split->header_len;
	return true;
}

static void number_packet(const struct offload_split *split, const struct headers *headers,
			  uint8_t *data)
{
	uint8_t *id = data + headers->l3 + offsetof(struct iphdr, id);

	if (headers->version == 4)
		store16(id, (uint16_t)(load16(id) + split->segment));
}

/* Write what makes a copy of the super-frame's headers those of one segment. */
static void number_segment(const struct offload_split *split, uint8_t *data, bool last)
{
	uint8_t *tcp = data + split->headers.l4;
	uint8_t *seq = tcp + offsetof(struct tcphdr, th_seq);
	uint8_t *flags = tcp + offsetof(struct tcphdr, th_flags);

	number_packet(split, &split->headers, data);
	if (split->headers.protocol != IPPROTO_TCP)
		return;
	store32(seq, load32(seq) + split->next);
	if (!last)
		*flags &= (uint8_t)~(TH_FIN | TH_PUSH);
	if (split->segment)
		*flags &= (uint8_t)~TCP_CWR;
}

static void write_ip_checksum(uint8_t *data, const struct headers *headers)
{
	if (headers->version == 4)
		store_raw16(data + headers->l3 + offsetof(struct iphdr, check),
			    headers_ip_checksum(data, headers));
}

static void write_checksums(uint8_t *data, const struct headers *headers, uint32_t len)
{
	write_ip_checksum(data, headers);
	store_raw16(data + headers_checksum_at(headers),
		    headers_l4_checksum(data, headers, len));
}

static void write_gre_checksum(uint8_t *gre, uint32_t len)
{
	store_raw16(gre + GRE_CHECKSUM, 0);
	store_raw16(gre + GRE_CHECKSUM, (uint16_t)~checksum_fold(checksum_add(0, gre, len)));
}

/* Make the outer packet fit what is in it, which must be complete. */
static void wrap(const struct offload_split *split, uint8_t *data, uint32_t len)
{
	const struct headers *outer = &split->outer;
	uint8_t *l4 = data + outer->l4;

	number_packet(split, outer, data);
	headers_set_lengths(data, outer, len);
	write_ip_checksum(data, outer);
	if (outer->protocol == IPPROTO_UDP && load_raw16(data + headers_checksum_at(outer)))
		store_raw16(data + headers_checksum_at(outer),
			    headers_l4_checksum(data, outer, len));
	if (outer->protocol == IPPROTO_GRE && l4[0] & GRE_HAS_CHECKSUM)
		write_gre_checksum(l4, len - outer->l4);
}

/* offload_split_next() - make the next wire frame of a super-frame
 *
 * @buffer: where to; @room bytes, not overlapping the super-frame
 * @out: set to describe it
 *
 * Return: true if there was one; false at the end (see offload_split_done()), or
 * if @room is too small, after which the same segment may be asked for again.
 */
bool offload_split_next(struct offload_split *split, uint8_t *buffer, uint32_t room,
			struct frame *out)
{
	const struct frame *super = split->super;
	uint32_t left = split->payload_len - split->next;
	uint32_t size = segment_size(super, left);
	uint32_t len = split->header_len + size;

	if (offload_split_done(split) || len > room)
		return false;
	memcpy(buffer, super->data, split->header_len);
	memcpy(buffer + split->header_len, super->data + split->header_len + split->next, size);
	number_segment(split, buffer, size == left);
	headers_set_lengths(buffer, &split->headers, len);
	write_checksums(buffer, &split->headers, len);
	if (split->outer.version)
		wrap(split, buffer, len);
	*out = (struct frame){ .data = buffer, .len = len };
	split->next += size;
	split->segment++;
	return true;
}
