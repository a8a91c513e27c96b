/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pkt/checksum: against the naive sum, and published values */
#include <config.h>

#include "pkt/checksum.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "packets.h"

#define BYTES 66000

static uint8_t bytes[BYTES];

static uint16_t sum_of(const uint8_t *data, size_t len)
{
	return ntohs(checksum_fold(checksum_add(0, data, len)));
}

static uint16_t plain_sum_of(const uint8_t *data, size_t len)
{
	return ntohs(checksum_fold(checksum_add_plain(0, data, len)));
}

static void equals_naive_sum_at_any_length_and_alignment(void **state)
{
	unsigned short seed[3] = { 1, 2, 3 };

	(void)state;
	for (size_t i = 0; i < BYTES; i++)
		bytes[i] = (uint8_t)nrand48(seed);
	for (size_t at = 0; at < 8; at++) {
		for (size_t len = 0; len < 300; len++) {
			uint16_t expected = naive_sum(bytes + at, len, 0);

			assert_int_equal(sum_of(bytes + at, len), expected);
			assert_int_equal(plain_sum_of(bytes + at, len), expected);
		}
	}
	assert_int_equal(sum_of(bytes, BYTES), naive_sum(bytes, BYTES, 0));
	assert_int_equal(plain_sum_of(bytes, BYTES), naive_sum(bytes, BYTES, 0));
}

static void carries_are_not_lost(void **state)
{
	(void)state;
	memset(bytes, 0xff, BYTES);
	for (size_t len = 1; len < 300; len++) {
		assert_int_equal(sum_of(bytes, len), naive_sum(bytes, len, 0));
		assert_int_equal(plain_sum_of(bytes, len), naive_sum(bytes, len, 0));
	}
	assert_int_equal(sum_of(bytes, BYTES), naive_sum(bytes, BYTES, 0));
	assert_int_equal(checksum_fold(checksum_add(UINT64_MAX, bytes, BYTES)), 0xffff);
	assert_int_equal(checksum_fold(checksum_add(UINT64_MAX, bytes, 8)), 0xffff);
	assert_int_equal(checksum_fold(checksum_add(UINT64_MAX, (const uint8_t *)"\1\1", 2)),
			 0x0101);
}

static void sums_of_even_pieces_add_up(void **state)
{
	uint64_t sum;

	(void)state;
	for (size_t i = 0; i < BYTES; i++)
		bytes[i] = (uint8_t)(i * 31);
	for (size_t cut = 0; cut <= 200; cut += 2) {
		sum = checksum_add(checksum_add(0, bytes, cut), bytes + cut, 201 - cut);
		assert_int_equal(ntohs(checksum_fold(sum)), naive_sum(bytes, 201, 0));
	}
}

/* The example header in RFC 1071's spirit that everybody quotes; its checksum is b861. */
static void known_ipv4_header(void **state)
{
	static const uint8_t header[] = {
		0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
		0x00, 0x00, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7,
	};

	(void)state;
	assert_int_equal((uint16_t)~sum_of(header, sizeof(header)), 0xb861);
}

/* RFC 3720, B.4, which lists the bytes in the order of transmission. */
static void known_crc32c(void **state)
{
	uint8_t data[32] = { 0 };

	(void)state;
	assert_int_equal(crc32c((const uint8_t *)"123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(data, 32), 0x8a9136aa);
	memset(data, 0xff, 32);
	assert_int_equal(crc32c(data, 32), 0x62a8ab43);
	for (uint8_t i = 0; i < 32; i++)
		data[i] = i;
	assert_int_equal(crc32c(data, 32), 0x46dd794e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equals_naive_sum_at_any_length_and_alignment),
		cmocka_unit_test(carries_are_not_lost),
		cmocka_unit_test(sums_of_even_pieces_add_up),
		cmocka_unit_test(known_ipv4_header),
		cmocka_unit_test(known_crc32c),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
