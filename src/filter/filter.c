/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "filter/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "filter/filter_type.h"

static const struct filter_ops *const types[] = {
	&filter_frequency_drop,
	&filter_packet_loss,
	&filter_delay,
	&filter_corrupt,
	&filter_bpf,
};

static const struct filter_ops *find_type(const char *name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (!strcmp(types[i]->name, name))
			return types[i];
	}
	return NULL;
}

static const struct filter_ops *choose_type(const char *type, int argc, struct err *err)
{
	const struct filter_ops *ops = find_type(type);

	if (!ops) {
		err_set(err, ENOENT, "Filter type '%s' doesn't exist", type);
		return NULL;
	}
	if (argc < ops->min_args || argc > ops->max_args) {
		err_set(err, EINVAL, "wrong number of arguments, expected %s %s", ops->name,
			ops->usage);
		return NULL;
	}
	return ops;
}

static void release(struct filter *filter)
{
	free(filter->name);
	free(filter);
}

/* filter_new() - make a filter that is in no chain yet
 * @name: by which a chain knows it; copied
 * @type: case-sensitive
 * @argv: @argc arguments of the type; not kept
 *
 * May block: a host name in a bpf expression is looked up. Any thread may call
 * it, several at once too.
 *
 * Return: the filter, which the caller owns, or NULL with @err set.
 */
struct filter *filter_new(const char *name, const char *type, int argc, char **argv,
			  struct err *err)
{
	const struct filter_ops *ops = choose_type(type, argc, err);
	struct filter *filter;

	if (!ops)
		return NULL;
	filter = calloc(1, sizeof(*filter));
	if (!filter || !(filter->name = strdup(name))) {
		err_sys(err, ENOMEM, "%s", type);
		free(filter);
		return NULL;
	}
	filter->ops = ops;
	if (ops->init(filter, argc, argv, err) < 0) {
		err_wrap(err, "%s", ops->name);
		release(filter);
		return NULL;
	}
	return filter;
}

/* filter_from_words() - make a filter from a command's words, NAME TYPE [ARGUMENT]…
 * @words: @count of them, at least one
 * @ends_empty: an empty pair of quotes stood behind them
 *
 * Such quotes are no word, but GNS3 sends a blank line of its BPF box like that, and
 * there it is an expression that matches nothing.
 *
 * Return: as filter_new().
 */
struct filter *filter_from_words(char **words, size_t count, bool ends_empty, struct err *err)
{
	char nothing[] = "", *only_argument[] = { nothing };

	if (count < 2) {
		err_set(err, EINVAL, "a filter must have a name and a type");
		return NULL;
	}
	if (count == 2 && ends_empty)
		return filter_new(words[0], words[1], 1, only_argument, err);
	return filter_new(words[0], words[1], (int)count - 2, words + 2, err);
}

/* filter_free() - free a filter that is in no chain; NULL is fine */
void filter_free(struct filter *filter)
{
	if (!filter)
		return;
	if (filter->ops->fini)
		filter->ops->fini(filter);
	release(filter);
}

/* filter_free_all() - free what filter_chain_take_all() gave */
void filter_free_all(struct filter *first)
{
	while (first) {
		struct filter *next = first->next;

		filter_free(first);
		first = next;
	}
}

const char *filter_name(const struct filter *filter)
{
	return filter->name;
}

const char *filter_type(const struct filter *filter)
{
	return filter->ops->name;
}

/* filter_next() - the filter after this one in its chain, or NULL */
const struct filter *filter_next(const struct filter *filter)
{
	return filter->next;
}

/* filter_drops_all() - whether it can be known beforehand that no frame passes
 *
 * GNS3 suspends a link with such a filter, which is meant for the frames that
 * already wait in a delay queue as well.
 */
bool filter_drops_all(const struct filter *filter)
{
	return filter->drops_all;
}

