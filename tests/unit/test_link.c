/* SPDX-License-Identifier: GPL-3.0-or-later */
/* core/link and core/pump: what a running link does with frames while it is changed */
#include <config.h>

#include "core/link.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "nio_fake.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define PCAP_HEADER 24
#define PCAP_RECORD 16

static const struct link_words words = {
	.received = { "on bridge", "on bridge" },
	.received_end = { " (source NIO)", " (destination NIO)" },
	.dropped = "bridge",
};

static struct link link_;
static struct nio_fake *fake[SIDE_COUNT];
static struct worker *worker;
static char pcap_path[] = "/tmp/ubridge-unit-XXXXXX";

static void ignore_line(enum log_stream stream, const char *line)
{
	(void)stream;
	(void)line;
}

/* ---- a link between two fakes, for each test */

static void start(void)
{
	struct err err;

	assert_int_equal(link_start(&link_, worker, &err), 0);
}

static int set_up(void **state)
{
	struct err err;

	(void)state;
	if (link_init(&link_, "t", &words, &err) < 0)
		return -1;
	for (enum side side = 0; side < SIDE_COUNT; side++) {
		fake[side] = nio_fake_new(side == SIDE_SOURCE ? "left" : "right");
		link_.nio[side] = &fake[side]->nio;
	}
	worker = worker_acquire(&err);
	return worker ? 0 : -1;
}

static int set_up_running(void **state)
{
	if (set_up(state) < 0)
		return -1;
	start();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	link_fini(&link_);
	worker_release(worker);
	link_options.delay_frames = 65536;
	return 0;
}

/* ---- frames with a number in them */

static void feed(enum side side, uint32_t number)
{
	uint8_t data[60] = { 0 };

	memcpy(data + 40, &number, sizeof(number));
	nio_fake_feed(fake[side], data, sizeof(data), NULL);
}

static uint32_t take(enum side side)
{
	struct fake_frame frame = nio_fake_take(fake[side]);
	uint32_t number;

	assert_int_equal(frame.len, 60);
	memcpy(&number, frame.data + 40, sizeof(number));
	free(frame.data);
	return number;
}

static struct nio_counters counters(enum side side)
{
	struct nio_counters both[SIDE_COUNT];

	link_get_counters(&link_, both);
	return both[side];
}

/* Waits until the link has dealt with so many frames that came in at the source. */
static void wait_received(uint64_t frames)
{
	uint64_t end = clock_now() + 10 * NSEC_PER_SEC;

	while (counters(SIDE_SOURCE).in_frames < frames) {
		assert_true(clock_now() < end);
		usleep(1000);
	}
	assert_int_equal(counters(SIDE_SOURCE).in_frames, frames);
}

static struct filter *make_filter(const char *name, const char *type, const char *argument)
{
	char text[32], *argv[] = { text };
	struct filter *filter;
	struct err err;

	snprintf(text, sizeof(text), "%s", argument);
	filter = filter_new(name, type, 1, argv, &err);
	assert_non_null(filter);
	return filter;
}

static void add_filter(const char *name, const char *type, const char *argument)
{
	assert_true(link_add_filter(&link_, make_filter(name, type, argument)));
}

/* ---- forwarding */

static void frames_pass_both_ways_in_order(void **state)
{
	struct nio_counters left, right;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		feed(SIDE_SOURCE, i);
		feed(SIDE_DESTINATION, 100000 + i);
	}
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(take(SIDE_DESTINATION), i);
		assert_int_equal(take(SIDE_SOURCE), 100000 + i);
	}
	left = counters(SIDE_SOURCE);
	right = counters(SIDE_DESTINATION);
	assert_int_equal(left.in_frames, 1000);
	assert_int_equal(left.in_bytes, 60000);
	assert_int_equal(left.out_frames, 1000);
	assert_int_equal(left.out_bytes, 60000);
	assert_int_equal(right.in_frames, 1000);
	assert_int_equal(right.out_bytes, 60000);
	for (enum frame_drop drop = 0; drop < DROP_COUNT; drop++)
		assert_int_equal(left.drop[drop] + right.drop[drop], 0);
}

/* All are there before the link starts, so batches are as full as they can be. */
static void batches_of_every_size(void **state)
{
	static const uint32_t counts[] = { 1, BATCH_SLOTS - 1, BATCH_SLOTS, BATCH_SLOTS + 1,
					   2 * BATCH_SLOTS, 1000 };
	unsigned largest = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(counts); i++) {
		print_message("%u\n", counts[i]);
		for (uint32_t number = 0; number < counts[i]; number++)
			feed(SIDE_SOURCE, number);
		start();
		for (uint32_t number = 0; number < counts[i]; number++)
			assert_int_equal(take(SIDE_DESTINATION), number);
		link_stop(&link_);
		if (counts[i] <= BATCH_SLOTS)
			largest = counts[i];
		assert_int_equal(fake[SIDE_SOURCE]->largest_batch, largest);
	}
	assert_int_equal(nio_fake_pending(fake[SIDE_DESTINATION]), 0);
}

