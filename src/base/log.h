/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the program says on stdout and stderr.
 *
 * Programs that drive ubridge read these lines: information goes to stdout,
 * what went wrong to stderr, one line each. Any thread may log; a line is
 * written in one piece. Nothing on the data path logs per packet unless
 * packet debugging was asked for.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_stream { LOG_INFO, LOG_ERROR };

/* A sink gets each line without its line end. */
typedef void log_sink(enum log_stream stream, const char *line);

void log_set_sink(log_sink *sink);
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
