/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Link types by name: EN10MB, PPP_SERIAL, FRELAY, … */
#ifndef FILTER_LINKTYPE_H
#define FILTER_LINKTYPE_H

#include <stdbool.h>

bool linktype_parse(const char *name, int *dlt);

#endif
