/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

/* parse_int() - a whole decimal number, perhaps with a minus sign, in @min..@max
 *
 * Return: true with *@value set; false leaves *@value alone.
 */
bool parse_int(const char *text, int64_t min, int64_t max, int64_t *value)
{
	const char *digits = text + (*text == '-');
	long long number;
	char *end;

	if (!isdigit((unsigned char)*digits))
		return false;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno || *end || number < min || number > max)
		return false;
	*value = number;
	return true;
}

/* parse_port() - a port number, 0..65535 */
bool parse_port(const char *text, uint16_t *port)
{
	int64_t value;

	if (!parse_int(text, 0, UINT16_MAX, &value))
		return false;
	*port = (uint16_t)value;
	return true;
}

/* parse_real() - a decimal number with or without a fraction, in @min..@max
 *
 * Neither exponents nor "inf" nor "nan" are numbers here.
 */
bool parse_real(const char *text, double min, double max, double *value)
{
	double number;
	char *end;

	if (!isdigit((unsigned char)*text) || text[strspn(text, "0123456789.")])
		return false;
	errno = 0;
	number = strtod(text, &end);
	if (errno || *end || !isfinite(number) || number < min || number > max)
		return false;
	*value = number;
	return true;
}

/* parse_mac() - six two-digit hexadecimal numbers with colons between them */
bool parse_mac(const char *text, uint8_t mac[MAC_LEN])
{
	uint8_t bytes[MAC_LEN];

	for (unsigned i = 0; i < MAC_LEN; i++, text += 3) {
		char pair[3] = { text[0] };

		if (*text)
			pair[1] = text[1];
		if (!isxdigit((unsigned char)pair[0]) || !isxdigit((unsigned char)pair[1]))
			return false;
		if (text[2] != (i + 1 < MAC_LEN ? ':' : '\0'))
			return false;
		bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	memcpy(mac, bytes, sizeof(bytes));
	return true;
}

/* ifname_fits() - whether a text is short enough to be a network interface's name
 *
 * The kernel judges the characters.
 */
bool ifname_fits(const char *name)
{
	return *name && strlen(name) < IF_NAMESIZE;
}
