/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Strict parsers: a text is what was asked for, whole, or an error. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stdint.h>

#define MAC_LEN 6

bool parse_int(const char *text, int64_t min, int64_t max, int64_t *value);
bool parse_port(const char *text, uint16_t *port);
bool parse_real(const char *text, double min, double max, double *value);
bool parse_mac(const char *text, uint8_t mac[MAC_LEN]);
bool ifname_fits(const char *name);

#endif
