/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "base/loop.h"

#include <errno.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* Timers: a binary heap over a timerfd, because epoll's own time-out counts
 * milliseconds and a delay filter is held to fractions of one.
 */

static void heap_put(struct loop *loop, unsigned place, struct loop_timer *timer)
{
	loop->heap[place] = timer;
	timer->place = place;
}

static void heap_settle(struct loop *loop, unsigned place, struct loop_timer *timer)
{
	while (place > 1 && timer->due < loop->heap[place / 2]->due) {
		heap_put(loop, place, loop->heap[place / 2]);
		place /= 2;
	}
	for (unsigned child = 2 * place; child <= loop->heap_used; child = 2 * place) {
		if (child < loop->heap_used && loop->heap[child + 1]->due < loop->heap[child]->due)
			child++;
		if (timer->due <= loop->heap[child]->due)
			break;
		heap_put(loop, place, loop->heap[child]);
		place = child;
	}
	heap_put(loop, place, timer);
}

static bool heap_grow(struct loop *loop)
{
	unsigned room = loop->heap_room ? 2 * loop->heap_room : 16;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): of a pointer: a heap of pointers */
	struct loop_timer **heap = realloc(loop->heap, room * sizeof(*heap));

	if (!heap)
		return false;
	loop->heap = heap;
	loop->heap_room = room;
	return true;
}

static void arm(struct loop *loop)
{
	uint64_t due = loop->heap_used ? loop->heap[1]->due : LOOP_NEVER;
	struct itimerspec when = { 0 };

	if (due == loop->timer_armed)
		return;
	loop->timer_armed = due;
	if (due != LOOP_NEVER) {
		/* zero would disarm it */
		due = due ? due : 1;
		when.it_value.tv_sec = (time_t)(due / NSEC_PER_SEC);
		when.it_value.tv_nsec = (long)(due % NSEC_PER_SEC);
	}
	timerfd_settime(loop->timer_source.fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void timers_expire(struct loop_source *source, uint32_t events)
{
	struct loop *loop = container_of(source, struct loop, timer_source);
	uint64_t ticks, now;

	(void)events;
	if (read(source->fd, &ticks, sizeof(ticks)) < 0)
		return;
	loop->timer_armed = LOOP_NEVER;
	now = clock_now();
	while (loop->heap_used && loop->heap[1]->due <= now) {
		struct loop_timer *timer = loop->heap[1];

		loop_timer_cancel(loop, timer);
		timer->expired(timer);
	}
	arm(loop);
}

/* loop_timer_set() - have @timer expire at @due; it may be set already
 *
 * Return: false when there is no memory for one more timer.
 */
bool loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t due)
{
	if (!timer->place) {
		if (loop->heap_used + 1 >= loop->heap_room && !heap_grow(loop))
			return false;
		timer->place = ++loop->heap_used;
	}
	timer->due = due;
	heap_settle(loop, timer->place, timer);
	arm(loop);
	return true;
}

/* loop_timer_cancel() - a timer that is not set is fine */
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
	unsigned place = timer->place;
	struct loop_timer *last;

	if (!place)
		return;
	timer->place = 0;
	last = loop->heap[loop->heap_used--];
	if (last != timer)
		heap_settle(loop, place, last);
	/* An alarm that comes too early finds nothing to do and arms the next one. */
}

