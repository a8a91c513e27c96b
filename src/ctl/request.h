/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One command line and its reply.
 *
 * A reply is any number of information lines and exactly one final line. A
 * handler adds the former with reply_info() and ends with
 * "return reply_final(…)"; a handler that has to wait for something returns
 * REQUEST_PENDING, and whoever it handed the request to calls request_finish()
 * on the control thread, once, after reply_final(). One that may wait for long
 * sets cancel: it is called when nobody is there any more to hear the reply, and
 * makes that request_finish() follows soon, perhaps from within.
 */
#ifndef CTL_REQUEST_H
#define CTL_REQUEST_H

#include <stdbool.h>

#include "base/buf.h"

/* The registry of reply codes; docs/protocol.md explains them. */
enum reply_code {
	REPLY_OK = 100,
	REPLY_INFO = 101,
	REPLY_PARSE = 200,
	REPLY_UNKNOWN_MODULE = 201,
	REPLY_UNKNOWN_COMMAND = 202,
	REPLY_PARAM_COUNT = 203,
	REPLY_INVALID = 204,
	REPLY_CREATE = 206,
	REPLY_DELETE = 207,
	REPLY_START = 209,
	REPLY_STOP = 210,
	REPLY_RENAME = 213,
	REPLY_NOT_FOUND = 214,
	REPLY_OTHER = 215,
};

enum request_state { REQUEST_DONE, REQUEST_PENDING };

struct bridge;
struct iol_bridge;

struct request {
	/* what was asked: the words behind module and command */
	size_t argc;
	char **argv;
	bool ends_empty;		/* an empty pair of quotes stood at the end */
	struct bridge *bridge;		/* which argv[0] names, where the command says so */
	struct iol_bridge *iol;

	/* the answer */
	struct buf reply;

	/* how it gets there; owned by the server */
	void (*finished)(struct request *request);
	void (*cancel)(struct request *request);
	void *owner;
	char *line, **words;
};

void reply_info(struct request *request, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
enum request_state reply_final(struct request *request, enum reply_code code, const char *format,
			       ...) __attribute__((format(printf, 3, 4)));
void request_finish(struct request *request);

#endif
