/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The module "docker": interfaces for containers. */
#include <config.h>

#include "attach/replug.h"
#include "base/log.h"
#include "base/str.h"
#include "core/bridge.h"
#include "ctl/cmd_attach.h"
#include "ctl/dispatch.h"
#include "net/netdev.h"
#include "nio/nio.h"

#define NETLINK_FAILED "could not complete netlink transaction"

/* The reply's text is the classic one; why it failed goes to the log. */
static enum request_state refuse(struct request *request, enum reply_code code, const char *text,
				 const struct err *err)
{
	log_error("%s", err->text);
	return reply_final(request, code, "%s", text);
}

static enum request_state refuse_unknown(struct request *request, enum reply_code code)
{
	return reply_final(request, code, "could not find interface index for %s",
			   request->argv[0]);
}

static enum request_state cmd_create_veth(struct request *request)
{
	const char *name = request->argv[0], *peer = request->argv[1];
	struct err err;

	if (!ifname_fits(name) || !ifname_fits(peer))
		return reply_final(request, REPLY_CREATE, "name is too long");
	if (netdev_create_veth(name, peer, &err) < 0)
		return refuse(request, REPLY_CREATE, NETLINK_FAILED, &err);
	if (netdev_set_up(name, true, &err) < 0) {
		struct err ignored;

		netdev_delete(name, &ignored);
		return refuse(request, REPLY_CREATE, NETLINK_FAILED, &err);
	}
	if (netdev_set_tx_checksum(peer, false, &err) < 0)
		reply_info(request, "Warning: could not turn off checksum");
	/* With its checksums made, the container segments its streams itself. A packet
	 * socket on our end would get each segment alone, unless they are joined before.
	 * Kernels before 5.13 can not, which only costs speed.
	 */
	if (nio_offload)
		netdev_set_gro(name, true, &err);
	return reply_final(request, REPLY_OK, "veth pair created: %s and %s", name, peer);
}

static enum request_state cmd_delete_veth(struct request *request)
{
	const char *name = request->argv[0];
	struct err err;

	if (netdev_index(name, &err) < 0) {
		/* it may have gone with its container, and come back with that */
		replug_forget_pair(name);
		return refuse_unknown(request, REPLY_DELETE);
	}
	if (netdev_delete(name, &err) < 0)
		return refuse(request, REPLY_DELETE, NETLINK_FAILED, &err);
	replug_forget_pair(name);
	return reply_final(request, REPLY_OK, "veth interface %s has been deleted", name);
}

static enum request_state cmd_move_to_ns(struct request *request)
{
	const struct netdev_placement placement = { .name = request->argv[2] };
	const char *name = request->argv[0], *process = request->argv[1];
	struct replug replug;
	struct err err;
	int64_t pid;

	if (netdev_index(name, &err) < 0)
		return refuse_unknown(request, REPLY_CREATE);
	if (!parse_int(process, 1, INT32_MAX, &pid))
		return reply_final(request, REPLY_CREATE, NETLINK_FAILED);
	bridge_before_move(name);
	replug_look(&replug, name);
	if (netdev_move_to_pid(name, (pid_t)pid, &placement, &err) < 0)
		return refuse(request, REPLY_CREATE, NETLINK_FAILED, &err);
	replug_moved(&replug, (pid_t)pid, placement.name);
	return reply_final(request, REPLY_OK, "%s moved to namespace %s", name, process);
}

static enum request_state cmd_set_mac_addr(struct request *request)
{
	const char *name = request->argv[0], *address = request->argv[1];
	uint8_t mac[MAC_LEN];
	struct err err;

	if (!ifname_fits(name))
		return reply_final(request, REPLY_CREATE, "interface name is too long");
	if (!parse_mac(address, mac))
		return reply_final(request, REPLY_CREATE, "invalid MAC address format");
	if (netdev_set_mac(name, mac, &err) < 0) {
		log_error("%s", err.text);
		return reply_final(request, REPLY_CREATE,
				   "could not set a MAC address on interface %s", name);
	}
	return reply_final(request, REPLY_OK,
			   "MAC address %s has been successfully set on interface %s", address,
			   name);
}

static const struct command commands[] = {
	{ "set_mac_addr", 2, 2, OBJECT_NONE, cmd_set_mac_addr },
	{ "move_to_ns", 3, 3, OBJECT_NONE, cmd_move_to_ns },
	{ "delete_veth", 1, 1, OBJECT_NONE, cmd_delete_veth },
	{ "create_veth", 2, 2, OBJECT_NONE, cmd_create_veth },
};

static const struct command extensions[] = {
	{ "list", 0, 0, OBJECT_NONE, cmd_docker_list },
	{ "wait", 1, 2, OBJECT_NONE, cmd_docker_wait },
	{ "pid", 1, 1, OBJECT_NONE, cmd_docker_pid },
	{ "engine", 0, 0, OBJECT_NONE, cmd_docker_engine },
};

const struct module module_docker = {
	.name = "docker",
	.commands = commands,
	.count = sizeof(commands) / sizeof(commands[0]),
	.extensions = extensions,
	.extension_count = sizeof(extensions) / sizeof(extensions[0]),
};
