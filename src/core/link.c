/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "core/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "core/pump.h"

struct link_options link_options = {
	.delay_frames = 65536,
	.delay_bytes = 64 * 1024 * 1024,
};

/* A link's random numbers depend on its name, not on when it was made (FNV-1a). */
static uint64_t stream_of(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3ULL;
	return hash;
}

/* link_init() - an empty, stopped link; @words must outlive it
 *
 * Return: 0 or -ENOMEM with @err set.
 */
int link_init(struct link *link, const char *name, const struct link_words *words,
	      struct err *err)
{
	memset(link, 0, sizeof(*link));
	link->name = strdup(name);
	if (!link->name)
		return err_sys(err, ENOMEM, "link");
	link->words = words;
	filter_chain_init(&link->filters, link_options.seed, stream_of(name));
	for (enum side side = 0; side < SIDE_COUNT; side++)
		pump_init(&link->pump[side], link, side);
	return 0;
}

/* link_fini() - stop a link, close its capture, free its filters and its NIOs
 *
 * The NIOs are closed for good after closing_wait().
 */
void link_fini(struct link *link)
{
	link_stop(link);
	link_reset_filters(link);
	capture_close(link->capture);
	for (enum side side = 0; side < SIDE_COUNT; side++) {
		nio_close_later(link->nio[side]);
		pump_fini(&link->pump[side]);
	}
	free(link->name);
}

/* link_do() - run @run(@arg) where the link may be touched: on its worker, or here */
void link_do(struct link *link, void (*run)(void *arg), void *arg)
{
	if (link->worker)
		loop_call(&link->worker->loop, run, arg);
	else
		run(arg);
}

/* ---- start and stop */

struct start {
	struct link *link;
	struct err *err;
	int result;
};

static void stop_pumps(void *arg)
{
	struct link *link = arg;

	for (enum side side = 0; side < SIDE_COUNT; side++)
		pump_stop(&link->pump[side]);
}

static void start_pumps(void *arg)
{
	struct start *start = arg;

	for (enum side side = 0; side < SIDE_COUNT; side++) {
		start->result = pump_start(&start->link->pump[side], start->err);
		if (start->result < 0) {
			stop_pumps(start->link);
			return;
		}
	}
}

/* link_start() - let a link with two NIOs run on a worker that was acquired for it
 *
 * Return: 0, or a negative errno with @err set and the link as it was.
 */
int link_start(struct link *link, struct worker *worker, struct err *err)
{
	struct start start = { .link = link, .err = err };

	link->worker = worker;
	link_do(link, start_pumps, &start);
	if (start.result < 0)
		link->worker = NULL;
	return start.result;
}

/* link_stop() - the worker has let go of the link when this returns */
void link_stop(struct link *link)
{
	if (!link->worker)
		return;
	link_do(link, stop_pumps, link);
	link->worker = NULL;
}

struct rename {
	struct link *link;
	char *name;
};

static void swap_name(void *arg)
{
	struct rename *rename = arg;
	char *old = rename->link->name;

	rename->link->name = rename->name;
	rename->name = old;
}

/* link_rename() - give a link another name, also while it runs */
int link_rename(struct link *link, const char *name, struct err *err)
{
	struct rename rename = { .link = link, .name = strdup(name) };

	if (!rename.name)
		return err_sys(err, ENOMEM, "link");
	link_do(link, swap_name, &rename);
	free(rename.name);
	return 0;
}

struct renewal {
	struct link *link;
	enum side side;
	bool under_way;
};

static void begin_renewal(void *arg)
{
	struct renewal *renewal = arg;

	pump_renew(&renewal->link->pump[renewal->side]);
}

static void look_at_renewal(void *arg)
{
	struct renewal *renewal = arg;

	renewal->under_way = renewal->link->nio[renewal->side]->busy;
}

/* link_before_move() - the device of a NIO is about to go to another namespace, or to become a
 * port of a Linux bridge, and better attached to anew before
 *
 * Waits for it, and the link's worker does not.
 */
void link_before_move(struct link *link, enum side side)
{
	const struct timespec pause = { .tv_nsec = NSEC_PER_MSEC };
	struct renewal renewal = { .link = link, .side = side };
	struct nio *nio = link->nio[side];

	if (!nio->ops->before_move)
		return;
	if (!link->worker) {
		nio->ops->before_move(nio);
		nio->busy = false;
		return;
	}
	link_do(link, begin_renewal, &renewal);
	for (;;) {
		link_do(link, look_at_renewal, &renewal);
		if (!renewal.under_way)
			return;
		nanosleep(&pause, NULL);
	}
}

struct gone_look {
	const struct nio *nio;
	bool gone;
};

static void look_whether_gone(void *arg)
{
	struct gone_look *look = arg;

	look->gone = look->nio->gone;
}

/* link_device_is_gone() - whether a NIO is without its device at the moment */
bool link_device_is_gone(struct link *link, enum side side)
{
	struct gone_look look = { .nio = link->nio[side] };

	link_do(link, look_whether_gone, &look);
	return look.gone;
}

struct swap {
	struct link *link;
	enum side side;
	struct nio *device;		/* in: the new one; out: the old one */
};

