/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One direction of a running link, on its worker:
 *
 *   receive a batch → wire frames, if somebody needs them → filters → capture → send → count
 *
 * A turn is what one receive call brings. The loop serves all its sources in
 * turns, so a flooded link delays the others by one turn at most.
 *
 * No frame waits for company, with one exception. A peer that sends its frames
 * one by one, in quick succession, would have the worker look for every few of
 * them, and would itself be slowed down by waking the worker again and again.
 * So, as network cards moderate their interrupts, the worker rests for a moment
 * after such a turn, unless anybody else has something for it to do.
 */
#include <config.h>

#include "core/pump.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/debug.h"
#include "pkt/offload.h"

/* How often a device that has gone away is looked for. */
#define REVIVE_INTERVAL (200 * NSEC_PER_MSEC)

/* How often it is looked whether a device has been attached to anew, mostly some 10 ms. */
#define RENEWAL_INTERVAL NSEC_PER_MSEC

/* How soon frames that a patient NIO had no room for are tried again: the first time and
 * after some have left, and at the latest, when its peer has not read anything for a while.
 */
#define RETRY_MIN (200 * NSEC_PER_USEC)
#define RETRY_MAX (20 * NSEC_PER_MSEC)

/* How long a worker rests while frames stream in one by one. */
#define REST (30 * NSEC_PER_USEC)

static struct nio *source_nio(const struct pump *pump)
{
	return pump->link->nio[pump->side];
}

static struct nio *sink_nio(const struct pump *pump)
{
	return pump->link->nio[!pump->side];
}

static void stop_watching(struct pump *pump)
{
	if (pump->watching)
		loop_remove(&pump->link->worker->loop, &pump->source);
	pump->watching = false;
}

/* ---- filters and the delay queue */

static void arm_release(struct pump *pump)
{
	uint64_t due = delayq_next_due(&pump->delayed);

	if (due != UINT64_MAX)
		loop_timer_set(&pump->link->worker->loop, &pump->release, due);
}

static void filter_batch(struct pump *pump, struct batch *batch)
{
	struct link *link = pump->link;
	uint64_t now = link->filters.delays ? clock_now() : 0;

	for (unsigned i = 0; i < batch->count; i++) {
		struct frame *frame = &batch->frame[i];
		struct filter_verdict verdict;

		if (frame->drop != FRAME_KEEP)
			continue;
		filter_chain_run(&link->filters, (enum filter_dir)pump->side, frame->data, frame->len,
				 &verdict);
		if (verdict.dropped_by) {
			frame->drop = DROP_FILTER;
			if (link_options.debug)
				debug_dropped(link, verdict.dropped_by);
		} else if (verdict.delay_ns || pump->delayed.count) {
			/* a frame that is not delayed must not overtake those that are already due */
			frame->drop = delayq_push(&pump->delayed, frame->data, frame->len,
						  now + verdict.delay_ns) ?
					      DROP_QUEUED :
					      DROP_QUEUE;
		}
	}
	arm_release(pump);
}

/* ---- sending */

/* Not an error of the NIO: somebody wanted it so. */
static bool is_meant(enum frame_drop drop)
{
	return drop == DROP_FILTER || drop == DROP_QUEUE || drop == DROP_QUEUED;
}

static void count_out(struct nio *nio, const struct batch *batch, int error)
{
	enum frame_drop failed = FRAME_KEEP;

	for (unsigned i = 0; i < batch->count; i++) {
		const struct frame *frame = &batch->frame[i];
		uint64_t bytes;
		unsigned frames = offload_segments(frame, &bytes);

		if (frame->drop == FRAME_KEEP) {
			nio->counters.out_frames += frames;
			nio->counters.out_bytes += bytes;
		} else {
			nio->counters.drop[frame->drop] += frames;
			if (!is_meant(frame->drop))
				failed = frame->drop;
		}
	}
	if (failed != FRAME_KEEP)
		nio_note_error(nio, failed, error);
}

static void drop_one(struct nio *nio, enum frame_drop reason)
{
	nio->counters.drop[reason]++;
	nio_note_error(nio, reason, 0);
}

