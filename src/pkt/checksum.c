/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "pkt/checksum.h"

#include <string.h>

static uint32_t load_word(const uint8_t *data)
{
	uint32_t word;

	memcpy(&word, data, sizeof(word));
	return word;
}

/* One's complement addition: what is carried out at the top comes in at the bottom. */
static uint64_t add_with_carry(uint64_t a, uint64_t b)
{
	a += b;
	return a + (a < b);
}

/* checksum_add() - add @len bytes to an unfolded sum
 *
 * A sum may be built of several pieces if all but the last have an even length.
 * Four accumulators, so that the additions of one round do not wait for each
 * other; 32-bit words in 64-bit accumulators never carry out.
 *
 * Return: the new unfolded sum; start with 0.
 */
uint64_t checksum_add(uint64_t sum, const uint8_t *data, size_t len)
{
	uint64_t a = 0, b = 0, c = 0, d = 0;
	uint32_t rest = 0;

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
	memcpy(&rest, data, len);
	return add_with_carry(sum, a + b + c + d + rest);
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
