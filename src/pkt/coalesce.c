/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From wire frames to super-frames.
 *
 * Theory of operation
 *
 * The rule is that segmentation must give back the very same frames. So frames
 * form a run if their headers are equal in every bit except for those that
 * segmentation writes, and if each of these holds what segmentation would write
 * there: the IPv4 identification counts up, sequence numbers follow the payload,
 * lengths fit, PSH and FIN are set at the end only, checksums are right. A frame
 * that breaks the rule begins a run of its own or stays alone; nothing is
 * repaired and nothing waits.
 *
 * This is stricter than the kernel's GRO, which also takes a constant
 * identification when DF is set: a virtio header can not say so.
 *
 * Equal headers have the same layout, so only the first frame's are parsed. The
 * others are compared with it under a mask, which costs a few nanoseconds.
 * Payload is read only once a frame is known to continue the run, to verify the
 * checksum.
 */
#include <config.h>

#include "pkt/offload.h"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <string.h>

#include "pkt/checksum.h"

/* "ECN echo" (RFC 3168): lasts for a round trip, so whole runs have it. */
#define TCP_ECE 0x40

#define END_OF_RUN (TH_FIN | TH_PUSH)

struct run {
	const struct frame *first;
	struct headers headers;
	uint32_t segment_len;			/* payload of every frame but the last */
	uint8_t mask[COALESCE_HEADER_MAX];	/* bits that must not differ */
};

static uint8_t tcp_flags(const uint8_t *data, const struct headers *headers)
{
	return data[headers->l4 + offsetof(struct tcphdr, th_flags)];
}

static bool is_plain(const struct frame *frame)
{
	return offload_is_wire(frame) && frame->drop == FRAME_KEEP;
}

static bool may_start(const struct frame *frame, bool udp, struct headers *headers)
{
	if (!is_plain(frame) || !headers_parse(frame->data, frame->len, headers))
		return false;
	if (headers->end > COALESCE_HEADER_MAX || headers->end == frame->len)
		return false;
	/* a virtio header can not say where they end */
	if (headers->labels)
		return false;
	if (headers->protocol == IPPROTO_TCP)
		return (tcp_flags(frame->data, headers) & ~TCP_ECE) == TH_ACK;
	return udp;
}

static void ignore(uint8_t *mask, size_t offset, size_t len)
{
	memset(mask + offset, 0, len);
}

static void run_init(struct run *run, const struct frame *first, const struct headers *headers)
{
	uint8_t *ip = run->mask + headers->l3;
	uint8_t *l4 = run->mask + headers->l4;

	run->first = first;
	run->headers = *headers;
	run->segment_len = first->len - headers->end;
	memset(run->mask, 0xff, headers->end);
	ignore(run->mask, headers_checksum_at(headers), 2);
	if (headers->version == 4) {
		ignore(ip, offsetof(struct iphdr, tot_len), 2);
		ignore(ip, offsetof(struct iphdr, id), 2);
		ignore(ip, offsetof(struct iphdr, check), 2);
	} else {
		ignore(ip, offsetof(struct ip6_hdr, ip6_plen), 2);
	}
	if (headers->protocol == IPPROTO_TCP) {
		ignore(l4, offsetof(struct tcphdr, th_seq), 4);
		l4[offsetof(struct tcphdr, th_flags)] = (uint8_t)~END_OF_RUN;
	} else {
		ignore(l4, offsetof(struct udphdr, uh_ulen), 2);
	}
}

static uint64_t load_word(const uint8_t *data)
{
	uint64_t word;

	memcpy(&word, data, sizeof(word));
	return word;
}

static uint64_t difference(const struct run *run, const uint8_t *data, uint32_t at)
{
	return (load_word(run->first->data + at) ^ load_word(data + at)) &
	       load_word(run->mask + at);
}

static bool headers_alike(const struct run *run, const uint8_t *data)
{
	uint32_t last = run->headers.end - (uint32_t)sizeof(uint64_t);
	uint64_t differs = difference(run, data, last);

	for (uint32_t at = 0; at < last; at += sizeof(uint64_t))
		differs |= difference(run, data, at);
	return !differs;
}

/* Whether @frame is what segmentation puts after @out->frames frames. */
static bool is_next(const struct run *run, const struct coalesced *out,
		    const struct frame *frame)
{
	const struct headers *headers = &run->headers;
	uint32_t id = headers->l3 + (uint32_t)offsetof(struct iphdr, id);
	uint32_t seq = headers->l4 + (uint32_t)offsetof(struct tcphdr, th_seq);
	const uint8_t *first = run->first->data;

	if (frame->len <= headers->end || frame->len > run->first->len || !is_plain(frame) ||
	    out->len + frame->len - headers->end - headers->l3 > IP_MAXPACKET)
		return false;
	if (!headers_alike(run, frame->data))
		return false;
	if (headers->version == 4 &&
	    load16(frame->data + id) != (uint16_t)(load16(first + id) + out->frames))
		return false;
	return headers->protocol != IPPROTO_TCP ||
	       load32(frame->data + seq) == load32(first + seq) + out->len - headers->end;
}

