/* SPDX-License-Identifier: GPL-3.0-or-later */
/* delay LATENCY [JITTER]: each frame is sent later, by LATENCY-JITTER to LATENCY+JITTER ms.
 *
 * The filter only says how much later; whoever runs the chain keeps the frame.
 */
#include <config.h>

#include "filter/filter_type.h"

#include <errno.h>

#include "base/str.h"

/* 24 days: more than anybody waits for, and a jitter of it in nanoseconds is still exact
 * in a double.
 */
#define MS_MAX INT32_MAX

static int parse_ms(const char *text, double min, uint64_t *ns, struct err *err)
{
	double ms;

	if (!parse_real(text, min, MS_MAX, &ms))
		return err_set(err, EINVAL, "'%s' is no time between %g and %d ms", text, min,
			       MS_MAX);
	*ns = (uint64_t)(ms * 1e6 + 0.5);
	return 0;
}

static int init(struct filter *filter, int argc, char **argv, struct err *err)
{
	int status = parse_ms(argv[0], 1, &filter->delay.latency_ns, err);

	if (!status && argc > 1)
		status = parse_ms(argv[1], 0, &filter->delay.jitter_ns, err);
	return status;
}

static uint64_t draw_ns(const struct filter *filter, struct rng *rng)
{
	uint64_t jitter = filter->delay.jitter_ns;
	uint64_t latest;

	if (!jitter)
		return filter->delay.latency_ns;
	latest = filter->delay.latency_ns +
		 (uint64_t)(rng_real(rng) * (double)(2 * jitter + 1));
	return latest > jitter ? latest - jitter : 0;
}

static enum filter_result run(struct filter *filter, struct filter_frame *frame)
{
	uint64_t ns = draw_ns(filter, frame->rng);

	frame->delay_ns += ns;
	return ns ? FILTER_DELAY : FILTER_PASS;
}

const struct filter_ops filter_delay = {
	.name = "delay",
	.usage = "LATENCY [JITTER]",
	.min_args = 1,
	.max_args = 2,
	.delays = true,
	.init = init,
	.run = run,
};
