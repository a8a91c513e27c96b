/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Attachments: interfaces that belong into containers, whenever those run.
 *
 * Theory of operation
 *
 *	        it runs: plugged in               the run is over
 *	waiting ---------------------> attached ---------------------> waiting
 *	   |
 *	   +--> gone: it was given by id, and is removed
 *
 * A run of a container begins with an event of the engine, or is found when the engine
 * is looked at, and ends when the pidfd of its first process says so: no event about
 * the end is needed, and none about another run can be mistaken for it.
 *
 * Everything that blocks is done by one job at a time for each attachment. An event
 * that comes meanwhile has the container looked at once more when the job is done. A
 * job that comes back after its attachment has ended is undone.
 *
 * Most attachments are those of a Docker NIO and end with it. The others bring back
 * what a client has moved into a container by itself, see replug.h.
 *
 * Control thread only, unless said otherwise.
 */
#ifndef ATTACH_ATTACH_H
#define ATTACH_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "attach/spec.h"
#include "docker/events.h"

enum attach_state { ATTACH_WAITING, ATTACH_ATTACHED, ATTACH_GONE, ATTACH_STATE_COUNT };

/* Who made a Docker NIO may want to hear what becomes of it. */
struct attach_watcher {
	/* the container was looked at; @problem is NULL, or why nothing is plugged.
	 * ATTACH_GONE with a problem of code ECANCELED: the NIO has been closed.
	 */
	void (*news)(struct attach_watcher *watcher, enum attach_state state,
		     const struct err *problem);
};

/* For lists of attachments. */
struct attach_info {
	const char *bridge;		/* "-": none */
	const char *container, *interface, *host_if;
	const char *state, *problem;	/* problem: "" where there is none */
	pid_t pid;			/* 0: not attached */
	unsigned plugged;
	uint64_t since_seconds;
};

/* What is in a container already, and is to be brought back when it was restarted. */
struct attach_adoption {
	struct plug_spec spec;
	struct plug plug;
	uint64_t nio_serial;		/* of the TAP NIO that it is the device of; or 0 */
};

struct nio *attach_nio_new(const struct attach_spec *spec, struct err *err);
void attach_nio_watch(const struct nio *nio, struct attach_watcher *watcher);
bool attach_nio_matches(const struct nio *nio, const char *container, const char *interface);

int attach_adopt(struct attach_adoption *adoption, struct err *err);
void attach_note_port(const char *bridge, const char *interface);
void attach_forget_pair(const char *interface);
void attach_forget_tap(uint64_t serial);
void attach_forget_adopted(void);

void attach_list(void (*visit)(const struct attach_info *info, void *data), void *data);
bool attach_error_is_final(const struct err *err);
bool attach_reference_matches(const char *reference, const struct engine_event *event);

#endif
