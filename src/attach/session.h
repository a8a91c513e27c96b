/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The process's one connection to the container engine, as seen by the control thread.
 *
 * Theory of operation
 *
 * Nothing is started before somebody asks for it: a process that has to do with no
 * container has no thread, no socket and no libcurl.
 *
 * Listeners hear of containers on the control thread. Events come from the watch's
 * thread through a ring of bounded size. What does not fit, and whatever else may
 * have been missed while there was no event stream, becomes a refresh(): the listener
 * then looks at the whole state again. While a listener waits for a container the
 * engine is also asked from time to time which ones run, and the answers are handed
 * on like start events, so that an event that never came is made up for.
 *
 * Calls to the engine block, so they are made in jobs, a few at the same time. Questions
 * of clients do not wait behind those of attachments.
 */
#ifndef ATTACH_SESSION_H
#define ATTACH_SESSION_H

#include <stdbool.h>

#include "base/err.h"
#include "base/job.h"
#include "docker/engine.h"
#include "docker/events.h"

/* Embed it in what listens. Both functions may end their own listening, and no other's. */
struct session_listener {
	struct session_listener *next;
	/* @fresh: it happens now; else the container was merely found running */
	void (*event)(struct session_listener *listener, const struct engine_event *event,
		      bool fresh);
	void (*refresh)(struct session_listener *listener);
	unsigned waiting;		/* above 0: it waits for containers to start */
};

/* work() gets an engine and may block; done() runs on the control thread, where @err says
 * whether there was an engine to be had at all.
 */
struct session_job {
	struct job job;
	struct session_job *next;
	void (*work)(struct session_job *job, struct engine *engine);
	void (*done)(struct session_job *job);
	struct err err;			/* code 0: work() has been called */
};

enum session_stream { SESSION_IDLE, SESSION_CONNECTING, SESSION_CONNECTED };

void session_init(struct loop *control);
struct loop *session_loop(void);
void session_fini(void);

int session_watch(struct err *err);
void session_listen(struct session_listener *listener);
void session_unlisten(struct session_listener *listener);
void session_expect(struct session_listener *listener, int more);
void session_run(struct session_job *job);
void session_run_now(struct session_job *job);
enum session_stream session_stream(void);

#endif
