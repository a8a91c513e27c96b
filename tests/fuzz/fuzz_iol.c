/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: what arrives at the socket of an IOL bridge, in batches.
 *
 * Input: datagrams, each behind a byte with its length.
 */
#include <config.h>

#include "nio/nio_iol.h"

#include <stdlib.h>
#include <string.h>

#define MAX_DATAGRAMS BATCH_SLOTS

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* In copies without slack, so that a byte read behind a datagram's end is found. */
static void fill(struct batch *batch, const uint8_t *data, size_t size)
{
	while (size && batch->count < MAX_DATAGRAMS) {
		size_t len = *data < size - 1 ? *data : size - 1;
		uint8_t *copy = malloc(len);

		require(copy || !len);
		if (len)
			memcpy(copy, data + 1, len);
		batch_add(batch, copy, (uint32_t)len);
		data += 1 + len;
		size -= 1 + len;
	}
}

/* Each datagram with a frame is in a run once, in order, without its header. */
static void check_runs(struct batch *batch, const struct frame *before)
{
	unsigned next = 0, at = 0;
	struct batch run;
	uint8_t port;

	while (iol_next_run(batch, &next, &run, &port)) {
		require(run.count > 0);
		for (unsigned i = 0; i < run.count; i++, at++) {
			while (before[at].len <= sizeof(struct iol_header))
				at++;
			require(run.frame[i].data ==
				before[at].data + sizeof(struct iol_header));
			require(run.frame[i].len == before[at].len - sizeof(struct iol_header));
			require(before[at].data[4] == port);
		}
		require(next == at);
	}
	for (; at < batch->count; at++)
		require(before[at].len <= sizeof(struct iol_header));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct batch batch;
	struct frame before[MAX_DATAGRAMS];
	struct err err;

	if (!batch.frame)
		require(!batch_init(&batch, &err));
	batch_clear(&batch);
	fill(&batch, data, size);
	memcpy(before, batch.frame, batch.count * sizeof(*before));
	check_runs(&batch, before);
	for (unsigned i = 0; i < batch.count; i++)
		free(before[i].data);
	return 0;
}
