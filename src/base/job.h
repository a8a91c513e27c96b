/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Work that may take long, done on a thread of its own. */
#ifndef BASE_JOB_H
#define BASE_JOB_H

#include <stdbool.h>

#include "base/err.h"
#include "base/loop.h"

/* work() runs on the new thread and touches nothing but the job; done() runs on
 * the control thread after it and owns the job.
 */
struct job {
	struct loop_task task;
	void (*work)(struct job *job);
	void (*done)(struct job *job);
};

void job_init(struct loop *control);
int job_start(struct job *job, struct err *err);
void job_skip(struct job *job);
bool job_is_pending(void);

#endif
