/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void to_stdio(enum log_stream stream, const char *line)
{
	FILE *out = stream == LOG_INFO ? stdout : stderr;

	fprintf(out, "%s\n", line);
}

static log_sink *current_sink = to_stdio;

static void emit(enum log_stream stream, const char *format, va_list ap)
	__attribute__((format(printf, 2, 0)));

static void emit(enum log_stream stream, const char *format, va_list ap)
{
	char *line;

	if (vasprintf(&line, format, ap) < 0)
		return;
	current_sink(stream, line);
	free(line);
}

/* log_set_sink() - send all further lines to @sink; NULL means stdout and stderr
 *
 * Call it before other threads exist.
 */
void log_set_sink(log_sink *sink)
{
	current_sink = sink ? sink : to_stdio;
}

/* log_info() - a line on stdout */
void log_info(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	emit(LOG_INFO, format, ap);
	va_end(ap);
}

/* log_error() - a line on stderr */
void log_error(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	emit(LOG_ERROR, format, ap);
	va_end(ap);
}