static void frames_of_every_length(void **state)
{
	static const uint32_t lengths[] = { 1, 13, 14, 59, 60, 1514, 9000, 65535, FRAME_MAX };
	static uint8_t data[FRAME_MAX];
	uint64_t bytes = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < COUNT(lengths); i++) {
		struct fake_frame frame;

		nio_fake_feed(fake[SIDE_SOURCE], data, lengths[i], NULL);
		frame = nio_fake_take(fake[SIDE_DESTINATION]);
		assert_int_equal(frame.len, lengths[i]);
		assert_memory_equal(frame.data, data, lengths[i]);
		free(frame.data);
		bytes += lengths[i];
	}
	assert_int_equal(counters(SIDE_SOURCE).in_bytes, bytes);
	assert_int_equal(counters(SIDE_DESTINATION).out_bytes, bytes);
}

static void what_can_not_be_sent_is_counted_by_reason(void **state)
{
	static const enum frame_drop reasons[] = { DROP_DOWN, DROP_REFUSED, DROP_NO_BUFFER,
						   DROP_TOO_LONG, DROP_RUNT, DROP_ERROR };
	uint32_t number = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(reasons); i++) {
		nio_fake_refuse(fake[SIDE_DESTINATION], 2, reasons[i]);
		for (unsigned at = 0; at < 3; at++)
			feed(SIDE_SOURCE, number++);
		assert_int_equal(take(SIDE_DESTINATION), number - 1);
		assert_int_equal(counters(SIDE_DESTINATION).drop[reasons[i]], 2);
	}
	assert_int_equal(counters(SIDE_SOURCE).in_frames, 3 * COUNT(reasons));
	assert_int_equal(counters(SIDE_DESTINATION).out_frames, COUNT(reasons));
}

/* ---- start and stop */

static void stop_and_start_keep_counters(void **state)
{
	(void)state;
	feed(SIDE_SOURCE, 1);
	assert_int_equal(take(SIDE_DESTINATION), 1);
	link_stop(&link_);
	link_stop(&link_);
	feed(SIDE_SOURCE, 2);
	assert_int_equal(counters(SIDE_SOURCE).in_frames, 1);
	start();
	assert_int_equal(take(SIDE_DESTINATION), 2);
	assert_int_equal(counters(SIDE_SOURCE).in_frames, 2);
	assert_int_equal(counters(SIDE_DESTINATION).out_frames, 2);
	link_reset_counters(&link_);
	assert_int_equal(counters(SIDE_SOURCE).in_frames, 0);
	assert_int_equal(counters(SIDE_DESTINATION).out_bytes, 0);
	feed(SIDE_SOURCE, 3);
	assert_int_equal(take(SIDE_DESTINATION), 3);
	assert_int_equal(counters(SIDE_DESTINATION).out_frames, 1);
}

static void start_and_stop_under_load(void **state)
{
	uint32_t expected = 0;

	(void)state;
	for (unsigned round = 0; round < 100; round++) {
		for (unsigned i = 0; i < 100; i++)
			feed(SIDE_SOURCE, round * 100 + i);
		link_stop(&link_);
		start();
	}
	while (expected < 10000)
		assert_int_equal(take(SIDE_DESTINATION), expected++);
	assert_int_equal(counters(SIDE_SOURCE).in_frames, 10000);
}

static void a_name_changes_while_frames_pass(void **state)
{
	struct err err;

	(void)state;
	for (uint32_t i = 0; i < 200; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%u", i);
		feed(SIDE_SOURCE, i);
		assert_int_equal(link_rename(&link_, name, &err), 0);
		assert_string_equal(link_.name, name);
	}
	for (uint32_t i = 0; i < 200; i++)
		assert_int_equal(take(SIDE_DESTINATION), i);
}

/* ---- filters */

static void a_filter_acts_from_when_it_is_added_until_it_is_removed(void **state)
{
	struct filter *same_name;

	(void)state;
	feed(SIDE_SOURCE, 1);
	assert_int_equal(take(SIDE_DESTINATION), 1);
	add_filter("f", "frequency_drop", "-1");
	same_name = make_filter("f", "packet_loss", "0");
	assert_false(link_add_filter(&link_, same_name));
	filter_free(same_name);
	feed(SIDE_SOURCE, 2);
	feed(SIDE_DESTINATION, 2);
	wait_received(2);
	assert_false(link_delete_filter(&link_, "g"));
	assert_true(link_delete_filter(&link_, "f"));
	assert_false(link_delete_filter(&link_, "f"));
	feed(SIDE_SOURCE, 3);
	feed(SIDE_DESTINATION, 4);
	assert_int_equal(take(SIDE_DESTINATION), 3);
	assert_int_equal(counters(SIDE_DESTINATION).drop[DROP_FILTER], 1);
	assert_int_equal(counters(SIDE_DESTINATION).out_frames, 2);
}

