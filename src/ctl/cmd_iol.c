/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The module "iol_bridge". Commands that concern a port have BRIDGE BAY UNIT in front. */
#include <config.h>

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "base/str.h"
#include "core/iol.h"
#include "ctl/cmd_link.h"
#include "ctl/cmd_nio.h"
#include "ctl/dispatch.h"

static const char *name_of(const struct request *request)
{
	return request->argv[0];
}

static bool parse_port_words(char **words, unsigned *port)
{
	int64_t bay, unit;

	if (!parse_int(words[0], 0, IOL_BAYS - 1, &bay) ||
	    !parse_int(words[1], 0, IOL_UNITS - 1, &unit))
		return false;
	*port = iol_port_number((unsigned)bay, (unsigned)unit);
	return true;
}

static enum request_state refuse_port(struct request *request)
{
	return reply_final(request, REPLY_INVALID, "'%s/%s' is no port (bay and unit are 0 to 15)",
			   request->argv[1], request->argv[2]);
}

/* ---- bridges */

static enum request_state cmd_create(struct request *request)
{
	const char *name = name_of(request);
	struct err err;
	int64_t id;

	if (iol_find(name))
		return reply_final(request, REPLY_CREATE, "IOL bridge '%s' already exist", name);
	if (bridges_are_full())
		return reply_final(request, REPLY_CREATE, "there are %u bridges already",
				   max_bridges);
	if (!parse_int(request->argv[1], 1, IOL_ID_MAX, &id))
		return reply_final(request, REPLY_CREATE,
				   "could not create IOL bridge '%s': '%s' is no IOL ID", name,
				   request->argv[1]);
	if (!iol_create(name, (unsigned)id, &err))
		return reply_final(request, REPLY_CREATE, "could not create IOL bridge '%s': %s",
				   name, err.text);
	return reply_final(request, REPLY_OK, "IOL bridge '%s' created", name);
}

static enum request_state cmd_delete(struct request *request)
{
	iol_delete(request->iol);
	return reply_final(request, REPLY_OK, "IOL bridge '%s' deleted", name_of(request));
}

static enum request_state cmd_start(struct request *request)
{
	struct err err;

	if (request->iol->worker)
		return reply_final(request, REPLY_START, "IOL bridge '%s' is already running",
				   name_of(request));
	if (iol_start(request->iol, &err) < 0)
		return reply_final(request, REPLY_START, "IOL bridge '%s' could not be started: %s",
				   name_of(request), err.text);
	return reply_final(request, REPLY_OK, "IOL bridge '%s' started", name_of(request));
}

static enum request_state cmd_stop(struct request *request)
{
	if (!request->iol->worker)
		return reply_final(request, REPLY_STOP, "IOL bridge '%s' is not running",
				   name_of(request));
	iol_stop(request->iol);
	return reply_final(request, REPLY_OK, "IOL bridge '%s' stopped", name_of(request));
}

static enum request_state cmd_rename(struct request *request)
{
	const char *name = request->argv[1];
	struct err err;

	if (iol_find(name))
		return reply_final(request, REPLY_RENAME, "IOL bridge '%s' already exist", name);
	if (iol_rename(request->iol, name, &err) < 0)
		return reply_final(request, REPLY_RENAME, "%s", err.text);
	return reply_final(request, REPLY_OK, "IOL bridge '%s' renamed to '%s'", name_of(request),
			   name);
}

static enum request_state cmd_list(struct request *request)
{
	for (const struct iol_bridge *bridge = iol_first(); bridge; bridge = bridge->next)
		reply_info(request, "%s (ports = %u)", bridge->name, iol_port_count(bridge));
	return reply_final(request, REPLY_OK, "OK");
}

static enum request_state cmd_get_stats(struct request *request)
{
	struct iol_bridge *bridge = request->iol;

	for (unsigned port = 0; port < IOL_PORTS; port++) {
		struct nio_counters counters[SIDE_COUNT];
		char label[32];

		if (!iol_port_has_nio(bridge, port))
			continue;
		snprintf(label, sizeof(label), "port %u/%u:     ", port % IOL_BAYS,
			 port / IOL_BAYS);
		link_get_counters(bridge->port[port], counters);
		reply_stats(request, label, &counters[SIDE_DESTINATION]);
	}
	return reply_final(request, REPLY_OK, "OK");
}

