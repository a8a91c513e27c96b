/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Closing files that take long to close, several at a time. */
#ifndef NIO_CLOSING_H
#define NIO_CLOSING_H

void closing_add(int fd);
void closing_wait(void);

#endif
