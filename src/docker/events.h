/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What happens to containers, as it happens.
 *
 * A watch is a thread that keeps an event stream of the engine open, and opens it
 * again whenever it breaks. Between disconnected() and connected() events are
 * lost: whoever hears connected() asks the engine for the state of everything it
 * cares about. Events from before connected() are not repeated.
 */
#ifndef DOCKER_EVENTS_H
#define DOCKER_EVENTS_H

#include <stdint.h>

#include "base/err.h"
#include "docker/engine.h"

/* The first attempt to reconnect comes after the first of these, then each after twice the
 * time, up to the second.
 */
#define WATCH_BACKOFF_MIN_MS 100
#define WATCH_BACKOFF_MAX_MS 1000

enum engine_action {
	ENGINE_EVENT_CREATE,
	ENGINE_EVENT_START,
	ENGINE_EVENT_RESTART,	/* Docker: after the start; Podman: before it */
	ENGINE_EVENT_PAUSE,
	ENGINE_EVENT_UNPAUSE,
	ENGINE_EVENT_KILL,	/* a signal was sent; it may live on */
	ENGINE_EVENT_DIE,
	ENGINE_EVENT_STOP,
	ENGINE_EVENT_RENAME,
	ENGINE_EVENT_DESTROY,
	ENGINE_ACTION_COUNT
};

struct engine_event {
	enum engine_action action;
	char id[ENGINE_ID_MAX];
	char name[ENGINE_NAME_MAX];	/* after a rename the new one; may be empty */
};

/* Embed it in what listens. All three run on the watch's thread, one at a time. */
struct engine_listener {
	void (*connected)(struct engine_listener *listener);
	/* The stream has ended, or an attempt to open it failed for another reason
	 * than the one before.
	 */
	void (*disconnected)(struct engine_listener *listener, const struct err *why);
	void (*event)(struct engine_listener *listener, const struct engine_event *event);
};

struct engine_watch;

const char *engine_action_name(enum engine_action action);
int engine_watch_start(struct engine *engine, struct engine_listener *listener,
		       struct engine_watch **watch, struct err *err);
bool engine_watch_stop(struct engine_watch *watch, unsigned wait_s);

#endif
