/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packet debugging (-d): lines on stdout about single packets. */
#ifndef CORE_DEBUG_H
#define CORE_DEBUG_H

#include "core/link.h"

void debug_received(const struct link *link, enum side side, const struct batch *batch);
void debug_dropped(const struct link *link, const struct filter *filter);

#endif
