/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ending what takes long to end, several at a time. */
#ifndef NIO_CLOSING_H
#define NIO_CLOSING_H

void closing_add(int fd);
void closing_call(void (*end)(int number), int number);
void closing_wait(void);

#endif
