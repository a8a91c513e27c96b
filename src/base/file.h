/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files that a client has named. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <sys/types.h>

#include "base/err.h"

int file_create(const char *path, mode_t mode, struct err *err);

#endif