static void swap_device(void *arg)
{
	struct swap *swap = arg;
	struct link *link = swap->link;
	struct nio *nio = link->nio[swap->side];

	if (link->worker)
		pump_before_swap(&link->pump[swap->side]);
	nio_count_missed(nio);
	swap->device = nio->ops->swap(nio, swap->device);
	nio_forget_missed(nio);
	if (link->worker)
		pump_after_swap(&link->pump[swap->side]);
}

/* link_swap_device() - have a NIO whose kind can do it use another device
 * @device: a NIO that nobody uses, which belongs to the link's from here on; NULL,
 *          where the kind allows that: none
 *
 * Counters, filters, the capture and what a delay holds back stay as they are, and
 * so does whether the link runs.
 *
 * Return: the device it had, to be closed by the caller, or NULL.
 */
struct nio *link_swap_device(struct link *link, enum side side, struct nio *device)
{
	struct swap swap = { .link = link, .side = side, .device = device };

	link_do(link, swap_device, &swap);
	return swap.device;
}

/* ---- filters */

struct filter_change {
	struct link *link;
	struct filter *filter;		/* to be added, or taken out */
	const char *name;
	bool done;
};

/* After a change: a suspended link keeps nothing, one without a delay delays nothing. */
static void settle_delayed(struct link *link)
{
	const struct filter *filter = link->filters.first;

	while (filter && !filter_drops_all(filter))
		filter = filter_next(filter);
	for (enum side side = 0; link->worker && side < SIDE_COUNT; side++) {
		if (filter)
			pump_discard(&link->pump[side]);
		else if (!link->filters.delays)
			pump_release_all(&link->pump[side]);
	}
}

static void add_filter(void *arg)
{
	struct filter_change *change = arg;

	change->done = filter_chain_add(&change->link->filters, change->filter);
	if (change->done)
		settle_delayed(change->link);
}

static void remove_filter(void *arg)
{
	struct filter_change *change = arg;

	change->filter = filter_chain_remove(&change->link->filters, change->name);
	if (change->filter)
		settle_delayed(change->link);
}

static void remove_filters(void *arg)
{
	struct filter_change *change = arg;

	change->filter = filter_chain_take_all(&change->link->filters);
	settle_delayed(change->link);
}

/* link_add_filter() - append a filter to the chain
 *
 * Return: false when its name is taken; the filter is then still the caller's.
 */
bool link_add_filter(struct link *link, struct filter *filter)
{
	struct filter_change change = { .link = link, .filter = filter };

	link_do(link, add_filter, &change);
	return change.done;
}

/* link_delete_filter() - Return: false when there is no filter of that name */
bool link_delete_filter(struct link *link, const char *name)
{
	struct filter_change change = { .link = link, .name = name };

	link_do(link, remove_filter, &change);
	if (!change.filter)
		return false;
	filter_free(change.filter);
	return true;
}

/* link_reset_filters() - no filter is left */
void link_reset_filters(struct link *link)
{
	struct filter_change change = { .link = link };

	link_do(link, remove_filters, &change);
	filter_free_all(change.filter);
}

/* ---- capture */

struct capture_change {
	struct link *link;
	struct capture *capture;
};

static void swap_capture(void *arg)
{
	struct capture_change *change = arg;
	struct capture *old = change->link->capture;

	change->link->capture = change->capture;
	change->capture = old;
}

static void look_at_capture(void *arg)
{
	struct capture_change *change = arg;

	change->capture = change->link->capture;
}

/* link_is_capturing() - a capture may have ended by itself */
bool link_is_capturing(struct link *link)
{
	struct capture_change change = { .link = link };

	link_do(link, look_at_capture, &change);
	return change.capture;
}

/* link_set_capture() - begin a capture that has been opened, or end one with NULL
 *
 * The link owns @capture from here on; the one it had is complete and closed.
 */
void link_set_capture(struct link *link, struct capture *capture)
{
	struct capture_change change = { .link = link, .capture = capture };

	link_do(link, swap_capture, &change);
	capture_close(change.capture);
}

/* ---- counters */

struct counters_look {
	struct link *link;
	struct nio_counters *out;
};

static void copy_counters(void *arg)
{
	struct counters_look *look = arg;

	for (enum side side = 0; side < SIDE_COUNT; side++) {
		struct nio *nio = look->link->nio[side];

		if (nio)
			nio_count_missed(nio);
		look->out[side] = nio ? nio->counters : (struct nio_counters){ 0 };
	}
}

static void zero_counters(void *arg)
{
	struct link *link = arg;

	for (enum side side = 0; side < SIDE_COUNT; side++) {
		struct nio *nio = link->nio[side];

		if (!nio)
			continue;
		nio_count_missed(nio);
		memset(&nio->counters, 0, sizeof(nio->counters));
	}
}

/* link_get_counters() - the counters of both NIOs at one moment, between two batches */
void link_get_counters(struct link *link, struct nio_counters out[SIDE_COUNT])
{
	struct counters_look look = { .link = link, .out = out };

	link_do(link, copy_counters, &look);
}

void link_reset_counters(struct link *link)
{
	link_do(link, zero_counters, link);
}
