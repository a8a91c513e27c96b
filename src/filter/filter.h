/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packet filters: an ordered chain that looks at every frame of a link.
 *
 * A chain belongs to whoever may touch the link: the worker while the link
 * runs, the control thread else. Filters act on both directions.
 */
#ifndef FILTER_FILTER_H
#define FILTER_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/rng.h"

/* Which way a frame goes: in at the source NIO, or in at the destination NIO. */
enum filter_dir { DIR_FROM_SOURCE, DIR_FROM_DESTINATION, DIR_COUNT };

struct filter;

/* What became of a frame in the chain. */
struct filter_verdict {
	const struct filter *dropped_by;	/* NULL: it passed */
	uint64_t delay_ns;			/* how much later it is sent, 0: at once */
};

/* What a filter did so far; written by the chain's owner, read by anyone. */
struct filter_counters {
	uint64_t seen, dropped, delayed, changed;	/* frames */
};

struct filter_chain {
	struct filter *first;
	struct rng rng[DIR_COUNT];
	bool delays;		/* at least one filter delays */
};

/* A filter is made first, by the thread that took the command: compiling may
 * take long and may fail. Adding it to a chain cannot fail for other reasons
 * than its name.
 */
struct filter *filter_new(const char *name, const char *type, int argc, char **argv,
			  struct err *err);
struct filter *filter_from_words(char **words, size_t count, bool ends_empty, struct err *err);
void filter_free(struct filter *filter);
const char *filter_name(const struct filter *filter);
const char *filter_type(const struct filter *filter);
void filter_counters(const struct filter *filter, struct filter_counters *out);
bool filter_drops_all(const struct filter *filter);
const struct filter *filter_next(const struct filter *filter);

void filter_chain_init(struct filter_chain *chain, uint64_t seed, uint64_t stream);
bool filter_chain_add(struct filter_chain *chain, struct filter *filter);
struct filter *filter_chain_remove(struct filter_chain *chain, const char *name);
struct filter *filter_chain_take_all(struct filter_chain *chain);
void filter_free_all(struct filter *first);
void filter_chain_run(struct filter_chain *chain, enum filter_dir dir, uint8_t *data,
		      uint32_t len, struct filter_verdict *verdict);

#endif
