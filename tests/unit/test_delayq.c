/* SPDX-License-Identifier: GPL-3.0-or-later */
/* core/delayq: order, bounds, ownership; against a naively sorted array */
#include <config.h>

#include "core/delayq.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

#define PLENTY (1u << 20)

static void push_number(struct delayq *queue, uint32_t number, uint64_t due_ns)
{
	uint8_t data[sizeof(number)];

	memcpy(data, &number, sizeof(number));
	assert_true(delayq_push(queue, data, sizeof(data), due_ns));
}

static uint32_t number_of(const struct delayed *frame)
{
	uint32_t number;

	assert_int_equal(frame->len, sizeof(number));
	memcpy(&number, frame->data, sizeof(number));
	return number;
}

static void expect_number(struct delayq *queue, uint64_t now_ns, uint32_t want)
{
	struct delayed *frame = delayq_pop(queue, now_ns);

	assert_non_null(frame);
	assert_null(frame->next);
	assert_int_equal(number_of(frame), want);
	delayed_free(frame);
}

static void leaves_by_due_time(void **state)
{
	static const struct {
		const char *name;
		uint64_t due[6];
		uint32_t want[6];
	} rows[] = {
		{ "in order", { 10, 20, 30, 40, 50, 60 }, { 0, 1, 2, 3, 4, 5 } },
		{ "reversed", { 60, 50, 40, 30, 20, 10 }, { 5, 4, 3, 2, 1, 0 } },
		{ "all equal", { 7, 7, 7, 7, 7, 7 }, { 0, 1, 2, 3, 4, 5 } },
		{ "pairs", { 9, 5, 9, 5, 9, 5 }, { 1, 3, 5, 0, 2, 4 } },
		{ "a shorter delay", { 100, 101, 102, 50, 51, 52 }, { 3, 4, 5, 0, 1, 2 } },
		{ "never", { UINT64_MAX, 0, UINT64_MAX, 0, 1, 1 }, { 1, 3, 4, 5, 0, 2 } },
	};

	(void)state;
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		struct delayq queue;

		print_message("%s\n", rows[row].name);
		delayq_init(&queue, PLENTY, PLENTY);
		for (uint32_t i = 0; i < 6; i++)
			push_number(&queue, i, rows[row].due[i]);
		for (uint32_t i = 0; i < 6; i++)
			expect_number(&queue, UINT64_MAX, rows[row].want[i]);
		assert_null(delayq_pop(&queue, UINT64_MAX));
		delayq_fini(&queue);
	}
}

static void waits_until_due(void **state)
{
	struct delayq queue;

	(void)state;
	delayq_init(&queue, PLENTY, PLENTY);
	assert_true(delayq_next_due(&queue) == UINT64_MAX);
	push_number(&queue, 1, 1000);
	push_number(&queue, 2, 900);
	assert_int_equal(delayq_next_due(&queue), 900);
	assert_null(delayq_pop(&queue, 899));
	expect_number(&queue, 900, 2);
	assert_int_equal(delayq_next_due(&queue), 1000);
	assert_null(delayq_pop(&queue, 999));
	expect_number(&queue, 5000, 1);
	assert_true(delayq_next_due(&queue) == UINT64_MAX);
	delayq_fini(&queue);
}

static void keeps_a_copy(void **state)
{
	struct delayq queue;
	struct delayed *frame;
	uint8_t data[1514];

	(void)state;
	memset(data, 0x5a, sizeof(data));
	delayq_init(&queue, PLENTY, PLENTY);
	assert_true(delayq_push(&queue, data, sizeof(data), 77));
	memset(data, 0, sizeof(data));
	frame = delayq_pop(&queue, 77);
	assert_non_null(frame);
	assert_int_equal(frame->len, sizeof(data));
	assert_int_equal(frame->due_ns, 77);
	for (size_t i = 0; i < sizeof(data); i++)
		assert_int_equal(frame->data[i], 0x5a);
	delayed_free(frame);
	delayq_fini(&queue);
}

