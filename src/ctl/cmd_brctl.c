/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The module "brctl": the Linux bridges of the host. */
#include <config.h>

#include <string.h>

#include "attach/replug.h"
#include "base/log.h"
#include "core/bridge.h"
#include "ctl/dispatch.h"
#include "net/netdev.h"

static enum request_state cmd_addif(struct request *request)
{
	const char *bridge = request->argv[0], *interface = request->argv[1];
	struct err err;

	if (netdev_index(interface, &err) < 0)
		return reply_final(request, REPLY_CREATE, "Could not find interface %s", interface);
	/* Later it would lose its carrier for a moment, and with that its place in the spanning
	 * tree for some seconds.
	 */
	bridge_before_move(interface);
	if (netdev_add_port(bridge, interface, &err) < 0)
		return reply_final(request, REPLY_CREATE, "Could not add interface %s to %s: %s",
				   interface, bridge, strerrordesc_np(err.code));
	if (netdev_set_up(interface, true, &err) < 0) {
		log_error("%s", err.text);
		return reply_final(request, REPLY_CREATE, "Could not up interface %s", interface);
	}
	replug_port_added(bridge, interface);
	return reply_final(request, REPLY_OK, "%s has been added to bridge %s", interface, bridge);
}

static const struct command commands[] = {
	{ "addif", 2, 2, OBJECT_NONE, cmd_addif },
};

const struct module module_brctl = {
	.name = "brctl",
	.commands = commands,
	.count = sizeof(commands) / sizeof(commands[0]),
};
