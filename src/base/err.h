/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Errors: a number for the program, a text for a person.
 *
 * A function that can fail takes a struct err as its last argument and returns
 * 0 or a negative errno. Whoever finds the error sets it; each caller may put
 * its own context in front on the way up, so that the text reads from the
 * outside in: "udp 10000: bind: Address already in use".
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>

#define ERR_TEXT_MAX 1024

struct err {
	int code;		/* positive errno, 0 while nothing has failed */
	char text[ERR_TEXT_MAX];
};

int err_set(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int err_sys(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
