/* SPDX-License-Identifier: GPL-3.0-or-later */
/* base/loop: sources that remove each other, timers, tasks from other threads */
#include <config.h>

#include "base/loop.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/rng.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* One loop for each test, run on the test's own thread unless it says otherwise. */
static struct loop loop;

static int set_up(void **state)
{
	struct err err;

	(void)state;
	return loop_init(&loop, &err);
}

static int tear_down(void **state)
{
	(void)state;
	loop_fini(&loop);
	return 0;
}

/* ---- timers */

struct alarm {
	struct loop_timer timer;
	unsigned number;
};

static unsigned went_off[4096], went_off_count;

static void note(struct loop_timer *timer)
{
	struct alarm *alarm = container_of(timer, struct alarm, timer);

	assert_true(clock_now() >= timer->due);
	assert_int_equal(timer->place, 0);
	went_off[went_off_count++] = alarm->number;
}

static void stop_loop(struct loop_timer *timer)
{
	(void)timer;
	loop_stop(&loop);
}

/* Runs the loop until @due has passed and all timers before it have expired. */
static void run_until(uint64_t due)
{
	struct loop_timer end = { .expired = stop_loop };

	assert_true(loop_timer_set(&loop, &end, due));
	loop_run(&loop);
	assert_int_equal(end.place, 0);
}

static void alarms_init(struct alarm *alarm, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		alarm[i] = (struct alarm){ .timer.expired = note, .number = i };
	went_off_count = 0;
}

static void timers_expire_in_order(void **state)
{
	static const struct {
		const char *name;
		unsigned after_ms[5];
		unsigned want[5];
	} rows[] = {
		{ "in order", { 1, 2, 3, 4, 5 }, { 0, 1, 2, 3, 4 } },
		{ "reversed", { 5, 4, 3, 2, 1 }, { 4, 3, 2, 1, 0 } },
		{ "mixed", { 3, 5, 1, 4, 2 }, { 2, 4, 0, 3, 1 } },
	};

	(void)state;
	for (size_t row = 0; row < COUNT(rows); row++) {
		uint64_t now = clock_now();
		struct alarm alarm[5];

		print_message("%s\n", rows[row].name);
		alarms_init(alarm, COUNT(alarm));
		for (unsigned i = 0; i < COUNT(alarm); i++)
			assert_true(
				loop_timer_set(&loop, &alarm[i].timer,
					       now + rows[row].after_ms[i] * NSEC_PER_MSEC));
		run_until(now + 6 * NSEC_PER_MSEC);
		assert_int_equal(went_off_count, COUNT(alarm));
		assert_memory_equal(went_off, rows[row].want, sizeof(rows[row].want));
	}
}

static void timers_of_the_past_expire_at_once(void **state)
{
	struct alarm alarm[3];

	(void)state;
	alarms_init(alarm, COUNT(alarm));
	assert_true(loop_timer_set(&loop, &alarm[0].timer, 1));
	assert_true(loop_timer_set(&loop, &alarm[1].timer, 0));
	assert_true(loop_timer_set(&loop, &alarm[2].timer, LOOP_NEVER));
	run_until(clock_now());
	assert_int_equal(went_off_count, 2);
	assert_int_equal(went_off[0], 1);
	assert_int_equal(went_off[1], 0);
	assert_true(alarm[2].timer.place);
	loop_timer_cancel(&loop, &alarm[2].timer);
}

static void a_cancelled_timer_stays_silent(void **state)
{
	uint64_t now = clock_now();
	struct alarm alarm[3];

	(void)state;
	for (unsigned cancelled = 0; cancelled < COUNT(alarm); cancelled++) {
		alarms_init(alarm, COUNT(alarm));
		for (unsigned i = 0; i < COUNT(alarm); i++)
			assert_true(loop_timer_set(&loop, &alarm[i].timer,
						   now + (i + 1) * NSEC_PER_MSEC));
		loop_timer_cancel(&loop, &alarm[cancelled].timer);
		loop_timer_cancel(&loop, &alarm[cancelled].timer);
		run_until(now + 5 * NSEC_PER_MSEC);
		assert_int_equal(went_off_count, 2);
		assert_true(went_off[0] != cancelled && went_off[1] != cancelled);
		assert_true(went_off[0] < went_off[1]);
	}
}

