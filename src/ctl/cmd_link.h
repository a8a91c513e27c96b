/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the modules "bridge" and "iol_bridge" have in common: filters, captures, counters. */
#ifndef CTL_CMD_LINK_H
#define CTL_CMD_LINK_H

#include <stdbool.h>

#include "core/link.h"
#include "ctl/request.h"

/* The most bridges there may be, of both kinds; an option of the program. */
extern unsigned max_bridges;

bool bridges_are_full(void);
void reply_stats(struct request *request, const char *label, const struct nio_counters *counters);
void reply_counters(struct request *request, struct link *link, const char *prefix);
bool start_capture(struct link *link, size_t argc, char **argv);
enum request_state add_filter(struct request *request, struct link *link, size_t argc,
			      char **argv);

#endif
