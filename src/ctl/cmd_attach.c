/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "ctl/cmd_attach.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "attach/attach.h"
#include "attach/session.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/bridge.h"

/* How long the engine may take to say that a container can not be attached to, before the
 * reply is that the NIO is there and waits.
 */
#define FIRST_LOOK (400 * NSEC_PER_MSEC)

/* ---- adding */

struct addition {
	struct attach_watcher watcher;
	struct loop_timer timer;
	struct request *request;
	uint64_t serial;		/* of the NIO */
	int wait;			/* seconds until it must be attached; -1: it need not be */
	struct err problem;		/* that was told last */
};

static enum request_state refuse(struct request *request, const char *reason)
{
	log_error("bridge '%s': %s", request->argv[0], reason);
	return reply_final(request, REPLY_CREATE, "unable to create NIO Docker for bridge '%s': %s",
			   request->argv[0], reason);
}

static enum request_state confirm(struct request *request)
{
	return reply_final(request, REPLY_OK, "NIO Docker added to bridge '%s'", request->argv[0]);
}

static void end_addition(struct addition *addition)
{
	loop_timer_cancel(session_loop(), &addition->timer);
	request_finish(addition->request);
	free(addition);
}

static void end_well(struct addition *addition)
{
	struct bridge *bridge;
	enum side side;

	bridge = bridge_of_nio(addition->serial, &side);
	if (bridge)
		attach_nio_watch(bridge->link.nio[side], NULL);
	confirm(addition->request);
	end_addition(addition);
}

/* A NIO that is refused has never been there. */
static void end_badly(struct addition *addition, const char *reason)
{
	struct bridge *bridge;
	enum side side;

	bridge = bridge_of_nio(addition->serial, &side);
	if (bridge) {
		attach_nio_watch(bridge->link.nio[side], NULL);
		bridge_remove_nio(bridge, side);
	}
	refuse(addition->request, reason);
	end_addition(addition);
}

static void on_news(struct attach_watcher *watcher, enum attach_state state,
		    const struct err *problem)
{
	struct addition *addition = container_of(watcher, struct addition, watcher);

	if (problem)
		addition->problem = *problem;
	else
		addition->problem.code = 0;
	if (state == ATTACH_GONE) /* NOLINTNEXTLINE(bugprone-branch-clone): the order counts */
		end_badly(addition, addition->problem.text);
	else if (state == ATTACH_ATTACHED) /* NOLINTNEXTLINE(bugprone-branch-clone) */
		end_well(addition);
	else if (problem && attach_error_is_final(problem))
		end_badly(addition, addition->problem.text);
	else if (addition->wait < 0)
		end_well(addition);
}

static void on_timer(struct loop_timer *timer)
{
	struct addition *addition = container_of(timer, struct addition, timer);
	struct err err;

	if (addition->wait < 0) {
		end_well(addition);
		return;
	}
	if (addition->problem.code)
		err_set(&err, ETIMEDOUT, "not attached after %d s: %s", addition->wait,
			addition->problem.text);
	else
		err_set(&err, ETIMEDOUT, "not attached after %d s: the container does not run",
			addition->wait);
	end_badly(addition, err.text);
}

static void await(struct addition *addition, const struct nio *nio)
{
	uint64_t wait = FIRST_LOOK;

	if (addition->wait >= 0)
		wait = (uint64_t)addition->wait * NSEC_PER_SEC;
	addition->serial = nio->serial;
	addition->watcher.news = on_news;
	addition->timer.expired = on_timer;
	attach_nio_watch(nio, &addition->watcher);
	loop_timer_set(session_loop(), &addition->timer, clock_now() + wait);
}

enum request_state cmd_add_nio_docker(struct request *request)
{
	struct addition *addition;
	struct attach_spec spec;
	struct nio *nio;
	struct err err;

	if (bridge_nio_count(request->bridge) == SIDE_COUNT)
		return reply_final(request, REPLY_CREATE, "bridge '%s' has already 2 allocated NIOs",
				   request->argv[0]);
	if (attach_spec_parse(&spec, request->argv[1], request->argv[2], request->argc - 3,
			      request->argv + 3, &err) < 0)
		return refuse(request, err.text);
	nio = attach_nio_new(&spec, &err);
	if (!nio)
		return refuse(request, err.text);
	bridge_add_nio(request->bridge, nio);
	addition = calloc(1, sizeof(*addition));
	if (!addition)
		return confirm(request);
	addition->request = request;
	addition->wait = spec.wait;
	await(addition, nio);
	return REQUEST_PENDING;
}

/* ---- taking away */

enum request_state cmd_delete_nio_docker(struct request *request)
{
	struct bridge *bridge = request->bridge;

	if (bridge_is_running(bridge))
		return reply_final(request, REPLY_NOT_FOUND, "bridge '%s' is running",
				   request->argv[0]);
	for (enum side side = 0; side < SIDE_COUNT; side++) {
		const struct nio *nio = bridge->link.nio[side];

		if (!nio || !attach_nio_matches(nio, request->argv[1], request->argv[2]))
			continue;
		bridge_remove_nio(bridge, side);
		return reply_final(request, REPLY_OK, "NIO Docker removed from bridge '%s'",
				   request->argv[0]);
	}
	return reply_final(request, REPLY_NOT_FOUND, "Docker nio missing in '%s'",
			   request->argv[0]);
}

/* ---- listing */

static void list_one(const struct attach_info *info, void *data)
{
	struct request *request = data;

	reply_info(request,
		   "bridge=%s container=%s interface=%s state=%s pid=%d host_if=%s plugged=%u "
		   "since=%" PRIu64 "%s%s%s",
		   info->bridge, info->container, info->interface, info->state, (int)info->pid,
		   info->host_if, info->plugged, info->since_seconds,
		   *info->problem ? " error=\"" : "", info->problem, *info->problem ? "\"" : "");
}

enum request_state cmd_docker_list(struct request *request)
{
	attach_list(list_one, request);
	return reply_final(request, REPLY_OK, "OK");
}
