/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pseudo-random numbers that can be repeated: the same seed gives the same sequence. And one
 * that can not be.
 *
 * Not for secrets. A generator belongs to one thread at a time.
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct rng {
	uint64_t state[4];
};

void rng_seed(struct rng *rng, uint64_t seed, uint64_t stream);
uint64_t rng_next(struct rng *rng);
double rng_real(struct rng *rng);

uint64_t rng_fresh(void);

#endif
