/* SPDX-License-Identifier: GPL-3.0-or-later */
/* INI mode: the bridges that a configuration file describes. */
#ifndef CONF_INI_H
#define CONF_INI_H

#include "base/err.h"

int ini_load(const char *path, struct err *err);
void ini_reload(void);
void ini_fini(void);

#endif
