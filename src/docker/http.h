/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HTTP GET over a UNIX socket or TCP, bounded in size and in time.
 *
 * A call blocks its own thread and shares nothing with other calls, so any number
 * of threads may be in one at the same time. Each can be ended early from another
 * thread through a file descriptor that becomes readable.
 */
#ifndef DOCKER_HTTP_H
#define DOCKER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

#include "base/err.h"

#define HTTP_HOST_MAX 256
#define HTTP_PATH_MAX 512

/* Where a server listens, and what it takes to be let in. */
struct http_endpoint {
	char socket[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* empty: TCP */
	char authority[HTTP_HOST_MAX + 16];	/* host:port; for a UNIX socket any word */
	char pin[HTTP_PATH_MAX];		/* host:port:address[,address]; empty: look it up */
	bool tls;
	bool verify;				/* the server's certificate and its name */
	char cert_dir[HTTP_PATH_MAX];		/* of ca.pem, cert.pem and key.pem */
};

struct http_request {
	const struct http_endpoint *endpoint;
	const char *path;		/* with its query, escaped */
	size_t max;			/* bytes in a body, or in one line of a stream */
	unsigned timeout_ms;		/* for a whole answer, or for one line of a stream */
	int abort_fd;			/* readable: give up with ECANCELED; -1: never */
};

struct http_reply {
	long status;
	char *body;			/* @length bytes and a NUL; NULL when there is none */
	size_t length;
};

/* Who follows a stream of lines. Both run on the thread that called http_get_lines(). */
struct http_lines {
	/* the server has taken the request; comes once, before any line */
	void (*open)(struct http_lines *lines);
	/* a line without its end, not empty, with a NUL behind it; negative ends the stream */
	int (*line)(struct http_lines *lines, const char *text, size_t length, struct err *err);
};

int http_get(const struct http_request *request, struct http_reply *reply, struct err *err);
int http_get_lines(const struct http_request *request, struct http_lines *lines,
		   struct http_reply *reply, struct err *err);
void http_reply_free(struct http_reply *reply);

#endif
