/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Interfaces of the host, as NIOs that wait for theirs look for them. */
#ifndef NIO_INTERFACE_H
#define NIO_INTERFACE_H

unsigned interface_find(const char *name);

#endif
