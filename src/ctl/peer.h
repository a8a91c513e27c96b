/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who is at the other end of a control connection. */
#ifndef CTL_PEER_H
#define CTL_PEER_H

#include <stdbool.h>

#include "base/err.h"

bool peer_is_ours(int fd, struct err *err);

#endif
