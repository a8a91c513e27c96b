/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VLAN tags that the kernel keeps beside the frame, put back where they belong. */
#ifndef PKT_VLAN_H
#define PKT_VLAN_H

#include <stdint.h>

#include "pkt/batch.h"

void vlan_push(struct frame *frame, uint16_t tpid, uint16_t tci);

#endif
