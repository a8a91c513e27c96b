/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Waiting for events without going to sleep, for a moment, where that is likely to pay. */
#ifndef BASE_BUSYPOLL_H
#define BASE_BUSYPOLL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/clock.h"

/* The longest that one wait looks again and again before it sleeps. */
#define BUSYPOLL_MAX (30 * NSEC_PER_USEC)

/* Touched by the one thread that waits; zero is how it begins. */
struct busypoll {
	uint64_t woken;		/* when the last wait ended, monotonic; 0: there was none */
	bool dense;		/* that wait was short, and polling has paid lately */
	unsigned misses;	/* grows with each time in vain */
	unsigned skip;		/* short waits until the next try */
	uint64_t again;		/* not before this time: others want the processor */
};

uint64_t busypoll_budget(const struct busypoll *self, uint64_t now);
int busypoll_wait(struct busypoll *self, int epoll_fd, struct epoll_event *events, int room);

#endif
