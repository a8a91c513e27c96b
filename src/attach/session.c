/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "attach/session.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

/* Calls to the engine at the same time. */
#define JOBS_MAX 8

/* Events that may wait for the control thread. */
#define RING_SIZE 64

/* How often the engine is asked for what runs, while somebody waits. */
#define LOOK_INTERVAL (1200 * NSEC_PER_MSEC)

/* How long the end of the program waits for the watch and for jobs, which were told to give up. */
#define LAST_WAIT_S 2

/* What the watch's thread hands over; under its lock. */
struct inbox {
	pthread_mutex_t lock;
	struct loop_task task;
	bool posted;			/* the task is under way */
	bool gap;			/* events may have been lost */
	bool connected;
	struct err why;			/* of the last disconnection; code 0: told already */
	struct engine_event ring[RING_SIZE];
	unsigned first, count;
};

static struct loop *loop;
static struct engine *engine;
static struct engine_watch *watch;
static struct inbox *inbox;
static struct session_listener *listeners;
static struct session_job *queue, **queue_end = &queue;
static unsigned engine_jobs, all_jobs;
static struct loop_timer look_timer, last_timer;
static bool look_running, ending, abandoned;
static enum session_stream stream;

/* ---- jobs */

static void start_queued(void);

static void job_over(struct session_job *job)
{
	all_jobs--;
	job->done(job);
	if (ending && !all_jobs)
		loop_stop(loop);
}

static void job_work(struct job *base)
{
	struct session_job *job = container_of(base, struct session_job, job);

	job->work(job, engine);
}

static void job_done_engine(struct job *base)
{
	struct session_job *job = container_of(base, struct session_job, job);

	engine_jobs--;
	job_over(job);
	start_queued();
}

static void job_done_now(struct job *base)
{
	job_over(container_of(base, struct session_job, job));
}

static void start_queued(void)
{
	while (queue && engine_jobs < JOBS_MAX) {
		struct session_job *job = queue;

		queue = job->next;
		if (!queue)
			queue_end = &queue;
		engine_jobs++;
		if (job->err.code || job_start(&job->job, &job->err) < 0)
			job_skip(&job->job);
	}
}

static int open_engine(struct err *err)
{
	struct endpoint_settings settings;

	if (engine)
		return 0;
	if (endpoint_settings_from_env(&settings, err) < 0)
		return -err->code;
	return engine_open(&settings, ENGINE_TIMEOUT_MS, &engine, err);
}

/* session_run() - have work() called on another thread, and done() after it
 *
 * The job stays the caller's until done(), which is called in any case, but not
 * from here.
 */
void session_run(struct session_job *job)
{
	job->err.code = 0;
	job->job = (struct job){ .work = job_work, .done = job_done_engine };
	job->next = NULL;
	open_engine(&job->err);
	all_jobs++;
	*queue_end = job;
	queue_end = &job->next;
	start_queued();
}

/* session_run_now() - the same without waiting for other jobs: for what somebody waits for,
 * and for what asks no engine
 */
void session_run_now(struct session_job *job)
{
	job->err.code = 0;
	job->job = (struct job){ .work = job_work, .done = job_done_now };
	all_jobs++;
	if (open_engine(&job->err) < 0 || job_start(&job->job, &job->err) < 0)
		job_skip(&job->job);
}

/* ---- from the watch's thread */

/* Both with the lock held. */
static void post(void)
{
	if (!inbox->posted)
		loop_post(loop, &inbox->task);
	inbox->posted = true;
}

static void note_gap(void)
{
	inbox->gap = true;
	inbox->count = 0;
}

static void on_connected(struct engine_listener *listener)
{
	(void)listener;
	pthread_mutex_lock(&inbox->lock);
	note_gap();
	inbox->connected = true;
	post();
	pthread_mutex_unlock(&inbox->lock);
}

static void on_disconnected(struct engine_listener *listener, const struct err *why)
{
	(void)listener;
	pthread_mutex_lock(&inbox->lock);
	inbox->connected = false;
	inbox->why = *why;
	post();
	pthread_mutex_unlock(&inbox->lock);
}

static bool matters(enum engine_action action)
{
	switch (action) {
	case ENGINE_EVENT_START:
	case ENGINE_EVENT_RESTART:
	case ENGINE_EVENT_UNPAUSE:
	case ENGINE_EVENT_RENAME:
	case ENGINE_EVENT_DIE:
	case ENGINE_EVENT_DESTROY:
		return true;
	default:
		return false;
	}
}

static void on_event(struct engine_listener *listener, const struct engine_event *event)
{
	(void)listener;
	if (!matters(event->action))
		return;
	pthread_mutex_lock(&inbox->lock);
	if (inbox->count == RING_SIZE)
		note_gap();
	inbox->ring[(inbox->first + inbox->count++) % RING_SIZE] = *event;
	post();
	pthread_mutex_unlock(&inbox->lock);
}

static struct engine_listener watch_listener = {
	.connected = on_connected,
	.disconnected = on_disconnected,
	.event = on_event,
};

/* ---- to the listeners */

static void tell_event(const struct engine_event *event, bool fresh)
{
	struct session_listener *next;

	for (struct session_listener *each = listeners; each; each = next) {
		next = each->next;
		each->event(each, event, fresh);
	}
}

static void tell_refresh(void)
{
	struct session_listener *next;

	for (struct session_listener *each = listeners; each; each = next) {
		next = each->next;
		each->refresh(each);
	}
}

