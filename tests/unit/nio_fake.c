/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "nio_fake.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"

static struct nio_fake *to_fake(struct nio *nio)
{
	return container_of(nio, struct nio_fake, nio);
}

static void put(struct fake_queue *queue, const void *data, uint32_t len,
		const struct virtio_net_hdr *vnet)
{
	struct fake_frame *frame = &queue->frame[queue->end];

	if (queue->end == FAKE_FRAMES)
		abort();
	*frame = (struct fake_frame){
		.data = malloc(len ? len : 1),
		.len = len,
		.when = clock_now(),
	};
	memcpy(frame->data, data, len);
	if (vnet)
		frame->vnet = *vnet;
	queue->end++;
}

/* What epoll is told: something is there, or nothing. */
static void signal_input(struct nio_fake *fake)
{
	uint64_t count = 1;
	ssize_t done;

	if (fake->in.first < fake->in.end || fake->gone)
		done = write(fake->nio.fd, &count, sizeof(count));
	else
		done = read(fake->nio.fd, &count, sizeof(count));
	(void)done;
}

static void deliver(struct nio_fake *fake, struct batch *batch)
{
	unsigned count = 0;

	for (; fake->in.first < fake->in.end && count < BATCH_SLOTS; count++) {
		struct fake_frame *next = &fake->in.frame[fake->in.first++];
		uint8_t *slot = batch_slot(batch, count);

		memcpy(slot, next->data, next->len);
		batch_add(batch, slot, next->len)->vnet = next->vnet;
		free(next->data);
	}
	if (count > fake->largest_batch)
		fake->largest_batch = count;
}

static int fake_recv(struct nio *nio, struct batch *batch)
{
	struct nio_fake *fake = to_fake(nio);
	int result = 0;

	pthread_mutex_lock(&fake->lock);
	fake->disturbed += nio->busy;
	deliver(fake, batch);
	nio->wants_renewal = fake->ageing;
	fake->ageing = false;
	if (fake->gone) {
		fake->gone--;
		result = -EBADFD;
	}
	signal_input(fake);
	pthread_mutex_unlock(&fake->lock);
	return result;
}

static void fake_send(struct nio *nio, struct batch *batch)
{
	struct nio_fake *fake = to_fake(nio);
	unsigned room;

	pthread_mutex_lock(&fake->lock);
	fake->disturbed += nio->busy;
	room = fake->room;
	for (unsigned i = 0; i < batch->count; i++) {
		struct frame *frame = &batch->frame[i];

		if (frame->drop != FRAME_KEEP)
			continue;
		if (fake->full && !room--) {
			room = 0;
			frame->drop = DROP_NO_BUFFER;
			continue;
		}
		if (fake->refuse) {
			fake->refuse--;
			frame->drop = fake->reason;
			continue;
		}
		put(&fake->out, frame->data, frame->len, &frame->vnet);
	}
	pthread_cond_broadcast(&fake->changed);
	pthread_mutex_unlock(&fake->lock);
}

static int fake_revive(struct nio *nio, struct err *err)
{
	struct nio_fake *fake = to_fake(nio);
	bool back;

	pthread_mutex_lock(&fake->lock);
	fake->revivals++;
	back = !fake->not_yet;
	if (!back)
		fake->not_yet--;
	pthread_mutex_unlock(&fake->lock);
	return back ? 0 : err_set(err, ENODEV, "not yet");
}

static bool fake_renew(struct nio *nio)
{
	struct nio_fake *fake = to_fake(nio);
	bool over;

	pthread_mutex_lock(&fake->lock);
	nio->wants_renewal = false;
	over = !fake->renewing;
	if (!over)
		fake->renewing--;
	pthread_mutex_unlock(&fake->lock);
	return over;
}

static void fake_before_move(struct nio *nio)
{
	struct nio_fake *fake = to_fake(nio);

	fake->moves++;
	while (!fake_renew(nio))
		;
}

static void queue_free(struct fake_queue *queue)
{
	while (queue->first < queue->end)
		free(queue->frame[queue->first++].data);
}

static void fake_close(struct nio *nio)
{
	struct nio_fake *fake = to_fake(nio);

	queue_free(&fake->in);
	queue_free(&fake->out);
	close(nio->fd);
	pthread_cond_destroy(&fake->changed);
	pthread_mutex_destroy(&fake->lock);
	free(fake);
}