static void every_second_frame_counts_over_both_directions(void **state)
{
	(void)state;
	add_filter("f", "frequency_drop", "2");
	feed(SIDE_SOURCE, 1);
	assert_int_equal(take(SIDE_DESTINATION), 1);
	feed(SIDE_DESTINATION, 2);
	for (uint64_t end = clock_now() + 10 * NSEC_PER_SEC;
	     !counters(SIDE_SOURCE).drop[DROP_FILTER];)
		assert_true(clock_now() < end);
	feed(SIDE_DESTINATION, 3);
	assert_int_equal(take(SIDE_SOURCE), 3);
}

static void filters_change_under_load(void **state)
{
	uint32_t last = 0;

	(void)state;
	for (uint32_t round = 1; round <= 300; round++) {
		for (uint32_t i = 0; i < 20; i++)
			feed(SIDE_SOURCE, round * 20 + i);
		add_filter("a", "delay", "1");
		add_filter("b", "packet_loss", "50");
		add_filter("c", "frequency_drop", "3");
		assert_true(link_delete_filter(&link_, "b"));
		link_reset_filters(&link_);
	}
	feed(SIDE_SOURCE, UINT32_MAX);
	while (last != UINT32_MAX) {
		uint32_t number = take(SIDE_DESTINATION);

		assert_true(number > last);
		last = number;
	}
	assert_int_equal(counters(SIDE_SOURCE).in_frames, 6001);
}

/* Which of 64 frames pass a filter that decides by chance. */
static uint64_t passing(void)
{
	uint64_t passed = 0;

	add_filter("f", "packet_loss", "50");
	for (uint32_t i = 0; i < 64; i++)
		feed(SIDE_SOURCE, i);
	start();
	wait_received(64);
	link_stop(&link_);
	while (nio_fake_pending(fake[SIDE_DESTINATION]))
		passed |= 1ULL << take(SIDE_DESTINATION);
	return passed;
}

static void the_same_seed_makes_the_same_decisions(void **state)
{
	static const uint64_t seeds[] = { 1, 1, 2 };
	uint64_t passed[COUNT(seeds)];

	for (size_t i = 0; i < COUNT(seeds); i++) {
		link_options.seed = seeds[i];
		assert_int_equal(set_up(state), 0);
		passed[i] = passing();
		tear_down(state);
	}
	link_options.seed = 0;
	assert_true(passed[0] == passed[1]);
	assert_true(passed[0] != passed[2]);
}

/* ---- delays */

/* Feeds five frames into a delay that nobody waits for. */
static void fill_delay(void)
{
	add_filter("d", "delay", "100000");
	for (uint32_t i = 0; i < 5; i++)
		feed(SIDE_SOURCE, i);
	wait_received(5);
	assert_int_equal(counters(SIDE_DESTINATION).drop[DROP_QUEUED], 5);
	assert_int_equal(nio_fake_pending(fake[SIDE_DESTINATION]), 0);
}

static void expect_only(uint32_t number)
{
	feed(SIDE_SOURCE, number);
	assert_int_equal(take(SIDE_DESTINATION), number);
	assert_int_equal(nio_fake_pending(fake[SIDE_DESTINATION]), 0);
}

static void a_delay_keeps_order_and_its_time(void **state)
{
	uint64_t begin = clock_now();

	(void)state;
	add_filter("d", "delay", "20");
	for (uint32_t i = 0; i < 500; i++)
		feed(SIDE_SOURCE, i);
	for (uint32_t i = 0; i < 500; i++)
		assert_int_equal(take(SIDE_DESTINATION), i);
	assert_true(clock_now() - begin >= 20 * NSEC_PER_MSEC);
	assert_int_equal(counters(SIDE_DESTINATION).out_frames, 500);
}

static void without_its_delay_a_queue_empties_at_once_in_order(void **state)
{
	(void)state;
	for (unsigned reset = 0; reset < 2; reset++) {
		link_reset_counters(&link_);
		fill_delay();
		if (reset)
			link_reset_filters(&link_);
		else
			assert_true(link_delete_filter(&link_, "d"));
		assert_int_equal(nio_fake_pending(fake[SIDE_DESTINATION]), 5);
		for (uint32_t i = 0; i < 5; i++)
			assert_int_equal(take(SIDE_DESTINATION), i);
		expect_only(7);
		assert_int_equal(counters(SIDE_DESTINATION).out_frames, 6);
	}
}

static void what_is_queued_stays_while_another_delay_is_there(void **state)
{
	(void)state;
	fill_delay();
	add_filter("e", "delay", "1");
	add_filter("l", "packet_loss", "0");
	assert_true(link_delete_filter(&link_, "e"));
	assert_true(link_delete_filter(&link_, "l"));
	assert_int_equal(nio_fake_pending(fake[SIDE_DESTINATION]), 0);
	assert_true(link_delete_filter(&link_, "d"));
	assert_int_equal(nio_fake_pending(fake[SIDE_DESTINATION]), 5);
}

