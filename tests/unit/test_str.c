/* SPDX-License-Identifier: GPL-3.0-or-later */
/* base/str: what is a number, a port, an address, a name; everything else is refused */
#include <config.h>

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void whole_numbers(void **state)
{
	static const struct {
		const char *text;
		int64_t min, max;
		bool good;
		int64_t want;
	} rows[] = {
		{ "0", 0, 0, true, 0 },
		{ "-0", 0, 0, true, 0 },
		{ "7", 0, 9, true, 7 },
		{ "007", 0, 9, true, 7 },
		{ "010", 0, 10, true, 10 },
		{ "-1", -1, 1, true, -1 },
		{ "65535", 1, 65535, true, 65535 },
		{ "65536", 1, 65535, false, 0 },
		{ "0", 1, 65535, false, 0 },
		{ "-2", -1, 1, false, 0 },
		{ "9223372036854775807", 0, INT64_MAX, true, INT64_MAX },
		{ "-9223372036854775808", INT64_MIN, 0, true, INT64_MIN },
		{ "9223372036854775808", INT64_MIN, INT64_MAX, false, 0 },
		{ "-9223372036854775809", INT64_MIN, INT64_MAX, false, 0 },
		{ "99999999999999999999999999999999", INT64_MIN, INT64_MAX, false, 0 },
		{ "", INT64_MIN, INT64_MAX, false, 0 },
		{ "-", INT64_MIN, INT64_MAX, false, 0 },
		{ "+1", INT64_MIN, INT64_MAX, false, 0 },
		{ "--1", INT64_MIN, INT64_MAX, false, 0 },
		{ "- 1", INT64_MIN, INT64_MAX, false, 0 },
		{ " 1", INT64_MIN, INT64_MAX, false, 0 },
		{ "1 ", INT64_MIN, INT64_MAX, false, 0 },
		{ "1x", INT64_MIN, INT64_MAX, false, 0 },
		{ "0x10", INT64_MIN, INT64_MAX, false, 0 },
		{ "1.0", INT64_MIN, INT64_MAX, false, 0 },
		{ "1e3", INT64_MIN, INT64_MAX, false, 0 },
		{ "abc", INT64_MIN, INT64_MAX, false, 0 },
		{ "\xd9\xa1", INT64_MIN, INT64_MAX, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t value = 4711;

		print_message("'%s'\n", rows[i].text);
		assert_int_equal(parse_int(rows[i].text, rows[i].min, rows[i].max, &value),
				 rows[i].good);
		assert_int_equal(value, rows[i].good ? rows[i].want : 4711);
	}
}

static void ports(void **state)
{
	static const struct {
		const char *text;
		bool good;
		uint16_t want;
	} rows[] = {
		{ "0", true, 0 },	{ "1", true, 1 },	{ "65535", true, 65535 },
		{ "65536", false, 0 },	{ "70000", false, 0 },	{ "-1", false, 0 },
		{ "abc", false, 0 },	{ "", false, 0 },	{ "80 ", false, 0 },
		{ "4295032832", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint16_t port = 4711;

		print_message("'%s'\n", rows[i].text);
		assert_int_equal(parse_port(rows[i].text, &port), rows[i].good);
		assert_int_equal(port, rows[i].good ? rows[i].want : 4711);
	}
}

static void fractions(void **state)
{
	static const struct {
		const char *text;
		double min, max;
		bool good;
		double want;
	} rows[] = {
		{ "0", 0, 100, true, 0 },
		{ "100", 0, 100, true, 100 },
		{ "12.5", 0, 100, true, 12.5 },
		{ "1.", 0, 100, true, 1 },
		{ "0.001", 0, 100, true, 0.001 },
		{ "100.0001", 0, 100, false, 0 },
		{ "0.5", 1, 100, false, 0 },
		{ "-1", 0, 100, false, 0 },
		{ "-0", 0, 100, false, 0 },
		{ "+1", 0, 100, false, 0 },
		{ ".5", 0, 100, false, 0 },
		{ ".", 0, 100, false, 0 },
		{ "1.2.3", 0, 100, false, 0 },
		{ "1,5", 0, 100, false, 0 },
		{ "1e1", 0, 100, false, 0 },
		{ "0x1", 0, 100, false, 0 },
		{ "inf", 0, 100, false, 0 },
		{ "nan", 0, 100, false, 0 },
		{ "", 0, 100, false, 0 },
		{ " 1", 0, 100, false, 0 },
		{ "1 ", 0, 100, false, 0 },
		{ "5%", 0, 100, false, 0 },
	};
	char long_number[400];
	double value = 47.11;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		value = 47.11;
		print_message("'%s'\n", rows[i].text);
		assert_int_equal(parse_real(rows[i].text, rows[i].min, rows[i].max, &value),
				 rows[i].good);
		assert_true(value == (rows[i].good ? rows[i].want : 47.11));
	}
	memset(long_number, '9', sizeof(long_number) - 1);
	long_number[sizeof(long_number) - 1] = '\0';
	assert_false(parse_real(long_number, 0, 1e308, &value));
}

static void mac_addresses(void **state)
{
	static const uint8_t nothing[MAC_LEN] = { 9, 9, 9, 9, 9, 9 };
	static const struct {
		const char *text;
		bool good;
		uint8_t want[MAC_LEN];
	} rows[] = {
		{ "00:01:02:03:04:05", true, { 0, 1, 2, 3, 4, 5 } },
		{ "aA:Bb:cC:Dd:eE:Ff", true, { 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff } },
		{ "ff:ff:ff:ff:ff:ff", true, { 255, 255, 255, 255, 255, 255 } },
		{ "", false, { 0 } },
		{ "0", false, { 0 } },
		{ "00", false, { 0 } },
		{ "00:", false, { 0 } },
		{ "00:01:02:03:04", false, { 0 } },
		{ "00:01:02:03:04:", false, { 0 } },
		{ "00:01:02:03:04:5", false, { 0 } },
		{ "00:01:02:03:04:05:", false, { 0 } },
		{ "00:01:02:03:04:05:06", false, { 0 } },
		{ "00:01:02:03:04:05 ", false, { 0 } },
		{ " 00:01:02:03:04:05", false, { 0 } },
		{ "0:1:2:3:4:5", false, { 0 } },
		{ "00-01-02-03-04-05", false, { 0 } },
		{ "000102030405", false, { 0 } },
		{ "0001.0203.0405", false, { 0 } },
		{ "00:01:02:03:04:0g", false, { 0 } },
		{ "00:01:02:03:04:-5", false, { 0 } },
		{ "0x:01:02:03:04:05", false, { 0 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint8_t mac[MAC_LEN];

		memcpy(mac, nothing, sizeof(mac));
		print_message("'%s'\n", rows[i].text);
		assert_int_equal(parse_mac(rows[i].text, mac), rows[i].good);
		assert_memory_equal(mac, rows[i].good ? rows[i].want : nothing, sizeof(mac));
	}
}

static void interface_names(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{ "", false },
		{ "a", true },
		{ "tap-gns3-e0", true },
		{ "123456789012345", true },
		{ "1234567890123456", false },
		{ "12345678901234567890123456789012345678901234567890", false },
		{ "a b", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		print_message("'%s'\n", rows[i].text);
		assert_int_equal(ifname_fits(rows[i].text), rows[i].good);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_numbers),
		cmocka_unit_test(ports),
		cmocka_unit_test(fractions),
		cmocka_unit_test(mac_addresses),
		cmocka_unit_test(interface_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