static void bounds_hold(void **state)
{
	static const uint8_t data[1000];
	static const struct {
		size_t max_frames;
		uint64_t max_bytes;
		uint32_t len;
		size_t fit;
	} rows[] = {
		{ 3, PLENTY, 100, 3 },		{ 1, PLENTY, 100, 1 },
		{ 0, PLENTY, 100, 0 },		{ PLENTY, 1000, 100, 10 },
		{ PLENTY, 999, 100, 9 },	{ PLENTY, 99, 100, 0 },
		{ PLENTY, 0, 1, 0 },		{ 200, UINT64_MAX, 1000, 200 },
		{ 100, 0, 0, 100 },
	};

	(void)state;
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		struct delayq queue;
		size_t fit = 0;

		delayq_init(&queue, rows[row].max_frames, rows[row].max_bytes);
		while (fit <= rows[row].fit && delayq_push(&queue, data, rows[row].len, fit))
			fit++;
		assert_int_equal(fit, rows[row].fit);
		if (fit) {
			delayed_free(delayq_pop(&queue, UINT64_MAX));
			assert_true(delayq_push(&queue, data, rows[row].len, 0));
			assert_false(delayq_push(&queue, data, rows[row].len, 0));
		}
		assert_int_equal(delayq_clear(&queue), fit);
		delayq_fini(&queue);
	}
}

static void clear_starts_anew(void **state)
{
	struct delayq queue;

	(void)state;
	delayq_init(&queue, 100, 400);
	assert_int_equal(delayq_clear(&queue), 0);
	for (unsigned round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 100; i++)
			push_number(&queue, i, 500 - i);
		assert_int_equal(delayq_clear(&queue), 100);
		assert_null(delayq_pop(&queue, UINT64_MAX));
		assert_true(delayq_next_due(&queue) == UINT64_MAX);
	}
	delayq_fini(&queue);
}

static void frees_a_chain(void **state)
{
	struct delayed *first = NULL;
	struct delayq queue;

	(void)state;
	delayq_init(&queue, PLENTY, PLENTY);
	for (uint32_t i = 0; i < 5; i++)
		push_number(&queue, i, 0);
	for (struct delayed *frame; (frame = delayq_pop(&queue, 0)); first = frame)
		frame->next = first;
	delayed_free(first);
	delayed_free(NULL);
	delayq_fini(&queue);
}

/* The oracle: arrivals in an array, the next one found by looking at all of them. */
struct oracle {
	struct {
		uint64_t due_ns;
		uint32_t number;
	} item[4096];
	size_t count;
};

static size_t oracle_next(const struct oracle *oracle)
{
	size_t best = 0;

	for (size_t i = 1; i < oracle->count; i++) {
		if (oracle->item[i].due_ns < oracle->item[best].due_ns)
			best = i;
	}
	return best;
}

static void oracle_take(struct oracle *oracle, size_t index)
{
	oracle->count--;
	memmove(&oracle->item[index], &oracle->item[index + 1],
		(oracle->count - index) * sizeof(oracle->item[0]));
}

static void pop_both(struct delayq *queue, struct oracle *oracle, uint64_t now_ns)
{
	size_t next = oracle_next(oracle);

	if (!oracle->count || oracle->item[next].due_ns > now_ns) {
		assert_null(delayq_pop(queue, now_ns));
		return;
	}
	assert_true(delayq_next_due(queue) == oracle->item[next].due_ns);
	expect_number(queue, now_ns, oracle->item[next].number);
	oracle_take(oracle, next);
}

static void agrees_with_oracle(void **state)
{
	struct oracle *oracle = calloc(1, sizeof(*oracle));
	struct delayq queue;
	struct rng rng;

	(void)state;
	assert_non_null(oracle);
	rng_seed(&rng, 2024, 0);
	delayq_init(&queue, PLENTY, PLENTY);
	for (uint32_t step = 0; step < 20000; step++) {
		uint64_t now = step / 4;

		if (rng_real(&rng) < 0.55 && oracle->count < 4096) {
			/* few different times, so that many are equal */
			uint64_t due = now + rng_next(&rng) % 300;

			oracle->item[oracle->count].due_ns = due;
			oracle->item[oracle->count++].number = step;
			push_number(&queue, step, due);
		} else {
			pop_both(&queue, oracle, now);
		}
	}
	assert_in_range(oracle->count, 100, 4096);
	while (oracle->count)
		pop_both(&queue, oracle, UINT64_MAX);
	pop_both(&queue, oracle, UINT64_MAX);
	delayq_fini(&queue);
	free(oracle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_by_due_time),
		cmocka_unit_test(waits_until_due),
		cmocka_unit_test(keeps_a_copy),
		cmocka_unit_test(bounds_hold),
		cmocka_unit_test(clear_starts_anew),
		cmocka_unit_test(frees_a_chain),
		cmocka_unit_test(agrees_with_oracle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