static void tasks_run(struct loop_source *source, uint32_t events)
{
	struct loop *loop = container_of(source, struct loop, wake_source);
	struct loop_task *task;
	uint64_t count;

	(void)events;
	if (read(source->fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&loop->task_lock);
	task = loop->task_first;
	loop->task_first = NULL;
	loop->task_last = &loop->task_first;
	pthread_mutex_unlock(&loop->task_lock);
	while (task) {
		/* running a task may free it */
		struct loop_task *next = task->next;

		task->run(task);
		task = next;
	}
}

/* loop_post() - have the loop's thread run a task, soon; from any thread
 *
 * The task must live until it has run. Tasks run in the order of posting.
 */
void loop_post(struct loop *loop, struct loop_task *task)
{
	const uint64_t one = 1;
	ssize_t written;

	task->next = NULL;
	pthread_mutex_lock(&loop->task_lock);
	*loop->task_last = task;
	loop->task_last = &task->next;
	pthread_mutex_unlock(&loop->task_lock);
	/* The counter can not overflow, so this can not fail. */
	written = write(loop->wake_source.fd, &one, sizeof(one));
	(void)written;
}

struct call {
	struct loop_task task;
	void (*run)(void *arg);
	void *arg;
	sem_t done;
};

static void call_run(struct loop_task *task)
{
	struct call *call = container_of(task, struct call, task);

	call->run(call->arg);
	sem_post(&call->done);
}

/* loop_call() - have the loop's thread run @run(@arg), and wait until it has
 *
 * Must not be called on the loop's own thread.
 */
void loop_call(struct loop *loop, void (*run)(void *arg), void *arg)
{
	struct call call = { .task.run = call_run, .run = run, .arg = arg };

	sem_init(&call.done, 0, 0);
	loop_post(loop, &call.task);
	while (sem_wait(&call.done) < 0 && errno == EINTR)
		;
	sem_destroy(&call.done);
}

/* loop_add() - watch a file descriptor for @events (EPOLLIN, …), level-triggered */
int loop_add(struct loop *loop, struct loop_source *source, uint32_t events, struct err *err)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0)
		return err_sys(err, errno, "epoll");
	return 0;
}

/* loop_modify() - change what a watched file descriptor is watched for */
void loop_modify(struct loop *loop, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event);
}

/* loop_remove() - stop watching; to be called before the descriptor is closed
 *
 * Events of the source that were already fetched are forgotten too.
 */
void loop_remove(struct loop *loop, struct loop_source *source)
{
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	for (int i = 0; i < loop->event_count; i++) {
		if (loop->event[i].data.ptr == source)
			loop->event[i].data.ptr = NULL;
	}
}

/* loop_init() - make a loop that does not run yet
 *
 * Return: 0 or a negative errno with @err set. Release it with loop_fini().
 */
int loop_init(struct loop *loop, struct err *err)
{
	memset(loop, 0, sizeof(*loop));
	pthread_mutex_init(&loop->task_lock, NULL);
	loop->task_last = &loop->task_first;
	loop->timer_armed = LOOP_NEVER;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->timer_source = (struct loop_source){
		.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC),
		.ready = timers_expire,
	};
	loop->wake_source = (struct loop_source){
		.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
		.ready = tasks_run,
	};
	if (loop->epoll_fd < 0 || loop->timer_source.fd < 0 || loop->wake_source.fd < 0)
		err_sys(err, errno, "event loop");
	else if (!loop_add(loop, &loop->timer_source, EPOLLIN, err) &&
		 !loop_add(loop, &loop->wake_source, EPOLLIN, err))
		return 0;
	loop_fini(loop);
	return -err->code;
}

/* loop_fini() - release a loop that does not run; nothing that it watched is closed */
void loop_fini(struct loop *loop)
{
	cleanup_close(&loop->epoll_fd);
	cleanup_close(&loop->timer_source.fd);
	cleanup_close(&loop->wake_source.fd);
	pthread_mutex_destroy(&loop->task_lock);
	free(loop->heap);
}

static int wait_for_events(struct loop *loop)
{
	if (loop->polls)
		return busypoll_wait(&loop->poll, loop->epoll_fd, loop->event, LOOP_EVENTS);
	return epoll_wait(loop->epoll_fd, loop->event, LOOP_EVENTS, -1);
}

/* loop_run() - serve sources, timers and tasks on this thread until loop_stop() */
void loop_run(struct loop *loop)
{
	loop->stopping = false;
	while (!loop->stopping) {
		loop->event_count = wait_for_events(loop);
		for (int i = 0; i < loop->event_count && !loop->stopping; i++) {
			struct loop_source *source = loop->event[i].data.ptr;

			if (source)
				source->ready(source, loop->event[i].events);
		}
		loop->event_count = 0;
	}
}

/* loop_stop() - end loop_run() after the handler that calls this; on the loop's thread */
void loop_stop(struct loop *loop)
{
	loop->stopping = true;
}

/* loop_round_size() - how many sources were ready at the start of the present round
 *
 * For handlers, to know whether others wait for their turn.
 */
int loop_round_size(const struct loop *loop)
{
	return loop->event_count;
}
