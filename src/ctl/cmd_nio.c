/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <config.h>

#include "ctl/cmd_nio.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/job.h"
#include "base/log.h"
#include "core/bridge.h"

/* ---- host names: the resolver may take seconds, so it gets a thread */

struct resolve {
	struct job job;
	struct request *request;
	struct udp_spec spec;		/* host lies in the request's line */
	udp_resolved *then;
	struct addrinfo *addresses;
	struct err err;
};

static void resolve_work(struct job *job)
{
	struct resolve *resolve = container_of(job, struct resolve, job);

	resolve->addresses = udp_resolve(resolve->spec.host, &resolve->err);
}

static void resolve_done(struct job *job)
{
	struct resolve *resolve = container_of(job, struct resolve, job);

	resolve->then(resolve->request, &resolve->spec, resolve->addresses, &resolve->err);
	request_finish(resolve->request);
	udp_resolve_free(resolve->addresses);
	free(resolve);
}

/* with_resolved() - an address is resolved at once, a name on a thread of its own
 *
 * The words of the request may be used until its reply is complete, but objects
 * that it named have to be looked up again in @then.
 */
enum request_state with_resolved(struct request *request, const struct udp_spec *spec,
				 udp_resolved *then)
{
	struct err err = { 0 };
	struct resolve *resolve;

	if (udp_host_is_numeric(spec->host)) {
		struct addrinfo *addresses = udp_resolve(spec->host, &err);
		enum request_state state = then(request, spec, addresses, &err);

		udp_resolve_free(addresses);
		return state;
	}
	resolve = calloc(1, sizeof(*resolve));
	if (!resolve)
		return then(request, spec, NULL, &err);
	resolve->job = (struct job){ .work = resolve_work, .done = resolve_done };
	resolve->request = request;
	resolve->spec = *spec;
	resolve->then = then;
	if (job_start(&resolve->job, &err) < 0) {
		free(resolve);
		return then(request, spec, NULL, &err);
	}
	return REQUEST_PENDING;
}

/* ---- adding */

static enum request_state refuse(struct request *request, const char *kind, const char *reason)
{
	log_error("bridge '%s': %s", request->argv[0], reason);
	return reply_final(request, REPLY_CREATE, "unable to create NIO %s for bridge '%s'", kind,
			   request->argv[0]);
}

static enum request_state refuse_third(struct request *request)
{
	return reply_final(request, REPLY_CREATE, "bridge '%s' has already 2 allocated NIOs",
			   request->argv[0]);
}

/* Gives a NIO that has just been opened to the bridge, or says why there is none. */
static enum request_state add(struct request *request, struct bridge *bridge, const char *kind,
			      struct nio *nio, const struct err *err)
{
	if (!nio)
		return refuse(request, kind, err->text);
	bridge_add_nio(bridge, nio);
	return reply_final(request, REPLY_OK, "NIO %s added to bridge '%s'", kind,
			   request->argv[0]);
}

static bool is_full(const struct request *request)
{
	return bridge_nio_count(request->bridge) == SIDE_COUNT;
}

static enum request_state add_resolved(struct request *request, const struct udp_spec *spec,
				       const struct addrinfo *addresses, struct err *err)
{
	/* it may have been deleted or filled while the name was looked up */
	struct bridge *bridge = bridge_find(request->argv[0]);
	struct nio *nio;

	if (!bridge)
		return reply_final(request, REPLY_NOT_FOUND, "bridge '%s' doesn't exist",
				   request->argv[0]);
	if (bridge_nio_count(bridge) == SIDE_COUNT)
		return refuse_third(request);
	nio = addresses ? nio_udp_open(spec, addresses, err) : NULL;
	return add(request, bridge, "UDP", nio, err);
}

enum request_state cmd_add_nio_udp(struct request *request)
{
	struct udp_spec spec;
	struct err err;

	if (is_full(request))
		return refuse_third(request);
	if (!udp_spec_parse(&spec, request->argv[1], request->argv[2], request->argv[3], &err))
		return refuse(request, "UDP", err.text);
	return with_resolved(request, &spec, add_resolved);
}

enum request_state cmd_add_nio_unix(struct request *request)
{
	struct err err;

	if (is_full(request))
		return refuse_third(request);
	return add(request, request->bridge, "UNIX",
		   nio_unix_open(request->argv[1], request->argv[2], &err), &err);
}

static enum request_state add_device(struct request *request, const char *kind,
				     struct nio *(*open)(const char *device, struct err *err))
{
	struct err err;

	if (is_full(request))
		return refuse_third(request);
	return add(request, request->bridge, kind, open(request->argv[1], &err), &err);
}

enum request_state cmd_add_nio_tap(struct request *request)
{
	return add_device(request, "TAP", nio_tap_open);
}

enum request_state cmd_add_nio_ethernet(struct request *request)
{
	return add_device(request, "Ethernet", nio_ethernet_open);
}

enum request_state cmd_add_nio_linux_raw(struct request *request)
{
	return add_device(request, "Linux raw", nio_raw_open);
}

/* ---- taking away */

enum request_state cmd_delete_nio_udp(struct request *request)
{
	struct link *link = &request->bridge->link;
	struct udp_spec spec;
	struct err err;

	if (bridge_is_running(request->bridge))
		return reply_final(request, REPLY_NOT_FOUND, "bridge '%s' is running",
				   request->argv[0]);
	if (udp_spec_parse(&spec, request->argv[1], request->argv[2], request->argv[3], &err)) {
		for (enum side side = 0; side < SIDE_COUNT; side++) {
			if (!link->nio[side] || !nio_udp_matches(link->nio[side], &spec))
				continue;
			nio_close(link->nio[side]);
			link->nio[side] = NULL;
			return reply_final(request, REPLY_OK, "NIO UDP removed from bridge '%s'",
					   request->argv[0]);
		}
	}
	return reply_final(request, REPLY_NOT_FOUND, "UDP nio missing in '%s'", request->argv[0]);
}