static enum request_state cmd_get_counters(struct request *request)
{
	struct iol_bridge *bridge = request->iol;

	for (unsigned port = 0; port < IOL_PORTS; port++) {
		char prefix[32];

		if (!bridge->port[port])
			continue;
		snprintf(prefix, sizeof(prefix), "port %u/%u ", port % IOL_BAYS, port / IOL_BAYS);
		reply_counters(request, bridge->port[port], prefix);
	}
	return reply_final(request, REPLY_OK, "OK");
}

static enum request_state cmd_reset_stats(struct request *request)
{
	for (unsigned port = 0; port < IOL_PORTS; port++) {
		if (request->iol->port[port])
			link_reset_counters(request->iol->port[port]);
	}
	return reply_final(request, REPLY_OK, "OK");
}

/* ---- ports: add_nio_udp BRIDGE IOLID BAY UNIT LPORT HOST RPORT */

static enum request_state refuse_nio(struct request *request, const char *reason)
{
	log_error("IOL bridge '%s': %s", name_of(request), reason);
	return reply_final(request, REPLY_CREATE, "unable to create NIO UDP for IOL bridge '%s'",
			   name_of(request));
}

/* The port's present NIO may hold the very UDP port that its successor wants. */
static struct nio *open_in_place(struct iol_bridge *bridge, unsigned port,
				 const struct udp_spec *spec, const struct addrinfo *addresses,
				 struct err *err)
{
	struct nio *nio = nio_udp_open(spec, addresses, err);

	if (nio || err->code != EADDRINUSE || !iol_port_has_nio(bridge, port))
		return nio;
	iol_port_delete_nio(bridge, port);
	return nio_udp_open(spec, addresses, err);
}

static enum request_state add_resolved(struct request *request, const struct udp_spec *spec,
				       const struct addrinfo *addresses, struct err *err)
{
	struct iol_bridge *bridge = iol_find(name_of(request));
	struct nio *nio;
	unsigned port = 0;
	int64_t id = 0;

	if (!bridge)
		return reply_final(request, REPLY_NOT_FOUND, "bridge '%s' doesn't exist",
				   name_of(request));
	/* both have been parsed before */
	parse_port_words(request->argv + 2, &port);
	parse_int(request->argv[1], 1, IOL_ID_MAX, &id);
	nio = addresses ? open_in_place(bridge, port, spec, addresses, err) : NULL;
	if (!nio)
		return refuse_nio(request, err->text);
	if (iol_port_set_nio(bridge, port, (unsigned)id, nio, err) < 0) {
		nio_close(nio);
		return refuse_nio(request, err->text);
	}
	return reply_final(request, REPLY_OK, "NIO UDP added to IOL bridge '%s'", name_of(request));
}

static enum request_state cmd_set_port_udp(struct request *request)
{
	char **argv = request->argv;
	struct udp_spec spec;
	unsigned port;
	struct err err;
	int64_t id;

	if (!parse_int(argv[1], 1, IOL_ID_MAX, &id))
		return refuse_nio(request, "no IOL ID");
	if (id == request->iol->id)
		return reply_final(request, REPLY_CREATE,
				   "IOU ID %u cannot be the same as bridge '%s' ID", (unsigned)id,
				   name_of(request));
	if (!parse_port_words(argv + 2, &port))
		return refuse_nio(request, "bay and unit are 0 to 15");
	if (!udp_spec_parse(&spec, argv[4], argv[5], argv[6], &err))
		return refuse_nio(request, err.text);
	return with_resolved(request, &spec, add_resolved);
}

static enum request_state cmd_delete_port_udp(struct request *request)
{
	unsigned port;

	if (!parse_port_words(request->argv + 1, &port))
		return refuse_port(request);
	iol_port_delete_nio(request->iol, port);
	return reply_final(request, REPLY_OK, "NIO UDP deleted from IOL bridge '%s'",
			   name_of(request));
}

/* ---- filters and captures of a port */

static enum request_state cmd_start_capture(struct request *request)
{
	struct link *link = NULL;
	unsigned port;
	struct err err;

