/* SPDX-License-Identifier: GPL-3.0-or-later */
/* base/err: codes, texts, context from the outside in, texts that are too long */
#include <config.h>

#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void set_returns_the_negative_code(void **state)
{
	static const int codes[] = { EPERM, EINVAL, EADDRINUSE, ENOMEM };

	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct err err;

		assert_int_equal(err_set(&err, codes[i], "port %d of '%s'", 7, "r1"),
				 -codes[i]);
		assert_int_equal(err.code, codes[i]);
		assert_string_equal(err.text, "port 7 of 'r1'");
	}
}

static void sys_adds_the_system_s_words(void **state)
{
	static const struct {
		int code;
		const char *want;
	} rows[] = {
		{ EADDRINUSE, "bind 7: Address already in use" },
		{ ENOENT, "bind 7: No such file or directory" },
		{ ENODEV, "bind 7: No such device" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err;

		assert_int_equal(err_sys(&err, rows[i].code, "bind %d", 7), -rows[i].code);
		assert_int_equal(err.code, rows[i].code);
		assert_string_equal(err.text, rows[i].want);
	}
}

static void context_comes_in_front(void **state)
{
	struct err err;

	(void)state;
	err_sys(&err, EACCES, "open");
	assert_int_equal(err_wrap(&err, "udp %d", 10000), -EACCES);
	assert_int_equal(err_wrap(&err, "bridge '%s'", "b"), -EACCES);
	assert_int_equal(err.code, EACCES);
	assert_string_equal(err.text, "bridge 'b': udp 10000: open: Permission denied");
}

/* What is given may come from a client: a % in it is no format, and its length no danger. */
static void texts_that_are_too_long_are_cut(void **state)
{
	char text[2 * ERR_TEXT_MAX];
	struct {
		struct err err;
		char canary[8];
	} guarded = { .canary = "canary" };

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(err_set(&guarded.err, E2BIG, "%s", text), -E2BIG);
	assert_int_equal(strlen(guarded.err.text), ERR_TEXT_MAX - 1);
	assert_int_equal(err_wrap(&guarded.err, "%s", "outer"), -E2BIG);
	assert_int_equal(strlen(guarded.err.text), ERR_TEXT_MAX - 1);
	assert_memory_equal(guarded.err.text, "outer: xxx", 10);
	assert_int_equal(err_sys(&guarded.err, EIO, "%s", text), -EIO);
	assert_int_equal(strlen(guarded.err.text), ERR_TEXT_MAX - 1);
	assert_int_equal(err_wrap(&guarded.err, "%s", text), -EIO);
	assert_int_equal(strlen(guarded.err.text), ERR_TEXT_MAX - 1);
	assert_string_equal(guarded.canary, "canary");
}

static void percent_signs_in_arguments_stay(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, EINVAL, "'%s'", "%n%s%100000d");
	err_wrap(&err, "filter");
	assert_string_equal(err.text, "filter: '%n%s%100000d'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_returns_the_negative_code),
		cmocka_unit_test(sys_adds_the_system_s_words),
		cmocka_unit_test(context_comes_in_front),
		cmocka_unit_test(texts_that_are_too_long_are_cut),
		cmocka_unit_test(percent_signs_in_arguments_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
