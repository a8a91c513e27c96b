/* SPDX-License-Identifier: GPL-3.0-or-later */
/* base/buf: growing, consuming, giving memory back */
#include <config.h>

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

static void assert_holds(const struct buf *buf, const char *want)
{
	assert_int_equal(buf->len, strlen(want));
	assert_memory_equal(buf->data, want, buf->len);
	assert_false(buf->failed);
}

static void appends_and_formats(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	buf_append(&buf, "", 0);
	assert_null(buf.data);
	buf_append(&buf, "a\0b", 3);
	assert_int_equal(buf.len, 3);
	assert_memory_equal(buf.data, "a\0b", 3);
	buf_printf(&buf, "%d-%s\r\n", 100, "OK");
	assert_int_equal(buf.len, 11);
	assert_memory_equal(buf.data + 3, "100-OK\r\n", 8);
	buf_free(&buf);
	assert_null(buf.data);
	assert_int_equal(buf.len + buf.room, 0);
}

static void reserve_makes_room_and_keeps_what_is_there(void **state)
{
	static const size_t sizes[] = { 0, 1, 1023, 1024, 1025, 4096, 100000, 1 << 20 };
	struct buf buf = { 0 };

	(void)state;
	buf_append(&buf, "head", 4);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_true(buf_reserve(&buf, sizes[i]));
		assert_true(buf.room - buf.len >= sizes[i]);
		memset(buf.data + buf.len, 'x', sizes[i]);
		assert_holds(&buf, "head");
	}
	buf_free(&buf);
}

static void consumes_from_the_front(void **state)
{
	static const struct {
		size_t take;
		const char *rest;
	} rows[] = { { 0, "one two" }, { 4, "two" }, { 1, "wo" }, { 0, "wo" }, { 1, "o" } };
	struct buf buf = { 0 };

	(void)state;
	buf_printf(&buf, "one two");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_consume(&buf, rows[i].take);
		assert_holds(&buf, rows[i].rest);
	}
	buf_consume(&buf, 1);
	assert_int_equal(buf.len, 0);
	assert_null(buf.data);
	buf_append(&buf, "again", 5);
	assert_holds(&buf, "again");
	buf_free(&buf);
}

/* A model in plain memory says what has to be there. */
static void random_operations(void **state)
{
	enum { MODEL = 1 << 16 };
	char *model = malloc(MODEL);
	struct buf buf = { 0 };
	struct rng rng;
	size_t len = 0;

	(void)state;
	rng_seed(&rng, 2, 0);
	for (unsigned round = 0; round < 20000; round++) {
		size_t count = rng_next(&rng) % 3000;

		if (rng_next(&rng) % 2 && len + count <= MODEL) {
			memset(model + len, 'a' + (int)(rng_next(&rng) % 26), count);
			buf_append(&buf, model + len, count);
			len += count;
		} else if (count <= len) {
			buf_consume(&buf, count);
			len -= count;
			memmove(model, model + count, len);
		}
		assert_int_equal(buf.len, len);
		assert_true(buf.len <= buf.room);
		if (len)
			assert_memory_equal(buf.data, model, len);
	}
	buf_free(&buf);
	free(model);
}

/* A sanitizer's malloc is to answer as the system's does. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* More than there is: nothing is added, and it can be seen afterwards. */
static void no_memory(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	buf_append(&buf, "kept", 4);
	assert_false(buf_reserve(&buf, (size_t)1 << 62));
	assert_true(buf.failed);
	assert_int_equal(buf.len, 4);
	assert_memory_equal(buf.data, "kept", 4);
	buf_free(&buf);
	assert_false(buf.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_and_formats),
		cmocka_unit_test(reserve_makes_room_and_keeps_what_is_there),
		cmocka_unit_test(consumes_from_the_front),
		cmocka_unit_test(random_operations),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