/* Keeps the frames that have the drop @reason until there is room for them. */
static void hold_back(struct pump *pump, struct batch *batch, enum frame_drop reason)
{
	for (unsigned i = 0; i < batch->count; i++) {
		struct frame *frame = &batch->frame[i];

		if (frame->drop == reason)
			frame->drop = delayq_push(&pump->blocked, frame->data, frame->len, 0) ?
					      DROP_QUEUED :
					      DROP_NO_BUFFER;
	}
}

/* While frames wait for room nothing is received, so that the source's own queue does the
 * waiting, and the dropping. What a delay lets go meanwhile does not put off the next attempt.
 */
static void wait_for_room(struct pump *pump)
{
	if (!pump->blocked.count)
		return;
	stop_watching(pump);
	if (!pump->retry.place)
		loop_timer_set(&pump->link->worker->loop, &pump->retry,
			       clock_now() + pump->retry_after);
}

static void transmit(struct pump *pump, struct batch *batch)
{
	struct nio *sink = sink_nio(pump);
	int error;

	if (sink->busy) {
		hold_back(pump, batch, FRAME_KEEP);
		count_out(sink, batch, 0);
		return;
	}
	errno = 0;
	if (sink->gone) {
		batch_drop(batch, DROP_DOWN);
		errno = sink->gone_error;
	} else {
		sink->ops->send(sink, batch);
	}
	error = errno;
	if (sink->patient)
		hold_back(pump, batch, DROP_NO_BUFFER);
	count_out(sink, batch, error);
}

static void send_batch(struct pump *pump, struct batch *batch)
{
	struct link *link = pump->link;

	if (link->capture && capture_write(link->capture, batch) < 0) {
		capture_close(link->capture);
		link->capture = NULL;
	}
	if (pump->blocked.count) {
		hold_back(pump, batch, FRAME_KEEP);
		count_out(sink_nio(pump), batch, 0);
	} else {
		transmit(pump, batch);
	}
	wait_for_room(pump);
}

static void forward_wire(struct pump *pump, struct batch *batch)
{
	if (link_options.debug)
		debug_received(pump->link, pump->side, batch);
	if (pump->link->filters.first)
		filter_batch(pump, batch);
	send_batch(pump, batch);
}

/* ---- from super-frames to wire frames */

static bool needs_wire_frames(const struct pump *pump)
{
	const struct link *link = pump->link;

	return !sink_nio(pump)->takes_gso || link->filters.first || link->capture ||
	       link_options.debug;
}

static void flush_wire(struct pump *pump, struct batch *wire)
{
	if (wire->count)
		forward_wire(pump, wire);
	batch_clear(wire);
}

static void split_into(struct pump *pump, struct batch *wire, struct frame *super)
{
	struct offload_split split;
	struct frame segment;

	if (!offload_split_start(&split, super)) {
		drop_one(sink_nio(pump), DROP_ERROR);
		return;
	}
	for (;;) {
		uint32_t room = BATCH_ARENA - wire->arena_used;

		if (room < FRAME_MAX || !batch_room(wire)) {
			flush_wire(pump, wire);
			continue;
		}
		if (!offload_split_next(&split, wire->arena + wire->arena_used, room, &segment))
			return;
		*batch_add(wire, NULL, 0) = segment;
		wire->arena_used += segment.len;
	}
}

static void forward_as_wire(struct pump *pump, struct batch *batch)
{
	struct batch *wire = &pump->link->worker->wire;

	batch_clear(wire);
	for (unsigned i = 0; i < batch->count; i++) {
		struct frame *frame = &batch->frame[i];

		if (frame->vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE) {
			split_into(pump, wire, frame);
			continue;
		}
		if (!offload_is_wire(frame) && !offload_complete(frame)) {
			drop_one(sink_nio(pump), DROP_ERROR);
			continue;
		}
		if (!batch_room(wire))
			flush_wire(pump, wire);
		*batch_add(wire, NULL, 0) = *frame;
	}
	flush_wire(pump, wire);
}

static void count_in(struct nio *nio, const struct batch *batch)
{
	for (unsigned i = 0; i < batch->count; i++) {
		uint64_t bytes;

		nio->counters.in_frames += offload_segments(&batch->frame[i], &bytes);
		nio->counters.in_bytes += bytes;
	}
}

static bool all_wire(const struct batch *batch)
{
	for (unsigned i = 0; i < batch->count; i++) {
		if (!offload_is_wire(&batch->frame[i]))
			return false;
	}
	return true;
}

