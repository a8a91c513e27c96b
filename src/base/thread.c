/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "base/thread.h"

#include <signal.h>

static int start(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *arg),
		 void *arg)
{
	sigset_t all, before;
	int error;

	/* the new thread inherits what is blocked */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(thread, attributes, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

/* thread_start() - have @run(@arg) run on a thread that no signal reaches
 *
 * Return: 0, with @thread to be joined; or a negative errno when there is none to be had.
 */
int thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg)
{
	return start(thread, NULL, run, arg);
}

/* thread_start_detached() - the same, for a thread that nobody waits for
 *
 * @run touches nothing but @arg, which is its own from here on.
 */
int thread_start_detached(void *(*run)(void *arg), void *arg)
{
	pthread_attr_t detached;
	pthread_t thread;
	int error;

	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	error = start(&thread, &detached, run, arg);
	pthread_attr_destroy(&detached);
	return error;
}
