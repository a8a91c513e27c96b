/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Workers: the threads that move packets.
 *
 * The first one starts with the first running link; there are never more than
 * workers_set_limit() allows. A link belongs to one worker while it runs, the
 * one with the fewest links at that moment.
 */
#ifndef CORE_WORKER_H
#define CORE_WORKER_H

#include "base/err.h"
#include "base/loop.h"
#include "pkt/batch.h"

struct worker {
	struct loop loop;
	pthread_t thread;
	unsigned links;			/* that it serves; the control thread counts */
	struct batch received;		/* as it came from a source */
	struct batch wire;		/* the same as wire frames, where that differs */
};

void workers_set_limit(unsigned limit);
struct worker *worker_acquire(struct err *err);
void worker_release(struct worker *worker);
void workers_stop(void);

#endif
