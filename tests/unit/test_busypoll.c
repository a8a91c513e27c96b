/* SPDX-License-Identifier: GPL-3.0-or-later */
/* base/busypoll: when a wait may look again before it sleeps, and that it ends */
#include <config.h>

#include "base/busypoll.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define USEC NSEC_PER_USEC
#define NOW (1000 * NSEC_PER_SEC)

static void test_budget(void **state)
{
	static const struct {
		const char *what;
		struct busypoll poll;
		uint64_t budget;
	} rows[] = {
		{ "nothing was ever there", { 0 }, 0 },
		{ "one quick event", { .woken = NOW - 5 * USEC }, 0 },
		{ "work of 40 us", { .woken = NOW - 40 * USEC }, 10 * USEC },
		{ "work of 12 us", { .woken = NOW - 12 * USEC }, 3 * USEC },
		{ "work of a millisecond", { .woken = NOW - 1000 * USEC }, BUSYPOLL_MAX },
		{ "quick events in quick succession", { .woken = NOW - 2 * USEC, .dense = true },
		  BUSYPOLL_MAX },
		{ "a crowded processor",
		  { .woken = NOW - 40 * USEC, .dense = true, .again = NOW + 1 }, 0 },
		{ "one that was crowded",
		  { .woken = NOW - 40 * USEC, .dense = true, .again = NOW }, BUSYPOLL_MAX },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		print_message("%s\n", rows[i].what);
		assert_int_equal(busypoll_budget(&rows[i].poll, NOW), rows[i].budget);
	}
}

static uint64_t processor_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

struct bed {
	int epoll_fd, event_fd;
	struct busypoll poll;
};

static int set_up(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));
	struct epoll_event event = { .events = EPOLLIN };

	*state = bed;
	if (!bed)
		return -1;
	bed->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	bed->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return epoll_ctl(bed->epoll_fd, EPOLL_CTL_ADD, bed->event_fd, &event);
}

static int tear_down(void **state)
{
	struct bed *bed = *state;

	close(bed->event_fd);
	close(bed->epoll_fd);
	free(bed);
	return 0;
}

static void ring(const struct bed *bed)
{
	assert_int_equal(eventfd_write(bed->event_fd, 1), 0);
}

static void answer(const struct bed *bed)
{
	eventfd_t value;

	assert_int_equal(eventfd_read(bed->event_fd, &value), 0);
}

static int wait_once(struct bed *bed)
{
	struct epoll_event event;

	return busypoll_wait(&bed->poll, bed->epoll_fd, &event, 1);
}

static void test_what_is_there_is_taken_at_once(void **state)
{
	struct bed *bed = *state;

	for (int i = 0; i < 1000; i++) {
		ring(bed);
		assert_int_equal(wait_once(bed), 1);
		answer(bed);
	}
	assert_true(bed->poll.woken);
}

static void *ring_later(void *arg)
{
	const struct timespec pause = { .tv_nsec = 100 * NSEC_PER_MSEC };

	nanosleep(&pause, NULL);
	ring(arg);
	return NULL;
}

/* However dense the events were before, a wait for one that does not come sleeps. */
static void test_it_sleeps_in_the_end(void **state)
{
	struct bed *bed = *state;
	pthread_t thread;
	uint64_t used;

	bed->poll = (struct busypoll){ .woken = clock_now(), .dense = true };
	assert_int_equal(pthread_create(&thread, NULL, ring_later, bed), 0);
	used = processor_time();
	assert_int_equal(wait_once(bed), 1);
	used = processor_time() - used;
	pthread_join(thread, NULL);
	/* BUSYPOLL_MAX, and a lot for machines and sanitizers that are slow */
	assert_true(used < 20 * NSEC_PER_MSEC);
	assert_false(bed->poll.dense);
}

/* Where it is always in vain it is hardly ever tried. */
static void test_misses_make_it_rare(void **state)
{
	struct bed *bed = *state;
	unsigned last = 0;

	for (int i = 0; i < 3; i++) {
		pthread_t thread;

		bed->poll.woken = clock_now();
		bed->poll.dense = true;
		bed->poll.again = 0;	/* others may have wanted the processor */
		assert_int_equal(pthread_create(&thread, NULL, ring_later, bed), 0);
		assert_int_equal(wait_once(bed), 1);
		pthread_join(thread, NULL);
		answer(bed);
		assert_true(bed->poll.skip > last);
		last = bed->poll.skip;
	}
	for (int tries = 0; tries < 1000 && bed->poll.skip; tries++) {
		assert_false(bed->poll.dense);
		ring(bed);
		assert_int_equal(wait_once(bed), 1);
		answer(bed);
	}
	assert_int_equal(bed->poll.skip, 0);
}

/* A wait as short as a processor that is busy with others allows makes the next one linger. */
static void test_short_waits_are_dense(void **state)
{
	struct bed *bed = *state;

	for (int tries = 0; tries < 1000 && !bed->poll.dense; tries++) {
		ring(bed);
		assert_int_equal(wait_once(bed), 1);
		answer(bed);
	}
	assert_true(bed->poll.dense);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_budget),
		cmocka_unit_test_setup_teardown(test_what_is_there_is_taken_at_once, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_it_sleeps_in_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_misses_make_it_rare, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_short_waits_are_dense, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
