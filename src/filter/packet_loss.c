/* SPDX-License-Identifier: GPL-3.0-or-later */
/* packet_loss PERCENT: each frame is dropped with that probability. */
#include <config.h>

#include "filter/filter_type.h"

static int init(struct filter *filter, int argc, char **argv, struct err *err)
{
	int status = filter_parse_percent(filter, argv[0], err);

	(void)argc;
	filter->drops_all = filter->probability >= 1;
	return status;
}

static enum filter_result run(struct filter *filter, struct filter_frame *frame)
{
	return filter_hits(filter, frame->rng) ? FILTER_DROP : FILTER_PASS;
}

const struct filter_ops filter_packet_loss = {
	.name = "packet_loss",
	.usage = "PERCENT",
	.min_args = 1,
	.max_args = 1,
	.init = init,
	.run = run,
};