static void a_timer_that_is_set_again_has_one_time_only(void **state)
{
	uint64_t now = clock_now();
	struct alarm alarm[3];

	(void)state;
	alarms_init(alarm, COUNT(alarm));
	for (unsigned i = 0; i < COUNT(alarm); i++)
		assert_true(
			loop_timer_set(&loop, &alarm[i].timer, now + (i + 1) * NSEC_PER_MSEC));
	/* the first becomes the last, the last the first */
	assert_true(loop_timer_set(&loop, &alarm[0].timer, now + 4 * NSEC_PER_MSEC));
	assert_true(loop_timer_set(&loop, &alarm[2].timer, now));
	run_until(now + 5 * NSEC_PER_MSEC);
	assert_int_equal(went_off_count, 3);
	assert_int_equal(went_off[0], 2);
	assert_int_equal(went_off[1], 1);
	assert_int_equal(went_off[2], 0);
}

/* An early timer that goes away must leave the later one its alarm. */
static void the_next_timer_goes_off_after_a_cancelled_one(void **state)
{
	uint64_t now = clock_now();
	struct alarm alarm[2];

	(void)state;
	alarms_init(alarm, COUNT(alarm));
	assert_true(loop_timer_set(&loop, &alarm[0].timer, now + NSEC_PER_MSEC));
	assert_true(loop_timer_set(&loop, &alarm[1].timer, now + 3 * NSEC_PER_MSEC));
	loop_timer_cancel(&loop, &alarm[0].timer);
	run_until(now + 4 * NSEC_PER_MSEC);
	assert_int_equal(went_off_count, 1);
	assert_int_equal(went_off[0], 1);
}

static unsigned ticks;

static void tick(struct loop_timer *timer)
{
	if (++ticks == 10)
		loop_stop(&loop);
	else
		assert_true(loop_timer_set(&loop, timer, clock_now() + NSEC_PER_MSEC / 2));
}

static void a_timer_sets_itself_again(void **state)
{
	struct loop_timer timer = { .expired = tick };

	(void)state;
	ticks = 0;
	assert_true(loop_timer_set(&loop, &timer, clock_now()));
	loop_run(&loop);
	assert_int_equal(ticks, 10);
}

static struct alarm victim;

static void cancel_victim(struct loop_timer *timer)
{
	(void)timer;
	loop_timer_cancel(&loop, &victim.timer);
}

static void a_timer_cancels_another_that_is_due_too(void **state)
{
	struct loop_timer killer = { .expired = cancel_victim };

	(void)state;
	alarms_init(&victim, 1);
	assert_true(loop_timer_set(&loop, &killer, 1));
	assert_true(loop_timer_set(&loop, &victim.timer, 2));
	run_until(clock_now());
	assert_int_equal(went_off_count, 0);
}

static void many_timers(void **state)
{
	enum { MANY = 3000 };
	struct alarm *alarm = calloc(MANY, sizeof(*alarm));
	uint64_t now = clock_now();
	unsigned expected = 0;
	struct rng rng;

	(void)state;
	rng_seed(&rng, 3, 0);
	alarms_init(alarm, MANY);
	for (unsigned i = 0; i < MANY; i++)
		assert_true(loop_timer_set(&loop, &alarm[i].timer,
					   now + rng_next(&rng) % (20 * NSEC_PER_MSEC)));
	for (unsigned i = 0; i < MANY; i++) {
		if (i % 3 == 0)
			loop_timer_cancel(&loop, &alarm[i].timer);
		else if (i % 3 == 1)
			assert_true(
				loop_timer_set(&loop, &alarm[i].timer,
					       now + rng_next(&rng) % (20 * NSEC_PER_MSEC)));
		expected += i % 3 != 0;
	}
	run_until(now + 20 * NSEC_PER_MSEC);
	assert_int_equal(went_off_count, expected);
	for (unsigned i = 1; i < went_off_count; i++)
		assert_true(alarm[went_off[i - 1]].timer.due <= alarm[went_off[i]].timer.due);
	free(alarm);
}

/* ---- sources */

struct watched {
	struct loop_source source;
	struct watched *removes;
	unsigned calls;
	uint32_t events;
};

static unsigned ready_calls, ready_limit;

static void ready(struct loop_source *source, uint32_t events)
{
	struct watched *watched = container_of(source, struct watched, source);

	watched->calls++;
	watched->events = events;
	if (watched->removes) {
		loop_remove(&loop, &watched->removes->source);
		close(watched->removes->source.fd);
		/* nobody may look at it again */
		memset(&watched->removes->source, 0, sizeof(watched->removes->source));
		watched->removes = NULL;
	}
	if (++ready_calls >= ready_limit)
		loop_stop(&loop);
}

