/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "core/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/thread.h"

/* Only the control thread touches these. */
static struct worker **pool;
static unsigned pool_size, pool_limit;

/* workers_set_limit() - the most worker threads there may be; 0: one for each processor */
void workers_set_limit(unsigned limit)
{
	pool_limit = limit;
}

static unsigned limit_now(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (pool_limit)
		return pool_limit;
	return processors > 0 ? (unsigned)processors : 1;
}

static void *run(void *arg)
{
	struct worker *worker = arg;

	/* The kernel may else delay a timer by 50 us to save power. */
	prctl(PR_SET_TIMERSLACK, 1);
	loop_run(&worker->loop);
	return NULL;
}

static void destroy(struct worker *worker)
{
	batch_fini(&worker->received);
	batch_fini(&worker->wire);
	loop_fini(&worker->loop);
	free(worker);
}

static struct worker *create(struct err *err)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	if (!worker) {
		err_sys(err, ENOMEM, "worker");
		return NULL;
	}
	if (loop_init(&worker->loop, err) < 0) {
		free(worker);
		return NULL;
	}
	worker->loop.polls = true;
	if (batch_init(&worker->received, err) == 0 && batch_init(&worker->wire, err) == 0) {
		int error = thread_start(&worker->thread, run, worker);

		if (!error)
			return worker;
		err_sys(err, -error, "worker thread");
	}
	destroy(worker);
	return NULL;
}

static struct worker *add_worker(struct err *err)
{
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
	struct worker **grown = realloc(pool, (pool_size + 1) * sizeof(*pool));
	struct worker *worker;

	if (!grown) {
		err_sys(err, ENOMEM, "worker");
		return NULL;
	}
	pool = grown;
	worker = create(err);
	if (worker)
		pool[pool_size++] = worker;
	return worker;
}

/* worker_acquire() - the worker that is to serve one more link
 *
 * Control thread. A worker that is there already does the work when another one
 * can not be started. Return: NULL with @err set when there is none at all.
 */
struct worker *worker_acquire(struct err *err)
{
	struct worker *best = NULL;

	for (unsigned i = 0; i < pool_size; i++) {
		if (!best || pool[i]->links < best->links)
			best = pool[i];
	}
	if (!best || (best->links && pool_size < limit_now())) {
		struct worker *fresh = add_worker(err);

		best = fresh ? fresh : best;
	}
	if (best)
		best->links++;
	return best;
}

/* worker_release() - a link that the worker served has been stopped */
void worker_release(struct worker *worker)
{
	worker->links--;
}

static void stop(void *arg)
{
	loop_stop(arg);
}

/* workers_stop() - end all workers; no link may be running */
void workers_stop(void)
{
	for (unsigned i = 0; i < pool_size; i++) {
		loop_call(&pool[i]->loop, stop, &pool[i]->loop);
		pthread_join(pool[i]->thread, NULL);
		destroy(pool[i]);
	}
	free(pool);
	pool = NULL;
	pool_size = 0;
}
