/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ethernet NIOs: an interface as libpcap sees it, with a filter on what is received. */
#ifndef NIO_NIO_ETHERNET_H
#define NIO_NIO_ETHERNET_H

#include <stdio.h>

#include "nio/nio.h"

bool nio_is_ethernet(const struct nio *nio);
int nio_ethernet_set_filter(struct nio *nio, const char *expression, bool in_use,
			    struct err *err);
int nio_ethernet_list_devices(FILE *out, struct err *err);

#endif
