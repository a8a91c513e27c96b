/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "core/delayq.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 64

/* delayq_init() - an empty queue; costs no memory until frames come
 * @max_frames, @max_bytes: how many frames, and how many bytes in all of them, it may hold
 */
void delayq_init(struct delayq *queue, size_t max_frames, uint64_t max_bytes)
{
	*queue = (struct delayq){ .max_frames = max_frames, .max_bytes = max_bytes };
}

/* delayq_fini() - discard what is queued and give all memory back */
void delayq_fini(struct delayq *queue)
{
	delayq_clear(queue);
}

static bool is_before(const struct delayq_entry *a, const struct delayq_entry *b)
{
	if (a->due_ns != b->due_ns)
		return a->due_ns < b->due_ns;
	return a->arrival < b->arrival;
}

/* Moves the hole at @index up to where @entry may stand, and puts it there. */
static void sift_up(struct delayq_entry *heap, size_t index, struct delayq_entry entry)
{
	while (index && is_before(&entry, &heap[(index - 1) / 2])) {
		heap[index] = heap[(index - 1) / 2];
		index = (index - 1) / 2;
	}
	heap[index] = entry;
}

/* Moves the hole on top down to where @entry may stand among @count others. */
static void sift_down(struct delayq_entry *heap, size_t count, struct delayq_entry entry)
{
	size_t index = 0, child;

	while ((child = 2 * index + 1) < count) {
		if (child + 1 < count && is_before(&heap[child + 1], &heap[child]))
			child++;
		if (is_before(&entry, &heap[child]))
			break;
		heap[index] = heap[child];
		index = child;
	}
	heap[index] = entry;
}

static bool make_room(struct delayq *queue)
{
	size_t capacity = queue->capacity ? 2 * queue->capacity : FIRST_CAPACITY;
	struct delayq_entry *heap;

	if (queue->count < queue->capacity)
		return true;
	if (capacity > queue->max_frames)
		capacity = queue->max_frames;
	heap = reallocarray(queue->heap, capacity, sizeof(*heap));
	if (!heap)
		return false;
	queue->heap = heap;
	queue->capacity = capacity;
	return true;
}

static struct delayed *copy_frame(const uint8_t *data, uint32_t len, uint64_t due_ns)
{
	struct delayed *frame = malloc(sizeof(*frame) + len);

	if (!frame)
		return NULL;
	frame->next = NULL;
	frame->due_ns = due_ns;
	frame->len = len;
	if (len)
		memcpy(frame->data, data, len);
	return frame;
}

/* delayq_push() - queue a copy of a frame
 * @due_ns: when it is to leave, on the clock that delayq_pop() is asked with
 *
 * Return: false if the queue is full or memory is short: the frame is lost, and the
 * caller counts it.
 */
bool delayq_push(struct delayq *queue, const uint8_t *data, uint32_t len, uint64_t due_ns)
{
	struct delayq_entry entry = { .due_ns = due_ns, .arrival = queue->arrivals };

	if (queue->count >= queue->max_frames || len > queue->max_bytes - queue->bytes)
		return false;
	if (!make_room(queue))
		return false;
	entry.frame = copy_frame(data, len, due_ns);
	if (!entry.frame)
		return false;
	sift_up(queue->heap, queue->count++, entry);
	queue->bytes += len;
	queue->arrivals++;
	return true;
}

/* delayq_next_due() - when the next frame is to leave; UINT64_MAX if none waits */
uint64_t delayq_next_due(const struct delayq *queue)
{
	return queue->count ? queue->heap[0].due_ns : UINT64_MAX;
}

/* delayq_pop() - the next frame that is due
 *
 * Return: a frame that the caller owns, for delayed_free(); NULL if none is due yet.
 */
struct delayed *delayq_pop(struct delayq *queue, uint64_t now_ns)
{
	struct delayed *frame;

	if (!queue->count || queue->heap[0].due_ns > now_ns)
		return NULL;
	frame = queue->heap[0].frame;
	queue->count--;
	sift_down(queue->heap, queue->count, queue->heap[queue->count]);
	queue->bytes -= frame->len;
	return frame;
}

/* delayq_clear() - discard what is queued; the queue can be used again
 *
 * Return: how many frames were discarded.
 */
size_t delayq_clear(struct delayq *queue)
{
	size_t count = queue->count;

	for (size_t i = 0; i < count; i++)
		free(queue->heap[i].frame);
	free(queue->heap);
	delayq_init(queue, queue->max_frames, queue->max_bytes);
	return count;
}

/* delayed_free() - free a frame and all that are chained to it by @next; NULL is fine */
void delayed_free(struct delayed *first)
{
	while (first) {
		struct delayed *next = first->next;

		free(first);
		first = next;
	}
}