static bool all_may_pass(const struct nio *sink, const struct batch *batch)
{
	for (unsigned i = 0; i < batch->count; i++) {
		const struct frame *frame = &batch->frame[i];

		if (!offload_may_pass(frame) ||
		    (sink->untagged_gso && offload_is_tagged_super(frame)))
			return false;
	}
	return true;
}

/* pump_forward() - take a batch that was received on the pump's side through the link */
void pump_forward(struct pump *pump, struct batch *batch)
{
	count_in(source_nio(pump), batch);
	if (all_wire(batch))
		forward_wire(pump, batch);
	else if (needs_wire_frames(pump) || !all_may_pass(sink_nio(pump), batch))
		forward_as_wire(pump, batch);
	else
		send_batch(pump, batch);
}

/* ---- events */

static int watch(struct pump *pump, struct err *err)
{
	struct nio *nio = source_nio(pump);

	if (pump->watching || pump->blocked.count || nio->fd < 0 || nio->gone || nio->busy)
		return 0;
	pump->source.fd = nio->fd;
	if (loop_add(&pump->link->worker->loop, &pump->source, EPOLLIN, err) < 0)
		return -err->code;
	pump->watching = true;
	return 0;
}

static void revive_later(struct pump *pump)
{
	if (source_nio(pump)->ops->revive)
		loop_timer_set(&pump->link->worker->loop, &pump->revive,
			       clock_now() + REVIVE_INTERVAL);
}

static void look_at_renewal(struct pump *pump)
{
	struct nio *nio = source_nio(pump);
	struct err err;

	if (!nio->ops->renew(nio)) {
		loop_timer_set(&pump->link->worker->loop, &pump->revive,
			       clock_now() + RENEWAL_INTERVAL);
		return;
	}
	nio->busy = false;
	if (watch(pump, &err) < 0)
		log_error("%s %s: %s", nio->ops->kind, nio->desc, err.text);
}

/* pump_renew() - have the source NIO attach to its device anew, and leave it alone meanwhile
 *
 * What is to leave by it waits. On the link's worker.
 */
void pump_renew(struct pump *pump)
{
	struct nio *nio = source_nio(pump);

	if (!nio->ops->renew || nio->gone || nio->busy)
		return;
	stop_watching(pump);
	nio->busy = true;
	look_at_renewal(pump);
}

/* pump_before_swap() - the source NIO is about to get another device */
void pump_before_swap(struct pump *pump)
{
	stop_watching(pump);
	loop_timer_cancel(&pump->link->worker->loop, &pump->revive);
}

/* pump_after_swap() - begin with the device that the source NIO has now */
void pump_after_swap(struct pump *pump)
{
	struct nio *nio = source_nio(pump);
	struct err err;

	if (watch(pump, &err) < 0)
		log_error("%s %s: %s", nio->ops->kind, nio->desc, err.text);
}

static void device_gone(struct pump *pump, int error)
{
	struct nio *nio = source_nio(pump);

	log_error("%s %s is down or gone, its link waits for it", nio->ops->kind, nio->desc);
	nio->gone = true;
	nio->gone_error = error;
	stop_watching(pump);
	revive_later(pump);
}

/* Lets frames gather in the source's queue, where no other source of the worker is ready. */
static void rest(const struct pump *pump)
{
	const struct timespec time = { .tv_nsec = REST };

	if (loop_round_size(&pump->link->worker->loop) == 1)
		nanosleep(&time, NULL);
}

static void receive(struct loop_source *source, uint32_t events)
{
	struct pump *pump = container_of(source, struct pump, source);
	struct batch *batch = &pump->link->worker->received;
	struct nio *nio = source_nio(pump);
	int result;

	(void)events;
	batch_clear(batch);
	result = nio->ops->recv(nio, batch);
	if (result < 0) {
		/* what it has brought before */
		if (batch->count)
			pump_forward(pump, batch);
		nio_note_error(nio, FRAME_KEEP, -result);
		device_gone(pump, -result);
		return;
	}
	if (!batch->count)
		return;
	pump_forward(pump, batch);
	if (nio->wants_renewal)
		pump_renew(pump);
	if (nio->streaming)
		rest(pump);
}

