/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "attach/run_wait.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach/attach.h"
#include "base/cleanup.h"
#include "base/clock.h"

struct run_wait {
	struct run_wait *next;
	struct session_listener listener;
	struct session_job job;
	struct loop_timer timer;
	char reference[ENGINE_NAME_MAX];
	run_wait_done *done;		/* NULL when it has been called */
	void *data;
	bool busy;			/* the job is under way */
	bool look_again;
	bool cancelled;			/* to end when the job does */

	/* the job's answer */
	struct engine_container container;
	struct err err;
	struct err last;		/* why it was not running at the last look */
};

static struct run_wait *waits;

static void look_at(struct run_wait *self);

static void finish(struct run_wait *self, pid_t pid, const struct err *why)
{
	struct run_wait **place = &waits;
	run_wait_done *done = self->done;

	while (*place != self)
		place = &(*place)->next;
	*place = self->next;
	session_unlisten(&self->listener);
	loop_timer_cancel(session_loop(), &self->timer);
	self->done = NULL;
	done(self->data, pid, why);
	if (!self->busy)
		free(self);
}

static void end(struct run_wait *self, const char *why)
{
	struct err err;

	err_set(&err, ECANCELED, "%s", why);
	finish(self, 0, &err);
}

static void job_work(struct session_job *job, struct engine *engine)
{
	struct run_wait *self = container_of(job, struct run_wait, job);

	self->err.code = 0;
	engine_inspect(engine, self->reference, &self->container, &self->err);
}

static void job_done(struct session_job *job)
{
	struct run_wait *self = container_of(job, struct run_wait, job);

	self->busy = false;
	if (!self->done) {
		free(self);
		return;
	}
	if (job->err.code)
		self->err = job->err;
	if (self->cancelled) {
		end(self, "nobody waits");
		return;
	}
	if (!self->err.code && self->container.pid) {
		finish(self, self->container.pid, NULL);
	} else if (self->err.code && attach_error_is_final(&self->err)) {
		finish(self, 0, &self->err);
	} else {
		self->last = self->err;
		if (!self->err.code)
			err_set(&self->last, EAGAIN, "container '%s' is not running (%s)",
				self->reference, engine_state_name(self->container.state));
		if (self->look_again)
			look_at(self);
	}
}

static void look_at(struct run_wait *self)
{
	self->look_again = self->busy;
	if (self->busy)
		return;
	self->busy = true;
	self->job.work = job_work;
	self->job.done = job_done;
	session_run_now(&self->job);
}

static void on_event(struct session_listener *listener, const struct engine_event *event,
		     bool fresh)
{
	struct run_wait *self = container_of(listener, struct run_wait, listener);

	(void)fresh;
	if (attach_reference_matches(self->reference, event))
		look_at(self);
}

static void on_refresh(struct session_listener *listener)
{
	look_at(container_of(listener, struct run_wait, listener));
}

static void on_timer(struct loop_timer *timer)
{
	struct run_wait *self = container_of(timer, struct run_wait, timer);
	struct err why = self->last;

	if (!why.code)
		err_set(&why, ETIMEDOUT, "no answer of the engine yet");
	finish(self, 0, &why);
}

/* run_wait_start() - have @done called when a container runs, or when time is up
 * @reference: its name, its id or the beginning of it; it need not exist yet
 * @seconds: -1: for ever
 *
 * Return: 0, or a negative errno with @err set; @done is not called then.
 */
int run_wait_start(const char *reference, int seconds, run_wait_done *done, void *data,
		   struct err *err)
{
	struct run_wait *self;

	if (session_watch(err) < 0)
		return -err->code;
	self = calloc(1, sizeof(*self));
	if (!self)
		return err_sys(err, ENOMEM, "container '%s'", reference);
	snprintf(self->reference, sizeof(self->reference), "%s", reference);
	self->done = done;
	self->data = data;
	self->timer.expired = on_timer;
	if (seconds >= 0)
		loop_timer_set(session_loop(), &self->timer,
			       clock_now() + (uint64_t)seconds * NSEC_PER_SEC);
	self->next = waits;
	waits = self;
	self->listener = (struct session_listener){
		.event = on_event, .refresh = on_refresh, .waiting = 1,
	};
	session_listen(&self->listener);
	look_at(self);
	return 0;
}

/* run_wait_cancel() - @data of a wait is not interested any more; @done is called all the same,
 * perhaps from within, at the latest when the engine's answer is there
 */
void run_wait_cancel(const void *data)
{
	struct run_wait *self = waits;

	while (self && self->data != data)
		self = self->next;
	if (!self)
		return;
	self->cancelled = true;
	if (!self->busy)
		end(self, "nobody waits");
}

/* run_wait_end_all() - the end of the program */
void run_wait_end_all(void)
{
	while (waits)
		end(waits, "the program ends");
}
