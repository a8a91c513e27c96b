/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How long segmentation and coalescing take for a super-frame of 64 KiB, and
 * how fast checksums are taken. Prints the best of several rounds.
 */
#include <config.h>

#include "pkt/offload.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "pkt/checksum.h"

#define PAYLOAD (44 * 1448)
#define SIZE 1448
#define SEGMENTS 44
#define ROUNDS 20
#define REPEAT 500

static uint8_t super_data[FRAME_MAX];
static uint8_t segment_data[SEGMENTS][2048];
static struct frame segments[SEGMENTS];
static volatile uint64_t sink;

/* Ethernet, IPv4, TCP with timestamps. */
static struct frame make_super(void)
{
	static const uint8_t header[66] = {
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0,
		0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
		0x9c, 0x41, 0x14, 0x51, 0, 0, 0, 1, 0, 0, 0, 1, 0x80, 0x10, 1, 0xf5, 0, 0, 0, 0,
		1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8,
	};

	memcpy(super_data, header, sizeof(header));
	for (unsigned i = 0; i < PAYLOAD; i++)
		super_data[sizeof(header) + i] = (uint8_t)(i * 2654435761u >> 24);
	return (struct frame){
		.data = super_data, .len = sizeof(header) + PAYLOAD,
		.vnet = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = SIZE,
			  .csum_start = 34, .csum_offset = 16 },
	};
}

static void split_one(void)
{
	struct frame super = make_super();
	struct offload_split split;

	for (unsigned repeat = 0; repeat < REPEAT; repeat++) {
		unsigned i = 0;

		offload_split_start(&split, &super);
		while (offload_split_next(&split, segment_data[i], sizeof(segment_data[i]),
					  &segments[i]))
			i++;
		sink += i;
	}
}

static void coalesce_one(void)
{
	struct coalesced run;

	for (unsigned repeat = 0; repeat < REPEAT; repeat++) {
		coalesce_run(segments, SEGMENTS, true, &run);
		sink += run.frames;
	}
}

/* What it costs to find out that nothing can be done: each frame twice, so none follows. */
static void reject_one(void)
{
	struct coalesced run;

	for (unsigned repeat = 0; repeat < REPEAT; repeat++) {
		for (unsigned i = 0; i < SEGMENTS; i++) {
			struct frame pair[2] = { segments[i], segments[i] };

			coalesce_run(pair, 2, true, &run);
			sink += run.frames;
		}
	}
}

static void checksum_frame(void)
{
	for (unsigned repeat = 0; repeat < REPEAT; repeat++)
		for (unsigned i = 0; i < SEGMENTS; i++)
			sink += checksum_add(0, segment_data[i] + 34, SIZE);
}

static double best_ns(void (*work)(void))
{
	double best = 1e18;

	for (unsigned round = 0; round < ROUNDS; round++) {
		struct timespec from, to;
		double ns;

		clock_gettime(CLOCK_MONOTONIC, &from);
		work();
		clock_gettime(CLOCK_MONOTONIC, &to);
		ns = (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);
		best = ns < best ? ns : best;
	}
	return best / REPEAT;
}

static void report(const char *what, double ns)
{
	printf("%-28s %8.0f ns per super-frame  %6.1f ns per frame  %6.1f Gbit/s\n", what, ns,
	       ns / SEGMENTS, PAYLOAD * 8 / ns);
}

int main(void)
{
	struct frame super = make_super();
	uint64_t wire_bytes;

	if (offload_segments(&super, &wire_bytes) != SEGMENTS)
		return 1;
	report("split", best_ns(split_one));
	report("verify and coalesce", best_ns(coalesce_one));
	report("find nothing to coalesce", best_ns(reject_one));
	printf("%-28s %8.1f GB/s\n", "checksum", (double)SEGMENTS * SIZE / best_ns(checksum_frame));
	return 0;
}
