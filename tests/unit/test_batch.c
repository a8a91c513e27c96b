/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pkt/batch: slots that do not touch, headroom, bounds */
#include <config.h>

#include "pkt/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int set_up(void **state)
{
	static struct batch batch;
	struct err err;

	*state = &batch;
	return batch_init(&batch, &err);
}

static int tear_down(void **state)
{
	batch_fini(*state);
	return 0;
}

/* Each slot takes a frame of the largest size and all of its headroom. */
static void slots_do_not_touch(void **state)
{
	struct batch *batch = *state;

	for (unsigned i = 0; i < BATCH_SLOTS; i++)
		memset(batch_slot(batch, i) - FRAME_HEADROOM, (int)i + 1,
		       FRAME_HEADROOM + FRAME_MAX);
	memset(batch->arena, 0xee, BATCH_ARENA);
	for (unsigned i = 0; i < BATCH_SLOTS; i++) {
		const uint8_t *slot = batch_slot(batch, i);

		assert_int_equal(slot[-FRAME_HEADROOM], i + 1);
		assert_int_equal(slot[FRAME_MAX - 1], i + 1);
		assert_int_equal((uintptr_t)slot % 64, 0);
	}
	assert_int_equal(batch->arena[0], 0xee);
	assert_int_equal(batch->arena[BATCH_ARENA - 1], 0xee);
}

/* Headers of small frames in neighbouring slots are not in the same cache set. */
static void slots_are_not_a_power_of_two_apart(void **state)
{
	ptrdiff_t stride = batch_slot(*state, 1) - batch_slot(*state, 0);

	assert_true(stride % 4096 != 0);
	assert_int_equal(batch_slot(*state, BATCH_SLOTS - 1) - batch_slot(*state, 0),
			 stride * (BATCH_SLOTS - 1));
}

static void takes_so_many_frames_and_no_more(void **state)
{
	struct batch *batch = *state;
	uint8_t data[1] = { 0 };

	for (unsigned i = 0; i < BATCH_FRAMES; i++) {
		struct frame *frame = batch_add(batch, data, i);

		assert_ptr_equal(frame, &batch->frame[i]);
		assert_int_equal(frame->len, i);
		assert_int_equal(batch_room(batch), BATCH_FRAMES - i - 1);
	}
	assert_null(batch_add(batch, data, 1));
	assert_int_equal(batch->count, BATCH_FRAMES);
}

static void a_new_frame_is_a_wire_frame(void **state)
{
	struct batch *batch = *state;
	static const struct virtio_net_hdr zero;
	uint8_t data[1] = { 0 };
	struct frame *frame;

	frame = batch_add(batch, data, 1);
	frame->drop = DROP_ERROR;
	memset(&frame->vnet, 0xff, sizeof(frame->vnet));
	batch->arena_used = 17;
	batch_clear(batch);
	assert_int_equal(batch->count + batch->arena_used, 0);
	frame = batch_add(batch, data, 1);
	assert_int_equal(frame->drop, FRAME_KEEP);
	assert_memory_equal(&frame->vnet, &zero, sizeof(zero));
	assert_ptr_equal(frame->data, data);
}

static void drops_what_has_no_reason_yet(void **state)
{
	struct batch *batch = *state;
	uint8_t data[64] = { 0 };

	assert_false(batch_drop(batch, DROP_DOWN));
	for (unsigned i = 0; i < 3; i++)
		assert_non_null(batch_add(batch, data, sizeof(data)));
	batch->frame[1].drop = DROP_FILTER;
	assert_true(batch_drop(batch, DROP_DOWN));
	assert_int_equal(batch->frame[0].drop, DROP_DOWN);
	assert_int_equal(batch->frame[1].drop, DROP_FILTER);
	assert_int_equal(batch->frame[2].drop, DROP_DOWN);
	assert_false(batch_drop(batch, DROP_DOWN));
}

static void fini_of_nothing(void **state)
{
	struct batch batch = { 0 };

	(void)state;
	batch_fini(&batch);
	assert_null(batch.frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(slots_do_not_touch, set_up, tear_down),
		cmocka_unit_test_setup_teardown(slots_are_not_a_power_of_two_apart, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(takes_so_many_frames_and_no_more, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_new_frame_is_a_wire_frame, set_up, tear_down),
		cmocka_unit_test_setup_teardown(drops_what_has_no_reason_yet, set_up, tear_down),
		cmocka_unit_test(fini_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
