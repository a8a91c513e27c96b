/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Theory of operation
 *
 * When the last file of a TAP device is closed, the kernel takes the device down
 * and waits until nobody can use it any more: some 15 ms, in which it does
 * nothing. Thirty devices one after the other would take half a second; closed by
 * as many threads they wait together. The same goes for packet sockets, and for
 * interfaces that are deleted.
 *
 * Each thread has a list of its own.
 */
#include <config.h>

#include "nio/closing.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/thread.h"

#define THREADS_MAX 64

struct ending {
	void (*end)(int number);
	int number;
};

struct closing {
	struct ending *list;
	unsigned count, room;
	atomic_uint next;
};

static _Thread_local struct closing closing;

/* closing_call() - have @end(@number) called by this thread's next closing_wait(), on any thread */
void closing_call(void (*end)(int number), int number)
{
	if (closing.count == closing.room) {
		unsigned room = closing.room ? 2 * closing.room : 16;
		struct ending *grown = realloc(closing.list, room * sizeof(*grown));

		if (!grown) {
			end(number);
			return;
		}
		closing.list = grown;
		closing.room = room;
	}
	closing.list[closing.count++] = (struct ending){ end, number };
}

static void close_file(int fd)
{
	close(fd);
}

/* closing_add() - have @fd closed by this thread's next closing_wait() */
void closing_add(int fd)
{
	closing_call(close_file, fd);
}

static void *close_some(void *arg)
{
	struct closing *self = arg;
	unsigned index;

	while ((index = atomic_fetch_add(&self->next, 1)) < self->count)
		self->list[index].end(self->list[index].number);
	return NULL;
}

/* closing_wait() - all that this thread has added has ended when this returns */
void closing_wait(void)
{
	pthread_t thread[THREADS_MAX];
	unsigned threads = 0;

	if (!closing.count)
		return;
	/* this thread closes too, and alone where no other can be started */
	while (threads < THREADS_MAX && threads + 1 < closing.count &&
	       !thread_start(&thread[threads], close_some, &closing))
		threads++;
	close_some(&closing);
	while (threads)
		pthread_join(thread[--threads], NULL);
	free(closing.list);
	closing = (struct closing){ 0 };
}