/* filter_counters() - a snapshot; the filter may be at work in another thread */
void filter_counters(const struct filter *filter, struct filter_counters *out)
{
	uint64_t count[FILTER_RESULT_COUNT], seen = 0;

	for (unsigned i = 0; i < FILTER_RESULT_COUNT; i++) {
		count[i] = atomic_load_explicit(&filter->count[i], memory_order_relaxed);
		seen += count[i];
	}
	*out = (struct filter_counters){
		.seen = seen,
		.dropped = count[FILTER_DROP],
		.delayed = count[FILTER_DELAY],
		.changed = count[FILTER_CHANGE],
	};
}

/* filter_chain_init() - an empty chain
 * @seed, @stream: of its random numbers, see rng_seed(). Each direction has its own, so
 *	that what happens to the frames of one does not depend on those of the other.
 */
void filter_chain_init(struct filter_chain *chain, uint64_t seed, uint64_t stream)
{
	*chain = (struct filter_chain){ .first = NULL };
	for (unsigned dir = 0; dir < DIR_COUNT; dir++)
		rng_seed(&chain->rng[dir], seed, stream * DIR_COUNT + dir);
}

/* The link that points to the filter called @name, or else the one that ends the chain. */
static struct filter **find_link(struct filter_chain *chain, const char *name)
{
	struct filter **link = &chain->first;

	while (*link && strcmp((*link)->name, name) != 0)
		link = &(*link)->next;
	return link;
}

/* filter_chain_add() - append a filter, which belongs to the chain from now on
 *
 * Return: false if its name is taken; the filter is still the caller's then.
 */
bool filter_chain_add(struct filter_chain *chain, struct filter *filter)
{
	struct filter **link = find_link(chain, filter->name);

	if (*link)
		return false;
	*link = filter;
	chain->delays |= filter->ops->delays;
	return true;
}

/* filter_chain_remove() - take one filter out
 *
 * Return: the filter, which the caller frees, or NULL if there is none of that name.
 */
struct filter *filter_chain_remove(struct filter_chain *chain, const char *name)
{
	struct filter **link = find_link(chain, name);
	struct filter *found = *link;

	if (!found)
		return NULL;
	*link = found->next;
	found->next = NULL;
	chain->delays = false;
	for (const struct filter *filter = chain->first; filter; filter = filter->next)
		chain->delays |= filter->ops->delays;
	return found;
}

/* filter_chain_take_all() - empty the chain
 *
 * Return: what was in it, for filter_free_all(); NULL if it was empty.
 */
struct filter *filter_chain_take_all(struct filter_chain *chain)
{
	struct filter *first = chain->first;

	chain->first = NULL;
	chain->delays = false;
	return first;
}

/* There is one writer, so no locked instruction is needed to count. */
static void add_one(_Atomic uint64_t *counter)
{
	uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, value + 1, memory_order_relaxed);
}

/* filter_chain_run() - take one wire frame through all filters, up to the first that drops it
 * @data: @len bytes, which may be changed in place
 * @verdict: filled in; delay_ns means nothing for a frame that was dropped
 */
void filter_chain_run(struct filter_chain *chain, enum filter_dir dir, uint8_t *data,
		      uint32_t len, struct filter_verdict *verdict)
{
	struct filter_frame frame = { .data = data, .len = len, .rng = &chain->rng[dir] };
	struct filter *filter;

	for (filter = chain->first; filter; filter = filter->next) {
		enum filter_result result = filter->ops->run(filter, &frame);

		add_one(&filter->count[result]);
		if (result == FILTER_DROP)
			break;
	}
	verdict->dropped_by = filter;
	verdict->delay_ns = frame.delay_ns;
}

/* filter_parse_percent() - set @filter->probability from a percentage */
int filter_parse_percent(struct filter *filter, const char *text, struct err *err)
{
	double percent;

	if (!parse_real(text, 0, 100, &percent))
		return err_set(err, EINVAL, "'%s' is no percentage between 0 and 100", text);
	filter->probability = percent / 100;
	return 0;
}

/* filter_hits() - true with @filter->probability: never for 0, always for 1 */
bool filter_hits(const struct filter *filter, struct rng *rng)
{
	return rng_real(rng) < filter->probability;
}
