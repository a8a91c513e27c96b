/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Interfaces that a process leaves on the host when it is killed, and their removal. */
#ifndef ATTACH_LEFTOVER_H
#define ATTACH_LEFTOVER_H

#include <stdint.h>

#include "net/netdev.h"

void leftover_alias(char alias[NETDEV_ALIAS_MAX], uint64_t number, const char *what);
void leftover_remove(void);

#endif
