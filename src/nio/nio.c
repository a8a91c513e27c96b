/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "nio/nio.h"

#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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

/* What the kernel had to drop since a socket was opened; it wraps around. Return: false where
 * nobody counts that: for anything but sockets.
 */
static bool kernel_drops(int fd, uint32_t *drops)
{
	uint32_t memory[SK_MEMINFO_VARS];
	socklen_t size = sizeof(memory);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &size) < 0 || size < sizeof(memory))
		return false;
	*drops = memory[SK_MEMINFO_DROPS];
	return true;
}

/* nio_count_missed() - count what was to be received and found the socket full
 *
 * Where the NIO is used, before its counters are read or reset, or its device changes.
 */
void nio_count_missed(struct nio *nio)
{
	uint32_t drops;

	if (!kernel_drops(nio->fd, &drops))
		return;
	nio->counters.drop[DROP_NO_BUFFER] += drops - nio->missed;
	nio->missed = drops;
}

/* nio_forget_missed() - the device is another one: what that missed before is not the NIO's */
void nio_forget_missed(struct nio *nio)
{
	if (!kernel_drops(nio->fd, &nio->missed))
		nio->missed = 0;
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
