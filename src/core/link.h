/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A link: two NIOs, the filters and the capture between them, and the two pumps
 * that move frames from one to the other.
 *
 * Theory of operation
 *
 * A link belongs to the control thread until it is started, and to one worker
 * from then until it is stopped. All functions here are for the control thread;
 * where the link runs, they have its worker do the work and return when it is
 * done. So a pump never takes a lock, finds half of a change, or uses something
 * that was freed, and a change is in force when its command is answered.
 *
 * Both pumps of a link are on the same worker. Filters that count over both
 * directions, the order of frames in a capture, and counters need no atomics.
 *
 * A bridge is a link with a name; each port of an IOL bridge is one too.
 */
#ifndef CORE_LINK_H
#define CORE_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "capture/capture.h"
#include "core/delayq.h"
#include "core/worker.h"
#include "filter/filter.h"
#include "nio/nio.h"

/* Position of a NIO in a link. */
enum side { SIDE_SOURCE, SIDE_DESTINATION, SIDE_COUNT };

/* One direction: from the NIO on its own side to the other. */
struct pump {
	struct link *link;
	enum side side;			/* of the NIO that it receives from */
	struct loop_source source;
	struct loop_timer revive;
	struct delayq delayed;
	struct loop_timer release;
	struct delayq blocked;		/* what a patient NIO had no room for, in order */
	struct loop_timer retry;
	uint64_t retry_after;		/* nanoseconds */
	bool watching;
};

/* How packet debugging speaks of a link: "Received N bytes on bridge 'NAME' (source NIO)". */
struct link_words {
	const char *received[SIDE_COUNT];	/* between the number and the name */
	const char *received_end[SIDE_COUNT];	/* behind the name */
	const char *dropped;			/* "bridge" */
	unsigned extra[SIDE_COUNT];		/* header bytes that were counted too */
};

struct link {
	char *name;
	const struct link_words *words;
	struct nio *nio[SIDE_COUNT];
	struct filter_chain filters;
	struct capture *capture;
	struct pump pump[SIDE_COUNT];
	struct worker *worker;		/* NULL while it is stopped */
};

/* Options of the program, set before the first link is made. */
struct link_options {
	unsigned debug;			/* 1: a line for each packet, 2: with its bytes */
	uint64_t seed;			/* of the filters' random numbers */
	uint32_t delay_frames;		/* bounds of a delay queue, for each direction */
	uint64_t delay_bytes;
};
extern struct link_options link_options;

int link_init(struct link *link, const char *name, const struct link_words *words,
	      struct err *err);
void link_fini(struct link *link);
int link_rename(struct link *link, const char *name, struct err *err);

int link_start(struct link *link, struct worker *worker, struct err *err);
void link_stop(struct link *link);
void link_do(struct link *link, void (*run)(void *arg), void *arg);

void link_before_move(struct link *link, enum side side);
bool link_device_is_gone(struct link *link, enum side side);
struct nio *link_swap_device(struct link *link, enum side side, struct nio *device);

bool link_add_filter(struct link *link, struct filter *filter);
bool link_delete_filter(struct link *link, const char *name);
void link_reset_filters(struct link *link);

bool link_is_capturing(struct link *link);
void link_set_capture(struct link *link, struct capture *capture);

void link_get_counters(struct link *link, struct nio_counters out[SIDE_COUNT]);
void link_reset_counters(struct link *link);

/* For whoever receives frames in place of a pump; on the worker. */
void pump_forward(struct pump *pump, struct batch *batch);

#endif
