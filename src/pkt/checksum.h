/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The Internet checksum (RFC 1071), and the CRC32c that SCTP has in its place.
 *
 * Sums are taken and stored in memory order. RFC 1071 sums come out right that
 * way on machines of either byte order, so nothing is swapped on the way.
 */
#ifndef PKT_CHECKSUM_H
#define PKT_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

uint64_t checksum_add(uint64_t sum, const uint8_t *data, size_t len);
uint64_t checksum_add_plain(uint64_t sum, const uint8_t *data, size_t len);
uint16_t checksum_fold(uint64_t sum);
uint32_t crc32c(const uint8_t *data, size_t len);

#endif
