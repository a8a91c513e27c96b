/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What can only be told by the kernel's version. */
#ifndef BASE_KERNEL_H
#define BASE_KERNEL_H

#include <stdbool.h>

bool kernel_is_before(int major, int minor);

#endif
