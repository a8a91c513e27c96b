/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Network endpoints (NIOs).
 *
 * A NIO takes and gives Ethernet frames in batches. It is opened by the control
 * thread, used by the worker of the link that it belongs to while the link
 * runs, and closed by the control thread after that.
 *
 * The contract of a back-end:
 *
 * - recv() adds what has arrived to a batch, without waiting, up to a bound that
 *   keeps other links of the worker served. Nothing there is not an error.
 *   Errors that concern one frame or one moment are counted and forgotten. A
 *   negative return value means that the device behind the NIO is gone: the pump
 *   then leaves the NIO alone and calls revive() from time to time.
 * - send() sends all frames of a batch whose drop is FRAME_KEEP, in order, without
 *   waiting, and gives those that did not leave their reason. It gets frames that
 *   are not wire frames only if takes_gso is set. If patient is set, DROP_NO_BUFFER
 *   ends the batch: no frame behind such a one has been sent, and all of them are
 *   given to send() again later.
 * - revive() tries to get the device back. A NIO without it is never gone.
 * - before_move() is told that the device goes to another namespace; optional.
 *
 * recv(), revive() and before_move() may change fd.
 *
 * Counters are written where the NIO is used and therefore exact there: to read
 * or reset them, go through link_get_counters() and link_reset_counters().
 */
#ifndef NIO_NIO_H
#define NIO_NIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "pkt/batch.h"

struct nio;

struct nio_ops {
	const char *kind;
	int (*recv)(struct nio *nio, struct batch *batch);
	void (*send)(struct nio *nio, struct batch *batch);
	int (*revive)(struct nio *nio, struct err *err);
	void (*before_move)(struct nio *nio);
	void (*close)(struct nio *nio);
};

struct nio_counters {
	uint64_t in_frames, in_bytes;
	uint64_t out_frames, out_bytes;
	uint64_t drop[DROP_COUNT];	/* frames that were to leave here and did not */
	uint64_t errors;		/* failed receive calls */
};

struct nio {
	const struct nio_ops *ops;
	int fd;				/* what the worker waits on; -1: nothing */
	char *desc;			/* as `bridge show` tells it */
	bool takes_gso;			/* send() understands super-frames */
	bool patient;			/* its peer's queue is short: wait where it is full */
	bool gone;			/* the device is away, see revive() */
	struct nio_counters counters;
};

/* Whether devices are asked for super-frames and checksum offload: an option of
 * the program, set before the first NIO is opened.
 */
extern bool nio_offload;

struct nio *nio_tap_open(const char *device, struct err *err);
struct nio *nio_raw_open(const char *interface, struct err *err);
struct nio *nio_ethernet_open(const char *interface, struct err *err);
struct nio *nio_unix_open(const char *local, const char *remote, struct err *err);

void nio_close(struct nio *nio);

#endif
