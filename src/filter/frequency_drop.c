/* SPDX-License-Identifier: GPL-3.0-or-later */
/* frequency_drop N: every Nth frame is dropped, both directions counted together. */
#include <config.h>

#include "filter/filter_type.h"

#include <errno.h>

#include "base/str.h"

#define EVERY_FRAME (-1)

static int init(struct filter *filter, int argc, char **argv, struct err *err)
{
	int64_t period;

	(void)argc;
	if (!parse_int(argv[0], INT64_MIN, INT64_MAX, &period))
		return err_set(err, EINVAL, "'%s' is no whole number", argv[0]);
	filter->frequency.period = period == EVERY_FRAME ? 1 : period;
	filter->drops_all = filter->frequency.period == 1;
	return 0;
}

/* Zero and the other negative numbers drop nothing. */
static enum filter_result run(struct filter *filter, struct filter_frame *frame)
{
	(void)frame;
	if (filter->frequency.period <= 0 ||
	    ++filter->frequency.count < filter->frequency.period)
		return FILTER_PASS;
	filter->frequency.count = 0;
	return FILTER_DROP;
}

const struct filter_ops filter_frequency_drop = {
	.name = "frequency_drop",
	.usage = "N",
	.min_args = 1,
	.max_args = 1,
	.init = init,
	.run = run,
};
