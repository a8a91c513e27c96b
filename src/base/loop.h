/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An event loop: file descriptors, timers, and work that other threads hand in.
 *
 * Theory of operation
 *
 * A loop belongs to the thread that runs it. Sources and timers are embedded in
 * what they serve and are touched by that thread only; a loop that does not run
 * yet may be prepared by the thread that made it. The one way in for other
 * threads is a task: loop_post() returns at once, loop_call() when it is done.
 * That is what replaces locks here: whoever wants to change something that a
 * loop's thread owns has that thread do it.
 *
 * Two threads must not loop_call() each other's loops. Calls go one way only,
 * from the control thread to workers.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/err.h"
#include "base/busypoll.h"

#define LOOP_EVENTS 64
#define LOOP_NEVER UINT64_MAX

struct loop_source {
	int fd;
	void (*ready)(struct loop_source *source, uint32_t events);
};

struct loop_timer {
	uint64_t due;		/* monotonic nanoseconds */
	unsigned place;		/* position in the heap, from 1; 0: not set */
	void (*expired)(struct loop_timer *timer);
};

struct loop_task {
	struct loop_task *next;
	void (*run)(struct loop_task *task);
};

struct loop {
	int epoll_fd;
	bool stopping;
	bool polls;			/* for threads that frames wait for, set before it runs */
	struct busypoll poll;

	/* the events of this round, so that a source that goes away is forgotten */
	struct epoll_event event[LOOP_EVENTS];
	int event_count;

	struct loop_source timer_source;
	uint64_t timer_armed;		/* when the timerfd goes off, LOOP_NEVER: never */
	struct loop_timer **heap;	/* from index 1, earliest first */
	unsigned heap_used, heap_room;

	struct loop_source wake_source;
	pthread_mutex_t task_lock;
	struct loop_task *task_first, **task_last;
};

int loop_init(struct loop *loop, struct err *err);
void loop_fini(struct loop *loop);
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
int loop_round_size(const struct loop *loop);

int loop_add(struct loop *loop, struct loop_source *source, uint32_t events, struct err *err);
void loop_modify(struct loop *loop, struct loop_source *source, uint32_t events);
void loop_remove(struct loop *loop, struct loop_source *source);

bool loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t due);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);

void loop_post(struct loop *loop, struct loop_task *task);
void loop_call(struct loop *loop, void (*run)(void *arg), void *arg);

#endif
