/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "core/debug.h"

#include <ctype.h>
#include <stdio.h>

#include "base/log.h"

#define BYTES_PER_LINE 16

static void dump(const uint8_t *data, uint32_t len)
{
	for (uint32_t at = 0; at < len; at += BYTES_PER_LINE) {
		char hex[3 * BYTES_PER_LINE + 1], text[BYTES_PER_LINE + 1];
		uint32_t count = len - at < BYTES_PER_LINE ? len - at : BYTES_PER_LINE;

		for (uint32_t i = 0; i < count; i++) {
			uint8_t byte = data[at + i];

			snprintf(hex + 3 * i, 4, "%02x ", byte);
			text[i] = isalnum(byte) && byte < 128 ? (char)byte : '.';
		}
		text[count] = '\0';
		log_info("%04x: %-*s%s", at, 3 * BYTES_PER_LINE, hex, text);
	}
}

/* debug_received() - tell of each frame that a link has received on @side */
void debug_received(const struct link *link, enum side side, const struct batch *batch)
{
	const struct link_words *words = link->words;

	for (unsigned i = 0; i < batch->count; i++) {
		const struct frame *frame = &batch->frame[i];

		log_info("Received %u bytes %s '%s'%s", frame->len + words->extra[side],
			 words->received[side], link->name, words->received_end[side]);
		if (link_options.debug > 1)
			dump(frame->data, frame->len);
	}
}

/* debug_dropped() - tell of a frame that a filter has dropped */
void debug_dropped(const struct link *link, const struct filter *filter)
{
	log_info("Packet dropped by packet filter '%s' on %s '%s'", filter_name(filter),
		 link->words->dropped, link->name);
}
