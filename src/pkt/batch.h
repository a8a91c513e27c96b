/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames, and the batches in which they travel through a pump.
 *
 * Theory of operation
 *
 * System calls and wake-ups cost more than the work on a frame, so a pump takes
 * what its source has, up to a bound, and hands all of it on at once. A batch
 * is that portion. It has two parts:
 *
 * - slots: large receive buffers, each able to hold whatever one receive call
 *   may deliver (a 64 KiB super-frame, a train of datagrams). They are lent to
 *   nio_ops.recv for the time of one call chain and hold no data between two.
 * - frames: descriptors that point into a slot (or, for frames made on the way,
 *   into the arena). One slot may be described by many frames: a UDP train is
 *   cut where it lies.
 *
 * Each frame carries a struct virtio_net_hdr in host byte order, the kernel's
 * own words for "segment size", "checksum to be filled in from here". A frame
 * whose header is all zero is a wire frame: complete, as it would be on a cable.
 * Anything else must pass through offload_*() before a reader that needs wire
 * frames sees it.
 *
 * A frame that must not go further is not taken out, it gets a reason in @drop:
 * positions stay, and whoever counts finds each frame exactly once.
 *
 * Ownership: a batch belongs to one worker thread. Slot memory is reserved once
 * and touched only where data arrives, so an idle worker costs next to nothing.
 */
#ifndef PKT_BATCH_H
#define PKT_BATCH_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* The most that one frame can be: the largest IP packet, an Ethernet header, two tags. */
#define FRAME_MAX (65535 + 14 + 8)

/* Bytes that may be written in front of a frame that a NIO has just received. */
#define FRAME_HEADROOM 64

enum frame_drop {
	FRAME_KEEP,		/* not dropped: still to be sent, or sent */
	DROP_FILTER,		/* a packet filter said so */
	DROP_QUEUE,		/* a delay queue was full */
	DROP_DOWN,		/* the interface is down or gone */
	DROP_REFUSED,		/* nobody listens at the peer, or it can not be reached */
	DROP_NO_BUFFER,		/* no room in a socket's buffer */
	DROP_TOO_LONG,		/* longer than the way out takes */
	DROP_RUNT,		/* too short to be a frame there */
	DROP_ERROR,		/* any other error of the way out */
	DROP_QUEUED,		/* not lost: a delay queue holds it and will send it */
	DROP_COUNT
};

struct frame {
	uint8_t *data;
	uint32_t len;
	enum frame_drop drop;
	struct virtio_net_hdr vnet;	/* all zero: a wire frame */
};

#define BATCH_SLOTS 64
#define BATCH_FRAMES 8192
#define BATCH_ARENA (1024 * 1024)

struct batch {
	unsigned count;			/* frames in use */
	struct frame *frame;		/* BATCH_FRAMES of them */
	uint8_t *slot_memory;
	uint8_t *arena;			/* for frames made on the way */
	uint32_t arena_used;
};

int batch_init(struct batch *batch, struct err *err);
void batch_fini(struct batch *batch);
void batch_clear(struct batch *batch);
uint8_t *batch_slot(struct batch *batch, unsigned index);
bool batch_drop(struct batch *batch, enum frame_drop reason);
struct frame *batch_add(struct batch *batch, uint8_t *data, uint32_t len);

static inline unsigned batch_room(const struct batch *batch)
{
	return BATCH_FRAMES - batch->count;
}

#endif
