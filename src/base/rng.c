/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "base/rng.h"

#include <sys/random.h>

#include "base/clock.h"

static uint64_t rotate_left(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

/* splitmix64 (Steele, Lea, Flood 2014): a counter behind a bijective mixer */
static uint64_t split_mix(uint64_t *counter)
{
	uint64_t word = *counter += 0x9e3779b97f4a7c15;

	word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9;
	word = (word ^ word >> 27) * 0x94d049bb133111eb;
	return word ^ word >> 31;
}

/* rng_seed() - set a generator to the beginning of a sequence
 * @stream: tells apart the generators that share a @seed
 *
 * The stream is mixed before it meets the seed, so that small numbers of both
 * give states that have nothing in common. Four outputs of a bijection are never
 * all zero, which is the one state that xoshiro can not leave.
 */
void rng_seed(struct rng *rng, uint64_t seed, uint64_t stream)
{
	uint64_t counter = split_mix(&stream) ^ seed;

	for (unsigned i = 0; i < 4; i++)
		rng->state[i] = split_mix(&counter);
}

/* rng_next() - the next 64 random bits: xoshiro256** (Blackman, Vigna 2018) */
uint64_t rng_next(struct rng *rng)
{
	uint64_t *s = rng->state;
	uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	uint64_t shifted = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= shifted;
	s[3] = rotate_left(s[3], 45);
	return result;
}

/* rng_real() - a number in 0 <= x < 1, evenly spread over the multiples of 2^-53 */
double rng_real(struct rng *rng)
{
	return (double)(rng_next(rng) >> 11) * 0x1p-53;
}

/* rng_fresh() - a number that is another one each time, for names and addresses
 *
 * From any thread. Where the kernel has no random numbers yet, while the host starts, the clock
 * has to do.
 */
uint64_t rng_fresh(void)
{
	uint64_t number = clock_now();
	ssize_t got = getrandom(&number, sizeof(number), GRND_NONBLOCK);

	(void)got;
	return number;
}