/* Also where the source is not gone, but busy. */
static void try_revive(struct loop_timer *timer)
{
	struct pump *pump = container_of(timer, struct pump, revive);
	struct nio *nio = source_nio(pump);
	struct err err;
	int result;

	if (nio->busy) {
		look_at_renewal(pump);
		return;
	}
	if (!nio->ops->revive)
		return;
	result = nio->ops->revive(nio, &err);
	if (result < 0) {
		/* what was down may have been deleted since */
		nio->gone_error = -result;
		revive_later(pump);
		return;
	}
	nio->gone = false;
	log_error("%s %s is back", nio->ops->kind, nio->desc);
	if (watch(pump, &err) < 0)
		device_gone(pump, err.code);
}

/* Moves queued frames that are due at @now to a batch, in order; they are to be freed after it. */
static struct delayed *take_due(struct delayq *queue, uint64_t now, struct batch *batch)
{
	struct delayed *frame, *list = NULL;

	batch_clear(batch);
	while (batch_room(batch) && (frame = delayq_pop(queue, now))) {
		batch_add(batch, frame->data, frame->len);
		frame->next = list;
		list = frame;
	}
	return list;
}

static void release_until(struct pump *pump, uint64_t now)
{
	struct batch *batch = &pump->link->worker->wire;
	struct delayed *list;

	while ((list = take_due(&pump->delayed, now, batch))) {
		send_batch(pump, batch);
		delayed_free(list);
	}
}

static void retry(struct loop_timer *timer)
{
	struct pump *pump = container_of(timer, struct pump, retry);
	struct batch *batch = &pump->link->worker->wire;
	size_t before = pump->blocked.count;
	struct delayed *list = take_due(&pump->blocked, 0, batch);
	uint64_t twice = 2 * pump->retry_after;
	struct err err;

	transmit(pump, batch);
	delayed_free(list);
	if (pump->blocked.count && pump->blocked.count == before)
		pump->retry_after = twice < RETRY_MAX ? twice : RETRY_MAX;
	else
		pump->retry_after = RETRY_MIN;
	wait_for_room(pump);
	if (!pump->blocked.count && watch(pump, &err) < 0)
		log_error("%s %s: %s", source_nio(pump)->ops->kind, source_nio(pump)->desc,
			  err.text);
}

static void release(struct loop_timer *timer)
{
	struct pump *pump = container_of(timer, struct pump, release);

	release_until(pump, clock_now());
	arm_release(pump);
}

/* pump_release_all() - send what a delay still holds back, at once and in order */
void pump_release_all(struct pump *pump)
{
	release_until(pump, UINT64_MAX - 1);
	loop_timer_cancel(&pump->link->worker->loop, &pump->release);
}

/* pump_discard() - lose what is queued; it counts as dropped for the NIO it was to leave by */
void pump_discard(struct pump *pump)
{
	size_t lost = delayq_clear(&pump->delayed) + delayq_clear(&pump->blocked);

	if (lost)
		sink_nio(pump)->counters.drop[DROP_QUEUE] += lost;
}

/* pump_init() - prepare the pump that receives on @side of a link */
void pump_init(struct pump *pump, struct link *link, enum side side)
{
	*pump = (struct pump){
		.link = link,
		.side = side,
		.source = { .fd = -1, .ready = receive },
		.revive = { .expired = try_revive },
		.release = { .expired = release },
		.retry = { .expired = retry },
		.retry_after = RETRY_MIN,
	};
	delayq_init(&pump->delayed, link_options.delay_frames, link_options.delay_bytes);
	/* all of it fits in one batch, so it is tried again as a whole and stays in order */
	delayq_init(&pump->blocked, BATCH_FRAMES, link_options.delay_bytes);
}

void pump_fini(struct pump *pump)
{
	delayq_fini(&pump->delayed);
	delayq_fini(&pump->blocked);
}

/* pump_start() - begin to receive; on the link's worker */
int pump_start(struct pump *pump, struct err *err)
{
	if (source_nio(pump)->gone || source_nio(pump)->busy)
		loop_timer_set(&pump->link->worker->loop, &pump->revive, clock_now());
	return watch(pump, err);
}

/* pump_stop() - receive and send nothing more; frames that were delayed are lost */
void pump_stop(struct pump *pump)
{
	struct loop *loop = &pump->link->worker->loop;

	stop_watching(pump);
	loop_timer_cancel(loop, &pump->revive);
	loop_timer_cancel(loop, &pump->release);
	loop_timer_cancel(loop, &pump->retry);
	pump_discard(pump);
}
