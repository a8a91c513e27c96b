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
 *   Errors that concern one frame or one moment are counted (nio_count_error()). A
 *   negative return value means that the device behind the NIO is gone: the pump
 *   forwards what the batch has nevertheless, then leaves the NIO alone and calls
 *   revive() from time to time.
 *   A NIO whose kernel queue is deep may set streaming: the pump then lets it fill for a moment.
 * - send() sends all frames of a batch whose drop is FRAME_KEEP, in order, without
 *   waiting, and gives those that did not leave their reason. It gets frames that
 *   are not wire frames only if takes_gso is set. If patient is set, DROP_NO_BUFFER
 *   ends the batch: no frame behind such a one has been sent, and all of them are
 *   given to send() again later.
 *   The errno of the last call that failed stays where it is, for the pump to note.
 * - revive() tries to get the device back. A NIO without it is never gone.
 * - renew() attaches to the device anew, because recv() has set wants_renewal or somebody else
 *   wants it. It does not wait, and returns whether it is over: if not, it is called again some
 *   time later, and nothing else is meanwhile; optional.
 * - before_move() does the same and waits for it, where no link runs with the NIO; optional.
 * - swap() puts the device of another NIO behind this one, and gives back the one
 *   that it had, as a NIO to be closed, or NULL; optional.
 * - state() is a word about the device for people; control thread; optional.
 *
 * revive(), renew(), before_move() and swap() may change fd and the properties below it.
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
	bool (*renew)(struct nio *nio);
	void (*before_move)(struct nio *nio);
	struct nio *(*swap)(struct nio *nio, struct nio *device);
	const char *(*state)(const struct nio *nio);
	void (*close)(struct nio *nio);
};

struct nio_counters {
	uint64_t in_frames, in_bytes;
	uint64_t out_frames, out_bytes;
	uint64_t drop[DROP_COUNT];	/* frames that were to leave here and did not, and those
					 * that found the socket full: see nio_count_missed() */
	uint64_t errors;		/* failed receive calls, and what came and was no frame */

	/* the last thing that went wrong, see nio_note_error() */
	uint64_t last_error_ns;		/* when, monotonic; 0: never */
	int last_error;			/* errno; 0: see last_drop */
	enum frame_drop last_drop;	/* FRAME_KEEP: it was a receive call */
	uint64_t last_error_out;	/* out_frames at that moment */
};

struct nio {
	const struct nio_ops *ops;
	int fd;				/* what the worker waits on; -1: nothing */
	char *desc;			/* as `bridge show` tells it */
	bool takes_gso;			/* send() understands super-frames */
	bool untagged_gso;		/* but not those with VLAN tags */
	bool patient;			/* its peer's queue is short: wait where it is full */
	bool streaming;			/* frames come one by one, faster than they are taken */
	bool wants_renewal;		/* see renew() … */
	bool busy;			/* … which is under way */
	bool gone;			/* the device is away, see revive() and swap() */
	int gone_error;			/* the errno that says why, while it is gone */
	uint32_t missed;		/* of the kernel's count: what is in ours already */
	uint64_t serial;		/* given with its place in a bridge, and never again */
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

bool nio_is_tap(const struct nio *nio);
bool nio_tap_is_device(const struct nio *nio, const char *name);

void nio_count_error(struct nio *nio, int error);
void nio_note_error(struct nio *nio, enum frame_drop drop, int error);
void nio_count_missed(struct nio *nio);
void nio_forget_missed(struct nio *nio);
const char *nio_error_text(const struct nio_counters *counters);

void nio_close(struct nio *nio);
void nio_close_later(struct nio *nio);

#endif
