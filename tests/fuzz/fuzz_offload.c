/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: a frame of any content under a virtio header of any content.
 *
 * Input: struct virtio_net_hdr; the frame.
 */
#include <config.h>

#include "pkt/offload.h"

#include <stdlib.h>
#include <string.h>

#define MAX_FRAMES 256
#define ROOM (FRAME_MAX + COALESCE_HEADER_MAX)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static uint8_t *allocate(size_t len)
{
	uint8_t *memory = malloc(len ? len : 1);

	require(memory);
	return memory;
}

/* All that was in @run must come out of its super-frame again. */
static void check_run(const struct coalesced *run, const struct frame *frames)
{
	struct frame super = { .data = allocate(run->len), .vnet = run->vnet }, segment;
	struct offload_split split;
	uint8_t *room = allocate(ROOM);

	for (unsigned i = 0; i < run->pieces; i++) {
		memcpy(super.data + super.len, run->piece[i].iov_base, run->piece[i].iov_len);
		super.len += (uint32_t)run->piece[i].iov_len;
	}
	require(super.len == run->len);
	if (run->frames > 1) {
		require(offload_split_start(&split, &super));
		for (unsigned i = 0; i < run->frames; i++) {
			require(offload_split_next(&split, room, ROOM, &segment));
			require(segment.len == frames[i].len);
			require(!memcmp(segment.data, frames[i].data, segment.len));
		}
		require(offload_split_done(&split));
	} else {
		require(super.len == frames->len);
		require(!memcmp(super.data, frames->data, super.len));
	}
	free(room);
	free(super.data);
}

static void coalesce_all(const struct frame *frames, unsigned count)
{
	struct coalesced run;

	for (unsigned next = 0; next < count; next += run.frames) {
		coalesce_run(frames + next, count - next, true, &run);
		require(run.frames >= 1 && run.frames <= count - next);
		check_run(&run, frames + next);
	}
}

/* Segments in buffers without slack, so that a byte written behind their end is found. */
static void split_and_coalesce(struct frame *super)
{
	struct frame *segments = calloc(MAX_FRAMES, sizeof(*segments));
	struct offload_split split;
	uint64_t said, total = 0;
	unsigned expected = offload_segments(super, &said), count = 0;

	require(segments && offload_split_start(&split, super));
	while (count < MAX_FRAMES && !offload_split_done(&split)) {
		uint32_t left = split.payload_len - split.next;
		uint32_t len = split.header_len +
			       (left < super->vnet.gso_size ? left : super->vnet.gso_size);
		uint8_t *room = allocate(len);

		require(offload_split_next(&split, room, len, &segments[count]));
		total += segments[count++].len;
	}
	if (offload_split_done(&split))
		require(count == expected && total == said);
	coalesce_all(segments, count);
	for (unsigned i = 0; i < count; i++)
		free(segments[i].data);
	free(segments);
}

/* The frame without its virtio header, which is taken for the MTU. */
static void infer(const struct frame *frame)
{
	struct frame copy = { .data = allocate(frame->len), .len = frame->len };
	struct offload_split split;

	memcpy(copy.data, frame->data, frame->len);
	offload_infer(&copy, frame->vnet.gso_size, frame->vnet.flags & 1);
	if (offload_split_start(&split, &copy))
		split_and_coalesce(&copy);
	offload_complete(&copy);
	free(copy.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame frame = { .drop = FRAME_KEEP }, twice[2];
	struct offload_split split;

	if (size < sizeof(frame.vnet) || size - sizeof(frame.vnet) > FRAME_MAX)
		return 0;
	memcpy(&frame.vnet, data, sizeof(frame.vnet));
	frame.len = (uint32_t)(size - sizeof(frame.vnet));
	frame.data = allocate(frame.len);
	memcpy(frame.data, data + sizeof(frame.vnet), frame.len);

	twice[0] = twice[1] = frame;
	memset(&twice[0].vnet, 0, sizeof(twice[0].vnet));
	twice[1].vnet = twice[0].vnet;
	coalesce_all(twice, 2);
	infer(&frame);
	offload_may_pass(&frame);
	if (offload_split_start(&split, &frame))
		split_and_coalesce(&frame);
	offload_complete(&frame);
	free(frame.data);
	return 0;
}
