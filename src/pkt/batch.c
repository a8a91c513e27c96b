/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "pkt/batch.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* Slots begin at differing offsets within a page and a cache set: were they a
 * power of two apart, the headers of all small frames would compete for the
 * same few cache lines.
 */
#define SLOT_STRIDE (FRAME_HEADROOM + FRAME_MAX + 2048 + 5 * 64 - (FRAME_MAX + 2048) % 64)

#define FRAMES_BYTES (BATCH_FRAMES * sizeof(struct frame))
#define SLOTS_BYTES ((size_t)BATCH_SLOTS * SLOT_STRIDE)
#define TOTAL_BYTES (FRAMES_BYTES + SLOTS_BYTES + BATCH_ARENA)

/* batch_init() - reserve the memory of a batch
 *
 * Return: 0, or -ENOMEM with @err set. Release it with batch_fini().
 */
int batch_init(struct batch *batch, struct err *err)
{
	void *memory = mmap(NULL, TOTAL_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return err_sys(err, errno, "packet buffers");
	*batch = (struct batch){
		.frame = memory,
		.slot_memory = (uint8_t *)memory + FRAMES_BYTES,
		.arena = (uint8_t *)memory + FRAMES_BYTES + SLOTS_BYTES,
	};
	return 0;
}

/* batch_fini() - give the memory back; a batch that was never set up is fine */
void batch_fini(struct batch *batch)
{
	if (batch->frame)
		munmap(batch->frame, TOTAL_BYTES);
	memset(batch, 0, sizeof(*batch));
}

/* batch_clear() - forget all frames; slots and arena are free again */
void batch_clear(struct batch *batch)
{
	batch->count = 0;
	batch->arena_used = 0;
}

/* batch_slot() - the buffer of slot @index, FRAME_MAX bytes
 *
 * FRAME_HEADROOM bytes in front of it may be written as well.
 */
uint8_t *batch_slot(struct batch *batch, unsigned index)
{
	return batch->slot_memory + (size_t)index * SLOT_STRIDE + FRAME_HEADROOM;
}

/* batch_add() - describe one more frame, a wire frame until the caller says otherwise
 *
 * Return: the new descriptor, or NULL when the batch has BATCH_FRAMES of them.
 */
struct frame *batch_add(struct batch *batch, uint8_t *data, uint32_t len)
{
	struct frame *frame;

	if (batch->count == BATCH_FRAMES)
		return NULL;
	frame = &batch->frame[batch->count++];
	*frame = (struct frame){ .data = data, .len = len };
	return frame;
}

/* batch_drop() - give all frames that were to be sent a reason why they are not
 *
 * Return: whether there was any.
 */
bool batch_drop(struct batch *batch, enum frame_drop reason)
{
	bool any = false;

	for (unsigned i = 0; i < batch->count; i++) {
		if (batch->frame[i].drop == FRAME_KEEP) {
			batch->frame[i].drop = reason;
			any = true;
		}
	}
	return any;
}
