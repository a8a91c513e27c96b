/* SPDX-License-Identifier: GPL-3.0-or-later */
/* corrupt PERCENT: frames are changed with that probability, a quarter of their bytes. */
#include <config.h>

#include "filter/filter_type.h"

static int init(struct filter *filter, int argc, char **argv, struct err *err)
{
	(void)argc;
	return filter_parse_percent(filter, argv[0], err);
}

/* Every byte is flipped by something other than zero, so that each of them changes. */
static void scramble(uint8_t *data, uint32_t len, struct rng *rng)
{
	uint64_t random = 0;

	for (uint32_t i = 0; i < len; i++, random >>= 8) {
		if (i % sizeof(random) == 0)
			random = rng_next(rng);
		data[i] ^= (uint8_t)(1 + (random & 0xff) % 255);
	}
}

/* Halves are rounded so that a frame of 36 bytes or more keeps its Ethernet header. */
static enum filter_result run(struct filter *filter, struct filter_frame *frame)
{
	uint32_t count = frame->len / 4;

	if (!count || !filter_hits(filter, frame->rng))
		return FILTER_PASS;
	scramble(frame->data + frame->len / 2 - count / 2, count, frame->rng);
	return FILTER_CHANGE;
}

const struct filter_ops filter_corrupt = {
	.name = "corrupt",
	.usage = "PERCENT",
	.min_args = 1,
	.max_args = 1,
	.init = init,
	.run = run,
};
