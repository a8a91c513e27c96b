/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "nio/nio.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "nio/closing.h"

bool nio_offload = true;

/* nio_note_error() - remember what went wrong last; where the NIO is used
 * @drop: what became of a frame; FRAME_KEEP: it was a receive call
 * @error: errno; 0 where no call has failed
 */
void nio_note_error(struct nio *nio, enum frame_drop drop, int error)
{
	struct nio_counters *counters = &nio->counters;

	counters->last_error_ns = clock_now();
	counters->last_error = error;
	counters->last_drop = drop;
	counters->last_error_out = counters->out_frames;
}

/* nio_count_error() - a receive call has failed with this errno, or brought what is no frame */
void nio_count_error(struct nio *nio, int error)
{
	nio->counters.errors++;
	nio_note_error(nio, FRAME_KEEP, error);
}

/* nio_error_text() - the last error in words, "" when there was none */
const char *nio_error_text(const struct nio_counters *counters)
{
	static const char *const words[DROP_COUNT] = {
		[DROP_DOWN] = "The device is down or gone",
		[DROP_REFUSED] = "Nobody listens at the peer",
		[DROP_NO_BUFFER] = "No room for more",
		[DROP_TOO_LONG] = "Frame too long",
		[DROP_RUNT] = "Frame too short",
		[DROP_ERROR] = "Broken frame",
	};
	const char *text = NULL;

	if (!counters->last_error_ns)
		return "";
	if (counters->last_error)
		text = strerrordesc_np(counters->last_error);
	if (!text)
		text = words[counters->last_drop];
	return text ? text : "Unknown error";
}

/* nio_aside() - have a thread do what a worker must not wait for
 * @work: touches nothing but @arg, which is its own from here on
 *
 * Return: 0, or a negative errno when there is no thread to be had.
 */
int nio_aside(void *(*work)(void *), void *arg)
{
	pthread_attr_t detached;
	pthread_t thread;
	int error;

	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	error = pthread_create(&thread, &detached, work, arg);
	pthread_attr_destroy(&detached);
	return -error;
}

/* nio_close_later() - free a NIO that no worker uses; closing_wait() completes it; NULL is fine */
void nio_close_later(struct nio *nio)
{
	char *desc;

	if (!nio)
		return;
	desc = nio->desc;
	nio->ops->close(nio);
	free(desc);
}

/* nio_close() - close a NIO that no worker uses and free it; NULL is fine */
void nio_close(struct nio *nio)
{
	nio_close_later(nio);
	closing_wait();
}