static bool take_event(struct engine_event *event)
{
	bool taken;

	pthread_mutex_lock(&inbox->lock);
	taken = inbox->count;
	if (taken) {
		*event = inbox->ring[inbox->first];
		inbox->first = (inbox->first + 1) % RING_SIZE;
		inbox->count--;
	}
	pthread_mutex_unlock(&inbox->lock);
	return taken;
}

static void take_inbox(struct loop_task *task)
{
	struct engine_event event;
	struct err why;
	bool gap;

	(void)task;
	pthread_mutex_lock(&inbox->lock);
	inbox->posted = false;
	gap = inbox->gap;
	inbox->gap = false;
	stream = inbox->connected ? SESSION_CONNECTED : SESSION_CONNECTING;
	why = inbox->why;
	inbox->why.code = 0;
	pthread_mutex_unlock(&inbox->lock);
	if (why.code)
		log_error("%s", why.text);
	if (gap)
		tell_refresh();
	for (unsigned i = 0; i < RING_SIZE && take_event(&event); i++)
		tell_event(&event, true);
}

/* ---- looking for what no event has told of */

struct look {
	struct session_job job;
	struct engine_summary *list;
	size_t count;
};

static void look_work(struct session_job *job, struct engine *with)
{
	struct look *look = container_of(job, struct look, job);
	struct err err;

	if (engine_list_running(with, &look->list, &look->count, &err) < 0)
		look->count = 0;
}

static bool somebody_waits(void)
{
	for (const struct session_listener *each = listeners; each; each = each->next) {
		if (each->waiting)
			return true;
	}
	return false;
}

static void look_later(void)
{
	if (!look_running && !ending && somebody_waits() && !look_timer.place)
		loop_timer_set(loop, &look_timer, clock_now() + LOOK_INTERVAL);
}

static void look_done(struct session_job *job)
{
	struct look *look = container_of(job, struct look, job);
	struct engine_event event = { .action = ENGINE_EVENT_START };

	for (size_t i = 0; i < look->count; i++) {
		strcpy(event.id, look->list[i].id);
		strcpy(event.name, look->list[i].name);
		tell_event(&event, false);
	}
	free(look->list);
	free(look);
	look_running = false;
	look_later();
}

static void look(struct loop_timer *timer)
{
	struct look *made;

	(void)timer;
	/* without a connection nothing can be learnt, and with a new one all is looked at */
	if (!somebody_waits() || stream != SESSION_CONNECTED ||
	    !(made = calloc(1, sizeof(*made)))) {
		look_later();
		return;
	}
	made->job.work = look_work;
	made->job.done = look_done;
	look_running = true;
	session_run(&made->job);
}

/* session_listen() - have a listener hear of what happens; see session_watch() */
void session_listen(struct session_listener *listener)
{
	listener->next = listeners;
	listeners = listener;
	session_expect(listener, 0);
}

/* session_unlisten() - a listener that does not listen is fine */
void session_unlisten(struct session_listener *listener)
{
	struct session_listener **place = &listeners;

	while (*place && *place != listener)
		place = &(*place)->next;
	if (*place)
		*place = listener->next;
}

/* session_expect() - a listener waits for so many containers more, or less */
void session_expect(struct session_listener *listener, int more)
{
	listener->waiting += (unsigned)more;
	look_later();
}

/* ---- beginning and end */

/* session_watch() - follow the engine's events, from now on
 *
 * That there is no engine is no error: it may come. Return: 0, or a negative errno
 * with @err set when DOCKER_HOST is no address, or there is no memory or thread left.
 */
int session_watch(struct err *err)
{
	if (watch)
		return 0;
	if (open_engine(err) < 0)
		return -err->code;
	inbox = calloc(1, sizeof(*inbox));
	if (!inbox)
		return err_sys(err, ENOMEM, "docker engine");
	pthread_mutex_init(&inbox->lock, NULL);
	inbox->task.run = take_inbox;
	if (engine_watch_start(engine, &watch_listener, &watch, err) < 0) {
		free(inbox);
		inbox = NULL;
		return -err->code;
	}
	stream = SESSION_CONNECTING;
	return 0;
}

/* session_stream() - whether events come in */
enum session_stream session_stream(void)
{
	return stream;
}

/* session_init() - @control is the loop of the control thread; nothing is started */
void session_init(struct loop *control)
{
	loop = control;
	look_timer.expired = look;
}

/* session_loop() - the control thread's loop */
struct loop *session_loop(void)
{
	return loop;
}

static void abandon(struct loop_timer *timer)
{
	(void)timer;
	abandoned = true;
	loop_stop(loop);
}

/* session_fini() - the end: no listener may be left; jobs under way are waited for */
void session_fini(void)
{
	uint64_t deadline = clock_now() + LAST_WAIT_S * NSEC_PER_SEC;

	ending = true;
	loop_timer_cancel(loop, &look_timer);
	if (engine)
		engine_abort(engine);
	abandoned = !engine_watch_stop(watch, LAST_WAIT_S);
	last_timer.expired = abandon;
	loop_timer_set(loop, &last_timer, deadline);
	while (all_jobs && !abandoned)
		loop_run(loop);
	loop_timer_cancel(loop, &last_timer);
	/* what still runs then is stuck in a name server's silence, and ends with the process */
	if (abandoned)
		return;
	engine_close(engine);
	if (inbox)
		pthread_mutex_destroy(&inbox->lock);
	free(inbox);
}
