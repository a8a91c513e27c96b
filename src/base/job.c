/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "base/job.h"

#include <stddef.h>

#include "base/cleanup.h"
#include "base/thread.h"

static struct loop *control_loop;
static unsigned pending;	/* jobs whose done() is still to come */

/* job_init() - @control is the loop that done() is called on */
void job_init(struct loop *control)
{
	control_loop = control;
}

static void finish(struct loop_task *task)
{
	struct job *job = container_of(task, struct job, task);

	pending--;
	job->done(job);
}

static void *run(void *arg)
{
	struct job *job = arg;

	job->work(job);
	job->task.run = finish;
	loop_post(control_loop, &job->task);
	return NULL;
}

/* job_start() - begin a job; control thread
 *
 * Return: 0, or a negative errno with @err set, and neither work() nor done()
 * will be called.
 */
int job_start(struct job *job, struct err *err)
{
	int error = thread_start_detached(run, job);

	if (error)
		return err_sys(err, -error, "thread");
	pending++;
	return 0;
}

/* job_skip() - have done() called, soon, without work(): for a job that did not start */
void job_skip(struct job *job)
{
	pending++;
	job->task.run = finish;
	loop_post(control_loop, &job->task);
}

/* job_is_pending() - whether a thread may still post to the control loop */
bool job_is_pending(void)
{
	return pending > 0;
}
