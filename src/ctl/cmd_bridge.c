/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The module "bridge". */
#include <config.h>

#include "base/log.h"
#include "attach/replug.h"
#include "core/bridge.h"
#include "ctl/cmd_attach.h"
#include "ctl/cmd_link.h"
#include "ctl/cmd_nio.h"
#include "ctl/dispatch.h"
#include "nio/nio_ethernet.h"

static const char *name_of(const struct request *request)
{
	return request->argv[0];
}

static enum request_state cmd_create(struct request *request)
{
	struct err err;

	if (bridge_find(name_of(request)))
		return reply_final(request, REPLY_CREATE, "bridge '%s' already exist",
				   name_of(request));
	if (bridges_are_full())
		return reply_final(request, REPLY_CREATE, "there are %u bridges already",
				   max_bridges);
	if (!bridge_create(name_of(request), &err))
		return reply_final(request, REPLY_CREATE, "%s", err.text);
	return reply_final(request, REPLY_OK, "bridge '%s' created", name_of(request));
}

static enum request_state cmd_delete(struct request *request)
{
	replug_bridge_ends(request->bridge);
	bridge_delete(request->bridge);
	return reply_final(request, REPLY_OK, "bridge '%s' deleted", name_of(request));
}

static enum request_state cmd_start(struct request *request)
{
	struct err err;

	if (bridge_is_running(request->bridge))
		return reply_final(request, REPLY_START, "bridge '%s' is already running",
				   name_of(request));
	if (bridge_nio_count(request->bridge) < SIDE_COUNT)
		return reply_final(request, REPLY_START,
				   "bridge '%s' must have 2 NIOs to be started",
				   name_of(request));
	if (bridge_start(request->bridge, &err) < 0)
		return reply_final(request, REPLY_START, "bridge '%s' could not be started: %s",
				   name_of(request), err.text);
	return reply_final(request, REPLY_OK, "bridge '%s' started", name_of(request));
}

static enum request_state cmd_stop(struct request *request)
{
	if (!bridge_is_running(request->bridge))
		return reply_final(request, REPLY_STOP, "bridge '%s' is not running",
				   name_of(request));
	bridge_stop(request->bridge);
	return reply_final(request, REPLY_OK, "bridge '%s' stopped", name_of(request));
}

static enum request_state cmd_rename(struct request *request)
{
	const char *name = request->argv[1];
	struct err err;

	if (bridge_find(name))
		return reply_final(request, REPLY_RENAME, "bridge '%s' already exist", name);
	if (link_rename(&request->bridge->link, name, &err) < 0)
		return reply_final(request, REPLY_RENAME, "%s", err.text);
	return reply_final(request, REPLY_OK, "bridge '%s' renamed to '%s'", name_of(request), name);
}

static enum request_state cmd_list(struct request *request)
{
	for (const struct bridge *bridge = bridge_first(); bridge; bridge = bridge->next)
		reply_info(request, "%s (NIOs = %u)", bridge->link.name, bridge_nio_count(bridge));
	return reply_final(request, REPLY_OK, "OK");
}

static void show_nio(struct request *request, const char *label, const struct nio *nio)
{
	if (nio && nio->ops->state)
		reply_info(request, "%s NIO: %s (%s)", label, nio->desc, nio->ops->state(nio));
	else if (nio)
		reply_info(request, "%s NIO: %s", label, nio->desc);
}

static enum request_state cmd_show(struct request *request)
{
	const struct bridge *bridge = request->bridge;
	unsigned position = 0;

	reply_info(request, "bridge '%s' is %s", bridge->link.name,
		   bridge_is_running(bridge) ? "running" : "not running");
	for (const struct filter *filter = bridge->link.filters.first; filter;
	     filter = filter_next(filter))
		reply_info(request, "Filter '%s' configured in position %u", filter_name(filter),
			   ++position);
	show_nio(request, "Source", bridge->link.nio[SIDE_SOURCE]);
	show_nio(request, "Destination", bridge->link.nio[SIDE_DESTINATION]);
	return reply_final(request, REPLY_OK, "OK");
}

static enum request_state cmd_get_stats(struct request *request)
{
	static const char *const label[SIDE_COUNT] = { "Source NIO:     ", "Destination NIO:" };
	struct nio_counters counters[SIDE_COUNT];

	link_get_counters(&request->bridge->link, counters);
	for (enum side side = 0; side < SIDE_COUNT; side++) {
		if (request->bridge->link.nio[side])
			reply_stats(request, label[side], &counters[side]);
	}
	return reply_final(request, REPLY_OK, "OK");
}

static enum request_state cmd_get_counters(struct request *request)
{
	reply_counters(request, &request->bridge->link, "");
	return reply_final(request, REPLY_OK, "OK");
}

static enum request_state cmd_reset_stats(struct request *request)
{
	link_reset_counters(&request->bridge->link);
	return reply_final(request, REPLY_OK, "OK");
}

static enum request_state cmd_start_capture(struct request *request)
{
	struct link *link = &request->bridge->link;

	if (link_is_capturing(link))
		return reply_final(request, REPLY_START,
				   "packet capture is already active on bridge '%s'",
				   name_of(request));
	if (!start_capture(link, request->argc - 1, request->argv + 1))
		return reply_final(request, REPLY_START,
				   "packet capture could not be started on bridge '%s'",
				   name_of(request));
	return reply_final(request, REPLY_OK, "packet capture started on bridge '%s'",
			   name_of(request));
}

