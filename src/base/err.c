/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "base/err.h"

#include <stdio.h>
#include <string.h>

/* err_set() - record an error with a text of its own
 * @err: filled in; may not be NULL
 * @code: positive errno that says which kind of error it is
 *
 * Return: -@code, so that callers can return it at once.
 */
int err_set(struct err *err, int code, const char *format, ...)
{
	va_list ap;

	err->code = code;
	va_start(ap, format);
	vsnprintf(err->text, sizeof(err->text), format, ap);
	va_end(ap);
	return -code;
}

/* err_sys() - record a failed system call: the text, a colon, the system's own words
 *
 * Return: -@code.
 */
int err_sys(struct err *err, int code, const char *format, ...)
{
	char reason[128];
	size_t used;
	va_list ap;

	err->code = code;
	va_start(ap, format);
	vsnprintf(err->text, sizeof(err->text), format, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s",
		 strerror_r(code, reason, sizeof(reason)));
	return -code;
}

/* err_wrap() - put context in front of an error that a callee has set
 *
 * Return: the callee's -code.
 */
int err_wrap(struct err *err, const char *format, ...)
{
	char inner[ERR_TEXT_MAX];
	size_t used;
	va_list ap;

	memcpy(inner, err->text, sizeof(inner));
	va_start(ap, format);
	vsnprintf(err->text, sizeof(err->text), format, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", inner);
	return -err->code;
}