	if (parse_port_words(request->argv + 1, &port))
		link = iol_port_link(request->iol, port, &err);
	if (link && link_is_capturing(link))
		return reply_final(request, REPLY_START,
				   "packet capture is already active on port %s/%s",
				   request->argv[1], request->argv[2]);
	if (!link || !start_capture(link, request->argc - 3, request->argv + 3))
		return reply_final(request, REPLY_START,
				   "packet capture could not be started on bridge '%s'",
				   name_of(request));
	return reply_final(request, REPLY_OK, "packet capture started on port %s/%s",
			   request->argv[1], request->argv[2]);
}

static enum request_state cmd_stop_capture(struct request *request)
{
	struct link *link = NULL;
	unsigned port;

	if (parse_port_words(request->argv + 1, &port))
		link = request->iol->port[port];
	if (!link || !link_is_capturing(link))
		return reply_final(request, REPLY_NOT_FOUND,
				   "no packet capture active on port %s/%s", request->argv[1],
				   request->argv[2]);
	link_set_capture(link, NULL);
	return reply_final(request, REPLY_OK, "packet capture stopped on port %s/%s",
			   request->argv[1], request->argv[2]);
}

static enum request_state cmd_add_packet_filter(struct request *request)
{
	struct link *link = NULL;
	unsigned port;
	struct err err;

	if (parse_port_words(request->argv + 1, &port))
		link = iol_port_link(request->iol, port, &err);
	if (!link)
		return reply_final(request, REPLY_CREATE, "Failed to add filter '%s'",
				   request->argv[3]);
	return add_filter(request, link, request->argc - 3, request->argv + 3);
}

static enum request_state cmd_delete_packet_filter(struct request *request)
{
	const char *filter = request->argv[3];
	struct link *link = NULL;
	unsigned port;

	if (parse_port_words(request->argv + 1, &port))
		link = request->iol->port[port];
	if (!link || !link_delete_filter(link, filter))
		return reply_final(request, REPLY_CREATE, "Failed to delete filter '%s'", filter);
	return reply_final(request, REPLY_OK, "Filter '%s' deleted from bridge '%s'", filter,
			   name_of(request));
}

static enum request_state cmd_reset_packet_filters(struct request *request)
{
	unsigned port;

	if (!parse_port_words(request->argv + 1, &port))
		return refuse_port(request);
	if (request->iol->port[port])
		link_reset_filters(request->iol->port[port]);
	return reply_final(request, REPLY_OK, "OK");
}

static const struct command commands[] = {
	{ "list", 0, 0, OBJECT_NONE, cmd_list },
	{ "reset_packet_filters", 3, 3, OBJECT_IOL_PORT, cmd_reset_packet_filters },
	{ "delete_packet_filter", 4, 4, OBJECT_IOL_PORT, cmd_delete_packet_filter },
	{ "add_packet_filter", 4, 15, OBJECT_IOL_PORT, cmd_add_packet_filter },
	{ "stop_capture", 3, 3, OBJECT_IOL_PORT, cmd_stop_capture },
	{ "start_capture", 4, 5, OBJECT_IOL_PORT, cmd_start_capture },
	{ "delete_nio_udp", 3, 3, OBJECT_IOL_PORT, cmd_delete_port_udp },
	{ "add_nio_udp", 7, 7, OBJECT_IOL_PORT, cmd_set_port_udp },
	{ "rename", 2, 2, OBJECT_IOL_BRIDGE, cmd_rename },
	{ "reset_stats", 1, 1, OBJECT_IOL_PORT, cmd_reset_stats },
	{ "get_stats", 1, 1, OBJECT_IOL_PORT, cmd_get_stats },
	{ "stop", 1, 1, OBJECT_IOL_BRIDGE, cmd_stop },
	{ "start", 1, 1, OBJECT_IOL_BRIDGE, cmd_start },
	{ "delete", 1, 1, OBJECT_IOL_BRIDGE, cmd_delete },
	{ "create", 2, 2, OBJECT_NONE, cmd_create },
};

static const struct command extensions[] = {
	{ "get_counters", 1, 1, OBJECT_IOL_PORT, cmd_get_counters },
};

const struct module module_iol_bridge = {
	.name = "iol_bridge",
	.commands = commands,
	.count = sizeof(commands) / sizeof(commands[0]),
	.extensions = extensions,
	.extension_count = sizeof(extensions) / sizeof(extensions[0]),
};