static void a_filter_that_drops_all_discards_what_is_queued(void **state)
{
	static const char *const all[][2] = { { "frequency_drop", "-1" },
					      { "packet_loss", "100" } };

	(void)state;
	for (size_t i = 0; i < COUNT(all); i++) {
		link_reset_counters(&link_);
		fill_delay();
		add_filter("s", all[i][0], all[i][1]);
		link_reset_filters(&link_);
		expect_only(8);
	}
}

static void stop_does_not_wait_for_what_is_queued(void **state)
{
	uint64_t begin;

	(void)state;
	fill_delay();
	begin = clock_now();
	link_stop(&link_);
	assert_true(clock_now() - begin < NSEC_PER_SEC);
	link_reset_filters(&link_);
	start();
	expect_only(9);
}

static void a_full_queue_drops_and_counts(void **state)
{
	(void)state;
	link_options.delay_frames = 3;
	assert_int_equal(set_up_running(state), 0);
	add_filter("d", "delay", "100000");
	for (uint32_t i = 0; i < 10; i++)
		feed(SIDE_SOURCE, i);
	wait_received(10);
	assert_int_equal(counters(SIDE_DESTINATION).drop[DROP_QUEUED], 3);
	assert_int_equal(counters(SIDE_DESTINATION).drop[DROP_QUEUE], 7);
	link_reset_filters(&link_);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(take(SIDE_DESTINATION), i);
	expect_only(11);
	tear_down(state);
}

/* ---- sinks that are waited for */

static void frames_wait_for_a_patient_sink(void **state)
{
	(void)state;
	fake[SIDE_DESTINATION]->nio.patient = true;
	nio_fake_fill(fake[SIDE_DESTINATION], true);
	for (uint32_t i = 0; i < 300; i++)
		feed(SIDE_SOURCE, i);
	start();
	/* nothing more is received meanwhile, the other direction goes on */
	wait_received(BATCH_SLOTS);
	feed(SIDE_DESTINATION, 1);
	assert_int_equal(take(SIDE_SOURCE), 1);
	wait_received(BATCH_SLOTS);
	assert_int_equal(nio_fake_pending(fake[SIDE_DESTINATION]), 0);
	nio_fake_fill(fake[SIDE_DESTINATION], false);
	for (uint32_t i = 0; i < 300; i++)
		assert_int_equal(take(SIDE_DESTINATION), i);
	assert_int_equal(counters(SIDE_DESTINATION).out_frames, 300);
	assert_int_equal(counters(SIDE_DESTINATION).drop[DROP_NO_BUFFER], 0);
}

static void a_link_stops_while_its_sink_is_full(void **state)
{
	(void)state;
	fake[SIDE_DESTINATION]->nio.patient = true;
	nio_fake_fill(fake[SIDE_DESTINATION], true);
	for (uint32_t i = 0; i < BATCH_SLOTS; i++)
		feed(SIDE_SOURCE, i);
	start();
	wait_received(BATCH_SLOTS);
	link_stop(&link_);
	nio_fake_fill(fake[SIDE_DESTINATION], false);
	start();
	expect_only(1000);
}

/* All that a delay lets go at once finds no room: what can be kept stays in order. */
static void too_many_frames_for_a_full_sink(void **state)
{
	enum { KEPT = BATCH_FRAMES, MANY = 2 * BATCH_FRAMES };

	(void)state;
	fake[SIDE_DESTINATION]->nio.patient = true;
	start();
	add_filter("d", "delay", "100000");
	for (uint32_t i = 0; i < MANY; i++)
		feed(SIDE_SOURCE, i);
	wait_received(MANY);
	nio_fake_fill(fake[SIDE_DESTINATION], true);
	link_reset_filters(&link_);
	/* time enough for some attempts in vain */
	usleep(5000);
	assert_int_equal(nio_fake_pending(fake[SIDE_DESTINATION]), 0);
	nio_fake_fill(fake[SIDE_DESTINATION], false);
	for (uint32_t i = 0; i < KEPT; i++)
		assert_int_equal(take(SIDE_DESTINATION), i);
	expect_only(MANY);
	assert_int_equal(counters(SIDE_DESTINATION).out_frames, KEPT + 1);
	assert_int_equal(counters(SIDE_DESTINATION).drop[DROP_NO_BUFFER], MANY - KEPT);
}

struct queue_look {
	size_t delayed, blocked;
};

static void look_at_queues(void *arg)
{
	struct queue_look *look = arg;

	look->delayed = link_.pump[SIDE_SOURCE].delayed.count;
	look->blocked = link_.pump[SIDE_SOURCE].blocked.count;
}

static struct queue_look queues(void)
{
	struct queue_look look;

	link_do(&link_, look_at_queues, &look);
	return look;
}

/* Waits until so many frames wait for room at the destination. */
static void wait_blocked(size_t frames)
{
	uint64_t end = clock_now() + 10 * NSEC_PER_SEC;

	while (queues().blocked < frames) {
		assert_true(clock_now() < end);
		usleep(1000);
	}
}

