/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For those who implement a type of filter; everybody else uses filter.h.
 *
 * A type is a struct filter_ops in a file of its own, a member of the union in
 * struct filter for what it has to remember, and a row of the table in filter.c.
 */
#ifndef FILTER_FILTER_TYPE_H
#define FILTER_FILTER_TYPE_H

#include <stdatomic.h>

#include "filter/filter.h"

/* What a filter did with a frame; each frame it saw led to exactly one of them. */
enum filter_result {
	FILTER_PASS,
	FILTER_DROP,
	FILTER_DELAY,
	FILTER_CHANGE,
	FILTER_RESULT_COUNT
};

/* A frame on its way through a chain. */
struct filter_frame {
	uint8_t *data;
	uint32_t len;
	struct rng *rng;	/* of the frame's direction */
	uint64_t delay_ns;	/* so far */
};

struct filter_ops {
	const char *name;
	const char *usage;	/* the arguments, for people */
	int min_args, max_args;
	bool delays;		/* run() may answer FILTER_DELAY */

	/* Takes arguments whose number is right; what it leaves after a failure is not run
	 * and not fini()shed.
	 */
	int (*init)(struct filter *filter, int argc, char **argv, struct err *err);
	enum filter_result (*run)(struct filter *filter, struct filter_frame *frame);
	void (*fini)(struct filter *filter);	/* may be NULL */
};

struct filter {
	struct filter *next;
	const struct filter_ops *ops;
	_Atomic uint64_t count[FILTER_RESULT_COUNT];	/* frames; written by the owner only */
	union {
		double probability;		/* packet_loss, corrupt: 0..1 */
		struct {
			int64_t period, count;
		} frequency;
		struct {
			uint64_t latency_ns, jitter_ns;
		} delay;
		struct bpf_program *program;	/* bpf; NULL: matches nothing */
	};
	bool drops_all;		/* set by init() if no frame can pass */
	char *name;
};

extern const struct filter_ops filter_frequency_drop;
extern const struct filter_ops filter_packet_loss;
extern const struct filter_ops filter_delay;
extern const struct filter_ops filter_corrupt;
extern const struct filter_ops filter_bpf;

int filter_parse_percent(struct filter *filter, const char *text, struct err *err);
bool filter_hits(const struct filter *filter, struct rng *rng);

#endif
