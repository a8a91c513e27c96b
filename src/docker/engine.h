/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The Docker Engine of this host, or Podman in its place: what it knows of containers.
 *
 * Every call is one or a few HTTP requests of its own, made on the caller's thread;
 * it may take as long as the time-out says. Any number of threads may share one
 * struct engine. Nothing the engine answers, or fails to, does more than make a
 * call fail.
 *
 * Codes of errors, the same for every call:
 *
 *	ENOENT		no such container
 *	ENOTUNIQ	several containers whose id begins like that
 *	EINVAL		not the name or id of a container, or DOCKER_HOST is no address
 *	ENAMETOOLONG	an address too long to be used
 *	ENOTCONN	no engine there
 *	EACCES		there is one, but we have no right to use its socket
 *	EREMOTE, EPROTONOSUPPORT	DOCKER_HOST leads to another host, or nowhere
 *	ETIMEDOUT	no complete answer in time
 *	ECONNRESET	the connection was closed before the answer was complete
 *	EMSGSIZE	the answer is longer than any that makes sense
 *	EPROTO		the answer makes no sense
 *	EREMOTEIO	the engine says that it failed, and why
 *	ECANCELED	engine_abort()
 *	ENOSYS		libcurl is not installed
 */
#ifndef DOCKER_ENGINE_H
#define DOCKER_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "docker/endpoint.h"

#define ENGINE_ID_MAX (64 + 1)
#define ENGINE_NAME_MAX 256
#define ENGINE_WORD_MAX 64

#define ENGINE_TIMEOUT_MS 10000

enum engine_state {
	ENGINE_UNKNOWN,			/* a word that we do not know */
	ENGINE_CREATED,
	ENGINE_RUNNING,
	ENGINE_PAUSED,
	ENGINE_RESTARTING,		/* between two runs */
	ENGINE_STOPPING,
	ENGINE_EXITED,
	ENGINE_REMOVING,
	ENGINE_DEAD,
	ENGINE_STATE_COUNT
};

/* Whose network namespace a container uses. */
enum engine_network {
	ENGINE_NET_OWN,
	ENGINE_NET_HOST,		/* this host's */
	ENGINE_NET_SHARED,		/* another container's, or one given by path */
};

struct engine_info {
	char version[ENGINE_WORD_MAX];	/* of the engine, "20.10.24" */
	char api[ENGINE_WORD_MAX];	/* the newest it speaks, "1.41" */
	char api_min[ENGINE_WORD_MAX];	/* the oldest */
	char api_used[ENGINE_WORD_MAX];	/* what we speak to it */
	bool podman;
};

struct engine_container {
	char id[ENGINE_ID_MAX];
	char name[ENGINE_NAME_MAX];	/* without a slash; may be empty while it is removed */
	enum engine_state state;
	pid_t pid;			/* of its first process; 0 while there is none */
	char started_at[ENGINE_WORD_MAX]; /* differs for each run */
	enum engine_network network;
	char network_mode[ENGINE_NAME_MAX]; /* in the engine's words, "container:ID" */
};

struct engine_summary {
	char id[ENGINE_ID_MAX];
	char name[ENGINE_NAME_MAX];
	enum engine_state state;
};

struct engine;

int engine_open(const struct endpoint_settings *settings, unsigned timeout_ms,
		struct engine **engine, struct err *err);
void engine_close(struct engine *engine);
void engine_abort(struct engine *engine);

const char *engine_host(const struct engine *engine);
const char *engine_state_name(enum engine_state state);
bool engine_reference_ok(const char *reference);

int engine_version(struct engine *engine, struct engine_info *info, struct err *err);
int engine_inspect(struct engine *engine, const char *reference,
		   struct engine_container *container, struct err *err);
int engine_list_running(struct engine *engine, struct engine_summary **list, size_t *count,
			struct err *err);
int engine_find_by_pid(struct engine *engine, pid_t pid, struct engine_container *container,
		       struct err *err);

#endif