/* What a delay lets go all the time joins what waits, and does not make it wait longer. */
static void a_delay_in_front_of_a_full_sink(void **state)
{
	uint64_t end = clock_now() + 500 * NSEC_PER_MSEC;

	(void)state;
	fake[SIDE_DESTINATION]->nio.patient = true;
	nio_fake_fill(fake[SIDE_DESTINATION], true);
	start();
	add_filter("d", "delay", "500");
	feed(SIDE_SOURCE, 0);
	/* the first one finds no room, until the pauses between two attempts are long */
	usleep(150000);
	for (uint32_t i = 1; clock_now() < end && i < BATCH_FRAMES; i++) {
		feed(SIDE_SOURCE, i);
		usleep(50);
	}
	wait_blocked(20);
	nio_fake_fill(fake[SIDE_DESTINATION], false);
	assert_int_equal(take(SIDE_DESTINATION), 0);
	assert_true(queues().delayed > 0);
}

/* Once the sink takes something again, its frames follow each other closely. */
static void a_sink_that_reads_slowly_is_not_left_alone(void **state)
{
	uint64_t gap = UINT64_MAX;

	(void)state;
	fake[SIDE_DESTINATION]->nio.patient = true;
	for (uint32_t round = 0; round < 20 && gap > 10 * NSEC_PER_MSEC; round++) {
		struct fake_frame first, second;

		nio_fake_fill(fake[SIDE_DESTINATION], true);
		feed(SIDE_SOURCE, 0);
		feed(SIDE_SOURCE, 1);
		start();
		wait_blocked(2);
		/* until the pauses between two attempts have become as long as they get */
		usleep(100000);
		nio_fake_drain_slowly(fake[SIDE_DESTINATION], 1);
		first = nio_fake_take(fake[SIDE_DESTINATION]);
		second = nio_fake_take(fake[SIDE_DESTINATION]);
		link_stop(&link_);
		gap = second.when - first.when;
		free(first.data);
		free(second.data);
	}
	assert_true(gap <= 10 * NSEC_PER_MSEC);
}

/* ---- devices that go away */

static void wait_revivals(enum side side, unsigned count)
{
	uint64_t end = clock_now() + 10 * NSEC_PER_SEC;

	while (nio_fake_revivals(fake[side]) < count) {
		assert_true(clock_now() < end);
		usleep(1000);
	}
}

static void a_device_that_comes_back_is_used_again(void **state)
{
	(void)state;
	nio_fake_vanish(fake[SIDE_SOURCE], 2);
	wait_revivals(SIDE_SOURCE, 1);
	/* the other direction loses its frames meanwhile, and goes on */
	feed(SIDE_DESTINATION, 1);
	for (uint64_t end = clock_now() + 10 * NSEC_PER_SEC;
	     !counters(SIDE_SOURCE).drop[DROP_DOWN];)
		assert_true(clock_now() < end);
	feed(SIDE_SOURCE, 2);
	assert_int_equal(take(SIDE_DESTINATION), 2);
	assert_int_equal(nio_fake_revivals(fake[SIDE_SOURCE]), 3);
	feed(SIDE_DESTINATION, 3);
	assert_int_equal(take(SIDE_SOURCE), 3);
}

static void what_came_before_a_device_went_away_passes(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		feed(SIDE_SOURCE, i);
	nio_fake_vanish(fake[SIDE_SOURCE], 0);
	start();
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(take(SIDE_DESTINATION), i);
	wait_revivals(SIDE_SOURCE, 1);
	assert_int_equal(counters(SIDE_SOURCE).in_frames, 3);
	expect_only(3);
}

static void a_link_stops_and_starts_while_a_device_is_gone(void **state)
{
	(void)state;
	nio_fake_vanish(fake[SIDE_SOURCE], 3);
	wait_revivals(SIDE_SOURCE, 1);
	link_stop(&link_);
	feed(SIDE_SOURCE, 4);
	start();
	assert_int_equal(take(SIDE_DESTINATION), 4);
	assert_int_equal(nio_fake_revivals(fake[SIDE_SOURCE]), 4);
}

/* Longer than the pause between two attempts, which would be seen. */
#define TWO_ATTEMPTS_US 450000

static void nobody_looks_for_the_device_of_a_stopped_link(void **state)
{
	unsigned revivals;

	(void)state;
	nio_fake_vanish(fake[SIDE_SOURCE], 1000);
	wait_revivals(SIDE_SOURCE, 1);
	link_stop(&link_);
	revivals = nio_fake_revivals(fake[SIDE_SOURCE]);
	usleep(TWO_ATTEMPTS_US);
	assert_int_equal(nio_fake_revivals(fake[SIDE_SOURCE]), revivals);
}

static void both_devices_go_away(void **state)
{
	(void)state;
	nio_fake_vanish(fake[SIDE_SOURCE], 0);
	nio_fake_vanish(fake[SIDE_DESTINATION], 1);
	wait_revivals(SIDE_DESTINATION, 2);
	wait_revivals(SIDE_SOURCE, 1);
	feed(SIDE_SOURCE, 5);
	feed(SIDE_DESTINATION, 6);
	assert_int_equal(take(SIDE_DESTINATION), 5);
	assert_int_equal(take(SIDE_SOURCE), 6);
}

