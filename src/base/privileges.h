/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the program may do, given up at the start as far as it is not needed. */
#ifndef BASE_PRIVILEGES_H
#define BASE_PRIVILEGES_H

#include <stdbool.h>

#include "base/err.h"

int privileges_drop(bool least, struct err *err);

#endif
