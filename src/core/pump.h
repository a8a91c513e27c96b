/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a link needs of its pumps. */
#ifndef CORE_PUMP_H
#define CORE_PUMP_H

#include "core/link.h"

void pump_init(struct pump *pump, struct link *link, enum side side);
void pump_fini(struct pump *pump);
int pump_start(struct pump *pump, struct err *err);
void pump_stop(struct pump *pump);
void pump_release_all(struct pump *pump);
void pump_discard(struct pump *pump);
void pump_renew(struct pump *pump);
void pump_before_swap(struct pump *pump);
void pump_after_swap(struct pump *pump);

#endif