/* ---- devices that are attached to anew */

static void look_whether_busy(void *arg)
{
	*(bool *)arg = link_.nio[SIDE_SOURCE]->busy;
}

static bool is_busy(void)
{
	bool busy;

	link_do(&link_, look_whether_busy, &busy);
	return busy;
}

/* More looks than there can be in a test. */
#define FOR_EVER 1000000

static void stop_renewing(void)
{
	pthread_mutex_lock(&fake[SIDE_SOURCE]->lock);
	fake[SIDE_SOURCE]->renewing = 0;
	pthread_mutex_unlock(&fake[SIDE_SOURCE]->lock);
}

/* Frames in both directions during a renewal: they wait for its end, which comes. */
static void expect_a_renewal_that_loses_nothing(void)
{
	for (uint32_t i = 0; i < 200; i++) {
		feed(SIDE_SOURCE, i);
		feed(SIDE_DESTINATION, 1000 + i);
	}
	for (uint64_t end = clock_now() + 10 * NSEC_PER_SEC;
	     !counters(SIDE_DESTINATION).in_frames;)
		assert_true(clock_now() < end);
	wait_received(1);
	assert_true(is_busy());
	assert_false(link_device_is_gone(&link_, SIDE_SOURCE));
	assert_int_equal(nio_fake_pending(fake[SIDE_SOURCE]), 0);
	stop_renewing();
	for (uint32_t i = 0; i < 200; i++) {
		assert_int_equal(take(SIDE_DESTINATION), i);
		assert_int_equal(take(SIDE_SOURCE), 1000 + i);
	}
	assert_false(is_busy());
	assert_int_equal(fake[SIDE_SOURCE]->disturbed, 0);
	assert_int_equal(counters(SIDE_SOURCE).out_frames, 200);
	assert_int_equal(counters(SIDE_SOURCE).last_error_ns, 0);
}

static void a_device_is_left_alone_while_it_is_attached_to_anew(void **state)
{
	(void)state;
	nio_fake_age(fake[SIDE_SOURCE], FOR_EVER);
	feed(SIDE_SOURCE, 5000);
	assert_int_equal(take(SIDE_DESTINATION), 5000);
	while (!is_busy())
		;
	expect_a_renewal_that_loses_nothing();
}

static void a_link_stops_and_starts_during_a_renewal(void **state)
{
	(void)state;
	nio_fake_age(fake[SIDE_SOURCE], FOR_EVER);
	feed(SIDE_SOURCE, 5000);
	assert_int_equal(take(SIDE_DESTINATION), 5000);
	while (!is_busy())
		;
	link_stop(&link_);
	start();
	expect_a_renewal_that_loses_nothing();
}

static void a_device_is_attached_to_anew_before_it_is_moved(void **state)
{
	(void)state;
	fake[SIDE_SOURCE]->renewing = 20;
	link_before_move(&link_, SIDE_SOURCE);
	assert_int_equal(fake[SIDE_SOURCE]->moves, 1);
	assert_int_equal(fake[SIDE_SOURCE]->renewing, 0);
	start();
	fake[SIDE_SOURCE]->renewing = 20;
	link_before_move(&link_, SIDE_SOURCE);
	assert_int_equal(fake[SIDE_SOURCE]->moves, 1);
	assert_int_equal(fake[SIDE_SOURCE]->renewing, 0);
	assert_false(is_busy());
	expect_only(1);
	/* one that is under way is waited for, also where its link was stopped meanwhile */
	nio_fake_age(fake[SIDE_SOURCE], 100);
	expect_only(2);
	link_before_move(&link_, SIDE_SOURCE);
	assert_int_equal(fake[SIDE_SOURCE]->renewing, 0);
	nio_fake_age(fake[SIDE_SOURCE], FOR_EVER);
	expect_only(3);
	while (!is_busy())
		;
	link_stop(&link_);
	fake[SIDE_SOURCE]->renewing = 20;
	link_before_move(&link_, SIDE_SOURCE);
	assert_false(is_busy());
	start();
	expect_only(4);
	assert_int_equal(fake[SIDE_SOURCE]->disturbed, 0);
}

/* ---- super-frames */

#define TCP_HEADERS 54
#define MSS 1000

/* A TCP segment of 2500 bytes in one piece, as a device with offload hands it over. */
static void feed_super(void)
{
	static const uint8_t headers[TCP_HEADERS] = {
		2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0,	/* Ethernet */
		0x45, 0, 0x09, 0xec, 0, 1, 0x40, 0, 64, 6, 0, 0,	/* IPv4, TCP */
		10, 0, 0, 1, 10, 0, 0, 2,
		0, 80, 0, 81, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0, 0, 0, 0, 0,
	};
	static const struct virtio_net_hdr vnet = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = TCP_HEADERS,
		.gso_size = MSS,
		.csum_start = 34,
		.csum_offset = 16,
	};
	static uint8_t data[TCP_HEADERS + 2500];

	memcpy(data, headers, sizeof(headers));
	nio_fake_feed(fake[SIDE_SOURCE], data, sizeof(data), &vnet);
}

