/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What network cards do for the kernel, done in user space: segmentation,
 * checksum completion, and the way back, coalescing. Pure functions on memory.
 */
#ifndef PKT_OFFLOAD_H
#define PKT_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "pkt/batch.h"
#include "pkt/headers.h"

/* Kernel headers before 6.2 lack it. */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* offload_is_wire() - whether a frame is complete as it stands */
static inline bool offload_is_wire(const struct frame *frame)
{
	return !(frame->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) &&
	       frame->vnet.gso_type == VIRTIO_NET_HDR_GSO_NONE;
}

/* offload_is_sctp() - whether the checksum to be filled in is SCTP's CRC32c
 *
 * The kernel asks for it in the words for an Internet checksum. Of the protocols
 * that leave checksums to the device only SCTP has its own at this offset.
 */
static inline bool offload_is_sctp(const struct frame *frame)
{
	return frame->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM && frame->vnet.csum_offset == 8;
}

/* offload_is_tagged_super() - whether a frame is a super-frame with a VLAN tag */
static inline bool offload_is_tagged_super(const struct frame *frame)
{
	return frame->vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE &&
	       headers_is_tagged(frame->data, frame->len);
}

/* A super-frame on its way to being wire frames. */
struct offload_split {
	struct frame *super;
	struct headers headers;
	struct headers outer;		/* of a tunnel; its version is 0: there is none */
	uint32_t header_len;	/* Ethernet to the end of the innermost header */
	uint32_t payload_len;	/* payload bytes in all */
	uint32_t next;		/* offset of the first payload byte not yet given out */
	uint32_t segment;	/* index of the next segment */
};

/* offload_split_done() - whether all segments have been given out */
static inline bool offload_split_done(const struct offload_split *split)
{
	return split->segment && split->next >= split->payload_len;
}

unsigned offload_segments(const struct frame *frame, uint64_t *wire_bytes);
bool offload_may_pass(const struct frame *frame);
bool offload_complete(struct frame *frame);
bool offload_split_start(struct offload_split *split, struct frame *super);
bool offload_split_next(struct offload_split *split, uint8_t *buffer, uint32_t room,
			struct frame *out);

void offload_infer(struct frame *frame, uint32_t mtu, bool checksum_open);

/* A run of wire frames as one super-frame: headers in @header, then pieces of
 * the frames' payloads, ready for a gathering write behind a virtio header.
 */
#define COALESCE_MAX 64
#define COALESCE_HEADER_MAX 192

struct coalesced {
	unsigned frames;		/* how many frames of the run are in it, at least 1 */
	struct virtio_net_hdr vnet;
	uint32_t len;			/* of the super-frame */
	unsigned pieces;		/* entries of @piece in use */
	struct iovec piece[1 + COALESCE_MAX];
	uint8_t header[COALESCE_HEADER_MAX];
};

void coalesce_run(const struct frame *frames, unsigned count, bool udp, struct coalesced *out);

#endif