static const struct nio_ops fake_ops = {
	.kind = "fake",
	.recv = fake_recv,
	.send = fake_send,
	.revive = fake_revive,
	.renew = fake_renew,
	.before_move = fake_before_move,
	.close = fake_close,
};

/* nio_fake_new() - a NIO without a device; nio_close() frees it */
struct nio_fake *nio_fake_new(const char *desc)
{
	struct nio_fake *fake = calloc(1, sizeof(*fake));
	pthread_condattr_t clock;

	assert_non_null(fake);
	fake->nio.ops = &fake_ops;
	fake->nio.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	fake->nio.desc = strdup(desc);
	pthread_mutex_init(&fake->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&fake->changed, &clock);
	pthread_condattr_destroy(&clock);
	return fake;
}

/* nio_fake_feed() - one more frame arrives; @vnet may be NULL for a wire frame */
void nio_fake_feed(struct nio_fake *fake, const void *data, uint32_t len,
		   const struct virtio_net_hdr *vnet)
{
	pthread_mutex_lock(&fake->lock);
	put(&fake->in, data, len, vnet);
	signal_input(fake);
	pthread_mutex_unlock(&fake->lock);
}

/* nio_fake_vanish() - the next receive call fails behind what it brings, and so many attempts
 * to revive it
 */
void nio_fake_vanish(struct nio_fake *fake, unsigned not_yet)
{
	pthread_mutex_lock(&fake->lock);
	fake->gone = 1;
	fake->not_yet = not_yet;
	signal_input(fake);
	pthread_mutex_unlock(&fake->lock);
}

/* nio_fake_age() - the next receive call wants a renewal, which takes @renewing looks */
void nio_fake_age(struct nio_fake *fake, unsigned renewing)
{
	pthread_mutex_lock(&fake->lock);
	fake->ageing = true;
	fake->renewing = renewing;
	pthread_mutex_unlock(&fake->lock);
}

/* nio_fake_refuse() - the next @count frames can not be sent */
void nio_fake_refuse(struct nio_fake *fake, unsigned count, enum frame_drop reason)
{
	pthread_mutex_lock(&fake->lock);
	fake->refuse = count;
	fake->reason = reason;
	pthread_mutex_unlock(&fake->lock);
}

/* nio_fake_fill() - there is no room for frames from now on, or there is again */
void nio_fake_fill(struct nio_fake *fake, bool full)
{
	pthread_mutex_lock(&fake->lock);
	fake->full = full;
	fake->room = 0;
	pthread_mutex_unlock(&fake->lock);
}

/* nio_fake_drain_slowly() - from now on each send call finds room for @room frames */
void nio_fake_drain_slowly(struct nio_fake *fake, unsigned room)
{
	pthread_mutex_lock(&fake->lock);
	fake->full = true;
	fake->room = room;
	pthread_mutex_unlock(&fake->lock);
}

/* nio_fake_take() - the next frame that was sent; waits for it, and fails the test in vain
 *
 * The caller frees its data.
 */
struct fake_frame nio_fake_take(struct nio_fake *fake)
{
	struct fake_frame frame = { .data = NULL };
	struct timespec end;
	int error = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += FAKE_WAIT_MS / 1000;
	pthread_mutex_lock(&fake->lock);
	while (fake->out.first == fake->out.end && !error)
		error = pthread_cond_timedwait(&fake->changed, &fake->lock, &end);
	if (fake->out.first < fake->out.end)
		frame = fake->out.frame[fake->out.first++];
	pthread_mutex_unlock(&fake->lock);
	assert_non_null(frame.data);
	return frame;
}

/* nio_fake_pending() - how many frames were sent and not taken yet */
unsigned nio_fake_pending(struct nio_fake *fake)
{
	unsigned count;

	pthread_mutex_lock(&fake->lock);
	count = fake->out.end - fake->out.first;
	pthread_mutex_unlock(&fake->lock);
	return count;
}

unsigned nio_fake_revivals(struct nio_fake *fake)
{
	unsigned count;

	pthread_mutex_lock(&fake->lock);
	count = fake->revivals;
	pthread_mutex_unlock(&fake->lock);
	return count;
}