static void expect_length(uint32_t len, bool wire)
{
	static const struct virtio_net_hdr none;
	struct fake_frame frame = nio_fake_take(fake[SIDE_DESTINATION]);

	assert_int_equal(frame.len, len);
	assert_int_equal(!memcmp(&frame.vnet, &none, sizeof(none)), wire);
	free(frame.data);
}

static void open_capture(void)
{
	struct capture *capture;
	struct err err;

	capture = capture_open(pcap_path, "EN10MB", &err);
	assert_non_null(capture);
	link_set_capture(&link_, capture);
}

static void super_frames_are_split_where_somebody_needs_wire_frames(void **state)
{
	static const struct {
		const char *name;
		bool takes_gso, filter, capture, whole;
	} rows[] = {
		{ "nobody", true, false, false, true },
		{ "the way out", false, false, false, false },
		{ "a filter", true, true, false, false },
		{ "a capture", true, false, true, false },
		{ "all", false, true, true, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		print_message("%s\n", rows[i].name);
		fake[SIDE_DESTINATION]->nio.takes_gso = rows[i].takes_gso;
		link_reset_counters(&link_);
		if (rows[i].filter)
			add_filter("f", "packet_loss", "0");
		if (rows[i].capture)
			open_capture();
		start();
		feed_super();
		if (rows[i].whole) {
			expect_length(TCP_HEADERS + 2500, false);
		} else {
			expect_length(TCP_HEADERS + MSS, true);
			expect_length(TCP_HEADERS + MSS, true);
			expect_length(TCP_HEADERS + 500, true);
		}
		/* counted as wire frames in any case */
		assert_int_equal(counters(SIDE_SOURCE).in_frames, 3);
		assert_int_equal(counters(SIDE_SOURCE).in_bytes, 2500 + 3 * TCP_HEADERS);
		assert_int_equal(counters(SIDE_DESTINATION).out_frames, 3);
		assert_int_equal(counters(SIDE_DESTINATION).out_bytes, 2500 + 3 * TCP_HEADERS);
		link_stop(&link_);
		link_reset_filters(&link_);
		link_set_capture(&link_, NULL);
	}
}

static void a_super_frame_that_is_dropped_counts_as_its_wire_frames(void **state)
{
	(void)state;
	fake[SIDE_DESTINATION]->nio.takes_gso = true;
	nio_fake_refuse(fake[SIDE_DESTINATION], 1, DROP_NO_BUFFER);
	feed_super();
	feed_super();
	expect_length(TCP_HEADERS + 2500, false);
	assert_int_equal(counters(SIDE_SOURCE).in_frames, 6);
	assert_int_equal(counters(SIDE_DESTINATION).drop[DROP_NO_BUFFER], 3);
	assert_int_equal(counters(SIDE_DESTINATION).out_frames, 3);
}

/* More wire frames than one batch of segments holds, in order with what is around them. */
static void many_super_frames(void **state)
{
	enum { MANY = 3 * BATCH_SLOTS };

	(void)state;
	feed(SIDE_SOURCE, 1);
	for (unsigned i = 0; i < MANY; i++)
		feed_super();
	feed(SIDE_SOURCE, 2);
	start();
	assert_int_equal(take(SIDE_DESTINATION), 1);
	for (unsigned i = 0; i < MANY; i++) {
		expect_length(TCP_HEADERS + MSS, true);
		expect_length(TCP_HEADERS + MSS, true);
		expect_length(TCP_HEADERS + 500, true);
	}
	assert_int_equal(take(SIDE_DESTINATION), 2);
	assert_int_equal(counters(SIDE_DESTINATION).out_frames, 3 * MANY + 2);
}

/* What claims to be a super-frame and is none is lost, and nothing else is. */
static void a_broken_super_frame_is_dropped(void **state)
{
	static const struct virtio_net_hdr vnet = {
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.gso_size = 100,
		.hdr_len = TCP_HEADERS,
	};
	static const uint8_t nonsense[1000] = { 1, 2, 3 };

	(void)state;
	nio_fake_feed(fake[SIDE_SOURCE], nonsense, sizeof(nonsense), &vnet);
	feed(SIDE_SOURCE, 1);
	assert_int_equal(take(SIDE_DESTINATION), 1);
	assert_int_equal(counters(SIDE_DESTINATION).drop[DROP_ERROR], 1);
}

/* ---- captures */

static off_t pcap_size(void)
{
	struct stat file;

	assert_int_equal(stat(pcap_path, &file), 0);
	return file.st_size;
}

static void captures_come_and_go_under_load(void **state)
{
	uint32_t expected = 0;

	(void)state;
	for (uint32_t round = 0; round < 100; round++) {
		for (uint32_t i = 0; i < 20; i++)
			feed(SIDE_SOURCE, round * 20 + i);
		open_capture();
		assert_true(link_is_capturing(&link_));
		if (round % 2)
			link_set_capture(&link_, NULL);
	}
	while (expected < 2000)
		assert_int_equal(take(SIDE_DESTINATION), expected++);
	link_set_capture(&link_, NULL);
	assert_false(link_is_capturing(&link_));
	assert_int_equal((pcap_size() - PCAP_HEADER) % (PCAP_RECORD + 60), 0);
}

static void a_capture_has_what_passes_in_both_directions(void **state)
{
	(void)state;
	open_capture();
	add_filter("f", "frequency_drop", "2");
	for (uint32_t i = 0; i < 10; i++)
		feed(SIDE_SOURCE, i);
	wait_received(10);
	assert_int_equal(pcap_size(), PCAP_HEADER + 5 * (PCAP_RECORD + 60));
	link_reset_filters(&link_);
	feed(SIDE_DESTINATION, 1);
	assert_int_equal(take(SIDE_SOURCE), 1);
	link_set_capture(&link_, NULL);
	assert_int_equal(pcap_size(), PCAP_HEADER + 6 * (PCAP_RECORD + 60));
}

static void a_capture_without_room_ends_and_the_link_does_not(void **state)
{
	struct rlimit before, little;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	little = before;
	little.rlim_cur = PCAP_HEADER + 3 * (PCAP_RECORD + 60) + 10;
	open_capture();
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	for (uint32_t i = 0; i < 10; i++) {
		feed(SIDE_SOURCE, i);
		assert_int_equal(take(SIDE_DESTINATION), i);
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_false(link_is_capturing(&link_));
	assert_int_equal(pcap_size(), PCAP_HEADER + 3 * (PCAP_RECORD + 60));
	open_capture();
	feed(SIDE_SOURCE, 10);
	assert_int_equal(take(SIDE_DESTINATION), 10);
	assert_true(link_is_capturing(&link_));
}

/* ---- */

static int prepare(void **state)
{
	int fd = mkstemp(pcap_path);

	(void)state;
	log_set_sink(ignore_line);
	workers_set_limit(1);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int clean_up(void **state)
{
	(void)state;
	workers_stop();
	return unlink(pcap_path);
}

#define RUNNING(name) cmocka_unit_test_setup_teardown(name, set_up_running, tear_down)
#define STOPPED(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUNNING(frames_pass_both_ways_in_order),
		STOPPED(batches_of_every_size),
		RUNNING(frames_of_every_length),
		RUNNING(what_can_not_be_sent_is_counted_by_reason),
		RUNNING(stop_and_start_keep_counters),
		RUNNING(start_and_stop_under_load),
		RUNNING(a_name_changes_while_frames_pass),
		RUNNING(a_filter_acts_from_when_it_is_added_until_it_is_removed),
		RUNNING(every_second_frame_counts_over_both_directions),
		RUNNING(filters_change_under_load),
		cmocka_unit_test(the_same_seed_makes_the_same_decisions),
		RUNNING(a_delay_keeps_order_and_its_time),
		RUNNING(without_its_delay_a_queue_empties_at_once_in_order),
		RUNNING(what_is_queued_stays_while_another_delay_is_there),
		RUNNING(a_filter_that_drops_all_discards_what_is_queued),
		RUNNING(stop_does_not_wait_for_what_is_queued),
		cmocka_unit_test(a_full_queue_drops_and_counts),
		STOPPED(frames_wait_for_a_patient_sink),
		STOPPED(a_link_stops_while_its_sink_is_full),
		STOPPED(too_many_frames_for_a_full_sink),
		STOPPED(a_delay_in_front_of_a_full_sink),
		STOPPED(a_sink_that_reads_slowly_is_not_left_alone),
		RUNNING(a_device_that_comes_back_is_used_again),
		STOPPED(what_came_before_a_device_went_away_passes),
		RUNNING(a_link_stops_and_starts_while_a_device_is_gone),
		RUNNING(nobody_looks_for_the_device_of_a_stopped_link),
		RUNNING(both_devices_go_away),
		RUNNING(a_device_is_left_alone_while_it_is_attached_to_anew),
		RUNNING(a_link_stops_and_starts_during_a_renewal),
		STOPPED(a_device_is_attached_to_anew_before_it_is_moved),
		STOPPED(super_frames_are_split_where_somebody_needs_wire_frames),
		RUNNING(a_super_frame_that_is_dropped_counts_as_its_wire_frames),
		STOPPED(many_super_frames),
		RUNNING(a_broken_super_frame_is_dropped),
		RUNNING(captures_come_and_go_under_load),
		RUNNING(a_capture_has_what_passes_in_both_directions),
		RUNNING(a_capture_without_room_ends_and_the_link_does_not),
	};

	return cmocka_run_group_tests_name("link", tests, prepare, clean_up);
}
