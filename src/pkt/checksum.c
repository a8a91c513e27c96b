/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "pkt/checksum.h"

#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>

/* For less than this, getting ready for vectors costs more than they save. */
#define VECTOR_BLOCKS 4
#endif

static uint32_t load_word(const uint8_t *data)
{
	uint32_t word;

	memcpy(&word, data, sizeof(word));
	return word;
}

static uint16_t load_half(const uint8_t *data)
{
	uint16_t half;

	memcpy(&half, data, sizeof(half));
	return half;
}

/* The last fewer than four bytes; behind an odd one there is a zero. */
static uint32_t load_rest(const uint8_t *data, size_t len)
{
	const uint8_t last[2] = { len & 1 ? data[len - 1] : 0, 0 };

	return (len & 2 ? load_half(data) : 0U) + load_half(last);
}

/* One's complement addition: what is carried out at the top comes in at the bottom. */
static uint64_t add_with_carry(uint64_t a, uint64_t b)
{
	a += b;
	return a + (a < b);
}

/* checksum_add_plain() - checksum_add() as every processor can do it
 *
 * Four accumulators, so that the additions of one round do not wait for each
 * other; 32-bit words in 64-bit accumulators never carry out.
 */
uint64_t checksum_add_plain(uint64_t sum, const uint8_t *data, size_t len)
{
	uint64_t a = 0, b = 0, c = 0, d = 0;

	for (; len >= 32; len -= 32, data += 32) {
		a += load_word(data);
		b += load_word(data + 4);
		c += load_word(data + 8);
		d += load_word(data + 12);
		a += load_word(data + 16);
		b += load_word(data + 20);
		c += load_word(data + 24);
		d += load_word(data + 28);
	}
	for (; len >= 4; len -= 4, data += 4)
		a += load_word(data);
	return add_with_carry(sum, a + b + c + d + load_rest(data, len));
}

#ifdef __x86_64__
#define VECTOR __attribute__((target("avx2")))

/* Two pairs of accumulators, so that additions do not wait for each other. */
struct sums {
	__m256i low[2], high[2];
};

VECTOR static inline void add_block(struct sums *sums, int pair, const uint8_t *data)
{
	const __m256i words = _mm256_loadu_si256((const __m256i *)(const void *)data);
	const __m256i low_half = _mm256_set1_epi64x(0xffffffff);

	sums->low[pair] = _mm256_add_epi64(sums->low[pair], _mm256_and_si256(words, low_half));
	sums->high[pair] = _mm256_add_epi64(sums->high[pair], _mm256_srli_epi64(words, 32));
}

/* The sum of @blocks blocks of 32 bytes, fewer than 2^30 of them: eight words in the halves
 * of 64-bit accumulators.
 */
VECTOR static uint64_t sum_blocks(const uint8_t *data, size_t blocks)
{
	struct sums sums = { 0 };
	uint64_t part[4], sum = 0;

	for (; blocks >= 4; blocks -= 4, data += 128) {
		add_block(&sums, 0, data);
		add_block(&sums, 1, data + 32);
		add_block(&sums, 0, data + 64);
		add_block(&sums, 1, data + 96);
	}
	for (; blocks; blocks--, data += 32)
		add_block(&sums, 0, data);
	_mm256_storeu_si256((__m256i *)(void *)part,
			    _mm256_add_epi64(_mm256_add_epi64(sums.low[0], sums.low[1]),
					     _mm256_add_epi64(sums.high[0], sums.high[1])));
	for (int i = 0; i < 4; i++)
		sum = add_with_carry(sum, part[i]);
	return sum;
}
#endif

/* checksum_add() - add @len bytes to an unfolded sum
 *
 * A sum may be built of several pieces if all but the last have an even length.
 *
 * Return: the new unfolded sum; start with 0.
 */
uint64_t checksum_add(uint64_t sum, const uint8_t *data, size_t len)
{
#ifdef __x86_64__
	size_t blocks = len / 32;

	if (blocks >= VECTOR_BLOCKS && __builtin_cpu_supports("avx2")) {
		sum = add_with_carry(sum, sum_blocks(data, blocks));
		data += blocks * 32;
		len -= blocks * 32;
	}
#endif
	return checksum_add_plain(sum, data, len);
}

/* checksum_fold() - the 16-bit one's complement sum, in memory order, not inverted */
uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)sum;
}

/* crc32c() - CRC-32C (Castagnoli) as a number; SCTP stores it little endian (RFC 9260)
 *
 * Half a byte at a time: small rather than fast, since few frames need it.
 */
uint32_t crc32c(const uint8_t *data, size_t len)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
		0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}
