/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "ctl/request.h"

#include <stdarg.h>

/* reply_info() - a "101 text" line before the final one */
void reply_info(struct request *request, const char *format, ...)
{
	va_list ap;

	buf_printf(&request->reply, "%d ", REPLY_INFO);
	va_start(ap, format);
	buf_vprintf(&request->reply, format, ap);
	va_end(ap);
	buf_append(&request->reply, "\r\n", 2);
}

/* reply_final() - the "code-text" line that ends a reply
 *
 * Return: REQUEST_DONE, for handlers to return.
 */
enum request_state reply_final(struct request *request, enum reply_code code, const char *format,
			       ...)
{
	va_list ap;

	buf_printf(&request->reply, "%d-", (int)code);
	va_start(ap, format);
	buf_vprintf(&request->reply, format, ap);
	va_end(ap);
	buf_append(&request->reply, "\r\n", 2);
	return REQUEST_DONE;
}

/* request_finish() - deliver the reply of a request that was pending; it is freed */
void request_finish(struct request *request)
{
	request->finished(request);
}
