/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the modules "bridge" and "iol_bridge" have in common: filters, captures, counters. */
#ifndef CTL_CMD_LINK_H
#define CTL_CMD_LINK_H

#include <stdbool.h>

#include "core/link.h"
#include "ctl/request.h"

void reply_stats(struct request *request, const char *label, const struct nio_counters *counters);
bool start_capture(struct link *link, size_t argc, char **argv);
enum request_state add_filter(struct request *request, struct link *link, size_t argc,
			      char **argv);

#endif