static enum request_state cmd_stop_capture(struct request *request)
{
	struct link *link = &request->bridge->link;

	if (!link_is_capturing(link))
		return reply_final(request, REPLY_START, "no packet capture active on bridge '%s'",
				   name_of(request));
	link_set_capture(link, NULL);
	return reply_final(request, REPLY_OK, "packet capture stopped on bridge '%s'",
			   name_of(request));
}

static enum request_state cmd_add_packet_filter(struct request *request)
{
	return add_filter(request, &request->bridge->link, request->argc - 1, request->argv + 1);
}

static enum request_state cmd_delete_packet_filter(struct request *request)
{
	const char *filter = request->argv[1];

	if (!link_delete_filter(&request->bridge->link, filter))
		return reply_final(request, REPLY_CREATE, "Failed to delete filter '%s'", filter);
	return reply_final(request, REPLY_OK, "Filter '%s' delete from bridge '%s'", filter,
			   name_of(request));
}

static enum request_state cmd_reset_packet_filters(struct request *request)
{
	link_reset_filters(&request->bridge->link);
	return reply_final(request, REPLY_OK, "OK");
}

static enum request_state cmd_set_pcap_filter(struct request *request)
{
	static const char *const label[SIDE_COUNT] = { "source", "destination" };
	const char *expression = request->argc > 1 ? request->argv[1] : NULL;
	struct nio *nio = NULL;
	enum side side;
	struct err err;

	for (side = 0; side < SIDE_COUNT; side++) {
		nio = request->bridge->link.nio[side];
		if (nio && nio_is_ethernet(nio))
			break;
	}
	if (side == SIDE_COUNT)
		return reply_final(request, REPLY_CREATE,
				   "bridge %s must have at least one Ethernet NIO in order to apply a filter",
				   name_of(request));
	if (nio_ethernet_set_filter(nio, expression, request->bridge->link.worker != NULL,
				    &err) < 0) {
		log_error("bridge '%s': %s", name_of(request), err.text);
		return reply_final(request, REPLY_CREATE,
				   "unable to apply filter on bridge %s (%s NIO)", name_of(request),
				   label[side]);
	}
	if (!expression)
		return reply_final(request, REPLY_OK, "filter reset on bridge '%s'",
				   name_of(request));
	return reply_final(request, REPLY_OK, "filter '%s' applied on bridge '%s'", expression,
			   name_of(request));
}

static const struct command commands[] = {
	{ "list", 0, 0, OBJECT_NONE, cmd_list },
	{ "set_pcap_filter", 1, 2, OBJECT_BRIDGE, cmd_set_pcap_filter },
	{ "reset_packet_filters", 1, 1, OBJECT_BRIDGE, cmd_reset_packet_filters },
	{ "delete_packet_filter", 2, 2, OBJECT_BRIDGE, cmd_delete_packet_filter },
	{ "add_packet_filter", 2, 10, OBJECT_BRIDGE, cmd_add_packet_filter },
	{ "stop_capture", 1, 1, OBJECT_BRIDGE, cmd_stop_capture },
	{ "start_capture", 2, 3, OBJECT_BRIDGE, cmd_start_capture },
	{ "add_nio_linux_raw", 2, 2, OBJECT_BRIDGE, cmd_add_nio_linux_raw },
	{ "add_nio_ethernet", 2, 2, OBJECT_BRIDGE, cmd_add_nio_ethernet },
	{ "add_nio_tap", 2, 2, OBJECT_BRIDGE, cmd_add_nio_tap },
	{ "add_nio_unix", 3, 3, OBJECT_BRIDGE, cmd_add_nio_unix },
	{ "delete_nio_udp", 4, 4, OBJECT_BRIDGE, cmd_delete_nio_udp },
	{ "remove_nio_udp", 4, 4, OBJECT_BRIDGE, cmd_delete_nio_udp },
	{ "add_nio_udp", 4, 4, OBJECT_BRIDGE, cmd_add_nio_udp },
	{ "rename", 2, 2, OBJECT_BRIDGE, cmd_rename },
	{ "reset_stats", 1, 1, OBJECT_BRIDGE, cmd_reset_stats },
	{ "get_stats", 1, 1, OBJECT_BRIDGE, cmd_get_stats },
	{ "show", 1, 1, OBJECT_BRIDGE, cmd_show },
	{ "stop", 1, 1, OBJECT_BRIDGE, cmd_stop },
	{ "start", 1, 1, OBJECT_BRIDGE, cmd_start },
	{ "delete", 1, 1, OBJECT_BRIDGE, cmd_delete },
	{ "create", 1, 1, OBJECT_NONE, cmd_create },
};

static const struct command extensions[] = {
	{ "get_counters", 1, 1, OBJECT_BRIDGE, cmd_get_counters },
	{ "add_nio_docker", 3, 32, OBJECT_BRIDGE, cmd_add_nio_docker },
	{ "delete_nio_docker", 3, 3, OBJECT_BRIDGE, cmd_delete_nio_docker },
};

const struct module module_bridge = {
	.name = "bridge",
	.commands = commands,
	.count = sizeof(commands) / sizeof(commands[0]),
	.extensions = extensions,
	.extension_count = sizeof(extensions) / sizeof(extensions[0]),
};