static void watched_init(struct watched *watched, unsigned count)
{
	struct err err;

	ready_calls = 0;
	for (unsigned i = 0; i < count; i++) {
		watched[i] = (struct watched){ .source = { eventfd(1, 0), ready } };
		assert_int_equal(loop_add(&loop, &watched[i].source, EPOLLIN, &err), 0);
	}
}

static void watched_fini(struct watched *watched, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (watched[i].source.ready)
			close(watched[i].source.fd);
	}
}

static void ready_sources_are_served_in_turns(void **state)
{
	struct watched watched[3];

	(void)state;
	watched_init(watched, COUNT(watched));
	ready_limit = 30;
	loop_run(&loop);
	for (unsigned i = 0; i < COUNT(watched); i++) {
		assert_int_equal(watched[i].calls, 10);
		assert_int_equal(watched[i].events, EPOLLIN);
	}
	watched_fini(watched, COUNT(watched));
}

/* All are ready in the same round; the first one served takes the others away. */
static void a_handler_removes_sources_that_are_ready_too(void **state)
{
	struct watched watched[2];

	(void)state;
	watched_init(watched, COUNT(watched));
	watched[0].removes = &watched[1];
	watched[1].removes = &watched[0];
	ready_limit = 5;
	loop_run(&loop);
	assert_int_equal(watched[0].calls + watched[1].calls, 5);
	assert_true(!watched[0].calls || !watched[1].calls);
	watched_fini(watched, COUNT(watched));
}

static void a_handler_removes_its_own_source(void **state)
{
	struct watched watched[2];

	(void)state;
	watched_init(watched, COUNT(watched));
	watched[0].removes = &watched[0];
	ready_limit = 8;
	loop_run(&loop);
	assert_int_equal(watched[0].calls, 1);
	assert_int_equal(watched[1].calls, 7);
	watched_fini(watched, COUNT(watched));
}

/* A descriptor number that is used again belongs to its new source. */
static void a_removed_descriptor_is_used_again(void **state)
{
	struct watched watched[2];
	struct err err;
	int fd;

	(void)state;
	watched_init(watched, 1);
	fd = watched[0].source.fd;
	loop_remove(&loop, &watched[0].source);
	close(fd);
	watched[1] = (struct watched){ .source = { eventfd(1, 0), ready } };
	assert_int_equal(watched[1].source.fd, fd);
	assert_int_equal(loop_add(&loop, &watched[1].source, EPOLLIN, &err), 0);
	ready_limit = 1;
	loop_run(&loop);
	assert_int_equal(watched[0].calls, 0);
	assert_int_equal(watched[1].calls, 1);
	loop_remove(&loop, &watched[1].source);
	/* cppcheck-suppress doubleFree ; the second eventfd has the number of the first */
	close(fd);
}

static void events_are_changed(void **state)
{
	static const struct {
		uint32_t watch, want;
	} rows[] = {
		{ EPOLLIN, EPOLLIN },
		{ EPOLLOUT, EPOLLOUT },
		{ EPOLLIN | EPOLLOUT, EPOLLIN | EPOLLOUT },
	};
	struct watched watched[1];

	(void)state;
	watched_init(watched, 1);
	ready_limit = 1;
	for (size_t i = 0; i < COUNT(rows); i++) {
		loop_modify(&loop, &watched[0].source, rows[i].watch);
		loop_run(&loop);
		assert_int_equal(watched[0].events, rows[i].want);
	}
	loop_modify(&loop, &watched[0].source, 0);
	watched[0].calls = 0;
	run_until(clock_now() + NSEC_PER_MSEC);
	assert_int_equal(watched[0].calls, 0);
	watched_fini(watched, 1);
}

static void a_bad_descriptor_is_an_error(void **state)
{
	struct loop_source source = { .fd = -1, .ready = ready };
	struct err err;

	(void)state;
	assert_int_equal(loop_add(&loop, &source, EPOLLIN, &err), -EBADF);
	assert_non_null(strstr(err.text, "Bad file descriptor"));
}

/* ---- tasks */

#define THREADS 4
#define TASKS 2000

struct numbered_task {
	struct loop_task task;
	unsigned thread, number;
};

static struct numbered_task tasks[THREADS][TASKS];
static unsigned next_number[THREADS];
static unsigned tasks_run, in_call;
static bool in_order;

/* Only the loop's thread touches these counters: that they need no lock is the point. */
static void count_task(struct loop_task *task)
{
	struct numbered_task *numbered = container_of(task, struct numbered_task, task);

	in_order = in_order && numbered->number == next_number[numbered->thread];
	next_number[numbered->thread]++;
	tasks_run++;
}

