/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For the files that make up the engine's client, and for their tests. */
#ifndef DOCKER_ENGINE_INTERNAL_H
#define DOCKER_ENGINE_INTERNAL_H

#include <stdatomic.h>

#include "docker/endpoint.h"
#include "docker/engine.h"
#include "docker/events.h"
#include "docker/http.h"

struct engine {
	struct endpoint_settings settings;
	unsigned timeout_ms;
	int abort_fd;
	atomic_uint api;		/* version agreed on, 0: not yet */
	_Atomic(const char *) host;	/* who has answered first; NULL: nobody yet */
};

/* Versions of the API are compared as numbers: 1.41 is 1041. 0 is not a version. */
#define ENGINE_API(major, minor) ((major) * 1000U + (minor))

/* What we ask for is the same in all of these and beyond; of a newer engine we use
 * the newest that we have seen at work, or the oldest that it still speaks.
 */
#define ENGINE_API_OLDEST ENGINE_API(1, 24)
#define ENGINE_API_NEWEST ENGINE_API(1, 44)

unsigned engine_api_parse(const char *text);
unsigned engine_api_choose(unsigned oldest, unsigned newest);

int engine_negotiate(struct engine *engine, int abort_fd, struct engine_info *info,
		     struct err *err);
int engine_resolve(const struct engine *engine, struct http_endpoint *endpoint, struct err *err);
int engine_wrap(const struct engine *engine, struct err *err);
int engine_refused(const struct http_reply *reply, const char *what, struct err *err);

/* Pure: any bytes are welcome. Either all that is needed was there and had the right
 * type and size, or they return -EPROTO; -EMSGSIZE for more than is sane.
 */
int engine_json_info(const char *text, size_t length, struct engine_info *info,
		     struct err *err);
int engine_json_container(const char *text, size_t length, struct engine_container *container,
			  struct err *err);
int engine_json_list(const char *text, size_t length, struct engine_summary **list,
		     size_t *count, struct err *err);
int engine_json_event(const char *text, size_t length, struct engine_event *event,
		      struct err *err);
void engine_json_message(const char *text, size_t length, char *message, size_t size);

#endif
