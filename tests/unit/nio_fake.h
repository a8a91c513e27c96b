/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A NIO for tests: queues in memory in place of a device, errors by script.
 *
 * The test feeds frames at one end and takes away at the other what a link has
 * sent. Any thread may do that while a worker uses the NIO.
 */
#ifndef TESTS_UNIT_NIO_FAKE_H
#define TESTS_UNIT_NIO_FAKE_H

#include <linux/virtio_net.h>
#include <pthread.h>

#include "nio/nio.h"

#define FAKE_FRAMES 20000
#define FAKE_WAIT_MS 10000

struct fake_frame {
	uint8_t *data;
	uint32_t len;
	struct virtio_net_hdr vnet;
	uint64_t when;			/* it was put there, monotonic */
};

struct fake_queue {
	struct fake_frame frame[FAKE_FRAMES];
	unsigned first, end;
};

struct nio_fake {
	struct nio nio;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct fake_queue in, out;

	/* the script */
	unsigned gone;			/* how many receive calls fail */
	unsigned not_yet;		/* how many attempts to revive it fail */
	bool ageing;			/* the next receive call wants a renewal … */
	unsigned renewing;		/* … which takes so many looks */
	unsigned refuse;		/* how many frames are not sent … */
	enum frame_drop reason;		/* … and why */
	bool full;			/* there is no room for any frame … */
	unsigned room;			/* … but for so many of each send call */

	/* what happened */
	unsigned largest_batch;
	unsigned revivals;
	unsigned moves;			/* that it was told of while no link ran with it */
	unsigned disturbed;		/* calls during a renewal */
};

struct nio_fake *nio_fake_new(const char *desc);
void nio_fake_feed(struct nio_fake *fake, const void *data, uint32_t len,
		   const struct virtio_net_hdr *vnet);
void nio_fake_vanish(struct nio_fake *fake, unsigned not_yet);
void nio_fake_age(struct nio_fake *fake, unsigned renewing);
void nio_fake_refuse(struct nio_fake *fake, unsigned count, enum frame_drop reason);
void nio_fake_fill(struct nio_fake *fake, bool full);
void nio_fake_drain_slowly(struct nio_fake *fake, unsigned room);
struct fake_frame nio_fake_take(struct nio_fake *fake);
unsigned nio_fake_pending(struct nio_fake *fake);
unsigned nio_fake_revivals(struct nio_fake *fake);

#endif
