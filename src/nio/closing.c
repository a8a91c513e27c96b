/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Theory of operation
 *
 * When the last file of a TAP device is closed, the kernel takes the device down
 * and waits until nobody can use it any more: some 15 ms, in which it does
 * nothing. Thirty devices one after the other would take half a second; closed by
 * as many threads they wait together.
 *
 * Each thread has a list of its own.
 */
#include <config.h>

#include "nio/closing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS_MAX 64

struct closing {
	int *files;
	unsigned count, room;
	atomic_uint next;
};

static _Thread_local struct closing closing;

/* closing_add() - have @fd closed by this thread's next closing_wait() */
void closing_add(int fd)
{
	if (closing.count == closing.room) {
		unsigned room = closing.room ? 2 * closing.room : 16;
		int *grown = realloc(closing.files, room * sizeof(*grown));

		if (!grown) {
			close(fd);
			return;
		}
		closing.files = grown;
		closing.room = room;
	}
	closing.files[closing.count++] = fd;
}

static void *close_some(void *arg)
{
	struct closing *list = arg;
	unsigned index;

	while ((index = atomic_fetch_add(&list->next, 1)) < list->count)
		close(list->files[index]);
	return NULL;
}

/* closing_wait() - all files that this thread has added are closed when this returns */
void closing_wait(void)
{
	pthread_t thread[THREADS_MAX];
	unsigned threads = 0;

	if (!closing.count)
		return;
	/* this thread closes too, and alone where no other can be started */
	while (threads < THREADS_MAX && threads + 1 < closing.count &&
	       !pthread_create(&thread[threads], NULL, close_some, &closing))
		threads++;
	close_some(&closing);
	while (threads)
		pthread_join(thread[--threads], NULL);
	free(closing.files);
	closing = (struct closing){ 0 };
}
