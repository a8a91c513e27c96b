/* SPDX-License-Identifier: GPL-3.0-or-later */
/* base/rng: the published sequence, repeatability, independence, range */
#include <config.h>

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DRAWS 100000

/* The first outputs of the authors' xoshiro256** from the state 1, 2, 3, 4. */
static void follows_reference(void **state)
{
	static const uint64_t want[] = {
		11520, 0, 1509978240, 1215971899390074240, 1216172134540287360,
		607988272756665600, 16172922978634559625u, 8476171486693032832,
		10595114339597558777u, 2904607092377533576,
	};
	struct rng rng = { { 1, 2, 3, 4 } };

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		assert_true(rng_next(&rng) == want[i]);
}

static int compare_words(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* States that share a word are the same sequence in part. */
static void neighbours_have_nothing_in_common(void **state)
{
	static uint64_t words[32 * 32 * 4];
	const size_t count = sizeof(words) / sizeof(words[0]);

	(void)state;
	for (size_t i = 0; i < count; i += 4) {
		struct rng rng;

		rng_seed(&rng, i / 4 / 32, i / 4 % 32);
		memcpy(&words[i], rng.state, sizeof(rng.state));
	}
	qsort(words, count, sizeof(words[0]), compare_words);
	for (size_t i = 1; i < count; i++)
		assert_false(words[i] == words[i - 1]);
}

static unsigned matches(uint64_t seed_a, uint64_t stream_a, uint64_t seed_b, uint64_t stream_b)
{
	struct rng a, b;
	unsigned equal = 0;

	rng_seed(&a, seed_a, stream_a);
	rng_seed(&b, seed_b, stream_b);
	for (unsigned i = 0; i < 1000; i++)
		equal += rng_next(&a) == rng_next(&b);
	return equal;
}

static void same_seed_same_sequence(void **state)
{
	(void)state;
	assert_int_equal(matches(42, 7, 42, 7), 1000);
	assert_int_equal(matches(0, 0, 0, 0), 1000);
}

static void other_seed_or_stream_other_sequence(void **state)
{
	static const struct {
		uint64_t seed_a, stream_a, seed_b, stream_b;
	} pairs[] = {
		{ 0, 0, 0, 1 }, { 0, 0, 1, 0 }, { 0, 1, 1, 0 }, { 1, 1, 2, 2 },
		{ 5, 5, 6, 6 }, { 3, 9, 9, 3 }, { 7, UINT64_MAX, 7, 0 },
		{ UINT64_MAX, 0, 0, 0 }, { 0, 0, UINT64_MAX, UINT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		assert_int_equal(matches(pairs[i].seed_a, pairs[i].stream_a, pairs[i].seed_b,
					 pairs[i].stream_b), 0);
}

static void reals_are_uniform(void **state)
{
	unsigned bucket[10] = { 0 };
	struct rng rng;

	(void)state;
	rng_seed(&rng, 1, 1);
	for (unsigned i = 0; i < DRAWS; i++) {
		double real = rng_real(&rng);

		assert_true(real >= 0 && real < 1);
		bucket[(unsigned)(real * 10)]++;
	}
	for (unsigned i = 0; i < 10; i++)
		assert_in_range(bucket[i], DRAWS / 10 - 500, DRAWS / 10 + 500);
}

/* A state whose next output is all ones: the output function run backwards. */
static void largest_real_is_below_one(void **state)
{
	const uint64_t one_ninth = 0x8e38e38e38e38e39u, one_fifth = 0xcccccccccccccccdu;
	uint64_t word = UINT64_MAX * one_ninth;
	struct rng next, real;

	(void)state;
	word = word >> 7 | word << 57;
	next = (struct rng){ { 1, word * one_fifth, 3, 4 } };
	real = next;
	assert_true(rng_next(&next) == UINT64_MAX);
	assert_true(rng_real(&real) < 1);
}

static void fresh_ones_differ(void **state)
{
	uint64_t before = rng_fresh();

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		uint64_t number = rng_fresh();

		assert_true((uint32_t)number != (uint32_t)before);
		before = number;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_reference),
		cmocka_unit_test(neighbours_have_nothing_in_common),
		cmocka_unit_test(same_seed_same_sequence),
		cmocka_unit_test(other_seed_or_stream_other_sequence),
		cmocka_unit_test(reals_are_uniform),
		cmocka_unit_test(largest_real_is_below_one),
		cmocka_unit_test(fresh_ones_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