/* Whether lengths and checksums are as segmentation would write them. */
static bool is_sound(const struct run *run, const struct frame *frame)
{
	const struct headers *headers = &run->headers;
	const uint8_t *data = frame->data;
	const uint8_t *ip_checksum = data + headers->l3 + offsetof(struct iphdr, check);
	const uint8_t *l4_checksum = data + headers_checksum_at(headers);

	if (!headers_lengths_match(data, headers, frame->len))
		return false;
	if (headers->version == 4 &&
	    load_raw16(ip_checksum) != headers_ip_checksum(data, headers))
		return false;
	return load_raw16(l4_checksum) == headers_l4_checksum(data, headers, frame->len);
}

static bool ends_run(const struct run *run, const struct frame *frame)
{
	return frame->len < run->first->len ||
	       (run->headers.protocol == IPPROTO_TCP &&
		tcp_flags(frame->data, &run->headers) & END_OF_RUN);
}

static struct iovec payload(const struct run *run, const struct frame *frame)
{
	return (struct iovec){
		.iov_base = frame->data + run->headers.end,
		.iov_len = frame->len - run->headers.end,
	};
}

static void append(const struct run *run, const struct frame *frame, struct coalesced *out)
{
	struct iovec *piece = &out->piece[++out->frames];

	*piece = payload(run, frame);
	out->len += (uint32_t)piece->iov_len;
}

static uint8_t gso_type(const struct headers *headers)
{
	if (headers->protocol == IPPROTO_UDP)
		return VIRTIO_NET_HDR_GSO_UDP_L4;
	return headers->version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
}

/* Write the super-frame's own headers, once all frames are in it. */
static void finish(const struct run *run, const struct frame *last, struct coalesced *out)
{
	const struct headers *headers = &run->headers;
	uint32_t flags = headers->l4 + (uint32_t)offsetof(struct tcphdr, th_flags);
	uint32_t checksum = headers_checksum_at(headers);

	memcpy(out->header, run->first->data, headers->end);
	if (headers->protocol == IPPROTO_TCP)
		out->header[flags] = last->data[flags];
	headers_set_lengths(out->header, headers, out->len);
	if (headers->version == 4)
		store_raw16(out->header + headers->l3 + offsetof(struct iphdr, check),
			    headers_ip_checksum(out->header, headers));
	store_raw16(out->header + checksum,
		    checksum_fold(headers_pseudo_sum(out->header, headers, out->len)));
	out->pieces = 1 + out->frames;
	out->piece[0] = (struct iovec){ .iov_base = out->header, .iov_len = headers->end };
	out->piece[1] = payload(run, run->first);
	out->vnet = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = gso_type(headers),
		.gso_size = (uint16_t)run->segment_len,
		.hdr_len = headers->end,
		.csum_start = headers->l4,
		.csum_offset = (uint16_t)(checksum - headers->l4),
	};
}

static void leave_alone(const struct frame *frame, struct coalesced *out)
{
	out->frames = 1;
	out->len = frame->len;
	out->pieces = 1;
	out->piece[0] = (struct iovec){ .iov_base = frame->data, .iov_len = frame->len };
	if (offload_is_wire(frame))
		out->vnet = (struct virtio_net_hdr){ 0 };
	else
		out->vnet = frame->vnet;
}

/* coalesce_run() - make one super-frame of as many of the next frames as belong together
 *
 * @frames: in the order in which they travel; frames that are dropped or are
 *          no wire frames stay alone
 * @count: how many, at least 1
 * @udp: whether the reader knows VIRTIO_NET_HDR_GSO_UDP_L4
 * @out: set to describe the first @out->frames of them. It points into the
 *       frames and into itself: not to be copied, and valid as long as they are.
 */
void coalesce_run(const struct frame *frames, unsigned count, bool udp, struct coalesced *out)
{
	struct headers headers;
	struct run run;

	leave_alone(frames, out);
	if (count < 2 || !may_start(frames, udp, &headers))
		return;
	run_init(&run, frames, &headers);
	while (out->frames < count && out->frames < COALESCE_MAX) {
		const struct frame *frame = &frames[out->frames];

		if (!is_next(&run, out, frame))
			break;
		/* The first frame's payload is not looked at before it has a successor. */
		if (out->frames == 1 && !is_sound(&run, frames))
			break;
		if (!is_sound(&run, frame))
			break;
		append(&run, frame, out);
		if (ends_run(&run, frame))
			break;
	}
	if (out->frames > 1)
		finish(&run, &frames[out->frames - 1], out);
}
