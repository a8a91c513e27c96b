/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The lock file by which IOL instances and bridges claim an IOL id. */
#ifndef CORE_IOL_LOCK_H
#define CORE_IOL_LOCK_H

#include <stddef.h>

#include "base/err.h"

int iol_lock(unsigned id, char *path, size_t size, struct err *err);

#endif