static void *post_tasks(void *arg)
{
	struct numbered_task *own = arg;

	for (unsigned i = 0; i < TASKS; i++)
		loop_post(&loop, &own[i].task);
	return NULL;
}

static void *run_loop(void *arg)
{
	(void)arg;
	loop_run(&loop);
	return NULL;
}

static void stop_it(void *arg)
{
	(void)arg;
	loop_stop(&loop);
}

static void read_count(void *arg)
{
	*(unsigned *)arg = tasks_run;
}

static void each_posted_task_runs_once_in_order(void **state)
{
	pthread_t runner, poster[THREADS];
	unsigned seen = 0;

	(void)state;
	tasks_run = 0;
	in_order = true;
	memset(next_number, 0, sizeof(next_number));
	assert_int_equal(pthread_create(&runner, NULL, run_loop, NULL), 0);
	for (unsigned thread = 0; thread < THREADS; thread++) {
		for (unsigned i = 0; i < TASKS; i++)
			tasks[thread][i] =
				(struct numbered_task){ { NULL, count_task }, thread, i };
		assert_int_equal(
			pthread_create(&poster[thread], NULL, post_tasks, tasks[thread]), 0);
	}
	for (unsigned thread = 0; thread < THREADS; thread++)
		pthread_join(poster[thread], NULL);
	/* behind all of them */
	loop_call(&loop, read_count, &seen);
	assert_int_equal(seen, THREADS * TASKS);
	loop_call(&loop, stop_it, NULL);
	pthread_join(runner, NULL);
	assert_true(in_order);
}

static void add_one(void *arg)
{
	in_call++;
	(*(unsigned *)arg)++;
}

static void *call_often(void *arg)
{
	unsigned *count = arg;

	for (unsigned i = 0; i < TASKS; i++) {
		unsigned before = *count;

		loop_call(&loop, add_one, count);
		if (*count != before + 1)
			return NULL;
	}
	return arg;
}

static void a_call_is_done_when_it_returns(void **state)
{
	unsigned counts[THREADS] = { 0 };
	pthread_t runner, caller[THREADS];

	(void)state;
	in_call = 0;
	assert_int_equal(pthread_create(&runner, NULL, run_loop, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&caller[i], NULL, call_often, &counts[i]), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		void *all_seen;

		pthread_join(caller[i], &all_seen);
		assert_non_null(all_seen);
		assert_int_equal(counts[i], TASKS);
	}
	loop_call(&loop, stop_it, NULL);
	pthread_join(runner, NULL);
	assert_int_equal(in_call, THREADS * TASKS);
}

static unsigned freed;

static void free_itself(struct loop_task *task)
{
	freed++;
	free(task);
	if (freed == 100)
		loop_stop(&loop);
}

static void a_task_may_free_itself(void **state)
{
	(void)state;
	freed = 0;
	for (unsigned i = 0; i < 100; i++) {
		struct loop_task *task = malloc(sizeof(*task));

		*task = (struct loop_task){ NULL, free_itself };
		loop_post(&loop, task);
	}
	loop_run(&loop);
	assert_int_equal(freed, 100);
}

/* What a task posts runs too, and does not keep sources from being served. */
static void post_again(struct loop_task *task)
{
	loop_post(&loop, task);
}

static void a_task_that_posts_itself_lets_others_run(void **state)
{
	struct loop_task task = { NULL, post_again };
	struct watched watched[1];

	(void)state;
	watched_init(watched, 1);
	ready_limit = 10;
	loop_post(&loop, &task);
	loop_run(&loop);
	assert_int_equal(watched[0].calls, 10);
	watched_fini(watched, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(timers_expire_in_order),
		TEST(timers_of_the_past_expire_at_once),
		TEST(a_cancelled_timer_stays_silent),
		TEST(a_timer_that_is_set_again_has_one_time_only),
		TEST(the_next_timer_goes_off_after_a_cancelled_one),
		TEST(a_timer_sets_itself_again),
		TEST(a_timer_cancels_another_that_is_due_too),
		TEST(many_timers),
		TEST(ready_sources_are_served_in_turns),
		TEST(a_handler_removes_sources_that_are_ready_too),
		TEST(a_handler_removes_its_own_source),
		TEST(a_removed_descriptor_is_used_again),
		TEST(events_are_changed),
		TEST(a_bad_descriptor_is_an_error),
		TEST(each_posted_task_runs_once_in_order),
		TEST(a_call_is_done_when_it_returns),
		TEST(a_task_may_free_itself),
		TEST(a_task_that_posts_itself_lets_others_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
