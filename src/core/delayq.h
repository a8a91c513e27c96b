/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames that wait until they are due, for one direction of a link.
 *
 * Theory of operation
 *
 * Each frame has a due time of its own and leaves at it, whatever was queued
 * before or after: jitter reorders, and when a delay gets shorter the new frames
 * overtake the old ones. Frames with the same due time leave in the order in
 * which they came, so a constant delay never reorders on a clock that never goes
 * back.
 *
 * A binary heap holds that order, smallest (due time, arrival number) on top.
 * Frames under a constant delay come in order, so they stay where they are put:
 * no work on the way in, a logarithm on the way out.
 *
 * A queue belongs to one thread. Both of its bounds limit memory: the bytes
 * count what frames hold, the frames what keeping them costs on top.
 */
#ifndef CORE_DELAYQ_H
#define CORE_DELAYQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A frame that a queue has let go of. */
struct delayed {
	struct delayed *next;	/* for whoever holds it; NULL when popped */
	uint64_t due_ns;
	uint32_t len;
	uint8_t data[];
};

struct delayq_entry {
	uint64_t due_ns, arrival;
	struct delayed *frame;
};

struct delayq {
	struct delayq_entry *heap;
	size_t count, capacity;		/* entries */
	size_t max_frames;
	uint64_t bytes, max_bytes;
	uint64_t arrivals;
};

void delayq_init(struct delayq *queue, size_t max_frames, uint64_t max_bytes);
void delayq_fini(struct delayq *queue);
bool delayq_push(struct delayq *queue, const uint8_t *data, uint32_t len, uint64_t due_ns);
uint64_t delayq_next_due(const struct delayq *queue);
struct delayed *delayq_pop(struct delayq *queue, uint64_t now_ns);
size_t delayq_clear(struct delayq *queue);
void delayed_free(struct delayed *first);

#endif
