/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Theory of operation
 *
 * To sleep and to be woken costs a processor several microseconds, in a virtual
 * machine tens of them, and whoever sends the wake-up pays too. Where the next event
 * comes sooner than that, it is better to be awake. So a wait may poll: it looks for
 * events without blocking, and lets others have the processor between two looks.
 *
 * It does so where that is likely to pay, or cheap:
 *
 * - after a wait that was short, for BUSYPOLL_MAX at the most: where requests and
 *   answers follow each other closely, the round trip is half as long. Each time in
 *   vain, it takes twice as many short waits before this is tried again.
 * - else for a quarter of the time that was spent on work since the last wait. So
 *   what is spent in vain is bounded by what is done anyway.
 *
 * Nothing that is idle polls: no event, no work, no budget.
 *
 * Where other threads want the same processor, each look would give away a time
 * slice, and events would wait for it that a sleeper is woken for. One look that
 * took that long ends polling for a while.
 */
#include <config.h>

#include "base/busypoll.h"

#include <sched.h>

/* A wait that was shorter than this may be short again; it includes waking up. */
#define DENSE_GAP (50 * NSEC_PER_USEC)

/* What may be spent in vain: this part of the work. Less than the least is not worth it. */
#define WORK_SHARE 4
#define BUSYPOLL_MIN (3 * NSEC_PER_USEC)

/* The most short waits that go by without polling. */
#define SKIP_MAX 255

/* Somebody else ran for so long while we looked: a time slice. */
#define CROWDED (NSEC_PER_MSEC)
#define CROWDED_PAUSE (100 * NSEC_PER_MSEC)

/* busypoll_budget() - nanoseconds that a wait which begins at @now may linger; 0: not at all */
uint64_t busypoll_budget(const struct busypoll *self, uint64_t now)
{
	uint64_t budget = BUSYPOLL_MAX;

	if (!self->woken || now < self->again)
		return 0;
	if (!self->dense)
		budget = (now - self->woken) / WORK_SHARE;
	if (budget < BUSYPOLL_MIN)
		return 0;
	return budget < BUSYPOLL_MAX ? budget : BUSYPOLL_MAX;
}

/* Return: the number of events; 0: it is time to sleep. */
static int look_for(struct busypoll *self, int epoll_fd, struct epoll_event *events, int room,
		    uint64_t budget)
{
	uint64_t now = clock_now(), end = now + budget;

	while (now < end) {
		int count = epoll_wait(epoll_fd, events, room, 0);
		uint64_t before = now;

		if (count != 0)
			return count;
		sched_yield();
		now = clock_now();
		if (now - before > CROWDED)
			self->again = now + CROWDED_PAUSE;
		if (now < self->again)
			return 0;
	}
	return 0;
}

/* What a wait of @gap nanoseconds teaches. */
static void learn(struct busypoll *self, uint64_t gap, bool polled, bool hit)
{
	if (polled && self->dense) {
		self->misses = hit ? 0 : 2 * self->misses + 1;
		if (self->misses > SKIP_MAX)
			self->misses = SKIP_MAX;
		self->skip = self->misses;
	}
	self->dense = gap < DENSE_GAP && !self->skip;
	if (gap < DENSE_GAP && self->skip)
		self->skip--;
}

/* busypoll_wait() - epoll_wait() without a time-out, which may linger before it sleeps
 *
 * Return: as epoll_wait().
 */
int busypoll_wait(struct busypoll *self, int epoll_fd, struct epoll_event *events, int room)
{
	uint64_t begin = clock_now(), budget = busypoll_budget(self, begin);
	int count = budget ? look_for(self, epoll_fd, events, room, budget) : 0;
	bool hit = count != 0;

	if (!hit)
		count = epoll_wait(epoll_fd, events, room, -1);
	self->woken = clock_now();
	learn(self, self->woken - begin, budget > 0, hit);
	return count;
}
