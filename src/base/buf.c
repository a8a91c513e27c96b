/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 1024

/* buf_reserve() - make room for @more bytes behind what is there
 *
 * Return: false when there is no memory; the buffer is as it was, marked failed.
 */
bool buf_reserve(struct buf *buf, size_t more)
{
	size_t room = buf->room ? buf->room : ROOM_MIN;
	char *data;

	while (room - buf->len < more)
		room *= 2;
	if (room == buf->room)
		return true;
	data = realloc(buf->data, room);
	if (!data) {
		buf->failed = true;
		return false;
	}
	buf->data = data;
	buf->room = room;
	return true;
}

/* buf_append() - add bytes at the end, all or none */
void buf_append(struct buf *buf, const void *data, size_t len)
{
	if (!len || !buf_reserve(buf, len))
		return;
	memcpy(buf->data + buf->len, data, len);
	buf->len += len;
}

void buf_vprintf(struct buf *buf, const char *format, va_list ap)
{
	char *text;
	int len = vasprintf(&text, format, ap);

	if (len < 0) {
		buf->failed = true;
		return;
	}
	buf_append(buf, text, (size_t)len);
	free(text);
}

/* buf_printf() - add formatted text, without its NUL */
void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	buf_vprintf(buf, format, ap);
	va_end(ap);
}

/* buf_consume() - take bytes away at the front; an empty buffer gives its memory back */
void buf_consume(struct buf *buf, size_t len)
{
	buf->len -= len;
	if (buf->len)
		memmove(buf->data, buf->data + len, buf->len);
	else
		buf_free(buf);
}

void buf_free(struct buf *buf)
{
	free(buf->data);
	memset(buf, 0, sizeof(*buf));
}
